"""What is found for all rows at once is what the scalar code finds for each of them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from builders.messy_records import KINDS_OF_MESS, draw_case
from builders.records import (
    AS_OF,
    HYPERTENSION,
    LIFESTYLE,
    LISINOPRIL,
    SBP,
    a_bundle,
    a_document,
    a_person,
    a_prescription,
    a_reading,
    at,
    mm_hg,
    time,
    ucum,
)
from builders.replays import a_patient
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_engine.bundle.model import RuleBundle
from cds_engine.history.event import Event, Gap, Person, Record, Time
from cds_engine.history.reading import USUAL_STATUSES, measure
from cds_engine.history.select import known_by
from cds_engine.replay.at_once.outcome import Outcomes, outcomes_at_once
from cds_engine.replay.at_once.points import WITH_POINT, points_at_once
from cds_engine.replay.at_once.rows import later_all, rows_of
from cds_engine.replay.at_once.taken import taken_at_once
from cds_engine.replay.engine import Asked
from cds_engine.replay.outcome import Measured, OutcomeFinder
from cds_engine.replay.points import EVER, Patient, Point, decision_points, settled
from cds_engine.replay.settings import LAST, ReplaySettings, later
from cds_engine.replay.shard import place_of, replay_shard
from cds_engine.replay.taken import Act, Taken, TakenFinder
from cds_engine.vocabulary.time import DAY, HOUR, Instant, day_start, parse_duration
from cds_engine.vocabulary.value import Span

SEEN_AS = {LIFESTYLE, LISINOPRIL}


def aiming_at(outcome: str = "sbp", at: str | None = "P1M", **variable: Any) -> RuleBundle:
    """Return the example regime with another aim, or another definition of the pressure."""
    pressure = {"from": "observation", "codes": [SBP], "unit": "mm[Hg]", "units": {"kPa": 7.50062}}
    aim = {"outcome": outcome, "better": "lower"} | ({"at": at} if at else {})
    variables = a_document()["variables"] | {"sbp": pressure | variable}
    return a_bundle(aim=aim, variables=variables)


AIMS = {
    "mean": aiming_at(take="mean", within="P30D", plausible=[60, 280]),
    "latest": aiming_at(),
    "latest within a month": aiming_at(within="P1M", digits=0, agree=50),
    "earliest": aiming_at(take="earliest", within="P10D"),
    "lowest, also preliminary": aiming_at(
        take="min", within="P5D", status=["preliminary", "final"]
    ),
    "count": aiming_at(take="count", within="P1M"),
    "before an action": aiming_at(take="latest", before="add_ace"),
    "derived": aiming_at("uncontrolled"),
    "condition": aiming_at("hypertension"),
    "no variable": aiming_at("death"),
    "no horizon": aiming_at(at=None),
}
OBSERVED = a_bundle(
    actions=a_document()["actions"]
    | {"monitor": {"label": "Measure again", "change": False, "seen_as": ["snomed|9"]}}
)
"""A catalogue whose action that changes nothing is seen as well."""
FOR_ALL = a_bundle(population="age >= 18", aim={"outcome": "sbp", "at": "P1M", "better": "lower"})

_DURATIONS = st.sampled_from([parse_duration(text) for text in ("P5D", "P10D", "P1M", "P30D")])
_INSTANTS = st.builds(
    lambda days, shift: AS_OF + days * 5 * DAY + shift,
    st.integers(-4, 8),
    st.sampled_from([0, 0, 0, 1, -1, HOUR, DAY]),
)
"""Few instants, so that they fall upon each other and upon the ends of windows."""

_SHAPES = st.sampled_from(
    [
        ("observation", (SBP,)), ("observation", (SBP,)), ("observation", (SBP, "loinc|1")),
        ("observation", ("loinc|1",)), ("request", (LISINOPRIL,)), ("dispense", (LISINOPRIL,)),
        ("service", (LIFESTYLE,)), ("procedure", (LIFESTYLE, LISINOPRIL)),
        ("procedure", ("snomed|9",)),
        ("statement", (LISINOPRIL,)), ("condition", (HYPERTENSION,)),
    ]
)  # fmt: skip
_VALUES = st.sampled_from(
    [120.0, 121.5, 122.25, 150.005, 150.0, 400.0, None, True, "snomed|1", Span(high=90.0)]
)
_STATUSES = ["final", "unknown", "unknown", "preliminary", "entered-in-error", "active"]
_ENCOUNTERS = ["Encounter/1", "Encounter/2", "Encounter/3"]
_GAPS = st.sampled_from(
    [(), (), (), ("kind:observation",), ("kind:request", f"code:{LISINOPRIL}"), ("service:x",)]
)


@st.composite
def times(draw: st.DrawFn) -> Time | None:
    when = draw(_INSTANTS)
    match draw(st.sampled_from(["instant"] * 8 + ["day", "day", "month", "long", "none"])):
        case "day":
            return Time(when - when % DAY, when - when % DAY + DAY - 1, "day")
        case "month":
            return time("2025-06")
        case "long":
            return Time(when, when + 3 * DAY)
        case "none":
            return None
    return Time(when, when)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Return an event: three in four are plain, the others have one trouble or more."""
    kind, codes = draw(_SHAPES)
    plain = draw(st.sampled_from([True, True, True, False]))
    moment = draw(_INSTANTS)
    when = Time(moment, moment) if plain else draw(times())
    fields: dict[str, Any] = {"status": "final", "unit": mm_hg(), "value": None}
    if kind == "observation":
        fields["value"] = (
            draw(_VALUES) if not plain else draw(st.sampled_from([120.0, 133.25, 280.0]))
        )
    if not plain:
        fields["version"] = (draw(st.sampled_from([0, 0, 1])), "")
        fields["status"] = draw(st.sampled_from(_STATUSES))
        fields["unit"] = draw(st.sampled_from([mm_hg(), mm_hg(), ucum("kPa"), ucum("kg"), None]))
        fields["problem"] = draw(st.sampled_from(["", "", "it cannot be read"]))
    return Event(
        kind=kind,  # type: ignore[arg-type]
        codes=codes,
        time=when,
        recorded=(moment if when is None else when.start) + draw(st.sampled_from([0, 40 * DAY])),
        source=f"{kind}/{draw(st.integers(0, 9))}",
        **fields,
    )


