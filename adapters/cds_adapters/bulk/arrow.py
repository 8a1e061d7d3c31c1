"""Columns become Arrow arrays from their bytes.

Building them from Python objects is as fast, but imports pandas first, which takes each process
of a replay a third of a second and does nothing for it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cds_engine.replay.table import Column, ColumnType

if TYPE_CHECKING:
    Array = pa.Array[Any]

_TEXT = pa.string()
TYPES: Mapping[ColumnType, pa.DataType] = {
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "text": _TEXT,
    "texts": pa.list_(_TEXT),
    "instant": pa.timestamp("us", tz="UTC"),
}
"""Type of a column -> that of its array."""


def array_of(column: Column) -> "Array":
    """Return a column as an Arrow array; None becomes null."""
    values = column.values
    known = np.fromiter((one is not None for one in values), dtype=np.bool_, count=len(values))
    every = bool(known.all())
    return _MAKERS[column.type](values, None if every else _bits(known))


_Valid = pa.Buffer | None
"""One bit a value that is there; None where all are."""


def _numbers(values: Sequence[Any], valid: _Valid) -> "Array":
    return _fixed("number", np.array(values, dtype=np.float64), valid)


def _instants(values: Sequence[Any], valid: _Valid) -> "Array":
    held = np.array([0 if one is None else one for one in values], dtype=np.int64)
    return _fixed("instant", held, valid)


def _fixed(kind: ColumnType, held: NDArray[Any], valid: _Valid) -> "Array":
    return pa.Array.from_buffers(TYPES[kind], len(held), [valid, pa.py_buffer(held.data)])


def _booleans(values: Sequence[Any], valid: _Valid) -> "Array":
    held = _bits(np.array([one is True for one in values], dtype=np.bool_))
    return pa.Array.from_buffers(TYPES["boolean"], len(values), [valid, held])


def _texts(values: Sequence[Any], valid: _Valid) -> "Array":
    held = [one or "" for one in values]
    together = "".join(held)
    data = together.encode()
    # of text that is all ASCII the characters are the bytes
    sizes = map(len, held if len(data) == len(together) else map(str.encode, held))
    buffers = [valid, _offsets(sizes, len(held)), pa.py_buffer(data)]
    return pa.Array.from_buffers(_TEXT, len(held), buffers)


def _lists(values: Sequence[Any], valid: _Valid) -> "Array":
    held = [one or () for one in values]
    inner = array_of(Column("text", list(chain.from_iterable(held))))
    buffers = [valid, _offsets(map(len, held), len(held))]
    return pa.Array.from_buffers(TYPES["texts"], len(held), buffers, children=[inner])


def _offsets(sizes: "map[int]", count: int) -> pa.Buffer:
    """Return where each value begins, and where the last one ends."""
    offsets = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(np.fromiter(sizes, dtype=np.int64, count=count), out=offsets[1:])
    return pa.py_buffer(offsets.data)


def _bits(flags: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little").data)


_MAKERS: Mapping[ColumnType, Callable[[Sequence[Any], _Valid], "Array"]] = {
    "number": _numbers,
    "boolean": _booleans,
    "text": _texts,
    "texts": _lists,
    "instant": _instants,
}
