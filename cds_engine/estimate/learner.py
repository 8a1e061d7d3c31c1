"""A learner stores its parameters, learns a regime from trajectories, and hands it out as rules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.linear_stage import Contrasts, LinearStage, contrasts_of
from cds_engine.estimate.rule import StageRule, best_feasible
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories

PART: Final = 65_536
"""Rows that a model is asked for at a time."""


class StageModel(Protocol):
    """A fitted model of one stage."""

    def q(self, h: StageData) -> Floats:
        """Return what is expected after each action, shape (n, n_actions); larger is better.

        NaN for rows without a decision and for actions that are not feasible. Values of actions
        in one row can be compared; whether their level means something the model says.
        """


@dataclass(frozen=True)
class BestOf:
    """The rule that advises the feasible action for which a model expects most."""

    model: StageModel

    def __call__(self, h: StageData) -> Ints:
        """Return the place of the best feasible action; of equals the one declared first."""
        return best_feasible(self.model.q(h), h)


class Learner(BaseEstimator):  # type: ignore[misc] # scikit-learn comes without types
    """What all learners share; see each for what it learns."""

    stages_: tuple[Any, ...]
    rules_: tuple[StageRule, ...]

    def fit(self, trajectories: Trajectories, weights: Floats | None = None) -> Any:
        """Learn from trajectories; see each learner."""
        raise NotImplementedError

    def q(self, k: int | str, h: StageData) -> Floats:
        """Return Q_k(h, a), shape (n, n_actions); larger is better.

        NaN for rows without a decision and for actions that are not feasible.

        Args:
            k: the stage, by its name or its place from 0.
            h: histories of this stage.
        """
        place = self.stage_place(k)
        found: Floats = self.stages_[place].q(h)
        return found

    def contrasts(
        self, k: int | str, h: StageData, reference: str, covariance: Floats | None = None
    ) -> Contrasts:
        """Return Q_k(h, a) - Q_k(h, reference) for every action.

        Args:
            k: the stage, by its name or its place from 0.
            h: histories of this stage.
            reference: the action to compare with.
            covariance: of the coefficients of a linear stage, as a bootstrap that refits all
                stages gives it (``Bootstrap.covariance``).

        Raises:
            EstimationError: if there is no such stage or action.
        """
        place = self.stage_place(k)
        model = self.stages_[place]
        if isinstance(model, LinearStage):
            return contrasts_of(model, h, reference, covariance)
        q = model.q(h)
        return Contrasts(
            stage=h.spec.stage, reference=reference, actions=h.spec.actions,
            values=q - q[:, [h.spec.place(reference)]],
        )  # fmt: skip

    def stage_place(self, k: int | str) -> int:
        """Return the place of a stage.

        Raises:
            NotFittedError: before fit.
            EstimationError: if there is no such stage.
        """
        if not hasattr(self, "stages_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit first")
        names = [stage.spec.stage for stage in self.stages_]
        if isinstance(k, str) and k in names:
            return names.index(k)
        if isinstance(k, int) and 0 <= k < len(names):
            return k
        raise EstimationError(f"there is no stage {k!r}; the stages are {', '.join(names)}")


def usable_weights(trajectories: Trajectories, weights: Floats | None) -> Floats | None:
    """Return the weights to fit with, or None if all are 1.

    Args:
        trajectories: the data.
        weights: in place of the trajectories' own, shape (n,); 0 leaves a row out.

    Raises:
        EstimationError: if weights are not numbers from 0, all are 0, or an outcome is missing
            where the weight is not 0.
    """
    found = np.asarray(trajectories.weights if weights is None else weights, dtype=np.float64)
    if not len(found) and weights is None:
        found = np.ones(len(trajectories))
    if found.shape != (len(trajectories),):
        raise EstimationError(
            f"weights have the shape {found.shape} for {len(trajectories)} trajectories; give one "
            "for each"
        )
    if bad := int(np.count_nonzero(~((found >= 0) & np.isfinite(found)))):
        raise EstimationError(f"{bad} weights are negative, missing or infinite; correct them")
    if not found.any():
        raise EstimationError("all weights are 0, so that nothing is left to learn from")
    use = None if (found == 1).all() else found > 0
    if not (trajectories.observed if use is None else trajectories.observed[use]).all():
        trajectories.complete()
    parts = [trajectories.outcome, *(h.reward for h in trajectories.stages if h.spec.reward)]
    numbers = [one if use is None else one[use] for one in parts]
    if wild := sum(int(np.count_nonzero(~np.isfinite(one))) for one in numbers):
        raise EstimationError(
            f"{wild} values of {trajectories.outcome_name} or of rewards are missing or infinite; "
            "correct them"
        )
    return None if use is None else found


def final_outcome(trajectories: Trajectories) -> Floats:
    """Return the outcome without the stages' rewards, 0 where it is missing, shape (n,)."""
    final = trajectories.outcome
    for h in trajectories.stages:
        if h.spec.reward:
            final = final - h.reward
    if not trajectories.observed.all():
        final = np.where(trajectories.observed, final, 0.0)
    return final


def rows_to_fit(h: StageData, weights: Floats | None) -> Ints:
    """Return the rows that have a decision and a weight.

    Raises:
        EstimationError: if there are none.
    """
    use = h.decided if weights is None else h.decided & (weights > 0)
    rows = np.flatnonzero(use)
    if not len(rows):
        raise EstimationError(f"stage {h.spec.stage}: no row with a decision has a weight above 0")
    return rows


def parts(h: StageData) -> Iterator[tuple[slice, StageData]]:
    """Yield the histories in parts, so that what is worked out between stays small."""
    if h.rows <= PART:
        yield slice(0, h.rows), h
        return
    for start in range(0, h.rows, PART):
        rows = slice(start, min(start + PART, h.rows))
        yield rows, h.take(rows)


def one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse a parameter that is none of those allowed.

    Raises:
        EstimationError: with the parameter and what it may be.
    """
    if value not in allowed:
        raise EstimationError(
            f"{name} is {value!r}; it must be one of {', '.join(map(repr, allowed))}"
        )
