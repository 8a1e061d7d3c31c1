"""A policy tree is the shallow tree of splits under which the doubly robust value is largest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import norm

from cds_engine.errors import EstimationError
from cds_engine.estimate.action_scores import Kind, backward_scores
from cds_engine.estimate.columns import Bools, Floats, Ints
from cds_engine.estimate.doubly_robust import prepare
from cds_engine.estimate.learner import Learner
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.tree import (
    Benefit,
    Leaf,
    Node,
    RuleStage,
    Split,
    Tree,
    candidates,
    check_values,
    the_digits,
)
from cds_engine.estimate.tree_leaves import (
    LeafChoice,
    effective,
    evidence,
    fallbacks,
    weighted_mean,
)
from cds_engine.estimate.tree_search import Cut, Engine, Found, Plan, search_tree
from cds_engine.estimate.weights import Propensities

IN_SAMPLE = "benefits are in-sample: the leaves were found in the rows that they are estimated from"

Features = Sequence[str] | Mapping[str, Sequence[str]] | None
"""What a tree may split on: names for all stages, of which each takes those that it has; by stage's
name; or None for all variables."""


@dataclass(frozen=True)
class TreeLearner:
    """How to learn the tree of one stage from scores.

    Attributes:
        depth: of the tree.
        features: what it may split on; None for all variables.
        min_leaf: fewest rows of a leaf.
        min_arm: fewest rows of a leaf that took what it advises, and that took something else.
        cost: action -> what it costs, in the unit of the outcome.
        engine: of ``search_tree``.
    """

    depth: int = 2
    features: Features = None
    min_leaf: int = 1
    min_arm: int = 0
    cost: Mapping[str, float] | None = None
    engine: Engine = "auto"

    def check(self, trajectories: Trajectories) -> None:
        """Refuse costs of actions that no stage has, and features that a stage does not have.

        Raises:
            EstimationError: with the name and the stage.
        """
        for name, value, least in (("depth", self.depth, 0), ("min_leaf", self.min_leaf, 1),
                                   ("min_arm", self.min_arm, 0)):  # fmt: skip
            if value < least:
                raise EstimationError(f"{name} is {value}; it must be {least} or more")
        actions = {action for h in trajectories.stages for action in h.spec.actions}
        for action, cost in (self.cost or {}).items():
            if action not in actions or not np.isfinite(cost):
                raise EstimationError(
                    f"a cost of {cost} is given for {action!r}; costs are numbers, for actions of "
                    f"the stages: {', '.join(sorted(actions))}"
                )
        check_values(trajectories.stages)
        if isinstance(self.features, Mapping):
            self._check_mapping(self.features, trajectories)
        elif self.features is not None:
            self._check_names(self.features, trajectories)

    @staticmethod
    def _check_mapping(features: Mapping[str, Sequence[str]], trajectories: Trajectories) -> None:
        specs = {h.spec.stage: h.spec for h in trajectories.stages}
        for stage, names in features.items():
            if stage not in specs:
                raise EstimationError(
                    f"features are named for {stage!r}, which is no stage; the stages are "
                    f"{', '.join(specs)}"
                )
            if strange := [name for name in names if name not in specs[stage].variables]:
                raise EstimationError(
                    f"stage {stage} has no variable {', '.join(strange)}; it has "
                    f"{', '.join(specs[stage].variables)}"
                )

    @staticmethod
    def _check_names(features: Sequence[str], trajectories: Trajectories) -> None:
        known = {name for h in trajectories.stages for name in h.spec.variables}
        if strange := [name for name in features if name not in known]:
            raise EstimationError(
                f"no stage has a variable {', '.join(strange)}; they have "
                f"{', '.join(sorted(known))}"
            )

    def names(self, h: StageData) -> tuple[str, ...]:
        """Return the names of the features of a stage."""
        if self.features is None:
            return h.spec.variables
        if isinstance(self.features, Mapping):
            return tuple(self.features.get(h.spec.stage, h.spec.variables))
        return tuple(name for name in self.features if name in h.spec.variables)

    def learn(
        self, h: StageData, scores: Floats, weights: Floats, trajectories: Trajectories
    ) -> Tree:
        """Return the tree that maximises the weighted sum of the scores of what it advises.

        In the search, an action that is not feasible for a row counts there as the first of the
        other actions that is, in the order of their mean scores. Each leaf of the tree that is
        found then chooses its action, as far as ``min_arm`` lets it, and its own order of the
        others (``instead``) together, by its own rows. Where rows lack an action and could have
        more than one other, the splits were found with the search's order, so that another tree
        could be better: the tree is then not ``exact``, and its ``gap`` says by how much.

        Args:
            h: the histories.
            scores: shape (n, n_actions), larger is better; NaN where an action is not feasible.
            weights: of the rows, shape (n,).
            trajectories: says how variables are declared.

        Raises:
            EstimationError: if there is not enough evidence for any action.
        """
        rows = np.flatnonzero(h.decided & (weights > 0))
        some = h.take(rows)
        paid = scores[rows] - self._costs(h)
        instead = [fallbacks(some, at, paid, weights[rows]) for at in range(h.n_actions)]
        split_on, matrix = candidates(some, self.names(h), trajectories.kinds)
        gains = np.take_along_axis(paid, effective(some, instead), axis=1) * weights[rows, None]
        try:
            found = search_tree(
                matrix, gains, depth=self.depth, min_leaf=self.min_leaf, min_arm=self.min_arm,
                evidence=evidence(some), engine=self.engine,
            )  # fmt: skip
        except EstimationError as error:
            raise EstimationError(f"stage {h.spec.stage}: {error}") from error
        ends = [Leaf(name, other) for name, other in zip(h.spec.actions, instead, strict=True)]
        tree = Tree(h.spec.stage, _named(found.plan, split_on, ends),
                    the_digits(h, trajectories.kinds))  # fmt: skip
        choice = LeafChoice(some, paid, weights[rows], instead, self.min_leaf, self.min_arm)
        return _judged(choice.settled(tree), found, choice)

    def _costs(self, h: StageData) -> Floats:
        return np.array([float((self.cost or {}).get(name, 0.0)) for name in h.spec.actions])


class PolicyTree(Learner):
    """Policy tree learning for any number of stages and actions.

    Backward over the stages, the tree of a stage maximises the sum of the scores of the actions
    that it advises, given the trees of the later stages. Scores are doubly robust and cross-fitted
    (``backward_scores``); what later trees advise to a row comes from trees that were learned
    without its fold. Up to depth 2 the tree is the best there is, unless rows that lack an action
    could have more than one other; such trees, and deeper ones, which are grown greedily, say how
    much a better one could gain. Its value out of fold: ``dr_value_of_learner``.

    Args:
        depth: of every stage's tree.
        features: what to split on; see ``Features``.
        min_leaf: fewest rows of a leaf.
        min_arm: an action is advised in a leaf only if so many of its rows took it, and so many
            another one; rows with one feasible action count for both.
        cost: action -> what it costs in the unit of the outcome, whatever its direction; it is
            taken off when actions are compared, not from the values that are reported.
        scores: ``doubly_robust``, ``weighting`` or ``regression``.
        propensity: as in ``dr_value``.
        outcome: likewise.
        folds: of cross-fitting; 1 fits nuisances to all rows.
        random_state: decides, with the identifiers, who is in which fold.
        level: of the intervals of the leaves' benefits.
        engine: of ``search_tree``; every engine finds the same tree.

    Attributes:
        trees_: one ``Tree`` for each stage.
        rules_: the same, as rules.
        stages_: the same as models, for ``q``: 0 for what is advised, -1 for what else is feasible.
        scores_: of every stage, shape (n, n_actions), rows as in the trajectories, larger better.
        n_: trajectories with a weight above 0.

    References:
        Athey & Wager (2021), Policy learning with observational data, Econometrica 89.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn keeps each parameter by its name
        self,
        depth: int = 2,
        *,
        features: Features = None,
        min_leaf: int = 20,
        min_arm: int = 5,
        cost: Mapping[str, float] | None = None,
        scores: Kind = "doubly_robust",
        propensity: Propensities = None,
        outcome: Any = None,
        folds: int = 5,
        random_state: int = 0,
        level: float = 0.95,
        engine: Engine = "auto",
    ) -> None:
        self.depth = depth
        self.features = features
        self.min_leaf = min_leaf
        self.min_arm = min_arm
        self.cost = cost
        self.scores = scores
        self.propensity = propensity
        self.outcome = outcome
        self.folds = folds
        self.random_state = random_state
        self.level = level
        self.engine = engine

    def fit(self, trajectories: Trajectories, weights: Floats | None = None) -> "PolicyTree":
        """Learn from trajectories.

        Args:
            trajectories: the data.
            weights: in place of the trajectories' own, shape (n,); 0 leaves a row out.

        Raises:
            EstimationError: if the data cannot carry nuisance models or any tree: with stage and
                count.
        """
        learner = TreeLearner(self.depth, self.features, self.min_leaf, self.min_arm, self.cost,
                              self.engine)  # fmt: skip
        learner.check(trajectories)
        if weights is not None:
            trajectories = replace(trajectories, weights=np.asarray(weights, dtype=np.float64))
        prepared = prepare(
            trajectories, propensity=self.propensity, outcome=self.outcome, n_folds=self.folds,
            random_state=self.random_state,
        )  # fmt: skip
        t = prepared.trajectories
        trees: list[Tree] = []

        def decide(k: int, h: StageData, gamma: Floats) -> Any:
            trees.insert(0, learner.learn(h, gamma, t.weights, t))

            def without(fold: int) -> Ints:
                kept = np.where(prepared.folds == fold, 0.0, t.weights)
                return learner.learn(h, gamma, kept, t)(h)

            return without if k and prepared.crossed else lambda _: trees[0](h)

        scores = backward_scores(prepared, decide, self.scores)
        self.trees_ = tuple(
            described(tree, h, gamma, t, self.level)
            for tree, h, gamma in zip(trees, t.stages, scores, strict=True)
        )
        self.rules_ = self.trees_
        self.stages_ = tuple(
            RuleStage(tree, h.spec) for tree, h in zip(self.trees_, t.stages, strict=True)
        )
        self.scores_ = tuple(_put_back(gamma, prepared.order) for gamma in scores)
        self.n_ = int(np.count_nonzero(t.weights > 0))
        return self

    def __str__(self) -> str:
        if not hasattr(self, "trees_"):
            return repr(self)
        return "\n\n".join(map(str, self.trees_))


