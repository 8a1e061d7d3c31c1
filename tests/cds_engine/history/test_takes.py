"""Every aggregate, by examples worked out by hand."""

from typing import Any

import pytest
from builders.records import (
    AS_OF,
    a_reading,
    a_variable,
    at,
    days_ago,
    find,
    mm_hg,
    reason_of,
    ucum,
    value_of,
)

from cds_engine.history.event import Event
from cds_engine.history.value import Known, Missing, Reading
from cds_engine.vocabulary.units import StatedUnit
from cds_engine.vocabulary.value import Span

MONTH = {"within": "P30D"}


def series(*values: float, gap: float = 7) -> list[Event]:
    """Return readings one gap of days apart, the last of them a day before the decision."""
    last = len(values) - 1
    return [a_reading(sbp=v, at=days_ago(1 + gap * (last - i))) for i, v in enumerate(values)]


@pytest.mark.parametrize(
    ("fields", "values", "expected"),
    [
        ({"take": "latest"}, [150, 160, 140], 140),
        ({"take": "earliest"}, [150, 160, 140], 150),
        ({"take": "mean", **MONTH}, [150, 160, 140], 150),
        ({"take": "mean", **MONTH}, [150, 151, 151], 150.67),
        ({"take": "mean", "digits": 0, **MONTH}, [150, 151, 151], 151),
        ({"take": "mean", **MONTH}, [140], 140),
        ({"take": "min", **MONTH}, [150, 160, 140], 140),
        ({"take": "max", **MONTH}, [150, 160, 140], 160),
        ({"take": "count", **MONTH}, [150, 160, 140], 3),
        ({"take": "count", **MONTH}, [], 0),
        ({"take": "change", **MONTH}, [150, 160, 140], -10),
        ({"take": "slope", **MONTH}, [150, 160, 170], 10),
        ({"take": "slope", "per": "d", "digits": 3, **MONTH}, [150, 160, 170], 1.429),
        ({"take": "slope", "per": "mo", **MONTH}, [150, 157, 164], 30.44),
        ({"take": "slope", "per": "a", **MONTH}, [150, 150, 150], 0),
        ({"take": "slope", **MONTH}, [150, 150, 160], 5),
        ({"take": "elapsed", "unit": "d", **MONTH}, [150, 160, 140], 1),
        ({"take": "elapsed", "unit": "h", **MONTH}, [150, 160, 140], 24),
    ],
)
def test_a_series_becomes_one_value(
    fields: dict[str, Any], values: list[float], expected: float
) -> None:
    assert value_of(a_variable(**fields), *series(*values)) == expected


@pytest.mark.parametrize("take", ["latest", "earliest", "elapsed"])
@pytest.mark.parametrize("within", [None, "P30D"])
def test_no_reading_is_an_absent_value(take: str, within: str | None) -> None:
    unit = {"unit": "d"} if take == "elapsed" else {}
    variable = a_variable(take=take, **unit, **({"within": within} if within else {}))
    assert find(variable) == Missing("absent", "no reading is on record")


@pytest.mark.parametrize("take", ["change", "slope"])
def test_one_reading_has_no_trend(take: str) -> None:
    found = find(a_variable(take=take, **MONTH), *series(150))
    assert isinstance(found, Missing)
    assert (found.reason, found.detail) == ("absent", "needs readings at 2 times, found 1")
    assert found.last == at("2025-06-14T09:00")


@pytest.mark.parametrize("take", ["change", "slope"])
def test_a_date_and_its_own_midnight_are_not_two_times(take: str) -> None:
    date, midnight = a_reading(sbp=150, at="2025-06-10"), a_reading(sbp=140, at="2025-06-10T00:00")
    assert reason_of(a_variable(take=take, **MONTH), date, midnight) == "unresolved"


def test_a_change_needs_to_know_which_reading_is_the_last() -> None:
    first = a_reading(sbp=150, at="2025-06-01")
    morning, date = a_reading(sbp=140, at="2025-06-10T08:00"), a_reading(sbp=130, at="2025-06-10")
    variable = a_variable(take="change", **MONTH)
    assert value_of(variable, first, morning) == -10
    assert reason_of(variable, first, morning, date) == "unresolved"


