from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from builders.cohorts import a_cohort, a_table, two_stages
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from cds_engine.errors import EstimationError
from cds_engine.estimate.folds import folds_of
from cds_engine.estimate.history_matrix import HistoryMatrix
from cds_engine.estimate.propensity import cross_fit_propensity, fit_propensity, learn_propensity
from cds_engine.estimate.stage import HistorySpec, StageData
from cds_engine.estimate.trajectories import Trajectories

THREE = ("a", "b", "c")


def three_actions(n: int = 3000, seed: int = 2) -> StageData:
    """Return a stage where c is feasible only for those whose kidneys allow it."""
    rng = np.random.default_rng(seed)
    x, kidneys = rng.normal(size=n), rng.random(n) < 0.7
    eta = np.column_stack([0 * x, 0.3 + 0.8 * x, -0.2 - 0.5 * x])
    eta[~kidneys, 2] = -np.inf
    drawn = (softmax(eta, axis=1).cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1)
    frame = pd.DataFrame({"id": np.arange(n), "x": x, "kidneys": kidneys, "y": rng.normal(size=n),
                          "action_only": np.array(THREE)[drawn]})  # fmt: skip
    spec = HistorySpec(stage="only", variables=("x", "kidneys"), actions=THREE,
                       feasible={"c": "kidneys"})  # fmt: skip
    return Trajectories.from_wide(frame, [spec], outcome="y").stages[0]


def test_two_actions_have_the_propensities_of_logistic_regression() -> None:
    h = a_cohort(responders=True).stages[1]
    d = h.decided
    columns = [h.columns["x1"], h.columns["action_first"] == "high", h.columns["x2"]]
    X = np.column_stack([np.ones(d.sum()), *(one[d].astype(float) for one in columns)])
    direct = sm.Logit(h.action[d], X).fit(disp=0, tol=1e-12).predict(X)
    p = fit_propensity(h)
    np.testing.assert_allclose(p[d, 1], direct, rtol=1e-5)
    assert (p[~d] == 0).all()


def test_three_actions_have_the_propensities_of_multinomial_regression() -> None:
    h = three_actions()
    everybody = h.take(h.columns["kidneys"])
    X = sm.add_constant(everybody.columns["x"])
    direct = sm.MNLogit(everybody.action, X).fit(disp=0, tol=1e-12, method="newton").predict(X)
    np.testing.assert_allclose(fit_propensity(everybody), direct, rtol=1e-5)


def test_an_infeasible_action_has_no_probability_and_the_rest_sum_to_one() -> None:
    h = three_actions()
    for model in (None, DecisionTreeClassifier(max_depth=3, random_state=0)):
        p = fit_propensity(h, model)
        assert (p[~h.feasible] == 0).all()
        np.testing.assert_allclose(p.sum(axis=1), 1)


def test_the_score_of_every_feasible_choice_is_zero_at_the_maximum() -> None:
    h = three_actions()
    residual = (h.action[:, None] == np.arange(3)) - fit_propensity(h)
    for one in (np.ones(h.rows), h.columns["x"]):
        np.testing.assert_allclose(one @ residual / h.rows, 0, atol=1e-8)


def test_feasible_sets_that_never_meet_are_fitted_apart() -> None:
    frame = a_table(1500).assign(arm=lambda t: t["action_first"])
    rng = np.random.default_rng(5)
    pair = np.where(frame["arm"] == "high", "gym,talk", "kit,coach")
    frame["action_second"] = [names.split(",")[int(one)] for names, one in
                              zip(pair, rng.random(1500) < 0.4, strict=True)]  # fmt: skip
    first, second = two_stages()
    spec = HistorySpec(
        stage="second", variables=("x1", "arm"), actions=("gym", "talk", "kit", "coach"),
        feasible={"gym": "arm is high", "talk": "arm is high", "kit": "arm is low",
                  "coach": "arm is low"},
    )  # fmt: skip
    del second
    h = Trajectories.from_wide(frame, [first, spec], outcome="y").stages[1]
    p = fit_propensity(h)
    high = h.columns["arm"] == "high"
    X = sm.add_constant(h.columns["x1"][high])
    direct = sm.Logit((h.action[high] == 1).astype(float), X).fit(disp=0, tol=1e-12).predict(X)
    np.testing.assert_allclose(p[high, 1], direct, rtol=1e-5)
    assert (p[high, 2:] == 0).all()


