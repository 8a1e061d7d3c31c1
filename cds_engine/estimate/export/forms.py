"""A rule that can be exported is linear contrasts or a tree; every other one is distilled first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cds_engine.estimate.columns import Columns, Floats, Ints
from cds_engine.estimate.rule import best_feasible
from cds_engine.estimate.stage import StageData


class Term(NamedTuple):
    """What one coefficient is multiplied with: 1, a variable, or whether a variable is a label."""

    variable: str = ""
    label: str | None = None

    def values(self, columns: Columns, rows: int) -> Floats:
        """Return the term for every row, shape (rows,)."""
        if not self.variable:
            return np.ones(rows)
        values = columns[self.variable]
        if self.label is not None:
            return np.asarray(values == self.label, dtype=np.float64)
        return np.asarray(values, dtype=np.float64)


CONSTANT = Term()


@dataclass(frozen=True)
class LinearForm:
    """Contrasts of one stage that are linear in their terms.

    Attributes:
        reference: the action that all others are compared with; its score is 0.
        coefficients: (action, term) -> how much better a unit of the term makes the action than
            the reference; larger is better.
        covariance: of the coefficients in their order, shape (p, p); None if it was not estimated.
    """

    reference: str
    coefficients: Mapping[tuple[str, Term], float]
    covariance: Floats | None = None

    def scores(self, h: StageData) -> Floats:
        """Return the contrast of every action with the reference, shape (n, n_actions)."""
        scores = np.zeros((h.rows, h.n_actions))
        for (action, term), value in self.coefficients.items():
            scores[:, h.spec.place(action)] += value * term.values(h.columns, h.rows)
        return scores

    def __call__(self, h: StageData) -> Ints:
        """Return the feasible action with the largest score; a stage rule."""
        return best_feasible(self.scores(h), h)

    def among(self, actions: Sequence[str]) -> "LinearForm":
        """Return the contrasts of some actions with the first of them (or the reference, if in).

        The covariance of b(a) - b(r), for the new reference r, is M Cov M' with rows of M that
        take the coefficients of a and subtract those of r.
        """
        reference = self.reference if self.reference in actions else actions[0]
        terms = list(dict.fromkeys(term for _, term in self.coefficients))
        keys = [(action, term) for action in actions if action != reference for term in terms]
        old = list(self.coefficients)
        loads = np.zeros((len(keys), len(old)))
        for row, (action, term) in enumerate(keys):
            for sign, name in ((1.0, action), (-1.0, reference)):
                if (name, term) in self.coefficients:
                    loads[row, old.index((name, term))] += sign
        keep = loads.any(axis=1)
        values = loads @ np.array(list(self.coefficients.values()))
        chosen = [(keys[at], float(values[at])) for at in np.flatnonzero(keep)]
        covariance = None
        if self.covariance is not None:
            covariance = (loads @ self.covariance @ loads.T)[np.ix_(keep, keep)]
        return LinearForm(reference, dict(chosen), covariance)

    def written(self, digits: int) -> "LinearForm":
        """Return the form with every coefficient rounded to significant digits.

        Args:
            digits: how many; few enough that another machine writes the same.
        """
        rounded = {key: significant(value, digits) for key, value in self.coefficients.items()}
        return LinearForm(self.reference, rounded, self.covariance)


def significant(value: float, digits: int) -> float:
    """Return the float nearest to ``value`` written with so many significant digits.

    >>> significant(1234.5678, 3), significant(-0.000123456, 2)
    (1230.0, -0.00012)
    """
    return float(f"{value:.{digits - 1}e}") + 0.0
