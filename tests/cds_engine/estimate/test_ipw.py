from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from builders.cohorts import HIGH_HIGH, LOW_LOW, TAILORED, a_cohort, truth
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from cds_engine.errors import EstimationError
from cds_engine.estimate.crude import crude_difference, crude_value, observed_value
from cds_engine.estimate.ipw import ipw_value
from cds_engine.estimate.rule import Always, Observed, Rules
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.weights import cumulative_weights, propensities, truncated

REGIMES = [
    pytest.param(HIGH_HIGH, "high", "high", id="high, high"),
    pytest.param(LOW_LOW, "low", "low", id="low, low"),
    pytest.param(TAILORED, "high", -0.4, id="tailored"),
]


def true_propensities(t: Trajectories) -> list[np.ndarray]:
    shares = [expit(t.stages[0].columns["x1"]), expit(t.stages[1].columns["x2"])]
    return [np.column_stack([1 - p, p]) * h.decided[:, None]
            for p, h in zip(shares, t.stages, strict=True)]  # fmt: skip


@pytest.mark.parametrize("responders", [False, True])
@pytest.mark.parametrize(("rules", "first", "second"), REGIMES)
def test_the_value_is_within_three_standard_errors_of_the_truth(
    rules: Rules, first: str, second: str | float, *, responders: bool
) -> None:
    t = a_cohort(8000, 3, responders=responders)
    value = ipw_value(t, rules)
    wanted = truth(first, second, responders=responders)
    assert abs(value.estimate - wanted) < 3 * value.standard_error
    assert value.standard_error < 0.12


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("sampled", [True, False])
def test_the_value_is_the_weighted_mean_computed_by_hand(
    *, normalised: bool, sampled: bool
) -> None:
    t = a_cohort(500, 4, responders=True)
    s = np.random.default_rng(0).uniform(0.5, 2, 500) if sampled else np.ones(500)
    t = replace(t, weights=s)
    p = true_propensities(t)
    value = ipw_value(t, TAILORED, propensity=p, normalised=normalised)
    a1, a2 = t.stages[0].action, t.stages[1].action
    x2, decided = t.stages[1].columns["x2"], t.stages[1].decided
    w = (a1 == 1) / p[0][:, 1]
    w2 = np.where(x2 > -0.4, (a2 == 1) / expit(x2), (a2 == 0) / (1 - expit(x2)))
    w = s * w * np.where(decided, w2, 1)
    y = t.outcome
    if normalised:
        estimate = np.sum(w * y) / np.sum(w)
        error = np.sqrt(np.sum((w * (y - estimate)) ** 2)) / np.sum(w)
    else:
        estimate = np.sum(w * y) / np.sum(s)
        error = np.sqrt(np.sum((w * y - s * estimate) ** 2)) / np.sum(s)
    assert value.estimate == pytest.approx(estimate, rel=1e-12)
    assert value.standard_error == pytest.approx(error, rel=1e-12)
    assert value.followers == np.count_nonzero(w)
    assert value.effective_n == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert value.influence is not None
    assert np.mean(value.influence) == pytest.approx(0, abs=1e-12)


def test_estimated_propensities_agree_with_a_glm() -> None:
    t = a_cohort(800, 5)
    h1, h2 = t.stages
    one = sm.GLM(h1.action, sm.add_constant(h1.columns["x1"]), family=sm.families.Binomial())
    X2 = np.column_stack([np.ones(800), h1.columns["x1"], h1.action, h2.columns["x2"]])
    two = sm.GLM(h2.action, X2, family=sm.families.Binomial())
    w = h1.action * h2.action / one.fit(tol=1e-12).mu / two.fit(tol=1e-12).mu
    value = ipw_value(t, HIGH_HIGH)
    assert value.estimate == pytest.approx(np.sum(w * t.outcome) / w.sum(), rel=1e-5)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    assert ipw_value(t, HIGH_HIGH, propensity=model).estimate == pytest.approx(
        value.estimate, rel=1e-4
    )


