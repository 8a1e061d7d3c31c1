"""Figures are written with a stated number of significant digits, so that bytes can be compared."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

DIGITS = 6


def rounded(value: Any, digits: int = DIGITS) -> Any:
    """Return plain data with every number at so many significant digits.

    NaN and infinite numbers become None and the word ``infinite``; whole numbers stay whole.

    >>> rounded({"a": [1234567.0, 0.000123456789, 7, float("nan")]})
    {'a': [1234570.0, 0.000123457, 7, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): rounded(one, digits) for key, one in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, Sequence):
        return [rounded(one, digits) for one in value]
    number = float(value)
    if math.isnan(number):
        return None
    if math.isinf(number):
        return "infinite" if number > 0 else "-infinite"
    return float(f"{number:.{digits}g}") + 0.0
