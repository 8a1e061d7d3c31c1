from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders.cohorts import HIGH_HIGH, LOW_LOW, TAILORED, a_cohort, a_table, truth, two_stages
from sklearn.linear_model import LinearRegression, LogisticRegression

from cds_engine.errors import EstimationError
from cds_engine.estimate.g_formula import GMethod, g_formula_value
from cds_engine.estimate.ipw import ipw_value
from cds_engine.estimate.monte_carlo import TimeOrdered
from cds_engine.estimate.rule import Always, Observed, Rules
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.trajectories import Trajectories

BOTH: list[GMethod] = ["sequential", "monte_carlo"]
REGIMES = [
    pytest.param(HIGH_HIGH, "high", "high", id="high, high"),
    pytest.param(LOW_LOW, "low", "low", id="low, low"),
    pytest.param(TAILORED, "high", -0.4, id="tailored"),
]


@pytest.mark.parametrize("responders", [False, True])
@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize(("rules", "first", "second"), REGIMES)
def test_the_value_is_within_three_standard_errors_of_the_truth(
    method: GMethod, rules: Rules, first: str, second: str | float, *, responders: bool
) -> None:
    t = a_cohort(3000, 3, responders=responders)
    value = g_formula_value(t, rules, method=method, n_bootstrap=25)
    wanted = truth(first, second, responders=responders)
    assert abs(value.estimate - wanted) < 3 * value.standard_error
    assert 0.02 < value.standard_error < 0.1
    assert value.low < value.estimate < value.high


def test_the_sequential_value_is_two_regressions_by_hand() -> None:
    t = a_cohort(500, 4, responders=True)
    h1, h2 = t.stages
    x1, x2 = h1.columns["x1"], h2.columns["x2"]
    X2 = np.column_stack([np.ones(500), x1, h1.action, x2])
    fitted = h2.decided & (h2.action == 1)
    b = np.linalg.lstsq(X2[fitted], t.outcome[fitted], rcond=None)[0]
    v2 = np.where(h2.decided, X2 @ b, t.outcome)
    X1 = np.column_stack([np.ones(500), x1])
    fitted = h1.action == 1
    v1 = X1 @ np.linalg.lstsq(X1[fitted], v2[fitted], rcond=None)[0]
    for model in (None, LinearRegression()):
        value = g_formula_value(t, HIGH_HIGH, outcome=model, n_bootstrap=0)
        assert value.estimate == pytest.approx(v1.mean(), rel=1e-6)


def test_simulation_of_linear_models_agrees_with_their_mean_by_hand() -> None:
    """Had all taken high twice, means follow from coefficients alone, with no draws."""
    t = a_cohort(400, 4)
    h1, h2 = t.stages
    x1, x2, a1, a2 = h1.columns["x1"], h2.columns["x2"], h1.action, h2.action
    one = np.ones(400)
    X = np.column_stack([one, x1, a1, a1 * x1])
    g = np.linalg.lstsq(X, x2, rcond=None)[0]
    past = np.column_stack([x1, a1, a1 * x1, x2])
    b = np.linalg.lstsq(np.column_stack([one, past, a2, a2[:, None] * past]), t.outcome,
                        rcond=None)[0]  # fmt: skip
    m1, m2 = x1.mean(), g[0] + g[2] + (g[1] + g[3]) * x1.mean()
    mean = np.array([m1, 1, m1, m2])
    direct = b @ np.concatenate([[1], mean, [1], mean])
    draws = 400_000
    value = g_formula_value(t, HIGH_HIGH, method="monte_carlo", draws=draws, n_bootstrap=0)
    assert value.estimate == pytest.approx(direct, abs=4 * 1.5 / np.sqrt(draws))


@pytest.mark.parametrize("method", BOTH)
def test_a_regime_that_nobody_followed_is_valued_and_labelled(method: GMethod) -> None:
    t = a_cohort(3000, 3)
    t = t.take(~((t.stages[0].action == 1) & (t.stages[1].action == 0)))
    value = g_formula_value(t, [Always("high"), Always("low")], method=method, n_bootstrap=0)
    assert value.notes[0] == f"model-based: 0 of {len(t)} followed it"
    assert np.isnan(value.standard_error)
    assert np.isnan(value.low)
    with pytest.raises(EstimationError, match="as that of the g-formula does"):
        ipw_value(t, [Always("high"), Always("low")])


