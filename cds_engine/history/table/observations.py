"""Observation variables of all decision points at once; each aggregate as the scalar one."""

from collections.abc import Callable, Mapping

import numpy as np

from cds_engine.history.elapsed import CREDIBLE
from cds_engine.history.reading import USUAL_STATUSES
from cds_engine.history.table.answer import Answer
from cds_engine.history.table.calendar import completed
from cds_engine.history.table.clock import Index
from cds_engine.history.table.columns import Bools, Floats, Longs
from cds_engine.history.table.measures import Measures, labels_of, measured
from cds_engine.history.table.points import Points, Ranges, pick, spread
from cds_engine.history.table.rounding import mean_of, scaled
from cds_engine.history.table.series import Anchor, Part
from cds_engine.history.table.shard import Shard
from cds_engine.vocabulary.time import DAY, WEEK
from cds_engine.vocabulary.variable import Variable

_SLOPE_UNITS: Mapping[str, float] = {"d": DAY, "wk": WEEK, "mo": 30.4375 * DAY, "a": 365.25 * DAY}


def observed(shard: Shard, variable: Variable, anchor: Anchor | None = None) -> Answer:
    """Return an observation variable, as ``history.observations.observed`` does for one row.

    Args:
        shard: events and decision points.
        variable: its definition.
        anchor: where its window ends; at the decision unless the definition says ``before``.
    """
    statuses = variable.status or USUAL_STATUSES
    series = shard.observed(variable.codes, statuses)
    match variable.aggregate:
        case "count":
            answer = series.settle(_count, variable.window, anchor)
        case "elapsed":
            unit = variable.unit or "d"
            answer = series.settle(lambda part: _elapsed(unit, part), variable.window, anchor)
        case _:
            measures = shard.memory.once(
                ("measures", series, _reading_of(variable)),
                lambda: measured(shard.table, series, variable),
            )
            answer = series.settle(
                lambda part: _valued(variable, part, measures.of(part)), variable.window, anchor
            )
    if variable.answers:
        answer.categories = labels_of(variable)
        answer.values = answer.values.astype(np.min_scalar_type(len(answer.categories)))
    return answer


def since_last(unit: str, part: Part) -> Answer:
    """Return the completed units since the last point; says nothing where there is none."""
    some, last = part.ranges.some, part.ranges.last
    start = np.where(some, pick(part.points.start, last), part.as_of)
    answer = Answer(completed(unit, start, part.as_of).astype(np.float64))
    answer.doubt = some & (start < CREDIBLE)
    if unit == "h":
        answer.doubt |= some & pick(part.points.daily, last)
    return answer


def _reading_of(variable: Variable) -> tuple[object, ...]:
    """Return all of a definition that a single reading depends on."""
    return (
        variable.unit,
        tuple(variable.conversions.items()),
        variable.decimals,
        variable.plausible,
        variable.agree,
        tuple(variable.answers.items()),
    )


def _count(part: Part) -> Answer:
    """At how many times there is a reading."""
    number, ranges, repeats = part.ranges.count, part.ranges, part.points.repeats
    if repeats is not None:
        number = number - (repeats[ranges.hi] - repeats[ranges.lo])
    return Answer(number.astype(np.float64))


def _elapsed(unit: str, part: Part) -> Answer:
    answer = since_last(unit, part)
    _say_none_inside(answer, part.ranges)
    return answer


def _valued(variable: Variable, part: Part, measures: Measures) -> Answer:
    aggregate = _AGGREGATES[variable.aggregate or "latest"]
    answer = aggregate(variable, part.points, measures, part.ranges)
    _say_none_inside(answer, part.ranges)
    return answer


def _say_none_inside(answer: Answer, ranges: Ranges) -> None:
    none = ~ranges.some
    if none.any():
        answer.lack(none & (ranges.lo > ranges.first), "stale")
        answer.lack(none, "absent")


def _number(variable: Variable, size: Longs) -> Floats:
    return size / 10.0**variable.decimals + 0.0


def _one(variable: Variable, measures: Measures, at: Index, some: Bools) -> Answer:
    """Return what one point of each row says."""
    size = pick(measures.size, at)
    answer = Answer(size if variable.answers else _number(variable, size))
    if measures.next_fault is not None:
        np.copyto(answer.reasons, measures.fault[at], where=some)
    if measures.clashes is not None:
        answer.lack(some & measures.clash[at], "conflicting")
    if measures.doubts is not None:
        answer.doubt |= some & measures.unsure[at]
    return answer


def _latest(variable: Variable, points: Points, measures: Measures, ranges: Ranges) -> Answer:
    answer = _one(variable, measures, ranges.last, ranges.some)
    if points.repeats is not None:
        answer.doubt |= ranges.some & points.again[ranges.last]
    return answer


