from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from builders.cohorts import HIGH_HIGH, LOW_LOW, TAILORED, a_cohort
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.errors import EstimationError
from cds_engine.estimate.ipw import ipw_value
from cds_engine.estimate.rule import Always
from cds_engine.estimate.sensitivity import extreme_mean, sensitivity_model

NUMBERS = st.floats(-5, 5)


@given(st.lists(st.tuples(NUMBERS, st.floats(0.1, 3), st.floats(0, 3)), min_size=1, max_size=9))
def test_the_extreme_is_that_of_all_corners(rows: list[tuple[float, float, float]]) -> None:
    y, least, width = (np.array(one) for one in zip(*rows, strict=True))
    ends = [(low, low + more) for low, more in zip(least, width, strict=True)]
    corners = [np.dot(w, y) / np.sum(w) for w in map(np.array, product(*ends))]
    assert extreme_mean(y, least, least + width) == pytest.approx(max(corners), abs=1e-9)


@pytest.mark.parametrize("rules", [HIGH_HIGH, LOW_LOW, TAILORED])
def test_gamma_of_one_is_the_estimate(rules: object) -> None:
    t = a_cohort(800, 3, responders=True)
    low, high = sensitivity_model(t, rules).bounds(1.0)  # type: ignore[arg-type]
    value = ipw_value(t, rules)  # type: ignore[arg-type]
    assert low == pytest.approx(value.estimate, rel=1e-9)
    assert high == pytest.approx(value.estimate, rel=1e-9)


def test_bounds_are_those_of_a_linear_program_by_hand() -> None:
    t = a_cohort(60, 3)
    one = replace(t, stages=t.stages[:1])
    p = np.random.default_rng(0).uniform(0.2, 0.8, 60)
    given_p = [np.column_stack([1 - p, p])]
    low, high = sensitivity_model(one, [Always("high")], propensity=given_p).bounds(1.7)
    took = one.stages[0].action == 1
    y, excess = t.outcome[took], 1 / p[took] - 1
    order = np.argsort(y)
    by_cut = []
    for cut in range(len(y) + 1):
        w = np.where(np.arange(len(y)) < cut, 1 + excess[order] / 1.7, 1 + excess[order] * 1.7)
        by_cut.append(np.sum(w * y[order]) / np.sum(w))
    assert high == pytest.approx(max(by_cut), rel=1e-9)
    reverse = [np.sum(w * y[order]) / np.sum(w) for cut in range(len(y) + 1)
               for w in [np.where(np.arange(len(y)) < cut, 1 + excess[order] * 1.7,
                                  1 + excess[order] / 1.7)]]  # fmt: skip
    assert low == pytest.approx(min(reverse), rel=1e-9)


def test_bounds_widen_with_gamma_and_the_conclusion_flips_where_it_says() -> None:
    t = a_cohort(3000, 3)
    model = sensitivity_model(t, HIGH_HIGH, LOW_LOW)
    curve = model.curve((1.0, 1.2, 1.5, 2.0))
    assert (np.diff(curve["low"]) < 0).all()
    assert (np.diff(curve["high"]) > 0).all()
    gamma = model.flips_at()
    assert gamma > 1.05
    assert model.bounds(gamma)[0] <= 0 < model.bounds(gamma - 1e-6)[0]


def test_a_harmful_difference_flips_from_below() -> None:
    t = a_cohort(3000, 3)
    one, other = sensitivity_model(t, HIGH_HIGH, LOW_LOW), sensitivity_model(t, LOW_LOW, HIGH_HIGH)
    assert one.flips_at() == pytest.approx(other.flips_at())
    assert one.flips_at(one.bounds(1.0)[0]) == 1.0


def test_an_unmeasured_confounder_within_gamma_cannot_leave_the_bounds() -> None:
    """U shifts the odds of treatment by 1.8 either way; leaving it out stays within Gamma = 1.8."""
    rng = np.random.default_rng(5)
    n = 40_000
    t = a_cohort(n, 3)
    u = rng.random(n) < 0.5
    odds = 1.8 ** np.where(u, 1, -1)
    p = odds / (1 + odds)
    treated = rng.random(n) < p
    y = 2.0 * u + rng.normal(size=n)
    h = replace(t.stages[0], action=treated.astype(np.intp))
    hidden = replace(t, stages=(h,), outcome=y)
    half = [np.full((n, 2), 0.5)]
    model = sensitivity_model(hidden, [Always("high")], [Always("low")], propensity=half)
    assert model.bounds(1.0)[0] > 0.4
    low, high = model.bounds(1.8)
    assert low <= 0.05
    assert high > 0
    assert model.flips_at() <= 1.8 + 0.1


def test_a_randomised_stage_is_not_shifted_unless_asked_for() -> None:
    t = a_cohort(400, 3, randomised=True)
    model = sensitivity_model(t, HIGH_HIGH, LOW_LOW)
    assert model.bounds(3.0) == pytest.approx(model.bounds(1.0))
    assert model.flips_at() == float("inf")
    asked = sensitivity_model(t, HIGH_HIGH, LOW_LOW, stages=["first"])
    low, high = asked.bounds(2.0)
    assert low < model.bounds(1.0)[0] < high


def test_missing_outcomes_and_direction_are_kept() -> None:
    t = a_cohort(800, 3, lost=True, better="lower")
    low, high = sensitivity_model(t, TAILORED, missing="weight").bounds(1.0)
    value = ipw_value(t, TAILORED, missing="weight")
    assert low == pytest.approx(value.estimate)
    assert high == pytest.approx(value.estimate)


def test_bad_input_is_named() -> None:
    t = a_cohort(200)
    with pytest.raises(EstimationError, match=r"Gamma = 0\.5 is below 1"):
        sensitivity_model(t, TAILORED).bounds(0.5)
    with pytest.raises(EstimationError, match="there is no stage 'third'; there are first, second"):
        sensitivity_model(t, TAILORED, stages=["third"])
    t = t.take(~((t.stages[0].action == 1) & (t.stages[1].action == 0)))
    with pytest.raises(EstimationError, match=r"the regime: 0 of \d+ followed it at every stage"):
        sensitivity_model(t, [Always("high"), Always("low")])