@pytest.mark.parametrize("method", BOTH)
def test_rows_and_jobs_change_no_number(method: GMethod) -> None:
    t = a_cohort(250, 3, responders=True)
    shuffled = t.take(np.random.default_rng(0).permutation(250))
    one = g_formula_value(t, TAILORED, method=method, n_bootstrap=12, draws=250)
    for other, jobs in ((t, 2), (shuffled, 1)):
        again = g_formula_value(
            other, TAILORED, method=method, n_bootstrap=12, draws=250, n_jobs=jobs
        )
        assert again.estimate == one.estimate
        assert again.standard_error == one.standard_error
        assert (again.low, again.high) == (one.low, one.high)


def test_a_difference_is_paired_over_resamples() -> None:
    t = a_cohort(1500, 3)
    high, low = (g_formula_value(t, rules, n_bootstrap=40) for rules in (HIGH_HIGH, LOW_LOW))
    difference = high.minus(low)
    assert difference.estimate == pytest.approx(high.estimate - low.estimate)
    wanted = truth("high", "high") - truth("low", "low")
    assert abs(difference.estimate - wanted) < 3 * difference.standard_error
    usual = g_formula_value(t, [Observed(), Observed()], n_bootstrap=40)
    apart = np.hypot(usual.standard_error, high.standard_error)
    assert high.minus(usual).standard_error < 0.9 * apart
    with pytest.raises(EstimationError, match="different trajectories or resamples; bootstrap"):
        high.minus(g_formula_value(t, LOW_LOW, n_bootstrap=10))
    with pytest.raises(EstimationError, match="bootstrap both on the same, with one seed"):
        high.minus(g_formula_value(t, LOW_LOW, n_bootstrap=40, random_state=1))
    with pytest.raises(EstimationError, match="one of them has no influence function; bootstrap"):
        high.minus(ipw_value(t, LOW_LOW))


@pytest.mark.parametrize("method", BOTH)
def test_missing_outcomes_are_modelled(method: GMethod) -> None:
    t = a_cohort(6000, 3, lost=True)
    value = g_formula_value(t, TAILORED, method=method, missing="model", n_bootstrap=15)
    assert abs(value.estimate - truth("high", -0.4)) < 3 * value.standard_error
    assert "y is missing in" in value.notes[1]
    with pytest.raises(EstimationError, match="y is missing in"):
        g_formula_value(t, TAILORED, method=method)


def test_what_is_usual_is_drawn_as_it_was() -> None:
    for randomised in (False, True):
        t = a_cohort(4000, 3, randomised=randomised, responders=True)
        value = g_formula_value(t, [Observed(), Observed()], method="monte_carlo", n_bootstrap=15)
        assert abs(value.estimate - t.outcome.mean()) < 3 * value.standard_error


def with_a_responder(n: int = 3000) -> Trajectories:
    frame = a_table(n, 3, responders=True).assign(
        responder=lambda one: one["x2"] <= -1, arm=lambda one: one["action_first"] == "high",
        visits=lambda one: np.where(one["action_first"] == "high", 6.0, 2.0),
        x1_again=lambda one: one["x1"],
    )  # fmt: skip
    first, _ = two_stages()
    second = HistorySpec(
        stage="second", variables=("x1", "arm", "visits", "x2", "responder"),
        actions=("low", "high"), when="not responder", columns={"x1": "x1_again"},
    )  # fmt: skip
    return Trajectories.from_wide(frame, [first, second], outcome="y")


def test_what_others_determine_must_be_derived() -> None:
    t = with_a_responder()
    with pytest.raises(EstimationError, match=r"second\.z_responder: what came before separates "
                       r"its values perfectly in 3000 of 3000 rows"):  # fmt: skip
        g_formula_value(swapped(t), TAILORED, method="monte_carlo", n_bootstrap=0)
    rule: dict[str, Any] = {"z_responder": lambda columns: columns["x2"] <= -1}
    value = g_formula_value(swapped(t), TAILORED, method="monte_carlo", n_bootstrap=15,
                            conditionals=rule)  # fmt: skip
    wanted = truth("high", -0.4, responders=True)
    assert abs(value.estimate - wanted) < 3 * value.standard_error


