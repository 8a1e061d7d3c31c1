"""dWOLS learns blips by weighted least squares whose weights balance the actions."""

from typing import Any

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.blip_learning import BlipLearner
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.design_matrix import StageDesign, Terms


class DWOLS(BlipLearner):
    """Dynamic weighted ordinary least squares, for any number of stages and actions.

    Backward, y is regressed on the treatment-free terms and the blip's with weights that make
    w_a(h) pi_a(h) equal for all feasible actions a: w_a = (1 / pi_a) / (sum over the feasible c of
    1 / pi_c), which for two actions is |A - P(A = 1 | H)|. Doubly robust: psi is consistent if pi
    or the treatment-free model is right, provided that the treatment-free model contains the
    blip's terms, without which a fit is refused. Where feasible sets differ between rows, the
    action's instruments are centred at their weighted mean 1 / (number of feasible actions); where
    they do not, this is exactly weighted least squares.

    Args:
        main: terms of the treatment-free model m(h) of each stage.
        tailoring: terms of the blip t(h), all among ``main``; the main terms unless given.
        propensity: as ``fit_propensity`` takes it: None for what the design says, else estimated.

    Attributes:
        stages_: a ``LinearStage`` for each stage: beta, then psi of each action but the first.
        rules_: the learned regime, a rule for each stage.
        propensities_: P(A_k = a | H_k) that were used, each of shape (n, n_actions).
        n_: trajectories with a weight above 0.

    References:
        Wallace & Moodie (2015), Doubly-robust dynamic treatment regimen estimation via weighted
        least squares, Biometrics 71; Li & Li (2019), AOAS 13 (weights for more than two actions).
    """

    def __init__(
        self, *, main: Terms = None, tailoring: Terms = None, propensity: Any = None
    ) -> None:
        self.main = main
        self.tailoring = tailoring
        self.propensity = propensity

    def _check(self, design: StageDesign) -> None:
        lost = [at for at in design.tailoring if at not in design.main]
        if lost:
            names = ", ".join(design.basis.names[at] for at in lost)
            raise EstimationError(
                f"stage {design.spec.stage}: {len(lost)} tailoring terms are not in the "
                f"treatment-free model ({names}), without which dWOLS is not doubly robust; add "
                "them to the main terms, or use A-learning"
            )

    def _centre(self, pi: Floats, feasible: Floats) -> Floats:  # noqa: ARG002 - the weights use pi
        centre: Floats = feasible / feasible.sum(axis=1, keepdims=True)
        return centre

    def _weight(self, pi: Floats, feasible: Floats, action: Ints) -> Floats:
        odds = np.divide(1.0, pi, out=np.zeros_like(pi), where=(feasible > 0) & (pi > 0))
        taken = odds[np.arange(len(action)), action]
        weight: Floats = taken / odds.sum(axis=1)
        return weight
