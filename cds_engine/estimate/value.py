"""A value estimate carries its influence function, so that every contrast of it is only a sum."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSummary:
    """What the weights of an estimate look like."""

    largest: float
    mean: float
    standard_deviation: float
    truncated: int = 0
    truncated_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueEstimate:
    """An estimate of E[Y^d], in the direction and unit in which the outcome was declared.

    Attributes:
        label: whose value this is, such as the name of a regime.
        estimate: the mean outcome, had all followed the regime.
        standard_error: sqrt(sum(influence**2)) / n unless ``method`` says otherwise.
        n: trajectories that the estimate is about.
        effective_n: (sum w)**2 / sum(w**2) of the weights of those who followed.
        followers: how many followed the regime at every stage.
        estimand: what is estimated, in words.
        method: how, with the conventions that move digits.
        influence: estimated influence function at each trajectory, shape (n,), mean zero; None
            where the method has none (a model's Monte Carlo).
        level: of the interval.
        interval: where not symmetric around the estimate; else from the standard error.
        ids: which trajectory each value of ``influence`` belongs to.
        weights: what the weights look like, where there are any.
        notes: what a reader must know: model-based, in-sample, truncated.
    """

    label: str
    estimate: float
    standard_error: float
    n: int
    effective_n: float
    followers: int
    estimand: str
    method: str
    influence: Floats | None = None
    level: float = 0.95
    interval: tuple[float, float] | None = None
    ids: NDArray[Any] | None = None
    weights: WeightSummary | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self._ends()[0]

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self._ends()[1]

    def _ends(self) -> tuple[float, float]:
        if self.interval is not None:
            return self.interval
        half = float(norm.ppf(0.5 + self.level / 2)) * self.standard_error
        return self.estimate - half, self.estimate + half

    def minus(self, other: "ValueEstimate") -> "ValueEstimate":
        """Return the paired difference of two values on the same trajectories.

        Raises:
            EstimationError: if one of them has no influence function, or they rest on different
                trajectories.
        """
        if self.influence is None or other.influence is None:
            raise EstimationError(
                f"{self.label} minus {other.label}: one of them has no influence function; "
                "bootstrap the difference"
            )
        if not _same(self.ids, other.ids) or self.n != other.n:
            raise EstimationError(
                f"{self.label} minus {other.label}: they rest on different trajectories; estimate "
                "both on the same"
            )
        influence = self.influence - other.influence
        return replace(
            self,
            label=f"{self.label} minus {other.label}",
            estimate=self.estimate - other.estimate,
            standard_error=standard_error(influence),
            effective_n=min(self.effective_n, other.effective_n),
            followers=min(self.followers, other.followers),
            estimand=f"{self.estimand}, minus {other.estimand}",
            influence=influence,
            interval=None,
            weights=None,
            notes=tuple(dict.fromkeys(self.notes + other.notes)),
        )

    def among(self, rows: Bools, label: str) -> "ValueEstimate":
        """Return the value in a subgroup that baseline variables define.

        The sum of the pseudo-values of the subgroup's trajectories over their number; its
        influence function accounts for the subgroup's share being estimated.

        Raises:
            EstimationError: if nobody is in it, or there is no influence function.
        """
        if self.influence is None:
            raise EstimationError(f"{self.label}: without an influence function there are no "
                                  "subgroups; use a doubly robust value")  # fmt: skip
        count = int(np.count_nonzero(rows))
        if not count:
            raise EstimationError(f"{label}: nobody is in this subgroup")
        pseudo = self.estimate + self.influence
        mean = float(pseudo[rows].mean())
        influence = np.where(rows, (pseudo - mean) * len(rows) / count, 0.0)
        return replace(
            self, label=f"{self.label}, {label}", estimate=mean, influence=influence, n=count,
            standard_error=float(np.sqrt(np.sum((pseudo[rows] - mean) ** 2)) / count),
            estimand=f"{self.estimand}, among {label}", interval=None, weights=None,
            effective_n=float("nan"), followers=-1,
        )  # fmt: skip


def standard_error(influence: Floats) -> float:
    """Return sqrt(sum(influence**2)) / n: the divisor is n, not n - 1."""
    return float(np.sqrt(np.sum(influence**2)) / len(influence))


def _same(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or (len(one) == len(other) and bool((one == other).all()))
