"""Hypothesis strategies: records with every mess that a history has to cope with, and tidy ones."""

from dataclasses import dataclass
from typing import Any

from builders.records import (
    AS_OF,
    HYPERTENSION,
    LIFESTYLE,
    LISINOPRIL,
    POTASSIUM,
    SBP,
    a_variable,
    an_action,
    mm_hg,
    time,
    ucum,
)
from hypothesis import strategies as st

from cds_engine.history.event import Event, EventKind, Person, Record, Time
from cds_engine.vocabulary.time import DAY, HOUR, SECOND
from cds_engine.vocabulary.value import Span

ANSWERED = "loinc|82810-3"
OTHER_SBP = "loinc|8459-0"
PENICILLIN = "rxnorm|7980"
VISIT = "act|AMB"

ACTIONS = {
    "lifestyle": an_action("Advise", seen_as=[LIFESTYLE]),
    "add_ace": an_action("Start lisinopril", seen_as=[LISINOPRIL, "rxnorm|1"]),
    "add_ccb": an_action("Start amlodipine", seen_as=["rxnorm|17767"]),
    "wait": an_action("Wait", change=False),
}

_BOTH: dict[str, Any] = {
    "codes": [SBP, OTHER_SBP],
    "units": {"kPa": 7.50062, "cm[Hg]": 10},
    "agree": 2,
}

VARIABLES = {
    "age": a_variable("patient.age", unit="a", plausible=[0, 120]),
    "age_months": a_variable("patient.age", unit="mo"),
    "sex": a_variable("patient.sex"),
    "latest": a_variable(within="P30D", **_BOTH),
    "latest_exact": a_variable(codes=[SBP], digits=0),
    "latest_preliminary": a_variable(status=["preliminary", "final"]),
    "potassium": a_variable(codes=[POTASSIUM], unit="mmol/L", digits=1, plausible=[1.5, 9],
                            units={"meq/L": 1, "mg/dL": {"factor": 0.2557, "offset": 0.03}}),
    "earliest": a_variable(take="earliest", **_BOTH),
    "mean": a_variable(take="mean", within="P6M", digits=1, **_BOTH),
    "mean_whole": a_variable(take="mean", within="P1Y", digits=0, **_BOTH),
    "min": a_variable(take="min", within="P6M", **_BOTH),
    "max": a_variable(take="max", within="P6M", plausible=[60, 280], **_BOTH),
    "count": a_variable(take="count", within="P30D", **_BOTH),
    "count_code": a_variable(take="count", within="P12M"),
    "change": a_variable(take="change", within="P1Y", **{**_BOTH, "agree": 200}),
    "slope": a_variable(take="slope", within="P1Y", **{**_BOTH, "agree": 200}),
    "slope_month": a_variable(take="slope", within="P2Y", per="mo", digits=0),
    "waited": a_variable(take="elapsed", unit="d"),
    "waited_hours": a_variable(take="elapsed", unit="h", within="P2M"),
    "waited_months": a_variable(take="elapsed", unit="mo"),
    "before": a_variable(before="add_ace", within="P3M", agree=200),
    "mean_before": a_variable(before="lifestyle", take="mean", within="P60D"),
    "answer": a_variable(codes=[ANSWERED], within="P1Y",
                         answers={"snomed|1": "pregnant", "snomed|2": "not", "snomed|3": "not"}),
    "first_answer": a_variable(codes=[ANSWERED], take="earliest", answers={"snomed|1": "yes"}),
    "present": a_variable("condition", absent=False),
    "present_unknown": a_variable("condition"),
    "ever_had": a_variable("condition", take="ever", absent=False),
    "since": a_variable("condition", take="elapsed", unit="mo"),
    "since_hours": a_variable("condition", take="elapsed", unit="h"),
    "allergy": a_variable("allergy", codes=[PENICILLIN], absent="unknown"),
    "active": a_variable("medication", absent=False),
    "ever": a_variable("medication", take="ever", within="P1Y"),
    "ever_at_all": a_variable("medication", take="ever", absent=False),
    "since_drug": a_variable("medication", take="elapsed", unit="d"),
    "drugs": a_variable("medication", take="count", within="P3M"),
    "adherence": a_variable("medication", take="adherence", within="P6M"),
    "adherence_fine": a_variable("medication", take="adherence", within="P45D", digits=4),
    "operated": a_variable("procedure", take="ever", absent=False),
    "operations": a_variable("procedure", take="count", within="P1Y"),
    "since_operation": a_variable("procedure", take="elapsed", unit="wk", within="P1Y"),
    "step": a_variable("course"),
    "weeks": a_variable("course", take="elapsed", unit="wk"),
    "hours": a_variable("course", take="elapsed", unit="h"),
    "steps": a_variable("course", take="count"),
    "visits": a_variable("encounter", take="count", within="P1Y"),
    "since_visit": a_variable("encounter", take="elapsed", unit="d", codes=[VISIT]),
}  # fmt: skip


