"""A stage rule maps the histories of a stage to the actions that it advises there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints

if TYPE_CHECKING:
    from cds_engine.estimate.stage import StageData

NO_DECISION: Final = -1
"""Stands for a row that has no decision at a stage, such as a responder's."""
USUAL: Final = -2
"""Stands for a row in which the rule says nothing, so that what is usual there is done."""

StageRule = Callable[["StageData"], Ints]
"""d_k: the place of the advised action in ``spec.actions`` for each row, shape (n,).

``NO_DECISION`` exactly where ``decided`` is False; ``USUAL`` where the rule leaves it open.
"""
Rules = Sequence[StageRule]
"""A regime: one rule for each stage, in order."""


@dataclass(frozen=True)
class Always:
    """The rule that advises one action to all for whom it is feasible.

    Attributes:
        action: the action.
        instead: what to advise where it is not feasible, in order of preference.
    """

    action: str
    instead: tuple[str, ...] = ()

    def __call__(self, h: "StageData") -> Ints:
        """Return the first of the actions that is feasible for each row.

        Raises:
            EstimationError: if for some rows none of them is feasible.
        """
        chosen = np.full(h.rows, NO_DECISION, dtype=np.intp)
        for name in (self.action, *self.instead):
            place = h.spec.place(name)
            chosen[(chosen == NO_DECISION) & h.decided & h.feasible[:, place]] = place
        left = int(np.count_nonzero(h.decided & (chosen == NO_DECISION)))
        if left:
            raise EstimationError(
                f"stage {h.spec.stage}: {self.action!r} is not feasible for {left} of "
                f"{int(h.decided.sum())} rows; say what to do `instead`"
            )
        return chosen


@dataclass(frozen=True)
class Observed:
    """The rule that says nothing: what was usual at this stage is done."""

    def __call__(self, h: "StageData") -> Ints:
        """Return ``USUAL`` wherever there is a decision."""
        return np.where(h.decided, USUAL, NO_DECISION).astype(np.intp)


@dataclass(frozen=True)
class ByLabel:
    """A rule written as a function from columns to the labels of actions.

    Attributes:
        choose: takes the columns of H_k and returns one label a row.
    """

    choose: "Callable[..., object]"

    def __call__(self, h: "StageData") -> Ints:
        """Return the places of the labels; rows without a decision are left out."""
        labels = np.asarray(self.choose(h.columns), dtype=object)
        places = np.full(h.rows, NO_DECISION, dtype=np.intp)
        for place, action in enumerate(h.spec.actions):
            places[h.decided & (labels == action)] = place
        return advised(lambda _: places, h)


def advised(rule: StageRule, h: "StageData") -> Ints:
    """Return what a rule advises, after checking that it may.

    Raises:
        EstimationError: where it advises nothing, or an action that is not feasible.
    """
    places = np.asarray(rule(h), dtype=np.intp)
    if places.shape != (h.rows,):
        raise EstimationError(
            f"stage {h.spec.stage}: the rule returned the shape {places.shape} for {h.rows} rows; "
            "return one action a row"
        )
    wrong = h.decided & ((places == NO_DECISION) | (places < USUAL) | (places >= h.n_actions))
    inside = h.decided & (places >= 0) & ~wrong
    rows = np.flatnonzero(inside)
    wrong[rows[~h.feasible[rows, places[rows]]]] = True
    if wrong.any():
        raise EstimationError(
            f"stage {h.spec.stage}: the rule advises no feasible action in {int(wrong.sum())} of "
            f"{int(h.decided.sum())} rows that have a decision; only feasible actions may be "
            "advised"
        )
    return np.where(h.decided, places, NO_DECISION).astype(np.intp)


def best_feasible(q: Floats, h: "StageData") -> Ints:
    """Return the feasible action with the largest value; of equals the one declared first.

    Args:
        q: Q_k(h, a), shape (n, n_actions); larger is better.
        h: the histories, with the feasible set of each.

    Raises:
        EstimationError: if the value of a feasible action is NaN.
    """
    chosen, best = first_best(q, None if h.feasible.all() else h.feasible)
    if unknown := int(np.count_nonzero(np.isnan(best))):
        raise EstimationError(
            f"stage {h.spec.stage}: nothing is expected (NaN) of a feasible action in {unknown} of "
            f"{h.rows} rows, so that no best action is known; complete their histories"
        )
    return chosen if h.decided.all() else np.where(h.decided, chosen, NO_DECISION).astype(np.intp)


def first_best(q: Floats, feasible: Bools | None) -> tuple[Ints, Floats]:
    """Return the place of the largest feasible value of each row, and the value.

    Of equals the first counts; a feasible NaN makes the value NaN.

    Args:
        q: shape (n, n_actions).
        feasible: shape (n, n_actions), or None where everything is.
    """
    chosen = np.zeros(len(q), dtype=np.intp)
    best = q[:, 0].copy() if feasible is None else np.where(feasible[:, 0], q[:, 0], -np.inf)
    for place in range(1, q.shape[1]):
        value = q[:, place]
        if feasible is not None:
            value = np.where(feasible[:, place], value, -np.inf)
        np.copyto(chosen, place, where=value > best)
        np.maximum(best, value, out=best)
    return chosen, best
