"""How strong an unmeasured confounder must be to overturn a conclusion is found, not guessed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints
from cds_engine.estimate.missing_outcomes import Missing, checked, probability_observed
from cds_engine.estimate.rule import Rules
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.weights import (
    Propensities,
    advice,
    follows_so_far,
    propensities,
    stage_weight,
)


@dataclass(frozen=True)
class SensitivityModel:
    """The Hajek value of a regime, or of one minus another, when odds of treatment are shifted.

    The marginal sensitivity model: given an unmeasured u as well, the odds of taking the advised
    action differ from those fitted by a factor between 1/Gamma and Gamma at every stage that was
    not randomised. A weight 1/p then lies between 1 + (1/p - 1)/Gamma and 1 + (1/p - 1) Gamma;
    over stages the ends are multiplied, which is wider than need be. The extreme of the weighted
    mean over this box is exact: an extreme solution gives the largest outcomes the largest weights,
    so that sorting and trying every cut finds it. The bounds of a difference are the difference of
    the bounds: exact where nobody follows both regimes up to the end, else wider than need be.

    Attributes:
        outcome: of all trajectories in the declared direction, shape (n,); 0 where nobody counts.
        fixed: parts of the weights that Gamma does not touch, for each regime, (n,).
        weights: 1/p of each stage, for each regime: shape (K, n).
        shifted: which stages Gamma touches.
        labels: of one or two regimes; the second is subtracted.

    References:
        Zhao, Small and Bhattacharya (2019), JRSS B 81; Tan (2006), JASA 101.
    """

    outcome: Floats
    fixed: tuple[Floats, ...]
    weights: tuple[Floats, ...]
    shifted: Bools
    labels: tuple[str, ...]

    def bounds(self, gamma: float) -> tuple[float, float]:
        """Return the lowest and the highest estimate under odds shifted by up to Gamma.

        Raises:
            EstimationError: if Gamma is below 1.
        """
        if not gamma >= 1:
            raise EstimationError(f"Gamma = {gamma} is below 1; 1 means no unmeasured confounder")
        ends = [self._bounds(at, gamma) for at in range(len(self.labels))]
        if len(ends) == 1:
            return ends[0]
        (low, high), (other_low, other_high) = ends
        return low - other_high, high - other_low

    def curve(self, gammas: Sequence[float] = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)) -> pd.DataFrame:
        """Return the bounds over Gamma, with columns ``gamma``, ``low`` and ``high``."""
        return pd.DataFrame(
            [(gamma, *self.bounds(gamma)) for gamma in gammas], columns=["gamma", "low", "high"]
        )

    def flips_at(self, against: float = 0.0, *, largest: float = 1000.0) -> float:
        """Return the smallest Gamma at which the estimate could lie on the other side of a value.

        Found to a relative accuracy of 1e-9; infinity where even the largest Gamma does not flip
        it, as where all stages were randomised.

        Args:
            against: the value, such as 0 for a difference.
            largest: the largest Gamma to try.
        """
        estimate = self.bounds(1.0)[0]
        side = np.sign(estimate - against)

        def flipped(gamma: float) -> bool:
            low, high = self.bounds(gamma)
            return bool((low if side > 0 else high) * side <= against * side)

        if side == 0:
            return 1.0
        if not flipped(largest):
            return float("inf")
        low, high = 1.0, largest
        while high - low > 1e-9 * low:
            middle = (low + high) / 2
            low, high = (low, middle) if flipped(middle) else (middle, high)
        return high

    def _bounds(self, at: int, gamma: float) -> tuple[float, float]:
        shift = np.where(self.shifted, gamma, 1.0)[:, None]
        excess = self.weights[at] - 1.0
        least = self.fixed[at] * np.prod(1 + excess / shift, axis=0)
        most = self.fixed[at] * np.prod(1 + excess * shift, axis=0)
        rows = self.fixed[at] > 0
        low = -extreme_mean(-self.outcome[rows], least[rows], most[rows])
        return low, extreme_mean(self.outcome[rows], least[rows], most[rows])


def extreme_mean(y: Floats, least: Floats, most: Floats) -> float:
    """Return the largest sum(w y) / sum(w) over all weights between two ends; exact.

    Args:
        y: shape (n,).
        least: the smallest weights, positive, shape (n,).
        most: the largest weights, shape (n,).
    """
    order = np.argsort(-y, kind="stable")
    y, least, most = y[order], least[order], most[order]
    gain = np.concatenate([[0.0], np.cumsum(most - least)])
    gain_y = np.concatenate([[0.0], np.cumsum((most - least) * y)])
    return float(np.max((least @ y + gain_y) / (least.sum() + gain)))


def sensitivity_model(
    trajectories: Trajectories,
    rules: Rules,
    against: Rules | None = None,
    *,
    labels: tuple[str, str] = ("the regime", "the other"),
    propensity: Propensities = None,
    stages: Sequence[str] | None = None,
    missing: Missing = "refuse",
) -> SensitivityModel:
    """Return the sensitivity of a regime's Hajek value, or of its difference from another's.

    Args:
        trajectories: the data.
        rules: the regime.
        against: the regime to subtract, if any.
        labels: their names.
        propensity: for all stages or one for each; see ``fit_propensity``.
        stages: the stages where Gamma acts; those that were not randomised by design unless given.
        missing: ``weight`` to weight for missing outcomes, which Gamma does not touch.

    Raises:
        EstimationError: if there is no such stage, or nobody followed a regime.
    """
    checked(trajectories, missing)
    t = trajectories
    names = [h.spec.stage for h in t.stages]
    if unknown := [one for one in stages or () if one not in names]:
        raise EstimationError(f"there is no stage {unknown[0]!r}; there are {', '.join(names)}")
    shifted = np.array([h.propensity is None if stages is None else h.spec.stage in stages
                        for h in t.stages])  # fmt: skip
    compared = [(one, label) for one, label in zip((rules, against), labels, strict=True)
                if one is not None]  # fmt: skip
    advised_at = [advice(t, one) for one, _ in compared]
    followers = [_followers(t, places, label)
                 for places, (_, label) in zip(advised_at, compared, strict=True)]  # fmt: skip
    p = propensities(t, propensity)
    seen = t.weights * t.observed / probability_observed(t)
    fixed = tuple(seen * one for one in followers)
    weights = tuple(_each_weight(t, places, p) for places in advised_at)
    outcome = t.sign * np.nan_to_num(t.outcome)
    return SensitivityModel(outcome, fixed, weights, shifted, tuple(name for _, name in compared))


def _each_weight(t: Trajectories, places: Sequence[Ints], p: Sequence[Floats]) -> Floats:
    """Return the weight 1/p of each stage, 1 for those who did not follow, shape (K, n)."""
    stages = zip(t.stages, places, p, strict=True)
    return np.vstack([np.maximum(stage_weight(h, at, here), 1.0) for h, at, here in stages])


def _followers(t: Trajectories, places: Sequence[Ints], label: str) -> Bools:
    followers: Bools = follows_so_far(t, places)[-1] & t.observed
    if not followers.any():
        raise EstimationError(
            f"{label}: 0 of {len(t)} followed it at every stage, so that there are no weights to "
            "shift; nothing in these data speaks for or against it"
        )
    return followers
