from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from builders.cohorts import a_cohort, a_table, truth, two_stages
from scipy.special import expit
from sklearn.base import clone

from cds_engine.errors import EstimationError
from cds_engine.estimate.msm import MSM
from cds_engine.estimate.trajectories import Trajectories


@pytest.mark.parametrize("responders", [False, True])
@pytest.mark.parametrize("stabilised", [False, True])
def test_means_are_within_three_standard_errors_of_the_truth(
    *, responders: bool, stabilised: bool
) -> None:
    t = a_cohort(8000, 3, responders=responders)
    model = MSM(interactions=True, stabilised=stabilised).fit(t)
    for first in ("low", "high"):
        for second in ("low", "high"):
            mean = model.mean_outcome({"first": first, "second": second})
            wanted = truth(first, second, responders=responders)
            assert abs(mean.estimate - wanted) < 3 * mean.standard_error
    assert model.weight_summary_.mean == pytest.approx(1, abs=0.05) or not stabilised


def test_coefficients_and_sandwich_agree_with_statsmodels() -> None:
    t = a_cohort(900, 4)
    p = [np.column_stack([1 - one, one]) for one in (
        expit(t.stages[0].columns["x1"]), expit(t.stages[1].columns["x2"]))]  # fmt: skip
    a1, a2 = t.stages[0].action, t.stages[1].action
    rows = np.arange(900)
    w = 1 / p[0][rows, a1] / p[1][rows, a2]
    X = np.column_stack([np.ones(900), a1, a2, a1 * a2])
    direct = sm.WLS(t.outcome, X, weights=w).fit(
        cov_type="cluster", cov_kwds={"groups": rows, "use_correction": True}
    )
    model = MSM(interactions=True, stabilised=False, propensity=p, correction=True).fit(t)
    np.testing.assert_allclose(model.coefficients_, direct.params, rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(model.covariance_)), direct.bse, rtol=1e-6)
    assert model.names_ == ("intercept", "first=high", "second=high", "first=high:second=high")


def test_a_patient_without_a_decision_stands_for_every_action_in_one_cluster() -> None:
    t = a_cohort(700, 4, responders=True)
    h1, h2 = t.stages
    half = [np.full((700, 2), 0.5)] * 2
    stays = np.flatnonzero(~h2.decided)
    rows = np.concatenate([np.arange(700), stays])
    a2 = np.concatenate([np.where(h2.decided, h2.action, 0), np.ones(len(stays))])
    a1 = h1.action[rows]
    w = np.where(h2.decided[rows], 4.0, 2.0)
    X = np.column_stack([np.ones(len(rows)), a1, a2])
    direct = sm.WLS(t.outcome[rows], X, weights=w).fit(
        cov_type="cluster", cov_kwds={"groups": rows, "use_correction": False}
    )
    model = MSM(stabilised=False, propensity=half).fit(t)
    np.testing.assert_allclose(model.coefficients_, direct.params, rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(model.covariance_)), direct.bse, rtol=1e-6)


def test_a_binary_outcome_agrees_with_estimating_equations() -> None:
    rng = np.random.default_rng(0)
    frame = a_table(800, 4)
    frame["y"] = (rng.random(800) < expit(frame["y"])) * 1.0
    t = Trajectories.from_wide(frame, two_stages(), outcome="y")
    half = [np.full((800, 2), 0.5), np.column_stack([np.full(800, 0.4), np.full(800, 0.6)])]
    a1, a2 = t.stages[0].action, t.stages[1].action
    w = 2 / np.where(a2 == 1, 0.6, 0.4)
    X = np.column_stack([np.ones(800), a1, a2])
    direct = sm.GEE(t.outcome, X, groups=np.arange(800), family=sm.families.Binomial(),
                    weights=w).fit(ctol=1e-12)  # fmt: skip
    model = MSM(family="binomial", stabilised=False, propensity=half).fit(t)
    np.testing.assert_allclose(model.coefficients_, direct.params, rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(model.covariance_)), direct.bse, rtol=1e-5)


def test_modifiers_make_stabilised_weights_less_variable() -> None:
    t = a_cohort(6000, 3)
    plain = MSM(interactions=True).fit(t)
    model = MSM(interactions=True, modifiers=("x1",), modified=True).fit(t)
    assert model.names_[3:] == (
        "x1", "first=high:second=high", "first=high:x1", "second=high:x1")  # fmt: skip
    assert (model.weight_summary_.standard_deviation
            < 0.8 * plain.weight_summary_.standard_deviation)  # fmt: skip
    mean = model.mean_outcome({"first": "high", "second": "high"}, {"x1": 0.0})
    assert abs(mean.estimate - truth("high", "high")) < 3 * mean.standard_error


