"""The g-formula values a regime by models of outcomes and histories, even if nobody followed it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from joblib import Parallel, delayed

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.folds import canonical_order
from cds_engine.estimate.history_matrix import HistoryMatrix
from cds_engine.estimate.ipw import estimand
from cds_engine.estimate.missing_outcomes import completed
from cds_engine.estimate.monte_carlo import simulated_value
from cds_engine.estimate.outcome_model import EVERYBODY, arm_models
from cds_engine.estimate.rule import Rules
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value import ValueEstimate, basic_interval
from cds_engine.estimate.weights import advice, follows_so_far, per_stage, sample_weights

GMethod = Literal["sequential", "monte_carlo"]
Estimator = Callable[[Trajectories, int], float]
"""From trajectories and the number of a resample (0 is the data themselves) to an estimate."""


def g_formula_value(  # noqa: PLR0913 - each is a model or a convention that moves digits
    trajectories: Trajectories,
    rules: Rules,
    *,
    label: str = "the regime",
    method: GMethod = "sequential",
    outcome: Any = None,
    conditionals: Mapping[str, Any] | None = None,
    draws: int = 10_000,
    missing: Literal["refuse", "model"] = "refuse",
    n_bootstrap: int = 200,
    random_state: int = 0,
    n_jobs: int | None = None,
    level: float = 0.95,
) -> ValueEstimate:
    """Return E[Y^d], the mean outcome had all followed a regime, by the g-formula.

    ``sequential`` regresses backward: Y on (H_K, A_K) within each arm, predicted at d_K; that on
    (H_{K-1}, A_{K-1}), predicted at d_{K-1}; and so on; the estimate is the mean of the last
    prediction. ``monte_carlo`` fits every variable given all before it (see ``TimeOrdered``) and
    simulates patients who follow d.

    Nothing but these models carries the estimate to histories in which nobody followed d: the
    notes say that it is model-based and how many followed. There is no influence function; the
    standard error is the standard deviation over bootstrap resamples of trajectories in which
    everything is fitted again, the interval the basic (hybrid) one. A seed gives the same numbers
    for any order of rows and any ``n_jobs``; two values that share it can be subtracted.

    Args:
        trajectories: the data.
        rules: one rule for each stage.
        label: the regime's name.
        method: ``sequential`` or ``monte_carlo``.
        outcome: scikit-learn regressor of Y, or of each stage for ``sequential``; least squares
            unless given.
        conditionals: for ``monte_carlo``: variable -> model; see ``TimeOrdered``.
        draws: for ``monte_carlo``: at least how many patients to simulate.
        missing: ``model`` puts the mean given the whole history in the place of a missing outcome.
        n_bootstrap: resamples; 0 for none, which leaves the standard error unknown.
        random_state: seed of resamples and draws.
        n_jobs: how many processes; changes no number.
        level: of the interval.

    Raises:
        EstimationError: if an arm that the regime uses is empty or too small, also in a resample.

    References:
        Robins (1986), Mathematical Modelling 7; Bang and Robins (2005), Biometrics 61.
    """
    if method not in {"sequential", "monte_carlo"}:
        raise EstimationError(f"method {method!r} is not understood; give 'sequential' or "
                              "'monte_carlo'")  # fmt: skip
    if missing == "refuse":
        trajectories.complete()
    t = trajectories.take(canonical_order(trajectories.ids))
    if method == "sequential":
        estimator: Estimator = _Sequential(rules, outcome)
    else:
        estimator = _MonteCarlo(rules, outcome, dict(conditionals or {}), draws, random_state)
    estimate = t.sign * estimator(t, 0)
    replicates = t.sign * bootstrapped(t, estimator, n_bootstrap, random_state, n_jobs)
    followers = int((follows_so_far(t, advice(t, rules))[-1] & t.observed).sum())
    known = n_bootstrap > 1
    how = "sequential regression" if method == "sequential" else f"Monte Carlo, {draws} draws"
    return ValueEstimate(
        label=label, estimate=estimate, n=len(t), effective_n=float("nan"), followers=followers,
        standard_error=float(replicates.std(ddof=1)) if known else float("nan"),
        estimand=estimand(t, label), level=level, ids=trajectories.ids,
        method=f"g-formula ({how}); {n_bootstrap} bootstrap refits, basic interval",
        interval=basic_interval(estimate, replicates, level) if known else (np.nan, np.nan),
        notes=_notes(t, followers), sample_weights=sample_weights(trajectories),
        replicates=replicates if known else None, seed=random_state,
    )  # fmt: skip


def bootstrapped(
    trajectories: Trajectories, estimator: Estimator, count: int, random_state: int,
    n_jobs: int | None,
) -> Floats:  # fmt: skip
    """Return an estimate in every resample; the numbers do not depend on ``n_jobs``.

    Raises:
        EstimationError: if a resample cannot carry the estimate.
    """
    batches = np.array_split(np.arange(1, count + 1), max(1, min(count, 4 * abs(n_jobs or 1))))
    held = Parallel(n_jobs=n_jobs)(
        delayed(_resampled)(trajectories, estimator, batch, random_state) for batch in batches
    )
    return np.concatenate([np.asarray(one, dtype=np.float64) for one in held])


def _resampled(
    trajectories: Trajectories, estimator: Estimator, batch: Ints, random_state: int
) -> list[float]:
    n, held = len(trajectories), []
    for number in map(int, batch):
        rows = np.random.default_rng([random_state, number]).integers(n, size=n)
        try:
            held.append(estimator(trajectories.take(rows), number))
        except EstimationError as error:
            raise EstimationError(f"in bootstrap resample {number}: {error}") from error
    return held


class _Sequential:
    """Iterated conditional expectation."""

    def __init__(self, rules: Rules, outcome: Any) -> None:
        self.rules, self.outcome = rules, outcome

    def __call__(self, t: Trajectories, _: int) -> float:
        places = advice(t, self.rules)
        models = per_stage(self.outcome, t)
        everybody = np.zeros(len(t), dtype=np.intp)
        v = filled_outcome(t, models[-1])
        for h, advised_here, model in reversed(list(zip(t.stages, places, models, strict=True))):
            arms = arm_models(
                model, HistoryMatrix.of(h)(h), h.action, t.weights, everybody,
                where=f"stage {h.spec.stage}", names=h.spec.actions,
            )  # fmt: skip
            q = arms.predict(EVERYBODY, v, advised_here)
            v = np.where(advised_here >= 0, q, v)
        return float(t.weights @ v / t.weights.sum())


class _MonteCarlo:
    """Simulation of the fitted conditionals."""

    def __init__(
        self, rules: Rules, outcome: Any, conditionals: Mapping[str, Any], draws: int, seed: int
    ) -> None:
        self.rules, self.outcome, self.conditionals = rules, outcome, conditionals
        self.draws, self.seed = draws, seed

    def __call__(self, t: Trajectories, number: int) -> float:
        rng = np.random.default_rng([self.seed, number, 1])
        return simulated_value(t, self.rules, self.conditionals, self.outcome, self.draws, rng)


def filled_outcome(t: Trajectories, model: Any) -> Floats:
    """Return the outcome, with its mean given the whole history where it is missing."""
    nobody = np.full(len(t), np.inf)
    modelled = completed(t, model, nobody, np.zeros(len(t), dtype=np.intp))
    return np.where(t.observed, t.outcome, modelled)


def _notes(t: Trajectories, followers: int) -> tuple[str, ...]:
    based = f"model-based: {followers} of {len(t)} followed it"
    gone = int(np.count_nonzero(~t.observed))
    if not gone:
        return (based,)
    based += " and have an outcome"
    lost = (
        f"{t.outcome_name} is missing in {gone} of {len(t)}; modelled given the whole history "
        "(missing at random)"
    )
    return based, lost
