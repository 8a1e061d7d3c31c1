"""Means over a normal variable in closed form, by numpy alone."""

from math import erfc, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike

from cds_engine.simulate.noise import Floats

_erfc = np.frompyfunc(erfc, 1, 1)


def cdf(z: ArrayLike) -> Floats:
    """Return P(Z <= z) of a standard normal Z."""
    return np.asarray(_erfc(-np.asarray(z, dtype=np.float64) / sqrt(2)), dtype=np.float64) / 2


def density(z: ArrayLike) -> Floats:
    """Return the standard normal density at z."""
    return np.asarray(np.exp(-0.5 * np.square(z)) / sqrt(2 * pi), dtype=np.float64)


def expit(x: ArrayLike) -> Floats:
    """Return the probability whose log odds are x."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(x, dtype=np.float64))), dtype=np.float64)


def mean_above_zero(mean: Floats, sd: float) -> Floats:
    """Return E[max(0, X)] of X normal with this mean and standard deviation (above zero)."""
    return np.asarray(mean * cdf(mean / sd) + sd * density(mean / sd), dtype=np.float64)


def rounded_to(values: Floats, mean: ArrayLike, sd: float) -> Floats:
    """Return the probabilities of a rounded and clipped normal variable.

    Args:
        values: all values it can take, a step of one apart; the outer two take the tails.
        mean: of the normal variable, any shape.
        sd: its standard deviation.

    Returns:
        Shape of ``mean`` with one axis more, over ``values``.
    """
    edges = np.concatenate(([-np.inf], values[:-1] + 0.5, [np.inf]))
    below = cdf((edges - np.asarray(mean, dtype=np.float64)[..., None]) / sd)
    return np.asarray(np.diff(below, axis=-1), dtype=np.float64)
