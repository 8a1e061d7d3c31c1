"""What counts is decided by the time at which it was true, as precisely as the record knows it."""

from typing import Any

import pytest
from builders.records import (
    ACTIONS,
    AS_OF,
    a_dispense,
    a_prescription,
    a_procedure,
    a_reading,
    a_record,
    a_variable,
    advice,
    at,
    but,
    find,
    reason_of,
    value_of,
)

from cds_engine.history.event import Time
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.value import Known, Missing
from cds_engine.vocabulary.time import DAY
from cds_engine.vocabulary.value import Span

LATEST = a_variable(within="P30D")
COUNT = a_variable(take="count", within="P30D")


class TestTheStartOfAWindow:
    """As of 15 June 2025, 09:00, thirty days reach back to 16 May, 09:00."""

    @pytest.mark.parametrize(
        ("when", "inside"),
        [
            pytest.param("2025-05-16T09:00", True, id="exactly 30 days ago"),
            pytest.param("2025-05-16T08:59:59.999999", False, id="a microsecond earlier"),
            pytest.param("2025-05-16", True, id="a date that is not over when the window starts"),
            pytest.param("2025-05-15", False, id="the date before"),
            pytest.param("2025-06", True, id="a month wholly inside"),
            pytest.param("2025-04", False, id="a month wholly before"),
            pytest.param("2024", False, id="a year wholly before"),
            pytest.param("2025-06-15T09:00", True, id="the instant of the decision"),
            pytest.param("2025-06-15", True, id="the day of the decision"),
        ],
    )
    def test_rl_12_inside_or_before(self, when: str, inside: bool) -> None:
        found = find(LATEST, a_reading(sbp=150, at=when))
        if inside:
            assert isinstance(found, Known)
            assert found.value == 150
        else:
            assert isinstance(found, Missing)
            assert found.reason == "stale"

    @pytest.mark.parametrize("when", ["2025-05", "2025"])
    def test_rl_12_a_month_or_a_year_astride_leaves_it_open(self, when: str) -> None:
        vague = a_reading(sbp=150, at=when)
        found = find(LATEST, vague)
        assert isinstance(found, Missing)
        assert found.reason == "unresolved"
        assert found.detail == (
            "a reading is dated too vaguely, or not at all, to tell whether it counts"
        )
        assert [reading.source for reading in found.readings] == [vague.source]
        assert value_of(COUNT, vague) == Span(0, 1)

    @pytest.mark.parametrize(
        ("within", "first"),
        [
            ("P1M", "2025-05-15T09:00"),
            ("P3M", "2025-03-15T09:00"),
            ("P1Y", "2024-06-15T09:00"),
            ("P2W", "2025-06-01T09:00"),
            ("PT12H", "2025-06-14T21:00"),
        ],
    )
    def test_a_window_may_be_as_long_as_the_calendar_says(self, within: str, first: str) -> None:
        variable = a_variable(within=within)
        assert value_of(variable, a_reading(sbp=150, at=first)) == 150
        start = at(first)
        earlier = find(variable, a_reading(sbp=150, at=first), as_of=at("2025-06-15T09:00") + 1)
        assert isinstance(earlier, Missing), start

    def test_a_window_across_a_change_of_clocks_is_as_long_as_any_other(self) -> None:
        # Thirty days before 1 April, noon in Berlin (summer time), is 2 March, 11 o'clock there.
        as_of = at("2025-04-01T12:00+02:00")
        inside = a_reading(sbp=150, at="2025-03-02T11:00+01:00")
        before = a_reading(sbp=150, at="2025-03-02T10:59+01:00")
        assert value_of(LATEST, inside, as_of=as_of) == 150
        assert reason_of(LATEST, before, as_of=as_of) == "stale"


