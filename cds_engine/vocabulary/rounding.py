"""A number is rounded as the decimal it was recorded as, and half goes away from zero.

The recorded decimal of a float is the shortest one that reads back as it: 5.55 is 5.55 here, though
the nearest float lies a little below, and becomes 5.6. docs/decisions/0009 says why.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

NEAR_HALF = 2.0**-50
"""How near to a half, as a share of the scaled number, plain arithmetic may be wrong: the float is
off from its decimal by 2**-53 of it at most, and scaling it by as much again."""
WIDE = 2.0**50
"""Above it a scaled number has no room left for a half in a float."""

_WHOLE = 2.0**53
"""From here on every float is a whole number."""

_EXACT = Context(prec=400, rounding=ROUND_HALF_UP)


def rounded(value: float, digits: int) -> float:
    """Round to ``digits`` decimals, half away from zero; what is not finite stays as it is.

    >>> rounded(5.55, 1), rounded(2.675, 2), rounded(-0.5, 0), rounded(0.04, 1)
    (5.6, 2.68, -1.0, 0.0)
    """
    scale = 10.0**digits
    scaled = value * scale
    size = abs(scaled)
    if size < WIDE:
        nearest = round(scaled)
        if abs(abs(scaled - nearest) - 0.5) > size * NEAR_HALF:
            return nearest / scale + 0.0
    elif not abs(value) < _WHOLE:
        return value + 0.0  # it has no decimals, or is not finite
    return rounded_decimal(decimal_of(value), digits)


def decimal_of(value: float) -> Decimal:
    """Return the shortest decimal that reads back as ``value``."""
    return Decimal(float.__repr__(value))


def rounded_decimal(exact: Decimal, digits: int) -> float:
    """Round an exact decimal to ``digits`` decimals, half away from zero."""
    return float(exact.quantize(Decimal(1).scaleb(-digits), context=_EXACT)) + 0.0


def rounded_mean(values: Sequence[float], digits: int) -> float:
    """Return the mean of recorded decimals, rounded once; an infinite value makes it infinite.

    >>> rounded_mean([5.5, 5.6], 1), rounded_mean([0.1, 0.2], 1)
    (5.6, 0.2)
    """
    scale = 10.0**digits
    total, count = 0, len(values)
    for value in values:
        scaled = value * scale
        if not abs(scaled) < WIDE or (nearest := round(scaled)) / scale != value:
            return _long_mean(values, digits)
        total += nearest
    size = (2 * abs(total) + count) // (2 * count)
    return (size if total >= 0 else -size) / scale + 0.0


def linear(value: float, factor: float, offset: float) -> float:
    """Return the float nearest to ``value * factor + offset``, each taken as its decimal.

    >>> linear(1.1, 3.0, 0.0), 1.1 * 3.0
    (3.3, 3.3000000000000003)
    """
    if not abs(value) < _WHOLE:
        return value * factor + offset
    product = _EXACT.multiply(decimal_of(value), decimal_of(factor))
    return float(_EXACT.add(product, decimal_of(offset)))


def _long_mean(values: Sequence[float], digits: int) -> float:
    """Return the mean of numbers that are very large, or have more decimals than are kept."""
    total = Decimal(0)
    for value in values:
        total = _EXACT.add(total, decimal_of(value))
    if not total.is_finite():
        return float(total)
    return rounded_decimal(_EXACT.divide(total, Decimal(len(values))), digits)
