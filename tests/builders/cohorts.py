"""Cohorts with time-varying confounding whose values are known in closed form.

x1 is severity at the start; the sicker are treated more (``high``), which lowers severity x2, and
the sicker are then treated more again:

    x1 ~ N(0, 1)                     P(A1 = high) = expit(x1)
    x2 = 0.5 x1 - 0.8 A1 + N(0, 1)   P(A2 = high) = expit(x2)
    Y  = -x1 - x2 + 0.3 A1 + A2 (0.2 + 0.5 x2) + N(0, 1)

where an action that a rule or a criterion leaves out counts as ``low``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from cds_engine.estimate.layout import Better
from cds_engine.estimate.rule import Always, ByLabel, Rules
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.trajectories import Trajectories

LOW_HIGH = ("low", "high")


def a_table(n: int = 2000, seed: int = 1, *, randomised: bool = False, responders: bool = False,
            lost: bool = False) -> pd.DataFrame:  # fmt: skip
    """Draw a cohort or, where randomised, a trial with probabilities of one half.

    Those with x2 <= -1 have no second decision where there are responders. Where some are lost,
    P(observed) = expit(1.5 - x2).
    """
    rng = np.random.default_rng(seed)
    x1 = rng.normal(size=n)
    a1 = rng.random(n) < (0.5 if randomised else expit(x1))
    x2 = 0.5 * x1 - 0.8 * a1 + rng.normal(size=n)
    a2 = rng.random(n) < (0.5 if randomised else expit(x2))
    decided = x2 > -1 if responders else np.ones(n, dtype=bool)
    y = -x1 - x2 + 0.3 * a1 + (a2 & decided) * (0.2 + 0.5 * x2) + rng.normal(size=n)
    first, second = np.where(a1, "high", "low"), np.where(a2, "high", "low").astype(object)
    second[~decided] = None
    if lost:
        y[rng.random(n) > expit(1.5 - x2)] = np.nan
    return pd.DataFrame({
        "id": [f"p{at:06d}" for at in range(n)], "x1": x1, "action_first": first, "x2": x2,
        "action_second": second, "y": y, "sex": np.where(rng.random(n) < 0.5, "female", "male"),
        "noise": rng.normal(size=n),
    })  # fmt: skip


def two_stages(*, randomised: bool = False, responders: bool = False) -> list[HistorySpec]:
    """Return the specification of both stages."""
    odds = {"low": 1.0, "high": 1.0} if randomised else None
    return [
        HistorySpec(stage="first", variables=("x1",), actions=LOW_HIGH, randomised=odds),
        HistorySpec(
            stage="second", variables=("x1", "action_first", "x2"), actions=LOW_HIGH,
            when="x2 > -1" if responders else None, randomised=odds,
        ),
    ]  # fmt: skip


def a_cohort(
    n: int = 2000, seed: int = 1, *, randomised: bool = False, responders: bool = False,
    lost: bool = False, better: Better = "higher", **changes: Any,
) -> Trajectories:  # fmt: skip
    """Return the trajectories of ``a_table``."""
    frame = a_table(n, seed, randomised=randomised, responders=responders, lost=lost)
    specs = two_stages(randomised=randomised, responders=responders)
    return Trajectories.from_wide(frame.assign(**changes), specs, outcome="y", better=better,
                                  missing_outcomes="keep" if lost else "refuse")  # fmt: skip


HIGH_HIGH: Rules = (Always("high"), Always("high"))
LOW_LOW: Rules = (Always("low"), Always("low"))


@dataclass(frozen=True)
class Above:
    """High where a variable is above a limit, else low."""

    variable: str
    limit: float

    def __call__(self, h: Any) -> Any:
        """Return the places of the actions."""
        return ByLabel(
            lambda columns: np.where(columns[self.variable] > self.limit, "high", "low")
        )(h)


TAILORED: Rules = (Always("high"), Above("x2", -0.4))
"""High first, then high for those with x2 above -0.4, for whom it does good."""


def truth(first: str, second: str | float, *, responders: bool = False) -> float:
    """Return E[Y^d] in closed form; ``second`` may be a limit on x2 above which it is high."""
    a1 = float(first == "high")
    mean, sd = -0.8 * a1, np.sqrt(1.25)
    limit = {"low": np.inf, "high": -np.inf}[second] if isinstance(second, str) else second
    if responders:
        limit = max(limit, -1.0)
    z = (limit - mean) / sd
    above, first_moment = norm.sf(z), mean * norm.sf(z) + sd * norm.pdf(z)
    return float(-mean + 0.3 * a1 + 0.2 * above + 0.5 * first_moment)