@st.composite
def visits(draw: st.DrawFn) -> Event:
    number, start = draw(st.sampled_from(_ENCOUNTERS)), draw(_INSTANTS)
    return Event(
        kind="encounter", codes=("act|AMB",), time=Time(start, start), recorded=start,
        source=number, status="finished", until=Time(start + HOUR, start + HOUR),
    )  # fmt: skip


@st.composite
def patients(draw: st.DrawFn, name: str = "p") -> Patient:
    found = draw(st.lists(events(), max_size=9)) + draw(st.lists(visits(), max_size=4))
    # copies, and sources that tell several things
    found += draw(st.lists(st.sampled_from(found), max_size=2)) if found else []
    died = draw(st.none() | times())
    gaps = dict.fromkeys(draw(_GAPS), "it was cut")
    since = {gap: (Gap(draw(_INSTANTS), "it was cut"),) for gap in gaps if draw(st.booleans())}
    written = {
        (event.source, event.version): draw(st.sampled_from(_ENCOUNTERS))
        for event in found
        if draw(st.sampled_from([False, False, True]))
    }
    dead = draw(st.sampled_from([False] * 5 + [True]))
    person = Person(name, a_person().born, "female", died, dead, draw(st.none() | _INSTANTS))
    return Patient(Record(person, tuple(found), (), gaps, gap_times=since), written)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Patient], list[Asked]]:
    """Return some patients, with decision points in order that may withhold what is on record."""
    some = [draw(patients(f"p{n}")) for n in range(draw(st.integers(1, 3)))]
    asked = []
    for place, patient in enumerate(some):
        sources = sorted({event.source for event in patient.record.events}) or ["none"]
        held = st.just(frozenset[str]()) | st.frozensets(st.sampled_from(sources), max_size=2)
        named, began = st.sampled_from(["", "", *_ENCOUNTERS]), st.none() | _INSTANTS
        point = st.builds(Point, named, _INSTANTS, held, began)
        found = sorted(draw(st.lists(point, max_size=5)), key=lambda one: one.as_of)
        asked += [Asked(place, one) for one in found]
    return some, asked


