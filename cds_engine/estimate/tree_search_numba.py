"""Best second splits for all first splits: the segment tree itself, row by row, compiled.

It finds the same whole numbers as ``tree_search_numpy``, so that the tree is the same to the bit.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cds_engine.errors import EstimationError
from cds_engine.estimate.tree_search_numpy import NONE, Sweep

Whole = NDArray[np.int64]


def sweep_numba(task: Sweep) -> Whole:
    """Return the best gains after t = 0..n entries, as ``sweep_numpy`` does.

    The first call of a process compiles, which takes some seconds.

    Raises:
        EstimationError: if numba is not installed.
    """
    return sweep_with(_compiled(), task)


def sweep_with(fill: Any, task: Sweep) -> Whole:
    """Return the best gains, found by what ``kernel`` returned."""
    n = len(task.order)
    time = np.empty(n, dtype=np.int64)
    time[task.order] = np.arange(n)
    orders = np.stack([order for order, _ in task.seconds]).astype(np.int64)
    gaps = np.stack([gap for _, gap in task.seconds])
    none = np.zeros((0, n), dtype=np.bool_)
    first = np.stack(task.first) if task.first else none
    second = np.stack(task.second) if task.second else none
    best = np.full((2, n + 1), NONE, dtype=np.int64)
    fill(time, orders, gaps, task.difference, task.min_leaf, first, second, task.min_arm, best)
    return best


@cache
def _compiled() -> Any:
    if find_spec("numba") is None:
        raise EstimationError(
            "the engine 'numba' was asked for, but numba is not installed; install "
            "cds-engine[fast], or take engine='numpy', which finds the same tree"
        )
    return kernel(import_module("numba").njit)


def kernel(compiled: Callable[[Any], Any]) -> Any:
    """Return the sweep over second features, each of its parts passed through ``compiled``."""
    opening = compiled(_opening_with(compiled(_enough)))
    play = compiled(_play_with(compiled(_climb)))
    return compiled(_fill_with(opening, play))


def _fill_with(opening: Any, play: Any) -> Any:
    """Return the loop over second features, made of functions that may be compiled."""

    def fill(  # noqa: PLR0913, PLR0917 - compiled functions take arrays, not objects
        time: Whole, orders: Whole, gaps: NDArray[np.bool_], difference: Whole, min_leaf: int,
        first: NDArray[np.bool_], second: NDArray[np.bool_], min_arm: int, best: Whole,
    ) -> None:  # fmt: skip
        n = len(time)
        limited = min_leaf > 1 or len(first) > 0
        opens = np.zeros((2, n), dtype=np.int64)
        for at in range(len(orders)):
            order = orders[at]
            opens[:, :] = n + 1
            for place in range(n - 1):
                if gaps[at, place]:
                    opens[:, place] = 0
            if limited:
                opening(order, time, min_leaf, first, second, min_arm, opens[0])
                opening(order, time, min_leaf, second, first, min_arm, opens[1])
            play(order, time, difference, opens, best)

    return fill


def _opening_with(enough: Any) -> Any:
    """Return what raises the times from which splits are possible."""

    def opening(
        order: Whole, time: Whole, min_leaf: int, below: NDArray[np.bool_],
        above: NDArray[np.bool_], min_arm: int, opens: Whole,
    ) -> None:  # fmt: skip
        n = len(order)
        all_count = np.ones(n, dtype=np.bool_)
        enters = np.empty(n, dtype=np.int64)
        for place in range(n):
            enters[place] = time[order[place]]
        enough(enters, all_count, min_leaf, opens, False)
        enough(enters, all_count, min_leaf, opens, True)
        counted = np.empty(n, dtype=np.bool_)
        for which in range(len(below)):
            for place in range(n):
                counted[place] = below[which, order[place]]
            enough(enters, counted, min_arm, opens, False)
            for place in range(n):
                counted[place] = above[which, order[place]]
            enough(enters, counted, min_arm, opens, True)

    return opening


def _enough(
    enters: Whole, counted: NDArray[np.bool_], need: int, opens: Whole, above: bool
) -> None:  # fmt: skip
    """Raise ``opens`` to when one side of the split after each place holds ``need`` that count.

    The time wanted is the ``need``-th smallest among those on the side. Going backwards, places
    leave one by one, and the wanted time moves to the next one that is still in a linked list.
    """
    n = len(enters)
    later = np.empty(n + 2, dtype=np.int64)
    earlier = np.empty(n + 2, dtype=np.int64)
    by_time = np.zeros(n, dtype=np.bool_)
    for place in range(n):
        by_time[enters[place]] = counted[place]
    last = 0
    wanted = n + 1
    seen = 0
    for moment in range(n):  # moment + 1 stands for the entry at that time, 0 and n + 1 for ends
        if by_time[moment]:
            later[last] = moment + 1
            earlier[moment + 1] = last
            last = moment + 1
            seen += 1
            if seen == need:
                wanted = moment + 1
    later[last] = n + 1
    earlier[n + 1] = last
    for step in range(n - 1):
        leaving = step if above else n - 1 - step
        split = step if above else n - 2 - step
        if counted[leaving]:
            gone = enters[leaving] + 1
            if gone <= wanted <= n:
                wanted = later[wanted]
            later[earlier[gone]] = later[gone]
            earlier[later[gone]] = earlier[gone]
        opens[split] = max(opens[split], wanted)


def _play_with(climb: Any) -> Any:
    """Return what lets rows enter one by one and keeps the best prefixes of both signs."""

    def play(order: Whole, time: Whole, difference: Whole, opens: Whole, best: Whole) -> None:
        n = len(order)
        size = 1
        while size < n:
            size *= 2
        tree = np.zeros((2 * size, 4), dtype=np.int64)  # sum, two prefixes; 4 fit a cache line
        tree[:, 1:3] = NONE
        place_at = np.empty(n, dtype=np.int64)
        first = np.full((2, n + 2), -1, dtype=np.int64)  # of the splits that open at one time
        following = np.full((2, n), -1, dtype=np.int64)
        for place in range(n):
            place_at[time[order[place]]] = place
            for side in range(2):
                moment = opens[side, place]
                if moment == 0:
                    tree[size + place, 1 + side] = 0
                elif moment <= n:
                    following[side, place] = first[side, moment]
                    first[side, moment] = place
        for node in range(size - 1, 0, -1):
            tree[node, 1] = max(tree[2 * node, 1], tree[2 * node + 1, 1])
            tree[node, 2] = max(tree[2 * node, 2], tree[2 * node + 1, 2])
        best[0, 0] = max(best[0, 0], tree[1, 1])
        best[1, 0] = max(best[1, 0], tree[1, 2])
        for moment in range(1, n + 1):
            place = place_at[moment - 1]
            gain = difference[order[place]]
            tree[size + place, 0] = gain
            if tree[size + place, 1] > NONE:
                tree[size + place, 1] = gain
            if tree[size + place, 2] > NONE:
                tree[size + place, 2] = -gain
            climb(tree, size + place)
            for side in range(2):
                place = first[side, moment]
                while place >= 0:
                    gain = tree[size + place, 0]
                    tree[size + place, 1 + side] = gain if side == 0 else -gain
                    climb(tree, size + place)
                    place = following[side, place]
            best[0, moment] = max(best[0, moment], tree[1, 1])
            best[1, moment] = max(best[1, moment], tree[1, 2])

    return play


def _climb(tree: Whole, leaf: int) -> None:
    """Compute the nodes above a leaf anew."""
    node = leaf >> 1
    while node > 0:
        left, right = 2 * node, 2 * node + 1
        inside = tree[left, 0]
        tree[node, 0] = inside + tree[right, 0]
        tree[node, 1] = max(tree[left, 1], inside + tree[right, 1])
        tree[node, 2] = max(tree[left, 2], tree[right, 2] - inside)
        node >>= 1
