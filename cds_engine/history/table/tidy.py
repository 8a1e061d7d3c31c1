"""A source that says one thing, once, is tidy; of any other the scalar history decides what counts.

A source becomes untidy only when the record knows the second of the things it says. Until then
what comes later does not exist.
"""

import numpy as np
from numpy.typing import NDArray

from cds_engine.history.select import VOID
from cds_engine.history.table.columns import NEVER, Bools, Columns, EventTable, Longs

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
    twice = _has_equals(_mixed(mixed.view(np.int64), columns.codes.astype(np.int64)))
    order = np.argsort(mixed)
    mixed = mixed[order]
    same = mixed[1:] == mixed[:-1]
    void = is_void(table, columns)[order]
    version, recorded = columns.version[order], columns.recorded[order]
    differs = same & (
        (version[1:] != version[:-1]) | (recorded[1:] != recorded[:-1]) | (void[1:] != void[:-1])
    )
    group = np.zeros(len(order), dtype=np.int64)
    np.cumsum(~same, out=group[1:])
    repeated = _repeated(group, columns.codes[order].astype(np.int64)) if twice else None
    strange = np.zeros(int(group[-1]) + 1, dtype=np.bool_)
    strange[group[1:][differs]] = True
    if repeated is not None:
        strange[repeated] = True
    if not strange.any():
        return None
    at = np.flatnonzero(strange[group])
    since = _second(group[at], recorded[at], version[at], void[at])
    if repeated is not None:
        at_once = np.isin(group[at], repeated)
        since = np.where(at_once, np.minimum(since, recorded[at]), since)
    return order[at], since


def _second(group: Longs, recorded: Longs, version: Longs, void: Bools) -> Longs:
    """Return for each event when its group said a second thing."""
    order = np.lexsort((recorded, group))
    group, recorded = group[order], recorded[order]
    version, void = version[order], void[order]
    first = np.ones(len(group), dtype=np.bool_)
    first[1:] = group[1:] != group[:-1]
    start = np.flatnonzero(first)
    head = np.repeat(start, np.diff(np.append(start, len(group))))
    other = (recorded != recorded[head]) | (version != version[head]) | (void != void[head])
    second = np.minimum.reduceat(np.where(other, recorded, NEVER), start)
    result = np.empty(len(group), dtype=np.int64)
    result[order] = second[np.cumsum(first) - 1]
    return result


def _repeated(group: Longs, codes: Longs) -> Longs:
    """Return the groups in which one group of codes stands twice."""
    order = np.lexsort((codes, group))
    group, codes = group[order], codes[order]
    again = (group[1:] == group[:-1]) & (codes[1:] == codes[:-1])
    return np.unique(group[1:][again])


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
