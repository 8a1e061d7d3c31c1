"""Names of resources are remembered as 64 bits each, worked out for many of them at once.

Equal names share their bits. Different ones seldom do, which costs time and changes nothing.
"""

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ROOM = 2**17
"""Bytes of names that are worked on at once."""

_BASE = 0xF1357AEA2E62A9C5
_INVERSE = pow(_BASE, -1, 2**64)
_HELD = 4_096

Hashes = NDArray[np.uint64]


def _powers(base: int) -> Hashes:
    steps = np.full(_ROOM, base, dtype=np.uint64)
    steps[0] = 1
    return np.cumprod(steps, dtype=np.uint64)


_UP, _DOWN = _powers(_BASE), _powers(_INVERSE)


def name_hashes(names: Sequence[str], before: str = "") -> Hashes:
    """Return 64 bits for each name, each with the same text ``before`` it.

    It is a polynomial of the bytes at an odd base modulo 2**64: sums from the start of the text to
    each place, of which the part of one name is a difference, shifted to where a name starts.
    """
    text = (before + f"\n{before}".join(names)).encode() if names else b""
    if len(text) > _ROOM and len(names) > 1:
        half = len(names) // 2
        parts = (name_hashes(names[:half], before), name_hashes(names[half:], before))
        return np.concatenate(parts)
    data = np.frombuffer(text[:_ROOM], np.uint8)
    cuts = np.flatnonzero(data == ord("\n"))
    if len(names) == 1:
        cuts = cuts[:0]
    elif len(cuts) != len(names) - 1:
        # some name holds a line feed itself
        return np.concatenate([name_hashes([name], before) for name in names] or [_NONE])
    sums = np.zeros(len(data) + 1, dtype=np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * _UP[: len(data)], out=sums[1:])
    starts = np.concatenate([np.zeros(1, dtype=np.intp), cuts + 1])
    ends = np.append(cuts, len(data))
    found: Hashes = (sums[ends] - sums[starts]) * _DOWN[np.minimum(starts, _ROOM - 1)]
    return found


_NONE = np.empty(0, dtype=np.uint64)


class Held:
    """Hashes among which others are looked up, many at a time.

    Nearly all of the others are not among them, which a table of bits tells without a search.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._hashes = np.sort(hashes)
        bits = max(10, min(_MOST_BITS, len(hashes).bit_length() + 4))
        self._shift = np.uint64(64 - bits)
        self._marked = np.zeros(2**bits, dtype=np.bool_)
        self._marked[self._slots(self._hashes)] = True

    def among(self, others: Hashes) -> Hashes:
        """Return those of the others that are held too, in any order and perhaps several times."""
        found = [_NONE]
        for start in range(0, len(others), _LOOKED_UP):
            some = np.asarray(others[start : start + _LOOKED_UP])
            likely = some[self._marked[self._slots(some)]]
            place = np.searchsorted(self._hashes, likely)
            place[place == len(self._hashes)] = 0
            found.append(likely[self._hashes[place] == likely] if len(self._hashes) else _NONE)
        return np.concatenate(found)

    def _slots(self, hashes: Hashes) -> Hashes:
        return (hashes * _SPREAD) >> self._shift


_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_MOST_BITS = 28
_LOOKED_UP = 2**19
"""Hashes that are looked up at once."""


class NameList:
    """Names in the order in which they came, eight bytes each."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._held: list[str] = []

    def add(self, name: str) -> None:
        """Add one name."""
        self._held.append(name)
        if len(self._held) >= _HELD:
            self._settle()

    def extend(self, names: Sequence[str], before: str) -> None:
        """Add many names, each with the same text before it."""
        self._hashes.frombytes(name_hashes(names, before).tobytes())

    def hashes(self) -> Hashes:
        """Return all of them."""
        self._settle()
        return np.array(self._hashes, dtype=np.uint64)

    def _settle(self) -> None:
        self.extend(self._held, "")
        self._held.clear()