class TestRepeatReadings:
    """Readings at one instant agree, or the variable is unusable."""

    NOON = "2025-06-10T12:00"

    def pair(self, first: float, second: float) -> tuple[Event, Event]:
        return (
            a_reading(sbp=first, at=self.NOON, source="Observation/1"),
            a_reading(sbp=second, at=self.NOON, source="Observation/2"),
        )

    @pytest.mark.parametrize("take", ["latest", "earliest", "mean", "min", "max"])
    def test_equal_ones_are_one_value(self, take: str) -> None:
        assert value_of(a_variable(take=take, **MONTH), *self.pair(150, 150)) == 150

    @pytest.mark.parametrize("take", ["latest", "earliest", "mean", "min", "max"])
    def test_rl_16_different_ones_conflict(self, take: str) -> None:
        found = find(a_variable(take=take, **MONTH), *self.pair(150, 151))
        assert isinstance(found, Missing)
        assert found.reason == "conflicting"
        assert found.detail == "readings at one time contradict each other"
        assert [r.source for r in found.readings] == ["Observation/1", "Observation/2"]

    @pytest.mark.parametrize("take", ["latest", "earliest", "mean", "min", "max"])
    def test_ones_within_the_tolerance_are_averaged(self, take: str) -> None:
        assert value_of(a_variable(take=take, agree=4, **MONTH), *self.pair(150, 154)) == 152

    def test_the_tolerance_itself_is_within_the_tolerance(self) -> None:
        # 140.3 - 140.1 is a little more than 0.2 as a float.
        assert value_of(a_variable(agree=0.2), *self.pair(140.1, 140.3)) == 140.2
        assert reason_of(a_variable(agree=0.2), *self.pair(140.1, 140.31)) == "conflicting"

    def test_the_note_says_that_several_were_averaged(self) -> None:
        found = find(a_variable(agree=4), *self.pair(150, 154))
        assert isinstance(found, Known)
        assert found.note == "mean of 2 readings at one time"

    def test_two_at_one_time_count_once(self) -> None:
        variable = a_variable(take="count", **MONTH)
        assert value_of(variable, *self.pair(150, 150)) == 1
        assert value_of(variable, *self.pair(150, 190)) == 1

    def test_one_reading_in_two_panels_is_averaged_once(self) -> None:
        third = a_reading(sbp=120, at="2025-06-11T12:00")
        assert value_of(a_variable(take="mean", **MONTH), *self.pair(150, 150), third) == 135

    def test_a_panel_with_two_components_of_one_code_conflicts_with_itself(self) -> None:
        first, second = (a_reading(sbp=v, at=self.NOON, source="Observation/1") for v in (150, 130))
        found = find(a_variable(), first, second)
        assert isinstance(found, Missing)
        assert found.reason == "conflicting"
        assert [r.source for r in found.readings] == ["Observation/1"]

    def test_one_in_another_unit_agrees_after_conversion(self) -> None:
        variable = a_variable(units={"kPa": 7.50062}, digits=0)
        pascal = a_reading(20, at=self.NOON, unit=ucum("kPa"), source="Observation/2")
        assert value_of(variable, a_reading(sbp=150, at=self.NOON), pascal) == 150

    def test_a_date_and_a_clock_time_of_that_day_cannot_be_told_apart(self) -> None:
        date, noon = a_reading(sbp=150, at="2025-06-10"), a_reading(sbp=130, at=self.NOON)
        assert reason_of(a_variable(), date, noon) == "conflicting"
        later = a_reading(sbp=140, at="2025-06-11T00:00")
        assert value_of(a_variable(), date, noon, later) == 140

    def test_two_dates_of_one_day_conflict_and_two_days_do_not(self) -> None:
        a, b = (a_reading(sbp=v, at="2025-06-10", source=f"Observation/{v}") for v in (150, 130))
        assert reason_of(a_variable(), a, b) == "conflicting"
        assert value_of(a_variable(), a, a_reading(sbp=130, at="2025-06-11")) == 130


