"""Problem lists, allergies, prescriptions, supplies and the course, by hand-made examples."""

from typing import Any

import pytest
from builders.records import (
    ACTIONS,
    AS_OF,
    HYPERTENSION,
    LIFESTYLE,
    LISINOPRIL,
    a_condition,
    a_dispense,
    a_prescription,
    a_procedure,
    a_record,
    a_variable,
    advice,
    an_action,
    an_event,
    find,
    reason_of,
    value_of,
)

from cds_engine.history.event import UNCODED, Event
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.value import Known, Missing
from cds_engine.vocabulary.value import Span
from cds_engine.vocabulary.variable import Variable

NO = a_variable("condition", absent=False)
UNKNOWN = a_variable("condition", absent="unknown")
ALLERGY = a_variable("allergy", codes=["rxnorm|29046"], absent=False)
EVER = a_variable("condition", absent=False, take="ever")
RESOLVED: dict[str, Any] = {"ended": True, "status": "resolved"}


class TestConditions:
    """Present, or not on the list, or recorded in a way that leaves it open."""

    @pytest.mark.parametrize(
        "event",
        [
            a_condition(),
            pytest.param(a_condition(since=None), id="without an onset"),
            pytest.param(a_condition(since="2025-06-15"), id="since today"),
            pytest.param(
                a_condition(until="2025-06-16", **RESOLVED), id="known by now to end tomorrow"
            ),
            pytest.param(a_condition(since="2020"), id="since some time in a year"),
        ],
    )
    def test_one_on_the_list_is_present(self, event: Event) -> None:
        assert value_of(NO, event) is True

    @pytest.mark.parametrize("variable", [NO, UNKNOWN, EVER])
    def test_an_entry_in_words_alone_may_be_what_is_looked_for(self, variable: Variable) -> None:
        words, more = (an_event("condition", (), None, source=f"Condition/{n}") for n in (1, 2))
        found = find(variable, words)
        assert isinstance(found, Missing)
        assert found.reason == "unresolved"
        assert found.detail == (
            "1 entry of the problem list has no code that can be read and may be this; "
            "give it a code"
        )
        assert [reading.source for reading in found.readings] == ["Condition/1"]
        both = find(variable, words, more, words)
        assert isinstance(both, Missing)
        assert both.detail.startswith("2 entries of the problem list have no code")

    def test_an_entry_in_words_takes_nothing_from_one_with_a_code(self) -> None:
        words = an_event("condition", (), None, source="Condition/9")
        for variable in (NO, UNKNOWN, EVER):
            assert value_of(variable, words, a_condition()) is True

    @pytest.mark.parametrize(
        "words",
        [
            pytest.param(an_event("condition", (), None, **RESOLVED), id="it is over"),
            pytest.param(an_event("condition", (), None, status="refuted"), id="it was taken back"),
            pytest.param(an_event("allergy", (), None), id="it stands on the other list"),
            pytest.param(an_event("condition", (), "2025-06-16"), id="not recorded yet"),
        ],
    )
    def test_an_entry_in_words_that_does_not_count_leaves_nothing_open(self, words: Event) -> None:
        assert value_of(NO, words) is False

    def test_a_resolved_entry_in_words_may_have_been_it_once(self) -> None:
        assert reason_of(EVER, an_event("condition", (), None, **RESOLVED)) == "unresolved"

    def test_an_allergy_in_words_leaves_every_allergy_open(self) -> None:
        found = find(ALLERGY, an_event("allergy", (), None, source="AllergyIntolerance/1"))
        assert isinstance(found, Missing)
        assert "1 entry of the allergy list has no code" in found.detail
        assert value_of(ALLERGY) is False

    def test_an_entry_in_words_is_listed_among_what_was_set_aside(self) -> None:
        words = an_event("condition", (), None, source="Condition/9")
        later = an_event("condition", (), "2025-06-16", source="Condition/10")
        history = HistoryTaker({"x": NO}, {}).take(a_record(words, later), AS_OF)
        assert history.set_aside == (("Condition/9", UNCODED),)

    def test_none_on_the_list_means_what_the_variable_says(self) -> None:
        assert find(NO) == Known(value=False, note="not on the list")
        words = "not on the list, and its absence does not mean no"
        assert find(UNKNOWN) == Missing("absent", words)
        assert find(a_variable("condition")) == Missing("absent", words)

    @pytest.mark.parametrize(
        "event",
        [
            pytest.param(a_condition(**RESOLVED), id="resolved without a date"),
            pytest.param(a_condition(until="2024-01-01", **RESOLVED), id="resolved last year"),
            pytest.param(a_condition(until="2025-06-14", **RESOLVED), id="resolved yesterday"),
            pytest.param(
                a_condition(until="2024-01-01", doubt=True, **RESOLVED), id="unconfirmed and over"
            ),
        ],
    )
    def test_one_that_is_over_counts_only_as_ever(self, event: Event) -> None:
        assert value_of(NO, event) is False
        assert reason_of(UNKNOWN, event) == "absent"
        if not event.doubt:
            assert value_of(EVER, event) is True

    @pytest.mark.parametrize(
        "event",
        [
            pytest.param(a_condition(doubt=True), id="unconfirmed"),
            pytest.param(a_condition(until="2025-06-15", **RESOLVED), id="resolved today"),
            pytest.param(a_condition(until="2025-06", **RESOLVED), id="resolved this month"),
            pytest.param(a_condition(until="2024-01-01"), id="active past its own end"),
            pytest.param(
                a_condition(since="2025-03-01", until="2024-12-01", **RESOLVED),
                id="over before it began",
            ),
            pytest.param(
                a_condition(since="2025-06-16", recorded="2025-06-01T09:00"), id="onset tomorrow"
            ),
            pytest.param(
                a_condition(since="2026", recorded="2025-06-01T09:00"), id="onset next year"
            ),
        ],
    )
    def test_rl_14_one_in_doubt_is_neither_yes_nor_no(self, event: Event) -> None:
        for variable in (NO, UNKNOWN):
            found = find(variable, event)
            assert isinstance(found, Missing)
            assert found.reason == "unresolved"
            assert found.detail == (
                "it is recorded as unconfirmed, or with dates that leave open whether it holds"
            )
            assert [reading.source for reading in found.readings] == [event.source]
        assert value_of(NO, event, a_condition()) is True

    def test_ever_takes_the_same_doubts(self) -> None:
        assert value_of(EVER) is False
        assert reason_of(EVER, a_condition(doubt=True)) == "unresolved"
        future = a_condition(since="2026", recorded="2025-06-01T09:00")
        assert reason_of(EVER, future) == "unresolved"
        backwards = a_condition(since="2025-03-01", until="2024-12-01", **RESOLVED)
        assert value_of(EVER, backwards) is True

    @pytest.mark.parametrize("status", ["refuted", "entered-in-error", "cancelled"])
    def test_rl_14_one_that_was_taken_back_was_never_there(self, status: str) -> None:
        assert value_of(NO, a_condition(status=status)) is False
        assert value_of(EVER, a_condition(status=status)) is False

    @pytest.mark.parametrize(
        ("events", "unit", "value"),
        [
            ([a_condition(since="2020-03-01")], "a", 5),
            ([a_condition(since="2020-07-01")], "a", 4),
            ([a_condition(since="2020")], "a", Span(4, 5)),
            ([a_condition(since="2020-03-01"), a_condition(since="2015-03-01")], "a", 10),
            ([a_condition(since="2025-06-01")], "wk", 2),
            ([a_condition(since=None, recorded="2023-01-01T00:00")], "a", Span(low=2)),
            (
                [
                    a_condition(since=None, recorded="2023-01-01T00:00"),
                    a_condition(since="2020-01-01"),
                ],
                "a",
                Span(low=5),
            ),
        ],
    )
    def test_time_since_onset(self, events: list[Event], unit: str, value: float | Span) -> None:
        variable = a_variable("condition", take="elapsed", unit=unit)
        assert value_of(variable, *events) == value

    def test_no_onset_without_a_condition(self) -> None:
        variable = a_variable("condition", take="elapsed", unit="a")
        assert find(variable) == Missing("absent", "not on the list, so no time has elapsed since")
        assert reason_of(variable, a_condition(until="2024-01-01", **RESOLVED)) == "absent"

    def test_another_code_is_another_condition(self) -> None:
        assert value_of(NO, a_condition("snomed|1")) is False


