"""Several readings become one value by a stated aggregate; one bad reading is never passed over."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from math import fsum, inf

from cds_engine.history.elapsed import elapsed_units, is_vague, last_of
from cds_engine.history.event import Event, Time, time_of
from cds_engine.history.reading import (
    USUAL_STATUSES,
    Measured,
    measure,
    missing,
    readings,
)
from cds_engine.history.select import split, window_start
from cds_engine.history.value import Finding, Known, MissingReason
from cds_engine.vocabulary.rounding import rounded, rounded_mean
from cds_engine.vocabulary.time import DAY, WEEK, Instant
from cds_engine.vocabulary.value import Scalar, Span
from cds_engine.vocabulary.variable import Variable

_SAME_OF_ONE = frozenset({"latest", "earliest", "mean", "min", "max"})
"""Aggregates that give back the one reading there is."""

_SLOPE_UNITS: Mapping[str, float] = {"d": DAY, "wk": WEEK, "mo": 30.4375 * DAY, "a": 365.25 * DAY}
_VAGUE = "a reading is dated too vaguely, or not at all, to tell whether it counts"


def observed(variable: Variable, events: Sequence[Event], end: Time, as_of: Instant) -> Finding:
    """Return the variable's value from the observations that carry one of its codes.

    Args:
        variable: its definition.
        events: known observations with one of its codes, in any order.
        end: where its window ends; ``as_of`` unless the definition says ``before``.
        as_of: the instant of the decision.
    """
    statuses = variable.status or USUAL_STATUSES
    latest = end.end
    taken = [e for e in events if e.status in statuses and time_of(e).start <= latest]
    inside, before, astride = split(taken, window_start(variable.window, end.start))
    measured = _measured(variable, inside)
    if len(measured) == 1 and not astride and _speaks_for_all(variable, measured[0]):
        return Known(measured[0].value, readings(measured))  # type: ignore[arg-type]
    vague = _measured(variable, astride)
    if variable.before:
        vague += [m for m in measured if is_vague(m.time) and m.time.end > end.end]
        measured = [m for m in measured if not (is_vague(m.time) and m.time.end > end.end)]
    if variable.aggregate == "count":
        return _count(measured, vague)
    if not measured:
        older = _measured(variable, before)
        return missing("unresolved", _VAGUE, vague) if vague else _none_inside(variable, older)
    if variable.aggregate == "elapsed":
        return _elapsed(variable, measured + vague, as_of)
    newest = max(m.time.start for m in measured)
    if any(variable.aggregate != "latest" or m.time.end >= newest for m in vague):
        return missing("unresolved", _VAGUE, measured + vague)
    return _AGGREGATES[variable.aggregate or "latest"](variable, measured)


def _speaks_for_all(variable: Variable, only: Measured) -> bool:
    """Say whether the only reading is the value, as it is of most variables in most records."""
    exact = type(only.value) is float and only.fault is None
    return exact and not variable.before and variable.aggregate in _SAME_OF_ONE


def _measured(variable: Variable, events: Sequence[Event]) -> list[Measured]:
    return [m for e in events if (m := measure(e, variable)) is not None]


def _none_inside(variable: Variable, older: list[Measured]) -> Finding:
    if not older:
        return missing("absent", "no reading is on record", [])
    usable = [m for m in older if m.fault is None]
    last = max(usable or older, key=lambda m: (m.time.start, m.time.end, m.source))
    window = variable.window.words() if variable.window else ""
    detail = f"the last reading is older than {window}"
    if variable.before:
        detail += " before the action began"
    return missing("stale", detail, [last], last.time.start if usable else None)


def _count(measured: list[Measured], astride: list[Measured]) -> Finding:
    number = len(_instants(measured))
    if astride:
        most = number + len(_instants(astride))
        return Known(Span(float(number), float(most)), readings(measured + astride))
    return Known(float(number), readings(measured))


def _elapsed(variable: Variable, measured: list[Measured], as_of: Instant) -> Finding:
    time = last_of([m.time for m in measured])
    last = [m for m in measured if m.time.end >= time.start]
    return Known(elapsed_units(variable.unit or "d", time, as_of), readings(last))


def _newest(variable: Variable, measured: list[Measured]) -> Finding:
    start = max(m.time.start for m in measured)
    return _one(variable, [m for m in measured if m.time.end >= start])


def _oldest(variable: Variable, measured: list[Measured]) -> Finding:
    end = min(m.time.end for m in measured)
    return _one(variable, [m for m in measured if m.time.start <= end])


def _one(variable: Variable, group: list[Measured]) -> Finding:
    """Return the one value of readings that could not be told apart in time."""
    spoiled = _first_fault(group)
    if spoiled:
        return missing(*spoiled, group)
    value = _agreed(variable, group)
    if value is None:
        return _conflict(group)
    note = f"mean of {len(group)} readings at one time" if len(group) > 1 else ""
    return Known(value, readings(group), note)


def _agreed(variable: Variable, group: list[Measured]) -> Scalar | None:
    """Return the common value: equal, or numbers within the tolerance, averaged."""
    values = [m.value for m in group]
    if all(value == values[0] for value in values):
        return values[0]
    numbers = [v for v in values if isinstance(v, float)]
    if len(numbers) < len(values):
        return None
    # readings 0.2 apart as decimals are a little more or less apart as floats
    if rounded(max(numbers) - min(numbers), variable.decimals) > (variable.agree or 0):
        return None
    return rounded_mean(numbers, variable.decimals)


def _conflict(group: list[Measured]) -> Finding:
    return missing("conflicting", "readings at one time contradict each other", group)


def _first_fault(measured: list[Measured]) -> tuple[MissingReason, str] | None:
    spoiled = [m for m in measured if m.fault]
    if not spoiled:
        return None
    return min(spoiled, key=lambda m: (m.time.start, m.time.end, m.source, m.fault or ())).fault


def _instants(measured: list[Measured]) -> list[list[Measured]]:
    """Group readings by their exact time, in order."""

    def key(m: Measured) -> tuple[Instant, Instant]:
        return (m.time.start, m.time.end)

    return [list(group) for _, group in groupby(sorted(measured, key=key), key=key)]


Point = tuple[Time, Scalar]


def _over_instants(
    compute: Callable[[Variable, list[Point]], Scalar | None], least: int = 1
) -> Callable[[Variable, list[Measured]], Finding]:
    """Turn a computation over one value per instant into an aggregate."""

    def aggregate(variable: Variable, measured: list[Measured]) -> Finding:
        spoiled = _first_fault(measured)
        if spoiled:
            return missing(*spoiled, measured)
        points: list[Point] = []
        for group in _instants(measured):
            value = _agreed(variable, group)
            if value is None:
                return _conflict(group)
            points.append((group[0].time, value))
        if len(points) < least:
            detail = f"needs readings at {least} times, found {len(points)}"
            return missing("absent", detail, measured, points[-1][0].start)
        value = compute(variable, points)
        if value is None:
            detail = "a reading is only known as a range, or its time too vaguely"
            return missing("unresolved", detail, measured)
        note = f"{variable.aggregate} of {len(points)} readings" if len(points) > 1 else ""
        return Known(value, readings(measured), note)

    return aggregate


def _mean(variable: Variable, points: list[Point]) -> Scalar | None:
    spans = [_as_span(value) for _, value in points]
    lows, highs = _bounds(spans)
    low, high = (rounded_mean(part, variable.decimals) for part in (lows, highs))
    if low == -inf and high == inf:
        return None
    if lows == highs:
        return low
    low_open = any(s.low_open for s in spans) and low == fsum(lows) / len(spans)
    high_open = any(s.high_open for s in spans) and high == fsum(highs) / len(spans)
    return Span(low, high, low_open, high_open)


def _smallest(variable: Variable, points: list[Point]) -> Scalar:
    """The smallest may be as low as the lowest end, and no higher than the lowest upper end."""
    spans = [_as_span(value) for _, value in points]
    low, high = (min(part) for part in _bounds(spans))
    low_open = all(s.low_open for s in spans if s.low == low)
    high_open = any(s.high_open for s in spans if s.high == high)
    return _rounded(variable, low, high, low_open, high_open)


def _largest(variable: Variable, points: list[Point]) -> Scalar:
    """The largest is no lower than the highest lower end, and may be as high as the highest."""
    spans = [_as_span(value) for _, value in points]
    low, high = (max(part) for part in _bounds(spans))
    low_open = any(s.low_open for s in spans if s.low == low)
    high_open = all(s.high_open for s in spans if s.high == high)
    return _rounded(variable, low, high, low_open, high_open)


def _as_span(value: Scalar) -> Span:
    return value if isinstance(value, Span) else Span(float(value), float(value))


def _bounds(spans: Sequence[Span]) -> tuple[list[float], list[float]]:
    return [s.low for s in spans], [s.high for s in spans]


def _rounded(
    variable: Variable, low: float, high: float, low_open: bool, high_open: bool
) -> Scalar:
    """Round both ends; an open end that moves is reached by some value and is open no more."""
    least, most = (rounded(end, variable.decimals) for end in (low, high))
    if low == high:
        return least
    return Span(least, most, low_open and least == low, high_open and most == high)


def _change(variable: Variable, points: list[Point]) -> Scalar | None:
    """The newest value less the oldest; nothing may stand at the same time as either."""
    (oldest, first), (newest, last) = points[0], points[-1]
    apart = all(time.start > oldest.end for time, _ in points[1:]) and all(
        time.end < newest.start for time, _ in points[:-1]
    )
    if not apart or isinstance(first, Span) or isinstance(last, Span):
        return None
    return rounded(float(last) - float(first), variable.decimals)


def _slope(variable: Variable, points: list[Point]) -> Scalar | None:
    """Least-squares slope per ``per`` (weeks by default); needs values, not spans, and days."""
    if any(isinstance(value, Span) or is_vague(time) for time, value in points):
        return None
    unit = _SLOPE_UNITS[variable.per or "wk"]
    start = points[0][0].start
    times = [(time.start - start) / unit for time, _ in points]
    values = [float(value) for _, value in points]  # type: ignore[arg-type]
    middle, level = fsum(times) / len(times), fsum(values) / len(values)
    spread = fsum((t - middle) ** 2 for t in times)
    if not spread:
        return None
    rise = fsum((t - middle) * (v - level) for t, v in zip(times, values, strict=True))
    return rounded(rise / spread, variable.decimals)


_AGGREGATES: Mapping[str, Callable[[Variable, list[Measured]], Finding]] = {
    "latest": _newest,
    "earliest": _oldest,
    "mean": _over_instants(_mean),
    "min": _over_instants(_smallest),
    "max": _over_instants(_largest),
    "change": _over_instants(_change, least=2),
    "slope": _over_instants(_slope, least=2),
}