class TestUnits:
    """A number is never assumed to be in the right unit."""

    OLD = a_reading(sbp=120, at="2025-06-01T09:00")
    LATER = "2025-06-10T09:00"

    @pytest.mark.parametrize(
        ("unit", "words"),
        [
            (None, "the number has no unit"),
            (ucum("kPa"), "the unit 'kPa' is not in the variable's table"),
            (ucum("mm[Hg]", "kPa"), "the unit reads 'kPa' but is coded 'mm[Hg]'"),
            (StatedUnit(text="mmHg"), "the unit 'mmHg' has no code and is not in the variable's"),
        ],
    )
    @pytest.mark.parametrize("take", ["latest", "mean", "max"])
    def test_rl_11_a_newest_reading_without_a_usable_unit_never_falls_back_to_an_older_one(
        self, unit: StatedUnit | None, words: str, take: str
    ) -> None:
        newest = a_reading(180, at=self.LATER, unit=unit, no_unit=unit is None)
        found = find(a_variable(take=take, **MONTH), self.OLD, newest)
        assert isinstance(found, Missing)
        assert found.reason == "unit"
        assert found.detail.startswith(words)
        assert newest.source in [reading.source for reading in found.readings]

    def test_an_older_reading_without_a_unit_does_not_spoil_the_latest(self) -> None:
        old = a_reading(180, at="2025-06-01T09:00", no_unit=True)
        assert value_of(a_variable(), old, a_reading(sbp=120, at=self.LATER)) == 120

    def test_an_offset_is_applied_after_the_factor(self) -> None:
        variable = a_variable(
            unit="Cel",
            digits=1,
            units={"[degF]": {"factor": 0.5555555555555556, "offset": -17.77777777777778}},
        )
        assert value_of(variable, a_reading(98.6, unit=ucum("[degF]", "degrees F"))) == 37

    def test_a_bare_number_is_read_where_the_variable_says_so(self) -> None:
        variable = a_variable(unit="1")
        assert value_of(variable, a_reading(4, no_unit=True)) == 4
        assert value_of(variable, a_reading(4, unit=StatedUnit())) == 4
        assert value_of(variable, a_reading(4, unit=ucum("1"))) == 4
        assert reason_of(variable, a_reading(4, unit=ucum("%"))) == "unit"

    def test_counting_and_waiting_need_no_unit(self) -> None:
        reading = a_reading(180, at="2025-06-10T09:00", no_unit=True)
        assert value_of(a_variable(take="count", **MONTH), reading) == 1
        assert value_of(a_variable(take="elapsed", unit="d"), reading) == 5


class TestPlausible:
    """What lies outside the plausible range is not believed."""

    VARIABLE = a_variable(plausible=[60, 280])

    @pytest.mark.parametrize("number", [60, 280, 60.004, 279.999])
    def test_both_bounds_are_inside(self, number: float) -> None:
        assert value_of(self.VARIABLE, a_reading(sbp=number)) == round(number, 2)

    @pytest.mark.parametrize("number", [59.99, 280.01, -150, 0, 1e9])
    def test_fv_09_everything_beyond_is_implausible(self, number: float) -> None:
        found = find(self.VARIABLE, a_reading(sbp=number))
        assert isinstance(found, Missing)
        assert found.reason == "implausible"
        assert found.detail == "the number is outside the plausible range"

    def test_a_number_is_rounded_before_it_is_judged(self) -> None:
        assert value_of(self.VARIABLE, a_reading(sbp=59.996)) == 60

    def test_an_implausible_newest_reading_never_falls_back_to_an_older_one(self) -> None:
        old, newest = a_reading(sbp=120, at="2025-06-01T09:00"), a_reading(sbp=500)
        assert reason_of(self.VARIABLE, old, newest) == "implausible"

    @pytest.mark.parametrize(
        ("span", "value"),
        [
            (Span(high=100, high_open=True), Span(60, 100, False, True)),
            (Span(low=200, low_open=True), Span(200, 280, True, False)),
            (Span(low=50, high=300), Span(60, 280)),
            (Span(low=50, high=300, low_open=True, high_open=True), Span(60, 280)),
            (Span(high=60), Span(60, 60)),
        ],
    )
    def test_only_the_plausible_part_of_a_span_is_kept(self, span: Span, value: Span) -> None:
        assert value_of(self.VARIABLE, a_reading(span)) == value

    @pytest.mark.parametrize(
        "span",
        [
            Span(high=60, high_open=True),
            Span(high=59),
            Span(low=280, low_open=True),
            Span(low=281),
        ],
    )
    def test_a_span_without_a_plausible_part_is_implausible(self, span: Span) -> None:
        assert reason_of(self.VARIABLE, a_reading(span)) == "implausible"


