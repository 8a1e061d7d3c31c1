from dataclasses import replace
from typing import Any, Self

import numpy as np
import pytest
from builders.cohorts import HIGH_HIGH, LOW_LOW, TAILORED, Above, a_cohort, truth
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from cds_engine.errors import EstimationError
from cds_engine.estimate.crude import crude_value
from cds_engine.estimate.doubly_robust import IN_SAMPLE, dr_value, dr_value_of_learner
from cds_engine.estimate.folds import folds_of
from cds_engine.estimate.ipw import ipw_value
from cds_engine.estimate.rule import Always, Observed, Rules
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.weights import advice, follows_so_far

REGIMES = [
    pytest.param(HIGH_HIGH, "high", "high", id="high, high"),
    pytest.param(LOW_LOW, "low", "low", id="low, low"),
    pytest.param(TAILORED, "high", -0.4, id="tailored"),
]


def true_propensities(t: Trajectories) -> list[np.ndarray]:
    shares = [expit(t.stages[0].columns["x1"]), expit(t.stages[1].columns["x2"])]
    return [np.column_stack([1 - p, p]) for p in shares]


def coin(t: Trajectories) -> list[np.ndarray]:
    """Return propensities that are wrong: as if nothing had been confounded."""
    return [np.full((len(t), 2), 0.5)] * len(t.stages)


class Ignorant(BaseEstimator):  # type: ignore[misc]
    """An outcome model that is wrong: it always says 7."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        del X, y
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), 7.0)


@pytest.mark.parametrize("responders", [False, True])
@pytest.mark.parametrize(("rules", "first", "second"), REGIMES)
def test_the_value_is_within_three_standard_errors_of_the_truth(
    rules: Rules, first: str, second: str | float, *, responders: bool
) -> None:
    t = a_cohort(8000, 3, responders=responders)
    value = dr_value(t, rules)
    wanted = truth(first, second, responders=responders)
    assert abs(value.estimate - wanted) < 3 * value.standard_error
    assert value.standard_error < ipw_value(t, rules).standard_error


@pytest.mark.parametrize(("rules", "first", "second"), REGIMES)
def test_one_right_model_is_enough(rules: Rules, first: str, second: str | float) -> None:
    t = a_cohort(20_000, 11)
    wanted = truth(first, second)
    by_weights = dr_value(t, rules, outcome=Ignorant(), propensity=true_propensities(t))
    by_outcomes = dr_value(t, rules, propensity=coin(t))
    neither = dr_value(t, rules, outcome=Ignorant(), propensity=coin(t))
    for value in (by_weights, by_outcomes):
        assert abs(value.estimate - wanted) < 3 * value.standard_error
    assert abs(neither.estimate - wanted) > 3 * neither.standard_error


def by_hand(t: Trajectories, folds: np.ndarray, p: list[np.ndarray]) -> np.ndarray:
    """Return the terms of TAILORED's value, from least squares and a loop over folds."""
    h1, h2 = t.stages
    x1, x2 = h1.columns["x1"], h2.columns["x2"]
    X1 = np.column_stack([np.ones(len(t)), x1])
    X2 = np.column_stack([np.ones(len(t)), x1, h1.action, x2])
    d2 = (x2 > -0.4).astype(int)
    terms = np.empty(len(t))
    for fold in range(folds.max() + 1):
        rest = folds != fold
        q2 = np.empty(len(t))
        for a in (0, 1):
            fitted = rest & h2.decided & (h2.action == a)
            b = np.linalg.lstsq(X2[fitted], t.outcome[fitted], rcond=None)[0]
            q2[d2 == a] = (X2 @ b)[d2 == a]
        q2 = np.where(h2.decided, q2, t.outcome)
        fitted = rest & (h1.action == 1)
        q1 = X1 @ np.linalg.lstsq(X1[fitted], q2[fitted], rcond=None)[0]
        w1 = (h1.action == 1) / p[0][:, 1]
        ratio = (h2.action == d2) / np.where(d2 == 1, p[1][:, 1], p[1][:, 0])
        w2 = w1 * np.where(h2.decided, ratio, 1)
        one = q1 + w1 * (q2 - q1) + w2 * (t.outcome - q2)
        terms[~rest] = one[~rest]
    return terms


@pytest.mark.parametrize("responders", [False, True])
def test_the_value_is_the_formula_computed_by_hand(*, responders: bool) -> None:
    t = a_cohort(600, 4, responders=responders)
    p = true_propensities(t)
    terms = by_hand(t, folds_of(t, 4, 9), p)
    for model in (None, LinearRegression()):
        value = dr_value(t, TAILORED, propensity=p, outcome=model, n_folds=4, random_state=9)
        assert value.estimate == pytest.approx(terms.mean(), rel=1e-6)
        assert value.standard_error == pytest.approx(terms.std() / np.sqrt(600), rel=1e-6)
        assert value.influence is not None
        np.testing.assert_allclose(value.influence, terms - terms.mean(), atol=1e-6)


