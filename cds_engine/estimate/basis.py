"""A basis turns histories into named columns of numbers, a block of rows at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats, Ints, missing
from cds_engine.estimate.stage import StageData

BLOCK: Final = 8192
"""Rows that are worked on at a time, few enough for the cache."""
INTERCEPT: Final = "1"


@dataclass(frozen=True, slots=True)
class Factor:
    """A variable as a number: itself, yes as 1, or 1 where it holds one of its labels."""

    variable: str
    level: str | None = None

    @property
    def name(self) -> str:
        """Such as ``sbp`` or ``sex[male]``."""
        return self.variable if self.level is None else f"{self.variable}[{self.level}]"


@dataclass(frozen=True, slots=True)
class Term:
    """A column of a basis: the product of its factors; without any, the intercept."""

    factors: tuple[Factor, ...] = ()

    @property
    def name(self) -> str:
        """Such as ``1``, ``sbp``, ``sex[male]`` or ``sbp:sex[male]``."""
        return ":".join(factor.name for factor in self.factors) or INTERCEPT


@dataclass(frozen=True)
class Basis:
    """Named columns of numbers for the histories of one stage.

    Attributes:
        stage: the stage's name.
        terms: one for each column.
        levels: label variable -> the labels that were seen, the reference first.
    """

    stage: str
    terms: tuple[Term, ...]
    levels: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(term.name for term in self.terms)

    def only(self, places: Sequence[int]) -> "Basis":
        """Return the basis with some of the columns."""
        return Basis(self.stage, tuple(self.terms[at] for at in places), self.levels)

    def reader(self, h: StageData) -> "Reader":
        """Return what fills blocks with the columns of some histories."""
        return Reader(self, h)

    def matrix(self, h: StageData, rows: Ints | None = None) -> Floats:
        """Return the columns, shape (rows, terms)."""
        some = np.arange(h.rows) if rows is None else rows
        out = np.empty((len(self.terms), len(some)))
        self.reader(h).fill(some, out)
        return out.T


class Reader:
    """The columns of some histories, ready to be read in blocks.

    Raises:
        EstimationError: if a label stands in a row with a decision that was not there when the
            basis was made.
    """

    def __init__(self, basis: Basis, h: StageData) -> None:
        self.basis = basis
        names = {factor.variable for term in basis.terms for factor in term.factors}
        self.values = {name: self._numbers(name, h) for name in names}

    def _numbers(self, name: str, h: StageData) -> NDArray[Any]:
        if name not in h.columns:
            raise EstimationError(
                f"stage {self.basis.stage}: the histories have no variable {name!r}; they have "
                f"{', '.join(h.columns)}"
            )
        values = h.columns[name]
        if name not in self.basis.levels:
            return values
        known = self.basis.levels[name]
        codes, found = pd.factorize(pd.Series(values, dtype=object))
        places = np.array([known.index(str(one)) if str(one) in known else -1 for one in found])
        placed = np.where(codes < 0, -1, np.append(places, -1)[codes]).astype(np.int64)
        if strange := int(np.count_nonzero((placed < 0) & h.decided & ~missing(values))):
            raise EstimationError(
                f"stage {self.basis.stage}, column {name}: {strange} rows hold a label that was "
                f"not there when the model was fitted; it knew {', '.join(known)}"
            )
        return placed

    def fill(self, rows: Ints | slice, out: Floats) -> None:
        """Write the columns of ``rows`` into ``out``, shape (terms, rows)."""
        for at, term in enumerate(self.basis.terms):
            if not term.factors:
                out[at].fill(1.0)
                continue
            self._take(term.factors[0], rows, out[at])
            for factor in term.factors[1:]:
                out[at] *= self._take(factor, rows, np.empty(out.shape[1]))

    def _take(self, factor: Factor, rows: Ints | slice, out: Floats) -> Floats:
        values = self.values[factor.variable]
        if values.dtype == np.float64 and not isinstance(rows, slice):
            return np.take(values, rows, out=out, mode="clip")
        some = values[rows]
        if factor.level is not None:
            some = some == self.basis.levels[factor.variable].index(factor.level)
        out[:] = some
        return out


def blocks(rows: Ints | None, count: int) -> Iterator[Ints | slice]:
    """Yield blocks of some rows, or of all ``count`` rows if ``rows`` is None."""
    for start in range(0, count if rows is None else len(rows), BLOCK):
        if rows is None:
            yield slice(start, min(start + BLOCK, count))
        else:
            yield rows[start : start + BLOCK]


def the_basis(names: Sequence[str], h: StageData) -> Basis:
    """Return an intercept and the columns for some terms.

    Args:
        names: variables, or products of variables such as ``age:sex``.
        h: the histories that say which labels there are; only rows with a decision count.

    Raises:
        EstimationError: if there is no such variable, or a term is named twice.
    """
    levels: dict[str, tuple[str, ...]] = {}
    terms = [Term()]
    for name in names:
        variables = name.split(":")
        for variable in variables:
            if variable not in h.columns:
                raise EstimationError(
                    f"stage {h.spec.stage}: there is no variable {variable!r} for the term "
                    f"{name!r}; the histories have {', '.join(h.columns)}"
                )
            values = h.columns[variable]
            if values.dtype == object and variable not in levels:
                held = values[h.decided]
                levels[variable] = tuple(sorted({str(one) for one in held[~missing(held)]}))
        ways = [_factors(variable, levels) for variable in variables]
        terms += [Term(factors) for factors in product(*ways)]
    twice = [term.name for term in dict.fromkeys(terms) if terms.count(term) > 1]
    if twice:
        raise EstimationError(
            f"stage {h.spec.stage}: the terms {', '.join(twice)} are named twice; name each once"
        )
    return Basis(h.spec.stage, tuple(terms), levels)


def _factors(variable: str, levels: Mapping[str, tuple[str, ...]]) -> list[Factor]:
    if variable not in levels:
        return [Factor(variable)]
    return [Factor(variable, level) for level in levels[variable][1:]]
