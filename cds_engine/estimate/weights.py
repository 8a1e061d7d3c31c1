"""A trajectory that follows a regime stands for all who could have: one over its probability."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints
from cds_engine.estimate.propensity import Propensity, cross_fit_propensity, fit_propensity
from cds_engine.estimate.rule import Rules, advised
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value import WeightSummary

Propensities = Propensity | Sequence[Propensity] | Sequence[NDArray[Any]]
"""One way for all stages, or one for each: see ``fit_propensity``; arrays are taken as given."""


def advice(trajectories: Trajectories, rules: Rules) -> tuple[Ints, ...]:
    """Return what a regime advises at each stage, after checking that it may.

    Raises:
        EstimationError: unless there is one rule for each stage, each advising feasible actions.
    """
    if len(rules) != len(trajectories.stages):
        raise EstimationError(
            f"the regime has {len(rules)} rules, the trajectories have "
            f"{len(trajectories.stages)} stages; give one rule for each stage"
        )
    return tuple(advised(rule, h) for rule, h in zip(rules, trajectories.stages, strict=True))


def followed(h: StageData, advised_here: Ints) -> Bools:
    """Return who did at a stage what was advised; who was advised nothing did."""
    silent: Bools = (advised_here < 0) | (advised_here == h.action)
    return silent


def propensities(
    trajectories: Trajectories, how: Propensities = None, folds: Ints | None = None
) -> tuple[Floats, ...]:
    """Return the propensities of every stage, each of shape (n, n_actions).

    Args:
        trajectories: the data; their sample weights enter estimated propensities.
        how: as ``Propensities`` says.
        folds: each trajectory's fold, for propensities that are fitted without it.
    """
    held = []
    for h, one in zip(trajectories.stages, per_stage(how, trajectories), strict=True):
        weights = sample_weights(trajectories)
        if isinstance(one, np.ndarray):
            held.append(_given(h, one))
        elif folds is None:
            held.append(fit_propensity(h, one, weights=weights))
        else:
            held.append(cross_fit_propensity(h, folds, one, weights=weights))
    return tuple(held)


def per_stage(how: Any, trajectories: Trajectories) -> tuple[Any, ...]:
    """Return one entry for each stage, whether one was given for all or one for each.

    Raises:
        EstimationError: if a list is of another length than the stages.
    """
    stages = len(trajectories.stages)
    if not isinstance(how, (list, tuple)):
        return (how,) * stages
    if len(how) != stages:
        raise EstimationError(
            f"{len(how)} were given for {stages} stages; give one for all, or one for each stage"
        )
    return tuple(how)


def sample_weights(trajectories: Trajectories) -> Floats | None:
    """Return the sample weights, or None where all are equal."""
    weights = trajectories.weights
    return None if (weights == weights[0]).all() else weights


def stage_weight(h: StageData, advised_here: Ints, p: Floats) -> Floats:
    """Return I(A_k = d_k) / P(A_k = d_k | H_k), shape (n,).

    It is 1 where there is no decision and where the rule leaves what is usual.

    Raises:
        EstimationError: if somebody took an action whose propensity is 0.
    """
    follows = followed(h, advised_here)
    weight = follows.astype(np.float64)
    rows = np.flatnonzero(follows & (advised_here >= 0))
    of_taken = p[rows, advised_here[rows]]
    if impossible := int(np.count_nonzero(~(of_taken > 0))):
        raise EstimationError(
            f"stage {h.spec.stage}: {impossible} rows took an action whose propensity is 0; "
            "correct the propensities, or declare the action infeasible there"
        )
    weight[rows] = 1.0 / of_taken
    return weight


def cumulative_weights(
    trajectories: Trajectories, advised_at: Sequence[Ints], p: Sequence[Floats]
) -> Floats:
    """Return w_k, the product of the weights of the stages 1..k, shape (K, n)."""
    stages = zip(trajectories.stages, advised_at, p, strict=True)
    each = np.vstack([stage_weight(h, places, here) for h, places, here in stages])
    return np.asarray(np.cumprod(each, axis=0), dtype=np.float64)


def follows_so_far(trajectories: Trajectories, advised_at: Sequence[Ints]) -> Bools:
    """Return who followed the regime from the first stage through stage k, shape (K, n)."""
    each = [followed(h, places) for h, places in zip(trajectories.stages, advised_at, strict=True)]
    return np.logical_and.accumulate(np.vstack(each), axis=0)


def effective_n(weights: Floats) -> float:
    """Return (sum w)**2 / sum(w**2): how many equally weighted rows would say as much."""
    squares = float(np.sum(weights**2))
    return float(np.sum(weights)) ** 2 / squares if squares else 0.0


def truncated(weights: Floats, limit: float | None) -> tuple[Floats, WeightSummary]:
    """Return the weights cut at a limit, and what those of the followers look like.

    Args:
        weights: shape (n,); zero for those who did not follow.
        limit: the largest weight, or below 1 the quantile of the followers' weights that is; None
            cuts nothing.

    Raises:
        EstimationError: if the limit is not positive.
    """
    own = weights[weights > 0]
    if limit is not None and not limit > 0:
        raise EstimationError(
            f"weights cannot be truncated at {limit}; give a quantile below 1 or a largest weight"
        )
    at = float(np.quantile(own, limit)) if limit is not None and limit < 1 else limit
    cut = weights if at is None else np.minimum(weights, at)
    left = cut[weights > 0]
    summary = WeightSummary(
        largest=float(left.max(initial=0.0)),
        mean=float(left.mean()) if len(left) else 0.0,
        standard_deviation=float(left.std()) if len(left) else 0.0,
        truncated=0 if at is None else int(np.count_nonzero(own > at)),
        truncated_at=at,
    )
    return cut, summary


def _given(h: StageData, p: NDArray[Any]) -> Floats:
    if p.shape != h.feasible.shape:
        raise EstimationError(
            f"stage {h.spec.stage}: propensities of the shape {p.shape} were given for "
            f"{h.feasible.shape[0]} rows and {h.feasible.shape[1]} actions"
        )
    return p.astype(np.float64)
