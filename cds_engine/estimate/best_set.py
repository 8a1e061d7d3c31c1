"""A regime stays in the best set unless the data show that some other is better."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats
from cds_engine.estimate.simultaneous import DRAWS, joint_covariance
from cds_engine.estimate.value import ValueEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One regime against the best of the others.

    Attributes:
        label: the regime.
        behind: how much worse it is than the best of the others, in the outcome's unit; negative
            for the estimated best.
        critical: standard errors that it may lie behind.
        at_least: lower confidence bound of how much worse it is; above 0, it is not the best.
        kept: whether it may be the best.
    """

    label: str
    behind: float
    critical: float
    at_least: float
    kept: bool


@dataclass(frozen=True, slots=True)
class BestSet:
    """The regimes that are not significantly worse than the best.

    Attributes:
        placed: every regime, in the order in which they were given.
        best: the one with the best estimate.
        level: with at least this probability the set holds the truly best regime.
    """

    placed: tuple[Placed, ...]
    best: str
    level: float

    @property
    def kept(self) -> tuple[str, ...]:
        """The labels of the regimes in the set."""
        return tuple(one.label for one in self.placed if one.kept)


def best_set(
    values: Sequence[ValueEstimate],
    *,
    better: str = "higher",
    level: float = 0.95,
    random_state: int = 0,
) -> BestSet:
    """Return the regimes that are not significantly worse than the best (multiple comparisons).

    Regime i is left out if for some j the difference j - i exceeds c_i standard errors, where c_i
    is the quantile ``level`` of the largest standardised difference max_j Z_ij under their joint
    normal distribution, by simulation. So the truly best regime is left out with a probability of
    at most 1 - level in large samples.

    Args:
        values: on the same trajectories, with influence functions.
        better: which direction is better.
        level: of the set.
        random_state: seed of the 100,000 draws.

    Raises:
        EstimationError: if there is no value, the level is no probability, or as ``simultaneous``.

    References:
        Hsu (1996), Multiple Comparisons, Chapman & Hall; Ertefaie et al. (2016), Biostatistics 17.
    """
    if not 0 < level < 1:
        raise EstimationError(f"the level {level:g} is no probability; give one such as 0.95")
    if better not in {"higher", "lower"}:
        raise EstimationError(f"better={better!r} is not understood; say 'higher' or 'lower'")
    covariance = joint_covariance(values)
    sign = 1.0 if better == "higher" else -1.0
    means = sign * np.array([one.estimate for one in values])
    draws = _draws(covariance, random_state)
    placed = tuple(_place(at, values, means, covariance, draws, level) for at in range(len(means)))
    return BestSet(placed, values[int(means.argmax())].label, level)


def _draws(covariance: Floats, random_state: int) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = np.random.default_rng(random_state).normal(size=(DRAWS, len(root)))
    return np.asarray(drawn @ root.T, dtype=np.float64)


def _place(
    at: int, values: Sequence[ValueEstimate], means: Floats, covariance: Floats, draws: Floats,
    level: float,
) -> Placed:  # fmt: skip
    others = np.flatnonzero(np.arange(len(means)) != at)
    label = values[at].label
    if not len(others):
        return Placed(label=label, behind=0.0, critical=0.0, at_least=0.0, kept=True)
    behind = means[others] - means[at]
    spread = covariance[at, at] + np.diag(covariance)[others] - 2 * covariance[at, others]
    error = np.sqrt(np.maximum(spread, 0.0))
    sure = error > 0
    critical = 0.0
    if sure.any():
        z = (draws[:, others[sure]] - draws[:, [at]]) / error[sure]
        critical = float(np.quantile(z.max(axis=1), level))
    bound = float((behind - critical * error).max())
    return Placed(
        label=label, behind=float(behind.max()), critical=critical, at_least=bound, kept=bound <= 0
    )
