"""Records with every mess that a history has to cope with, drawn so that the messes meet.

Each record speaks mostly of one thing, at a handful of times, so that versions, copies, late
entries, dates and clock times of one day fall upon each other.
"""

from dataclasses import dataclass
from random import Random
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
    but,
    mm_hg,
    time,
    ucum,
)

from cds_engine.history.event import Event, EventKind, Gap, Person, Record, Time
from cds_engine.vocabulary.time import DAY, HOUR, MINUTE, Instant
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
        events: the most events of a record.
    """

    times: tuple[str, ...] = ("instant",)
    one_source: bool = True
    clean: bool = True
    late: int = 24 * 90
    events: int = 12


KINDS_OF_MESS = {
    "all at once": Mess(
        ("instant", "instant", "instant", "day", "day", "month", "year", "none", "long"),
        one_source=False,
        clean=False,
    ),
    "sources": Mess(one_source=False),
    "sources at once": Mess(one_source=False, late=0),
    "values": Mess(clean=False, late=0),
    "late": Mess(events=25),
    "dates": Mess(("day", "day", "day", "instant"), late=12),
    "vague": Mess(("instant", "instant", "month", "year", "none"), late=24),
    "lasting": Mess(("instant", "instant", "long"), late=0, events=6),
    "tidy": Mess(late=0, events=25),
}

FAMILIES: tuple[tuple[tuple[EventKind, tuple[str, ...]], ...], ...] = (
    (("observation", (SBP,)),),
    (("observation", (SBP,)), ("observation", (OTHER_SBP,)), ("observation", (SBP, OTHER_SBP))),
    (("observation", (SBP,)), ("request", (LISINOPRIL,)), ("service", (LIFESTYLE,))),
    (("observation", (POTASSIUM,)), ("observation", ("loinc|unused",))),
    (("observation", (ANSWERED,)),),
    (("condition", (HYPERTENSION,)),),
    (
        ("condition", (HYPERTENSION,)), ("condition", ()), ("allergy", ()),
        ("allergy", (PENICILLIN,)),
    ),
    (("dispense", (LISINOPRIL,)), ("dispense", (LISINOPRIL, "rxnorm|17767"))),
    (("request", (LISINOPRIL,)), ("statement", (LISINOPRIL,))),
    (("dispense", (LISINOPRIL,)), ("dispense", (LISINOPRIL,)), ("request", (LISINOPRIL,))),
    (
        ("request", ("rxnorm|17767",)), ("request", (LISINOPRIL,)), ("service", (LIFESTYLE,)),
        ("dispense", (LISINOPRIL, "rxnorm|17767")), ("administration", ("rxnorm|1",)),
    ),
    (("procedure", ("snomed|1",)),),
    (("encounter", (VISIT,)), ("encounter", ("act|EMER",))),
)  # fmt: skip
"""What a record may mostly speak of."""

_NUMBERS = (120.0, 121.0, 121.5, 122.0, 123.0, 180.0, 5.0, 4.95, 5.05, 5.45, 5.55, 120.05, 120.15,
            2.675, 300.0, 40.0, 1e17, -3.5, 1e300)  # fmt: skip
_UNREADABLE = (None, Span(high=100.0, high_open=True), "snomed|1", True, False)
_ANSWERS = (
    "snomed|1", "snomed|2", "snomed|1\nsnomed|9", "snomed|2\nsnomed|3", "snomed|1\nsnomed|2",
    "snomed|9",
)  # fmt: skip
_STATUSES = ("final", "final", "active", "active", "amended", "stopped", "unknown", "completed",
             "entered-in-error", "cancelled", "preliminary", "")  # fmt: skip
_UNITS = (mm_hg(), mm_hg(), mm_hg(), ucum("kPa"), ucum("mmol/L"), ucum("cm[Hg]"), ucum("mg/dL"),
          None)  # fmt: skip
_BIRTHS = (None, "1970-03-01", "2000-02-29", "2024-12-31", "1980-07", "1980", "1897-01-01",
           "1899-12-31", "2025-06-15", "2026-01-01")  # fmt: skip
_GAPS = ("*", "latest", "kind:observation", "kind:patient", f"code:{LISINOPRIL}", "kind:service",
         "kind:condition", f"allergy:{LISINOPRIL}", f"request:{LISINOPRIL}", f"observation:{SBP}",
         f"service:{LIFESTYLE}", f"condition:{HYPERTENSION}")  # fmt: skip


class Drawer:
    """Draws one record and the instants at which to look at it."""

    def __init__(self, random: Random, mess: Mess) -> None:
        self.random, self.mess = random, mess
        self.family = random.choice(FAMILIES)
        self.sources = 10**9 if mess.one_source else random.choice((5, 10**9))
        days = random.choice((3, 40, 400))
        # a handful of times, and with each some that are near it
        self.instants = [
            AS_OF + random.randrange(-days * 24 * 60, 24 * 60) * MINUTE
            for _ in range(random.choice((2, 4, 20)))
        ]

    def record(self) -> Record:
        """Return the record."""
        random = self.random
        events = [self.event() for _ in range(random.randint(0, self.mess.events))]
        if not self.mess.one_source:
            events += [self.copy(event) for event in events if random.random() < 0.3]
        gaps = random.sample(_GAPS, random.choice((1, 1, 3))) if random.random() < 0.3 else []
        dated = {gap: self.grown() for gap in gaps if random.random() < 0.6}
        born = random.choice(_BIRTHS)
        person = Person(
            "p",
            None if born is None else time(born),
            random.choice((None, "female", "male", "?")),
            died=self.time() if random.random() < 0.3 else None,
            deceased=random.random() < 0.3,
            death_known=self.instant() if random.random() < 0.5 else None,
        )
        words = dict.fromkeys(gaps, "it was cut short")
        return Record(person, tuple(events), (), words, gap_times=dated)

    def grown(self) -> tuple[Gap, ...]:
        """Return how a gap grew."""
        times = sorted({self.instant() for _ in range(self.random.choice((1, 2)))})
        return tuple(Gap(at, f"it was cut short {at}") for at in times)

    def decision(self) -> Instant:
        """Return an instant at which to decide: mostly when something changes."""
        near = self.random.choice((-1, 0, 0, 1, HOUR, DAY, 30 * DAY, 90 * DAY, 200 * DAY))
        return self.instant() + near

    def instant(self) -> Instant:
        """Return one of the record's own times."""
        at = self.random.choice(self.instants)
        shift = self.random.choice((0, 0, 0, 0, 1, HOUR, DAY))
        return at + shift

    def time(self) -> Time | None:
        """Return a time of some precision."""
        at = self.instant()
        match self.random.choice(self.mess.times):
            case "day":
                return Time(at - at % DAY, at - at % DAY + DAY - 1, "day")
            case "month":
                return time(self.random.choice(("2025-05", "2025-06", "2025-01")))
            case "year":
                return time(self.random.choice(("2024", "2025", "1895")))
            case "long":
                return Time(at, at + DAY)
            case "none":
                return None
        return Time(at, at)

    def event(self) -> Event:
        """Return an event."""
        random, mess = self.random, self.mess
        kind, codes = random.choice(self.family)
        when = self.time()
        start = self.instant() if when is None else when.start
        late = random.choice((0, 0, HOUR, HOUR * random.randint(0, mess.late))) if mess.late else 0
        if mess.late > 24 and random.random() < 0.1:
            late = -late
        source = random.randrange(self.sources)
        fields: dict[str, Any] = {"status": "active", "unit": mm_hg()}
        if kind == "observation":
            answered = codes == (ANSWERED,)
            fields["value"] = random.choice(_ANSWERS if answered else _NUMBERS[:6])
            fields["status"] = "final"
        if not mess.one_source:
            fields["version"] = (random.choice((0, 0, 0, 1)), "")
            fields["status"] = random.choice((fields["status"], "entered-in-error"))
        if kind in {"request", "dispense"}:
            fields["days"] = random.choice((None, 30.0, 14.0, 10.5, 0.0, 2.3, 1.1))
        if not mess.clean:
            self._spoil(kind, fields)
        return Event(kind, codes, when, start + late, f"{kind}/{source}", **fields)

    def copy(self, event: Event) -> Event:
        """Return an event again, sometimes as another version or with something changed."""
        changes: tuple[dict[str, Any], ...] = (
            {},
            {"version": (self.random.choice((0, 1, 2)), "")},
            {"recorded": event.recorded + HOUR},
            {"codes": self.random.choice(self.family)[1]},
            {"value": self.event().value if event.kind == "observation" else None},
            {"status": "entered-in-error"},
            {"days": 3.0},
        )
        several = self.random.sample(changes, self.random.choice((1, 1, 2)))
        return but(event, **{name: value for one in several for name, value in one.items()})

    def _spoil(self, kind: EventKind, fields: dict[str, Any]) -> None:
        random = self.random
        sometimes = random.choice((0.02, 0.3, 0.8))
        if kind == "observation" and random.random() < 0.5:
            fields["value"] = random.choice((*_NUMBERS, random.uniform(0, 300)))
        if random.random() < sometimes:
            fields["status"] = random.choice(_STATUSES)
        if random.random() < sometimes:
            fields["unit"] = random.choice(_UNITS)
        if random.random() < sometimes / 2:
            fields["problem"] = "it cannot be read"
        if kind == "observation":
            if random.random() < sometimes / 2:
                fields["value"] = random.choice(_UNREADABLE)
            if random.random() < sometimes / 5:
                fields["until"] = self.time()
            return
        if random.random() < 0.5:
            fields["until"] = self.time()
        fields["ended"] = random.random() < 0.5
        fields["doubt"] = random.random() < sometimes


def draw_case(seed: int, mess: Mess, records: int) -> tuple[list[Record], list[tuple[int, int]]]:
    """Return records, and decision points in no order: the same ones for the same seed."""
    random = Random(seed)  # noqa: S311  # data, not a secret
    drawers = [Drawer(random, mess) for _ in range(records)]
    found = [drawer.record() for drawer in drawers]
    points = [(row, drawer.decision()) for row, drawer in enumerate(drawers) for _ in range(5)]
    random.shuffle(points)
    return found, points