def described(
    tree: Tree, h: StageData, scores: Floats, trajectories: Trajectories, level: float
) -> Tree:
    """Return a tree whose leaves say how many rows they hold, and what these rows' scores say.

    Args:
        tree: the tree.
        h: the histories.
        scores: doubly robust, larger is better, cost not taken off, shape (n, n_actions).
        trajectories: their weights and the direction of the outcome.
        level: of the intervals.
    """
    w = trajectories.weights
    places = tree(h)
    leaves = [
        _described(leaf, h, inside & (w > 0), places, scores, w, trajectories.sign, level)
        for leaf, inside in tree.ends(h)
    ]
    return replace(tree.with_leaves(iter(leaves)), notes=(*tree.notes, IN_SAMPLE))


def _described(  # noqa: PLR0913, PLR0917 - all that is known of one leaf's rows
    leaf: Leaf, h: StageData, inside: Bools, places: Ints, scores: Floats, w: Floats, sign: int,
    level: float,
) -> Leaf:  # fmt: skip
    rows = np.flatnonzero(inside)
    taken = np.bincount(h.action[rows], minlength=h.n_actions)
    of_advised = scores[rows, places[rows]]
    value, error = weighted_mean(of_advised, w[rows]), _standard_error(of_advised, w[rows])
    at = h.spec.place(leaf.action)
    best: Benefit | None = None
    for other, name in enumerate(h.spec.actions):
        both = rows[h.feasible[rows, at] & h.feasible[rows, other]]
        if other == at or not taken[other] or len(both) < 2:
            continue
        difference = scores[both, at] - scores[both, other]
        mean, se = weighted_mean(difference, w[both]), _standard_error(difference, w[both])
        if best is None or mean < best.estimate:
            half = float(norm.ppf(0.5 + level / 2)) * se
            best = Benefit(name, mean, se, mean - half, mean + half, len(both))
    counts = {name: int(n) for name, n in zip(h.spec.actions, taken, strict=True)}
    return replace(leaf, n=len(rows), n_by_action=counts, value=sign * value,
                   standard_error=error, benefit=best)  # fmt: skip


