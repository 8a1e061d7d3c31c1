"""A weighted sum over a block is exact, or comes with a bound on its error.

Every value is a whole number once it is scaled by its digits, and so is every weight. As long as
no sum of magnitudes reaches ``LIMIT``, float64 holds every product and every partial sum exactly,
whatever the order of summation. Beyond it the same sum is taken with rounded weights: with m terms
each weight is off by one rounding (u = 2**-53), each product by one more, and m additions by m
more, so that the error is below ``(m + 3) u`` times the sum of magnitudes, to first order.
``Sum.total`` allows for twice that.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from cds_engine.criteria.syntax import IntegerForm
from cds_engine.decide.table.block import Block, Part
from cds_engine.decide.table.columns import Bools, Floats, quantise

LIMIT = 1e15
"""Below it whole numbers are exact in float64, and so is scaling a value to one of them."""


@dataclass(frozen=True, slots=True)
class Total:
    """A weighted sum for each row of a block.

    Attributes:
        values: the sum as a whole number where it is exact, else in the original unit.
        error: how far ``values`` may be off; None where they are exact.
        missing: where an input is missing; None where none is.
    """

    values: Floats
    error: Floats | None
    missing: Bools | None


@dataclass(frozen=True, slots=True)
class Scaled:
    """One variable as whole numbers, 0 where missing, and the largest magnitude among them."""

    values: Floats
    missing: Bools | None
    largest: float


class Number:
    """A number that is read from a column; yes counts as 1 and no as 0."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def part(self, block: Block) -> Part:
        """Return the values in a block."""
        return block.part(self.name)

    def scaled(self, block: Block, digits: int) -> Scaled:
        """Return the values as whole numbers."""
        key = (self.name, digits)
        found: Scaled | None = block.known.get(key)
        if found is None:
            found = block.known[key] = self._scale(block, digits)
        return found

    def _scale(self, block: Block, digits: int) -> Scaled:
        values, missing = self.part(block)
        if missing is not None:
            values = np.where(missing, 0.0, values)
        whole = np.rint(values * 10.0**digits)
        return Scaled(whole, missing, float(np.abs(whole).max(initial=0.0)))


class Sum:
    """A weighted sum of numbers with exact weights.

    Args:
        form: the sum in whole numbers.
        numbers: the number behind each of its terms.
    """

    def __init__(self, form: IntegerForm, numbers: tuple[Number, ...]) -> None:
        self.form = form
        self.numbers = numbers
        self.rounded = [float(Fraction(w, form.divisor)) for _, _, w in form.terms]

    def total(self, block: Block) -> Total:
        """Return the sum for every row of a block."""
        found: Total | None = block.known.get(self)
        if found is None:
            terms = self.scaled(block)
            largest = self.size([term.largest for term in terms])
            exact = largest < LIMIT
            found = self._exact(block, terms) if exact else self._rounded(block, terms)
            block.known[self] = found
        return found

    def scaled(self, block: Block) -> list[Scaled]:
        """Return the terms as whole numbers, without their weights."""
        pairs = zip(self.numbers, self.form.terms, strict=True)
        return [number.scaled(block, digits) for number, (_, digits, _) in pairs]

    def size(self, largest: list[float]) -> float:
        """Return a bound on the sum of magnitudes, in whole numbers."""
        pairs = zip(self.form.terms, largest, strict=True)
        sizes = [abs(w) * (int(most) if most < LIMIT else 10**400) for (_, _, w), most in pairs]
        total = sum(sizes) + abs(self.form.constant)
        return float(total) if total < 10**300 else float("inf")

    def _exact(self, block: Block, terms: list[Scaled]) -> Total:
        values = np.full(block.rows, float(self.form.constant))
        for (_, _, weight), term in zip(self.form.terms, terms, strict=True):
            values += float(weight) * term.values
        return Total(values, None, any_missing(terms))

    def _rounded(self, block: Block, terms: list[Scaled]) -> Total:
        constant = float(Fraction(self.form.constant, self.form.divisor))
        values = np.full(block.rows, constant)
        size = np.abs(values)
        with np.errstate(over="ignore", invalid="ignore"):
            for weight, term in zip(self.rounded, terms, strict=True):
                product = weight * term.values
                values += product
                size += np.abs(product)
                if term.largest >= LIMIT:
                    block.mark_doubtful(np.abs(term.values) >= LIMIT)
            error: Floats = size * ((len(terms) + 3) * 2.0**-52)
        return Total(values, error, any_missing(terms))


class DerivedNumber(Number):
    """A number that is computed from others: a weighted sum, rounded to its digits."""

    __slots__ = ("digits", "sum")

    def __init__(self, name: str, total: Sum, digits: int) -> None:
        super().__init__(name)
        self.sum = total
        self.digits = digits

    def part(self, block: Block) -> Part:
        """Compute the values in a block, once."""
        found: Part | None = block.known.get(self)
        if found is None:
            found = block.known[self] = self._compute(block)
        return found

    def _compute(self, block: Block) -> Part:
        total = self.sum.total(block)
        divisor = self.sum.form.divisor
        if total.error is not None or divisor >= LIMIT:
            block.mark_doubtful(block.everywhere() if total.missing is None else ~total.missing)
            return Part(np.zeros(block.rows), total.missing)
        # exact whole numbers, so that the quotient is the float nearest to the exact one
        return Part(quantise(total.values / float(divisor), self.digits), total.missing)


def any_missing(terms: list[Scaled]) -> Bools | None:
    """Return where at least one of several is missing; None where none is."""
    missing: Bools | None = None
    for term in terms:
        if term.missing is not None:
            missing = term.missing if missing is None else missing | term.missing
    return missing
