"""A body in which no object gives a key twice is recognised in bulk, without looking at each object.

``refuse_duplicate_keys`` is exact, but visits every object in Python, and that costs more than
everything else that is done with a body. Here all keys are compared at once as numbers made of
the object they stand in, their length and their first and last eight bytes. Equal keys of one
object give equal numbers, so none is ever missed; where two numbers are equal, or the text is
written in a way that is not handled here, the exact check decides.
"""

import re

import numpy as np
from numpy.typing import NDArray

from cds_adapters.fhir.duplicate_keys import refuse_duplicate_keys

_QUOTE, _COLON, _BACKSLASH, _OPEN, _CLOSE = b'":\\{}'
_WORD = 8
_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(_WORD + 1)], dtype=np.uint64)
# Odd constants with their bits well spread, so that different parts do not cancel out.
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
_spaced_colon = re.compile(rb'"[ \t\r\n]+:').search

Positions = NDArray[np.int64]


def refuse_repeated_keys(data: bytes) -> None:
    """Raise FHIRError if any object in ``data``, which has been read as JSON, has a key twice."""
    if not surely_unique(data):
        refuse_duplicate_keys(data)


def surely_unique(data: bytes) -> bool:
    """Say whether no object has a key twice; False where that is not sure.

    >>> surely_unique(b'{"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}')
    True
    >>> surely_unique(b'{"a": {"b": 1}, "a": 2}')
    False
    """
    if b"\\\\" in data or _spaced_colon(data):
        return False
    text = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    if b"\\" in data:
        quotes = quotes[text[quotes - 1] != _BACKSLASH]
    if len(quotes) == 0 or len(quotes) % 2 or quotes[-1] + 1 >= len(data):
        return False
    starts, ends = quotes[::2], quotes[1::2]
    keys = text[ends + 1] == _COLON
    starts, ends = starts[keys] + 1, ends[keys]
    if len(starts) == 0 or (b"\\" in data and _any_within(text == _BACKSLASH, starts, ends)):
        return False
    objects = _objects(text, quotes, starts)
    return objects is not None and _all_different(_numbers(data, starts, ends, objects))


def _any_within(marked: NDArray[np.bool_], starts: Positions, ends: Positions) -> bool:
    found = np.flatnonzero(marked)
    return bool((np.searchsorted(found, starts) != np.searchsorted(found, ends)).any())


def _objects(text: NDArray[np.uint8], quotes: Positions, starts: Positions) -> Positions | None:
    """Return a number for the object that each key stands in: the last one opened at its depth."""
    braces = np.flatnonzero((text == _OPEN) | (text == _CLOSE))
    braces = braces[np.searchsorted(quotes, braces) % 2 == 0]  # those outside strings
    opened = text[braces] == _OPEN
    depth = np.cumsum(np.where(opened, 1, -1))
    before = np.searchsorted(braces, starts) - 1
    if len(braces) == 0 or before[0] < 0:
        return None
    indices = np.flatnonzero(opened)
    by_depth = np.sort(depth[indices] * len(braces) + indices)
    return np.searchsorted(by_depth, depth[before] * len(braces) + before, side="right")


def _numbers(
    data: bytes, starts: Positions, ends: Positions, objects: Positions
) -> NDArray[np.uint64]:
    words = np.ndarray(len(data), "<u8", data + bytes(_WORD), strides=(1,))
    lengths = ends - starts
    first = words[starts] & _MASKS[np.minimum(lengths, _WORD)]
    last = np.where(lengths > _WORD, words[np.maximum(ends - _WORD, 0)], 0).astype(np.uint64)
    place = (objects.astype(np.uint64) << np.uint64(20)) + lengths.astype(np.uint64)
    mixed: NDArray[np.uint64] = first * _MIX[0] ^ last * _MIX[1] ^ place * _MIX[2]
    return mixed


def _all_different(numbers: NDArray[np.uint64]) -> bool:
    numbers.sort()
    return not bool((numbers[1:] == numbers[:-1]).any())
