"""A series holds the points of all persons and says which of them count at each decision point.

A point counts once it is recorded. Where a person's points were known in the order of their times,
what counts is a range of them, found by binary search. Where a later one was known before an
earlier one, the known ones are gathered row by row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cds_engine.history.table.answer import Answer
from cds_engine.history.table.calendar import before
from cds_engine.history.table.clock import Clock, Index, Timeline
from cds_engine.history.table.columns import DAY_PRECISION, Bools, Columns, Longs
from cds_engine.history.table.points import (
    Points,
    Ranges,
    is_vague,
    same_as_before,
    spread,
    taken,
)
from cds_engine.history.table.rows import Memory, Rows
from cds_engine.history.table.untidy import Untidy
from cds_engine.vocabulary.time import Duration

_GATHERED = 4_000_000
"""Points that are gathered together where they were not known in the order of their times."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a window ends that does not end at the decision.

    Attributes:
        start, end: the first and the last instant at which its end may be, a row each.
    """

    start: Longs
    end: Longs


@dataclass(frozen=True, slots=True)
class Part:
    """Some decision points, and the points that count for them.

    Attributes:
        rows: which decision points; None for all of them.
        as_of: their instants.
        points: the points that ``ranges`` speaks of.
        places: where these stand in the series; None if they are all of it.
        ranges: which count in each row.
    """

    rows: Index | None
    as_of: Longs
    points: Points
    places: Index | None
    ranges: Ranges


class Series:
    """Points of all persons, and when each was known.

    Args:
        clock: of all times.
        rows: the decision points.
        columns: events.
        chosen: which of them; None for all.

    Attributes:
        events: the events that the points are made of, point by point.
        begin: where each point begins among the events; None where every event is a point.
        points: the times.
        untidy: who is left to the scalar history.
    """

    def __init__(self, clock: Clock, rows: Rows, columns: Columns, chosen: Index | None) -> None:
        self.clock, self.rows = clock, rows
        self.untidy = Untidy(clock.persons)
        self._memory = Memory()
        person = taken(columns.person, chosen)
        known = np.maximum(taken(columns.start, chosen), taken(columns.recorded, chosen))
        vague = is_vague(columns, chosen)
        if vague.any():
            self.untidy.ask(person[vague], known[vague])
            clear = np.flatnonzero(~vague)
            chosen = clear if chosen is None else chosen[clear]
            person, known = person[clear], known[clear]
        self._lay_out(columns, chosen, person, known)

    def settle(
        self,
        compute: Callable[[Part], Answer],
        window: Duration | None = None,
        anchor: Anchor | None = None,
    ) -> Answer:
        """Return what ``compute`` makes of the points that count in each row.

        Args:
            compute: called once with all decision points, and again with those for which the
                first answer is wrong because their points were not known in the order of time.
            window: how far back points count; None for ever.
            anchor: where the window ends; at the decision if None.
        """
        whole, scattered = self._whole(window, anchor)
        answer = compute(whole)
        if scattered is not None:
            for at in self._pieces(scattered):
                answer.fill(at, compute(self._gathered(at, window, anchor)))
        answer.doubt |= self.untidy.doubt(self.rows)
        return answer

    @cached_property
    def weights(self) -> Index:
        """How many events each point is made of."""
        if self.begin is None:
            return np.ones(len(self.points), dtype=np.int64)
        return np.diff(np.append(self.begin, len(self.events)))

    def _lay_out(self, columns: Columns, chosen: Index | None, person: Longs, known: Longs) -> None:
        start = taken(columns.start, chosen)
        daily: Bools = taken(columns.precision, chosen) == DAY_PRECISION
        days = bool(daily.any())
        end = taken(columns.end, chosen) if days else start
        order = self.clock.order(person, start, *((end,) if days else ()), known)
        person, start, known, daily = person[order], start[order], known[order], daily[order]
        end = end[order] if days else start
        self.events = order if chosen is None else chosen[order]
        same_time = same_as_before(person, start, end)
        one = same_time & same_as_before(known)
        self.begin: Index | None = None
        if one.any():
            self.begin = at = np.flatnonzero(~one)
            person, known, same_time = person[at], known[at], same_time[at]
            start, daily = start[at], daily[at]
            end = end[at] if days else start
        self._person, self._known = person, known
        self.points = Points(start, end, same_time, daily)
        if days:
            self._ask_about_overlaps(same_time)

    def _ask_about_overlaps(self, same_time: Bools) -> None:
        """Leave a person to the scalar history from the first pair on that overlaps."""
        start, end, person = self.points.start, self.points.end, self._person
        overlaps = (person[1:] == person[:-1]) & (start[1:] <= end[:-1]) & ~same_time[1:]
        self.untidy.ask(person[:-1][overlaps], start[:-1][overlaps])

    def _whole(self, window: Duration | None, anchor: Anchor | None) -> tuple[Part, Index | None]:
        """Return all rows with their ranges, and the rows that know more than those."""
        if anchor is not None:
            return self._ranged(window, anchor)
        return self._memory.once(("whole", window), lambda: self._ranged(window, None))

    def _ranged(self, window: Duration | None, anchor: Anchor | None) -> tuple[Part, Index | None]:
        person, as_of = self.rows.person, self.rows.as_of
        hi, scattered = self._memory.once("known", self._known_by)
        if anchor is not None:
            hi = np.minimum(hi, self._starts.upto(person, anchor.end))
        first = lo = self._ends.first[person]
        oldest = self._oldest(window, anchor)
        if oldest is not None:
            lo = np.minimum(self._ends.below(person, oldest), hi)
        return Part(None, as_of, self.points, None, Ranges(first, lo, hi)), scattered

    def _oldest(self, window: Duration | None, anchor: Anchor | None) -> Longs | None:
        """Return the first instant that counts in each row; None where all of the past does."""
        if window is None or anchor is None:
            return self.rows.window_start(window)
        return before(window, anchor.start)

    def _known_by(self) -> tuple[Index, Index | None]:
        """Return how far the points are known without a gap, and the rows that know more."""
        rows = self.rows
        order = self._known_order
        if order is None:
            line = Timeline(self.clock, self._person, self._known)
            return line.upto(rows.person, rows.as_of), None
        rank = np.empty_like(order)
        rank[order] = np.arange(len(rank))
        one_by_one = self._known[order]
        with_all_before = one_by_one[np.maximum.accumulate(rank)]
        place, number = (
            Timeline(self.clock, self._person, time).upto(rows.person, rows.as_of)
            for time in (with_all_before, one_by_one)
        )
        return place, np.flatnonzero(place != number)

    @cached_property
    def _known_order(self) -> Index | None:
        """The order in which each person's points were known; None if it is that of time."""
        person, known = self._person, self._known
        falls = (person[1:] == person[:-1]) & (known[1:] < known[:-1])
        return self.clock.order(person, known) if falls.any() else None

    def _pieces(self, rows: Index) -> list[Index]:
        """Split rows so that each part has a bounded number of points to gather."""
        if not len(rows):
            return []
        first = self._ends.first
        person = self.rows.person[rows]
        piece = np.cumsum(first[person + 1] - first[person]) // _GATHERED
        return np.split(rows, np.flatnonzero(np.diff(piece)) + 1)

    def _gathered(self, at: Index, window: Duration | None, anchor: Anchor | None) -> Part:
        """Return some rows with the points that are known in each, row after row."""
        person, as_of = self.rows.person[at], self.rows.as_of[at]
        first = self._ends.first
        places, _ = spread(first[person], first[person + 1])
        row = np.repeat(np.arange(len(at)), first[person + 1] - first[person])
        counts = self._known[places] <= as_of[row]
        if anchor is not None:
            counts &= self.points.start[places] <= anchor.end[at][row]
        places, row = places[counts], row[counts]
        points = self.points.take(places)
        begin = np.searchsorted(row, np.arange(len(at) + 1))
        lo = begin[:-1]
        oldest = self._oldest(window, anchor)
        if oldest is not None:
            lo = lo + np.bincount(row[points.end < oldest[at][row]], minlength=len(at))
        return Part(at, as_of, points, places, Ranges(begin[:-1], lo, begin[1:]))

    @cached_property
    def _ends(self) -> Timeline:
        return Timeline(self.clock, self._person, self.points.end)

    @cached_property
    def _starts(self) -> Timeline:
        if self.points.end is self.points.start:
            return self._ends
        return Timeline(self.clock, self._person, self.points.start)
