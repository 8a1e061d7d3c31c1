"""The doubly robust value of a regime is right if, stage by stage, one of two models is right."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.folds import canonical_order, folds_of
from cds_engine.estimate.history_matrix import HistoryMatrix
from cds_engine.estimate.ipw import estimand
from cds_engine.estimate.missing_outcomes import (
    Missing,
    checked,
    completed,
    probability_observed,
    whole_history,
)
from cds_engine.estimate.outcome_model import EVERYBODY, ArmModels, arm_models
from cds_engine.estimate.rule import Rules
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value import ValueEstimate, standard_error
from cds_engine.estimate.weights import (
    Propensities,
    advice,
    cumulative_weights,
    effective_n,
    follows_so_far,
    per_stage,
    propensities,
    sample_weights,
    truncated,
)

IN_SAMPLE = "in-sample: the regime was learned from the trajectories that it is valued on"


def dr_value(  # noqa: PLR0913 - each is a nuisance model or a convention that moves digits
    trajectories: Trajectories,
    rules: Rules,
    *,
    label: str = "the regime",
    propensity: Propensities = None,
    outcome: Any = None,
    n_folds: int = 5,
    truncate: float | None = None,
    missing: Missing = "refuse",
    observation: Any = None,
    in_sample: bool = False,
    random_state: int = 0,
    level: float = 0.95,
) -> ValueEstimate:
    """Return E[Y^d], the mean outcome had all followed a regime, by cross-fitted AIPW.

    With Q_k(H_k, d_k) the expected outcome of following d from stage k on (Q_{K+1} = Y), and w_k
    the product of I(A_j = d_j) / P(A_j = d_j | H_j) over j <= k, the estimate is the mean of

        Q_1(H_1, d_1) + sum over k of w_k (Q_{k+1}(H_{k+1}, d_{k+1}) - Q_k(H_k, d_k)).

    Q_k is a regression of Q_{k+1}(H_{k+1}, d_{k+1}) within each arm. Both nuisances are fitted
    without the fold of the row that they are used for. A stage without a decision, or where the
    rule leaves what is usual, passes Q_{k+1} through. The standard error is that of the mean of
    these terms, with the divisor n; nuisances add nothing to first order if both converge.

    Args:
        trajectories: the data.
        rules: one rule for each stage, fixed before these data were seen.
        label: the regime's name.
        propensity: for all stages or one for each; see ``fit_propensity``.
        outcome: scikit-learn regressor, for all stages or one for each; least squares unless given.
        n_folds: how many folds; 1 fits nuisances on all rows (no cross-fitting).
        truncate: as in ``ipw_value``, for the weights w_k of every stage.
        missing: ``weight`` takes missing outcomes as missing at random given the whole history and
            replaces Y by m + R / P(R = 1) (Y - m); ``refuse`` refuses them.
        observation: classifier for P(R = 1 | whole history); logistic regression unless given.
        in_sample: whether the rules were learned from these trajectories; said in the notes.
        random_state: decides, with the identifiers and not the order of rows, who is in which fold.
        level: of the interval.

    Raises:
        EstimationError: if an arm is empty or too small in what a fold leaves, and as
            ``fit_propensity`` does.

    References:
        Tsiatis et al. (2019), Dynamic Treatment Regimes, CRC Press, section 6.4.4; Chernozhukov
        et al. (2018), Double/debiased machine learning.
    """
    prepared = prepare(
        trajectories, propensity=propensity, outcome=outcome, n_folds=n_folds, missing=missing,
        observation=observation, random_state=random_state,
    )  # fmt: skip
    value = prepared.value(rules, label, truncate=truncate, level=level)
    return replace(value, notes=(*value.notes, IN_SAMPLE)) if in_sample else value


def dr_value_of_learner(  # noqa: PLR0913 - as dr_value
    trajectories: Trajectories,
    learner: Any,
    *,
    label: str = "the learned regime",
    propensity: Propensities = None,
    outcome: Any = None,
    n_folds: int = 5,
    truncate: float | None = None,
    missing: Missing = "refuse",
    observation: Any = None,
    random_state: int = 0,
    level: float = 0.95,
) -> ValueEstimate:
    """Return the doubly robust value of what a learner learns, out of fold.

    The learner is refitted without each fold and the regime it learns is valued on the fold alone.
    The estimand is the mean value of the regimes that it learns from all folds but one, which is a
    little less than that of the one it learns from all.

    Args:
        trajectories: the data.
        learner: anything with ``fit(trajectories)`` and then ``rules_``; a copy is fitted.
        label: the regime's name.
        propensity: as in ``dr_value``, like all the rest.
        outcome: likewise.
        n_folds: at least 2.
        truncate: likewise.
        missing: likewise.
        observation: likewise.
        random_state: likewise.
        level: likewise.

    Raises:
        EstimationError: for fewer than two folds, and as ``dr_value`` does.
    """
    if n_folds < 2:
        raise EstimationError(
            f"{n_folds} folds: a learned regime is valued out of fold; ask for at least 2, or give "
            "its rules to dr_value(in_sample=True)"
        )
    prepared = prepare(
        trajectories, propensity=propensity, outcome=outcome, n_folds=n_folds, missing=missing,
        observation=observation, random_state=random_state,
    )  # fmt: skip
    value = prepared.learned_value(learner, label, truncate=truncate, level=level)
    return replace(
        value,
        notes=(*value.notes, f"learned without, and valued on, each of {n_folds} folds in turn"),
    )


@dataclass(frozen=True)
class Prepared:
    """What doubly robust values of several regimes on the same trajectories have in common.

    Attributes:
        trajectories: the data, in the order that their identifiers give.
        order: where each of them stood in the table.
        folds: each one's fold, 0 for all without cross-fitting.
        crossed: whether nuisances leave the fold of a row out.
        propensities: of every stage, fitted without the fold of their row.
        arms: the outcome models of every stage.
        outcome_at: the outcome, completed where it is missing without a given fold.
        seen: 1 / P(outcome observed | whole history) where it was observed, else 0.
        notes: about missing outcomes.
    """

    trajectories: Trajectories
    order: Ints
    folds: Ints
    crossed: bool
    propensities: tuple[Floats, ...]
    arms: tuple[ArmModels, ...]
    outcome_at: Callable[[int], Floats]
    seen: Floats
    notes: tuple[str, ...]

    def value(
        self, rules: Rules, label: str, *, truncate: float | None = None, level: float = 0.95
    ) -> ValueEstimate:
        """Return the value of a regime; see ``dr_value``."""
        places = advice(self.trajectories, rules)
        return self._estimate(lambda _: places, label, truncate, level)

    def learned_value(
        self, learner: Any, label: str, *, truncate: float | None = None, level: float = 0.95
    ) -> ValueEstimate:
        """Return the value of what a learner learns, out of fold; see ``dr_value_of_learner``."""

        def learned(fold: int) -> tuple[Ints, ...]:
            fresh = clone(learner) if hasattr(learner, "get_params") else deepcopy(learner)
            fitted = fresh.fit(self.trajectories.take(self.folds != fold))
            return advice(self.trajectories, (fresh if fitted is None else fitted).rules_)

        return self._estimate(learned, label, truncate, level)

    def _estimate(
        self, advised_at: Callable[[int], tuple[Ints, ...]], label: str, truncate: float | None,
        level: float,
    ) -> ValueEstimate:  # fmt: skip
        t = self.trajectories
        n = len(t)
        v = np.empty((len(t.stages) + 1, n))
        places = tuple(np.empty(n, dtype=np.intp) for _ in t.stages)
        for fold in range(int(self.folds.max()) + 1):
            inside = self.folds == fold
            here = advised_at(fold)
            v[:, inside] = self._values(fold, here)[:, inside]
            for held, one in zip(places, here, strict=True):
                held[inside] = one[inside]
        w = cumulative_weights(t, places, self.propensities)
        for k in range(len(w)):
            w[k], summary = truncated(w[k], truncate)
        terms = v[0] + np.sum(w * np.diff(v, axis=0), axis=0)
        notes = self.notes
        if summary.truncated:
            notes += (f"{summary.truncated} weights truncated at {summary.truncated_at:.4g}",)
        return self._put_back(terms, w[-1], places, label=label, level=level, notes=notes,
                              weights=summary)  # fmt: skip

    def _values(self, fold: int, places: Sequence[Ints]) -> Floats:
        """Return Q_1 .. Q_{K+1} at the advised actions from models without a fold, (K + 1, n)."""
        without = fold if self.crossed else EVERYBODY
        held = [self.outcome_at(without)]
        for arms, advised_here in zip(reversed(self.arms), reversed(places), strict=True):
            q = arms.predict(without, held[0], advised_here)
            held.insert(0, np.where(advised_here >= 0, q, held[0]))
        return np.vstack(held)

    def _put_back(
        self, terms: Floats, w: Floats, places: Sequence[Ints], *, label: str,
        notes: tuple[str, ...], **rest: Any,
    ) -> ValueEstimate:  # fmt: skip
        t = self.trajectories
        relative = t.weights / t.weights.mean()
        estimate = float((relative * terms).mean())
        influence = np.empty(len(t))
        influence[self.order] = relative * (terms - estimate)
        ids = np.empty_like(t.ids)
        ids[self.order] = t.ids
        weights = sample_weights(t)
        if weights is not None:
            weights = np.empty(len(t))
            weights[self.order] = t.weights
        so_far = follows_so_far(t, places)
        # who followed and was lost tells nothing of the outcome, so counts as nobody
        followers = so_far[-1] & t.observed
        if not followers.any():
            notes += (_nobody(t, so_far),)
        folds = int(self.folds.max()) + 1
        crossed = f"cross-fitted, {folds} folds" if self.crossed else "not cross-fitted"
        return ValueEstimate(
            label=label, estimate=t.sign * estimate, standard_error=standard_error(influence),
            n=len(t), effective_n=effective_n(w * self.seen * t.weights),
            followers=int(followers.sum()), estimand=estimand(t, label),
            influence=t.sign * influence, ids=ids, notes=notes,
            method=f"doubly robust (augmented inverse probability weighting), {crossed}",
            sample_weights=weights, **rest,
        )  # fmt: skip


def prepare(
    trajectories: Trajectories,
    *,
    propensity: Propensities = None,
    outcome: Any = None,
    n_folds: int = 5,
    missing: Missing = "refuse",
    observation: Any = None,
    random_state: int = 0,
) -> Prepared:
    """Fit what the doubly robust values of several regimes have in common; see ``dr_value``."""
    notes = checked(trajectories, missing)
    order = canonical_order(trajectories.ids, random_state)
    t = trajectories.take(order)
    how = _reordered(per_stage(propensity, t), order)
    crossed = n_folds != 1
    folds = np.zeros(len(t), dtype=np.intp)
    if crossed:
        folds = folds_of(t, n_folds, random_state, ordered=True)
    arms = tuple(
        arm_models(model, HistoryMatrix.of(h)(h), h.action, t.weights, folds,
                   where=f"stage {h.spec.stage}", names=h.spec.actions)
        for model, h in zip(per_stage(outcome, t), t.stages, strict=True)
    )  # fmt: skip
    observed = probability_observed(t, observation, folds)
    return Prepared(
        t, order, folds, crossed, propensities(t, how, folds if crossed else None), arms,
        _completion(t, per_stage(outcome, t)[-1], observed, folds), t.observed / observed, notes,
    )  # fmt: skip


def _completion(
    t: Trajectories, model: Any, observed: Floats, folds: Ints
) -> Callable[[int], Floats]:
    if t.observed.all():
        return lambda _: t.outcome
    X = whole_history(t)
    return lambda fold: completed(t, model, observed, folds, fold, X)


def _reordered(how: Sequence[Any], order: Ints) -> list[Any]:
    return [one[order] if isinstance(one, np.ndarray) else one for one in how]


def _nobody(t: Trajectories, so_far: Any) -> str:
    if so_far[-1].any():
        return (
            f"model-based: {int(so_far[-1].sum())} of {len(t)} followed it at every stage and none "
            "of them has an outcome, so that it rests on the outcome models alone"
        )
    stage = t.stages[int(np.argmin(so_far.any(axis=1)))].spec.stage
    return (
        f"model-based: 0 of {len(t)} followed it at every stage; from stage {stage} on it rests on "
        "the outcome models alone"
    )
