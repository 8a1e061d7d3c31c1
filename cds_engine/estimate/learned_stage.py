"""A stage can be modelled by any scikit-learn regressor, or by a classifier of a binary outcome."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from cds_engine.errors import EstimationError
from cds_engine.estimate.basis import Basis, the_basis
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.stage import HistorySpec, StageData


@dataclass(frozen=True)
class LearnedStage:
    """Q(h, a) as a scikit-learn model expects it.

    Attributes:
        spec: the stage.
        basis: the columns of H; the intercept is left to the model.
        models: one for all actions, whose last columns say which action; or one for each.
        ends: the two values of a binary outcome, smaller first; None for a regressor.
        n: rows it was fitted to.
    """

    spec: HistorySpec
    basis: Basis
    models: tuple[Any, ...]
    ends: tuple[float, float] | None
    n: int

    def q(self, h: StageData) -> Floats:
        """Return Q(h, a), shape (n, n_actions); NaN where there is no choice of a."""
        found = np.full(h.feasible.shape, np.nan)
        for action in range(h.n_actions):
            rows = np.flatnonzero(h.feasible[:, action])
            if len(rows):
                X = self.basis.matrix(h, rows)
                if len(self.models) == 1:
                    X = np.hstack([X, _indicators(np.full(len(rows), action), h.n_actions)])
                model = self.models[action if len(self.models) > 1 else 0]
                found[rows, action] = self._expected(model, X)
        return found

    def _expected(self, model: Any, X: Floats) -> Floats:
        if self.ends is None:
            return np.asarray(model.predict(X), dtype=np.float64)
        low, high = self.ends
        share = model.predict_proba(X)[:, list(model.classes_).index(1)]
        found: Floats = low + (high - low) * share
        return found


@dataclass(frozen=True)
class StageLearner:
    """How to fit a model to a stage.

    Attributes:
        model: an unfitted scikit-learn regressor, or a classifier with ``predict_proba``.
        terms: the columns of H that it reads.
        separate: whether each action gets a model of its own.
        ends: the two values of a binary outcome, needed by a classifier.
        seed: for the model's randomness where it names none of its own.
    """

    model: Any
    terms: tuple[str, ...]
    separate: bool
    ends: tuple[float, float] | None
    seed: int | None

    def fit(self, h: StageData, rows: Ints, y: Floats, weights: Floats | None) -> LearnedStage:
        """Return the model fitted to some rows.

        Raises:
            EstimationError: if an action or a class is not among the rows, or the model cannot
                take weights.
        """
        whole = the_basis(self.terms, h)
        basis = whole.only(range(1, len(whole.terms)))
        X, taken = basis.matrix(h, rows), h.action[rows]
        self._check(X, taken, basis, h.spec)
        weight = None if weights is None else weights[rows]
        target = y[rows]
        if self.separate:
            parts = [taken == action for action in range(h.n_actions)]
            models = [
                self._fitted(X[part], target[part], None if weight is None else weight[part], h)
                for part in parts
            ]
        else:
            XA = np.hstack([X, _indicators(taken, h.n_actions)])
            models = [self._fitted(XA, target, weight, h)]
        return LearnedStage(h.spec, basis, tuple(models), self.ends, len(rows))

    def _check(self, X: Floats, taken: Ints, basis: Basis, spec: HistorySpec) -> None:
        counts = np.bincount(taken, minlength=len(spec.actions))
        for name, count in zip(spec.actions, counts, strict=True):
            if not count:
                raise EstimationError(
                    f"stage {spec.stage}: none of {len(taken)} rows took {name!r}, so that "
                    "nothing can be learned of it"
                )
        if bad := int(np.count_nonzero(~np.isfinite(X).all(axis=1))):
            unfit = np.flatnonzero(~np.isfinite(X).all(axis=0))
            raise EstimationError(
                f"stage {spec.stage}: {', '.join(basis.names[at] for at in unfit)} are missing or "
                f"infinite in {bad} rows; complete them or leave them out"
            )

    def _fitted(self, X: Floats, y: Floats, weight: Floats | None, h: StageData) -> Any:
        model = clone(self.model)
        if self.seed is not None:
            free = {name: self.seed for name, value in model.get_params().items()
                    if name.split("__")[-1] == "random_state" and value is None}  # fmt: skip
            model.set_params(**free)
        if self.ends is None:
            return model.fit(X, y, **_weighted(model, weight, h))
        return self._classified(model, X, y, weight, h)

    def _classified(
        self, model: Any, X: Floats, y: Floats, weight: Floats | None, h: StageData
    ) -> Any:
        """Fit to shares of the better class: a row of share s counts s as 1 and 1 - s as 0."""
        low, high = self.ends or (0.0, 1.0)
        share = (y - low) / (high - low)
        if outside := int(np.count_nonzero((share < -1e-9) | (share > 1 + 1e-9))):
            raise EstimationError(
                f"stage {h.spec.stage}: {outside} rows have a pseudo-outcome outside the two "
                "values of the outcome, which a classifier cannot model; use a regressor here, or "
                "pseudo_outcome='max_q' without rewards"
            )
        given = np.ones(len(y)) if weight is None else weight
        classes = np.repeat([1, 0], len(y))
        shares = np.concatenate([given * share, given * (1 - share)])
        use = shares > 0
        doubled = np.vstack([X, X])[use]
        self._check_classes(classes[use], h)
        whole = weight is None and bool(np.isin(share, (0.0, 1.0)).all())
        model.fit(doubled, classes[use], **_weighted(model, None if whole else shares[use], h))
        self._check_separation(model, doubled, classes[use], h)
        return model

    @staticmethod
    def _check_classes(classes: Ints, h: StageData) -> None:
        if len(set(classes.tolist())) < 2:
            raise EstimationError(
                f"stage {h.spec.stage}: all {len(classes)} rows have the same outcome (one class "
                "only), so that no classifier can be fitted; use a regressor or more data"
            )

    @staticmethod
    def _check_separation(model: Any, X: Floats, classes: Ints, h: StageData) -> None:
        """Refuse a likelihood without a maximum: no penalty, and a plane between the classes."""
        last = model.steps[-1][1] if isinstance(model, Pipeline) else model
        free = not np.isfinite(getattr(last, "C", 1.0)) or getattr(last, "penalty", "") is None
        if free and hasattr(last, "coef_") and (model.predict(X) == classes).all():
            raise EstimationError(
                f"stage {h.spec.stage}: the histories and actions separate the two outcomes "
                f"perfectly in all {len(X)} rows, so that the likelihood has no maximum; leave out "
                "what foretells the outcome, or penalise the classifier"
            )


def learner_of(
    model: Any, terms: tuple[str, ...], y: Floats, stage: str, *, separate: bool, seed: int | None
) -> StageLearner:
    """Return how to fit a model, whose outcome must be binary if it is a classifier.

    Args:
        model: an unfitted scikit-learn regressor or classifier.
        terms: the terms that it reads.
        y: the outcomes that are observed.
        stage: the stage's name.
        separate: whether each action gets a model of its own.
        seed: for the model's randomness.

    Raises:
        EstimationError: if a classifier is given an outcome that is not binary, or cannot say
            probabilities.
    """
    if not is_classifier(model):
        return StageLearner(model, terms, separate, None, seed)
    name = type(model).__name__
    values = np.unique(y)
    if not hasattr(model, "predict_proba"):
        raise EstimationError(f"stage {stage}: {name} gives no probabilities (predict_proba)")
    if len(values) == 1:
        raise EstimationError(
            f"stage {stage}: all {len(y)} rows have the same outcome (one class only), so that "
            f"{name} cannot be fitted; use a regressor or more data"
        )
    if len(values) > 2:
        raise EstimationError(
            f"stage {stage}: the outcome has {len(values)} values; {name} is a classifier and "
            "needs exactly two; use a regressor"
        )
    return StageLearner(model, terms, separate, (float(values[0]), float(values[1])), seed)


def _indicators(places: Ints, count: int) -> Floats:
    found: Floats = (places[:, None] == np.arange(count)).astype(np.float64)
    return found


def _weighted(model: Any, weight: Floats | None, h: StageData) -> dict[str, Floats]:
    """Return the weights under the name by which a model's fit takes them."""
    if weight is None:
        return {}
    last = model.steps[-1][1] if isinstance(model, Pipeline) else model
    if not has_fit_parameter(last, "sample_weight"):
        raise EstimationError(
            f"stage {h.spec.stage}: {type(last).__name__} cannot take sample weights, which a "
            "weighted fit and every bootstrap need; choose a model whose fit takes sample_weight"
        )
    name = f"{model.steps[-1][0]}__sample_weight" if last is not model else "sample_weight"
    return {name: weight}
