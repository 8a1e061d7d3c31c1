"""The gain that a version's own estimates predict, for many decision points at once.

It is what ``decide.benefit`` says of one decision, in arrays; that module is the referee.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cds_engine.bundle.estimates import CONSTANT
from cds_engine.bundle.model import Contrasts, Estimates, ScoreRule, Stage
from cds_engine.criteria.syntax import Criterion, IntegerForm
from cds_engine.decide.table import Column, Table, where
from cds_engine.estimate.columns import Bools, Floats, as_column, plain
from cds_engine.replay.figures.points import DecisionPoints

Names = NDArray[Any]
"""Actions by name, None for none, shape (n,)."""


@dataclass(frozen=True)
class Gains:
    """How much better the advised action is predicted to do than another, a row each.

    Attributes:
        against: the action compared with; None where no gain is predicted.
        estimate, low, high: the gain and its interval, above 0 where the advised action is better;
            NaN where ``against`` is None.
    """

    against: Names
    estimate: Floats
    low: Floats
    high: Floats


def predicted(
    points: DecisionPoints, stage: Stage, rows: Sequence[int] | NDArray[Any], advised: Names
) -> Gains:
    """Return what the estimates of a stage say of some decision points.

    Where a value is known only to lie in a range, or a support criterion is open, none is said.

    Args:
        points: the decision points.
        stage: a stage of the version that was replayed.
        rows: which of the decision points, shape (n,).
        advised: what the version advised at each of them.
    """
    histories = _Histories(points, np.asarray(rows, dtype=np.intp))
    n = len(histories)
    found = Gains(np.full(n, None, dtype=object), *(np.full(n, np.nan) for _ in range(3)))
    if stage.estimates is None:
        return found
    _by_groups(histories, stage.estimates, advised, found)
    if stage.estimates.contrasts is not None and isinstance(stage.rule, ScoreRule):
        _by_scores(histories, stage, stage.rule, stage.estimates.contrasts, advised, found)
    return found


class _Histories:
    """The variables of some decision points, each read once."""

    def __init__(self, points: DecisionPoints, rows: NDArray[np.intp]) -> None:
        self.points, self.rows = points, rows
        self._known: dict[str, NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def holds(self, criterion: Criterion) -> tuple[Bools, Bools]:
        """Return where a criterion is true, and where it is not false."""
        kinds = self.points.bundle.kinds
        columns: dict[str, Column] = {
            name: as_column(self._column(name), kinds[name]) for name in criterion.names()
        }
        return where(criterion, Table(columns, len(self)))

    def number(self, name: str) -> Floats:
        """Return a number, yes as 1 and no as 0; NaN where it is not known."""
        return self._column(name).astype(np.float64)

    def score(self, form: IntegerForm) -> Floats:
        """Return a score; NaN where a term is not known."""
        total = np.full(len(self), float(Fraction(form.constant, form.divisor)))
        for name, digits, weight in form.terms:
            scaled = np.rint(self.number(name) * 10.0**digits)
            total += float(Fraction(weight, form.divisor)) * scaled
        return total

    def _column(self, name: str) -> NDArray[Any]:
        if name not in self._known:
            self._known[name] = plain(self.points.frame[name].iloc[self.rows])
        return self._known[name]


def _by_groups(histories: _Histories, estimates: Estimates, advised: Names, found: Gains) -> None:
    """Fill in what the first group that holds states, if it is of the advised action."""
    undecided = np.ones(len(histories), dtype=np.bool_)
    for group in estimates.groups:
        true, possible = histories.holds(group.when)
        stated = group.benefit
        if stated is not None:
            here = undecided & true & (advised == stated.action)
            found.against[here] = stated.against
            for column, value in zip(
                (found.estimate, found.low, found.high),
                (stated.estimate, stated.low, stated.high), strict=True,
            ):  # fmt: skip
                column[here] = float(value)
        undecided &= ~possible


def _by_scores(
    histories: _Histories, stage: Stage, rule: ScoreRule, contrasts: Contrasts, advised: Names,
    found: Gains,
) -> None:  # fmt: skip
    """Fill in the difference from the best other score; it takes the place of a group's."""
    names = list(rule.forms)
    scores = np.column_stack([histories.score(rule.forms[name]) for name in names])
    rivals, open_ = _rivals(histories, rule, names, scores)
    own = np.full(len(histories), -1, dtype=np.intp)
    for at, name in enumerate(names):
        own[advised == name] = at
    rivals[np.arange(len(histories)), own] = np.where(own < 0, rivals[:, -1], -np.inf)
    best = rivals.argmax(axis=1)
    compared = (own >= 0) & ~open_ & (rivals[np.arange(len(histories)), best] > -np.inf)
    rows = np.arange(len(histories))
    gain = scores[rows, own] - scores[rows, best]
    loads = _loads(histories, contrasts, np.array(names, dtype=object), own, best)
    level = stage.estimates.document.level if stage.estimates else 0.95
    lower = contrasts.covariance
    covariance = np.array([[lower[max(i, j)][min(i, j)] for j in range(len(lower))]
                           for i in range(len(lower))])  # fmt: skip
    variance = np.einsum("ij,jk,ik->i", loads, covariance, loads)
    known = compared & np.isfinite(gain) & (variance >= 0)
    half = NormalDist().inv_cdf(0.5 + level / 2) * np.sqrt(np.where(known, variance, 0.0))
    found.against[compared] = np.where(known, np.array(names, dtype=object)[best], None)[compared]
    for column, value in ((found.estimate, gain), (found.low, gain - half),
                          (found.high, gain + half)):  # fmt: skip
        column[compared] = np.where(known, value, np.nan)[compared]


def _rivals(
    histories: _Histories, rule: ScoreRule, names: Sequence[str], scores: Floats
) -> tuple[Floats, Bools]:
    """Return the scores of what could be advised at all, and where a support criterion is open.

    Minus infinity stands for what could not be; where a criterion is open it is not known.
    """
    rivals = np.where(np.isnan(scores), -np.inf, scores)
    open_ = np.zeros(len(histories), dtype=np.bool_)
    for safeguard in histories.points.bundle.safeguards:
        _, possible = histories.holds(safeguard.when)
        for at, name in enumerate(names):
            if name in safeguard.never:
                rivals[possible, at] = -np.inf
    for support in rule.support:
        true, possible = histories.holds(support.when)
        open_ |= possible & ~true
        for at, name in enumerate(names):
            if name in support.actions:
                rivals[~possible, at] = -np.inf
    return rivals, open_


def _loads(
    histories: _Histories, contrasts: Contrasts, names: Names, own: NDArray[np.intp],
    best: NDArray[np.intp],
) -> Floats:  # fmt: skip
    """Return by what each coefficient is multiplied in a difference of scores, (n, p)."""
    loads = np.zeros((len(histories), len(contrasts.rows)))
    for (owner, term), row in contrasts.rows.items():
        value = np.ones(len(histories)) if term == CONSTANT else histories.number(term)
        value = value - contrasts.centres.get(term, 0.0)
        sign = (names[own] == owner).astype(np.float64) - (names[best] == owner)
        loads[:, row] = np.where(sign == 0, 0.0, sign * value)
    return loads