SETTINGS = st.builds(
    ReplaySettings,
    window=_DURATIONS,
    horizon=st.none() | _DURATIONS,
    tolerance=_DURATIONS,
    data_until=st.none() | _INSTANTS,
    from_start=st.booleans(),
    end=st.booleans(),
    recheck=st.just(0.0),
)
Case = tuple[list[Patient], list[Asked]]


@given(st.sampled_from(sorted(AIMS)), cases(), SETTINGS, st.data())
@settings(max_examples=250)
def test_outcomes(aim: str, case: Case, told: ReplaySettings, data: st.DataObject) -> None:
    some, asked = case
    finder = OutcomeFinder(AIMS[aim], told)
    before = [data.draw(st.sampled_from([0, 0, DAY, 20 * DAY])) for _ in asked]
    starts = [point.as_of - back for (_, point), back in zip(asked, before, strict=True)]
    found = outcomes(finder, some, asked, starts)
    assert [Measured(*one) for one in zip(found.values, found.states, found.at, strict=True)] == [
        referee_outcome(finder, some, one, start) for one, start in zip(asked, starts, strict=True)
    ]
    assert all(type(value) in (float, bool, type(None)) for value in found.values)


def outcomes(
    finder: OutcomeFinder, some: list[Patient], asked: list[Asked], starts: list[Instant]
) -> Outcomes:
    held = [settled(patient.record) for patient in some]
    return outcomes_at_once(finder, rows_of(some, asked), held, np.array(starts, dtype=np.int64))


def referee_outcome(
    finder: OutcomeFinder, some: Sequence[Patient], one: Asked, start: Instant
) -> Measured:
    record = some[one.patient].record
    readings = finder.readings(record, known_by(record.events, EVER)[0])
    return finder.find(record, readings, one.point.as_of, start)


@given(cases(), SETTINGS, st.booleans(), st.data())
@settings(max_examples=200)
def test_actions_taken(
    case: Case, told: ReplaySettings, observed: bool, data: st.DataObject
) -> None:
    some, asked = case
    finder = TakenFinder(OBSERVED if observed else AIMS["mean"], told)
    stages = [data.draw(st.sampled_from([None, "baseline", "three_months"])) for _ in asked]
    held = [settled(patient.record) for patient in some]
    answers, which = taken_at_once(finder, rows_of(some, asked), held, stages)
    assert [answers[place] for place in which] == [
        finder.find(some[place], point, stage, finder.acts(some[place], held[place]))
        for (place, point), stage in zip(asked, stages, strict=True)
    ]


@given(st.lists(patients(), max_size=3), st.booleans(), SETTINGS, _INSTANTS, _DURATIONS)
def test_decision_points(
    some: list[Patient], scheduled: bool, told: ReplaySettings, first: Instant, every: Any
) -> None:
    if scheduled:
        told = ReplaySettings(
            "schedule", first=first, last=first + 40 * DAY, every=every, data_until=told.data_until
        )
    held = [settled(patient.record) for patient in some]
    asked, counts = points_at_once(some, held, told, SEEN_AS)
    each = [decision_points(patient, told, SEEN_AS) for patient in some]
    assert asked == [Asked(n, point) for n, one in enumerate(each) for point in one.points]
    expected = sum((one.counts for one in each), Counter({WITH_POINT: 0}))
    expected[WITH_POINT] = sum(bool(one.points) for one in each)
    assert +counts == +expected


