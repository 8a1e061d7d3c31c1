"""Whether anything holds at an instant, and what was first, for all decision points at once."""

import numpy as np

from cds_engine.history.table.clock import Clock, Index, Timeline
from cds_engine.history.table.columns import Bools, Longs
from cds_engine.history.table.points import counted
from cds_engine.history.table.rows import Rows


def holds(clock: Clock, rows: Rows, person: Longs, begin: Longs, stop: Longs) -> Bools:
    """Say in which rows at least one of several spells of the person has begun and not stopped."""
    real = begin < stop
    begun, stopped = (_happened(clock, rows, person[real], time[real]) for time in (begin, stop))
    found: Bools = begun > stopped
    return found


def _happened(clock: Clock, rows: Rows, person: Longs, time: Longs) -> Index:
    """Return how many of the person's instants are over in each row."""
    order = clock.order(person, time)
    line = Timeline(clock, person[order], time[order])
    return line.upto(rows.person, rows.as_of) - line.first[rows.person]


class Firsts:
    """When the first of several things was, as far as it was known at an instant.

    Args:
        clock: of all times.
        person: whose they are.
        known: when each can first count.
        start, end: first and last instant of each.
        vague: which are not dated to the day.
        daily: of which only the day is known.
    """

    def __init__(
        self,
        clock: Clock,
        person: Longs,
        known: Longs,
        times: tuple[Longs, Longs],
        vague: Bools,
        daily: Bools,
    ) -> None:
        order = clock.order(person, known)
        person = person[order]
        start, end = (time[order] for time in times)
        self._line = Timeline(clock, person, known[order])
        at_first = _running_first(person, start)
        self._start = start[at_first]
        self._daily = daily[order][at_first]
        self._end = end[_running_first(person, end)]
        self._vague = counted(vague[order])

    def at(self, rows: Rows) -> "First":
        """Return what was first in each row."""
        place = self._line.upto(rows.person, rows.as_of)
        begin = self._line.first[rows.person]
        some = place > begin
        last = np.where(some, place - 1, 0)
        if not len(self._start):
            nothing = np.zeros(len(rows), dtype=np.int64)
            return First(some, nothing, nothing, some, some)
        vague = np.zeros(len(rows), dtype=np.bool_)
        if self._vague is not None:
            vague = self._vague[place] > self._vague[begin]
        return First(
            some,
            np.where(some, self._start[last], 0),
            np.where(some, self._end[last], 0),
            vague,
            some & self._daily[last],
        )


class First:
    """What was first, a row each.

    Attributes:
        some: where there is anything.
        start, end: the first and the last instant at which the first may have been.
        vague: where one of several is not dated to the day.
        daily: where only its day is known.
    """

    __slots__ = ("daily", "end", "some", "start", "vague")

    def __init__(self, some: Bools, start: Longs, end: Longs, vague: Bools, daily: Bools) -> None:
        self.some, self.start, self.end = some, start, end
        self.vague, self.daily = vague, daily


def _running_first(person: Longs, time: Longs) -> Index:
    """Return the place of the earliest time so far of each person; persons are in order."""
    # ranked so that later persons, and of one person earlier times, stand higher
    order = np.lexsort((-time, person))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return order[np.maximum.accumulate(rank)]