def test_a_sample_weight_of_two_is_a_row_twice() -> None:
    t = a_cohort(300, 2)
    rng = np.random.default_rng(0)
    s = np.where(rng.random(300) < 0.4, 2.0, 1.0)
    weighted = replace(t, weights=s)
    rows = np.repeat(np.arange(300), s.astype(int))
    twice = t.take(rows)
    one = dr_value(weighted, TAILORED, n_folds=1)
    two = dr_value(twice, TAILORED, n_folds=1)
    assert one.estimate == pytest.approx(two.estimate, rel=1e-8)


def test_any_learner_serves_as_nuisance() -> None:
    t = a_cohort(2500, 8)
    value = dr_value(
        t, TAILORED, outcome=HistGradientBoostingRegressor(max_iter=30, random_state=0),
        propensity=HistGradientBoostingClassifier(max_iter=30, random_state=0), n_folds=3,
    )  # fmt: skip
    assert abs(value.estimate - truth("high", -0.4)) < 3 * value.standard_error


def test_missing_outcomes_are_completed_by_two_models_of_which_one_may_be_wrong() -> None:
    t = a_cohort(8000, 3, lost=True)
    for outcome, label in ((None, "linear"), (Ignorant(), "ignorant")):
        value = dr_value(t, TAILORED, missing="weight", outcome=outcome, label=label)
        assert abs(value.estimate - truth("high", -0.4)) < 3 * value.standard_error
    assert "missing in" in value.notes[0]


def test_who_followed_and_was_lost_counts_as_nobody_by_either_method() -> None:
    t = a_cohort(3000, 3, lost=True)
    followed = follows_so_far(t, advice(t, TAILORED))[-1]
    assert (followed & ~t.observed).sum() > 100
    robust = dr_value(t, TAILORED, missing="weight", n_folds=1)
    weighted = ipw_value(t, TAILORED, missing="weight")
    for value in (robust, weighted, crude_value(t, TAILORED)):
        assert value.followers == (followed & t.observed).sum()
    assert robust.effective_n == pytest.approx(weighted.effective_n)


def test_followers_of_whom_none_has_an_outcome_are_said_to_say_nothing() -> None:
    t = a_cohort(1000)
    followed = follows_so_far(t, advice(t, LOW_LOW))[-1]
    gone = replace(t, outcome=np.where(followed, np.nan, t.outcome))
    value = dr_value(gone, LOW_LOW, missing="weight", observation=DummyClassifier(), n_folds=1)
    assert (value.followers, value.effective_n) == (0, 0)
    said = f"model-based: {followed.sum()} of 1000 followed it at every stage and none of them"
    assert value.notes[-1].startswith(said)


def test_what_is_usual_needs_no_model() -> None:
    t = a_cohort(500)
    usual = dr_value(t, [Observed(), Observed()])
    assert usual.estimate == pytest.approx(t.outcome.mean(), rel=1e-12)
    assert usual.standard_error == pytest.approx(t.outcome.std() / np.sqrt(500))


def test_a_regime_that_nobody_followed_is_labelled_model_based() -> None:
    t = a_cohort(1000)
    t = t.take(~((t.stages[0].action == 1) & (t.stages[1].action == 0)))
    value = dr_value(t, [Always("high"), Always("low")], propensity=coin(t))
    assert value.followers == 0
    (note,) = value.notes
    assert note == (
        f"model-based: 0 of {len(t)} followed it at every stage; from stage second on it rests on "
        "the outcome models alone"
    )


class BestAtStageTwo:
    """A learner that chooses between two limits by the mean outcome of those who followed."""

    def fit(self, t: Trajectories) -> Self:
        self.seen = len(t)
        limits = (-0.4, np.inf)
        values = [ipw_value(t, (Always("high"), Above("x2", one))).estimate for one in limits]
        self.rules_ = (Always("high"), Above("x2", limits[int(np.argmax(values))]))
        return self


class Overfitted:
    """A learner that remembers by x1 who did better than expected with what they took."""

    def fit(self, t: Trajectories) -> None:
        h = t.stages[0]
        better = (t.outcome > -h.columns["x1"]) == (h.action == 1)
        known = dict(zip(h.columns["x1"], np.where(better, 1, 0), strict=True))
        self.rules_ = (lambda h: np.array([known.get(x, 1) for x in h.columns["x1"]]), Observed())


