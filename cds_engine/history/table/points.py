"""Points are the times at which something is on record, in order of person and time.

What is equal in person, start, end and in when it was known is one point. Of one person points do
not overlap: a date and a clock time of the same day cannot be told apart, so from the first such
pair on the person is left to the scalar history, as is who has something that is not dated to the
day or comes from an untidy source.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cds_engine.history.table.clock import Index
from cds_engine.history.table.columns import DAY_PRECISION, Bools, Columns, Longs

PIECE = 4_000_000
"""Points that are looked at together where every one of a window counts; bounds the memory."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Which points count in each row: those from ``lo`` up to but without ``hi``.

    Attributes:
        first: where the person's points begin; what lies before ``lo`` is older.
    """

    first: Index
    lo: Index
    hi: Index

    @property
    def count(self) -> Index:
        """How many points count."""
        return self.hi - self.lo

    @property
    def some(self) -> Bools:
        """Where any does."""
        found: Bools = self.hi > self.lo
        return found

    @property
    def last(self) -> Index:
        """The last that counts; 0 where none does."""
        return np.where(self.some, self.hi - 1, 0)

    def pieces(self, least: int = 1) -> Iterator[Index]:
        """Yield the rows with ``least`` points or more, in pieces of bounded work."""
        count = self.count
        rows = np.flatnonzero(count >= least)
        if len(rows):
            piece = np.cumsum(count[rows]) // PIECE
            yield from np.split(rows, np.flatnonzero(np.diff(piece)) + 1)


class Points:
    """Times in order.

    Args:
        start, end: first and last instant of each.
        again: where the point before has the same time and was known earlier.
        daily: where only the day is known.
    """

    def __init__(self, start: Longs, end: Longs, again: Bools, daily: Bools) -> None:
        self.start, self.end, self.again, self.daily = start, end, again, daily

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: Index) -> "Points":
        """Return some of the points."""
        return Points(self.start[index], self.end[index], self.again[index], self.daily[index])

    @cached_property
    def repeats(self) -> Index | None:
        """How many of the points before each repeat another's time; None if none does."""
        return counted(self.again)


def pick(column: NDArray[Any], at: Index) -> NDArray[Any]:
    """Return what stands at some places; zeros where the column is empty."""
    return column[at] if len(column) else np.zeros(len(at), dtype=column.dtype)


def spread(lo: Index, hi: Index) -> tuple[Index, Index]:
    """Return all places of several ranges, one range after the other, and where each begins."""
    length = hi - lo
    start = np.zeros(len(lo), dtype=np.intp)
    np.cumsum(length[:-1], out=start[1:])
    places = np.arange(int(length.sum()), dtype=np.intp)
    places += np.repeat(lo - start, length)
    return places, start


def is_vague(columns: Columns, chosen: Index | None) -> Bools:
    """Say of each event whether it is not dated to the day."""
    precision = taken(columns.precision, chosen)
    vague: Bools = precision > DAY_PRECISION
    lasting = taken(columns.start, chosen) != taken(columns.end, chosen)
    vague |= (precision < DAY_PRECISION) & lasting
    return vague


def same_as_before(*columns: NDArray[Any]) -> Bools:
    """Say of each row whether it equals the one before in all columns; the first does not."""
    same = np.zeros(len(columns[0]), dtype=np.bool_)
    if len(same):
        same[1:] = columns[0][1:] == columns[0][:-1]
        for column in columns[1:]:
            same[1:] &= column[1:] == column[:-1]
    return same


def counted(mask: Bools) -> Index | None:
    """Return how often a mask holds before each row, and in all at the end; None if nowhere."""
    return before_each(mask) if mask.any() else None


def before_each(numbers: NDArray[Any]) -> Index:
    """Return the sum of all numbers before each, and of all at the end."""
    before = np.zeros(len(numbers) + 1, dtype=np.int64)
    np.cumsum(numbers, out=before[1:])
    return before


def taken(column: NDArray[Any], chosen: Index | None) -> NDArray[Any]:
    """Return some rows of a column; all of them without a choice."""
    return column if chosen is None else column[chosen]
