"""Linear Q-learning is refitted in many resamples at once: a resample is a vector of weights."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from cds_engine.estimate.columns import Bools, Floats, Ints
from cds_engine.estimate.design_matrix import StageDesign
from cds_engine.estimate.learner import final_outcome
from cds_engine.estimate.linear_stage import LinearStage
from cds_engine.estimate.q_learning import Carry, QLearning
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories

PIVOT: Final = 1e-8
"""A column of which less than this is new, in some resample, sends it to the careful solver."""
ROWS: Final = 8192
"""Rows whose products are held at a time."""
CELLS: Final = 2_000_000
"""Weights (resamples x trajectories) that are worked on at a time."""


@dataclass(frozen=True)
class _Stage:
    """One stage with its rows in the order of the actions that were taken."""

    design: StageDesign
    rows: Ints
    ends: Ints
    basis: Floats
    action: Ints
    feasible: Bools
    reward: Floats

    @classmethod
    def of(cls, design: StageDesign, h: StageData) -> "_Stage":
        decided = np.flatnonzero(h.decided)
        rows = decided[np.argsort(h.action[decided], kind="stable")]
        ends = np.cumsum(np.bincount(h.action[rows], minlength=h.n_actions))
        return cls(
            design, rows, ends, np.ascontiguousarray(design.basis.matrix(h, rows)), h.action[rows],
            h.feasible[rows], h.reward,
        )  # fmt: skip


class GramResamples:
    """Refits of one linear Q-learning, whose designs stay as they were fitted.

    Args:
        learner: a fitted QLearning with linear stages.
        trajectories: what it was fitted to.
    """

    def __init__(self, learner: QLearning, trajectories: Trajectories) -> None:
        self.way: Carry = learner.pseudo_outcome_
        self.final = final_outcome(trajectories)
        self.stages = [
            _Stage.of(model.design, h)
            for model, h in zip(learner.stages_, trajectories.stages, strict=True)
        ]

    @staticmethod
    def fits(learner: object) -> bool:
        """Return whether a fitted learner can be refitted in this way."""
        return isinstance(learner, QLearning) and all(
            isinstance(model, LinearStage) for model in learner.stages_
        )

    def at_once(self) -> int:
        """Return how many resamples to ask for at a time."""
        return max(1, CELLS // len(self.final))

    def refit(self, weights: Floats) -> tuple[list[Floats], Bools]:
        """Return the coefficients of each stage in each resample, and which can be trusted.

        Args:
            weights: shape (resamples, n).

        Returns:
            Arrays of shape (resamples, p), and a mask of shape (resamples,): where it is False a
            Gram matrix was badly conditioned, and the resample must be refitted with care.
        """
        carried = np.broadcast_to(self.final, weights.shape)
        good = np.ones(len(weights), dtype=np.bool_)
        found: list[Floats] = []
        for stage in reversed(self.stages):
            target = carried + stage.reward if stage.design.spec.reward else carried
            y, w = target[:, stage.rows], weights[:, stage.rows]
            gram, cross = stage.design.normal(*self._moments(stage, w, y))
            theta, fine = _solved(gram, cross[..., 0])
            good &= fine
            found.insert(0, theta)
            if len(found) < len(self.stages):
                carried = np.array(target)
                carried[:, stage.rows] = self._carried(stage, theta, y)
        return found, good

    def _moments(self, stage: _Stage, w: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return what ``StageDesign.normal`` takes, for each resample."""
        width = stage.basis.shape[1]
        up, down = np.triu_indices(width)
        everybody = np.zeros((len(w), width + 1, width + 1))
        treated = []
        start = 0
        for a, end in enumerate(stage.ends):
            own = np.zeros((len(w), width + 1, width + 1))
            products = np.zeros((len(w), len(up)))
            for first in range(start, end, ROWS):
                some = slice(first, min(first + ROWS, end))
                u = stage.basis[some]
                products += w[:, some] @ (u[:, up] * u[:, down])
                own[:, :width, width] += (w[:, some] * y[:, some]) @ u
            own[:, up, down] = own[:, down, up] = products
            everybody += own
            if a:
                treated.append(own[:, list(stage.design.tailoring), :])
            start = end
        return everybody, np.concatenate(treated, axis=1) if treated else everybody[:, :0]

    def _carried(self, stage: _Stage, theta: Floats, y: Floats) -> Floats:
        best = np.full(y.shape, -np.inf)
        taken = np.empty(y.shape) if self.way == "regret" else best
        for a in range(stage.feasible.shape[1]):
            shares = np.zeros((len(theta), stage.basis.shape[1]))
            shares[:, list(stage.design.main)] = theta[:, : len(stage.design.main)]
            if a:
                psi = theta[:, stage.design.blip_places(a)]
                shares[:, list(stage.design.tailoring)] += psi
            q = shares @ stage.basis.T
            if self.way == "regret":
                np.copyto(taken, q, where=stage.action == a)
            if not stage.feasible[:, a].all():
                q[:, ~stage.feasible[:, a]] = -np.inf
            np.maximum(best, q, out=best)
        return best if self.way == "max_q" else y + best - taken


def _solved(gram: Floats, cross: Floats) -> tuple[Floats, Bools]:
    """Return the solutions, shape (resamples, p), and where they can be trusted."""
    length = np.sqrt(np.einsum("bii->bi", gram))
    good = (length > 0).all(axis=1) & np.isfinite(gram).all(axis=(1, 2))
    safe = np.where(length > 0, length, 1.0)
    scaled = gram / (safe[:, :, None] * safe[:, None, :])
    scaled[~good] = np.eye(gram.shape[1])
    try:
        pivots = np.einsum("bii->bi", np.linalg.cholesky(scaled)) ** 2
        good &= pivots.min(axis=1) > PIVOT
    except np.linalg.LinAlgError:  # one that is not definite stops them all: look at each
        good &= np.linalg.eigvalsh(scaled)[:, 0] > PIVOT
    scaled[~good] = np.eye(gram.shape[1])
    theta = np.linalg.solve(scaled, (cross / safe)[:, :, None])[:, :, 0] / safe
    return theta, good
