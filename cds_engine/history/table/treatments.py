"""Treatments of all decision points at once: whether, when, how often, what share was covered."""

import numpy as np

from cds_engine.history.extract import KINDS
from cds_engine.history.table.answer import Answer
from cds_engine.history.table.clock import Index
from cds_engine.history.table.columns import NEVER, Bools, Floats, Longs
from cds_engine.history.table.conditions import NOT_AT_ALL, yes_or_not
from cds_engine.history.table.cover import holds
from cds_engine.history.table.observations import since_last
from cds_engine.history.table.points import before_each, spread
from cds_engine.history.table.rounding import rounded_all
from cds_engine.history.table.series import Part, Series
from cds_engine.history.table.shard import Found, Shard
from cds_engine.vocabulary.time import DAY
from cds_engine.vocabulary.variable import Variable


def treated(shard: Shard, variable: Variable) -> Answer:
    """Return a medication, procedure or encounter variable, as the scalar ``treated`` does.

    Args:
        shard: events and decision points.
        variable: its definition.
    """
    kinds = KINDS[variable.source or ""]
    match variable.aggregate:
        case "active":
            return _active(shard, variable)
        case "adherence":
            return _adherence(shard, variable)
        case "ever":
            return _ever(variable, shard.occurred(kinds, variable.codes))
        case "count":
            return _count(variable, shard.occurred(kinds, variable.codes))
        case _:
            return _elapsed(variable, shard.occurred(kinds, variable.codes))


def _active(shard: Shard, variable: Variable) -> Answer:
    """Whether a prescription or statement is in force."""
    found = shard.occurred(frozenset({"request", "statement"}), variable.codes)
    active = found.has_status("active")
    over = np.where(found.ended, NOT_AT_ALL, NEVER)
    over = np.where(found.has_end, np.where(active, NEVER, found.until_end), over)
    says_so = (active | (found.ended & found.has_end)) & ~found.doubt
    sure_until = np.where(says_so, np.minimum(over, found.until_end), NOT_AT_ALL)
    sure, in_force = (
        holds(shard.clock, shard.rows, found.person, found.known, until)
        for until in (sure_until, over)
    )
    answer = yes_or_not(variable, sure, in_force)
    answer.doubt |= found.untidy().doubt(shard.rows)
    return answer


def _ever(variable: Variable, found: Found) -> Answer:
    """Whether it happened inside; what is in doubt leaves it open."""
    sure = found.but(~found.doubt) if found.doubt.any() else found
    inside = sure.series().settle(_some, variable.window)
    at_all = inside if sure is found else found.series().settle(_some, variable.window)
    answer = yes_or_not(variable, inside.values, at_all.values)
    answer.doubt |= inside.doubt | at_all.doubt
    return answer


def _some(part: Part) -> Answer:
    return Answer(part.ranges.some)


def _count(variable: Variable, found: Found) -> Answer:
    """How many source records are inside; one that tells several events is not told apart."""
    series = _sure(found)
    again = found.source_again()
    series.untidy.ask(found.person[again], found.known[again])

    def number(part: Part) -> Answer:
        weights = series.weights if part.places is None else series.weights[part.places]
        total = before_each(weights)
        return Answer((total[part.ranges.hi] - total[part.ranges.lo]).astype(np.float64))

    return series.settle(number, variable.window)


def _elapsed(variable: Variable, found: Found) -> Answer:
    """The time since the last one inside."""

    def waited(part: Part) -> Answer:
        answer = since_last(variable.unit or "d", part)
        answer.lack(~part.ranges.some, "absent")
        return answer

    return _sure(found).settle(waited, variable.window)


def _sure(found: Found) -> Series:
    """Return the points; whoever has one in doubt is left to the scalar history."""
    series = found.but(~found.doubt).series()
    series.untidy.ask(found.person[found.doubt], found.known[found.doubt])
    return series


def _adherence(shard: Shard, variable: Variable) -> Answer:
    """The proportion of days covered: by dispenses, or where there is none, by prescriptions."""
    handed, ordered = (
        _Fills(shard.occurred(frozenset({kind}), variable.codes), variable.decimals)
        for kind in ("dispense", "request")
    )
    answer = handed.series.settle(handed.covered, variable.window)
    by_order = ordered.series.settle(ordered.covered, variable.window)
    instead = ~handed.series.settle(_some).values
    answer.fill(
        np.flatnonzero(instead),
        Answer(by_order.values[instead], by_order.reasons[instead], by_order.doubt[instead]),
    )
    # an untidy dispense may be the one there is
    answer.doubt |= handed.series.untidy.doubt(shard.rows)
    return answer


class _Fills:
    """Fills of one kind, in the order in which they are used up."""

    def __init__(self, found: Found, decimals: int) -> None:
        days = found.columns.days[found.at]
        supplied = found.but(days > 0)
        self.series = _sure(supplied)
        self.decimals = decimals
        begin = self.series.begin
        self.begin = np.arange(len(self.series.points)) if begin is None else begin
        self.days = supplied.columns.days[self.series.events]
        if begin is not None:
            point = np.repeat(np.arange(len(begin)), self.series.weights)
            self.days = self.days[np.lexsort((self.days, point))]
        self.start = np.repeat(self.series.points.start, self.series.weights)

    def covered(self, part: Part) -> Answer:
        """Return the share of days covered; the same steps as for one person, for all at once."""
        weights = self.series.weights
        if part.places is None:
            fills = np.arange(len(self.days))
        else:
            begin, weights = self.begin[part.places], weights[part.places]
            fills, _ = spread(begin, begin + weights)
        before = before_each(weights)
        lo, hi = before[part.ranges.lo], before[part.ranges.hi]
        first = np.where(hi > lo, _at(self.start, _at(fills, lo)), part.as_of)
        days = (part.as_of - first) // DAY
        answer = Answer(self._share(fills, (lo, hi), first, days))
        answer.lack(days < 1, "absent")
        if part.points.repeats is not None:
            repeats = part.points.repeats
            answer.doubt |= repeats[part.ranges.hi] > repeats[part.ranges.lo]
        return answer

    def _share(
        self, fills: Index, ranges: tuple[Index, Index], first: Longs, days: Longs
    ) -> Floats:
        lo, hi = ranges
        covered, free_from = np.zeros(len(lo)), np.zeros(len(lo))
        left: Bools = (hi > lo) & (days >= 1)
        at = np.flatnonzero(left)
        step = 0
        while len(at):
            fill = fills[lo[at] + step]
            begin = np.maximum((self.start[fill] - first[at]) / DAY, free_from[at])
            free_from[at] = begin + self.days[fill]
            gain = np.minimum(free_from[at], days[at]) - np.minimum(begin, days[at])
            covered[at] += np.maximum(0.0, gain)
            step += 1
            at = at[lo[at] + step < hi[at]]
        return rounded_all(covered / np.maximum(days, 1), self.decimals)


def _at(column: Longs, places: Index) -> Longs:
    """Return what stands at some places; anything for a place beyond the end."""
    if not len(column):
        return np.zeros(len(places), dtype=column.dtype)
    return column[np.minimum(places, len(column) - 1)]
