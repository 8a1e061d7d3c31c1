"""The tree of depth two that a search returns is the best there is, to the last unit of its scores.

Scores are turned into whole numbers (fixed point) before they are added, so that sums do not
depend on the order of rows or on the engine, ties are ties, and every engine finds the same tree.

References:
    Zhou, Athey & Wager (2023), Offline multi-action policy learning, Operations Research.
    Sverdrup et al. (2020), policytree, Journal of Open Source Software (the search that it does
    over second splits is O(n^2); a sweep with a segment tree makes it O(n log n)).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from importlib.util import find_spec
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints
from cds_engine.estimate.tree_search_numba import sweep_numba
from cds_engine.estimate.tree_search_numpy import NONE, Sweep, sweep_numpy

Engine = Literal["auto", "numpy", "numba"]
Whole = NDArray[np.int64]

_ROOM = 58
"""Bits for the largest sum; the rest keeps sums of impossible splits from running over."""
_TIES = 8
"""First splits on one feature that are compared where they are equally good."""
_LARGE = 1_000_000
"""Rows times pairs of features from which compiling for some seconds pays."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A split of rows on one column: ``above`` where the value is at least ``threshold``."""

    feature: int
    threshold: float
    below: "Cut | int"
    above: "Cut | int"


Plan = Cut | int
"""A tree over the columns of a matrix: a cut, or the place of an action."""


@dataclass(frozen=True, slots=True)
class Found:
    """A tree with what it is worth.

    Attributes:
        plan: the tree.
        value: the sum of the scores of the actions it gives, over all rows.
        bound: no tree of the asked depth has a larger sum; equals ``value`` where the search is
            exact.
        exact: whether no tree of the asked depth is better.
    """

    plan: Plan
    value: float
    bound: float
    exact: bool


def search_tree(
    features: Floats,
    scores: Floats,
    *,
    depth: int = 2,
    min_leaf: int = 1,
    evidence: Sequence[Bools] = (),
    min_arm: int = 0,
    engine: Engine = "auto",
) -> Found:
    """Return the tree that maximises the sum of the scores of the actions it gives.

    Exact up to depth 2. Deeper trees are grown from the root with the split that the best tree of
    depth 2 starts with, so that they are never worse than it; ``bound`` says what is left.
    Of equal trees one of less depth is returned, then one with fewer splits, then the one whose
    splits come first by column and by threshold. Time O(p^2 n log n) for each pair of actions,
    memory O(p n).

    Args:
        features: shape (n, p), finite; a split is ``x >= threshold``.
        scores: shape (n, n_actions), finite; larger is better.
        depth: of the tree; 0 is one action for all.
        min_leaf: fewest rows of a leaf.
        evidence: masks of shape (n, n_actions); an action may stand in a leaf only if each mask
            holds there, in the action's column, in at least ``min_arm`` rows.
        min_arm: see ``evidence``.
        engine: ``numba`` needs the extra ``fast``; ``auto`` takes it where it is there and pays.

    Raises:
        EstimationError: if the arrays do not fit, hold NaN, or no action has enough evidence.
    """
    _check(features, scores, evidence, depth)
    whole, exponent = _fixed_point(scores)
    need = [np.asarray(mask, dtype=np.bool_) for mask in evidence] if min_arm > 0 else []
    rows = _Rows(np.asarray(features, dtype=np.float64), whole, need, min_arm, max(min_leaf, 1))
    value, plan = _grow(rows, depth, _sweep(engine, len(features), features.shape[1], depth))
    if value <= NONE // 2:
        raise EstimationError(
            f"no action has the evidence that is asked for ({min_leaf} rows and {min_arm} of each "
            f"kind, of {len(scores)}); ask for less"
        )
    exact = depth <= 2
    bound = value if exact else _bound(rows)
    return Found(plan, float(np.ldexp(float(value), -exponent)),
                 float(np.ldexp(float(bound), -exponent)), exact or bound == value)  # fmt: skip


def assign(plan: Plan, features: Floats) -> Ints:
    """Return the action that a tree gives to each row, shape (n,)."""
    if isinstance(plan, int):
        return np.full(len(features), plan, dtype=np.intp)
    above = features[:, plan.feature] >= plan.threshold
    return np.where(above, assign(plan.above, features), assign(plan.below, features))