def test_a_combination_is_the_difference_of_two_means() -> None:
    model = MSM(references={"first": "high"}).fit(a_cohort(1000, 3))
    low = model.mean_outcome({"first": "low", "second": "low"})
    high = model.mean_outcome({"first": "high", "second": "low"})
    effect = model.combination({"first=low": 1.0}, "low instead of high")
    assert effect.estimate == pytest.approx(low.estimate - high.estimate)
    assert effect.low < effect.estimate < effect.high
    assert list(model.summary()["label"]) == list(model.names_)


def test_lower_is_better_leaves_coefficients_as_they_are() -> None:
    one, other = MSM().fit(a_cohort(500)), MSM().fit(a_cohort(500, better="lower"))
    np.testing.assert_allclose(one.coefficients_, other.coefficients_, rtol=1e-9)


def test_rows_change_nothing_and_missing_outcomes_are_weighted_for() -> None:
    t = a_cohort(8000, 3, lost=True)
    model = MSM(interactions=True, missing="weight", truncate=200.0).fit(t)
    again = MSM(interactions=True, missing="weight", truncate=200.0).fit(
        t.take(np.random.default_rng(0).permutation(8000))
    )
    np.testing.assert_allclose(again.coefficients_, model.coefficients_, rtol=1e-8)
    mean = model.mean_outcome({"first": "high", "second": "high"})
    assert abs(mean.estimate - truth("high", "high")) < 3 * mean.standard_error
    assert "missing in" in model.notes_[0]


def test_truncation_is_noted() -> None:
    model = MSM(truncate=0.9).fit(a_cohort(500))
    assert any("weights truncated at" in note for note in model.notes_)


def test_it_is_cloned_as_it_was_made() -> None:
    model = MSM(modifiers=("x1",), family="binomial", level=0.9)
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param(MSM(family="poisson"), "family 'poisson' is not understood", id="family"),  # type: ignore[arg-type]
        pytest.param(MSM(family="binomial"), "needs outcomes of 0 and 1, but y has others",
                     id="not binary"),
        pytest.param(MSM(references={"third": "low"}), "there is no stage 'third'", id="stage"),
        pytest.param(MSM(references={"first": "more"}), "stage first has no action 'more'",
                     id="reference"),
        pytest.param(MSM(modifiers=("x2",)), "'x2' is no variable of the first stage",
                     id="modifier"),
        pytest.param(MSM(propensity=[np.zeros((200, 2))] * 2),
                     "stage first: 200 rows took an action whose propensity is 0", id="zero"),
    ],
)  # fmt: skip
def test_bad_parameters_are_named(model: MSM, message: str) -> None:
    with pytest.raises(EstimationError, match=message):
        model.fit(a_cohort(200))


def test_an_infeasible_action_leaves_its_mean_undefined() -> None:
    t = a_cohort(300)
    h = t.stages[0]
    feasible = h.feasible.copy()
    feasible[h.action == 0, 1] = False
    with pytest.raises(EstimationError, match=r"stage first: in \d+ of 300 rows not every action "
                       "is feasible"):  # fmt: skip
        MSM().fit(replace(t, stages=(replace(h, feasible=feasible), t.stages[1])))


def test_coefficients_that_cannot_be_told_apart_are_refused() -> None:
    t = a_cohort(300)
    same = replace(t.stages[1], action=t.stages[0].action)
    half = [np.full((300, 2), 0.5)] * 2
    with pytest.raises(EstimationError, match=r"cannot tell the 3 coefficients .* apart \(rank 2"):
        MSM(propensity=half, stabilised=False).fit(replace(t, stages=(t.stages[0], same)))


def test_a_mean_or_combination_of_what_is_not_there_is_refused() -> None:
    model = MSM().fit(a_cohort(200))
    with pytest.raises(EstimationError, match="give an action for each of first, second"):
        model.mean_outcome({"first": "low"})
    with pytest.raises(EstimationError, match="stage second has no action 'more'"):
        model.mean_outcome({"first": "low", "second": "more"})
    with pytest.raises(EstimationError, match="the model has no coefficient 'third=high'"):
        model.combination({"third=high": 1.0})


def test_modifiers_need_everybody_to_have_a_first_decision() -> None:
    t = a_cohort(200, responders=True)
    with pytest.raises(EstimationError, match=r"stage second: \d+ rows have no decision there"):
        MSM(modifiers=("x2",)).fit(replace(t, stages=(t.stages[1],)))
