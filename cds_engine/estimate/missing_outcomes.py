"""A missing outcome is weighted for or modelled given the whole history; it is never a zero."""

from typing import Any, Literal

import numpy as np
from sklearn.base import clone

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.feasible_logit import FeasibleLogit, SeparationError
from cds_engine.estimate.history_matrix import HistoryMatrix
from cds_engine.estimate.outcome_model import EVERYBODY, arm_models
from cds_engine.estimate.trajectories import Trajectories

Missing = Literal["refuse", "weight"]


def checked(trajectories: Trajectories, missing: Missing) -> tuple[str, ...]:
    """Return the note about missing outcomes that an estimate must carry.

    Raises:
        EstimationError: if outcomes are missing and are to be refused.
    """
    if missing not in {"refuse", "weight"}:
        raise EstimationError(f"missing={missing!r} is not understood; give 'refuse' or 'weight'")
    if missing == "refuse":
        trajectories.complete()
    gone = int(np.count_nonzero(~trajectories.observed))
    if not gone:
        return ()
    note = (
        f"{trajectories.outcome_name} is missing in {gone} of {len(trajectories)}; weighted by the "
        "inverse probability of being observed given the whole history (missing at random)"
    )
    return (note,)


def whole_history(trajectories: Trajectories) -> Floats:
    """Return all histories and all actions as one matrix, shape (n, q).

    What was not known of those without a decision at a stage counts as zero beside an indicator
    that they had none.
    """
    blocks = []
    for h in trajectories.stages:
        blocks.append(HistoryMatrix.of(h)(h))
        blocks.append((h.action[:, None] == np.arange(h.n_actions)).astype(np.float64))
    return np.hstack(blocks)


def probability_observed(
    trajectories: Trajectories, model: Any = None, folds: Ints | None = None
) -> Floats:
    """Return P(outcome observed | whole history), shape (n,); ones where nothing is missing.

    Args:
        trajectories: the data.
        model: a scikit-learn classifier; logistic regression without a penalty unless given.
        folds: each trajectory's fold, for probabilities that are fitted without it.

    Raises:
        EstimationError: if the history foretells perfectly who is lost.
    """
    n = len(trajectories)
    if trajectories.observed.all():
        return np.ones(n)
    X = whole_history(trajectories)
    held = np.empty(n)
    folds = np.zeros(n, dtype=np.intp) if folds is None else folds
    several = len(np.unique(folds)) > 1
    for fold in np.unique(folds):
        inside = folds == fold
        rest = ~inside if several else inside
        held[inside] = _observed_shares(trajectories, X, rest, model)[inside]
    return held


def completed(
    trajectories: Trajectories, model: Any, observed: Floats, folds: Ints, fold: int = EVERYBODY,
    X: Floats | None = None,
) -> Floats:  # fmt: skip
    """Return m + R / P(R = 1) * (Y - m), which has the mean of Y if either model is right.

    R says whether the outcome was observed and m is its regression on the whole history within
    the arms of the last stage, fitted to those observed outside of a fold.

    Args:
        trajectories: the data.
        model: a scikit-learn regressor; least squares unless given.
        observed: P(R = 1 | whole history), shape (n,); infinite weighs nobody, so that missing
            outcomes are modelled alone.
        folds: each trajectory's fold, shape (n,).
        fold: the fold left out.
        X: the whole history as a matrix, where it is at hand.
    """
    y = trajectories.outcome
    if trajectories.observed.all():
        return y
    last = trajectories.stages[-1]
    arms = arm_models(
        model, whole_history(trajectories) if X is None else X, last.action + 1,
        trajectories.weights, folds, where="the outcomes that are observed",
        names=("no decision", *last.spec.actions),
    )  # fmt: skip
    m = arms.predict(fold, y, last.action + 1)
    return m + np.where(trajectories.observed, (np.nan_to_num(y) - m) / observed, 0.0)


def _observed_shares(trajectories: Trajectories, X: Floats, rest: Any, model: Any) -> Floats:
    seen = trajectories.observed.astype(np.intp)
    if seen[rest].all():
        return np.ones(len(X))
    weights = trajectories.weights[rest]
    if model is not None:
        fitted = clone(model).fit(X[rest], seen[rest], sample_weight=weights)
        return np.asarray(fitted.predict_proba(X)[:, list(fitted.classes_).index(1)])
    both = np.ones((len(X), 2), dtype=np.bool_)
    try:
        logit = FeasibleLogit().fit(X[rest], seen[rest], both[rest], weights)
    except SeparationError as error:
        raise EstimationError(
            f"the history foretells perfectly whose outcome is missing (in {error.rows} of "
            f"{int(np.count_nonzero(rest))} rows), so that nobody can stand for them; leave such "
            "rows out of the population on purpose, or give a penalised classifier"
        ) from error
    return logit.predict_proba(X, both)[:, 1]
