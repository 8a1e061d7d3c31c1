"""Any learned regime can be written as shallow trees, at a loss of value that is stated."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from cds_engine.errors import CDSError
from cds_engine.estimate.action_scores import backward_scores
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.doubly_robust import prepare
from cds_engine.estimate.policy_tree import Features, TreeLearner, described
from cds_engine.estimate.rule import advised
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.tree import Tree
from cds_engine.estimate.tree_search import Engine
from cds_engine.estimate.value import ValueEstimate
from cds_engine.estimate.weights import Propensities


class LossError(CDSError):
    """A regime that loses more value than was allowed when it is written as trees.

    Attributes:
        distilled: what was found, with its loss.
    """

    def __init__(self, distilled: "Distilled", allowed: float) -> None:
        self.distilled = distilled
        loss = distilled.loss
        super().__init__(
            f"written as trees the regime loses up to {loss.high:.4g} of its value (estimate "
            f"{loss.estimate:.4g}, {loss.level:.0%} interval {loss.low:.4g} to {loss.high:.4g}), "
            f"more than the {allowed:.4g} allowed; allow more, deeper trees or more features, or "
            "learn trees directly"
        )


@dataclass(frozen=True)
class Distilled:
    """Trees in place of a learned regime.

    Attributes:
        trees: one for each stage; they are rules.
        loss: value of the learned regime less that of its trees, above 0 where the trees are
            worse, whatever the direction of the outcome; doubly robust, paired, out of fold.
        learned: value of the learned regime, out of fold.
        distilled: value of its trees, out of fold.
        agreement: stage -> share of those with a decision whom both advise the same; in-sample.
    """

    trees: tuple[Tree, ...]
    loss: ValueEstimate
    learned: ValueEstimate
    distilled: ValueEstimate
    agreement: dict[str, float]

    @property
    def rules_(self) -> tuple[Tree, ...]:
        """The trees, as rules."""
        return self.trees


@dataclass(frozen=True)
class _Distiller:
    """Learns with a learner, then writes what it learned as trees."""

    learner: Any
    trees: TreeLearner

    def fit(self, trajectories: Trajectories) -> "_Fitted":
        fresh = clone(self.learner) if hasattr(self.learner, "get_params") else deepcopy(
            self.learner)  # fmt: skip
        fitted = fresh.fit(trajectories)
        return self.write(fresh if fitted is None else fitted, trajectories)

    def write(self, fitted: Any, trajectories: Trajectories) -> "_Fitted":
        weights = trajectories.weights
        trees = tuple(
            self.trees.learn(h, contrasts(fitted, k, h), weights, trajectories)
            for k, h in enumerate(trajectories.stages)
        )
        return _Fitted(tuple(fitted.rules_), trees)


@dataclass(frozen=True)
class _Fitted:
    learned: tuple[Any, ...]
    trees: tuple[Tree, ...]


def distil(  # noqa: PLR0913 - the tree's shape, the nuisance models and what may be lost
    learner: Any,
    trajectories: Trajectories,
    *,
    most_loss: float,
    depth: int = 2,
    features: Features = None,
    min_leaf: int = 20,
    min_arm: int = 0,
    propensity: Propensities = None,
    outcome: Any = None,
    folds: int = 5,
    random_state: int = 0,
    level: float = 0.95,
    engine: Engine = "auto",
) -> Distilled:
    """Return the best trees for what a learner learned, or refuse if too much is lost.

    The tree of a stage maximises the sum of the learner's own Q-functions at what it advises; up
    to depth 2 it is the best there is. For the loss the learner is refitted without each fold and
    distilled there, and both regimes are valued on the fold by the same doubly robust terms; the
    loss is their paired difference.

    Args:
        learner: has ``fit(trajectories)`` and then ``rules_`` and, to weigh what an error costs,
            ``q(k, h)``; without ``q`` every disagreement counts the same. Copies are fitted, and
            what it learned from all trajectories is distilled: it itself if it is fitted.
        trajectories: the data.
        most_loss: in the unit of the outcome; refused if the upper end of the interval of the
            loss lies above it.
        depth: of the trees.
        features: what they may split on; as in ``PolicyTree``.
        min_leaf: as in ``PolicyTree``.
        min_arm: likewise; 0 as the learner's own models are what is distilled.
        propensity: as in ``dr_value``, for the loss.
        outcome: likewise.
        folds: likewise.
        random_state: likewise.
        level: of the intervals.
        engine: of ``search_tree``.

    Raises:
        LossError: if too much may be lost; it carries what was found.
        EstimationError: as learner, ``PolicyTree`` and ``dr_value`` do.
    """
    shape = TreeLearner(depth, features, min_leaf, min_arm, None, engine)
    shape.check(trajectories)
    distiller = _Distiller(learner, shape)
    whole = (
        distiller.write(learner, trajectories)
        if hasattr(learner, "rules_")
        else distiller.fit(trajectories)
    )
    prepared = prepare(
        trajectories, propensity=propensity, outcome=outcome, n_folds=folds,
        random_state=random_state,
    )  # fmt: skip
    t = prepared.trajectories
    kept = {int(fold): distiller.fit(t.take(prepared.folds != fold))
            for fold in np.unique(prepared.folds)}  # fmt: skip
    learned, distilled = (
        prepared.learned_value(_Replay(t, prepared.folds, kept, which), label, level=level)
        for which, label in (("learned", "the learned regime"), ("trees", "its trees"))
    )
    found = Distilled(
        _described(whole.trees, prepared, level), _loss(learned, distilled, trajectories.sign),
        learned, distilled, _agreement(whole, trajectories),
    )  # fmt: skip
    if found.loss.high > most_loss:
        raise LossError(found, most_loss)
    return found


def contrasts(fitted: Any, k: int, h: StageData) -> Floats:
    """Return what a fitted regime makes of each action, shape (n, n_actions).

    Its Q-functions less that of the best feasible action; where it has none, 0 for what it advises
    and -1 for the rest. NaN marks what is not feasible.
    """
    if hasattr(fitted, "q"):
        q = np.where(h.feasible, fitted.q(k, h), np.nan)
        best = np.where(h.feasible, q, -np.inf).max(axis=1, initial=-np.inf)
        return q - np.where(h.decided, best, 0.0)[:, None]
    found = np.where(h.feasible, -1.0, np.nan)
    places = advised(fitted.rules_[k], h)
    rows = np.flatnonzero(places >= 0)
    found[rows, places[rows]] = 0.0
    return found


@dataclass
class _Replay:
    """Hands out what was learned without a fold when it is asked to learn without it."""

    trajectories: Trajectories
    folds: Ints
    kept: dict[int, _Fitted]
    which: str

    def fit(self, trajectories: Trajectories) -> Any:
        used = set(trajectories.ids.tolist())
        inside = [one not in used for one in self.trajectories.ids.tolist()]
        [fold] = np.unique(self.folds[np.array(inside)])
        self.rules_ = getattr(self.kept[int(fold)], self.which)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Replay":
        return replace(self)


def _loss(learned: ValueEstimate, distilled: ValueEstimate, sign: int) -> ValueEstimate:
    first, second = (learned, distilled) if sign > 0 else (distilled, learned)
    return replace(first.minus(second), label="loss of value by writing the regime as trees")


def _agreement(whole: _Fitted, trajectories: Trajectories) -> dict[str, float]:
    found = {}
    pairs: Sequence[Any] = list(zip(whole.learned, whole.trees, trajectories.stages, strict=True))
    for rule, tree, h in pairs:
        same = advised(rule, h)[h.decided] == advised(tree, h)[h.decided]
        found[h.spec.stage] = float(same.mean())
    return found


def _described(trees: Sequence[Tree], prepared: Any, level: float) -> tuple[Tree, ...]:
    """Return the trees with what doubly robust scores say of their leaves."""
    t = prepared.trajectories
    scores = backward_scores(prepared, lambda k, h, _: lambda _: advised(trees[k], h))
    return tuple(
        described(tree, h, gamma, t, level)
        for tree, h, gamma in zip(trees, t.stages, scores, strict=True)
    )
