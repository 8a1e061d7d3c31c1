"""Months and years go by the calendar for whole columns of instants, as they do for one."""

import numpy as np

from cds_engine.history.event import BEGINNING
from cds_engine.history.table.columns import Longs
from cds_engine.vocabulary.time import DAY, HOUR, WEEK, Duration

_EXACT = {"h": HOUR, "d": DAY, "wk": WEEK}
_FIRST_MONTH = 12 * (1 - 1970)
"""January of the year 1, counted from January 1970."""


def before(window: Duration, at: Longs) -> Longs:
    """Return the instants a duration before others, as ``Duration.before`` does of one."""
    return months_before(at, window.months) - window.exact


def months_before(at: Longs, months: int) -> Longs:
    """Return the same clock times so many calendar months earlier."""
    if months == 0:
        return at
    month, into = _month_and_rest(at)
    month = month - months
    length = _start(month + 1) - _start(month)
    into = np.minimum(into // DAY, length // DAY - 1) * DAY + into % DAY
    return np.where(month < _FIRST_MONTH, BEGINNING, _start(month) + into)


def completed(unit: str, start: Longs, end: Longs) -> Longs:
    """Count the whole units from ``start`` to ``end``, as the function of that name does."""
    if unit in _EXACT:
        return (end - start) // _EXACT[unit]
    first, into_first = _month_and_rest(start)
    last, into_last = _month_and_rest(end)
    months = last - first - (into_last < into_first)
    return months if unit == "mo" else months // 12


def _month_and_rest(at: Longs) -> tuple[Longs, Longs]:
    """Return the months since January 1970, and the microseconds into the month."""
    stamps = at.view("M8[us]")
    months = stamps.astype("M8[M]")
    return months.astype(np.int64), (stamps - months).astype(np.int64)


def _start(month: Longs) -> Longs:
    return month.astype("M8[M]").astype("M8[us]").astype(np.int64)
