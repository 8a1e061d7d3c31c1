"""A-learning learns blips that are right if the propensities or the treatment-free model are."""

from typing import Any

from cds_engine.estimate.blip_learning import BlipLearner
from cds_engine.estimate.design_matrix import Terms


class ALearning(BlipLearner):
    """A-learning by g-estimation, for any number of stages and actions.

    Backward, the blip of stage k is learned from sum of (1{A = a} - pi_a(H)) t(H) (y - blip(H, A)
    - m(H)'beta) = 0 for each action but the first, together with the least squares equations of
    beta. Doubly robust: psi is consistent if pi or m is right, given a right blip. Rows with one
    feasible action tell nothing of the blip and do not enter its equations.

    Args:
        main: terms of the treatment-free model m(h) of each stage.
        tailoring: terms of the blip t(h); the main terms unless given.
        propensity: as ``fit_propensity`` takes it: None for what the design says, else estimated.

    Attributes:
        stages_: a ``LinearStage`` for each stage: beta, then psi of each action but the first.
        rules_: the learned regime, a rule for each stage.
        propensities_: P(A_k = a | H_k) that were used, each of shape (n, n_actions).
        n_: trajectories with a weight above 0.

    References:
        Robins (2004), Optimal structural nested models for optimal sequential decisions; Schulte,
        Tsiatis, Laber & Davidian (2014), Q- and A-learning methods, Statistical Science 29.
    """

    def __init__(
        self, *, main: Terms = None, tailoring: Terms = None, propensity: Any = None
    ) -> None:
        self.main = main
        self.tailoring = tailoring
        self.propensity = propensity
