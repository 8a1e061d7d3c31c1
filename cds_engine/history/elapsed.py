"""The time since something is counted in whole units; where its own time is vague, as a span."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf

from cds_engine.history.event import Time
from cds_engine.vocabulary.time import Instant, Precision, completed, instant
from cds_engine.vocabulary.value import Scalar, Span

_COARSENESS: tuple[Precision, ...] = ("instant", "day", "month", "year")


CREDIBLE: Instant = instant(datetime(1900, 1, 1, tzinfo=UTC))
"""What a record dates before this is not dated at all."""


def elapsed_units(unit: str, time: Time, as_of: Instant) -> Scalar:
    """Return the completed units since a time; a span where it is too vague to count them.

    A date counts from its first instant, except in hours. A time before anybody now alive was born
    is none: records write it where they know none.
    """
    if time.end < CREDIBLE:
        return Span(0.0, inf)
    longest = inf if time.start < CREDIBLE else float(completed(unit, time.start, as_of))
    if longest == inf:
        return Span(_completed(unit, time, as_of), inf)
    if time.precision == "instant" or (time.precision == "day" and unit != "h"):
        return longest
    shortest = _completed(unit, time, as_of)
    return longest if shortest == longest else Span(shortest, longest)


def _completed(unit: str, time: Time, as_of: Instant) -> float:
    """Return the units that are over in any case."""
    return float(max(0, completed(unit, min(time.end, as_of), as_of)))


def first_of(times: Sequence[Time]) -> Time:
    """Return when the first of several things was, as far as their times tell."""
    end = min(time.end for time in times)
    return _joined(min(t.start for t in times), end, [t for t in times if t.start <= end])


def last_of(times: Sequence[Time]) -> Time:
    """Return when the last of several things was, as far as their times tell."""
    start = max(time.start for time in times)
    return _joined(start, max(t.end for t in times), [t for t in times if t.end >= start])


def _joined(start: Instant, end: Instant, eligible: Sequence[Time]) -> Time:
    return Time(start, end, max((t.precision for t in eligible), key=_COARSENESS.index))


def is_vague(time: Time) -> bool:
    """Say whether a time is no better than a month."""
    return time.precision in {"month", "year"}