@dataclass(frozen=True)
class Mess:
    """How untidy drawn records are.

    Attributes:
        times: what the times may be, the usual ones several times.
        one_source: True if every event has a source of its own.
        clean: True if nothing is in doubt, unreadable, or taken back.
        late: the most hours between an event and its recording.
    """

    times: tuple[str, ...] = (
        "instant", "instant", "instant", "same", "day", "day", "month", "year", "none", "long",
    )  # fmt: skip
    one_source: bool = False
    clean: bool = False
    late: int = 24 * 90


MESSY = Mess()
LATE = Mess(("instant",), one_source=True, clean=True)
DAYS = Mess(("day",), one_source=True, clean=True, late=24)
TIDY = Mess(("instant",), one_source=True, clean=True, late=0)

_HOURS = st.integers(-400 * 24, 30 * 24)
_SAME = st.sampled_from([AS_OF - 20 * DAY, AS_OF - 5 * DAY, AS_OF - 5 * DAY + HOUR])


@st.composite
def times(draw: st.DrawFn, mess: Mess = MESSY) -> Time | None:
    """A time of any precision."""
    at = AS_OF + draw(_HOURS) * HOUR + draw(st.sampled_from([0, 0, 1, SECOND]))
    match draw(st.sampled_from(mess.times)):
        case "same":
            at = draw(_SAME)
        case "day":
            return Time(at - at % DAY, at - at % DAY + DAY - 1, "day")
        case "month":
            return time(draw(st.sampled_from(["2025-05", "2025-06", "2025-01"])))
        case "year":
            return time(draw(st.sampled_from(["2024", "2025", "1895"])))
        case "long":
            return Time(at, at + DAY)
        case "none":
            return None
    return Time(at, at)


_NUMBERS = st.one_of(
    st.integers(40, 300).map(float),
    st.sampled_from([120.0, 121.0, 122.0, 123.0, 5.0]),
    st.sampled_from([0.05, 5.45, 5.55, 120.05, 120.15, 2.675, 1e17, -3.5, 1e300]),
    st.floats(0, 300).map(lambda number: round(number, 3)),
)
_VALUES = st.one_of(
    _NUMBERS,
    _NUMBERS,
    st.just(None),
    st.just(Span(high=100.0, high_open=True)),
    st.sampled_from(["snomed|1", "snomed|9"]),
    st.booleans(),
)
_KINDS: st.SearchStrategy[tuple[EventKind, tuple[str, ...]]] = st.sampled_from(
    [
        ("observation", (SBP,)), ("observation", (SBP,)), ("observation", (SBP, OTHER_SBP)),
        ("observation", (OTHER_SBP, "loinc|1")), ("observation", (POTASSIUM,)),
        ("observation", (ANSWERED,)), ("condition", (HYPERTENSION,)), ("allergy", (PENICILLIN,)),
        ("request", (LISINOPRIL,)), ("request", ("rxnorm|17767",)), ("statement", (LISINOPRIL,)),
        ("dispense", (LISINOPRIL,)), ("dispense", (LISINOPRIL, "rxnorm|17767")),
        ("service", (LIFESTYLE,)), ("procedure", ("snomed|1",)), ("administration", ("rxnorm|1",)),
        ("encounter", (VISIT,)), ("condition", ()), ("condition", (HYPERTENSION,)), ("allergy", ()), ("observation", ("loinc|unused",)),
    ]
)  # fmt: skip
_STATUSES = ["final", "final", "active", "active", "amended", "stopped", "unknown", "completed",
             "entered-in-error", "cancelled", "preliminary", ""]  # fmt: skip
