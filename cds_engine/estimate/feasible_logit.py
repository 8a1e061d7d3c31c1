"""Multinomial logistic regression in which each row chooses among its own feasible actions."""

from dataclasses import dataclass, field

import numpy as np
import scipy.linalg
from scipy.special import expit

from cds_engine.estimate.columns import Bools, Floats, Ints

ITERATIONS = 30
CONVERGED = 1e-6
"""Largest change of a linear predictor in the last Newton step; the error left is its square."""
DIVERGING = 0.2
"""A step that is still this large in the end means that the likelihood has no maximum."""
SAFE = 0.5
"""A step below which curvature hardly changes, so that Newton's method cannot overshoot."""
RANK = 1e-10
"""Share of the largest eigenvalue below which a direction is taken as not identified."""


class SeparationError(ValueError):
    """The likelihood has no maximum: histories foretell the action with certainty."""

    def __init__(self, column: int, action: int, rows: int) -> None:
        super().__init__("perfect separation")
        self.column, self.action, self.rows = column, action, rows


@dataclass
class FeasibleLogit:
    """P(A = a | x, feasible) = exp(x'b_a) / sum of exp(x'b_c) over the feasible c.

    Maximum likelihood by Newton's method, no penalty. Columns are standardised inside. Directions
    that the data do not identify (a constant column, a column that is constant wherever an action
    is feasible) are left out, which does not touch any fitted probability. Where all actions are
    feasible for all it is ordinary multinomial logistic regression.

    Attributes:
        coefficients_: of the standardised columns with the intercept first, shape (p + 1, J); zero
            for one reference action of every set of actions that are feasible together.
        basis_: the identified directions of the free coefficients.
        iterations_: Newton steps taken.
    """

    center_: Floats = field(init=False, repr=False)
    scale_: Floats = field(init=False, repr=False)
    coefficients_: Floats = field(init=False, repr=False)
    basis_: Floats = field(init=False, repr=False)
    free_: tuple[int, ...] = field(init=False)
    iterations_: int = field(init=False)

    def fit(
        self,
        X: Floats,
        action: Ints,
        feasible: Bools,
        sample_weight: Floats | None = None,
        start: "FeasibleLogit | None" = None,
    ) -> "FeasibleLogit":
        """Fit to rows that each took a feasible action.

        Args:
            X: shape (n, p).
            action: place of the action taken, shape (n,).
            feasible: shape (n, J).
            sample_weight: shape (n,); zero leaves a row out.
            start: a fit on nearly the same rows, from which Newton's method starts.

        Raises:
            SeparationError: if the likelihood has no maximum.
        """
        weight = np.ones(len(X)) if sample_weight is None else sample_weight
        taken = np.zeros(feasible.shape)
        taken[np.arange(len(X)), action] = 1.0
        if start is None:
            share = weight / weight.sum()
            self.center_ = share @ X
            spread = np.sqrt(np.maximum(share @ (X**2) - self.center_**2, 0.0))
            tiny = 1e-12 * np.maximum(1.0, np.abs(self.center_))
            self.scale_ = np.where(spread > tiny, spread, np.inf)
            self.free_ = _free(feasible[weight > 0])
        else:
            self.center_, self.scale_, self.free_ = start.center_, start.scale_, start.free_
        Z = self._standardised(X)
        if feasible.shape[1] == 2 and feasible.all():
            return self._fit_two(Z, action, weight, start)
        uniform = feasible / feasible.sum(axis=1, keepdims=True)
        self.basis_ = _identified(_information(Z, uniform, weight, self.free_))
        none = np.zeros((Z.shape[1], feasible.shape[1]))
        self._maximise(Z, taken, feasible, weight, none if start is None else start.coefficients_)
        return self

    def predict_proba(self, X: Floats, feasible: Bools) -> Floats:
        """Return the probability of each action, shape (n, J); zero where it is not feasible."""
        return _shares(self._standardised(X) @ self.coefficients_, feasible)

    def scores(self, X: Floats, action: Ints, feasible: Bools) -> Floats:
        """Return each row's derivative of the log-likelihood, shape (n, identified directions)."""
        residual = -self.predict_proba(X, feasible)
        residual[np.arange(len(X)), action] += 1.0
        Z = self._standardised(X)
        return np.hstack([Z * residual[:, [j]] for j in self.free_]) @ self.basis_

    def _standardised(self, X: Floats) -> Floats:
        Z = np.empty((len(X), X.shape[1] + 1))
        Z[:, 0] = 1.0
        np.subtract(X, self.center_, out=Z[:, 1:])
        Z[:, 1:] *= 1.0 / self.scale_
        return Z

    def _fit_two(
        self, Z: Floats, action: Ints, weight: Floats, start: "FeasibleLogit | None"
    ) -> "FeasibleLogit":
        """Fit to two actions that all could take: the same, several times as fast."""
        Zt, y = np.ascontiguousarray(Z.T), action.astype(np.float64)
        self.basis_ = _identified((Zt * (weight / 4)) @ Z) if start is None else start.basis_
        b = np.zeros(Z.shape[1]) if start is None else start.coefficients_[:, 1].copy()
        eta = Z @ b
        for self.iterations_ in range(1, ITERATIONS + 1):
            p = expit(eta)
            gradient = self.basis_.T @ (Zt @ (weight * (y - p)))
            information = self.basis_.T @ ((Zt * (weight * p * (1 - p))) @ Z) @ self.basis_
            move = self.basis_ @ _solved(information, gradient)
            shift = Z @ move
            step = float(np.abs(shift[weight > 0]).max(initial=0.0))
            size = _safe(eta, shift, y, weight) if step > SAFE else 1.0
            b, eta = b + size * move, eta + size * shift
            if step < CONVERGED:
                break
        self.coefficients_ = np.column_stack([np.zeros_like(b), b])
        if step > DIVERGING:
            sure = (np.where(y > 0, eta, -eta) > -np.log(1e-6)) & (weight > 0)
            column = int(np.abs(move[1:]).argmax()) if len(move) > 1 else 0
            raise SeparationError(column, 1, int(sure.sum()))
        return self

    def _maximise(
        self, Z: Floats, taken: Floats, feasible: Bools, weight: Floats, b: Floats
    ) -> None:
        eta = Z @ b
        p = _shares(eta, feasible)
        for self.iterations_ in range(1, ITERATIONS + 1):
            delta = self._newton(Z, taken - p, p, weight)
            shift = Z @ delta
            step = float(np.abs(shift[weight > 0]).max(initial=0.0))
            size, p = _climbed(eta, shift, feasible, taken, weight, _likelihood(p, taken, weight))
            b, eta = b + size * delta, eta + size * shift
            if step < CONVERGED:
                break
        self.coefficients_ = b
        if step > DIVERGING:
            of_taken = np.where(taken > 0, p, 0.0).sum(axis=1)
            sure = (of_taken > 1 - 1e-6) & (feasible.sum(axis=1) > 1) & (weight > 0)
            slopes = np.abs(delta[1:] if len(delta) > 1 else delta)
            column, action = np.unravel_index(int(slopes.argmax()), slopes.shape)
            raise SeparationError(int(column), int(action), int(sure.sum()))

    def _newton(self, Z: Floats, residual: Floats, p: Floats, weight: Floats) -> Floats:
        gradient = np.concatenate([Z.T @ (weight * residual[:, j]) for j in self.free_])
        information = _information(Z, p, weight, self.free_)
        basis = self.basis_
        move = basis @ _solved(basis.T @ information @ basis, basis.T @ gradient)
        delta = np.zeros((Z.shape[1], p.shape[1]))
        delta[:, list(self.free_)] = move.reshape(len(self.free_), Z.shape[1]).T
        return delta


