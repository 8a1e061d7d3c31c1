"""A leaf advises the action, and where it is not feasible the others in the order, that do best.

A search of trees gives every action one order of others, the same in each leaf. A leaf that was
found can do better with its own rows: it chooses its action and its order together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from cds_engine.estimate.columns import Bools, Floats, Ints
from cds_engine.estimate.rule import NO_DECISION
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.tree import Leaf, Node, Split, Tree

_MOST_ORDERED = 4
"""Other actions of which every order is tried; more are ordered by their mean scores alone."""


@dataclass(frozen=True)
class LeafChoice:
    """The rows that a tree was searched in, and what the search advised instead of each action.

    Attributes:
        h: the histories, all with a decision.
        scores: cost taken off, shape (n, n_actions); NaN where an action is not feasible.
        weights: of the rows, shape (n,).
        instead: for each action, what takes its place where it is not feasible, in order.
        min_leaf: fewest rows without an action from which a leaf orders the others by these alone.
        min_arm: fewest rows of a leaf that took what it advises, and that took something else.
    """

    h: StageData
    scores: Floats
    weights: Floats
    instead: Sequence[tuple[str, ...]]
    min_leaf: int
    min_arm: int

    @property
    def free(self) -> Bools:
        """Rows that lack an action and could have more than one other: the order decides there."""
        some = self.h.feasible.sum(axis=1) > 1
        return np.asarray(some & ~self.h.feasible.all(axis=1), dtype=np.bool_)

    def settled(self, tree: Tree) -> Tree:
        """Return the tree in which each leaf has its own action and order; equal leaves joined."""
        leaves = [self._rows(here)._best(leaf) for leaf, here in tree.ends(self.h)]
        settled = tree.with_leaves(iter(leaves))
        return replace(settled, root=_joined(settled.root))

    def worth(self, rule: Tree) -> float:
        """Return the weighted sum of the scores of what a tree advises."""
        return self._sum(rule(self.h))

    def slack(self) -> float:
        """Return what no order of the others, leaf by leaf, could add to what a search found.

        An action that a row lacks counts in the search as its first feasible other; a tree with
        orders of its own could at most have the best feasible one there.
        """
        counted = np.take_along_axis(self.scores, effective(self.h, self.instead), axis=1)
        best = np.where(self.h.feasible, self.scores, -np.inf).max(axis=1, initial=-np.inf)
        more = np.where(self.h.feasible, 0.0, best[:, None] - counted).max(axis=1, initial=0.0)
        return float(np.sum(more * self.weights))

    def _rows(self, here: Bools) -> "LeafChoice":
        return replace(self, h=self.h.take(here), scores=self.scores[here],
                       weights=self.weights[here])  # fmt: skip

    def _best(self, leaf: Leaf) -> Leaf:
        """Return the best leaf in these rows; of equals the one that was found comes first."""
        if not self.h.rows or not self.h.spec.feasible:
            return leaf
        tried = [
            replace(leaf, action=name, instead=order)
            for name in self._actions(leaf.action)
            for order in self._orders(name)
        ]
        return max(tried, key=self._of)

    def _actions(self, found: str) -> list[str]:
        if not self.free.any():
            return [found]  # the search left nothing open here
        enough = [mask.sum(axis=0) >= self.min_arm for mask in evidence(self.h)]
        allowed = np.logical_and.reduce(enough)
        names = self.h.spec.actions
        return [found, *sorted(name for name, may in zip(names, allowed, strict=True)
                               if may and name != found)]  # fmt: skip

    def _orders(self, name: str) -> list[tuple[str, ...]]:
        """Return the orders to try: by the means of these rows, the search's, then all others.

        Few rows without the action cannot say which of many orders is best.
        """
        at = self.h.spec.place(name)
        own = fallbacks(self.h, at, self.scores, self.weights, self.min_leaf)
        lacking = int(np.count_nonzero(~self.h.feasible[:, at]))
        others = sorted(set(self.h.spec.actions) - {name})
        every: Iterator[tuple[str, ...]] = iter(())
        if own and lacking >= self.min_leaf and len(others) <= _MOST_ORDERED:
            every = (_shortened(order, self.h) for order in permutations(others))
        return list(dict.fromkeys((own, self.instead[at], *every)))

    def _of(self, leaf: Leaf) -> float:
        places = np.full(self.h.rows, NO_DECISION, dtype=np.intp)
        for name in reversed((leaf.action, *leaf.instead)):
            at = self.h.spec.place(name)
            places[self.h.feasible[:, at]] = at
        return self._sum(places)

    def _sum(self, places: Ints) -> float:
        return float(np.sum(self.scores[np.arange(self.h.rows), places] * self.weights))


def fallbacks(
    h: StageData, at: int, scores: Floats, weights: Floats, enough: int = 1
) -> tuple[str, ...]:
    """Return what takes the place of an action where it is not feasible, in order.

    The other actions in the order of their weighted mean scores, among the rows where the action
    is not feasible if these are ``enough``, else among all; up to the first that is feasible for
    everybody. Nothing for an action without a criterion.
    """
    names = h.spec.actions
    if names[at] not in h.spec.feasible:
        return ()
    lacking = ~h.feasible[:, at]
    among = lacking if lacking.sum() >= enough else np.ones(h.rows, dtype=np.bool_)
    means = {other: weighted_mean(scores[among, place], weights[among])
             for place, other in enumerate(names) if place != at}  # fmt: skip
    return _shortened(sorted(means, key=lambda other: -means[other]), h)


def _shortened(ranked: Sequence[str], h: StageData) -> tuple[str, ...]:
    free = next((i for i, other in enumerate(ranked) if other not in h.spec.feasible), None)
    return tuple(ranked if free is None else ranked[: free + 1])


def effective(h: StageData, instead: Sequence[Sequence[str]]) -> Ints:
    """Return what a leaf with each action comes to in each row, shape (n, n_actions)."""
    places = np.empty(h.feasible.shape, dtype=np.intp)
    for at, name in enumerate(h.spec.actions):
        for other in reversed((name, *instead[at])):
            place = h.spec.place(other)
            places[h.feasible[:, place], at] = place
    return places


def evidence(h: StageData) -> tuple[Bools, Bools]:
    """Return who took each action, and who took another one or had no choice."""
    took = h.action[:, None] == np.arange(h.n_actions)
    alone = (h.feasible.sum(axis=1) == 1)[:, None]
    return took, ~took | alone


def weighted_mean(values: Floats, weights: Floats) -> float:
    """Return the weighted mean of the values that are there; minus infinity if none is."""
    known = ~np.isnan(values)
    total = float(weights[known].sum())
    return float(np.sum(values[known] * weights[known])) / total if total > 0 else -np.inf


def _joined(node: Node) -> Node:
    if isinstance(node, Leaf):
        return node
    below, above = _joined(node.below), _joined(node.above)
    same = isinstance(below, Leaf) and below == above
    return below if same else Split(node.variable, node.threshold, below, above)