class TestRounding:
    """Numbers are rounded to the variable's digits before anything is compared."""

    @pytest.mark.parametrize(
        ("number", "digits", "value"),
        [
            (139.6, 0, 140),
            (139.4, 0, 139),
            (139.6, 1, 139.6),
            (5.555, 2, 5.56),
            (5.55, 1, 5.6),
            (139.95, 1, 140),
            (-0.001, 2, 0),
            (0.1 + 0.2, 2, 0.3),
        ],
    )
    def test_fv_08_a_number_may_cross_a_threshold_by_rounding(
        self, number: float, digits: int, value: float
    ) -> None:
        found = value_of(a_variable(digits=digits), a_reading(sbp=number))
        assert found == value
        assert str(found) != "-0.0"

    def test_an_open_end_that_is_rounded_is_reached(self) -> None:
        # Below 5.4 may be 5.3, which is 5 once rounded: "below 5" would be wrong.
        variable = a_variable(digits=0)
        assert value_of(variable, a_reading(Span(high=5.4, high_open=True))) == Span(high=5)
        assert value_of(variable, a_reading(Span(high=5.6, high_open=True))) == Span(high=6)
        assert value_of(variable, a_reading(Span(high=5, high_open=True))) == Span(
            high=5, high_open=True
        )


class TestSpans:
    """A laboratory's < and > take part in aggregates as far as they are known."""

    BELOW_5 = a_reading(Span(high=5, high_open=True), at="2025-06-01T09:00")
    ABOVE_8 = a_reading(Span(low=8, low_open=True), at="2025-06-02T09:00")
    THREE = a_reading(3, at="2025-06-03T09:00")
    NINE = a_reading(9, at="2025-06-04T09:00")

    @pytest.mark.parametrize(
        ("take", "events", "value"),
        [
            ("latest", [BELOW_5], Span(high=5, high_open=True)),
            # the smallest of (<5) and 3 may be 3 itself: the end is not open
            ("min", [BELOW_5, THREE], Span(high=3)),
            ("min", [BELOW_5, NINE], Span(high=5, high_open=True)),
            ("min", [ABOVE_8, THREE], 3),
            ("min", [ABOVE_8, NINE], Span(8, 9, low_open=True)),
            ("max", [ABOVE_8, NINE], Span(low=9)),
            ("max", [ABOVE_8, THREE], Span(low=8, low_open=True)),
            ("max", [BELOW_5, NINE], 9),
            ("max", [BELOW_5, THREE], Span(3, 5, high_open=True)),
            ("mean", [BELOW_5, THREE], Span(high=4, high_open=True)),
        ],
    )
    def test_rl_17_an_aggregate_of_spans_holds_all_that_is_possible(
        self, take: str, events: list[Event], value: float | Span
    ) -> None:
        assert value_of(a_variable(take=take, **MONTH), *events) == value

    def test_a_mean_that_may_be_any_number_is_unresolved(self) -> None:
        variable = a_variable(take="mean", **MONTH)
        assert reason_of(variable, self.BELOW_5, self.ABOVE_8) == "unresolved"

    def test_a_mean_that_is_rounded_reaches_its_end(self) -> None:
        readings = [a_reading(Span(high=v, high_open=True), at=f"2025-06-0{v}") for v in (4, 5)]
        assert value_of(a_variable(take="mean", digits=0, **MONTH), *readings) == Span(high=5)

    def test_a_mean_is_rounded_once_and_as_decimals(self) -> None:
        readings = [a_reading(v, at=f"2025-06-0{at}") for at, v in ((1, 0.1), (2, 0.2))]
        assert value_of(a_variable(take="mean", digits=1, **MONTH), *readings) == 0.2

    def test_a_converted_number_is_rounded_as_the_product_of_decimals(self) -> None:
        variable = a_variable(unit="mmol/L", units={"mg/dL": 0.0555}, digits=1)
        found = value_of(variable, a_reading(100, unit=ucum("mg/dL")))
        assert found == 5.6  # 100 * 0.0555 is 5.55

    @pytest.mark.parametrize("take", ["change", "slope"])
    def test_a_trend_needs_numbers(self, take: str) -> None:
        found = find(a_variable(take=take, **MONTH), self.BELOW_5, self.NINE)
        assert isinstance(found, Missing)
        assert found.reason == "unresolved"
        assert found.detail == "a reading is only known as a range, or its time too vaguely"

    def test_a_span_and_a_number_at_one_time_conflict(self) -> None:
        four = a_reading(4, at="2025-06-01T09:00")
        assert reason_of(a_variable(), self.BELOW_5, four) == "conflicting"


