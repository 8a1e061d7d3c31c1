"""Several readings become one value by a stated aggregate; one bad reading is never passed over."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from math import fsum

from cds_engine.history.event import Event
from cds_engine.history.reading import (
    USUAL_STATUSES,
    Measured,
    measure,
    missing,
    readings,
)
from cds_engine.history.select import split, window_start
from cds_engine.history.value import Finding, Known, MissingReason
from cds_engine.vocabulary.time import DAY, WEEK, Instant, completed
from cds_engine.vocabulary.value import Scalar, Span
from cds_engine.vocabulary.variable import Variable

_SLOPE_UNITS: Mapping[str, float] = {"d": DAY, "wk": WEEK, "mo": 30.4375 * DAY, "a": 365.25 * DAY}


def observed(variable: Variable, events: Sequence[Event], end: Instant, as_of: Instant) -> Finding:
    """Return the variable's value from the observations that carry one of its codes.

    Args:
        variable: its definition.
        events: known observations with one of its codes, in any order.
        end: where its window ends; ``as_of`` unless the definition says ``before``.
        as_of: the instant of the decision.
    """
    statuses = frozenset(variable.status) or USUAL_STATUSES
    taken = [e for e in events if e.status in statuses and e.time and e.time.start <= end]
    inside, before, astride = split(taken, window_start(variable.window, end))
    measured = [m for e in inside if (m := measure(e, variable))]
    if variable.aggregate == "count":
        return _count(measured, [m for e in astride if (m := measure(e, variable))])
    if not measured:
        return _none_inside(variable, before, astride)
    if variable.aggregate == "elapsed":
        return _elapsed(variable, measured, as_of)
    if astride and variable.aggregate != "latest":
        return missing(
            "unresolved", "a reading is dated too vaguely to tell whether it counts", measured
        )
    return _AGGREGATES[variable.aggregate or "latest"](variable, measured)


def _none_inside(variable: Variable, before: Sequence[Event], astride: Sequence[Event]) -> Finding:
    older = [m for e in before if (m := measure(e, variable)) and m.fault is None]
    if astride:
        vague = [m for e in astride if (m := measure(e, variable))]
        return missing(
            "unresolved", "a reading is dated too vaguely to tell whether it counts", vague
        )
    if older:
        last = max(older, key=lambda m: (m.time.start, m.source))
        window = variable.window.words() if variable.window else ""
        detail = f"the last reading is older than {window}"
        if variable.before:
            detail += " before the action began"
        return missing("stale", detail, [last], last.time.start)
    return missing("absent", "no reading is on record", [])


def _count(measured: list[Measured], astride: list[Measured]) -> Finding:
    number = len(_instants(measured))
    if astride:
        most = number + len(_instants(astride))
        return Known(Span(float(number), float(most)), readings(measured + astride))
    return Known(float(number), readings(measured))


def _elapsed(variable: Variable, measured: list[Measured], as_of: Instant) -> Finding:
    last = max(measured, key=lambda m: (m.time.start, m.time.end))
    return Known(elapsed_units(variable.unit or "d", last, as_of), readings([last]))


def elapsed_units(unit: str, measured: Measured, as_of: Instant) -> Scalar:
    """Return the completed units since a time; a span where only its month or year is known."""
    longest = float(completed(unit, measured.time.start, as_of))
    if measured.time.precision in {"instant", "day"}:
        return longest
    shortest = float(max(0, completed(unit, min(measured.time.end, as_of), as_of)))
    return longest if shortest == longest else Span(shortest, longest)


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
    if len(numbers) < len(values) or max(numbers) - min(numbers) > (variable.agree or 0):
        return None
    return round(fsum(numbers) / len(numbers), variable.decimals) + 0.0


def _conflict(group: list[Measured]) -> Finding:
    return missing("conflicting", "readings at one time contradict each other", group)


def _first_fault(measured: list[Measured]) -> tuple[MissingReason, str] | None:
    ordered = sorted(measured, key=lambda m: (m.time.start, m.time.end, m.source))
    return next((m.fault for m in ordered if m.fault), None)


def _instants(measured: list[Measured]) -> list[list[Measured]]:
    """Group readings by their exact time, in order."""

    def key(m: Measured) -> tuple[Instant, Instant]:
        return (m.time.start, m.time.end)

    return [list(group) for _, group in groupby(sorted(measured, key=key), key=key)]


def _over_instants(
    compute: Callable[[Variable, list[tuple[Instant, Scalar]]], Scalar | None], least: int = 1
) -> Callable[[Variable, list[Measured]], Finding]:
    """Turn a computation over one value per instant into an aggregate."""

    def aggregate(variable: Variable, measured: list[Measured]) -> Finding:
        spoiled = _first_fault(measured)
        if spoiled:
            return missing(*spoiled, measured)
        points: list[tuple[Instant, Scalar]] = []
        for group in _instants(measured):
            value = _agreed(variable, group)
            if value is None:
                return _conflict(group)
            points.append((group[0].time.start, value))
        if len(points) < least:
            detail = f"needs readings at {least} times, found {len(points)}"
            return missing("absent", detail, measured, points[-1][0])
        value = compute(variable, points)
        if value is None:
            return missing("unresolved", "a reading is only known as a range", measured)
        note = f"{variable.aggregate} of {len(points)} readings" if len(points) > 1 else ""
        return Known(value, readings(measured), note)

    return aggregate


def _ends(points: list[tuple[Instant, Scalar]]) -> tuple[list[float], list[float], bool, bool]:
    lows, highs, low_open, high_open = [], [], False, False
    for _, value in points:
        if isinstance(value, Span):
            lows.append(value.low)
            highs.append(value.high)
            low_open, high_open = low_open or value.low_open, high_open or value.high_open
        else:
            lows.append(float(value))
            highs.append(float(value))
    return lows, highs, low_open, high_open


def _combined(
    variable: Variable, points: list[tuple[Instant, Scalar]], by: Callable[[list[float]], float]
) -> Scalar:
    lows, highs, low_open, high_open = _ends(points)
    low, high = (round(by(part), variable.decimals) + 0.0 for part in (lows, highs))
    return low if low == high else Span(low, high, low_open, high_open)


def _mean(numbers: list[float]) -> float:
    return fsum(numbers) / len(numbers)


def _change(variable: Variable, points: list[tuple[Instant, Scalar]]) -> Scalar | None:
    first, last = points[0][1], points[-1][1]
    if isinstance(first, Span) or isinstance(last, Span):
        return None
    return round(float(last) - float(first), variable.decimals) + 0.0


def _slope(variable: Variable, points: list[tuple[Instant, Scalar]]) -> Scalar | None:
    """Least-squares slope per ``per`` (weeks by default); needs values, not spans."""
    if any(isinstance(value, Span) for _, value in points):
        return None
    unit = _SLOPE_UNITS[variable.per or "wk"]
    start = points[0][0]
    times = [(at - start) / unit for at, _ in points]
    values = [float(value) for _, value in points]  # type: ignore[arg-type]
    middle, level = _mean(times), _mean(values)
    spread = fsum((t - middle) ** 2 for t in times)
    rise = fsum((t - middle) * (v - level) for t, v in zip(times, values, strict=True))
    return round(rise / spread, variable.decimals) + 0.0


_AGGREGATES: Mapping[str, Callable[[Variable, list[Measured]], Finding]] = {
    "latest": _newest,
    "earliest": _oldest,
    "mean": _over_instants(lambda variable, points: _combined(variable, points, _mean)),
    "min": _over_instants(lambda variable, points: _combined(variable, points, min)),
    "max": _over_instants(lambda variable, points: _combined(variable, points, max)),
    "change": _over_instants(_change, least=2),
    "slope": _over_instants(_slope, least=2),
}
