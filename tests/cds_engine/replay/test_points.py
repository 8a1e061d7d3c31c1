"""Decision points are where the record says the patient was seen, with what was known there."""

from collections import Counter

import pytest
from builders.records import LISINOPRIL, a_prescription, a_reading, advice, an_event, at, but
from builders.replays import EXAMPLE, a_patient

from cds_engine.history.event import Event
from cds_engine.replay.points import Point, decision_points, record_at, schedule
from cds_engine.replay.settings import (
    LAST,
    ReplayError,
    ReplaySettings,
    encounter_code,
    later,
)
from cds_engine.vocabulary.time import HOUR, iso, parse_duration

SEEN_AS = {code for action in EXAMPLE.actions.values() for code in action.seen_as}
VISIT = "Encounter/1"
START, END = "2025-03-01T09:00", "2025-03-01T09:30"


def a_visit(
    start: str | None = START, end: str | None = END, source: str = VISIT, code: str = "act|AMB"
) -> Event:
    return an_event(
        "encounter", (code, "snomed|185349003"), start, source=source, status="finished", until=end,
        **({} if start else {"recorded": START}),
    )  # fmt: skip


def points(*events: Event, **given: object) -> list[Point]:
    settings = ReplaySettings(**given)  # type: ignore[arg-type]
    return list(decision_points(a_patient(*events), settings, SEEN_AS).points)


@pytest.mark.parametrize(
    ("given", "as_of"),
    [
        pytest.param({}, at(START), id="the start of the encounter unless told otherwise"),
        pytest.param({"offset": parse_duration("PT1H")}, at(START) + HOUR, id="an offset after"),
        pytest.param({"end": True}, at(END), id="its end"),
    ],
)
def test_the_instant_of_a_decision_is(given: dict[str, object], as_of: int) -> None:
    assert [point.as_of for point in points(a_visit(), **given)] == [as_of]


def test_encounters_of_other_classes_and_types_are_counted_and_passed_over() -> None:
    patient = a_patient(a_visit(), a_visit(source="Encounter/2", code="act|IMP"))
    found = decision_points(patient, ReplaySettings(classes=("act|AMB",)), SEEN_AS)
    assert [point.encounter for point in found.points] == [VISIT]
    assert found.counts["encounters of another class or type"] == 1
    settings = ReplaySettings(classes=("act|AMB",), types=("snomed|1",))
    assert not decision_points(patient, settings, SEEN_AS).points


def test_an_encounter_without_an_end_is_counted_where_the_end_is_asked_for() -> None:
    patient = a_patient(a_visit(end=None))
    found = decision_points(patient, ReplaySettings(end=True), SEEN_AS)
    assert (found.points, found.counts["encounters without an end"]) == ((), 1)
    assert len(decision_points(patient, ReplaySettings(), SEEN_AS).points) == 1


@pytest.mark.parametrize("start", [None, "2025-03", "2025"])
def test_an_encounter_that_is_not_dated_to_the_day_is_no_point_but_counted(
    start: str | None,
) -> None:
    found = decision_points(a_patient(a_visit(start, None)), ReplaySettings(), SEEN_AS)
    assert (found.points, found.counts["encounters without a day of their start"]) == ((), 1)


@pytest.mark.parametrize(
    ("until", "reason"),
    [
        pytest.param("2024-03-01T09:30", "encounters that end before they start", id="before"),
        pytest.param("2025-02-28", "encounters that end before they start", id="the day before"),
        pytest.param("2025", "encounters without a day of their end", id="a year"),
        pytest.param("2025-03", "encounters without a day of their end", id="a month"),
        pytest.param("2025-03-01", "", id="its own day"),
    ],
)
def test_an_end_that_cannot_be_told_or_true_makes_no_point_where_the_end_is_asked_for(
    until: str, reason: str
) -> None:
    patient = a_patient(a_visit(end=until))
    found = decision_points(patient, ReplaySettings(end=True), SEEN_AS)
    assert +found.counts == Counter({"encounters": 1, reason or "points": 1})
    assert len(decision_points(patient, ReplaySettings(), SEEN_AS).points) == 1


@pytest.mark.parametrize(
    ("visit", "given", "is_point"),
    [
        pytest.param((START, END), {"data_until": at(START)}, True, id="when it starts"),
        pytest.param((START, END), {"data_until": at(START) - 1}, False, id="just before"),
        pytest.param((START, END), {"data_until": at(END) - 1, "end": True}, False, id="its end"),
        pytest.param(("2025-03-01", "2025-03-01"), {"data_until": at(START), "end": True}, True,
                     id="on the day of its end"),
        pytest.param((START, END), {"data_until": at(END), "offset": parse_duration("PT1H")}, False,
                     id="between it and its decision"),
    ],
)  # fmt: skip
def test_an_encounter_after_the_records_end_is_no_point_but_counted(
    visit: tuple[str, str], given: dict[str, object], *, is_point: bool
) -> None:
    settings = ReplaySettings(**given)  # type: ignore[arg-type]
    found = decision_points(a_patient(a_visit(*visit)), settings, SEEN_AS)
    assert len(found.points) == is_point
    assert found.counts["encounters after the end of the records"] == 1 - is_point