class TestAnswers:
    """A coded answer is a label, if the variable names it."""

    VARIABLE = a_variable(answers={"loinc|LA33-6": "yes", "loinc|LA32-8": "no"})

    def test_a_listed_answer_is_its_label(self) -> None:
        assert value_of(self.VARIABLE, a_reading("loinc|LA33-6")) == "yes"

    @pytest.mark.parametrize("value", ["loinc|LA99-9", "yes", True, 1.0])
    def test_any_other_is_unresolved(self, value: str | bool | float) -> None:
        found = find(self.VARIABLE, a_reading(value))
        assert isinstance(found, Missing)
        assert found.reason == "unresolved"
        assert found.detail == "the answer is not among the variable's `answers`"

    def test_two_answers_at_one_time_conflict(self) -> None:
        a, b = (a_reading(v, source=v) for v in ("loinc|LA33-6", "loinc|LA32-8"))
        assert reason_of(self.VARIABLE, a, b) == "conflicting"

    @pytest.mark.parametrize(
        ("codes", "label"),
        [
            ("loinc|LA33-6\nurn:own|Y", "yes"),
            ("urn:own|Y\nloinc|LA33-6", "yes"),
        ],
    )
    def test_any_code_of_an_answer_may_be_the_listed_one(self, codes: str, label: str) -> None:
        assert value_of(self.VARIABLE, a_reading(codes)) == label

    def test_rl_16_codes_of_one_answer_that_contradict_each_other_conflict(self) -> None:
        found = find(self.VARIABLE, a_reading("loinc|LA32-8\nloinc|LA33-6"))
        assert isinstance(found, Missing)
        assert found.reason == "conflicting"
        assert found.detail == "the codes of one answer contradict each other"

    @pytest.mark.parametrize("value", ["loinc|LA33-6", True])
    def test_an_answer_is_no_number(self, value: str | bool) -> None:
        found = find(a_variable(), a_reading(value))
        assert isinstance(found, Missing)
        assert found.reason == "unresolved"
        assert found.detail == "the record holds an answer where a number is expected"


class TestEventsWithoutAValue:
    """An observation without a value was asked for and is no reading."""

    EMPTY = a_reading(None, at="2025-06-14T09:00", source="Observation/empty")

    def test_rl_17_a_reading_that_was_not_taken_is_passed_over(self) -> None:
        assert value_of(a_variable(), a_reading(sbp=150), self.EMPTY) == 150
        assert value_of(a_variable(take="count", **MONTH), a_reading(sbp=150), self.EMPTY) == 1
        assert value_of(a_variable(take="elapsed", unit="d"), a_reading(sbp=1), self.EMPTY) == 5
        assert reason_of(a_variable(), self.EMPTY) == "absent"

    def test_a_value_that_cannot_be_read_is_not(self) -> None:
        spoiled = a_reading(
            None, at="2025-06-14T09:00", problem="text answers cannot be compared", source="x"
        )
        found = find(a_variable(), a_reading(sbp=150), spoiled)
        assert isinstance(found, Missing)
        assert (found.reason, found.detail) == ("unresolved", "text answers cannot be compared")