class TestVagueTimes:
    """A month or a year is all of it; nothing is guessed."""

    def test_a_vague_reading_that_may_be_the_newest_is_not_passed_over(self) -> None:
        clear, vague = a_reading(sbp=150, at="2025-05-20"), a_reading(sbp=120, at="2025-05")
        assert reason_of(LATEST, clear, vague) == "unresolved"
        later = a_reading(sbp=140, at="2025-06-01")
        assert value_of(LATEST, clear, vague, later) == 140

    def test_a_month_inside_may_be_newer_than_a_date_in_it(self) -> None:
        clear, vague = a_reading(sbp=150, at="2025-06-05"), a_reading(sbp=120, at="2025-06")
        assert reason_of(LATEST, clear, vague) == "conflicting"
        assert value_of(LATEST, clear, a_reading(sbp=150, at="2025-06")) == 150

    @pytest.mark.parametrize("take", ["mean", "min", "max", "earliest"])
    def test_an_aggregate_waits_for_every_reading_that_may_count(self, take: str) -> None:
        variable = a_variable(take=take, within="P30D")
        clear, vague = a_reading(sbp=150, at="2025-06-10"), a_reading(sbp=120, at="2025-05")
        assert reason_of(variable, clear, vague) == "unresolved"

    def test_a_slope_needs_days(self) -> None:
        variable = a_variable(take="slope", within="P1Y")
        months = [a_reading(sbp=150, at="2025-01"), a_reading(sbp=140, at="2025-03")]
        assert reason_of(variable, *months) == "unresolved"
        assert value_of(a_variable(take="change", within="P1Y"), *months) == -10


class TestUndatedReadings:
    """A reading without a time was taken some time before it was recorded."""

    def test_rl_12_it_is_never_the_latest_by_accident(self) -> None:
        undated = a_reading(sbp=120, at=None, recorded="2025-06-12T09:00")
        dated = a_reading(sbp=150, at="2025-06-10T09:00")
        found = find(LATEST, undated, dated)
        assert isinstance(found, Missing)
        assert found.reason == "unresolved"
        assert [reading.start for reading in found.readings] == [None, at("2025-06-10T09:00")]
        assert reason_of(LATEST, undated) == "unresolved"

    def test_one_recorded_before_a_dated_reading_is_not_newer(self) -> None:
        undated = a_reading(sbp=120, at=None, recorded="2025-06-01T09:00")
        assert value_of(LATEST, undated, a_reading(sbp=150, at="2025-06-10T09:00")) == 150

    def test_one_recorded_before_the_window_does_not_count(self) -> None:
        undated = a_reading(sbp=120, at=None, recorded="2024-06-01T09:00")
        assert reason_of(LATEST, undated) == "stale"
        assert value_of(COUNT, undated) == 0
        assert value_of(a_variable(take="mean", within="P30D"), undated, a_reading(sbp=150)) == 150

    def test_one_recorded_inside_the_window_may_count(self) -> None:
        undated = a_reading(sbp=120, at=None, recorded="2025-06-12T09:00")
        assert value_of(COUNT, undated, a_reading(sbp=150)) == Span(1, 2)


class TestTheFuture:
    """What the record dates after the decision has not happened."""

    def test_rl_13_a_future_reading_is_never_the_latest(self) -> None:
        now, later = (
            a_reading(sbp=150),
            a_reading(sbp=120, at="2025-06-15T09:00:00.000001", recorded="2025-06-15T09:00"),
        )
        assert value_of(LATEST, now, later) == 150

    def test_rl_13_it_is_named_among_what_was_set_aside(self) -> None:
        later = a_reading(sbp=120, at="2026-01-01T09:00", recorded="2025-06-01T09:00")
        history = HistoryTaker({"x": LATEST}, ACTIONS).take(a_record(later), AS_OF)
        assert history.set_aside == ((later.source, "dated after the instant of the decision"),)

    def test_the_month_of_the_decision_has_begun(self) -> None:
        assert value_of(LATEST, a_reading(sbp=150, at="2025-06")) == 150

    @pytest.mark.parametrize("when", ["2025-06-16", "2025-07", "2026"])
    def test_a_day_month_or_year_that_has_not_begun_is_the_future(self, when: str) -> None:
        assert (
            reason_of(LATEST, a_reading(sbp=150, at=when, recorded="2025-06-01T09:00")) == "absent"
        )