def _climbed(
    eta: Floats, shift: Floats, feasible: Bools, taken: Floats, weight: Floats, best: float
) -> tuple[float, Floats]:
    """Return how much of a step keeps the likelihood from falling, and the shares after it."""
    size = 1.0
    while True:
        p = _shares(eta + size * shift, feasible)
        if _likelihood(p, taken, weight) >= best - 1e-10 * (1 + abs(best)) or size < 1e-4:
            return size, p
        size /= 2


def _shares(eta: Floats, feasible: Bools) -> Floats:
    if eta.shape[1] == 2 and feasible.all():
        both = np.empty_like(eta)
        both[:, 1] = expit(eta[:, 1] - eta[:, 0])
        np.subtract(1.0, both[:, 1], out=both[:, 0])
        return both
    masked = np.where(feasible, eta, -np.inf)
    odds = np.exp(masked - masked.max(axis=1, keepdims=True))
    shares: Floats = odds / odds.sum(axis=1, keepdims=True)
    return shares


def _likelihood(p: Floats, taken: Floats, weight: Floats) -> float:
    of_taken = np.maximum(np.einsum("ij,ij->i", p, taken), 1e-300)
    return float(weight @ np.log(of_taken))


def _safe(eta: Floats, shift: Floats, y: Floats, weight: Floats) -> float:
    """Return how much of a step keeps the likelihood from falling."""

    def likelihood(size: float) -> float:
        moved = eta + size * shift
        return float(weight @ (y * moved - np.logaddexp(0.0, moved)))

    least, size = likelihood(0.0), 1.0
    while likelihood(size) < least - 1e-10 * (1 + abs(least)) and size > 1e-4:
        size /= 2
    return size


def _information(Z: Floats, p: Floats, weight: Floats, free: tuple[int, ...]) -> Floats:
    width = Z.shape[1]
    held = np.empty((len(free) * width, len(free) * width))
    for at, j in enumerate(free):
        for upto, m in enumerate(free[: at + 1]):
            curve = weight * p[:, j] * ((1.0 if j == m else 0.0) - p[:, m])
            block = Z.T @ (Z * curve[:, None])
            held[at * width : (at + 1) * width, upto * width : (upto + 1) * width] = block
            held[upto * width : (upto + 1) * width, at * width : (at + 1) * width] = block.T
    return held


def _identified(information: Floats) -> Floats:
    values, vectors = np.linalg.eigh(information)
    return vectors[:, values > RANK * max(float(values[-1]), 1e-300)]


def _solved(information: Floats, gradient: Floats) -> Floats:
    try:
        solution: Floats = scipy.linalg.cho_solve(scipy.linalg.cho_factor(information), gradient)
    except np.linalg.LinAlgError:  # only as separation drives the information to zero
        solution = np.linalg.pinv(information, rcond=1e-15, hermitian=True) @ gradient
    return solution


def _free(feasible: Bools) -> tuple[int, ...]:
    """Return all actions but one of each set of actions that are ever feasible together."""
    count = feasible.shape[1]
    group = list(range(count))
    together = (feasible.T.astype(np.float64) @ feasible) > 0
    for j in range(count):
        for m in range(j):
            if together[j, m] and group[j] != group[m]:
                old, new = max(group[j], group[m]), min(group[j], group[m])
                group = [new if one == old else one for one in group]
    return tuple(j for j in range(count) if group[j] != j)