_UNITS = [mm_hg(), mm_hg(), mm_hg(), ucum("kPa"), ucum("mmol/L"), ucum("cm[Hg]"),
          ucum("mg/dL"), None]  # fmt: skip


@st.composite
def events(draw: st.DrawFn, mess: Mess = MESSY) -> Event:
    """An event of any kind."""
    kind, codes = draw(_KINDS)
    when = draw(times(mess))
    start = draw(_HOURS) * HOUR + AS_OF if when is None else when.start
    recorded = start + draw(st.integers(-48 * (mess.late > 24), mess.late)) * HOUR
    source = draw(st.integers(0, 10**9 if mess.one_source else 9))
    answered = codes == (ANSWERED,)
    fields: dict[str, object] = {"status": "active", "unit": mm_hg()}
    if kind == "observation":
        number = draw(_NUMBERS if mess.clean else _VALUES)
        fields["value"] = draw(st.sampled_from(_ANSWERS)) if answered else number
        fields["status"] = "final"
    if not mess.clean:
        fields["status"] = draw(st.sampled_from(_STATUSES))
        fields["version"] = (draw(st.sampled_from([0, 0, 0, 1])), "")
        fields["unit"] = draw(st.sampled_from(_UNITS))
        fields["problem"] = draw(st.sampled_from(["", "", "", "", "it cannot be read"]))
        fields["until"] = draw(st.one_of(st.none(), st.none(), times()))
        fields["ended"] = draw(st.booleans())
        fields["doubt"] = draw(st.booleans()) and draw(st.booleans())
        if kind == "observation" and draw(st.booleans()):
            fields["until"] = None
    if kind in {"request", "dispense"}:
        fields["days"] = draw(st.sampled_from([None, 30.0, 14.0, 10.5, 0.0]))
    return Event(kind, codes, when, recorded, f"{kind}/{source}", **fields)  # type: ignore[arg-type]


_ANSWERS = [
    "snomed|1", "snomed|2", "snomed|1\nsnomed|9", "snomed|2\nsnomed|3", "snomed|1\nsnomed|2",
]  # fmt: skip
_BIRTHS = [None, "1970-03-01", "2000-02-29", "2024-12-31", "1980-07", "1980", "1897-01-01",
           "1899-12-31", "2025-06-15", "2026-01-01"]  # fmt: skip
_GAPS = ["*", "latest", "kind:observation", "kind:patient", f"code:{LISINOPRIL}", "kind:service"]


@st.composite
def persons(draw: st.DrawFn) -> Person:
    """A person of any age, sex and fate."""
    born = draw(st.sampled_from(_BIRTHS))
    return Person(
        "p",
        None if born is None else time(born),
        draw(st.sampled_from([None, "female", "male", "?"])),
        died=draw(st.one_of(st.none(), times())),
        deceased=draw(st.booleans()),
    )


@st.composite
def records(draw: st.DrawFn, mess: Mess = MESSY, most: int = 12) -> Record:
    """A record."""
    found = draw(st.lists(events(mess), max_size=most))
    gaps = draw(st.lists(st.sampled_from(_GAPS), max_size=1)) if draw(st.booleans()) else []
    return Record(draw(persons()), tuple(found), (), dict.fromkeys(gaps, "it was cut short"))


def several(mess: Mess = MESSY, most: int = 12) -> st.SearchStrategy[list[Record]]:
    """One to four records."""
    return st.lists(records(mess, most), min_size=1, max_size=4)


POINTS = st.lists(
    st.tuples(
        st.integers(0, 11),
        st.one_of(
            _HOURS.map(lambda hours: AS_OF + hours * HOUR),
            st.sampled_from([AS_OF, AS_OF - 5 * DAY, AS_OF - 5 * DAY - 1, AS_OF + 400 * DAY]),
        ),
    ),
    max_size=12,
)
RECORDS = several()
