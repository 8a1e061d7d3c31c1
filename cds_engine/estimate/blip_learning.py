"""Blips are learned backward from estimating equations that two wrong models would have to break.

At stage k, with y = U_k + what is carried back, x(h, a) the design's columns and z(h, a) the
instruments, theta = (beta, psi) solves

    sum of v z(H, A) (y - x(H, A)'theta) = 0,    z = (m(H), (1{A = a} - c_a(H)) t(H) for each a).

What c and v are makes it A-learning or dWOLS. What is carried back is y plus the regret
max_a blip(a) - blip(A) over the feasible actions; who has no decision carries back y.
"""

from typing import Any

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.design_matrix import StageDesign, Terms, the_design
from cds_engine.estimate.learner import BestOf, Learner, final_outcome, rows_to_fit, usable_weights
from cds_engine.estimate.least_squares import (
    CONDITION_LIMIT,
    DependentColumnsError,
    least_squares_by_rows,
)
from cds_engine.estimate.linear_stage import LinearStage
from cds_engine.estimate.propensity import fit_propensity
from cds_engine.estimate.q_learning import pseudo_outcome
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories


class BlipLearner(Learner):
    """What A-learning and dWOLS share: the backward recursion over the blips."""

    main: Terms
    tailoring: Terms
    propensity: Any

    def fit(self, trajectories: Trajectories, weights: Floats | None = None) -> Any:
        """Learn from trajectories.

        Args:
            trajectories: the data.
            weights: in place of the trajectories' own, shape (n,); 0 leaves a row out.

        Raises:
            EstimationError: if the data cannot carry the models: with stage, columns and count.
        """
        use = usable_weights(trajectories, weights)
        carried = final_outcome(trajectories)
        stages: list[LinearStage] = []
        propensities: list[Floats] = []
        for h in reversed(trajectories.stages):
            y = h.reward + carried
            rows = rows_to_fit(h, use)
            design = the_design(h, self.main, self.tailoring)
            self._check(design)
            design.check_counts(h, rows)
            pi = fit_propensity(h, self.propensity, weights=use)
            theta = self._theta(design, h, rows, y, pi, use)
            stages.insert(0, LinearStage(design, theta, len(rows)))
            propensities.insert(0, pi)
            carried = pseudo_outcome("regret", y, stages[0].blips(h), h)
        self.stages_ = tuple(stages)
        self.rules_ = tuple(BestOf(stage) for stage in stages)
        self.propensities_ = tuple(propensities)
        self.n_ = len(trajectories) if use is None else int(np.count_nonzero(use))
        return self

    def blips(self, k: int | str, h: StageData) -> Floats:
        """Return t(h)'psi_a, shape (n, n_actions): 0 for the stage's first action.

        Args:
            k: the stage, by its name or its place from 0.
            h: histories of this stage.
        """
        place = self.stage_place(k)
        found: Floats = self.stages_[place].blips(h)
        return found

    def _check(self, design: StageDesign) -> None:
        """Refuse a design that this learner cannot learn from."""

    def _centre(self, pi: Floats, feasible: Floats) -> Floats:  # noqa: ARG002 - for those who override
        """Return c, shape (rows, n_actions): the propensities unless a learner says otherwise."""
        return pi

    def _weight(self, pi: Floats, feasible: Floats, action: Ints) -> Floats | None:  # noqa: ARG002
        """Return v, shape (rows,): ones, as None, unless a learner says otherwise."""
        return None

    def _theta(
        self, design: StageDesign, h: StageData, rows: Ints, y: Floats, pi: Floats,
        use: Floats | None,
    ) -> Floats:  # fmt: skip
        feasible = h.feasible[rows].astype(np.float64)
        X = design.matrix(h, rows)
        if not np.isfinite(X).all():
            raise design.dependent(DependentColumnsError([], []), X)
        Z = X.copy()
        centre = self._centre(pi[rows], feasible)
        t = design.basis.matrix(h, rows)[:, design.tailoring]
        for a in range(1, h.n_actions):
            Z[:, design.blip_places(a)] -= centre[:, [a]] * t
        v = self._weight(pi[rows], feasible, h.action[rows])
        if use is not None:
            v = use[rows] if v is None else v * use[rows]
        if v is not None:
            Z *= v[:, None]
        return _solved(design, X, Z, y[rows], int((feasible.sum(axis=1) > 1).sum()))


def _solved(design: StageDesign, X: Floats, Z: Floats, y: Floats, choices: int) -> Floats:
    """Return theta with Z'(y - X theta) = 0."""
    length, size = np.sqrt((X**2).sum(axis=0)), np.sqrt((Z**2).sum(axis=0))
    if (length > 0).all() and (size > 0).all():
        system = (Z / size).T @ (X / length)
        if np.linalg.cond(system) < CONDITION_LIMIT:
            found: Floats = np.linalg.solve(system, (Z / size).T @ y) / length
            return found
    try:
        least_squares_by_rows(X, y)
    except DependentColumnsError as fault:
        raise design.dependent(fault, X) from fault
    raise EstimationError(
        f"stage {design.spec.stage}: the propensities leave the effects of "
        f"{', '.join(design.spec.actions)} unidentified ({choices} of {len(X)} rows had a choice, "
        f"{design.size} coefficients); name fewer tailoring terms or check positivity"
    )