def _earliest(variable: Variable, points: Points, measures: Measures, ranges: Ranges) -> Answer:
    answer = _one(variable, measures, np.where(ranges.some, ranges.lo, 0), ranges.some)
    if points.repeats is not None:
        several = ranges.count > 1
        answer.doubt |= several & points.again[np.where(several, ranges.lo + 1, 0)]
    return answer


def _all(values: Floats, points: Points, measures: Measures, ranges: Ranges) -> Answer:
    """Return values that rest on every point inside, so that one bad one spoils them."""
    answer = Answer(values)
    if measures.next_fault is not None:
        bad = measures.next_fault[ranges.lo]
        spoiled = bad < ranges.hi
        answer.reasons[spoiled] = measures.fault[bad[spoiled]]
    if measures.clashes is not None:
        answer.lack(_lies_within(measures.clashes, ranges), "conflicting")
    for doubtful in (measures.doubts, points.repeats):
        if doubtful is not None:
            answer.doubt |= _lies_within(doubtful, ranges)
    return answer


def _lies_within(before: Index, ranges: Ranges) -> Bools:
    """Say in which rows something that was counted lies inside."""
    found: Bools = before[ranges.hi] > before[ranges.lo]
    return found


def _mean(variable: Variable, points: Points, measures: Measures, ranges: Ranges) -> Answer:
    total = measures.total[ranges.hi] - measures.total[ranges.lo]
    mean = mean_of(total, np.maximum(ranges.count, 1))
    return _all(_number(variable, mean), points, measures, ranges)


Aggregate = Callable[[Variable, Points, Measures, Ranges], Answer]


def _extreme(choose: np.ufunc) -> Aggregate:
    """Return the smallest, or the largest, of the readings inside."""

    def aggregate(variable: Variable, points: Points, measures: Measures, ranges: Ranges) -> Answer:
        found = np.zeros(len(ranges.lo), dtype=np.int64)
        for at in ranges.pieces():
            places, start = spread(ranges.lo[at], ranges.hi[at])
            found[at] = choose.reduceat(measures.size[places], start)
        return _all(_number(variable, found), points, measures, ranges)

    return aggregate


def _change(variable: Variable, points: Points, measures: Measures, ranges: Ranges) -> Answer:
    first = np.where(ranges.some, ranges.lo, 0)
    change = pick(measures.size, ranges.last) - pick(measures.size, first)
    answer = _all(_number(variable, change), points, measures, ranges)
    answer.lack(ranges.count == 1, "absent")
    return answer


def _slope(variable: Variable, points: Points, measures: Measures, ranges: Ranges) -> Answer:
    """Least squares; a row in which the order of adding could change a decimal is in doubt."""
    whole = np.zeros(len(ranges.lo), dtype=np.int64)
    unsure = np.zeros(len(ranges.lo), dtype=np.bool_)
    unit = _SLOPE_UNITS[variable.per or "wk"]
    for at in ranges.pieces(least=2):
        places, begin = spread(ranges.lo[at], ranges.hi[at])
        start = points.start[places]
        times = (start - np.repeat(start[begin], ranges.count[at])) / unit
        slope, size = _fitted(times, _number(variable, measures.size[places]), begin)
        whole[at], near, wide = scaled(slope, variable.decimals, size)
        unsure[at] = near | wide
    answer = _all(_number(variable, whole), points, measures, ranges)
    answer.lack(ranges.count == 1, "absent")
    answer.doubt |= unsure & (answer.reasons == 0)
    return answer


def _fitted(times: Floats, values: Floats, begin: Index) -> tuple[Floats, Floats]:
    """Return the slope of each group, and a size of which its error is a few units in the last."""
    count = np.diff(np.append(begin, len(times)))
    middle = np.add.reduceat(times, begin) / count
    level = np.add.reduceat(values, begin) / count
    apart = times - np.repeat(middle, count)
    around = values - np.repeat(level, count)
    square = np.add.reduceat(apart * apart, begin)
    longest = np.maximum.reduceat(times, begin)
    largest = np.maximum.reduceat(np.abs(values), begin)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.add.reduceat(apart * around, begin) / square
        # of what could be added up at most, and of the slope itself, count times each
        size = count * (np.abs(slope) + count * longest * largest / square)
    return slope, size


_AGGREGATES: Mapping[str, Aggregate] = {
    "latest": _latest,
    "earliest": _earliest,
    "mean": _mean,
    "min": _extreme(np.minimum),
    "max": _extreme(np.maximum),
    "change": _change,
    "slope": _slope,
}