def test_an_allergy_is_read_like_a_condition() -> None:
    variable = a_variable("allergy", codes=["snomed|2"], absent=False)
    allergy = an_event("allergy", ("snomed|2",), "2020-01-01", status="active")
    doubtful = an_event("allergy", ("snomed|2",), "2020-01-01", status="active", doubt=True)
    assert value_of(variable, allergy) is True
    assert value_of(variable) is False
    assert reason_of(variable, doubtful) == "unresolved"
    assert value_of(variable, a_condition("snomed|2")) is False


class TestPrescriptions:
    """Whether a medication is in force, ever was, how often and since when."""

    ACTIVE = a_variable("medication", absent=False)

    @pytest.mark.parametrize(
        "event",
        [
            a_prescription(),
            pytest.param(a_prescription(at=None), id="undated"),
            pytest.param(a_prescription(until="2025-06-15"), id="its last day is today"),
            pytest.param(a_prescription(until="2025-12-31"), id="until the end of the year"),
            pytest.param(
                a_prescription(until="2025-12-31", status="stopped", ended=True),
                id="stopped later than the instant asked about",
            ),
            an_event("statement", (LISINOPRIL,), "2025-05-01", status="active"),
        ],
    )
    def test_one_in_force_is_active(self, event: Event) -> None:
        assert value_of(self.ACTIVE, event) is True

    @pytest.mark.parametrize(
        "event",
        [
            pytest.param(a_prescription(status="stopped", ended=True), id="stopped"),
            pytest.param(a_prescription(status="completed", ended=True), id="completed"),
            pytest.param(
                a_prescription(status="completed", until="2025-06-01", ended=True), id="and when"
            ),
            pytest.param(a_dispense(), id="a dispense is no prescription"),
            pytest.param(a_prescription("rxnorm|1"), id="another drug"),
            pytest.param(a_prescription(status="cancelled"), id="cancelled"),
        ],
    )
    def test_one_that_is_over_is_not(self, event: Event) -> None:
        assert value_of(self.ACTIVE, event) is False

    @pytest.mark.parametrize(
        "event",
        [
            pytest.param(a_prescription(status="on-hold"), id="on hold"),
            pytest.param(a_prescription(doubt=True), id="unconfirmed"),
            pytest.param(a_prescription(until="2025-06-01"), id="active past its own end"),
            pytest.param(a_prescription(status="bogus"), id="an unknown status"),
        ],
    )
    def test_one_in_doubt_is_neither(self, event: Event) -> None:
        found = find(self.ACTIVE, event)
        assert isinstance(found, Missing)
        assert found.reason == "unresolved"
        assert found.detail == (
            "it is recorded as on hold or unconfirmed, or as active past its own end"
        )
        assert value_of(self.ACTIVE, event, a_prescription(at="2025-01-01")) is True

    def test_no_prescription_means_what_the_variable_says(self) -> None:
        assert find(self.ACTIVE) == Known(value=False, note="no prescription in force")
        assert reason_of(a_variable("medication")) == "absent"

    def test_ever_counts_the_stopped_and_the_dispensed(self) -> None:
        ever = a_variable("medication", take="ever", absent=False)
        assert value_of(ever, a_prescription(status="stopped", ended=True)) is True
        assert value_of(ever, a_dispense()) is True
        assert value_of(ever) is False
        assert value_of(ever, a_prescription(status="entered-in-error")) is False

    def test_elapsed_counts_from_the_last(self) -> None:
        variable = a_variable("medication", take="elapsed", unit="wk")
        events = a_prescription(at="2025-05-01"), a_dispense(at="2025-06-01")
        assert value_of(variable, *events) == 2
        assert find(variable) == Missing(
            "absent", "nothing on record, so no time has elapsed since"
        )

    def test_count_counts_records(self) -> None:
        variable = a_variable("medication", take="count", within="P1Y")
        events = [a_prescription(at=f"2025-0{month}-01") for month in (1, 2, 3)]
        assert value_of(variable, *events, events[0]) == 3