def between(low: float, high: float) -> float:
    """Return a short decimal above ``low`` and at most ``high``, where a split is written.

    The multiple nearest to the middle of the largest power of ten that fits into the gap; of two
    the upper one. The data cannot tell the places of one gap apart, so the shortest is taken.

    >>> between(8.1, 8.2), between(137.0, 163.0), between(0.0, 1.0), between(1.23, 1.31)
    (8.2, 150.0, 1.0, 1.27)
    """
    below, above = Decimal(repr(float(low))), Decimal(repr(float(high)))
    step = Decimal(1).scaleb((above - below).adjusted())
    middle = (below + above) / 2
    point = (middle / step).quantize(Decimal(1), rounding=ROUND_HALF_UP) * step
    while point > above:
        point -= step
    while point <= below:
        point += step
    short = float(point)
    return short if low < short <= high else float(high)


@dataclass(frozen=True)
class _Rows:
    """The rows that one part of the tree must divide."""

    features: Floats
    scores: Whole
    evidence: list[Bools]
    min_arm: int
    min_leaf: int

    def take(self, mask: Bools) -> "_Rows":
        return _Rows(self.features[mask], self.scores[mask], [e[mask] for e in self.evidence],
                     self.min_arm, self.min_leaf)  # fmt: skip

    def order(self, feature: int) -> tuple[Ints, Bools]:
        """Return rows sorted by a feature, and where between two of them a split can lie."""
        values = self.features[:, feature]
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        return order, ordered[:-1] < ordered[1:]

    def threshold(self, feature: int, at: int) -> float:
        """Return where the split is written that puts ``at`` rows below."""
        pair = np.partition(self.features[:, feature], [at - 1, at])[at - 1 : at + 1]
        return between(pair[0], pair[1])

    def totals(self, order: Ints) -> Whole:
        """Return, for the first t = 0..n rows, each action's sum; ``NONE`` where it may not be."""
        held = _running(self.scores[order])
        held[: self.min_leaf] = NONE
        for mask in self.evidence:
            held[_running(mask[order].astype(np.int64)) < self.min_arm] = NONE
        return held


def _running(values: Whole) -> Whole:
    return np.concatenate([np.zeros((1, values.shape[1]), np.int64), np.cumsum(values, axis=0)])


_SweepFunction = Callable[[Sweep], Whole]


def _sweep(engine: Engine, n: int, p: int, depth: int) -> _SweepFunction:
    if engine == "numba" or (
        engine == "auto" and depth >= 2 and n * p * p >= _LARGE and find_spec("numba") is not None
    ):
        return sweep_numba
    return sweep_numpy


def _grow(rows: _Rows, depth: int, sweep: _SweepFunction) -> tuple[int, Plan]:
    """Return the value of a tree, and the tree."""
    if depth == 0 or len(rows.scores) < 2 * rows.min_leaf:
        return _leaf(rows)
    if depth == 1:
        return _best_split(rows)
    value, plan = _best_two(rows, sweep)
    if depth == 2 or isinstance(plan, int):
        return value, plan
    above = rows.features[:, plan.feature] >= plan.threshold
    high, upper = _grow(rows.take(above), depth - 1, sweep)
    low, lower = _grow(rows.take(~above), depth - 1, sweep)
    return low + high, _joined(plan.feature, plan.threshold, lower, upper)


def _joined(feature: int, threshold: float, below: Plan, above: Plan) -> Plan:
    return below if below == above else Cut(feature, threshold, below, above)


def _leaf(rows: _Rows) -> tuple[int, Plan]:
    totals = rows.totals(np.arange(len(rows.scores)))[-1]
    return int(totals.max()), int(totals.argmax())


def _best_split(rows: _Rows, sorts: "Sequence[_Sorted] | None" = None) -> tuple[int, Plan]:
    """Return the best tree with one split at most."""
    value, plan = _leaf(rows)
    for feature, one in enumerate(sorts or _sorted(rows)):
        if not one.gaps.any():
            continue
        below, above = one.below[1:-1], one.above[-2:0:-1]
        both = np.where(one.gaps, below.max(axis=1) + above.max(axis=1), NONE)
        at = int(both.argmax())
        if both[at] > value:
            value = int(both[at])
            actions = int(below[at].argmax()), int(above[at].argmax())
            plan = _joined(feature, rows.threshold(feature, at + 1), *actions)
    return value, plan