@given(st.lists(st.integers(0, 9), max_size=3, unique=True), st.data(), SETTINGS)
@settings(max_examples=100)
def test_a_whole_replay(names: list[int], data: st.DataObject, told: ReplaySettings) -> None:
    some = [data.draw(patients(f"p{name}")) for name in names]
    some.sort(key=lambda patient: place_of(patient.key))
    shard = replay_shard(some, [FOR_ALL], told)
    columns = {name: list(column.values) for name, column in shard.columns.items()}
    taken, outcome = TakenFinder(FOR_ALL, told), OutcomeFinder(FOR_ALL, told)
    starts: dict[int, Instant] = {}
    asked = [
        Asked(n, point)
        for n, patient in enumerate(some)
        for point in decision_points(patient, told, SEEN_AS).points
    ]
    assert shard.rows == len(asked)
    for row, one in enumerate(asked):
        stage, as_of = columns["decision.stage"][row], one.point.as_of
        if stage is not None and told.from_start:
            starts.setdefault(one.patient, as_of)
        patient = some[one.patient]
        done = taken.find(patient, one.point, stage, taken.acts(patient, settled(patient.record)))
        assert done == Taken(*(columns[f"taken.{name}"][row] for name in Taken.__slots__))
        start = min(starts.get(one.patient, as_of), as_of)
        measured = referee_outcome(outcome, some, one, start)
        assert measured == Measured(*(columns[f"outcome.{n}"][row] for n in Measured.__slots__))
    assert sum(shard.counts[f"action {s}"] for s in set(columns["taken.state"])) == len(asked)
    assert sum(shard.counts[f"outcome {s}"] for s in set(columns["outcome.state"])) == len(asked)


@pytest.mark.parametrize("mess", list(KINDS_OF_MESS))
@pytest.mark.parametrize("seed", range(3))
def test_messy_records(mess: str, seed: int) -> None:
    records, drawn = draw_case(seed, KINDS_OF_MESS[mess], 30)
    some = [Patient(record) for record in records]
    asked = [Asked(place, Point("", as_of)) for place, as_of in sorted(drawn)]
    told = ReplaySettings(data_until=AS_OF + 60 * DAY)
    for record in records:
        assert settled(record) == known_by(record.events, EVER)[0]
    for bundle in (AIMS["mean"], AIMS["latest within a month"]):
        finder = OutcomeFinder(bundle, told)
        starts = [point.as_of for _, point in asked]
        found = outcomes(finder, some, asked, starts)
        assert list(map(repr, zip(found.values, found.states, found.at, strict=True))) == [
            repr((one.value, one.state, one.at))
            for asking, start in zip(asked, starts, strict=True)
            for one in [referee_outcome(finder, some, asking, start)]
        ]


@given(st.lists(events(), max_size=12))
def test_readings_that_count_are_those_that_a_history_would_measure(found: list[Event]) -> None:
    variable = AIMS["mean"].variables["sbp"]
    assert OutcomeFinder(AIMS["mean"], ReplaySettings()).counting(variable, found) == [
        event
        for event in found
        if event.kind == "observation"
        and SBP in event.codes
        and event.status in USUAL_STATUSES
        and measure(event, variable) is not None
    ]


@given(
    st.integers(at("1900-01-01T00:00"), at("2100-01-01T00:00")) | st.just(LAST - 40 * DAY),
    st.integers(0, 40),
    _DURATIONS,
)
def test_instants_later(when: Instant, days: int, by: Any) -> None:
    several = np.array([when, when + days * DAY], dtype=np.int64)
    assert later_all(several, by).tolist() == [later(int(one), by) for one in several]


