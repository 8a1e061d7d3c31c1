"""The steps that work on whole columns do to each row what the scalar ones do to one."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cds_engine.history.table.calendar import before, completed
from cds_engine.history.table.clock import Clock, Timeline
from cds_engine.history.table.points import spread
from cds_engine.history.table.rounding import mean_of, rounded_all
from cds_engine.vocabulary import time as scalar
from cds_engine.vocabulary.rounding import rounded, rounded_mean
from cds_engine.vocabulary.time import Duration, instant

FIRST = instant(datetime(1, 1, 1, tzinfo=UTC))
LAST = instant(datetime(9999, 12, 31, tzinfo=UTC))
INSTANTS = st.one_of(
    st.integers(FIRST, LAST),
    st.datetimes(datetime(1899, 1, 1), datetime(2101, 1, 1), timezones=st.just(UTC)).map(instant),  # noqa: DTZ001
    st.dates(datetime(1999, 1, 1).date(), datetime(2025, 1, 1).date()).map(  # noqa: DTZ001
        lambda day: instant(datetime(day.year, day.month, day.day, tzinfo=UTC))
    ),
)
LISTS = st.lists(INSTANTS, min_size=1, max_size=30)


def longs(values: list[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array(values, dtype=np.int64)


@given(LISTS, st.integers(0, 5000), st.integers(0, 10**16))
def test_windows_go_back_by_the_calendar(at: list[int], months: int, exact: int) -> None:
    window = Duration(months, exact)
    assert before(window, longs(at)).tolist() == [window.before(one) for one in at]


@given(
    st.lists(st.tuples(INSTANTS, INSTANTS), min_size=1),
    st.sampled_from(["h", "d", "wk", "mo", "a"]),
)
@example([(scalar.DAY * 59, scalar.DAY * 424)], "a")
def test_whole_units_are_counted_alike(pairs: list[tuple[int, int]], unit: str) -> None:
    start, end = (longs(list(column)) for column in zip(*pairs, strict=True))
    expected = [scalar.completed(unit, a, b) for a, b in pairs]
    assert completed(unit, start, end).tolist() == expected


NUMBERS = st.one_of(
    st.floats(allow_nan=False),
    st.integers(-(10**7), 10**7).map(lambda n: n / 2000),
    st.sampled_from([5.55, 2.675, -0.5, 0.5, 1e300, 2.0**51, 1e15 + 0.5]),
)


@given(st.lists(NUMBERS, min_size=1), st.integers(0, 9))
def test_columns_are_rounded_to_the_bit(values: list[float], digits: int) -> None:
    found = rounded_all(np.array(values), digits)
    assert [repr(one) for one in found.tolist()] == [repr(rounded(one, digits)) for one in values]


@given(st.lists(st.integers(-3000, 3000), min_size=1), st.integers(0, 3))
def test_means_are_rounded_once_half_away_from_zero(sizes: list[int], digits: int) -> None:
    scale = 10.0**digits
    mean = mean_of(longs([sum(sizes)]), longs([len(sizes)]))[0] / scale + 0.0
    assert mean == rounded_mean([size / scale for size in sizes], digits)


_TIMES = st.lists(st.tuples(st.integers(0, 4), INSTANTS), max_size=40)
_NEAR = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 40)), max_size=40)


@pytest.mark.parametrize("as_coarse_as_for", [5, 2**20, 2**40])
@given(times=st.one_of(_TIMES, _NEAR), asked=st.one_of(_TIMES, _NEAR))
def test_times_are_counted_exactly_however_coarse_the_clock(
    as_coarse_as_for: int, times: list[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    asked = [*asked, *times, (3, LAST), (0, FIRST)]
    clock = Clock(
        as_coarse_as_for,
        min((at for _, at in times), default=0),
        max((at for _, at in times), default=0),
    )
    clock.persons = 5
    person, time = (longs([one[at] for one in times]) for at in (0, 1))
    order = clock.order(person, time)
    assert [times[at] for at in order] == sorted(times)
    line = Timeline(clock, person[order], time[order])
    who, at = (longs([one[at] for one in asked]) for at in (0, 1))
    first = line.first[who]
    assert (line.upto(who, at) - first).tolist() == [
        sum(p == q and t <= u for p, t in times) for q, u in asked
    ]
    assert (line.below(who, at) - first).tolist() == [
        sum(p == q and t < u for p, t in times) for q, u in asked
    ]


def test_ranges_are_laid_end_to_end() -> None:
    places, begin = spread(longs([3, 7, 0]), longs([5, 7, 2]))
    assert (places.tolist(), begin.tolist()) == ([3, 4, 0, 1], [0, 2, 2])


@pytest.mark.parametrize("digits", [0, 1, 9])
def test_what_is_not_finite_stays_as_it_is(digits: int) -> None:
    found = rounded_all(np.array([np.inf, -np.inf, np.nan]), digits)
    assert [repr(one) for one in found.tolist()] == ["inf", "-inf", "nan"]
