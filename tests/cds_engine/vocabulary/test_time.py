"""Durations are exact, months and years go by the calendar, and everything counts in UTC."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from builders.records import at
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.errors import DurationError
from cds_engine.vocabulary.time import (
    DAY,
    HOUR,
    WEEK,
    Duration,
    completed,
    day_start,
    instant,
    iso,
    iso_date,
    moment,
    months_before,
    parse_duration,
)

INSTANTS = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(instant)


@pytest.mark.parametrize(
    ("text", "months", "exact"),
    [
        ("P30D", 0, 30 * DAY),
        ("P2W", 0, 2 * WEEK),
        ("P3M", 3, 0),
        ("P1Y", 12, 0),
        ("P1Y6M", 18, 0),
        ("PT12H", 0, 12 * HOUR),
        ("P1DT12H", 0, 36 * HOUR),
        ("P1Y2M3W4DT5H", 14, 3 * WEEK + 4 * DAY + 5 * HOUR),
        ("P0D", 0, 0),
    ],
)
def test_a_duration_is_read_as_iso_8601_writes_it(text: str, months: int, exact: int) -> None:
    assert parse_duration(text) == Duration(months, exact)


@pytest.mark.parametrize(
    "text",
    [
        "", "P", "PT", "30D", "P30", "P-3D", "P1.5M", "P3D2M", "PT5M", "p3d", "P30D ", "P30D\n",
        "3 months", "P1DT", "P\u0663\u0660D", "P99999999D",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_the_cure(text: str) -> None:
    with pytest.raises(DurationError) as caught:
        parse_duration(text)
    assert str(caught.value) == (
        f"{text!r} is not a duration; write it as P30D (days), P2W (weeks), P3M (calendar months), "
        "P1Y (calendar years) or PT12H (hours)"
    )


@pytest.mark.parametrize(
    ("text", "words", "written"),
    [
        ("P30D", "30 days", "P30D"),
        ("P1D", "1 day", "P1D"),
        ("P7D", "7 days", "P7D"),
        ("P2W", "2 weeks", "P14D"),
        ("P12M", "1 year", "P12M"),
        ("P2Y", "2 years", "P24M"),
        ("P18M", "18 months", "P18M"),
        ("P1M", "1 month", "P1M"),
        ("P1M10D", "1 month and 10 days", "P1M10D"),
        ("PT1H", "1 hour", "PT1H"),
        ("P1DT2H", "1 day and 2 hours", "P1DT2H"),
        ("P0D", "0 days", "P0D"),
    ],
)
def test_a_duration_is_said_and_written(text: str, words: str, written: str) -> None:
    duration = parse_duration(text)
    assert duration.words() == words
    assert str(duration) == written


@given(st.integers(0, 500), st.integers(0, 5000), st.integers(0, 23))
def test_a_written_duration_reads_back_as_itself(months: int, days: int, hours: int) -> None:
    duration = Duration(months, days * DAY + hours * HOUR)
    assert parse_duration(str(duration)) == duration


@pytest.mark.parametrize(
    ("now", "months", "then"),
    [
        pytest.param("2025-03-31T10:00", 1, "2025-02-28T10:00", id="the end of a short month"),
        pytest.param("2024-03-31T10:00", 1, "2024-02-29T10:00", id="the end of a leap February"),
        pytest.param("2024-02-29T10:00", 12, "2023-02-28T10:00", id="a year before a leap day"),
        pytest.param("2024-02-29T10:00", 48, "2020-02-29T10:00", id="four years before it"),
        pytest.param("2025-01-15T10:00", 1, "2024-12-15T10:00", id="across the new year"),
        pytest.param("2025-01-15T10:00", 13, "2023-12-15T10:00", id="more than a year"),
        pytest.param("2025-01-15T10:00", 0, "2025-01-15T10:00", id="no month at all"),
        pytest.param("0001-06-01T00:00", 12, "0001-01-01T00:00", id="before the calendar begins"),
    ],
)
def test_months_before_goes_by_the_calendar(now: str, months: int, then: str) -> None:
    assert months_before(at(now), months) == at(then)


def test_days_are_24_hours_even_where_clocks_change() -> None:
    # Clocks in Berlin went forward on 30 March 2025; noon before and noon after are 23 hours apart.
    after = at("2025-03-30T12:00+02:00")
    assert Duration(0, DAY).before(after) == at("2025-03-29T11:00+01:00")


@pytest.mark.parametrize(
    ("unit", "start", "end", "units"),
    [
        pytest.param("d", "2025-01-01T09:00", "2025-01-31T08:59", 29, id="a minute short of 30"),
        pytest.param("d", "2025-01-01T09:00", "2025-01-31T09:00", 30, id="exactly 30 days"),
        pytest.param("wk", "2025-01-01T00:00", "2025-03-11T23:59", 9, id="a minute short of 10"),
        pytest.param("wk", "2025-01-01T00:00", "2025-03-12T00:00", 10, id="exactly 10 weeks"),
        pytest.param("h", "2025-01-01T00:00", "2025-01-02T00:00", 24, id="hours"),
        pytest.param("mo", "2025-01-31T00:00", "2025-02-28T23:59", 0, id="no 31st to reach"),
        pytest.param("mo", "2025-01-31T00:00", "2025-03-01T00:00", 1, id="reached on the 1st"),
        pytest.param("mo", "2025-02-28T12:00", "2025-03-31T06:00", 1, id="a month and some hours"),
        pytest.param("mo", "2025-03-15T12:00", "2025-06-15T11:59", 2, id="the clock time counts"),
        pytest.param("mo", "2025-03-15T12:00", "2025-06-15T12:00", 3, id="three calendar months"),
        pytest.param("a", "2000-02-29T00:00", "2018-02-28T23:59", 17, id="a leap day's child, 17"),
        pytest.param("a", "2000-02-29T00:00", "2018-03-01T00:00", 18, id="a leap day's child, 18"),
        pytest.param("a", "2000-02-29T00:00", "2020-02-29T00:00", 20, id="on a leap day again"),
        pytest.param("a", "1980-06-15T00:00", "2025-06-14T23:59", 44, id="the day before"),
        pytest.param("a", "1980-06-15T00:00", "2025-06-15T00:00", 45, id="the birthday"),
        pytest.param("d", "2025-01-02T00:00", "2025-01-01T00:00", -1, id="before it began"),
    ],
)
def test_completed_units(unit: str, start: str, end: str, units: int) -> None:
    assert completed(unit, at(start), at(end)) == units


@pytest.mark.parametrize("unit", ["h", "d", "wk", "mo", "a"])
@given(start=INSTANTS, end=INSTANTS, later=st.integers(0, 40 * DAY))
def test_completed_units_never_go_back(unit: str, start: int, end: int, later: int) -> None:
    assert completed(unit, start, end) <= completed(unit, start, end + later)


@given(start=INSTANTS, months=st.integers(0, 600))
def test_a_calendar_month_earlier_is_a_completed_month_and_no_more(start: int, months: int) -> None:
    earlier = months_before(start, months)
    assert completed("mo", earlier, start) == months


@given(INSTANTS)
def test_an_instant_is_the_same_whatever_the_offset_it_is_written_in(now: int) -> None:
    tokyo = moment(now).astimezone(timezone(timedelta(hours=9)))
    assert instant(tokyo) == now
    assert moment(now).tzinfo is UTC


def test_a_time_without_an_offset_is_no_instant() -> None:
    with pytest.raises(ValueError, match="a time without an offset is no instant; give it a time"):
        instant(datetime(2025, 1, 1))  # noqa: DTZ001 - the point of the test


def test_days_before_1970_have_starts_too() -> None:
    assert day_start(at("1969-12-31T23:59")) == at("1969-12-31T00:00")
    assert day_start(at("1969-12-31T00:00")) == at("1969-12-31T00:00")


def test_instants_are_written_as_fhir_reads_them() -> None:
    assert iso(at("2025-01-06T09:00")) == "2025-01-06T09:00:00Z"
    assert iso(at("2025-01-06T09:00") + 1) == "2025-01-06T09:00:00.000001Z"
    assert iso_date(at("2025-01-06T23:59")) == "2025-01-06"