class TestElapsed:
    """Time passed is counted in completed units since the last."""

    @pytest.mark.parametrize(
        ("when", "unit", "value"),
        [
            ("2025-06-14T09:00", "d", 1),
            ("2025-06-14T09:01", "d", 0),
            ("2025-06-14", "d", 1),
            ("2025-06-15", "d", 0),
            ("2025-06-01", "wk", 2),
            ("2025-05-15T09:00", "mo", 1),
            ("2025-05-15T09:01", "mo", 0),
            ("2024-06-15", "a", 1),
            ("2025-06-15T07:30", "h", 1),
            pytest.param("2025-06-14", "h", Span(9, 33), id="a date does not tell the hour"),
            pytest.param("2025-06-15", "h", Span(0, 9), id="nor does today"),
            ("2025-05", "d", Span(14, 45)),
            ("2025-05", "a", 0),
            ("2024", "a", Span(0, 1)),
            ("2025", "d", Span(0, 165)),
        ],
    )
    def test_units_since_a_reading(self, when: str, unit: str, value: float | Span) -> None:
        variable = a_variable(take="elapsed", unit=unit)
        assert value_of(variable, a_reading(sbp=150, at=when)) == value

    def test_the_last_of_several_counts(self) -> None:
        variable = a_variable(take="elapsed", unit="d")
        events = [a_reading(sbp=150, at=f"2025-06-0{day}") for day in (3, 9, 1)]
        assert value_of(variable, *events) == 6

    def test_a_vague_reading_may_be_the_last(self) -> None:
        variable = a_variable(take="elapsed", unit="d")
        clear, vague = a_reading(sbp=150, at="2025-05-20"), a_reading(sbp=150, at="2025-05")
        assert value_of(variable, clear, vague) == Span(14, 26)
        assert value_of(variable, clear, vague, a_reading(sbp=150, at="2025-06-01")) == 14

    def test_an_undated_reading_may_be_as_late_as_its_recording(self) -> None:
        variable = a_variable(take="elapsed", unit="d")
        undated = a_reading(sbp=150, at=None, recorded="2025-06-05T09:00")
        assert value_of(variable, undated) == Span(low=10)
        assert value_of(variable, undated, a_reading(sbp=150, at="2025-06-01")) == Span(10, 14)
        assert value_of(variable, undated, a_reading(sbp=150, at="2025-06-06")) == 9


class TestBeforeAnAction:
    """A window may end where an action first began."""

    BEFORE = a_variable(before="lifestyle", within="P30D")

    @pytest.mark.parametrize(
        ("begun", "when", "counts"),
        [
            ("2025-03-01T09:00", "2025-03-01T08:59", True),
            ("2025-03-01T09:00", "2025-03-01T09:00", True),
            ("2025-03-01T09:00", "2025-03-01T09:01", False),
            ("2025-03-01T09:00", "2025-03-01", True),
            ("2025-03-01T09:00", "2025-03-02", False),
            pytest.param("2025-03-01", "2025-03-01T18:00", True, id="the day of the action counts"),
            ("2025-03-01", "2025-03-02T00:00", False),
            ("2025-03-01T09:00", "2025-01-30T09:00", True),
            ("2025-03-01T09:00", "2025-01-30T08:59", None),
            ("2025-03-01", "2025-01-30T00:00", True),
        ],
    )
    def test_readings_up_to_it_count(self, begun: str, when: str, counts: bool | None) -> None:
        found = find(self.BEFORE, advice(begun), a_reading(sbp=150, at=when))
        if counts:
            assert isinstance(found, Known)
        else:
            assert isinstance(found, Missing)
            assert found.reason == ("absent" if counts is False else "stale")

    def test_a_stale_one_says_what_it_is_older_than(self) -> None:
        found = find(self.BEFORE, advice(), a_reading(sbp=150, at="2024-01-01T09:00"))
        assert isinstance(found, Missing)
        assert found.detail == "the last reading is older than 30 days before the action began"

    def test_only_the_first_beginning_counts(self) -> None:
        again = advice("2025-05-01T09:00")
        before, after = a_reading(sbp=150, at="2025-02-20"), a_reading(sbp=120, at="2025-04-20")
        assert value_of(self.BEFORE, advice(), again, before, after) == 150

    def test_without_the_action_nothing_is_before_it(self) -> None:
        found = find(self.BEFORE, a_reading(sbp=150))
        assert found == Missing("absent", "lifestyle has not begun, so nothing is before it")

    @pytest.mark.parametrize("begun", ["2025-03", "2025", None])
    def test_an_action_without_a_day_leaves_it_open(self, begun: str | None) -> None:
        found = find(self.BEFORE, advice(begun), a_reading(sbp=150, at="2025-02-20"))
        assert found == Missing(
            "unresolved", "the record does not say on which day lifestyle began"
        )

    def test_a_month_that_holds_the_action_may_be_before_or_after(self) -> None:
        vague = a_reading(sbp=150, at="2025-03")
        assert reason_of(self.BEFORE, advice("2025-03-15"), vague) == "unresolved"
        clear = a_reading(sbp=140, at="2025-03-10")
        assert reason_of(self.BEFORE, advice("2025-03-15"), vague, clear) == "unresolved"