def test_projection_on_the_score_is_the_sandwich_of_estimated_weights() -> None:
    """The stacked estimating equations of propensities and value, by hand."""
    t = a_cohort(1500, 6)
    h = t.stages[0]
    one = replace(t, stages=(h,))
    value = ipw_value(one, [Always("high")], project=True)
    X = sm.add_constant(h.columns["x1"])
    p = sm.Logit(h.action, X).fit(disp=0, tol=1e-12).predict(X)
    w = h.action / p
    psi = w * (t.outcome - value.estimate)
    score = X * (h.action - p)[:, None]
    into = -(X * (psi * (1 - p))[:, None]).mean(axis=0)
    inverse = np.linalg.inv((X * (p * (1 - p))[:, None]).T @ X / 1500)
    influence = (psi + score @ inverse @ into) / w.mean()
    direct = np.sqrt(np.sum(influence**2)) / 1500
    assert value.standard_error == pytest.approx(direct, rel=0.03)
    assert value.standard_error < ipw_value(one, [Always("high")]).standard_error


def test_a_trial_uses_the_design_and_gains_by_estimating() -> None:
    t = a_cohort(3000, 7, randomised=True)
    known = ipw_value(t, HIGH_HIGH)
    projected = ipw_value(t, HIGH_HIGH, propensity="estimate", project=True)
    assert known.weights is not None
    assert known.weights.largest == 4
    for value in (known, projected):
        assert abs(value.estimate - truth("high", "high")) < 3 * value.standard_error
    assert projected.standard_error < 0.9 * known.standard_error


def test_what_is_usual_counts_with_a_factor_of_one() -> None:
    t = a_cohort(400)
    usual = ipw_value(t, [Observed(), Observed()])
    assert usual.estimate == pytest.approx(t.outcome.mean())
    assert usual.followers == 400
    half = ipw_value(t, [Always("high"), Observed()])
    w = (t.stages[0].action == 1) / propensities(t)[0][:, 1]
    assert half.estimate == pytest.approx(np.sum(w * t.outcome) / w.sum())


def test_weights_are_truncated_and_it_is_said() -> None:
    t = a_cohort(1000)
    free, cut = ipw_value(t, LOW_LOW), ipw_value(t, LOW_LOW, truncate=0.9)
    assert free.weights is not None
    assert cut.weights is not None
    assert cut.weights.truncated == pytest.approx(0.1 * cut.followers, abs=1)
    assert cut.weights.largest == cut.weights.truncated_at
    assert cut.weights.largest < free.weights.largest
    assert cut.effective_n > free.effective_n
    assert cut.notes[0].startswith(f"{cut.weights.truncated} weights truncated at ")
    absolute = ipw_value(t, LOW_LOW, truncate=5.0)
    assert absolute.weights is not None
    assert absolute.weights.largest == 5.0


def test_stabilising_moves_weights_and_not_the_estimate() -> None:
    t = a_cohort(1000)
    plain, stable = ipw_value(t, LOW_LOW), ipw_value(t, LOW_LOW, stabilised=True)
    assert stable.estimate == pytest.approx(plain.estimate, rel=1e-12)
    assert stable.weights is not None
    assert stable.weights.mean == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("normalised", [True, False])
def test_missing_outcomes_are_weighted_for_and_never_zero(*, normalised: bool) -> None:
    t = a_cohort(8000, 3, lost=True)
    value = ipw_value(t, TAILORED, missing="weight", normalised=normalised)
    crude = crude_value(t, TAILORED)
    wanted = truth("high", -0.4)
    assert abs(value.estimate - wanted) < 3 * value.standard_error
    assert abs(crude.estimate - wanted) > 3 * crude.standard_error
    gone = int((~t.observed).sum())
    assert f"y is missing in {gone} of 8000; weighted" in value.notes[0]


