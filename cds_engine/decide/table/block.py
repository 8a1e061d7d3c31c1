"""A block is a few thousand rows, small enough for the cache, with all that is known about them.

What is computed about a block is computed once. A row on which floating point could be wrong, or
in which a number is known only as a span, is marked doubtful: the referee decides it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cds_engine.decide.table.columns import Bools, Column, Table

ROWS = 32_768
"""Rows of a block: few enough that its masks stay in the cache, and enough that numpy's own price
of a call is small beside the work. Measured: 8192 rows took half as long again, 65536 no less."""

Truth = tuple[Bools, Bools]
"""Where a criterion is true, and where it is not false (true or unknown).

Where nothing can be unknown both are one and the same array, so that nothing is done twice.
"""

Index = slice | NDArray[np.intp]


class Part(NamedTuple):
    """One variable's values in a block, and where they are missing (None: nowhere)."""

    values: NDArray[Any]
    missing: Bools | None


class Block:
    """Some rows of a table.

    Attributes:
        index: which rows, as a slice or as row numbers.
        rows: how many.
        known: what was computed about these rows so far.
        doubt: rows that the referee must decide; None while there is none.
    """

    __slots__ = ("doubt", "index", "known", "rows", "table")

    def __init__(self, table: Table, index: Index, rows: int) -> None:
        self.table = table
        self.index = index
        self.rows = rows
        self.known: dict[object, Any] = {}
        self.doubt: Bools | None = None

    def part(self, name: str) -> Part:
        """Return a variable's values; a variable without a column is missing everywhere."""
        found: Part | None = self.known.get(name)
        if found is None:
            found = self.known[name] = self._read(self.table.columns.get(name))
        return found

    def died(self) -> Bools | None:
        """Return who had died; None where nobody had."""
        return None if self.table.deceased is None else self.table.deceased[self.index]

    def choose(self, rows: NDArray[np.intp]) -> "Block":
        """Return a block of some of these rows."""
        index = rows + self.index.start if isinstance(self.index, slice) else self.index[rows]
        return Block(self.table, index, len(rows))

    def row_numbers(self) -> NDArray[np.intp]:
        """Return the table's row numbers of the block's rows."""
        if isinstance(self.index, slice):
            return np.arange(self.index.start, self.index.stop)
        return self.index

    def mark_doubtful(self, rows: Bools) -> None:
        """Leave rows to the referee."""
        self.doubt = rows if self.doubt is None else self.doubt | rows

    def nowhere(self) -> Bools:
        """Return a mask of no row."""
        return np.zeros(self.rows, dtype=np.bool_)

    def everywhere(self) -> Bools:
        """Return a mask of all rows."""
        return np.ones(self.rows, dtype=np.bool_)

    def _read(self, column: Column | None) -> Part:
        if column is None:
            return Part(np.zeros(self.rows), self.everywhere())
        values = column.values[self.index]
        if column.spans:
            spans = np.isin(self.row_numbers(), np.fromiter(column.spans, dtype=np.intp))
            self.mark_doubtful(spans)
            values = np.where(spans, 0.0, values)
        missing = None if column.missing is None else column.missing[self.index]
        return Part(values, missing)
