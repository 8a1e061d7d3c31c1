"""Least squares by normal equations where they are safe, by orthogonal factors where not."""

from collections.abc import Callable
from typing import Final

import numpy as np
import scipy.linalg

from cds_engine.estimate.columns import Floats, Ints

CONDITION_LIMIT: Final = 1e9
"""Largest condition number, columns scaled to unit length, of a Gram matrix that is solved as it
is: the solution then holds about seven digits or more. Beyond it the rows are factored."""
RANK_TOLERANCE: Final = 1e-10
"""A column whose part that is new, as a share of its length, is smaller than this is taken to be
a combination of the others."""


class DependentColumnsError(Exception):
    """Some columns are combinations of others, so that there is no single solution.

    Attributes:
        dependent: places of columns that add nothing.
        on: for each of them, the places of the columns that it is made of.
    """

    def __init__(self, dependent: list[int], on: list[list[int]]) -> None:
        super().__init__(f"columns {dependent} depend on {on}")
        self.dependent = dependent
        self.on = on


def solve(gram: Floats, cross: Floats, rows: Callable[[], tuple[Floats, Floats]]) -> Floats:
    """Return the solution of gram @ b = cross, shape (p,) or (p, r).

    Args:
        gram: X'WX, shape (p, p).
        cross: X'Wy, shape (p,) or (p, r).
        rows: gives sqrt(W)X and sqrt(W)y; called only if the Gram matrix is badly conditioned.

    Raises:
        DependentColumnsError: if some columns are combinations of others.
    """
    quick = solve_scaled(gram, cross)
    return least_squares_by_rows(*rows()) if quick is None else quick


def solve_scaled(gram: Floats, cross: Floats) -> Floats | None:
    """Return the solution of the normal equations; None if they are badly conditioned."""
    length = np.sqrt(np.diagonal(gram))
    if not (np.isfinite(length).all() and (length > 0).all()):
        return None
    scaled = gram / np.outer(length, length)
    eigenvalues = np.linalg.eigvalsh(scaled)
    if eigenvalues[0] <= eigenvalues[-1] / CONDITION_LIMIT:
        return None
    right = (cross.T / length).T
    solution = scipy.linalg.cho_solve(scipy.linalg.cho_factor(scaled), right)
    found: Floats = (solution.T / length).T
    return found


def least_squares(X: Floats, y: Floats, weights: Floats | None = None) -> Floats:
    """Return the b that makes sum of w (y - Xb)^2 least, shape (p,) or (p, r).

    Raises:
        DependentColumnsError: if some columns of X are combinations of others.
    """
    XW = X if weights is None else X * weights[:, None]
    gram, cross = XW.T @ X, XW.T @ y

    def rows() -> tuple[Floats, Floats]:
        root = np.ones(len(X)) if weights is None else np.sqrt(weights)
        return X * root[:, None], (y.T * root).T

    return solve(gram, cross, rows)


def least_squares_by_rows(X: Floats, y: Floats) -> Floats:
    """Return the least squares solution from an orthogonal factorisation of X itself.

    Raises:
        DependentColumnsError: if some columns of X are combinations of others.
    """
    length = np.sqrt((X**2).sum(axis=0))
    scaled = X / np.where(length > 0, length, 1.0)
    R, pivots = _pivoted(scaled)
    size = np.abs(np.diagonal(R))
    rank = int(np.count_nonzero(size > RANK_TOLERANCE * max(size.max(initial=0.0), 1e-300)))
    if rank < X.shape[1]:
        raise _dependence(R, pivots, rank)
    found: Floats = (scipy.linalg.lstsq(scaled, y)[0].T / length).T
    return found


def _pivoted(X: Floats) -> tuple[Floats, Ints]:
    padded = X if len(X) >= X.shape[1] else np.vstack([X, np.zeros((X.shape[1], X.shape[1]))])
    R, pivots = scipy.linalg.qr(padded, mode="r", pivoting=True)
    return np.asarray(R[: X.shape[1]], dtype=np.float64), pivots.astype(np.intp)


def _dependence(R: Floats, pivots: Ints, rank: int) -> DependentColumnsError:
    made = scipy.linalg.solve_triangular(R[:rank, :rank], R[:rank, rank:]) if rank else R[:0]
    dependent = [int(one) for one in pivots[rank:]]
    on = [[int(pivots[at]) for at in np.flatnonzero(np.abs(made[:, one]) > 1e-8)]
          for one in range(len(dependent))]  # fmt: skip
    return DependentColumnsError(dependent, on)
