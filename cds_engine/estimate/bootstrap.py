"""A bootstrap refits all stages in every resample, so that no stage's uncertainty is left out."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats
from cds_engine.estimate.folds import canonical_order
from cds_engine.estimate.gram_resamples import GramResamples
from cds_engine.estimate.intervals import IntervalKind, Intervals, Resampled
from cds_engine.estimate.learner import Learner
from cds_engine.estimate.linear_stage import LinearStage, contrast_map, contrast_names
from cds_engine.estimate.nonregular import ALPHA, Nonregularity, adaptive_m, near_zero_share
from cds_engine.estimate.q_learning import DisagreementWarning
from cds_engine.estimate.trajectories import Trajectories

MOST_FAILED: Final = 0.05
"""Share of resamples that may fail to be fitted before the whole is refused."""
ROWS_PER_COEFFICIENT: Final = 8
"""An adaptive m is not smaller than this times the coefficients of any stage that is refitted."""
Statistic = Callable[[Any], Floats]
"""A fitted learner -> the numbers to draw, shape (p,)."""
Size = int | Literal["adaptive", "n"]


@dataclass(frozen=True)
class Bootstrap:
    """The coefficients of every stage in resamples in which all stages were refitted.

    Attributes:
        learner: as it was fitted to all trajectories.
        stages: the resampled coefficients of each stage, in resamples of the stage's own m.
        nonregularity: for each stage, how many are near a tie later, and the m that follows.
        resamples: how many were drawn.
        entropy: what the random numbers were drawn from, to draw them again.
    """

    learner: Learner
    stages: tuple[Resampled, ...]
    nonregularity: tuple[Nonregularity, ...]
    resamples: int
    entropy: int

    def interval(
        self, k: int | str, level: float = 0.95, kind: IntervalKind = "hybrid"
    ) -> Intervals:
        """Return intervals of the coefficients of a stage.

        Args:
            k: the stage, by its name or its place from 0.
            level: the coverage that is meant for each coefficient.
            kind: ``hybrid`` unless asked otherwise.
        """
        return self.stages[self.learner.stage_place(k)].interval(level, kind)

    def covariance(self, k: int | str) -> Floats:
        """Return the covariance of the coefficients of a stage, as ``contrasts`` takes it."""
        return self.stages[self.learner.stage_place(k)].covariance

    def contrasts(self, k: int | str, reference: str) -> Resampled:
        """Return the resampled coefficients of all contrasts with a reference action."""
        place = self.learner.stage_place(k)
        design = self.learner.stages_[place].design
        terms = tuple(design.basis.names[at] for at in design.tailoring)
        actions = design.spec.actions
        keep = np.repeat([action != reference for action in actions], len(terms))
        names = contrast_names(tuple(a for a in actions if a != reference), reference, terms)
        return self.stages[place].combined(contrast_map(design, reference)[keep], names)


def bootstrap(
    learner: Learner,
    trajectories: Trajectories,
    *,
    resamples: int = 1000,
    m: Size = "adaptive",
    alpha: float = ALPHA,
    random_state: int | None = None,
    n_jobs: int | None = None,
) -> Bootstrap:
    """Return a learner with linear stages, fitted, and its coefficients in resamples.

    A resample is a vector of multinomial weights over trajectories; it depends on identifiers and
    the seed, not on the order of rows or on ``n_jobs``. For a linear QLearning the weighted Gram
    matrices of all resamples are one matrix product; other learners are refitted one by one.

    The last stage is regular and is drawn n out of n. For an earlier stage ``adaptive`` counts
    the patients near a tie at a later stage and draws m = n^((1 + alpha (1 - share)) / (1 +
    alpha)) out of n, in one more round of resamples if that is less than n.

    Args:
        learner: unfitted or fitted; it is cloned, and not changed.
        trajectories: the data; sample weights multiply those of a resample.
        resamples: how many.
        m: ``adaptive``, ``n``, or a number for all stages but the last.
        alpha: of the adaptive rule.
        random_state: seed; None for a fresh one, which is returned as ``entropy``.
        n_jobs: processes for learners that are refitted one by one.

    Raises:
        EstimationError: if a stage is not linear, or too many resamples cannot be fitted.
    """
    fitted = clone(learner).fit(trajectories)
    if not all(isinstance(stage, LinearStage) for stage in fitted.stages_):
        raise EstimationError(
            "only linear stages have coefficients to draw; name the numbers that are wanted of "
            "this learner (bootstrap_statistic)"
        )
    n = len(trajectories)
    root = np.random.SeedSequence(random_state)
    first, second = root.spawn(2)
    whole = _draw_stages(fitted, trajectories, n, first.spawn(resamples), n_jobs)
    found = _measured(fitted, trajectories, whole, m, alpha)
    parts = {n: whole}
    for size in sorted({one.m for one in found} - {n}):
        parts[size] = _draw_stages(fitted, trajectories, size, second.spawn(resamples), n_jobs)
    stages = tuple(parts[one.m][k] for k, one in enumerate(found))
    return Bootstrap(fitted, stages, found, resamples, int(root.entropy))  # type: ignore[arg-type]


def bootstrap_statistic(  # noqa: PLR0913 - what is resampled, how, and how often
    learner: Learner,
    trajectories: Trajectories,
    statistic: Statistic,
    names: Sequence[str],
    *,
    resamples: int = 1000,
    m: int | None = None,
    random_state: int | None = None,
    n_jobs: int | None = None,
) -> Resampled:
    """Return numbers of any learner in resamples in which all stages were refitted.

    Args:
        learner: unfitted or fitted; it is cloned, and not changed. If it has a ``random_state``,
            each resample sets its own.
        trajectories: the data.
        statistic: takes the fitted learner and returns the numbers.
        names: what they are.
        resamples: how many.
        m: trajectories in a resample; all unless given.
        random_state: seed.
        n_jobs: processes; any number gives the same numbers.

    Raises:
        EstimationError: if too many resamples cannot be fitted.
    """
    fitted = clone(learner).fit(trajectories)
    n = len(trajectories)
    size = n if m is None else m
    seeds = np.random.SeedSequence(random_state).spawn(resamples)
    draws, failed = _one_by_one(fitted, trajectories, size, seeds, statistic, n_jobs)
    estimate = np.asarray(statistic(fitted), dtype=np.float64)
    return Resampled(label=type(learner).__name__, names=tuple(names), estimate=estimate,
                     draws=draws, m=size, n=n, failed=failed)  # fmt: skip


def _measured(
    fitted: Any, trajectories: Trajectories, whole: list[Resampled], m: Size, alpha: float
) -> tuple[Nonregularity, ...]:
    """Return how near later ties each stage is, and the m that follows."""
    n = len(trajectories)
    shares = {
        stage.spec.stage: near_zero_share(stage, h, drawn.covariance)
        for stage, h, drawn in zip(fitted.stages_, trajectories.stages, whole, strict=True)
    }
    names = list(shares)
    found = []
    for k, name in enumerate(names):
        later = {after: shares[after] for after in names[k + 1 :]}
        share = max(later.values(), default=0.0)
        most = max((stage.design.size for stage in fitted.stages_[k:]), default=1)
        size, rule = _size(n, share, m, alpha, most, last=k == len(names) - 1)
        found.append(Nonregularity(stage=name, later=later, share=share, m=size, n=n, rule=rule))
    return tuple(found)


def _size(n: int, share: float, m: Size, alpha: float, most: int, *, last: bool) -> tuple[int, str]:
    if last:
        return n, "the last stage is regular: n out of n"
    if m == "adaptive":
        size = max(adaptive_m(n, share, alpha), min(n, ROWS_PER_COEFFICIENT * most))
        return size, (
            f"adaptive: n^((1 + a (1 - p)) / (1 + a)), a = {alpha:g}, p = {share:.3f}, at least "
            f"{ROWS_PER_COEFFICIENT} for each of the {most} coefficients of a stage"
        )
    if m == "n":
        return n, "n out of n, as asked"
    if not (isinstance(m, int) and 1 <= m <= n):
        raise EstimationError(f"m is {m!r}; it must be 'adaptive', 'n' or a number from 1 to {n}")
    return m, f"{m} out of {n}, as asked"


def _draw_stages(
    fitted: Any, trajectories: Trajectories, m: int, seeds: list[np.random.SeedSequence],
    n_jobs: int | None,
) -> list[Resampled]:  # fmt: skip
    if GramResamples.fits(fitted):
        draws, failed = _at_once(fitted, trajectories, m, seeds)
    else:
        draws, failed = _one_by_one(fitted, trajectories, m, seeds, coefficients, n_jobs)
    ends = np.cumsum([stage.design.size for stage in fitted.stages_])
    return [
        Resampled(label=stage.spec.stage, names=stage.names, estimate=stage.coefficients,
                  draws=draws[:, end - stage.design.size : end], m=m, n=len(trajectories),
                  failed=failed)
        for stage, end in zip(fitted.stages_, ends, strict=True)
    ]  # fmt: skip


def coefficients(fitted: Any) -> Floats:
    """Return the coefficients of all linear stages, one after the other."""
    return np.concatenate([stage.coefficients for stage in fitted.stages_])


def _at_once(
    fitted: Any, trajectories: Trajectories, m: int, seeds: list[np.random.SeedSequence]
) -> tuple[Floats, int]:
    gram = GramResamples(fitted, trajectories)
    order = canonical_order(trajectories.ids)
    size = sum(stage.design.size for stage in fitted.stages_)
    draws, failures = np.empty((len(seeds), size)), {}
    for start in range(0, len(seeds), gram.at_once()):
        some = slice(start, min(start + gram.at_once(), len(seeds)))
        weights = np.stack([_weights(trajectories, order, m, seed) for seed in seeds[some]])
        parts, good = gram.refit(weights)
        draws[some] = np.hstack(parts)
        for at in np.flatnonzero(~good):
            one = _refitted(fitted, trajectories, weights[at], coefficients, seeds[start + at])
            if isinstance(one, str):
                failures[start + at] = one
            else:
                draws[start + at] = one
    keep = np.setdiff1d(np.arange(len(seeds)), list(failures))
    return _enough(draws[keep], list(failures.values()), len(seeds))


def _one_by_one(
    fitted: Any, trajectories: Trajectories, m: int, seeds: list[np.random.SeedSequence],
    statistic: Statistic, n_jobs: int | None,
) -> tuple[Floats, int]:  # fmt: skip
    order = canonical_order(trajectories.ids)

    def some(part: list[np.random.SeedSequence]) -> list[Floats | str]:
        return [
            _refitted(fitted, trajectories, _weights(trajectories, order, m, seed), statistic, seed)
            for seed in part
        ]

    parts = [seeds[start : start + 20] for start in range(0, len(seeds), 20)]
    found = [one for part in Parallel(n_jobs=n_jobs)(delayed(some)(p) for p in parts)
             for one in part]  # fmt: skip
    draws = [one for one in found if not isinstance(one, str)]
    failures = [one for one in found if isinstance(one, str)]
    return _enough(np.array(draws, dtype=np.float64), failures, len(seeds))


def _weights(trajectories: Trajectories, order: Any, m: int, seed: Any) -> Floats:
    """Return how often each trajectory is in a resample, times its sample weight."""
    n = len(trajectories)
    drawn = np.random.default_rng(seed).integers(n, size=m)
    counts = np.empty(n)
    counts[order] = np.bincount(drawn, minlength=n)
    return counts * trajectories.weights if len(trajectories.weights) else counts


def _refitted(
    fitted: Any, trajectories: Trajectories, weights: Floats, statistic: Statistic,
    seed: np.random.SeedSequence,
) -> Floats | str:  # fmt: skip
    """Return the numbers from one resample, or why it could not be fitted."""
    learner = clone(fitted)
    known = learner.get_params(deep=False)
    if "random_state" in known:
        learner.set_params(random_state=int(seed.generate_state(1)[0]))
    if "compare" in known:
        learner.set_params(compare=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DisagreementWarning)
            return np.asarray(statistic(learner.fit(trajectories, weights)), dtype=np.float64)
    except EstimationError as error:
        return str(error)


def _enough(draws: Floats, failures: list[str], asked: int) -> tuple[Floats, int]:
    if len(failures) > MOST_FAILED * asked:
        raise EstimationError(
            f"{len(failures)} of {asked} resamples cannot be fitted, more than "
            f"{MOST_FAILED:.0%}, so that no interval can be trusted; the first says: {failures[0]}"
        )
    return draws, len(failures)
