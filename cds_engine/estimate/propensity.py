"""Propensities are over the feasible actions of each history: known by design, or estimated."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from sklearn.base import clone

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints
from cds_engine.estimate.feasible_logit import FeasibleLogit, SeparationError
from cds_engine.estimate.history_matrix import HistoryMatrix
from cds_engine.estimate.stage import StageData

Propensity = Literal["known", "estimate"] | Any
"""``None``: known by design where it is, else estimated; ``"known"``: refuse to estimate;
``"estimate"``: logistic regression even where the design is known; a scikit-learn classifier."""


def fit_propensity(
    h: StageData, model: Propensity = None, *, weights: Floats | None = None
) -> Floats:
    """Return P(A_k = a | H_k) for every row and action, shape (n, n_actions).

    Probabilities sum to 1 over the feasible actions of a row; infeasible actions have 0, a row
    with one feasible action has 1 there, and a row without a decision (``NO_DECISION``) has 0
    everywhere, as in ``h.propensity``. Only rows with a choice are fitted to.

    Args:
        h: the histories of one stage.
        model: None takes what is known by design and otherwise estimates; ``"estimate"`` always
            estimates by multinomial logistic regression restricted to the feasible actions
            (maximum likelihood without a penalty, columns standardised); a scikit-learn classifier
            is cloned, fitted, and its probabilities renormalised over the feasible actions.
        weights: sample weights, shape (n,).

    Raises:
        EstimationError: if all who had a choice took one action, an action that was feasible was
            never taken, histories foretell the action perfectly, or there are too few rows.
    """
    known = _known(h, model)
    return known if known is not None else learn_propensity(h, model, weights=weights)(h)


def cross_fit_propensity(
    h: StageData, folds: Ints, model: Propensity = None, *, weights: Floats | None = None
) -> Floats:
    """Return propensities that each were fitted without the fold of their row.

    Args:
        h: the histories of one stage.
        folds: each row's fold, shape (n,), as ``folds_of`` gives them.
        model: as in ``fit_propensity``; what is known by design is not estimated.
        weights: sample weights, shape (n,).

    Raises:
        EstimationError: as ``fit_propensity`` does, for the fold that was left out.
    """
    known = _known(h, model)
    if known is not None:
        return known
    held = np.zeros(h.feasible.shape)
    matrix = HistoryMatrix.of(h)
    X = matrix(h)
    whole = _learned(h, X, None if isinstance(model, str) else model, weights, matrix)
    for fold in range(int(folds.max()) + 1):
        inside = folds == fold
        held[inside] = whole.without(h, X, inside, weights).shares(X[inside], h.feasible[inside])
    return held


@dataclass(frozen=True)
class PropensityModel:
    """A fitted propensity model: call it with histories to get P(A_k = a | H_k).

    Attributes:
        matrix: how it reads a history.
        fitted: the classifier; None where nobody has a choice.
        unfitted: the classifier as it was given; None for the default.
    """

    matrix: HistoryMatrix
    fitted: Any
    unfitted: Any = None

    def __call__(self, h: StageData) -> Floats:
        """Return probabilities of shape (n, n_actions) as ``fit_propensity`` describes them."""
        return self.shares(self.matrix(h), h.feasible)

    def shares(self, X: Floats, feasible: Bools) -> Floats:
        """Return the same, given the histories' matrix and feasible sets."""
        held = feasible.astype(np.float64)
        choice = choices(feasible) > 1
        if choice.any() and self.fitted is not None:
            held[choice] = self._shares(X[choice], feasible[choice])
        return held

    def without(
        self, h: StageData, X: Floats, rows: Bools, weights: Floats | None
    ) -> "PropensityModel":
        """Return the model refitted on all other rows; a logistic one starts from this fit."""
        start = self.fitted if isinstance(self.fitted, FeasibleLogit) else None
        rest = None if weights is None else weights[~rows]
        try:
            bare = replace(h, columns={}, propensity=None)
            return _learned(bare.take(~rows), X[~rows], self.unfitted, rest, self.matrix, start)
        except EstimationError as error:
            raise EstimationError(
                f"{error} (in a fold that leaves {int(rows.sum())} rows out; fewer folds may help)"
            ) from error

    def scores(self, h: StageData) -> Floats:
        """Return each row's score of the likelihood; zeros where there was no choice.

        Raises:
            EstimationError: if the model is not the default logistic regression.
        """
        if self.fitted is None:
            return np.zeros((h.rows, 0))
        if not isinstance(self.fitted, FeasibleLogit):
            raise EstimationError(
                f"stage {h.spec.stage}: a {type(self.fitted).__name__} has no score to project on; "
                "use the default logistic regression, or project=False, which is conservative"
            )
        choice = choices(h.feasible) > 1
        some = h.take(choice)
        inside = self.fitted.scores(self.matrix(some), some.action, some.feasible)
        held = np.zeros((h.rows, inside.shape[1]))
        held[choice] = inside
        return held

    def _shares(self, X: Floats, feasible: Bools) -> Floats:
        if isinstance(self.fitted, FeasibleLogit):
            return self.fitted.predict_proba(X, feasible)
        raw = np.zeros(feasible.shape)
        raw[:, self.fitted.classes_.astype(np.intp)] = self.fitted.predict_proba(X)
        raw *= feasible
        total = raw.sum(axis=1, keepdims=True)
        if lost := int(np.count_nonzero(total <= 0)):
            kind = type(self.fitted).__name__
            raise EstimationError(
                f"stage {self.matrix.stage}: {kind} gives probability 0 to every "
                f"feasible action in {lost} rows; choose a smoother classifier"
            )
        shares: Floats = raw / total
        return shares