def _best_two(rows: _Rows, sweep: _SweepFunction) -> tuple[int, Plan]:
    """Return the best tree of depth two."""
    sorts = list(_sorted(rows))
    value, plan = _best_split(rows, sorts)
    seconds = [(one.order, one.gaps) for one in sorts if one.gaps.any()]
    best: list[tuple[int, int]] = []
    for feature, one in enumerate(sorts):
        if not one.gaps.any():
            continue
        below = _sides(rows, one.order, one.below, seconds, sweep)[1:-1]
        above = _sides(rows, one.order[::-1], one.above, seconds, sweep)[-2:0:-1]
        both = np.where(one.gaps, below + above, NONE)
        if both.max() > value:
            value, best = int(both.max()), []
        elif not best:
            continue
        best += [(feature, int(at) + 1) for at in np.flatnonzero(both == value)[:_TIES]]
    if not best:
        return value, plan
    return value, min((_rebuilt(rows, *one) for one in best), key=_splits)


def _rebuilt(rows: _Rows, feature: int, at: int) -> Plan:
    """Return the best tree of depth two that starts with a split."""
    threshold = rows.threshold(feature, at)
    above = rows.features[:, feature] >= threshold
    return Cut(feature, threshold, _best_split(rows.take(~above))[1],
               _best_split(rows.take(above))[1])  # fmt: skip


def _splits(plan: Plan) -> int:
    return 0 if isinstance(plan, int) else 1 + _splits(plan.below) + _splits(plan.above)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Rows sorted by one feature, with each action's sum over the first and over the last t."""

    order: Ints
    gaps: Bools
    below: Whole
    above: Whole


def _sorted(rows: _Rows) -> Iterator[_Sorted]:
    for feature in range(rows.features.shape[1]):
        order, gaps = rows.order(feature)
        yield _Sorted(order, gaps, rows.totals(order), rows.totals(order[::-1]))


def _sides(
    rows: _Rows, order: Ints, totals: Whole, seconds: Sequence[tuple[Ints, Bools]],
    sweep: _SweepFunction,
) -> Whole:  # fmt: skip
    """Return the best value of one split more, for the first t = 0..n rows of an order."""
    plain = _running(rows.scores[order])
    best: Whole = totals.max(axis=1)
    for one, other in combinations(range(rows.scores.shape[1]), 2):
        task = Sweep(
            order=order, seconds=seconds, min_leaf=rows.min_leaf, min_arm=rows.min_arm,
            difference=rows.scores[:, one] - rows.scores[:, other],
            first=tuple(mask[:, one] for mask in rows.evidence),
            second=tuple(mask[:, other] for mask in rows.evidence),
        )  # fmt: skip
        gains = sweep(task)
        np.maximum(best, gains[0] + plain[:, other], out=best)
        np.maximum(best, gains[1] + plain[:, one], out=best)
    return best


def _bound(rows: _Rows) -> int:
    """Return what no tree of whatever depth can exceed: rows that are alike share one action."""
    _, group = np.unique(rows.features, axis=0, return_inverse=True)
    sums = np.zeros((int(group.max()) + 1, rows.scores.shape[1]), dtype=np.int64)
    np.add.at(sums, group.ravel(), rows.scores)
    return int(sums.max(axis=1).sum())


def _fixed_point(scores: Floats) -> tuple[Whole, int]:
    """Return scores as whole numbers, and the power of two that they were multiplied with."""
    largest = float(np.abs(scores).max()) * len(scores)
    exponent = _ROOM - int(np.frexp(largest)[1]) if largest > 0 else 0
    return np.rint(np.ldexp(np.asarray(scores, dtype=np.float64), exponent)).astype(
        np.int64
    ), exponent


def _check(features: Floats, scores: Floats, evidence: Sequence[Bools], depth: int) -> None:
    if features.ndim != 2 or scores.ndim != 2 or len(features) != len(scores):
        raise EstimationError(
            f"features of shape {features.shape} and scores of shape {scores.shape} do not fit; "
            "give one row of each for every history"
        )
    if not scores.size:
        raise EstimationError("there is no row, so no tree can be found; give at least one")
    if any(mask.shape != scores.shape for mask in evidence):
        raise EstimationError(f"every mask of evidence must have the scores' shape {scores.shape}")
    if depth < 0:
        raise EstimationError(f"a tree cannot be {depth} deep; ask for 0 or more")
    for name, values in (("features", features), ("scores", scores)):
        if wild := int(np.count_nonzero(~np.isfinite(values).all(axis=1))):
            raise EstimationError(f"{wild} rows of the {name} are not finite; correct them")
