"""Q-learning learns backward: what each action leads to if all that follows is done well."""

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from sklearn.base import is_classifier

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats
from cds_engine.estimate.design_matrix import Terms, the_design, the_terms
from cds_engine.estimate.learned_stage import learner_of
from cds_engine.estimate.learner import (
    BestOf,
    Learner,
    final_outcome,
    one_of,
    parts,
    rows_to_fit,
    usable_weights,
)
from cds_engine.estimate.linear_stage import LinearStage
from cds_engine.estimate.rule import best_feasible
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories

Carry = Literal["max_q", "regret"]
"""The pseudo-outcome: what is carried back to the stage before."""
_BOTH: tuple[Carry, Carry] = ("max_q", "regret")


class DisagreementWarning(UserWarning):
    """The two pseudo-outcomes advise different actions to many, so the models may be wrong."""


class QLearning(Learner):
    """Q-learning for any number of stages and actions.

    Backward over the stages, Q_k(h, a) is the regression of U_k + (what is carried back from
    stage k + 1) on (H_k, A_k) among all who have a decision at stage k. What is carried back is,
    for ``max_q``, the largest Q_k+1 over the feasible actions; for ``regret``, what happened
    plus the regret max_a Q_k+1(a) - Q_k+1(A_k+1). Who has no decision at a stage, such as a
    responder, carries back what happened. Where the models are right the two agree; where they
    are wrong they can advise differently at the earlier stages, and a fit warns if they do for
    more than a stated share.

    Args:
        main: main terms of each stage's model.
        tailoring: terms whose effect depends on the action; the main terms unless given.
        model: None for linear least squares; else a scikit-learn regressor, or a classifier with
            ``predict_proba`` where the outcome is binary; one for all stages, or by stage's name.
            A model takes the main terms and the action, and finds interactions by itself. Earlier
            stages of a classifier are fitted to shares between the outcome's two values.
        separate: whether a scikit-learn model is fitted to each action by itself.
        pseudo_outcome: ``max_q`` or ``regret``, as above.
        compare: whether to fit the other pseudo-outcome too, to tell how often they disagree.
        warn_above: the share of those with a decision before the last stage above which a
            disagreement is warned of.
        random_state: seed for models whose own ``random_state`` is None.

    Attributes:
        stages_: the fitted model of each stage: ``LinearStage`` or ``LearnedStage``.
        rules_: the learned regime, a rule for each stage.
        disagreement_: share of those with a decision before the last stage to whom the two
            pseudo-outcomes advise differently; NaN if not compared.
        pseudo_outcome_: what was carried back.
        n_: trajectories with a weight above 0.

    References:
        Murphy (2005), A generalization error for Q-learning, JMLR 6; Tsiatis, Davidian, Holloway
        & Laber (2019), Dynamic Treatment Regimes, section 5.4; Huang et al. (2015), Optimization
        of multi-stage dynamic treatment regimes utilizing accumulated data (regret).
    """

    def __init__(  # noqa: PLR0913 - scikit-learn keeps each parameter by its name
        self,
        *,
        main: Terms = None,
        tailoring: Terms = None,
        model: Any = None,
        separate: bool = False,
        pseudo_outcome: Carry = "max_q",
        compare: bool = True,
        warn_above: float = 0.05,
        random_state: int | None = None,
    ) -> None:
        self.main = main
        self.tailoring = tailoring
        self.model = model
        self.separate = separate
        self.pseudo_outcome = pseudo_outcome
        self.compare = compare
        self.warn_above = warn_above
        self.random_state = random_state

    def fit(self, trajectories: Trajectories, weights: Floats | None = None) -> "QLearning":
        """Learn from trajectories.

        Args:
            trajectories: the data.
            weights: in place of the trajectories' own, shape (n,); 0 leaves a row out.

        Raises:
            EstimationError: if the data cannot carry the models: with stage, columns and count.

        Warns:
            DisagreementWarning: if the pseudo-outcomes disagree for more than ``warn_above``.
        """
        one_of("pseudo_outcome", self.pseudo_outcome, _BOTH)
        use = usable_weights(trajectories, weights)
        models = self._models(trajectories)
        ways = self._ways(models)
        final = final_outcome(trajectories)
        carried = [final] * len(ways)
        fitted: list[list[Any]] = []
        for h, model in zip(reversed(trajectories.stages), reversed(models), strict=True):
            targets = [h.reward + one for one in carried] if h.spec.reward else carried
            # at the last stage both targets are one and the same, and are fitted once
            different = targets[:1] if not fitted else targets
            found = self._fit_stage(h, model, different, use, final[trajectories.observed])
            fitted.insert(0, found * (len(targets) // len(found)))
            if len(fitted) < len(models):
                carried = _carried(ways, fitted[0], targets, h)
        self.stages_ = tuple(found[0] for found in fitted)
        self.rules_ = tuple(BestOf(model) for model in self.stages_)
        self.pseudo_outcome_ = self.pseudo_outcome
        self.n_ = len(trajectories) if use is None else int(np.count_nonzero(use))
        self.disagreement_ = self._disagreement(trajectories, fitted, use)
        return self

    def _models(self, trajectories: Trajectories) -> list[Any]:
        stages = [h.spec.stage for h in trajectories.stages]
        if not isinstance(self.model, Mapping):
            return [self.model] * len(stages)
        for stage in stages:
            if stage not in self.model:
                raise EstimationError(
                    f"no model is named for stage {stage}; they are for {', '.join(self.model)}"
                )
        return [self.model[stage] for stage in stages]

    def _ways(self, models: list[Any]) -> tuple[Carry, ...]:
        """Return what is carried back: our pseudo-outcome, and the other one to compare with."""
        ours = self.pseudo_outcome
        if any(model is not None and is_classifier(model) for model in models[:-1]):
            # a classifier models shares between the outcome's ends; Y + regret lies outside them
            if ours == "regret":
                raise EstimationError(
                    "pseudo_outcome='regret' leaves the range of a binary outcome, which a "
                    "classifier before the last stage cannot model; use 'max_q' or a regressor"
                )
            return (ours,)
        both = self.compare and len(models) > 1
        return (ours, _BOTH[1 - _BOTH.index(ours)]) if both else (ours,)

    def _fit_stage(
        self, h: StageData, model: Any, targets: list[Floats], use: Floats | None, seen: Floats
    ) -> list[Any]:
        """Return a fitted model for each target."""
        rows = rows_to_fit(h, use)
        if model is None:
            design = the_design(h, self.main, self.tailoring)
            found = design.solved(h, rows, targets, use)
            return [LinearStage(design, one, len(rows)) for one in found.T]
        learner = learner_of(
            model, the_terms(self.main, h), seen, h.spec.stage,
            separate=self.separate, seed=self.random_state,
        )  # fmt: skip
        return [learner.fit(h, rows, one, use) for one in targets]

    def _disagreement(
        self, trajectories: Trajectories, fitted: list[list[Any]], use: Floats | None
    ) -> float:
        if len(fitted) < 2 or len(fitted[0]) < 2:
            return float("nan")
        differ = np.zeros(len(trajectories), dtype=np.bool_)
        anyone = np.zeros(len(trajectories), dtype=np.bool_)
        for h, (ours, other) in zip(trajectories.stages[:-1], fitted[:-1], strict=True):
            anyone |= h.decided
            differ |= _differ(ours, other, h)
        if use is not None:
            anyone &= use > 0
        share = float(differ[anyone].mean())
        if share > self.warn_above:
            warnings.warn(
                f"the pseudo-outcomes 'max_q' and 'regret' advise {share:.1%} of "
                f"{int(anyone.sum())} patients differently before the last stage (warned above "
                f"{self.warn_above:.0%}), which they would not if the models were right; add terms "
                "to the later stages' models",
                DisagreementWarning,
                stacklevel=3,
            )
        return share


def _differ(one: Any, other: Any, h: StageData) -> Bools:
    """Return where two models of a stage advise different actions."""
    if isinstance(one, LinearStage):
        return one.design.differ(h, one.coefficients, other.coefficients)
    found: Bools = best_feasible(one.q(h), h) != best_feasible(other.q(h), h)
    return found


def _carried(
    ways: tuple[Carry, ...], models: list[Any], targets: list[Floats], h: StageData
) -> list[Floats]:
    """Return what each way carries back to the stage before."""
    found = [np.empty(h.rows) for _ in ways]
    for rows, part in parts(h):
        q = models[0].q(part)
        for at, way in enumerate(ways):
            if at and models[at] is not models[0]:
                q = models[at].q(part)
            found[at][rows] = pseudo_outcome(way, targets[at][rows], q, part)
    return found


def pseudo_outcome(way: Carry, target: Floats, q: Floats, h: StageData) -> Floats:
    """Return what a stage carries back to the one before, shape (n,).

    For ``max_q``, max_a Q(h, a) over the feasible actions; for ``regret``, ``target`` plus
    max_a Q(h, a) - Q(h, A). Rows without a decision carry back ``target``.

    Args:
        way: which of the two.
        target: what Q was fitted to, shape (n,).
        q: Q(h, a), shape (n, n_actions); NaN marks an action that is not feasible.
        h: the histories.
    """
    best = q[:, 0]
    for a in range(1, h.n_actions):
        best = np.fmax(best, q[:, a])
    if way == "max_q":
        return best if h.decided.all() else np.where(h.decided, best, target)
    taken = q[:, 0].copy()
    for a in range(1, h.n_actions):
        np.copyto(taken, q[:, a], where=h.action == a)
    regret = best - taken
    return target + (regret if h.decided.all() else np.where(h.decided, regret, 0.0))
