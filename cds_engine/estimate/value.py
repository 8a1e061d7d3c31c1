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
        effective_n: (sum w)**2 / sum(w**2) of the weights of those whom ``followers`` counts.
        followers: how many followed the regime at every stage and have an outcome that was
            observed; who followed and was lost says nothing of it.
        estimand: what is estimated, in words.
        method: how, with the conventions that move digits.
        influence: estimated influence function at each trajectory, shape (n,), mean zero; None
            where the method has none (a model's Monte Carlo).
        level: of the interval.
        interval: where not symmetric around the estimate; else from the standard error.
        ids: which trajectory each value of ``influence`` belongs to.
        weights: what the weights look like, where there are any.
        notes: what a reader must know: model-based, in-sample, truncated.
        sample_weights: those of the trajectories, where they are not all equal.
        replicates: the estimate in every bootstrap resample, where it was bootstrapped; two values
            that were bootstrapped with one seed have their resamples in common.
        seed: of those resamples.
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
    sample_weights: Floats | None = None
    replicates: Floats | None = None
    seed: int | None = None

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
            if self.replicates is not None and other.replicates is not None:
                return self._resampled_minus(other, self.replicates, other.replicates)
            raise EstimationError(
                f"{self.label} minus {other.label}: one of them has no influence function; "
                "bootstrap the difference"
            )
        if not _same(self.ids, other.ids) or len(self.influence) != len(other.influence):
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
            n=self.n if self.n == other.n else len(influence),
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
        weight = np.ones(len(rows)) if self.sample_weights is None else self.sample_weights
        total = float(weight[rows].sum())
        if not total > 0:
            raise EstimationError(f"{label}: all in this subgroup have a sample weight of 0")
        share = total / float(weight.sum())
        mean = self.estimate + float(self.influence[rows].mean()) * count / (share * len(rows))
        relative = weight * (len(rows) / float(weight.sum()))
        centred = self.influence + relative * (self.estimate - mean)
        influence = np.where(rows, centred / share, 0.0)
        return replace(
            self, label=f"{self.label}, {label}", estimate=mean, influence=influence, n=count,
            standard_error=standard_error(influence), estimand=f"{self.estimand}, among {label}",
            interval=None, weights=None, effective_n=float("nan"), followers=-1,
        )  # fmt: skip

    def _resampled_minus(
        self, other: "ValueEstimate", own: Floats, others: Floats
    ) -> "ValueEstimate":
        """Return the difference over bootstrap resamples that two values have in common."""
        common = own.shape == others.shape and self.seed == other.seed
        if not common or not _same(self.ids, other.ids):
            raise EstimationError(
                f"{self.label} minus {other.label}: they rest on different trajectories or "
                "resamples; bootstrap both on the same, with one seed"
            )
        estimate = self.estimate - other.estimate
        return replace(
            self, label=f"{self.label} minus {other.label}", estimate=estimate,
            standard_error=float((own - others).std(ddof=1)), influence=None,
            effective_n=min(self.effective_n, other.effective_n),
            followers=min(self.followers, other.followers),
            estimand=f"{self.estimand}, minus {other.estimand}", weights=None,
            interval=basic_interval(estimate, own - others, self.level),
            replicates=own - others, notes=tuple(dict.fromkeys(self.notes + other.notes)),
        )  # fmt: skip


def basic_interval(estimate: float, replicates: Floats, level: float) -> tuple[float, float]:
    """Return the basic (hybrid) bootstrap interval: twice the estimate minus the quantiles."""
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return 2 * estimate - float(high), 2 * estimate - float(low)


def standard_error(influence: Floats) -> float:
    """Return sqrt(sum(influence**2)) / n: the divisor is n, not n - 1."""
    return float(np.sqrt(np.sum(influence**2)) / len(influence))


def _same(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or (len(one) == len(other) and bool((one == other).all()))
