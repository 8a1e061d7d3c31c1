"""A regime's value is the mean outcome of those who followed it, weighted for those who did not."""

from typing import Any

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats
from cds_engine.estimate.missing_outcomes import Missing, checked, probability_observed
from cds_engine.estimate.propensity import learn_propensity
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


def ipw_value(  # noqa: PLR0913 - each is a convention that moves digits
    trajectories: Trajectories,
    rules: Rules,
    *,
    label: str = "the regime",
    propensity: Propensities = None,
    normalised: bool = True,
    truncate: float | None = None,
    stabilised: bool = False,
    project: bool = False,
    missing: Missing = "refuse",
    observation: Any = None,
    least_effective_n: float = 0.0,
    level: float = 0.95,
) -> ValueEstimate:
    """Return E[Y^d], the mean outcome had all followed a regime, by inverse probability weights.

    With w the product over stages of I(A_k = d_k) / P(A_k = d_k | H_k), the estimate is
    sum(w Y) / sum(w) (Hajek) or sum(w Y) / n (Horvitz-Thompson); a sample weight multiplies w and
    n is then its sum. A stage without a decision, or where a rule leaves what is usual, has the
    factor 1. Outcomes that are missing and weighted for multiply w by R / P(R = 1 | whole history).

    Conventions: the standard error is sqrt(sum(influence**2)) / n, and takes the weights as known,
    which is conservative where they are estimated; ``project`` takes the part of the influence
    function off that lies in the propensity model's score. Truncation biases towards the mean of
    those with small weights and is stated in the notes.

    Args:
        trajectories: the data.
        rules: one rule for each stage.
        label: the regime's name.
        propensity: for all stages or one for each; see ``fit_propensity``.
        normalised: Hajek, else Horvitz-Thompson.
        truncate: the largest weight, or below 1 the quantile of the followers' weights to cut at.
        stabilised: multiply weights by the share of those who followed, which makes them about 1
            on average; moves truncation and the weights' summary, not the estimate.
        project: whether to project on the score of logistic propensity models.
        missing: ``weight`` to weight for missing outcomes, ``refuse`` to refuse them.
        observation: classifier for P(observed | whole history); logistic regression unless given.
        least_effective_n: refuse below this effective number of followers.
        level: of the interval.

    Raises:
        EstimationError: if nobody followed the regime at every stage (and was observed), or too
            few effectively; and as ``fit_propensity`` does.

    References:
        Tsiatis et al. (2019), Dynamic Treatment Regimes, CRC Press, sections 5.3 and 6.4.
    """
    notes = checked(trajectories, missing)
    places = advice(trajectories, rules)
    followers = follows_so_far(trajectories, places)[-1]
    seen = followers & trajectories.observed
    _refuse_nobody(trajectories, label, seen)
    p = propensities(trajectories, propensity)
    w = cumulative_weights(trajectories, places, p)[-1]
    w = w * trajectories.observed / probability_observed(trajectories, observation)
    w, summary = truncated(w * (followers.mean() if stabilised else 1.0), truncate)
    if stabilised:
        w = w / followers.mean()
    if summary.truncated:
        notes += (f"{summary.truncated} weights truncated at {summary.truncated_at:.4g}",)
    effective = effective_n(w * trajectories.weights)
    if effective < least_effective_n:
        raise EstimationError(
            f"{label}: the {int(seen.sum())} who followed it weigh as much as "
            f"{effective:.1f}, fewer than the {least_effective_n:g} asked for; truncate the "
            "weights, or use the g-formula, which is model-based"
        )
    estimate, influence = _weighted_mean(trajectories, w, normalised=normalised)
    if project:
        influence = _projected(trajectories, influence, propensity)
    sign = trajectories.sign
    return ValueEstimate(
        label=label, estimate=sign * estimate, standard_error=standard_error(influence),
        n=len(trajectories), effective_n=effective, followers=int(seen.sum()),
        estimand=estimand(trajectories, label), influence=sign * influence, level=level,
        method=_method(normalised=normalised, project=project), ids=trajectories.ids,
        weights=summary, notes=notes, sample_weights=sample_weights(trajectories),
    )  # fmt: skip


def estimand(trajectories: Trajectories, label: str) -> str:
    """Return what a value is, in words."""
    return f"mean {trajectories.outcome_name} had all {len(trajectories)} followed {label}"


def _method(*, normalised: bool, project: bool) -> str:
    kind = "Hajek" if normalised else "Horvitz-Thompson"
    how = "projected on the propensity score equations" if project else "weights taken as known"
    return f"inverse probability weighting ({kind}); standard error with {how}, divisor n"


_MODELS = "its value could only come from models, as that of the g-formula does"


def _refuse_nobody(trajectories: Trajectories, label: str, followers: Bools) -> None:
    if not followers.any():
        raise EstimationError(
            f"{label}: 0 of {len(trajectories)} followed it at every stage, so that no weight can "
            f"stand for the rest; {_MODELS}"
        )
    if not (trajectories.weights[followers] > 0).any():
        raise EstimationError(
            f"{label}: the {int(followers.sum())} who followed it at every stage have a sample "
            f"weight of 0, so that none can stand for the rest; {_MODELS}"
        )


def _weighted_mean(
    trajectories: Trajectories, w: Floats, *, normalised: bool
) -> tuple[float, Floats]:
    y = np.nan_to_num(trajectories.outcome)
    weight = trajectories.weights
    n = len(weight)
    if normalised:
        total = float((weight * w).sum())
        estimate = float((weight * w * y).sum()) / total
        return estimate, n * weight * w * (y - estimate) / total
    estimate = float((weight * w * y).sum() / weight.sum())
    return estimate, weight * (w * y - estimate) * (n / float(weight.sum()))


def _projected(trajectories: Trajectories, influence: Floats, how: Propensities) -> Floats:
    scores = []
    weights = sample_weights(trajectories)
    for h, one in zip(trajectories.stages, per_stage(how, trajectories), strict=True):
        known = one is None and h.propensity is not None
        if isinstance(one, np.ndarray) or known or (isinstance(one, str) and one == "known"):
            continue
        score = learn_propensity(h, one, weights=weights).scores(h)
        scores.append(score * trajectories.weights[:, None])
    if not scores:
        raise EstimationError(
            "no propensity was estimated, so that there is no score to project on; set "
            "project=False, or propensity='estimate', which gains precision"
        )
    S = np.hstack(scores)
    along = S @ np.linalg.lstsq(S, influence, rcond=None)[0]
    projected: Floats = influence - along
    return projected
