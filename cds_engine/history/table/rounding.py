"""Columns of numbers are rounded as single ones are, by whole numbers of the last decimal kept.

Plain arithmetic rounds all but the few numbers that lie so near to a half that it might err; those
are left to ``vocabulary.rounding``.
"""

import numpy as np

from cds_engine.history.table.columns import Bools, Floats, Longs
from cds_engine.vocabulary.rounding import rounded

LARGEST = 2.0**44
"""A rounded number counts here only if it is smaller than so many of its last decimal. Then a
million of them can be added up, and doubled, in 64 bits."""

_NEAR_HALF = 2.0**-47
"""How near to a half, as a share of the scaled number, arithmetic of a few steps may be wrong."""


def scaled(values: Floats, digits: int, size: Floats | None = None) -> tuple[Longs, Bools, Bools]:
    """Return the rounded numbers as whole numbers of the last decimal, and two masks.

    Args:
        values: numbers.
        digits: decimals to keep.
        size: what the numbers were computed from, if that was larger than they are.

    Returns:
        The whole numbers; where they may be off by one, being near to a half; and where there is
        none, since the number is too large or is not finite (0 stands there).
    """
    scale = 10.0**digits
    with np.errstate(over="ignore", invalid="ignore"):
        product = values * scale
        large = np.abs(product)
        wide = ~(large < LARGEST)
        nearest = np.rint(product)
        room = large if size is None else np.maximum(large, size * scale)
        near = np.abs(np.abs(product - nearest) - 0.5) <= room * _NEAR_HALF
    if wide.any():
        nearest[wide] = 0.0
        near &= ~wide
    return nearest.astype(np.int64), near, wide


def rounded_all(values: Floats, digits: int) -> Floats:
    """Return every number rounded, to the bit as ``rounded`` does."""
    whole, near, wide = scaled(values, digits)
    result = whole / 10.0**digits + 0.0
    for at in np.flatnonzero(near | wide):
        result[at] = rounded(float(values[at]), digits)
    return result


def mean_of(total: Longs, count: Longs) -> Longs:
    """Return the nearest whole number to ``total / count``, half away from zero."""
    size = (2 * np.abs(total) + count) // (2 * count)
    return np.where(total < 0, -size, size)