class TestStatus:
    """Only final results count, unless the variable says otherwise."""

    @pytest.mark.parametrize("status", ["final", "amended", "corrected"])
    def test_rl_14_usual_statuses_count(self, status: str) -> None:
        assert value_of(a_variable(), a_reading(sbp=150, status=status)) == 150

    @pytest.mark.parametrize("status", ["preliminary", "registered", "unknown", "", "bogus"])
    def test_rl_14_others_do_not(self, status: str) -> None:
        assert reason_of(a_variable(), a_reading(sbp=150, status=status)) == "absent"

    def test_a_variable_may_accept_others(self) -> None:
        variable = a_variable(status=["preliminary"])
        assert value_of(variable, a_reading(sbp=150, status="preliminary")) == 150
        assert reason_of(variable, a_reading(sbp=150)) == "absent"


def test_a_value_keeps_where_it_came_from() -> None:
    a, b = a_reading(sbp=150, at="2025-06-01T09:00"), a_reading(sbp=140, at="2025-06-10")
    found = find(a_variable(take="mean", **MONTH), b, a)
    day = at("2025-06-10T00:00")
    assert found == Known(
        145.0,
        (
            Reading(a.source, at("2025-06-01T09:00"), at("2025-06-01T09:00")),
            Reading(b.source, day, day + 86_400_000_000 - 1),
        ),
        "mean of 2 readings",
    )


def test_any_of_the_codes_counts_and_no_other() -> None:
    variable = a_variable(codes=["loinc|8480-6", "loinc|8459-0"])
    other = a_reading(150, codes=("loinc|8459-0",), unit=mm_hg())
    assert value_of(variable, other) == 150
    assert reason_of(variable, a_reading(150, codes=("loinc|8462-4",))) == "absent"
    assert value_of(variable, a_reading(150, codes=("local|x", "loinc|8480-6"))) == 150


def test_a_reading_with_two_of_the_codes_counts_once() -> None:
    variable = a_variable(codes=["loinc|8480-6", "loinc|8459-0"], take="count", within="P30D")
    both = a_reading(150, codes=("loinc|8480-6", "loinc|8459-0"))
    assert value_of(variable, both) == 1


def test_a_thousand_readings_are_averaged_without_drift() -> None:
    events = [a_reading(140.1, at=days_ago(1 + i / 100), source=f"o/{i}") for i in range(1000)]
    assert value_of(a_variable(take="mean", digits=9, **MONTH), *events) == 140.1


def test_readings_long_before_the_decision_are_stale_and_say_when_the_last_was() -> None:
    old = [a_reading(sbp=150, at="2024-01-01T09:00"), a_reading(sbp=160, at="2024-06-01T09:00")]
    found = find(a_variable(take="mean", **MONTH), *old)
    assert isinstance(found, Missing)
    assert (found.reason, found.detail) == ("stale", "the last reading is older than 30 days")
    assert found.last == at("2024-06-01T09:00")
    assert [reading.source for reading in found.readings] == [old[1].source]


def test_only_unusable_readings_before_the_window_are_stale_too() -> None:
    spoiled = a_reading(150, at="2024-06-01T09:00", no_unit=True)
    found = find(a_variable(**MONTH), spoiled)
    assert isinstance(found, Missing)
    assert (found.reason, found.last) == ("stale", None)


def test_as_of_before_everything_knows_nothing() -> None:
    assert reason_of(a_variable(), a_reading(sbp=150), as_of=at("1960-01-01T00:00")) == "absent"
    assert value_of(a_variable(), a_reading(sbp=150), as_of=AS_OF) == 150