def learn_propensity(
    h: StageData, model: Propensity = None, *, weights: Floats | None = None
) -> PropensityModel:
    """Return a fitted propensity model, whether or not the design is known.

    Raises:
        EstimationError: as ``fit_propensity`` does.
    """
    unfitted = None if model is None or isinstance(model, str) else model
    matrix = HistoryMatrix.of(h)
    return _learned(h, matrix(h), unfitted, weights, matrix)


def choices(feasible: Bools) -> Ints:
    """Return how many actions are feasible in each row."""
    count = np.zeros(len(feasible), dtype=np.intp)
    for place in range(feasible.shape[1]):
        count += feasible[:, place]
    return count


def _known(h: StageData, model: Propensity) -> Floats | None:
    if isinstance(model, str) and model not in {"known", "estimate"}:
        raise EstimationError(
            f"propensity {model!r} is not understood; give 'known', 'estimate' or a classifier"
        )
    if model is not None and not isinstance(model, str):
        return None
    if model == "known" and h.propensity is None:
        raise EstimationError(
            f"stage {h.spec.stage}: propensities are not known by design; declare them "
            "(`randomised`), or estimate them (propensity='estimate')"
        )
    return None if model == "estimate" else h.propensity


def _learned(
    h: StageData, X: Floats, unfitted: Any, weights: Floats | None, matrix: HistoryMatrix,
    start: FeasibleLogit | None = None,
) -> PropensityModel:  # fmt: skip
    choice = choices(h.feasible) > 1
    if weights is not None:
        choice &= weights > 0
    if not choice.any():
        return PropensityModel(matrix, None, unfitted)
    weight = None if weights is None else weights[choice]
    if not choice.all():
        h, X = replace(h, columns={}, propensity=None).take(choice), X[choice]
    some = h
    _check_arms(some)
    if unfitted is None:
        return PropensityModel(matrix, _logit(X, some, weight, matrix, start))
    fitted = clone(unfitted)
    fitted.fit(X, some.action, **({} if weight is None else {"sample_weight": weight}))
    return PropensityModel(matrix, fitted, unfitted)


def _check_arms(some: StageData) -> None:
    """Refuse a stage where a choice was never made, or an action that could be was never taken."""
    stage, names, n = some.spec.stage, some.spec.actions, some.rows
    taken = np.bincount(some.action, minlength=some.n_actions)
    if np.count_nonzero(taken) == 1:
        only = names[int(taken.argmax())]
        raise EstimationError(
            f"stage {stage}: all {n} rows that had a choice took {only!r}, so that nothing can be "
            "compared; declare the other actions infeasible or leave the stage out"
        )
    for place in np.flatnonzero((taken == 0) & some.feasible.any(axis=0)):
        raise EstimationError(
            f"stage {stage}: nobody took {names[place]!r} in {n} rows that had a choice, although "
            f"it was feasible for {int(some.feasible[:, place].sum())}; declare it infeasible there"
        )


def _logit(
    X: Floats, some: StageData, weight: Floats | None, matrix: HistoryMatrix,
    start: FeasibleLogit | None,
) -> FeasibleLogit:  # fmt: skip
    stage, names = some.spec.stage, some.spec.actions
    unknown = (X.shape[1] + 1) * (int(some.feasible.any(axis=0).sum()) - 1)
    if some.rows < unknown:
        raise EstimationError(
            f"stage {stage}: {some.rows} rows that had a choice cannot carry the {unknown} "
            "coefficients of a propensity model; use fewer variables"
        )
    try:
        return FeasibleLogit().fit(X, some.action, some.feasible, weight, start)
    except SeparationError as error:
        column = matrix.names()[error.column] if matrix.names() else "the intercept"
        raise EstimationError(
            f"stage {stage}: the histories separate the actions perfectly (in {error.rows} of "
            f"{some.rows} rows the action is foretold with certainty, most of all {column!r} for "
            f"{names[error.action]!r}), so that positivity fails; declare the action infeasible "
            "there, leave the variable out, or give a penalised classifier"
        ) from error