def test_a_learner_is_valued_out_of_fold() -> None:
    t = a_cohort(4000, 3)
    value = dr_value_of_learner(t, BestAtStageTwo())
    assert value.estimate == pytest.approx(dr_value(t, TAILORED).estimate, rel=1e-12)
    assert "learned without, and valued on, each of 5 folds in turn" in value.notes


def test_in_sample_values_of_what_was_learned_are_too_good_and_say_so() -> None:
    t = a_cohort(2000, 3)
    learner = Overfitted()
    learner.fit(t)
    inside = dr_value(t, learner.rules_, in_sample=True)
    outside = dr_value_of_learner(t, Overfitted())
    assert IN_SAMPLE in inside.notes
    assert IN_SAMPLE not in outside.notes
    assert inside.low > outside.high


@pytest.mark.parametrize("kind", ["rows", "columns", "labels"])
def test_order_and_names_change_nothing(kind: str) -> None:
    t = a_cohort(700, 5, responders=True)
    changed = {"rows": by_rows, "columns": by_columns, "labels": by_labels}[kind](t)
    one, other = dr_value(t, TAILORED), dr_value(changed, TAILORED)
    exact = 0 if kind != "labels" else 1e-9
    assert other.estimate == pytest.approx(one.estimate, rel=exact, abs=0)
    assert other.standard_error == pytest.approx(one.standard_error, rel=exact, abs=0)
    assert one.minus(one).standard_error == 0


def by_rows(t: Trajectories) -> Trajectories:
    return t.take(np.random.default_rng(0).permutation(len(t)))


def by_columns(t: Trajectories) -> Trajectories:
    return replace(t, stages=tuple(replace(h, columns=dict(reversed(list(h.columns.items()))))
                                   for h in t.stages))  # fmt: skip


def by_labels(t: Trajectories) -> Trajectories:
    return replace(t, stages=tuple(
        replace(h, spec=replace(h.spec, actions=("high", "low")), feasible=h.feasible[:, ::-1],
                action=np.where(h.action >= 0, 1 - h.action, h.action))
        for h in t.stages
    ))  # fmt: skip


def test_influence_stays_with_its_trajectory() -> None:
    t = a_cohort(400, 5)
    order = np.random.default_rng(3).permutation(400)
    one, other = dr_value(t, TAILORED), dr_value(t.take(order), TAILORED)
    assert one.influence is not None
    assert other.influence is not None
    assert (one.influence[order] == other.influence).all()
    assert other.ids is not None
    assert (other.ids == t.ids[order]).all()


def test_an_arm_that_a_fold_takes_away_is_named() -> None:
    t = a_cohort(200)
    none = replace(t, outcome=np.where(t.stages[1].action == 1, t.outcome, np.nan))
    with pytest.raises(EstimationError, match="the outcomes that are observed: nobody took 'low' "
                       "among the rows"):  # fmt: skip
        dr_value(none, TAILORED, missing="weight", observation=Sure())


class Sure(BaseEstimator):  # type: ignore[misc]
    """A classifier that says that half are observed, whatever is known."""

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        del X, y, sample_weight
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.full((len(X), 2), 0.5)


def test_an_arm_too_small_for_its_model_is_named() -> None:
    t = a_cohort(400)
    few = np.flatnonzero(t.stages[1].action == 1)[:4]
    t = t.take(np.union1d(few, np.flatnonzero(t.stages[1].action == 0)))
    with pytest.raises(EstimationError, match=r"stage second: \d rows took 'high', which cannot "
                       "carry the 4 coefficients of its outcome model"):  # fmt: skip
        dr_value(t, HIGH_HIGH, propensity=coin(t), n_folds=2)


def test_a_learner_needs_two_folds() -> None:
    with pytest.raises(EstimationError, match="1 folds: a learned regime is valued out of fold"):
        dr_value_of_learner(a_cohort(100), BestAtStageTwo(), n_folds=1)


@pytest.mark.slow
@pytest.mark.parametrize("method", [dr_value, ipw_value])
def test_intervals_cover_the_truth_as_often_as_they_say(method: Any) -> None:
    """95 % intervals at n = 300; 0.92 is 3 standard errors below 0.95 over 400 simulations."""
    wanted = truth("high", -0.4)
    values = [method(a_cohort(300, 1000 + seed), TAILORED) for seed in range(400)]
    assert np.mean([value.low <= wanted <= value.high for value in values]) >= 0.92
    apart = np.mean([value.estimate for value in values]) - wanted
    spread = np.std([value.estimate for value in values])
    assert abs(apart) < 0.25 * spread