def _standard_error(values: Floats, weights: Floats) -> float:
    """Return the standard error of a weighted mean; the divisor is n."""
    mean = weighted_mean(values, weights)
    return float(np.sqrt(np.sum((weights * (values - mean)) ** 2)) / weights.sum())


def _judged(tree: Tree, found: Found, choice: LeafChoice) -> Tree:
    """Return the tree with whether it is the best there is, and if not how far it may be off."""
    undecided = bool(choice.free.any())
    value, bound = found.value, found.bound
    if undecided:
        value, bound = max(value, choice.worth(tree)), bound + choice.slack()
    gap = max(bound - value, 0.0) / float(choice.weights.sum())
    more = f"a better tree could score at most {gap:.3g} a row more"
    notes = [f"grown greedily: {more}"] if not found.exact and not undecided else []
    if undecided:
        how = "" if found.exact else "grown greedily, and "
        how += "searched with one order of what is advised where an action is not feasible"
        notes = [f"{how}, while each leaf has its own: {more}"]
    return replace(tree, exact=found.exact and not undecided, gap=gap, notes=(*tree.notes, *notes))


def _named(
    plan: Plan, split_on: Sequence[tuple[str, float | str | None]], leaves: Sequence[Leaf]
) -> Node:
    if not isinstance(plan, Cut):
        return leaves[plan]
    variable, test = split_on[plan.feature]
    threshold = plan.threshold if isinstance(test, float) else test
    below, above = (_named(part, split_on, leaves) for part in (plan.below, plan.above))
    return Split(variable, threshold, below, above)


def _put_back(values: Floats, order: Ints) -> Floats:
    held = np.empty_like(values)
    held[order] = values
    return held
