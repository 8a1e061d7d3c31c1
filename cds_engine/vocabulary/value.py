"""A value is exact, a span it is known to lie in, or absent; it is never a guess."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import inf


@dataclass(frozen=True, slots=True)
class Span:
    """A number known only to lie between two bounds, such as a laboratory's ``< 5``.

    Attributes:
        low, high: the bounds, in the variable's unit; may be infinite.
        low_open, high_open: True where the bound itself is excluded.
    """

    low: float = -inf
    high: float = inf
    low_open: bool = False
    high_open: bool = False

    def __str__(self) -> str:
        if self.low == -inf and self.high == inf:
            return "any number"
        if self.low == -inf:
            return f"{'<' if self.high_open else '<='} {number_text(self.high)}"
        if self.high == inf:
            return f"{'>' if self.low_open else '>='} {number_text(self.low)}"
        low, high = number_text(self.low), number_text(self.high)
        if not (self.low_open or self.high_open):
            return f"{low} to {high}"
        least = f"above {low}" if self.low_open else f"{low} or higher"
        most = f"below {high}" if self.high_open else f"{high} or lower"
        return f"{least}, and {most}"


Scalar = float | bool | str | Span
"""What a variable can be: a number in its unit, true or false, a label, or a span."""

State = Mapping[str, Scalar | None]
"""The history as criteria read it: the value of every variable, None where it is missing."""

NONE = "none"
"""The label of a course in which nothing has been done yet; it is known, not missing."""


def number_text(number: float) -> str:
    """Write a number without a trailing ``.0`` and without an exponent where it can be helped.

    >>> number_text(140.0), number_text(5.5), number_text(1e-05)
    ('140', '5.5', '0.00001')
    """
    if number in (inf, -inf):
        return str(number)
    text = format(Decimal(repr(number)), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def value_text(value: Scalar | None) -> str:
    """Write any value as a person reads it; None is ``missing``."""
    match value:
        case None:
            return "missing"
        case bool():
            return "yes" if value else "no"
        case float() | int():
            return number_text(float(value))
        case _:
            return str(value)
