"""Everything that several variables ask of one set of events and decision points, found once."""

from collections.abc import Collection
from functools import cached_property

import numpy as np

from cds_engine.history.event import EventKind
from cds_engine.history.select import VOID
from cds_engine.history.table.clock import Clock, Index
from cds_engine.history.table.columns import (
    DAY_PRECISION,
    KINDS,
    NEVER,
    NOTHING,
    Bools,
    EventTable,
    Longs,
    Occurrences,
)
from cds_engine.history.table.points import is_vague, same_as_before
from cds_engine.history.table.rows import Memory, Rows
from cds_engine.history.table.series import Series
from cds_engine.history.table.tidy import untidy_from
from cds_engine.history.table.untidy import Untidy


class Shard:
    """The events of a number of persons, and their decision points in order.

    Args:
        table: the events.
        rows: decision points in rising order.
        clock: of all times.
    """

    def __init__(self, table: EventTable, rows: Rows, clock: Clock) -> None:
        self.table = table
        self.rows = rows
        self.clock = clock
        self.memory = Memory()

    @cached_property
    def observed_untidy(self) -> Longs | None:
        """From when on the source of each observation is untidy."""
        return untidy_from(self.table, self.table.observations)

    @cached_property
    def occurred_untidy(self) -> Longs | None:
        """From when on the source of each other event is untidy."""
        return untidy_from(self.table, self.table.occurrences)

    @cached_property
    def coded(self) -> Bools:
        """Which groups of codes have a code at all."""
        return np.array([bool(group) for group in self.table.code_groups], dtype=np.bool_)

    def with_codes(self, codes: Collection[str]) -> Bools:
        """Say of each group of codes whether it has one of these; without codes all have."""
        if not codes:
            return np.ones(len(self.table.code_groups), dtype=np.bool_)
        wanted = frozenset(codes)
        found = [not wanted.isdisjoint(group) for group in self.table.code_groups]
        return np.array(found, dtype=np.bool_)

    def observed(self, codes: Collection[str], statuses: Collection[str]) -> Series:
        """Return the readings with one of the codes and one of the statuses, in order."""
        key = ("observed", frozenset(codes), frozenset(statuses))
        return self.memory.once(key, lambda: self._observed(codes, statuses))

    def _observed(self, codes: Collection[str], statuses: Collection[str]) -> Series:
        columns, since = self.table.observations, self.observed_untidy
        right = self.with_codes(codes)
        accepted = np.array([one in statuses for one in self.table.statuses], dtype=np.bool_)
        chosen = np.ones(len(columns), dtype=np.bool_) if right.all() else right[columns.codes]
        asked = chosen
        if not accepted.all():
            chosen = chosen & accepted[columns.status]
        valued = columns.form != NOTHING
        if not valued.all():
            chosen = chosen & valued
        series = Series(
            self.clock, self.rows, columns, None if chosen.all() else np.flatnonzero(chosen)
        )
        if since is not None:
            # a version that is not accepted may stand for one that is, or the other way round
            series.untidy.ask(columns.person[asked], since[asked])
        return series

    def occurred(
        self, kinds: Collection[EventKind], codes: Collection[str], *, uncoded: bool = False
    ) -> "Found":
        """Return the other events of some kinds with one of the codes, or with none if wanted."""
        key = ("occurred", frozenset(kinds), frozenset(codes), uncoded)
        return self.memory.once(key, lambda: self._occurred(kinds, codes, uncoded=uncoded))

    def _occurred(
        self, kinds: Collection[EventKind], codes: Collection[str], *, uncoded: bool
    ) -> "Found":
        columns, since = self.table.occurrences, self.occurred_untidy
        right = np.array([kind in kinds for kind in KINDS], dtype=np.bool_)
        wanted = self.with_codes(codes)
        if uncoded:
            wanted |= ~self.coded
        asked = right[columns.kind] & wanted[columns.codes]
        void = np.array([status in VOID for status in self.table.statuses], dtype=np.bool_)
        untidy = None if since is None else (columns.person[asked], since[asked])
        return Found(self, np.flatnonzero(asked & ~void[columns.status]), untidy)


class Found:
    """Events other than observations that a variable is read from, in no order.

    Attributes:
        at: their rows.
        person, start, end: whose they are, and the first and last instant of each.
        recorded: when the record came to know them.
        known: when they can first count, once they have begun and are recorded.
    """

    def __init__(self, shard: Shard, at: Index, asked: tuple[Longs, Longs] | None) -> None:
        columns = shard.table.occurrences
        self.shard = shard
        self.at = at
        self.person, self.start, self.end = (
            columns.person[at], columns.start[at], columns.end[at],
        )  # fmt: skip
        self.recorded = columns.recorded[at]
        self.known = np.maximum(self.start, self.recorded)
        self._asked = asked

    def but(self, keep: Bools) -> "Found":
        """Return those for which a mask holds."""
        return Found(self.shard, self.at[keep], self._asked)

    def untidy(self) -> Untidy:
        """Return who is left to the scalar history because of where the events come from."""
        untidy = Untidy(self.shard.clock.persons)
        if self._asked is not None:
            untidy.ask(*self._asked)
        return untidy

    def series(self) -> Series:
        """Return them as points."""
        series = Series(self.shard.clock, self.shard.rows, self.columns, self.at)
        if self._asked is not None:
            series.untidy.ask(*self._asked)
        return series

    def has_status(self, *statuses: str) -> Bools:
        """Say which have one of these statuses."""
        wanted = [status in statuses for status in self.shard.table.statuses]
        found: Bools = np.array(wanted, dtype=np.bool_)[self.columns.status[self.at]]
        return found

    @property
    def columns(self) -> Occurrences:
        """All columns, of which ``at`` says the rows."""
        return self.shard.table.occurrences

    @cached_property
    def doubt(self) -> Bools:
        """Which the record itself calls unconfirmed."""
        doubt: Bools = self.columns.doubt[self.at]
        return doubt

    @cached_property
    def coded(self) -> Bools:
        """Which have a code at all."""
        coded: Bools = self.shard.coded[self.columns.codes[self.at]]
        return coded

    @cached_property
    def ended(self) -> Bools:
        """Which the record calls over."""
        return self.columns.ended[self.at]

    @cached_property
    def until_start(self) -> Longs:
        """The first instant at which each may have ended; NEVER where none is known."""
        return self.columns.until_start[self.at]

    @cached_property
    def until_end(self) -> Longs:
        """The last instant at which each may have ended; NEVER where none is known."""
        return self.columns.until_end[self.at]

    def source_again(self) -> Bools:
        """Say which share their source with another one of the same person."""
        source = self.columns.source[self.at]
        order = np.lexsort((source, self.person))
        same = same_as_before(self.person[order], source[order])
        again = np.empty_like(same)
        again[order] = same
        return again

    @cached_property
    def has_end(self) -> Bools:
        """Which have a time at which they ended."""
        has_end: Bools = self.until_start != NEVER
        return has_end

    @cached_property
    def vague(self) -> Bools:
        """Which are not dated to the day."""
        return is_vague(self.columns, self.at)

    @cached_property
    def daily(self) -> Bools:
        """Of which only the day is known."""
        daily: Bools = self.columns.precision[self.at] == DAY_PRECISION
        return daily
