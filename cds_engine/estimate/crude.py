"""What a naive reader would compute: means of those who happened to, with no adjustment."""

from typing import Any

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools
from cds_engine.estimate.missing_outcomes import Missing, checked, probability_observed
from cds_engine.estimate.rule import Rules
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value import ValueEstimate, standard_error
from cds_engine.estimate.weights import advice, effective_n, follows_so_far, sample_weights

CRUDE = "crude: not adjusted for why the actions were chosen"


def observed_value(
    trajectories: Trajectories,
    *,
    label: str = "usual care",
    missing: Missing = "refuse",
    observation: Any = None,
    level: float = 0.95,
) -> ValueEstimate:
    """Return E[Y], the mean outcome under what was done: the value of usual care.

    Args:
        trajectories: the data.
        label: what usual care is called.
        missing: ``weight`` weights those observed by 1 / P(observed | whole history), normalised.
        observation: classifier for that probability; logistic regression unless given.
        level: of the interval.

    Raises:
        EstimationError: if outcomes are missing and are to be refused.
    """
    notes = checked(trajectories, missing)
    w = trajectories.observed / probability_observed(trajectories, observation)
    return _mean(
        trajectories, w, trajectories.observed, label=label, level=level, notes=notes,
        estimand=f"mean {trajectories.outcome_name} under what was done",
        method="mean of those observed" + (", weighted for the others" if notes else ""),
    )  # fmt: skip


def crude_value(
    trajectories: Trajectories, rules: Rules, *, label: str = "the regime", level: float = 0.95
) -> ValueEstimate:
    """Return the mean outcome of those who happened to follow a regime; not its value.

    Missing outcomes are left out and counted in the notes.

    Raises:
        EstimationError: if nobody whose outcome was observed followed it.
    """
    followers = follows_so_far(trajectories, advice(trajectories, rules))[-1]
    return _crude(trajectories, followers, f"{label}, crude", f"those who followed {label}", level)


def crude_difference(
    trajectories: Trajectories, stage: str, action: str, reference: str, *, level: float = 0.95
) -> ValueEstimate:
    """Return the difference in mean outcome between those who took two actions; not an effect.

    Raises:
        EstimationError: if there is no such stage or action, or nobody observed took one of them.
    """
    for h in trajectories.stages:
        if h.spec.stage == stage:
            one, other = (
                _crude(trajectories, h.action == h.spec.place(name), f"{name} at {stage}, crude",
                       f"those who took {name} at {stage}", level)
                for name in (action, reference)
            )  # fmt: skip
            return one.minus(other)
    names = ", ".join(h.spec.stage for h in trajectories.stages)
    raise EstimationError(f"there is no stage {stage!r}; there are {names}")


def _crude(
    trajectories: Trajectories, rows: Bools, label: str, who: str, level: float
) -> ValueEstimate:
    held = rows & trajectories.observed
    if not held.any():
        raise EstimationError(f"there is no crude mean: nobody is among {who} with an outcome")
    gone = int(np.count_nonzero(rows & ~trajectories.observed))
    notes = (CRUDE,) + ((f"{gone} of them lack an outcome and are left out",) if gone else ())
    return _mean(
        trajectories, held.astype(np.float64), held, label=label, level=level, notes=notes,
        estimand=f"mean {trajectories.outcome_name} of {who}", method="mean, " + CRUDE,
    )  # fmt: skip


def _mean(trajectories: Trajectories, w: Any, rows: Bools, **rest: Any) -> ValueEstimate:
    weight = trajectories.weights * w
    y = np.nan_to_num(trajectories.outcome)
    estimate = float(weight @ y) / float(weight.sum())
    influence = len(weight) * weight * (y - estimate) / float(weight.sum())
    return ValueEstimate(
        estimate=trajectories.sign * estimate, standard_error=standard_error(influence),
        n=len(trajectories), effective_n=effective_n(weight), followers=int(rows.sum()),
        influence=trajectories.sign * influence, ids=trajectories.ids,
        sample_weights=sample_weights(trajectories), **rest,
    )  # fmt: skip