def test_visits_are_counted_with_or_without_a_type() -> None:
    visits = [
        an_event("encounter", ("act|AMB",), "2025-06-01T09:00"),
        an_event("encounter", ("act|EMER",), "2025-06-02T09:00"),
        an_event("encounter", ("act|AMB",), "2024-06-02T09:00"),
    ]
    assert value_of(a_variable("encounter", take="count", within="P1M"), *visits) == 2
    assert value_of(a_variable("encounter", codes=["act|AMB"], within="P1M"), *visits) == 1
    assert value_of(a_variable("encounter", take="elapsed", unit="d"), *visits) == 13


class TestAdherence:
    """The proportion of days covered, as of 15 June 2025, 09:00."""

    PDC = a_variable("medication", take="adherence", within="P6M")

    @pytest.mark.parametrize(
        ("fills", "share"),
        [
            pytest.param([("2025-05-16T09:00", 30)], 1, id="30 days for 30 days"),
            pytest.param([("2025-05-16T09:00", 15)], 0.5, id="15 days for 30"),
            pytest.param([("2025-05-16T09:00", 90)], 1, id="never more than all of it"),
            pytest.param([("2025-04-16T09:00", 30), ("2025-05-16T09:00", 30)], 1, id="end to end"),
            pytest.param(
                [("2025-04-16T09:00", 30), ("2025-05-26T09:00", 30)], 0.83, id="a gap of ten days"
            ),
            pytest.param(
                [("2025-04-16T09:00", 30), ("2025-05-06T09:00", 30)],
                1,
                id="an early refill is used up later",
            ),
            pytest.param(
                [("2025-04-16T09:00", 30), ("2025-04-16T09:00", 15)],
                0.75,
                id="two at once, one after the other",
            ),
            pytest.param(
                [("2024-11-01T09:00", 90), ("2025-05-16T09:00", 30)],
                1,
                id="the period begins with the first fill inside the window",
            ),
            pytest.param([("2025-05-16", 30)], 1, id="a date counts from its first instant"),
            pytest.param([("2025-05-16T09:00", 0.5)], 0.02, id="half a day of supply"),
        ],
    )
    def test_days_covered(self, fills: list[tuple[str, float]], share: float) -> None:
        events = [a_dispense(at=t, days=d, source=f"d/{i}") for i, (t, d) in enumerate(fills)]
        assert value_of(self.PDC, *events) == share

    def test_dispenses_count_before_prescriptions(self) -> None:
        ordered = a_prescription(at="2025-05-16T09:00", days=30.0)
        filled = a_dispense(at="2025-05-16T09:00", days=15.0)
        assert value_of(self.PDC, ordered) == 1
        assert value_of(self.PDC, ordered, filled) == 0.5

    def test_the_note_says_how_many_fills_and_days(self) -> None:
        found = find(self.PDC, a_dispense(at="2025-05-16T09:00"))
        assert isinstance(found, Known)
        assert found.note == "1 fill over 30 days"

    @pytest.mark.parametrize(
        ("events", "reason", "words"),
        [
            ([], "absent", "no fill with days of supply inside the window"),
            (
                [a_dispense(days=None)],
                "absent",
                "no fill with days of supply inside the window",
            ),
            ([a_dispense(days=0.0)], "absent", "no fill with days of supply inside the window"),
            ([a_dispense(days=-5.0)], "absent", "no fill with days of supply inside the window"),
            (
                [a_dispense(at="2025-06-15T08:00")],
                "absent",
                "the first fill was less than a day ago",
            ),
            (
                [a_dispense(at="2025-05-01"), a_dispense(at="2025-04")],
                "unresolved",
                "a fill is dated too vaguely, or not at all, to tell which days it covers",
            ),
            (
                [a_dispense(at=None, recorded="2025-05-01T09:00")],
                "unresolved",
                "a fill is dated too vaguely, or not at all, to tell which days it covers",
            ),
        ],
    )
    def test_no_share_without_days(self, events: list[Event], reason: str, words: str) -> None:
        found = find(self.PDC, *events)
        assert isinstance(found, Missing)
        assert (found.reason, found.detail) == (reason, words)