def test_a_single_feasible_action_is_certain() -> None:
    frame = a_table(400).assign(blocked=lambda t: t["x1"] > 0.5)
    frame.loc[frame["blocked"], "action_first"] = "low"
    spec = HistorySpec(stage="first", variables=("x1", "blocked"), actions=("low", "high"),
                       feasible={"high": "not blocked"})  # fmt: skip
    h = Trajectories.from_wide(frame, [spec], outcome="y").stages[0]
    blocked = h.columns["blocked"]
    assert (fit_propensity(h)[blocked] == [1.0, 0.0]).all()
    assert (fit_propensity(h)[~blocked] < 1).all()


def test_what_is_known_by_design_is_not_estimated_unless_asked_for() -> None:
    h = a_cohort(randomised=True).stages[0]
    assert (fit_propensity(h) == 0.5).all()
    assert (fit_propensity(h, "known") == 0.5).all()
    assert not (fit_propensity(h, "estimate") == 0.5).any()


def test_a_classifier_is_cloned_and_used() -> None:
    h = a_cohort().stages[0]
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    np.testing.assert_allclose(fit_propensity(h, model), fit_propensity(h), rtol=1e-4)
    assert not hasattr(model, "coef_")


def test_a_weight_of_two_is_a_row_twice() -> None:
    h = a_cohort(500).stages[0]
    twice = np.arange(500) < 200
    doubled = h.take(np.concatenate([np.arange(500), np.flatnonzero(twice)]))
    weights = np.where(twice, 2.0, 1.0)
    np.testing.assert_allclose(
        fit_propensity(h, weights=weights), fit_propensity(doubled)[:500], rtol=1e-8
    )


def test_a_constant_or_repeated_column_changes_nothing() -> None:
    h = a_cohort(600).stages[0]
    more = {**h.columns, "one": np.ones(600), "again": 2 * h.columns["x1"] + 1}
    wider = StageData(spec=h.spec, columns=more, decided=h.decided, action=h.action,
                      feasible=h.feasible, reward=h.reward)  # fmt: skip
    np.testing.assert_allclose(fit_propensity(wider), fit_propensity(h), rtol=1e-7)


def test_a_fold_is_predicted_without_itself() -> None:
    t = a_cohort(900)
    folds = folds_of(t, 3)
    h = t.stages[0]
    rest, inside = h.take(folds != 1), h.take(folds == 1)
    direct = sm.Logit(rest.action, sm.add_constant(rest.columns["x1"])).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose(
        cross_fit_propensity(h, folds)[folds == 1, 1],
        direct.predict(sm.add_constant(inside.columns["x1"])), rtol=1e-5,
    )  # fmt: skip


def broken(**changes: Any) -> StageData:
    return Trajectories.from_wide(
        a_table(300).assign(**changes), two_stages()[:1], outcome="y"
    ).stages[0]


@pytest.mark.parametrize("model", [None, "binary"])
def test_perfect_separation_is_said_with_stage_column_and_count(model: str | None) -> None:
    frame = a_table(300)
    h = broken(x1=np.where(frame["action_first"] == "high", 1.0, -1.0) * (1 + frame["x1"].abs()))
    if model is None:  # three feasible columns take the general path
        feasible = np.column_stack([h.feasible, np.zeros(h.rows, dtype=bool)])
        spec = HistorySpec(stage="first", variables=("x1",), actions=("low", "high", "none"))
        h = StageData(spec=spec, columns=h.columns, decided=h.decided, action=h.action,
                      feasible=feasible, reward=h.reward)  # fmt: skip
    with pytest.raises(EstimationError) as caught:
        fit_propensity(h)
    assert "stage first: the histories separate the actions perfectly" in str(caught.value)
    assert "in 300 of 300 rows" in str(caught.value)
    assert "most of all 'x1' for 'high'" in str(caught.value)