def swapped(t: Trajectories) -> Trajectories:
    """Name the responder so that it comes after what determines it."""
    h = t.stages[1]
    columns = {("z_responder" if name == "responder" else name): values
               for name, values in h.columns.items()}  # fmt: skip
    spec = replace(h.spec, variables=tuple(columns), when="not z_responder")
    return replace(t, stages=(t.stages[0], replace(h, spec=spec, columns=columns)))


def test_columns_that_repeat_the_past_are_taken_over() -> None:
    model = TimeOrdered({"responder": lambda columns: columns["first.x1"] > 0}).fit(
        with_a_responder(500)
    )
    sources = {node.name: node.source for node in model.nodes_[1]}
    assert sources == {"arm": "action:0", "responder": "derived", "visits": "action:0",
                       "x1": "carried:0", "x2": "model"}  # fmt: skip


def test_labels_and_booleans_and_own_models_are_drawn_from_what_was_fitted() -> None:
    rng = np.random.default_rng(1)
    frame = a_table(3000, 3)
    high = frame["action_first"] == "high"
    frame["mood"] = np.where(rng.random(3000) < np.where(high, 0.7, 0.2), "good",
                             np.where(rng.random(3000) < 0.5, "bad", "fair"))  # fmt: skip
    frame["sleeps"] = rng.random(3000) < np.where(high, 0.9, 0.4)
    frame["y"] = (frame["mood"] == "good") + 2.0 * frame["sleeps"] + rng.normal(size=3000)
    first, second = two_stages()
    second = replace(second, variables=("mood", "sleeps"))
    t = Trajectories.from_wide(frame, [first, second], outcome="y")
    for models in ({}, {"sleeps": LogisticRegression(), "second.mood": LogisticRegression()}):
        value = g_formula_value(t, [Always("high"), Observed()], method="monte_carlo",
                                conditionals=models, n_bootstrap=15)  # fmt: skip
        assert abs(value.estimate - 2.5) < 3 * value.standard_error


def test_a_binary_outcome_is_modelled_as_a_probability() -> None:
    rng = np.random.default_rng(2)
    frame = a_table(4000, 3)
    share = 1 / (1 + np.exp(1 - frame["x1"] - (frame["action_second"] == "high")))
    frame["y"] = (rng.random(4000) < share) * 1.0
    x1 = np.random.default_rng(0).normal(size=200_000)
    wanted = float(np.mean(1 / (1 + np.exp(-x1))))
    up = Trajectories.from_wide(frame, two_stages(), outcome="y")
    down = Trajectories.from_wide(frame, two_stages(), outcome="y", better="lower")
    for t in (up, down):
        value = g_formula_value(t, HIGH_HIGH, method="monte_carlo", n_bootstrap=15)
        assert abs(value.estimate - wanted) < 3 * value.standard_error


def test_bad_input_is_named() -> None:
    t = a_cohort(60)
    with pytest.raises(EstimationError, match="method 'exact' is not understood"):
        g_formula_value(t, TAILORED, method="exact")  # type: ignore[arg-type]
    few = t.take(np.union1d(np.flatnonzero(t.stages[0].action == 0),
                            np.flatnonzero(t.stages[0].action == 1)[:3]))  # fmt: skip
    with pytest.raises(EstimationError, match=r"in bootstrap resample \d+: stage first: "):
        g_formula_value(few, HIGH_HIGH, n_bootstrap=50)
    with pytest.raises(EstimationError, match=r"second\.x2: 4 rows cannot carry the model"):
        g_formula_value(t.take(np.arange(4)), LOW_LOW, method="monte_carlo", n_bootstrap=0)


def test_simulated_patients_without_a_feasible_action_are_refused() -> None:
    t = a_cohort(300)
    spec = replace(t.stages[1].spec, feasible={"high": "x2 < 3", "low": "x2 < 3"})
    t = replace(t, stages=(t.stages[0], replace(t.stages[1], spec=spec)))
    with pytest.raises(EstimationError, match=r"stage second: no action is feasible for \d+ of "
                       r"\d+ simulated patients"):  # fmt: skip
        g_formula_value(t, TAILORED, method="monte_carlo", n_bootstrap=0, draws=100_000)