class TestCourse:
    """The sequence of catalogue actions begun so far."""

    LATEST = a_variable("course")
    WEEKS = a_variable("course", take="elapsed", unit="wk")
    COUNT = a_variable("course", take="count")
    DRUG = "2025-05-01T09:00"

    def test_nothing_yet_is_known(self) -> None:
        assert find(self.LATEST) == Known("none", note="no action of the regime is on record")
        assert find(self.WEEKS) == Missing("absent", "no action of the regime is on record")
        assert value_of(self.COUNT) == 0

    def test_the_latest_to_begin_is_the_step(self) -> None:
        events = advice("2025-03-01T09:00"), a_prescription(at=self.DRUG)
        assert value_of(self.LATEST, *events) == "add_ace"
        assert value_of(self.WEEKS, *events) == 6
        assert value_of(self.COUNT, *events) == 2

    def test_a_refill_or_a_repetition_goes_no_step_back(self) -> None:
        events = [
            advice("2025-03-01T09:00"),
            a_prescription(at=self.DRUG),
            advice("2025-06-01T09:00"),
            a_dispense(at="2025-06-10"),
        ]
        assert value_of(self.LATEST, *events) == "add_ace"
        assert value_of(self.WEEKS, *events) == 6
        assert value_of(self.COUNT, *events) == 2

    def test_an_earlier_sign_of_an_action_moves_its_beginning_back(self) -> None:
        events = (
            advice("2025-03-01T09:00"),
            a_prescription(at=self.DRUG),
            a_dispense(at="2025-02-01"),
        )
        assert value_of(self.LATEST, *events) == "lifestyle"

    def test_two_at_one_instant_conflict(self) -> None:
        events = advice(self.DRUG), a_prescription(at=self.DRUG)
        found = find(self.LATEST, *events)
        assert isinstance(found, Missing)
        assert found.reason == "conflicting"
        assert found.detail == "several actions began at one time, so the latest cannot be told"
        assert reason_of(self.WEEKS, *events) == "conflicting"
        assert value_of(self.COUNT, *events) == 2

    def test_two_on_one_date_conflict_too(self) -> None:
        assert reason_of(self.LATEST, advice("2025-05-01"), a_prescription(at=self.DRUG)) == (
            "conflicting"
        )

    def test_one_order_may_begin_two_actions(self) -> None:
        both = an_event("request", (LISINOPRIL, LIFESTYLE), self.DRUG, status="active")
        assert reason_of(self.LATEST, both) == "conflicting"

    def test_an_undated_action_began_before_it_was_recorded(self) -> None:
        undated = a_prescription(at=None, recorded="2025-05-01T09:00")
        assert value_of(self.LATEST, undated) == "add_ace"
        assert value_of(self.WEEKS, undated) == Span(low=6)
        assert reason_of(self.LATEST, undated, advice("2025-03-01")) == "conflicting"
        assert value_of(self.LATEST, undated, advice("2025-06-01")) == "lifestyle"

    def test_a_year_leaves_the_time_on_a_step_open(self) -> None:
        assert value_of(self.WEEKS, advice("2024")) == Span(23, 75)

    def test_what_was_taken_back_or_is_still_to_come_was_not_begun(self) -> None:
        assert value_of(self.LATEST, a_prescription(status="entered-in-error")) == "none"
        planned = a_prescription(at="2026-01-01", recorded="2025-06-01T09:00")
        assert value_of(self.LATEST, planned) == "none"

    @pytest.mark.parametrize(
        ("kind", "seen"),
        [("request", True), ("dispense", True), ("statement", True), ("administration", True),
         ("procedure", True), ("service", True), ("observation", False), ("condition", False),
         ("encounter", False), ("allergy", False)],
    )  # fmt: skip
    def test_treatments_show_the_course_and_findings_do_not(self, kind: Any, seen: bool) -> None:
        found = value_of(self.LATEST, an_event(kind, (LISINOPRIL,), self.DRUG, status="active"))
        assert found == ("add_ace" if seen else "none")

    def test_codes_that_no_action_is_seen_as_are_no_steps(self) -> None:
        assert value_of(self.LATEST, a_prescription("rxnorm|1")) == "none"
        actions = dict(ACTIONS) | {"other": an_action(seen_as=["rxnorm|1"])}
        assert value_of(self.LATEST, a_prescription("rxnorm|1"), actions=actions) == "other"


def test_a_service_that_was_ordered_is_not_a_procedure_that_was_done() -> None:
    variable = a_variable("procedure", codes=[LIFESTYLE])
    assert reason_of(variable, advice()) == "absent"
    assert value_of(variable, a_procedure(LIFESTYLE)) is True
    assert reason_of(variable, a_condition(HYPERTENSION)) == "absent"
