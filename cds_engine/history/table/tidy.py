"""A source that says one thing, once, is tidy; of any other the scalar history decides what counts.

A source becomes untidy only when the record knows the second of the things it says. Until then
what comes later does not exist.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cds_engine.history.select import VOID
from cds_engine.history.table.clock import Index
from cds_engine.history.table.columns import NEVER, Bools, Columns, EventTable, Longs
from cds_engine.history.table.points import same_as_before

_ODD = np.uint64(0x9E3779B97F4A7C15)


def untidy_from(table: EventTable, columns: Columns) -> Longs | None:
    """Return the instant from which each event's source is untidy; None if all are always tidy.

    Untidy is a source with several versions, with several times of recording, one that is taken
    back in one copy and stands in another, or one that says the same thing twice; and whatever the
    columns cannot hold.
    """
    since: Longs | None = None
    if columns.untidy.any():
        since = np.where(columns.untidy, columns.recorded, NEVER)
    several = _several(table, columns)
    if several is None:
        return since
    rows, instants = several
    if since is None:
        since = np.full(len(columns), NEVER, dtype=np.int64)
    since[rows] = np.minimum(since[rows], instants)
    return since


def is_void(table: EventTable, columns: Columns) -> Bools:
    """Say of each event whether it takes its source back."""
    void = np.array([status in VOID for status in table.statuses], dtype=np.bool_)
    return void[columns.status] if void.any() else np.zeros(len(columns), dtype=np.bool_)


def _several(table: EventTable, columns: Columns) -> tuple[Longs, Longs] | None:
    """Return the events of sources that say several things, and from when they do."""
    mixed = _mixed(columns.source, columns.person)
    if not _has_equals(mixed):
        return None
    order = np.argsort(mixed)
    mixed = mixed[order]
    group = np.zeros(len(order), dtype=np.int64)
    np.cumsum(mixed[1:] != mixed[:-1], out=group[1:])
    said = _Said(
        group,
        columns.recorded[order],
        columns.version[order],
        is_void(table, columns)[order],
        columns.codes[order],
    )
    strange = said.strange()
    if not strange.any():
        return None
    at = np.flatnonzero(strange[group])
    return order[at], said.take(at).since()


@dataclass(frozen=True, slots=True)
class _Said:
    """What sources say, the events of each source together; each source is a group."""

    group: Longs
    recorded: Longs
    version: Longs
    void: Bools
    codes: NDArray[np.int32]

    def take(self, at: Index) -> "_Said":
        return _Said(
            self.group[at], self.recorded[at], self.version[at], self.void[at], self.codes[at]
        )

    def strange(self) -> Bools:
        """Say of each group whether it says more than one thing, or one thing twice."""
        differs = self._differ(slice(1, None), slice(None, -1))
        differs &= self.group[1:] == self.group[:-1]
        strange = np.zeros(int(self.group[-1]) + 1, dtype=np.bool_)
        strange[self.group[1:][differs]] = True
        if _has_equals(_mixed(self.group, self.codes.astype(np.int64))):
            strange[self._repeating()] = True
        return strange

    def since(self) -> Longs:
        """Return for each event from when its group is strange."""
        order = np.lexsort((self.recorded, self.group))
        first = ~same_as_before(self.group[order])
        start = np.flatnonzero(first)
        place = np.cumsum(first) - 1
        other = self._differ(order, order[start][place])
        second = np.minimum.reduceat(np.where(other, self.recorded[order], NEVER), start)
        result = np.empty(len(order), dtype=np.int64)
        result[order] = second[place]
        repeating = np.isin(self.group, self._repeating())
        return np.where(repeating, np.minimum(result, self.recorded), result)

    def _differ(self, one: Index | slice, other: Index | slice) -> Bools:
        """Say of pairs whether they are of different versions, in any way."""
        differs: Bools = self.recorded[one] != self.recorded[other]
        differs |= self.version[one] != self.version[other]
        differs |= self.void[one] != self.void[other]
        return differs

    def _repeating(self) -> Longs:
        """Return the groups that say one thing twice in one version."""
        order = np.lexsort((self.codes, self.void, self.version, self.recorded, self.group))
        ordered = self.take(order)
        again = same_as_before(ordered.group, ordered.codes)
        again[1:] &= ~ordered._differ(slice(1, None), slice(None, -1))
        return np.unique(ordered.group[again])


def _mixed(one: Longs, other: Longs) -> NDArray[np.uint64]:
    """Return a number that is the same where both are, and seldom elsewhere."""
    mixed = one.astype(np.uint64) * _ODD
    mixed ^= mixed >> np.uint64(29)
    mixed += other.astype(np.uint64)
    mixed *= _ODD
    mixed ^= mixed >> np.uint64(32)
    return mixed


def _has_equals(numbers: NDArray[np.uint64]) -> bool:
    ordered = np.sort(numbers)
    return bool((ordered[1:] == ordered[:-1]).any())
