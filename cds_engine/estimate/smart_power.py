"""The power of a SMART is what simulating it gives; the formula is only held against that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import norm

from cds_engine.design.outcomes import OutcomeModel
from cds_engine.design.regimes import EmbeddedRegime
from cds_engine.design.simulate import Simulator
from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats
from cds_engine.estimate.embedded_rows import end_weights
from cds_engine.estimate.replicated import replicated_means

Told = Callable[[int, int], None]
"""Called with how many simulations are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPower:
    """What came of simulating a trial many times and comparing two of its regimes each time.

    Attributes:
        one: the first regime.
        other: the second.
        n: patients in each trial.
        simulations: trials that could be analysed.
        power: share of them with a significant difference.
        standard_error: of that share, from the number of simulations.
        coverage: share of intervals that held the true difference.
        truth: the difference under the model.
        mean: mean of the estimated differences.
        empty: trials in which nobody followed one of the regimes; they count as not significant.
        adjusted: whether the baseline covariate was adjusted for.
        alpha: two-sided level of the test.
    """

    one: EmbeddedRegime
    other: EmbeddedRegime
    n: int
    simulations: int
    power: float
    standard_error: float
    coverage: float
    truth: float
    mean: float
    empty: int
    adjusted: bool
    alpha: float


def simulated_power(  # noqa: PLR0913 - model, comparison, and how it is simulated
    model: OutcomeModel,
    one: EmbeddedRegime,
    other: EmbeddedRegime,
    n: int,
    *,
    alpha: float = 0.05,
    simulations: int = 1000,
    seed: int = 0,
    told: Told | None = None,
) -> SimulatedPower:
    """Return the power of comparing two embedded regimes, by simulating the trial.

    Each trial is analysed as ``embedded_values`` would: weighted and replicated, with the clustered
    sandwich and a normal test; the covariate is adjusted for where ``rho`` is not 0. Trial i is the
    same whatever the number of trials.

    Args:
        model: what is assumed.
        one: the first regime.
        other: the second.
        n: patients in each trial.
        alpha: two-sided level of the test.
        simulations: how many trials.
        seed: of all of them.
        told: told of the progress.

    Raises:
        EstimationError: if a number is outside its range.
    """
    if n < 2 or simulations < 1 or not 0 < alpha < 1:
        raise EstimationError(
            f"{simulations} trials of {n} patients at the level {alpha:g} cannot be simulated; "
            "ask for one trial or more, of two patients or more, and a level between 0 and 1"
        )
    simulator = Simulator(model)
    weight = end_weights(model.design, (one, other))
    found = np.full((simulations, 2), np.nan)
    for at in range(simulations):
        stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(at,)))
        found[at] = _trial(simulator, weight, n, stream)
        if told is not None:
            told(at + 1, simulations)
    return _summed(model, (one, other), n, alpha, found)


def _trial(
    simulator: Simulator, weight: Floats, n: int, stream: np.random.Generator
) -> tuple[float, float]:
    """Return the difference and its standard error in one trial; NaN without followers."""
    end, y, x = simulator.ends(n, stream)
    w = weight[:, end]
    if not w.any(axis=1).all():
        return np.nan, np.nan
    X = (x - x.mean())[:, None] if simulator.model.rho else None
    fitted = replicated_means(y, w, X)
    influence = fitted.influence[0] - fitted.influence[1]
    return float(fitted.means[0] - fitted.means[1]), float(sqrt(influence @ influence) / n)


def _summed(
    model: OutcomeModel,
    regimes: Sequence[EmbeddedRegime],
    n: int,
    alpha: float,
    found: Floats,
) -> SimulatedPower:
    one, other = regimes
    truth = model.value(one) - model.value(other)
    usable = ~np.isnan(found[:, 0])
    difference, error = found[usable].T
    edge = float(norm.ppf(1 - alpha / 2))
    power = float(np.count_nonzero(np.abs(difference) > edge * error)) / len(found)
    covered = np.abs(difference - truth) <= edge * error
    return SimulatedPower(
        one=one, other=other, n=n, simulations=len(found), power=power,
        standard_error=sqrt(power * (1 - power) / len(found)),
        coverage=float(covered.mean()) if usable.any() else float("nan"), truth=truth,
        mean=float(difference.mean()) if usable.any() else float("nan"),
        empty=int(np.count_nonzero(~usable)), adjusted=bool(model.rho), alpha=alpha,
    )  # fmt: skip