HORIZON = AS_OF + 30 * DAY
LOW_DAY = day_start(HORIZON - 5 * DAY)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"readings": [(HORIZON - DAY, 130.0), (HORIZON + DAY, 140.0)]},
            Measured(130.0, "known", HORIZON - DAY), id="of two equally near the earlier one",
        ),
        pytest.param(
            {"readings": [(HORIZON - 5 * DAY, 130.0)]},
            Measured(130.0, "known", HORIZON - 5 * DAY), id="at the start of the tolerance",
        ),
        pytest.param(
            {"readings": [(LOW_DAY, 130.0)], "day": True},
            Measured(130.0, "known", LOW_DAY), id="on the day of its start",
        ),
        pytest.param(
            {"readings": [(LOW_DAY - DAY, 130.0)], "day": True}, Measured(None, "absent"),
            id="on the day before",
        ),
        pytest.param(
            {"readings": [(LOW_DAY, 130.0)]}, Measured(None, "absent"),
            id="at an instant of that day before its start",
        ),
        pytest.param(
            {"readings": [(HORIZON + 5 * DAY, 130.0)]},
            Measured(130.0, "known", HORIZON + 5 * DAY), id="at its end",
        ),
        pytest.param(
            {"readings": [(HORIZON + 5 * DAY + 1, 130.0)]}, Measured(None, "absent"), id="after it",
        ),
        pytest.param(
            {"died": HORIZON + 5 * DAY}, Measured(None, "deceased"), id="died as it ended",
        ),
        pytest.param({"died": HORIZON + 5 * DAY + 1}, Measured(None, "absent"), id="died after it"),
        pytest.param(
            {"until": HORIZON + 5 * DAY - 1}, Measured(None, "pending"), id="records end before it",
        ),
        pytest.param(
            {"until": HORIZON + 5 * DAY}, Measured(None, "absent"), id="records end with it",
        ),
    ],
)  # fmt: skip
def test_outcomes_at_the_ends_of_intervals(given: dict[str, Any], expected: Measured) -> None:
    readings = [
        Event("observation", (SBP,),
              Time(when, when + DAY - 1, "day") if "day" in given else Time(when, when), when,
              f"Observation/{when}", status="final", value=value, unit=mm_hg())
        for when, value in given.get("readings", ())
    ]  # fmt: skip
    died = given.get("died")
    person = Person("p", died=None if died is None else Time(died, died))
    told = ReplaySettings(
        horizon=parse_duration("P30D"), tolerance=parse_duration("P5D"),
        data_until=given.get("until"),
    )  # fmt: skip
    finder = OutcomeFinder(AIMS["latest"], told)
    some, one = [Patient(Record(person, tuple(readings)))], Asked(0, Point("", AS_OF))
    found = outcomes(finder, some, [one], [AS_OF])
    assert Measured(found.values[0], found.states[0], found.at[0]) == expected
    assert referee_outcome(finder, some, one, AS_OF) == expected


@pytest.mark.parametrize(
    ("given", "state"),
    [({"problem": "it cannot be read"}, "unresolved"), ({"unit": ucum("kg")}, "unit")],
)
def test_a_reading_that_cannot_be_used_is_no_number(given: dict[str, Any], state: str) -> None:
    reading = a_reading(sbp=130, at="2025-07-15T09:00", **given)
    finder = OutcomeFinder(AIMS["mean"], ReplaySettings())
    found = outcomes(finder, [a_patient(reading)], [Asked(0, Point("", AS_OF))], [AS_OF])
    assert (found.values, found.states, found.at) == ([None], [state], [None])