def test_a_schedule_ends_with_the_records() -> None:
    settings = ReplaySettings(
        "schedule", first=at("2025-01-01T00:00"), last=at("2025-06-01T00:00"),
        every=parse_duration("P1M"), data_until=at("2025-04-01T00:00"),
    )  # fmt: skip
    patient = a_patient(a_reading(sbp=150, at="2025-02-10T12:00"))
    found = decision_points(patient, settings, SEEN_AS)
    assert [iso(point.as_of)[:10] for point in found.points] == ["2025-03-01", "2025-04-01"]
    assert found.counts["instants of the schedule after the end of the records"] == 2


def test_an_encounter_that_was_taken_back_is_none() -> None:
    assert not points(a_visit(), but(a_visit(), version=(2, ""), status="cancelled"))


def test_what_the_encounter_ordered_is_withheld_from_its_own_history_and_from_no_other() -> None:
    mine = a_prescription(at="2025-03-01T09:10", source="MedicationRequest/mine")
    earlier = a_prescription(at="2025-03-01T08:00", source="MedicationRequest/earlier")
    told = a_reading(sbp=150, at="2025-03-01T09:05")
    patient = a_patient(
        a_visit(), a_visit("2025-06-01T09:00", "2025-06-01T09:30", "Encounter/2"), mine, earlier,
        told, encounters={mine.source: VISIT, earlier.source: "Encounter/0"},
    )  # fmt: skip
    first, second = decision_points(patient, ReplaySettings(end=True), SEEN_AS).points
    assert first.withheld == {mine.source}
    assert second.withheld == frozenset()
    assert record_at(patient.record, first).events == tuple(
        event for event in patient.record.events if event is not mine
    )
    assert record_at(patient.record, second) is patient.record


@pytest.mark.parametrize(
    ("when", "withheld"),
    [
        pytest.param("2025-03-01T08:59", False, id="before the encounter"),
        pytest.param("2025-03-01T09:00", True, id="at its start"),
        pytest.param("2025-03-01T09:30", True, id="at its end"),
        pytest.param("2025-03-01", True, id="on its day, with no clock time"),
        pytest.param("2025-02-28", False, id="on the day before"),
    ],
)
def test_an_order_that_names_no_encounter_is_of_this_one_if_it_may_have_been_written_in_it(
    when: str, *, withheld: bool
) -> None:
    order = advice(when)
    [point] = points(a_visit(), order, end=True)
    assert (order.source in point.withheld) is withheld


def test_what_a_patient_says_to_be_taking_is_history() -> None:
    said = an_event("statement", (LISINOPRIL,), "2025-03-01T09:05", status="active")
    done = an_event("procedure", ("snomed|443402002",), "2025-03-01T09:05", status="completed")
    [point] = points(a_visit(), said, done, end=True)
    assert point.withheld == {done.source}


def test_a_schedule_begins_with_the_record_and_goes_by_the_calendar() -> None:
    found = points(
        a_reading(sbp=150, at="2025-01-31T12:00"), first=at("2024-12-31T00:00"), points="schedule",
        last=at("2025-04-30T00:00"), every=parse_duration("P1M"),
    )  # fmt: skip
    assert [iso(point.as_of)[:10] for point in found] == ["2025-02-28", "2025-03-31", "2025-04-30"]
    assert {(point.encounter, point.withheld) for point in found} == {("", frozenset())}


def test_each_step_of_a_schedule_is_counted_from_its_first_instant() -> None:
    settings = ReplaySettings(
        "schedule", first=at("2024-01-31T00:00"), last=at("2024-07-31T00:00"),
        every=parse_duration("P1M"),
    )  # fmt: skip
    assert [iso(one)[5:10] for one in schedule(settings)] == [
        "01-31", "02-29", "03-31", "04-30", "05-31", "06-30", "07-31"
    ]  # fmt: skip


def test_nothing_is_later_than_the_calendars_last_instant() -> None:
    far = at("9999-12-31T00:00")
    assert later(far, parse_duration("P9M")) == LAST
    assert later(far, parse_duration("P30D")) == LAST
    assert later(at("9999-03-31T00:00"), parse_duration("P9M")) == far
    settings = ReplaySettings("schedule", first=far, last=LAST, every=parse_duration("P1M"))
    assert schedule(settings) == [far, LAST]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"points": "schedule", "first": 0, "last": 1}, "needs its first instant, its last and"),
        (
            {"points": "schedule", "first": 0, "last": 1, "every": parse_duration("P0D")},
            "is no time at all; give one, such as P3M",
        ),
        ({"recheck": 1.5}, "the share to check again is 1.5; give one from 0 to 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ReplayError, match=words):
        ReplaySettings(**given)  # type: ignore[arg-type]


def test_a_bare_class_is_of_the_usual_system() -> None:
    assert encounter_code("IMP", "act") == "act|IMP"
    assert encounter_code("http://local|7", "act") == "http://local|7"
