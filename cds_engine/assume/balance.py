"""Balance: once weighted, those who took an action look like all who could have taken it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cds_engine.estimate.columns import Floats
from cds_engine.estimate.history_matrix import HistoryMatrix
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories

LARGE = 0.1
"""A standardised difference above it is called large, as is usual."""
NONE = 1e-12
"""A smaller deviation, beside the mean, is that of a sum's rounding: the column is constant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How those who took an action differ from all who could have, in one column.

    Means and deviations take each row as often as its weight says.

    Attributes:
        stage, action, column: where.
        before: difference of the means over the standard deviation of all who could.
        after: the same with each who took it weighted by 1 / P(A = action | H).
    """

    stage: str
    action: str
    column: str
    before: float
    after: float


def balance(trajectories: Trajectories, shares: Sequence[Floats]) -> tuple[Difference, ...]:
    """Return the standardised differences of every stage, action and column of the history.

    Args:
        trajectories: the data.
        shares: P(A_k = a | H_k) of each stage, (n, n_actions).

    References:
        Austin & Stuart (2015), Moving towards best practice when using inverse probability of
        treatment weighting, Stat Med 34. The denominator is the same before and after.
    """
    return tuple(
        one
        for h, p in zip(trajectories.stages, shares, strict=True)
        for place in range(h.n_actions)
        for one in _of_action(h, p, place, trajectories.weights)
    )


def _of_action(h: StageData, p: Floats, place: int, weights: Floats) -> list[Difference]:
    could = h.decided & h.feasible[:, place] & (h.feasible.sum(axis=1) > 1)
    took = could & (h.action == place)
    if not weights[took].any():
        return []
    matrix = HistoryMatrix.of(h)
    X = matrix(h)
    centre = np.average(X[could], axis=0, weights=weights[could])
    spread = np.sqrt(np.average((X[could] - centre) ** 2, axis=0, weights=weights[could]))
    before = np.average(X[took], axis=0, weights=weights[took]) - centre
    after = np.average(X[took], axis=0, weights=weights[took] / p[took, place]) - centre
    return [
        Difference(
            stage=h.spec.stage, action=h.spec.actions[place], column=name,
            before=float(before[at] / spread[at]), after=float(after[at] / spread[at]),
        )
        for at, name in enumerate(matrix.names())
        if spread[at] > NONE * max(1.0, abs(centre[at]))
    ]  # fmt: skip


def largest(differences: Sequence[Difference]) -> tuple[float, float]:
    """Return the largest absolute difference before and after weighting; 0 of nothing."""
    before = max((abs(one.before) for one in differences), default=0.0)
    after = max((abs(one.after) for one in differences), default=0.0)
    return before, float(np.float64(after))
