"""Resampled estimates give intervals that say by name how they were made."""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import pandas as pd

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats

IntervalKind = Literal["hybrid", "percentile"]
_NAMES: Final = {"hybrid": "hybrid (basic) bootstrap", "percentile": "percentile bootstrap"}
_KINDS: Final = tuple(_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """An interval for each of several numbers.

    Attributes:
        names: what the numbers are.
        estimate: the numbers, shape (p,).
        low: lower ends, shape (p,).
        high: upper ends, shape (p,).
        level: the coverage that is meant for each by itself.
        method: how they were made, in words.
    """

    names: tuple[str, ...]
    estimate: Floats
    low: Floats
    high: Floats
    level: float
    method: str

    def table(self) -> "pd.DataFrame":
        """Return one row for each number."""
        held = {"estimate": self.estimate, "low": self.low, "high": self.high}
        return pd.DataFrame(held, index=pd.Index(self.names, name="coefficient"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """Estimates, and the same estimates from many resamples of m out of n trajectories.

    Attributes:
        label: of what, such as the name of a stage.
        names: what each number is.
        estimate: from all n trajectories, shape (p,).
        draws: from each resample that could be fitted, shape (resamples, p).
        m: trajectories in a resample.
        n: trajectories.
        failed: resamples that could not be fitted and are not among the draws.
    """

    label: str
    names: tuple[str, ...]
    estimate: Floats
    draws: Floats
    m: int
    n: int
    failed: int = 0

    def interval(self, level: float = 0.95, kind: IntervalKind = "hybrid") -> Intervals:
        """Return intervals from the quantiles of sqrt(m / n) (draw - estimate).

        ``hybrid``, also called basic: [estimate - upper quantile, estimate - lower quantile].
        ``percentile``: [estimate + lower quantile, estimate + upper quantile]; near ties at a
        later stage it covers far less than it says, so it must be asked for by name.

        Raises:
            EstimationError: if the level or the kind is none.
        """
        if kind not in _KINDS:
            raise EstimationError(f"kind is {kind!r}; it must be 'hybrid' or 'percentile'")
        if not 0 < level < 1:
            raise EstimationError(f"level is {level}; it must lie between 0 and 1")
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.quantile(self._scaled(), tails, axis=0)
        ends = (low, high) if kind == "percentile" else (-high, -low)
        return Intervals(
            names=self.names, estimate=self.estimate, low=self.estimate + ends[0],
            high=self.estimate + ends[1], level=level,
            method=f"{_NAMES[kind]}, {len(self.draws)} resamples of {self.m} out of {self.n}, "
            "all stages refitted",
        )  # fmt: skip

    @property
    def covariance(self) -> Floats:
        """Of the estimates, m / n times that of the draws around their mean (divisor B - 1)."""
        scaled = self._scaled()
        return np.atleast_2d(np.cov(scaled, rowvar=False))

    @property
    def standard_errors(self) -> Floats:
        """Of the estimates, shape (p,)."""
        return np.sqrt(np.diagonal(self.covariance))

    def combined(self, L: Floats, names: tuple[str, ...], label: str = "") -> "Resampled":
        """Return linear combinations of the numbers, such as contrasts.

        Args:
            L: shape (q, p).
            names: what each of the q combinations is.
            label: of what; as before unless given.
        """
        return replace(
            self, names=names, estimate=L @ self.estimate, draws=self.draws @ L.T,
            label=label or self.label,
        )  # fmt: skip

    def _scaled(self) -> Floats:
        found: Floats = np.sqrt(self.m / self.n) * (self.draws - self.estimate)
        return found
