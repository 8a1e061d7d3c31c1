"""Who is in which fold depends on identifiers and a seed, never on the order of the rows."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Ints
from cds_engine.estimate.trajectories import Trajectories


def canonical_order(ids: NDArray[Any], random_state: int = 0) -> Ints:
    """Return the order of rows that identifiers and a seed give, whatever the table's was."""
    text = np.array([str(one) for one in ids], dtype=object)
    hashed = pd.util.hash_array(text, categorize=False).astype(np.uint64)
    return np.lexsort((text, _mixed(hashed, random_state))).astype(np.intp)


def folds_of(
    trajectories: Trajectories, n_folds: int = 5, random_state: int = 0, *, ordered: bool = False
) -> Ints:
    """Return each trajectory's fold, 0..n_folds-1, shape (n,).

    Folds are balanced over the paths of actions and over whether the outcome was observed, so
    that a rare path is spread out; renaming or reordering actions changes nothing.

    Args:
        trajectories: the data.
        n_folds: how many.
        random_state: the seed.
        ordered: whether the trajectories already are in their ``canonical_order``.

    Raises:
        EstimationError: if there are fewer than two folds, or fewer trajectories than folds.
    """
    n = len(trajectories)
    if not 2 <= n_folds <= n:
        raise EstimationError(
            f"{n_folds} folds of {n} trajectories cannot be made; ask for at least 2 folds and at "
            "most one a trajectory"
        )
    order = np.arange(n) if ordered else canonical_order(trajectories.ids, random_state)
    path = np.zeros(n, dtype=np.int64)
    for stage in trajectories.stages:
        path = path * (stage.n_actions + 1) + stage.action + 1
        path = np.unique(path, return_inverse=True)[1]
    path = (path * 2 + trajectories.observed)[order]
    first, stratum = np.unique(path, return_index=True, return_inverse=True)[1:]
    folds = np.empty(n, dtype=np.intp)
    folds[order[np.argsort(first[stratum], kind="stable")]] = np.arange(n) % n_folds
    return folds


def _mixed(hashed: NDArray[np.uint64], random_state: int) -> NDArray[np.uint64]:
    """Mix a seed into hashes (the finaliser of splitmix64)."""
    z = hashed + np.uint64(((random_state + 1) * 0x9E3779B97F4A7C15) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
