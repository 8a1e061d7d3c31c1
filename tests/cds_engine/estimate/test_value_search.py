"""The best threshold is found, and the winner is not valued on the data that made it win."""

from typing import Any

import numpy as np
import pytest
from builders.cohorts import LOW_HIGH, a_cohort, a_table, truth
from scipy.stats import norm
from sklearn.base import clone

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import holds
from cds_engine.estimate.doubly_robust import dr_value
from cds_engine.estimate.ipw import ipw_value
from cds_engine.estimate.rule import Always, advised
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value_search import (
    ThresholdRule,
    ValueSearch,
    multiplier_critical_value,
)

HIGH_FIRST = {"first": Always("high")}


@pytest.fixture(scope="module")
def fitted() -> ValueSearch:
    return ValueSearch({"second": ["x2"]}, others=HIGH_FIRST).fit(a_cohort(3000, responders=True))


def test_the_threshold_of_the_world_is_found(fitted: ValueSearch) -> None:
    rule = fitted.rules_[1]
    assert isinstance(rule, ThresholdRule)
    [(variable, side, bound)] = rule.tests
    assert (variable, side) == ("x2", "at_least")
    assert abs(bound - -0.4) < 0.35
    assert rule.criterion == f"x2 >= {bound:g}"
    assert rule.label == f"high if x2 >= {bound:g} else low"


def test_the_value_out_of_fold_is_near_the_truth(fitted: ValueSearch) -> None:
    value = fitted.value_
    assert abs(value.estimate - truth("high", -0.4, responders=True)) < 3 * value.standard_error
    assert value.influence is not None
    assert value.influence.mean() == pytest.approx(0.0, abs=1e-12)
    assert "chosen without, and valued on, each of 5 folds in turn" in value.notes[-1]


def test_each_value_is_the_doubly_robust_value_of_its_regime(fitted: ValueSearch) -> None:
    t = a_cohort(3000, responders=True)
    for at in (0, 1, 5):
        alone = dr_value(t, fitted.regimes_[at])
        assert fitted.values_[at].estimate == pytest.approx(alone.estimate, rel=1e-12)
        assert fitted.values_[at].standard_error == pytest.approx(alone.standard_error)


def test_intervals_hold_at_once_and_so_are_wider_than_one_alone(fitted: ValueSearch) -> None:
    single, bonferroni = norm.ppf(0.975), norm.ppf(1 - 0.025 / len(fitted.values_))
    assert single < fitted.critical_value_ < bonferroni + 0.1
    for one in fitted.values_:
        half = fitted.critical_value_ * one.standard_error
        assert (one.low, one.high) == pytest.approx((one.estimate - half, one.estimate + half))
    frame = fitted.table()
    assert list(frame["best"]).index(True) == fitted.best_ == int(frame["estimate"].argmax())
    assert len(frame) == len(fitted.regimes_) == 2 + 2 * 9


def test_the_critical_value_of_independent_estimates_is_known() -> None:
    rng = np.random.default_rng(0)
    independent = np.kron(np.eye(5), rng.choice([-1.0, 1.0], size=200))
    found = multiplier_critical_value(independent, draws=20_000)
    assert found == pytest.approx(norm.ppf((1 + 0.95 ** (1 / 5)) / 2), abs=0.03)
    same = np.repeat(independent[:1], 5, axis=0)
    assert multiplier_critical_value(same, draws=20_000) == pytest.approx(1.96, abs=0.03)
    assert multiplier_critical_value(np.zeros((2, 10))) == 0.0


def test_smaller_outcomes_being_better_finds_the_smallest() -> None:
    t = a_cohort(1500, responders=True)
    frame = a_table(1500, responders=True)
    turned = a_cohort(1500, responders=True, better="lower", y=-frame["y"])
    one = ValueSearch({"second": ["x2"]}, others=HIGH_FIRST, points=4).fit(t)
    other = ValueSearch({"second": ["x2"]}, others=HIGH_FIRST, points=4).fit(turned)
    assert other.best_ == one.best_
    assert other.value_.estimate == pytest.approx(-one.value_.estimate)