def test_lower_is_better_turns_only_the_direction_of_reading() -> None:
    up, down = a_cohort(500), a_cohort(500, better="lower")
    one, other = ipw_value(up, TAILORED), ipw_value(down, TAILORED)
    assert one.estimate == pytest.approx(other.estimate, rel=1e-12)
    assert one.influence is not None
    assert other.influence is not None
    np.testing.assert_allclose(one.influence, other.influence)


def test_the_crude_difference_has_the_wrong_sign_where_the_adjusted_is_right() -> None:
    t = a_cohort(8000, 3)
    difference = ipw_value(t, HIGH_HIGH).minus(ipw_value(t, LOW_LOW))
    wanted = truth("high", "high") - truth("low", "low")
    crude = crude_value(t, HIGH_HIGH).minus(crude_value(t, LOW_LOW))
    assert wanted > 0.8
    assert abs(difference.estimate - wanted) < 3 * difference.standard_error
    assert crude.high < 0
    assert crude_difference(t, "first", "high", "low").high < 0


def test_crude_numbers_are_plain_means() -> None:
    t = a_cohort(500, lost=True)
    high = (t.stages[0].action == 1) & t.observed
    low = (t.stages[0].action == 0) & t.observed
    crude = crude_difference(t, "first", "high", "low")
    means = t.outcome[high].mean() - t.outcome[low].mean()
    assert crude.estimate == pytest.approx(means)
    variance = t.outcome[high].var() / high.sum() + t.outcome[low].var() / low.sum()
    assert crude.standard_error == pytest.approx(np.sqrt(variance))
    assert "crude: not adjusted for why the actions were chosen" in crude.notes
    assert any("lack an outcome and are left out" in note for note in crude.notes)


def test_usual_care_is_the_mean_of_what_was() -> None:
    t = a_cohort(500)
    usual = observed_value(t)
    assert usual.estimate == pytest.approx(t.outcome.mean())
    assert usual.standard_error == pytest.approx(t.outcome.std() / np.sqrt(500))
    lost, whole = a_cohort(8000, 3, lost=True), a_cohort(8000, 3)
    weighted = observed_value(lost, missing="weight")
    assert abs(weighted.estimate - whole.outcome.mean()) < 0.05
    assert abs(lost.outcome[lost.observed].mean() - whole.outcome.mean()) > 0.05


def nobody_high_then_low(n: int = 400) -> Trajectories:
    t = a_cohort(n)
    return t.take(~((t.stages[0].action == 1) & (t.stages[1].action == 0)))


def test_nobody_followed_is_refused() -> None:
    t = nobody_high_then_low()
    with pytest.raises(EstimationError, match=f"up, down: 0 of {len(t)} followed it at every stage"
                       ", so that no weight can stand for the rest; its value could only come "
                       "from models, as that of the g-formula does$"):  # fmt: skip
        ipw_value(t, [Always("high"), Always("low")], label="up, down")
    weighted = a_cohort(400)
    followed = (weighted.stages[0].action == 1) & (weighted.stages[1].action == 0)
    weighted = replace(weighted, weights=np.where(followed, 0.0, 1.0))
    with pytest.raises(EstimationError, match="have a sample weight of 0, so that none can stand "
                       "for the rest; its value could only come from models"):  # fmt: skip
        ipw_value(weighted, [Always("high"), Always("low")], label="up, down")


def test_too_small_an_effective_n_is_refused() -> None:
    t = a_cohort(300)
    with pytest.raises(EstimationError, match=r"the regime: the \d+ who followed it weigh as much "
                       r"as \d+\.\d, fewer than the 200 asked for"):  # fmt: skip
        ipw_value(t, LOW_LOW, least_effective_n=200)


def test_missing_outcomes_are_refused_unless_weighted_for() -> None:
    t = a_cohort(300, lost=True)
    with pytest.raises(EstimationError, match=r"y is missing in \d+ of 300 rows"):
        ipw_value(t, LOW_LOW)
    with pytest.raises(EstimationError, match="missing='drop' is not understood"):
        ipw_value(t, LOW_LOW, missing="drop")  # type: ignore[arg-type]


