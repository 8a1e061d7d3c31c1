"""An outcome model is fitted to each arm of a stage, and never to the fold that it predicts."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from sklearn.base import clone

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints

EVERYBODY = -1
"""The fold that holds nobody, so that leaving it out leaves all."""
RANK = 1e-10


class ArmModels(Protocol):
    """Regressions of a target on histories, one for each arm."""

    def predict(self, fold: int, target: Floats, places: Ints) -> Floats:
        """Fit without a fold and return each row's prediction for an arm, shape (n,).

        Args:
            fold: the fold that is left out of the fit; ``EVERYBODY`` leaves nobody out.
            target: what is regressed, shape (n,); NaN leaves a row out.
            places: the arm to predict for in each row; negative predicts NaN.
        """
        ...


class _Arms:
    """What both kinds of arm models share: who may be fitted to, and what is said if too few."""

    def __init__(
        self, X: Floats, action: Ints, weight: Floats, folds: Ints, *, where: str,
        names: Sequence[str],
    ) -> None:  # fmt: skip
        self.X, self.action, self.weight, self.folds = X, action, weight, folds
        self.where, self.names = where, names

    def rows(self, fold: int, target: Floats, place: int) -> Bools:
        """Return who an arm's model is fitted to."""
        inside: Bools = (
            (self.action == place) & (self.folds != fold) & (self.weight > 0) & ~np.isnan(target)
        )
        return inside

    def refuse(self, count: int, place: int, needed: int) -> None:
        """Raise if an arm is too small."""
        if count >= needed and count:
            return
        name = self.names[place]
        if not count:
            raise EstimationError(
                f"{self.where}: nobody took {name!r} among the rows that its outcome model would "
                "be fitted to; use fewer folds, or leave the action out"
            )
        raise EstimationError(
            f"{self.where}: {count} rows took {name!r}, which cannot carry the {needed} "
            "coefficients of its outcome model; use fewer variables or fewer folds"
        )


class LinearArms(_Arms):
    """Least squares in each arm: what folds have in common is summed once.

    Columns are standardised over all rows; what the rows of an arm do not identify gets the
    solution of least norm. A fold is left out by taking its Gram matrix off the total.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        center = self.X.mean(axis=0)
        scale = self.X.std(axis=0)
        tiny = 1e-12 * np.maximum(1.0, np.abs(center))
        self.Z = np.empty((len(self.X), self.X.shape[1] + 1))
        self.Z[:, 0] = 1.0
        np.subtract(self.X, center, out=self.Z[:, 1:])
        self.Z[:, 1:] /= np.where(scale > tiny, scale, np.inf)
        self._grams: dict[tuple[int, int], Floats] = {}

    def predict(self, fold: int, target: Floats, places: Ints) -> Floats:
        """Fit without a fold and return each row's prediction for an arm; see ``ArmModels``."""
        held = np.full(len(self.Z), np.nan)
        for place in _used(places, len(self.names)):
            inside = self.rows(fold, target, int(place))
            gram, identified = self._gram(fold, int(place), inside)
            self.refuse(int(np.count_nonzero(inside)), int(place), identified)
            moment = self.Z.T @ np.where(inside, self.weight * target, 0.0)
            b = np.linalg.lstsq(gram, moment, rcond=RANK)[0]
            rows = places == place
            held[rows] = (self.Z @ b)[rows]
        return held

    def _gram(self, fold: int, place: int, inside: Bools) -> tuple[Floats, int]:
        complete = np.count_nonzero(inside) == np.count_nonzero(
            (self.action == place) & (self.folds != fold) & (self.weight > 0)
        )
        if complete:
            gram = np.sum([self._part(one, place) for one in range(int(self.folds.max()) + 1)
                           if one != fold], axis=0)  # fmt: skip
        else:
            gram = self._sum(inside)
        return gram, int(np.count_nonzero(np.diag(gram) > RANK * max(gram[0, 0], 1e-300)))

    def _part(self, fold: int, place: int) -> Floats:
        key = (fold, place)
        if key not in self._grams:
            self._grams[key] = self._sum((self.folds == fold) & (self.action == place))
        return self._grams[key]

    def _sum(self, inside: Bools) -> Floats:
        some = self.Z[inside]
        gram: Floats = some.T @ (some * self.weight[inside][:, None])
        return gram


class RegressorArms(_Arms):
    """Any scikit-learn regressor, cloned for every arm and fold."""

    def __init__(self, regressor: Any, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.regressor = regressor

    def predict(self, fold: int, target: Floats, places: Ints) -> Floats:
        """Fit without a fold and return each row's prediction for an arm; see ``ArmModels``."""
        held = np.full(len(self.X), np.nan)
        for place in _used(places, len(self.names)):
            inside = self.rows(fold, target, int(place))
            self.refuse(int(np.count_nonzero(inside)), int(place), 1)
            weight = self.weight[inside]
            equal = bool((weight == weight[0]).all())
            fitted = clone(self.regressor).fit(
                self.X[inside], target[inside], **({} if equal else {"sample_weight": weight})
            )
            rows = places == place
            held[rows] = fitted.predict(self.X[rows])
        return held


def _used(places: Ints, count: int) -> list[int]:
    return [place for place in range(count) if (places == place).any()]


def arm_models(
    model: Any, X: Floats, action: Ints, weight: Floats, folds: Ints, *, where: str,
    names: Sequence[str],
) -> ArmModels:  # fmt: skip
    """Return models of each arm: least squares unless a scikit-learn regressor is given.

    Args:
        model: None for least squares, or an unfitted regressor.
        X: shape (n, p).
        action: the arm of each row, shape (n,); negative for none.
        weight: sample weights, shape (n,).
        folds: shape (n,).
        where: the stage, for messages.
        names: the arms' names, for messages.
    """
    if model is None:
        return LinearArms(X, action, weight, folds, where=where, names=names)
    return RegressorArms(model, X, action, weight, folds, where=where, names=names)