def test_rows_with_one_reading_or_none_need_no_closer_look(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = [a_reading(sbp=130, at=f"2025-{month:02}-15T09:00") for month in (6, 7, 8, 9)]
    asked = [Asked(0, Point("", AS_OF + n * 20 * DAY)) for n in range(10)]
    starts = [point.as_of for _, point in asked]
    told = ReplaySettings(tolerance=parse_duration("P10D"))
    monkeypatch.setattr(OutcomeFinder, "find", lambda *_: pytest.fail("a plain row was left over"))
    for aim in ("mean", "latest"):
        found = outcomes(OutcomeFinder(AIMS[aim], told), [a_patient(*readings)], asked, starts)
        assert set(found.states) == {"known", "absent"}


END = AS_OF + 10 * DAY
MONITOR = Taken("unchanged", "monitor")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, MONITOR, id="nothing"),
        pytest.param({"until": END}, MONITOR, id="records end with the window"),
        pytest.param({"until": END - 1}, Taken("pending"), id="records end before it"),
        pytest.param({"acts": [(END, "active")]}, "seen", id="at the end of the window"),
        pytest.param({"acts": [(END + 1, "active")]}, MONITOR, id="after it"),
        pytest.param({"acts": [(AS_OF, "active")]}, MONITOR, id="known at the decision"),
        pytest.param({"acts": [(END, "unknown")]}, "unclear", id="in status unknown"),
        pytest.param({"acts": [(END - 1, "unknown"), (END, "active")]}, "seen", id="and not"),
    ],
)
def test_actions_at_the_ends_of_the_window(given: dict[str, Any], expected: Taken | str) -> None:
    acts = [
        Event("request", (LISINOPRIL,), Time(when, when), when, f"Request/{when}", status=status)
        for when, status in given.get("acts", ())
    ]
    told = ReplaySettings(window=parse_duration("P10D"), data_until=given.get("until"))
    finder, patient = TakenFinder(AIMS["mean"], told), a_patient(*acts)
    one = Asked(0, Point("", AS_OF))
    answers, which = taken_at_once(finder, rows_of([patient], [one]), [acts], ["three_months"])
    found = answers[which[0]]
    assert expected in (found, found.state)
    assert found == finder.find(patient, one.point, "three_months", finder.acts(patient, acts))


@pytest.mark.parametrize(
    ("order", "gaps", "expected"),
    [
        pytest.param((LISINOPRIL, "2025-06-25"), (), "seen", id="the window ends on its day"),
        pytest.param((LISINOPRIL, "2025-06-26"), (), "unchanged", id="and on the day before"),
        pytest.param((LISINOPRIL, "2025-06-20"), ("*",), "seen", id="a change beside a gap"),
        pytest.param(("snomed|9", "2025-06-20"), (), "seen", id="what changes nothing"),
        pytest.param(("snomed|9", "2025-06-20"), ("*",), "incomplete", id="and that beside a gap"),
    ],
)
def test_actions_of_a_day_and_beside_a_gap(
    order: tuple[str, str], gaps: tuple[str, ...], expected: str
) -> None:
    code, day = order
    act = a_prescription(code, day, recorded=f"{day}T12:00")
    record = Record(a_person(), (act,), (), dict.fromkeys(gaps, "it was cut"))
    patient, one = Patient(record), Asked(0, Point("", AS_OF))
    finder = TakenFinder(OBSERVED, ReplaySettings(window=parse_duration("P10D")))
    answers, which = taken_at_once(finder, rows_of([patient], [one]), [[act]], ["three_months"])
    found = answers[which[0]]
    assert found.state == expected
    assert found == finder.find(patient, one.point, "three_months", finder.acts(patient, [act]))


class CountingFinder(TakenFinder):
    """Counts how often it is asked about a single row."""

    asked = 0

    def find(self, patient: Patient, point: Point, stage: str | None, acts: Sequence[Act]) -> Taken:
        self.asked += 1
        return super().find(patient, point, stage, acts)


def test_rows_with_one_act_or_none_need_no_closer_look() -> None:
    orders = [a_prescription(at=f"2025-{month:02}-15T09:00") for month in (6, 7, 8, 9)]
    patient = a_patient(*orders)
    asked = [Asked(0, Point("", AS_OF + n * 20 * DAY)) for n in range(10)]
    finder = CountingFinder(AIMS["mean"], ReplaySettings(window=parse_duration("P10D")))
    stages = ["three_months"] * len(asked)
    answers, which = taken_at_once(finder, rows_of([patient], asked), [list(orders)], stages)
    assert {answers[place].state for place in which} == {"seen", "unchanged"}
    assert finder.asked == 1
