"""Best second splits for all first splits at once: numpy plays a segment tree level by level.

Rows enter one after the other, in the order of the first feature. Over the rows that are in, the
sum of ``difference`` over a prefix of the second feature's order is what a split gains; the best
prefix after each entry is wanted. A segment tree keeps it: a node knows its sum and its best
prefix. All entries are known beforehand, so every node's history of states can be computed from
its children's histories in whole arrays, without a step for each row.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cds_engine.estimate.columns import Bools, Ints

Whole = NDArray[np.int64]

NONE: Final = -(2**61)
"""Less than any sum: marks what is not possible, with room for adding sums to it."""

_BATCH = 16_384
"""Rows times second features that are worked on together, so that arrays stay in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What one sweep over a first feature has to find.

    Attributes:
        order: rows in the order in which they enter, shape (n,).
        seconds: for each second feature the rows sorted by it, shape (n,), and after which of them
            a split can lie, shape (n - 1,).
        difference: score of the first of two actions less that of the second, shape (n,).
        min_leaf: fewest rows of a leaf.
        first, second: masks of which ``min_arm`` rows must lie in the leaf of each action.
        min_arm: see there.
    """

    order: Ints
    seconds: Sequence[tuple[Ints, Bools]]
    difference: Whole
    min_leaf: int
    first: tuple[Bools, ...]
    second: tuple[Bools, ...]
    min_arm: int

    @property
    def limited(self) -> bool:
        """Whether a leaf must hold more than one row."""
        return self.min_leaf > 1 or bool(self.first)

    @property
    def alike(self) -> bool:
        """Whether both actions ask the same of a leaf."""
        return not self.first


def sweep_numpy(task: Sweep) -> Whole:
    """Return the best gains after t = 0..n entries, shape (2, n + 1).

    Row 0 for the first action below the second split and the second above it: the largest sum of
    ``difference`` below. Row 1 for the opposite: the largest sum of minus ``difference``. ``NONE``
    where no split is possible.
    """
    n = len(task.order)
    time = np.empty(n, dtype=np.intp)
    time[task.order] = np.arange(n)
    best = np.full((2, n + 1), NONE, dtype=np.int64)
    size = max(1, _BATCH // n)
    for at in range(0, len(task.seconds), size):
        some = task.seconds[at : at + size]
        for lanes in [(0, 1)] if task.alike else [(0,), (1,)]:
            found = _batch(task, time, some, lanes)
            for place, lane in enumerate(lanes):
                np.maximum(best[lane], found[place].max(axis=0), out=best[lane])
    return best


def _batch(
    task: Sweep, time: Ints, seconds: Sequence[tuple[Ints, Bools]], lanes: tuple[int, ...]
) -> Whole:
    """Return the best gains, shape (lanes, second features, n + 1)."""
    n = len(time)
    levels = max(0, int(np.log2(max(n / 8, 1))))
    width = -(-n >> levels)
    padded = width << levels
    places = np.full((len(seconds), padded), -1, dtype=np.intp)
    places[:, :n] = np.stack([order for order, _ in seconds])
    real = places >= 0
    enters = np.where(real, time[places], np.arange(padded))
    gaps = np.zeros((len(seconds), padded), dtype=np.bool_)
    gaps[:, : n - 1] = np.stack([gap for _, gap in seconds])
    signs = np.array([1, -1])[list(lanes)]
    sums = np.where(real, task.difference[places], 0) * signs[:, None, None]
    if not task.limited:
        events = np.argsort(enters, axis=1)
        best = _play(events, sums, gaps, width, levels)
        return best[:, :, : n + 1]
    opens = np.full((len(seconds), padded), padded + 1)
    for place, (order, gap) in enumerate(seconds):
        opens[place, : n - 1] = np.where(gap, _opening(task, order, time, lanes[0]), padded + 1)
    events, after = _merged(enters, opens)
    best = _play(events, sums, gaps, width, levels)
    return np.take_along_axis(best, np.broadcast_to(after[None], best.shape[:2] + after.shape[1:]),
                              axis=2)[:, :, : n + 1]  # fmt: skip


def _merged(enters: Ints, opens: Ints) -> tuple[Ints, Ints]:
    """Return entries and openings in order of time, and how many there are by each time.

    Entry at a place is written ``2 * place``, the opening of the split after it one more.
    """
    count, padded = enters.shape
    keys = np.concatenate([2 * enters + 2, 2 * opens + 1], axis=1)
    happened = np.argsort(keys, axis=1, kind="stable")
    events = happened % padded * 2 + happened // padded
    opened = np.zeros((count, padded + 2), dtype=np.intp)
    np.add.at(opened, (np.arange(count)[:, None], opens), 1)
    after = np.arange(padded + 1) + np.cumsum(opened, axis=1)[:, : padded + 1]
    return events, after


def _play(events: Ints, sums: Whole, gaps: Bools, width: int, levels: int) -> Whole:
    """Return the best prefix after each event, shape (lanes, second features, events + 1).

    Args:
        events: in order of time; places as they enter where a split is always possible, else
            entries and openings as ``_merged`` writes them.
        sums: what each place adds, shape (lanes, second features, places).
        gaps: after which places a split can lie.
        width: places of a block at the bottom; there are ``2**levels`` blocks.
        levels: of the segment tree above the blocks.
    """
    count, length = events.shape
    lanes, each = len(sums), length // gaps.shape[1]
    turns, blocks = [], events
    for level in range(levels - 1, -1, -1):
        right = (blocks // (each * width) >> level & 1).astype(np.bool_)
        turns.append(right.reshape(count << levels - 1 - level, -1))
        half = (count << (levels - 1 - level), length >> (levels - level))
        flat = np.empty((half[0], 2, half[1]), dtype=np.intp)
        flat[:, 0] = blocks[~right].reshape(half)
        flat[:, 1] = blocks[right].reshape(half)
        blocks = flat.reshape(count, length)
    total, best = _blocks(blocks, sums, gaps, width, each)
    for right in reversed(turns):
        total, best = _joined(total, best, right)
    return best.reshape(lanes, count, length + 1)


def _blocks(
    events: Ints, sums: Whole, gaps: Bools, width: int, each: int
) -> tuple[Whole, Whole]:  # fmt: skip
    """Return sum and best prefix of every block at the bottom after each of its events."""
    number = events.size // (each * width)
    local = (events % (each * width)).reshape(number, each * width)
    rank = np.argsort(local, axis=1).reshape(number, width, each)
    inside = sums.reshape(len(sums), number, width)
    limits = gaps.reshape(number, width)
    moments = np.arange(each * width + 1)
    total = np.zeros((len(sums), number, len(moments)), dtype=np.int64)
    best = np.full_like(total, NONE)
    for place in range(width):
        entered = moments > rank[:, place, 0, None]
        total += inside[:, :, place, None] * entered
        possible = limits[:, place, None]
        if each == 2:
            possible = possible & (moments > rank[:, place, 1, None])
        np.maximum(best, total, out=best, where=possible)
    return total, best


def _joined(total: Whole, best: Whole, right: Bools) -> tuple[Whole, Whole]:
    """Return sum and best prefix of nodes from those of their two children."""
    lanes, _, moments = total.shape
    nodes, length = right.shape
    upper = np.zeros((nodes, length + 1), dtype=np.intp)
    np.cumsum(right, axis=1, out=upper[:, 1:])
    lower = np.arange(length + 1) - upper
    start = np.arange(nodes)[:, None] * (2 * moments)
    lower += start
    upper += start + moments
    total, best = total.reshape(lanes, -1), best.reshape(lanes, -1)
    below = np.take(total, lower, axis=1)
    beyond = np.take(best, upper, axis=1)
    beyond += below
    np.maximum(beyond, np.take(best, lower, axis=1), out=beyond)
    below += np.take(total, upper, axis=1)
    return below, beyond


def _opening(task: Sweep, order: Ints, time: Ints, lane: int) -> Ints:
    """Return after how many entries a split after each place leaves enough on both sides."""
    enters = time[order]
    below, above = (task.first, task.second) if lane == 0 else (task.second, task.first)
    opens = np.maximum(
        _enough(enters, None, task.min_leaf)[:-1],
        _enough(enters[::-1], None, task.min_leaf)[::-1][1:],
    )
    for mask in below:
        np.maximum(opens, _enough(enters, mask[order], task.min_arm)[:-1], out=opens)
    for mask in above:
        held = _enough(enters[::-1], mask[order[::-1]], task.min_arm)
        np.maximum(opens, held[::-1][1:], out=opens)
    return opens


def _enough(enters: Ints, counted: Bools | None, need: int) -> Ints:
    """Return after how many entries the first q = 1..n places hold ``need`` that count."""
    never = len(enters) + 1
    some = enters if counted is None else enters[counted]
    running = np.full(len(some) + 1, never, dtype=np.intp)
    if len(some) >= need:
        heap = [-int(one) for one in some[:need]]
        heapq.heapify(heap)
        latest = -heap[0]
        running[need] = latest + 1
        for at, one in enumerate(some[need:].tolist(), start=need + 1):
            if one < latest:
                heapq.heapreplace(heap, -one)
                latest = -heap[0]
            running[at] = latest + 1
    if counted is None:
        return running[1:]
    return running[np.cumsum(counted)]
