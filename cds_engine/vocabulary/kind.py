"""A kind says what values a name can take: numbers in one unit, yes or no, or labels."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a variable, as criteria are checked against it.

    Attributes:
        type: ``number``, ``boolean`` or ``label``.
        label: what a person calls the variable.
        unit: UCUM code of a number; empty for a bare count or ratio.
        digits: decimals a number is rounded to before it is compared.
        labels: the labels that can occur; None where any label may.
        spoken: label -> how a person says it, for labels that are names of something.
        low, high: the plausible range of a number, where one is declared.
    """

    type: Literal["number", "boolean", "label"]
    label: str
    unit: str = ""
    digits: int = 2
    labels: frozenset[str] | None = None
    low: float | None = None
    high: float | None = None
    spoken: tuple[tuple[str, str], ...] = ()
