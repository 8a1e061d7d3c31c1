"""Positivity: everybody could have had every feasible action; here it is counted who hardly could.

An action that the criteria rule out for a history is no violation, it is described in words. An
action that is feasible but hardly ever taken for a history leaves nothing to learn from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cds_engine.estimate.columns import Floats
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.weighted import quantiles
from cds_engine.estimate.weights import Propensities, effective_n, propensities

RARE = 0.05
"""A propensity below it counts as hardly any chance of the action."""
MANY = 0.10
"""A larger share of histories with hardly any chance makes positivity poor."""
FEW = 50
"""A smaller effective number of those who took the action makes positivity poor."""
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
"""Of the propensities that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionOverlap:
    """How well the data cover one action at one stage.

    With w the weight of a row, which stands for as many; counts are of the rows themselves.

    Attributes:
        stage, action: where.
        could: rows for which the action was feasible and so was another one.
        took: of these, how many took it.
        ruled_out: rows with a decision for which the criteria rule it out.
        why: the criterion that says for whom it is feasible; empty where for everybody.
        quantiles: of P(A = action | H) among those who could: 1, 25, 50, 75 and 99 %.
        rare: share of those who could whose propensity is below ``RARE``.
        effective_n: (sum w/p)^2 / sum (w/p)^2 of those who took it.
        largest_weight: the largest w/p of those who took it.
    """

    stage: str
    action: str
    could: int
    took: int
    ruled_out: int
    why: str
    quantiles: tuple[float, ...]
    rare: float
    effective_n: float
    largest_weight: float

    @property
    def poor(self) -> bool:
        """Whether too little was seen of the action for part of the histories."""
        return self.rare > MANY or self.effective_n < FEW

    def problem(self) -> str:
        """Say in words why it is poor; empty where it is not."""
        if not self.could:
            return (f"stage {self.stage}, {self.action}: nobody had a choice of which it was one, "
                    "so that there is nothing to compare")  # fmt: skip
        said = []
        if self.rare > MANY:
            said.append(f"{self.rare:.0%} of the {self.could} who could have it had a chance below "
                        f"{RARE:.0%}")  # fmt: skip
        if self.effective_n < FEW:
            said.append(f"the {self.took} who took it count as {self.effective_n:.0f}")
        return f"stage {self.stage}, {self.action}: " + " and ".join(said) if said else ""


def overlap(
    trajectories: Trajectories, how: Propensities = None
) -> tuple[tuple[ActionOverlap, ...], tuple[Floats, ...]]:
    """Return how well each action is covered, and the propensities that it rests on.

    Args:
        trajectories: the data.
        how: propensities, as for the value estimators.

    Returns:
        One entry for each stage and action, and P(A_k = a | H_k) of each stage, (n, n_actions).
    """
    shares = propensities(trajectories, how)
    found = [
        _one(h, p, place, trajectories.weights)
        for h, p in zip(trajectories.stages, shares, strict=True)
        for place in range(h.n_actions)
    ]
    return tuple(found), shares


def poor(overlaps: Sequence[ActionOverlap]) -> tuple[str, ...]:
    """Return every problem in words; empty where positivity holds well enough everywhere."""
    return tuple(one.problem() for one in overlaps if one.poor)


def _one(h: StageData, p: Floats, place: int, weights: Floats) -> ActionOverlap:
    action = h.spec.actions[place]
    choice = h.decided & (h.feasible.sum(axis=1) > 1)
    could = choice & h.feasible[:, place]
    took = could & (h.action == place)
    chances, stood_for = p[could, place], weights[could]
    of_taken = weights[took] / p[took, place]
    return ActionOverlap(
        stage=h.spec.stage, action=action, could=int(could.sum()), took=int(took.sum()),
        ruled_out=int(np.count_nonzero(h.decided & ~h.feasible[:, place])),
        why=h.spec.feasible.get(action, ""),
        quantiles=tuple(map(float, quantiles(chances, QUANTILES, stood_for))),
        rare=float(np.average(chances < RARE, weights=stood_for)) if stood_for.any() else 1.0,
        effective_n=effective_n(of_taken),
        largest_weight=float(of_taken.max()) if len(of_taken) else float("nan"),
    )  # fmt: skip