def test_separation_in_a_few_rows_is_found_too() -> None:
    frame = a_table(300)
    sure = np.arange(300) < 6
    h = broken(x1=sure * 1.0, action_first=np.where(sure, "high", frame["action_first"]))
    with pytest.raises(EstimationError, match="in 6 of 300 rows the action is foretold"):
        fit_propensity(h)


def test_one_class_only_is_refused() -> None:
    h = a_cohort(300).stages[0]
    with pytest.raises(EstimationError, match=r"stage first: all \d+ rows that had a choice took "
                       "'high', so that nothing can be compared"):  # fmt: skip
        fit_propensity(h.take(h.action == 1))


def test_an_arm_that_was_never_seen_is_refused() -> None:
    h = three_actions()
    with pytest.raises(EstimationError, match=r"stage only: nobody took 'c' in \d+ rows that had a "
                       r"choice, although it was feasible for \d+; declare"):  # fmt: skip
        fit_propensity(h.take(h.action != 2))


def test_too_few_rows_are_refused() -> None:
    h = a_cohort(300).stages[1].take(np.arange(3))
    with pytest.raises(EstimationError, match="stage second: 3 rows that had a choice cannot carry "
                       "the 4 coefficients"):  # fmt: skip
        fit_propensity(h)


def test_a_fold_that_takes_an_arm_away_is_said() -> None:
    h = a_cohort(300).stages[0]
    with pytest.raises(EstimationError, match=r"took 'high'.*\(in a fold that leaves \d+ rows out"):
        cross_fit_propensity(h, h.action)


def test_design_probabilities_that_are_not_there_are_refused() -> None:
    with pytest.raises(EstimationError, match="stage first: propensities are not known by design"):
        fit_propensity(a_cohort(100).stages[0], "known")


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(EstimationError, match="propensity 'guess' is not understood"):
        fit_propensity(a_cohort(100).stages[0], "guess")


def test_a_classifier_that_gives_a_feasible_set_no_probability_is_refused() -> None:
    h = three_actions().take(np.arange(500))
    h = h.take(h.columns["kidneys"])
    right = h.columns["x"] > 0
    h = h.take((h.action == 2) == right)  # c and nothing else on the right
    fitted = learn_propensity(h, DecisionTreeClassifier(max_depth=1, random_state=0))
    only_two = h.feasible & [True, True, False]
    with pytest.raises(EstimationError, match="stage only: DecisionTreeClassifier gives "
                       r"probability 0 to every feasible action in \d+ rows"):  # fmt: skip
        fitted.shares(fitted.matrix(h), only_two)


def test_a_missing_value_in_a_decided_row_is_refused() -> None:
    h = a_cohort(100).stages[0]
    gaps = {"x1": np.where(np.arange(100) < 4, np.nan, h.columns["x1"])}
    with pytest.raises(EstimationError, match="stage first: 4 rows that have a decision lack"):
        fit_propensity(StageData(spec=h.spec, columns=gaps, decided=h.decided, action=h.action,
                                 feasible=h.feasible, reward=h.reward))  # fmt: skip


def test_without_variables_propensities_are_shares() -> None:
    h = a_cohort(200).stages[0]
    bare = replace(h, spec=replace(h.spec, variables=()), columns={})
    shares = np.bincount(h.action) / 200
    assert HistoryMatrix.of(bare)(bare).shape == (200, 0)
    np.testing.assert_allclose(fit_propensity(bare), np.tile(shares, (200, 1)), rtol=1e-6)


def test_of_many_variables_that_lack_a_value_five_are_named() -> None:
    h = a_cohort(50).stages[0]
    many = {f"x{at}": np.full(50, np.nan) for at in range(8)}
    broken = replace(h, spec=replace(h.spec, variables=tuple(many)), columns=many)
    with pytest.raises(EstimationError, match="in one of x0, x1, x2, x3, x4 and 3 more; complete"):
        fit_propensity(broken)
