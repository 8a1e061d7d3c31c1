"""A bootstrap refits all stages; its resamples are weights, and no ordering reaches its numbers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from builders.nonregular import HALF, REGULAR, SEVERE
from builders.trials import SMART_MAIN, SMART_TAILORING, the_smart
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from cds_engine.errors import EstimationError
from cds_engine.estimate.a_learning import ALearning
from cds_engine.estimate.bootstrap import bootstrap, bootstrap_statistic, coefficients
from cds_engine.estimate.dwols import DWOLS
from cds_engine.estimate.intervals import Resampled
from cds_engine.estimate.q_learning import QLearning
from cds_engine.estimate.trajectories import Trajectories


def q_learning(**more: Any) -> QLearning:
    return QLearning(main=SMART_MAIN, tailoring=SMART_TAILORING, warn_above=1, **more)


@pytest.mark.parametrize("way", ["max_q", "regret"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_all_at_once_is_what_refitting_one_by_one_gives(way: Any, weighted: bool) -> None:
    t = the_smart(400, 1)
    if weighted:
        t = replace(t, weights=np.random.default_rng(0).uniform(0, 2, 400))
    learner = q_learning(pseudo_outcome=way)
    at_once = bootstrap(learner, t, resamples=25, m="n", random_state=5)
    names = [name for stage in at_once.stages for name in stage.names]
    # the same random numbers: those of the first round of resamples
    seeds = np.random.SeedSequence(5).spawn(2)[0].spawn(25)
    order = np.argsort(_order(t))
    draws = []
    for seed in seeds:
        counts = np.bincount(np.random.default_rng(seed).integers(400, size=400), minlength=400)
        fitted = q_learning(pseudo_outcome=way, compare=False)
        draws.append(coefficients(fitted.fit(t, counts[order] * t.weights)))
    assert np.hstack([s.draws for s in at_once.stages]) == pytest.approx(np.array(draws), rel=1e-7)
    assert len(names) == len(draws[0])


def _order(t: Trajectories) -> Any:
    from cds_engine.estimate.folds import canonical_order  # noqa: PLC0415

    return canonical_order(t.ids)


def test_three_stages_and_rewards_are_refitted_too() -> None:
    t = the_smart(500, 2)
    middle = replace(t.stages[1], spec=replace(t.stages[1].spec, stage="middle", reward="gain"),
                     reward=np.asarray(t.stages[1].columns["x2"]))  # fmt: skip
    three = replace(t, stages=(t.stages[0], middle, t.stages[1]),
                    outcome=t.outcome + middle.reward)  # fmt: skip
    main = {**SMART_MAIN, "middle": SMART_MAIN["later"]}
    tailoring = {**SMART_TAILORING, "middle": SMART_TAILORING["later"]}
    learner = QLearning(main=main, tailoring=tailoring, compare=False)
    at_once = bootstrap(learner, three, resamples=5, m="n", random_state=1)
    seeds = np.random.SeedSequence(1).spawn(2)[0].spawn(5)
    order = np.argsort(_order(three))
    for at, seed in enumerate(seeds):
        counts = np.bincount(np.random.default_rng(seed).integers(500, size=500), minlength=500)
        refit = QLearning(main=main, tailoring=tailoring, compare=False)
        refit.fit(three, counts[order].astype(float))
        for stage, drawn in zip(refit.stages_, at_once.stages, strict=True):
            assert drawn.draws[at] == pytest.approx(stage.coefficients, rel=1e-7)


@pytest.mark.parametrize("kind", [ALearning, DWOLS])
def test_any_number_of_jobs_gives_the_same_numbers(kind: Any) -> None:
    t = the_smart(200, 3)
    learner = kind(main=SMART_MAIN, tailoring=SMART_TAILORING)
    one, two = (bootstrap(learner, t, resamples=21, m="n", random_state=7, n_jobs=jobs)
                for jobs in (1, 2))  # fmt: skip
    for a, b in zip(one.stages, two.stages, strict=True):
        assert a.draws == pytest.approx(b.draws, rel=1e-12)


def test_any_number_of_jobs_gives_the_same_numbers_for_a_random_model() -> None:
    t = the_smart(150, 4)
    learner = QLearning(
        main=SMART_MAIN,
        model=DecisionTreeRegressor(max_features=1, min_samples_leaf=5),
        warn_above=1,
    )
    some = t.stages[0].take(np.arange(4))
    found = [
        bootstrap_statistic(
            learner, t, _EffectIn(some), ["p0", "p1", "p2", "p3"], resamples=21, random_state=8,
            n_jobs=jobs,
        ).draws
        for jobs in (1, 2)
    ]  # fmt: skip
    assert np.array_equal(found[0], found[1])
    assert found[0].std(axis=0).min() > 0


class _EffectIn:
    """The stage-1 effect in some histories."""

    def __init__(self, h: Any) -> None:
        self.h = h

    def __call__(self, learner: Any) -> Any:
        q = learner.q(0, self.h)
        return q[:, 1] - q[:, 0]


def test_the_order_of_rows_never_matters() -> None:
    t = the_smart(300, 5)
    order = np.random.default_rng(1).permutation(300)
    one, other = (bootstrap(q_learning(), some, resamples=30, random_state=2)
                  for some in (t, t.take(order)))  # fmt: skip
    for a, b in zip(one.stages, other.stages, strict=True):
        assert a.draws == pytest.approx(b.draws, rel=1e-7, abs=1e-9)
    assert one.nonregularity == other.nonregularity


def test_a_seed_gives_the_same_and_no_seed_can_be_repeated() -> None:
    t = the_smart(200, 6)
    fresh = bootstrap(q_learning(), t, resamples=10)
    again = bootstrap(q_learning(), t, resamples=10, random_state=fresh.entropy)
    assert np.array_equal(fresh.stages[0].draws, again.stages[0].draws)
    other = bootstrap(q_learning(), t, resamples=10)
    assert not np.array_equal(fresh.stages[0].draws, other.stages[0].draws)


def test_the_last_stage_has_the_standard_errors_of_a_sandwich() -> None:
    t = REGULAR.draw(2000, 7)
    found = bootstrap(REGULAR.learner(), t, resamples=1000, random_state=1)
    design = found.learner.stages_[1].design
    X = design.matrix(t.stages[1], np.arange(2000))
    robust = sm.OLS(t.outcome, X).fit(cov_type="HC0").bse
    assert found.stages[1].standard_errors == pytest.approx(robust, rel=0.1)


def test_naive_standard_errors_of_the_first_stage_would_be_too_small() -> None:
    """Stage 1 regresses a prediction, which does not spread as the outcome does."""
    t = SEVERE.draw(300, 8)
    found = bootstrap(SEVERE.learner(), t, resamples=500, random_state=1)
    stage, h = found.learner.stages_[0], t.stages[0]
    X = stage.design.matrix(h, np.arange(300))
    later = t.stages[1]
    best = np.where(later.feasible, found.learner.q(1, later), -np.inf).max(axis=1)
    target = np.where(later.decided, best, t.outcome)
    naive = sm.OLS(target, X).fit().bse
    assert naive[2] < 0.8 * found.stages[0].standard_errors[2]


def drawn(m: int = 100, n: int = 100) -> Resampled:
    draws = np.array([[1.0, 0.0], [2.0, 2.0], [4.0, 4.0], [9.0, 6.0], [3.0, 8.0]])
    return Resampled(label="s", names=("x", "y"), estimate=np.array([3.0, 4.0]), draws=draws,
                     m=m, n=n)  # fmt: skip


def test_intervals_are_quantiles_by_hand() -> None:
    """The draws - estimate of x are -2, -1, 0, 1, 6; the quartiles are -1 and 1."""
    hybrid = drawn().interval(0.5)
    assert hybrid.low == pytest.approx([2.0, 2.0])
    assert hybrid.high == pytest.approx([4.0, 6.0])
    wide = drawn().interval(0.999)
    assert (wide.low[0], wide.high[0]) == pytest.approx((3 - 6, 3 + 2), abs=0.05)
    percentile = drawn().interval(0.999, "percentile")
    assert (percentile.low[0], percentile.high[0]) == pytest.approx((1, 9), abs=0.05)


def test_fewer_trajectories_in_a_resample_are_scaled() -> None:
    whole, quarter = drawn().interval(0.5), drawn(m=25).interval(0.5)
    assert quarter.high - quarter.estimate == pytest.approx((whole.high - whole.estimate) / 2)
    assert drawn(m=25).covariance == pytest.approx(np.cov(drawn().draws.T) / 4)


def test_an_interval_says_how_it_was_made() -> None:
    assert drawn(m=25).interval().method == (
        "hybrid (basic) bootstrap, 5 resamples of 25 out of 100, all stages refitted"
    )
    assert drawn().interval(kind="percentile").method.startswith("percentile bootstrap")
    table = drawn().interval().table()
    assert list(table.index) == ["x", "y"]
    assert list(table.columns) == ["estimate", "low", "high"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"kind": "naive"}, "kind is 'naive'; it must be 'hybrid' or 'percentile'"),
        pytest.param({"level": 95}, "level is 95; it must lie between 0 and 1"),
    ],
)
def test_an_interval_that_is_none_is_refused(options: Any, message: str) -> None:
    with pytest.raises(EstimationError, match=message):
        drawn().interval(**options)


def test_contrasts_have_the_covariance_of_their_draws() -> None:
    t = the_smart(400, 9)
    found = bootstrap(q_learning(), t, resamples=200, random_state=3)
    contrasts = found.contrasts("later", "more")
    assert contrasts.names == ("same - more: 1", "same - more: x2", "intense - more: 1",
                               "intense - more: x2")  # fmt: skip
    later = found.stages[1]
    at = [later.names.index(name) for name in ("intense:x2", "more:x2")]
    direct = later.draws[:, at[0]] - later.draws[:, at[1]]
    assert contrasts.draws[:, 3] == pytest.approx(direct)
    by_learner = found.learner.contrasts("later", t.stages[1], "more", found.covariance("later"))
    errors = by_learner.standard_errors
    assert errors is not None
    assert errors[2] == pytest.approx(contrasts.standard_errors[2:])
    with pytest.raises(EstimationError, match="stage start: the covariance has the shape"):
        found.learner.contrasts("start", t.stages[0], "group", found.covariance("later"))


def test_near_ties_are_counted_and_make_resamples_smaller() -> None:
    t = HALF.draw(3000, 10)
    found = bootstrap(HALF.learner(), t, resamples=200, random_state=4)
    first, last = found.nonregularity
    # for A1 = -1, half of the patients, the second decision does not matter at all
    assert first.share == pytest.approx(0.5, abs=0.03)
    assert first.later == {"two": first.share}
    assert first.m < 3000
    assert found.stages[0].m == first.m
    assert (last.share, last.m, found.stages[1].m) == (0.0, 3000, 3000)
    assert "adaptive" in first.rule
    whole = bootstrap(HALF.learner(), t, resamples=50, m="n", random_state=4)
    assert whole.stages[0].m == 3000
    assert bootstrap(HALF.learner(), t, resamples=50, m=700, random_state=4).stages[0].m == 700


def test_without_near_ties_all_are_drawn() -> None:
    trial = replace(REGULAR, g5=2.0, g6=0.5, g7=0.5)
    found = bootstrap(trial.learner(), trial.draw(2000, 11), resamples=100, random_state=1)
    assert found.nonregularity[0].share == 0
    assert found.stages[0].m == 2000


@pytest.mark.parametrize("m", [0, 401, "some"])
def test_an_m_that_is_none_is_refused(m: Any) -> None:
    with pytest.raises(
        EstimationError, match="it must be 'adaptive', 'n' or a number from 1 to 400"
    ):
        bootstrap(q_learning(), the_smart(), resamples=10, m=m)


def test_only_linear_stages_have_coefficients() -> None:
    learner = QLearning(main=SMART_MAIN, model=Ridge(), warn_above=1)
    with pytest.raises(EstimationError, match="only linear stages have coefficients to draw"):
        bootstrap(learner, the_smart(), resamples=10)


@pytest.mark.parametrize("kind", [QLearning, ALearning])
def test_resamples_that_cannot_be_fitted_are_counted_and_then_refused(kind: Any) -> None:
    t = the_smart(60, 12)
    learner = kind(main=SMART_MAIN, tailoring=SMART_TAILORING)
    if kind is QLearning:
        learner.set_params(compare=False)
    with pytest.raises(
        EstimationError, match=r"\d+ of 40 resamples cannot be fitted, more than 5%"
    ):
        bootstrap(learner, t, resamples=40, m=18, random_state=1)


def test_the_learner_is_not_changed() -> None:
    learner = q_learning()
    bootstrap(learner, the_smart(), resamples=5)
    assert not hasattr(learner, "stages_")