class TestTreatmentsInAWindow:
    """Procedures, prescriptions and visits keep the same windows."""

    @pytest.mark.parametrize(
        ("when", "value"),
        [("2024-06-15T09:00", True), ("2024-06-15", True), ("2024-06-14", "absent"),
         ("2024", "unresolved"), (None, "absent")],
    )  # fmt: skip
    def test_ever_within_a_year(self, when: str | None, value: bool | str) -> None:
        found = find(a_variable("procedure", within="P1Y"), a_procedure(at=when))
        assert (found.value if isinstance(found, Known) else found.reason) == value

    def test_ever_without_a_window_needs_no_date(self) -> None:
        assert value_of(a_variable("procedure"), a_procedure(at=None)) is True

    def test_an_undated_one_recorded_in_the_window_leaves_it_open(self) -> None:
        undated = a_procedure(at=None, recorded="2025-01-01T09:00")
        variable = a_variable("procedure", within="P1Y", absent=False)
        assert reason_of(variable, undated) == "unresolved"
        assert value_of(variable, undated, a_procedure(at="2025-01-01")) is True

    def test_elapsed_since_the_last(self) -> None:
        variable = a_variable("procedure", take="elapsed", unit="d")
        assert value_of(variable, a_procedure(at="2025-06-01"), a_procedure(at="2025-05-01")) == 14
        undated = a_procedure(at=None, recorded="2025-06-10T09:00")
        assert value_of(variable, a_procedure(at="2025-06-01"), undated) == Span(5, 14)
        assert value_of(variable, undated) == Span(low=5)

    def test_counts_of_vague_ones_are_spans(self) -> None:
        variable = a_variable("medication", take="count", within="P1Y")
        clear, vague = a_prescription(at="2025-01-01"), a_prescription(at="2024")
        assert value_of(variable, clear, vague) == Span(1, 2)
        assert value_of(variable, clear) == 1
        assert value_of(variable) == 0

    def test_nothing_and_only_older_ones_are_told_apart_in_words(self) -> None:
        variable = a_variable("procedure", within="P1Y")
        assert find(variable) == Missing(
            "absent", "nothing on record, and its absence does not mean no"
        )
        assert find(variable, a_procedure(at="2020-01-01")) == Missing(
            "absent", "only older records, and its absence does not mean no"
        )
        no = find(a_variable("procedure", within="P1Y", absent=False), a_procedure(at="2020-01-01"))
        assert no == Known(value=False, note="only older records")


@pytest.mark.parametrize("days", [1, 7, 365])
@pytest.mark.parametrize(
    "fields",
    [
        {"take": "mean", "within": "P30D"},
        {"take": "slope", "within": "P30D"},
        {"take": "count", "within": "P2W"},
        {"take": "elapsed", "unit": "wk"},
    ],
)
def test_the_same_days_earlier_or_later_come_to_the_same(days: int, fields: dict[str, Any]) -> None:
    variable = a_variable(**fields)
    when = [("2025-05-20", 150), ("2025-06-01T09:00", 140), ("2025-06-09", 130)]
    events = [a_reading(sbp=value, at=text) for text, value in when]
    now = value_of(variable, *events)
    moved = [
        but(
            e,
            recorded=e.recorded + days * DAY,
            time=Time(e.time.start + days * DAY, e.time.end + days * DAY, e.time.precision),
        )
        for e in events
        if e.time
    ]
    assert value_of(variable, *moved, as_of=at("2025-06-15T09:00") + days * DAY) == now


def test_a_dispense_today_covers_today() -> None:
    variable = a_variable("medication", take="adherence", within="P6M")
    assert reason_of(variable, a_dispense(at="2025-06-15")) == "absent"