def test_an_outcome_that_the_history_takes_away_for_certain_is_refused() -> None:
    t = a_cohort(300)
    outcome = np.where(t.stages[0].columns["x1"] > 1, np.nan, t.outcome)
    with pytest.raises(EstimationError, match="the history foretells perfectly whose outcome is "
                       "missing"):  # fmt: skip
        ipw_value(replace(t, outcome=outcome), LOW_LOW, missing="weight")


def test_a_propensity_of_zero_for_what_was_done_is_refused() -> None:
    t = a_cohort(300)
    none = [np.zeros((300, 2)), np.ones((300, 2))]
    with pytest.raises(EstimationError, match=r"stage first: \d+ rows took an action whose "
                       "propensity is 0"):  # fmt: skip
        ipw_value(t, HIGH_HIGH, propensity=none)


@pytest.mark.parametrize(
    ("rules", "options", "message"),
    [
        pytest.param(HIGH_HIGH[:1], {}, "the regime has 1 rules, the trajectories have 2 stages",
                     id="a rule too few"),
        pytest.param(HIGH_HIGH, {"propensity": [None]}, "1 were given for 2 stages",
                     id="a propensity too few"),
        pytest.param(HIGH_HIGH, {"propensity": [np.ones((3, 2)), None]},
                     r"stage first: propensities of the shape \(3, 2\) were given for 100 rows",
                     id="propensities of other rows"),
        pytest.param(HIGH_HIGH, {"truncate": 0.0}, "weights cannot be truncated at 0.0",
                     id="truncated to nothing"),
        pytest.param(HIGH_HIGH, {"project": True, "propensity": LogisticRegression()},
                     "a LogisticRegression has no score to project on", id="no score"),
        pytest.param(HIGH_HIGH, {"project": True, "propensity": [np.full((100, 2), 0.5)] * 2},
                     "no propensity was estimated, so that there is no score", id="nothing to"),
    ],
)  # fmt: skip
def test_bad_input_is_named(rules: Rules, options: dict[str, object], message: str) -> None:
    with pytest.raises(EstimationError, match=message):
        ipw_value(a_cohort(100), rules, **options)  # type: ignore[arg-type]


def test_a_crude_difference_of_what_is_not_there_is_refused() -> None:
    t = a_cohort(100)
    with pytest.raises(EstimationError, match="there is no stage 'third'; there are first, second"):
        crude_difference(t, "third", "high", "low")
    with pytest.raises(EstimationError, match="stage first has no action 'more'"):
        crude_difference(t, "first", "more", "low")
    with pytest.raises(EstimationError, match="nobody is among those who followed up, down"):
        crude_value(nobody_high_then_low(), [Always("high"), Always("low")], label="up, down")


def test_weights_multiply_over_stages() -> None:
    t = a_cohort(50)
    w = cumulative_weights(t, [h.action for h in t.stages], [np.full((50, 2), 0.25)] * 2)
    assert (w == [[4.0], [16.0]]).all()
    assert truncated(w[1], None)[1].mean == 16


def test_the_order_of_rows_changes_nothing() -> None:
    t = a_cohort(600, 4, lost=True)
    order = np.random.default_rng(0).permutation(600)
    one = ipw_value(t, TAILORED, missing="weight")
    other = ipw_value(t.take(order), TAILORED, missing="weight")
    assert other.estimate == pytest.approx(one.estimate, rel=1e-9)
    assert other.standard_error == pytest.approx(one.standard_error, rel=1e-9)


def test_followers_without_weight_stand_for_nobody() -> None:
    t = a_cohort(100)
    both = (t.stages[0].action == 1) & (t.stages[1].action == 1)
    weightless = replace(t, weights=np.where(both, 0.0, 1.0))
    half = [np.full((100, 2), 0.5)] * 2
    with pytest.raises(EstimationError, match=rf"the {both.sum()} who followed it .* weight of 0"):
        ipw_value(weightless, HIGH_HIGH, propensity=half)
