"""Every tree of depth two at most, tried one by one: the referee of the tree search."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Limits:
    """What a leaf must hold."""

    min_leaf: int = 1
    min_arm: int = 0
    evidence: Sequence[NDArray[np.bool_]] = ()

    def allow(self, rows: NDArray[np.bool_], action: int) -> bool:
        enough = rows.sum() >= self.min_leaf
        return bool(enough) and all(
            mask[rows, action].sum() >= self.min_arm for mask in self.evidence
        )


def best_value(
    features: NDArray[np.float64], scores: NDArray[np.float64], depth: int, limits: Limits
) -> float:
    """Return the largest sum of scores of any tree; minus infinity if none is allowed."""
    everybody = np.ones(len(features), dtype=np.bool_)
    totals = [
        sum(scores[rows, action].sum() for rows, action in leaves)
        for leaves in _trees(features, everybody, scores.shape[1], depth)
        if all(limits.allow(rows, action) for rows, action in leaves)
    ]
    return max(totals, default=-np.inf)


Leaves = list[tuple[NDArray[np.bool_], int]]


def _trees(
    features: NDArray[np.float64], rows: NDArray[np.bool_], actions: int, depth: int
) -> Iterator[Leaves]:
    for action in range(actions):
        yield [(rows, action)]
    if depth == 0:
        return
    for column in range(features.shape[1]):
        for bound in np.unique(features[rows, column])[1:]:
            above = rows & (features[:, column] >= bound)
            lower = list(_trees(features, rows & ~above, actions, depth - 1))
            upper = list(_trees(features, above, actions, depth - 1))
            for one, other in product(lower, upper):
                yield one + other