def test_both_stages_and_two_variables_are_searched_together() -> None:
    t = a_cohort(1500)
    search = ValueSearch(
        {"first": ["x1"], "second": ["x1", "x2"]}, points=2, sides=("at_least",),
        grid={"x2": [-0.4]},
    ).fit(t)  # fmt: skip
    assert len(search.regimes_) == (2 + 2) * (2 + 2 * 1)
    rule = search.regimes_[-1][1]
    assert isinstance(rule, ThresholdRule)
    assert rule.criterion.endswith(" and x2 >= -0.4")
    for _, rule in search.regimes_:
        assert isinstance(rule, ThresholdRule)
        if rule.tests:
            h = t.stages[1]
            treated = advised(rule, h) == LOW_HIGH.index(rule.treat)
            assert (treated == holds(rule.criterion, h.columns, h.rows)).all()


def test_weighting_leaves_the_outcome_models_out() -> None:
    t = a_cohort(800, randomised=True)
    search = ValueSearch({"second": ["x2"]}, method="weighting", points=3).fit(t)
    alone = ipw_value(t, search.regimes_[3])
    assert search.values_[3].estimate == pytest.approx(alone.estimate)


def test_fixed_actions_are_in_the_grid(fitted: ValueSearch) -> None:
    assert [rules[1].label for rules in fitted.regimes_[:2]] == ["high for all", "low for all"]  # type: ignore[attr-defined]


def test_what_is_not_feasible_is_not_advised() -> None:
    frame = a_table(800, randomised=True)
    frame.loc[frame["x1"] > 1, "action_first"] = "low"
    spec = HistorySpec(stage="first", variables=("x1",), actions=LOW_HIGH,
                       feasible={"high": "x1 <= 1"})  # fmt: skip
    t = Trajectories.from_wide(frame, [spec], outcome="y")
    search = ValueSearch({"first": ["x1"]}, points=4).fit(t)
    for (rule,) in search.regimes_:
        assert (advised(rule, t.stages[0])[t.stages[0].columns["x1"] > 1] == 0).all()


def test_fitting_again_gives_the_same_whatever_the_order_of_rows(fitted: ValueSearch) -> None:
    frame = a_table(3000, responders=True)
    t = a_cohort(3000, responders=True)
    shuffled = t.take(np.random.default_rng(1).permutation(len(frame)))
    again = clone(fitted).fit(shuffled)
    assert again.best_ == fitted.best_
    assert again.value_.estimate == pytest.approx(fitted.value_.estimate, rel=1e-9)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        pytest.param({"tailoring": {}}, "no tailoring variable is named", id="none"),
        pytest.param({"tailoring": {"third": ["x2"]}}, "there is no stage 'third'", id="stage"),
        pytest.param({"tailoring": {"second": ["x9"]}}, "has no variable 'x9'", id="variable"),
        pytest.param({"tailoring": {"second": "x2"}}, "in a list", id="text"),
        pytest.param({"tailoring": {"second": ["x1", "x2", "x1"]}}, "one or two", id="three"),
        pytest.param({"tailoring": {"second": ["action_first"]}}, "action_first is no number",
                     id="label"),
        pytest.param({"treat": {"second": ("high", "none")}}, "has no action 'none'", id="action"),
        pytest.param({"method": "guess"}, "method 'guess' is unknown", id="method"),
        pytest.param({"folds": 1}, "1 folds: the best of a grid is valued out of fold", id="folds"),
        pytest.param({"points": 90, "tailoring": {"second": ["x1", "x2"]}}, "more than 2000",
                     id="too many"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused(parameters: Any, said: str) -> None:
    with pytest.raises(EstimationError, match=said):
        ValueSearch(**{"tailoring": {"second": ["x2"]}, **parameters}).fit(a_cohort(200))


def test_a_constant_variable_has_no_threshold() -> None:
    with pytest.raises(EstimationError, match="stage second: x2 is constant"):
        ValueSearch({"second": ["x2"]}).fit(a_cohort(200, x2=1.0))


@pytest.mark.slow
def test_simultaneous_intervals_cover_the_whole_grid_together() -> None:
    grid = [-1.0, -0.4, 0.2]
    covered = 0
    for seed in range(200):
        t = a_cohort(400, seed=seed, randomised=True)
        search = ValueSearch(
            {"second": ["x2"]}, others=HIGH_FIRST, sides=("at_least",), grid={"x2": grid}
        ).fit(t)
        true = [truth("high", "high"), truth("high", "low"), *(truth("high", c) for c in grid)]
        covered += all(
            one.low <= value <= one.high for one, value in zip(search.values_, true, strict=True)
        )
    assert covered / 200 >= 0.95 - 3 * (0.95 * 0.05 / 200) ** 0.5
