"""What goes wrong in a confounded cohort goes wrong here, and can be switched off."""

import numpy as np
import pytest
import statsmodels.api as sm

from cds_engine.simulate import (
    ActivityParameters,
    ActivitySmart,
    DepressionParameters,
    DepressionSmart,
    DiabetesCohort,
    DiabetesParameters,
    HypertensionCohort,
    HypertensionParameters,
    SimulationError,
)
from cds_engine.simulate.noise import Floats
from cds_engine.simulate.world import Array, Columns, Draw, Rule

N = 40_000


def crude(data: Draw, stage: str, action: str, other: str) -> tuple[float, float]:
    """The difference of mean outcomes by the action taken, with its standard error."""
    taken = data.columns[f"action_{stage}"]
    a, b = data.outcome[taken == action], data.outcome[taken == other]
    error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    return float(a.mean() - b.mean()), float(error)


@pytest.mark.parametrize(
    ("stage", "drug"), [("three_months", "add_ace"), ("six_months", "add_ccb")]
)
def test_the_crude_difference_of_adding_a_drug_has_the_wrong_sign(stage: str, drug: str) -> None:
    world = HypertensionCohort()
    difference, error = crude(world.draw(N, 1), stage, drug, "keep")
    with_drug = {"three_months": (drug, "keep"), "six_months": ("keep", drug)}[stage]
    assert world.exact(*with_drug) - world.exact("keep", "keep") < -3
    assert difference > 5 * error > 0


def test_whoever_got_both_drugs_fares_no_better_than_whoever_got_none() -> None:
    world = HypertensionCohort()
    data = world.draw(N, 2)
    first, second = data.columns["action_three_months"], data.columns["action_six_months"]
    both = data.outcome[(first == "add_ace") & (second == "add_ccb")]
    none = data.outcome[(first == "keep") & (second == "keep")]
    assert both.mean() - none.mean() > 1
    assert world.exact("add_ace", "add_ccb") - world.exact("keep", "keep") < -5


def test_adjusting_for_the_later_pressure_gives_the_wrong_effect_of_the_first_drug() -> None:
    """The regression is flexible enough for the blips; what it conditions on is at fault."""
    world = HypertensionCohort()
    data = world.draw(N, 3)
    rows = data.columns["action_six_months"] == "keep"
    known = {name: np.asarray(values)[rows] for name, values in data.columns.items()}
    fit = sm.OLS(known["outcome"], sm.add_constant(_design(known))).fit(cov_type="HC1")
    truth = world.exact("add_ace", "keep") - world.exact("keep", "keep")
    assert abs(fit.params[1] - truth) > 5 * fit.bse[1]


def _design(known: dict[str, Floats]) -> Floats:
    """The first drug, its products with what is known before it, and everything recorded."""
    a = (known["action_three_months"] == "add_ace").astype(float)
    # the mean of the pressure among all patients, so that the coefficient is the mean effect
    before = np.column_stack([known["sbp_three_months"] - 151.2,
                              known["potassium_three_months"] - 4.4])  # fmt: skip
    rest = [known[n].astype(float) for n in ("sbp_six_months", "potassium_six_months", "age",
                                             "diabetes")]  # fmt: skip
    return np.column_stack([a, a[:, None] * before, before, *rest])


def test_the_g_formula_with_the_true_models_is_right_where_the_crude_mean_is_wrong() -> None:
    """S2 is drawn from its true law given H1, and E[Y | H2] is put in the place of Y."""
    world = HypertensionCohort()
    data, rng = world.draw(N, 4), np.random.default_rng(4)
    for actions in (("add_ace", "add_ccb"), ("keep", "keep")):
        s1 = data.columns["sbp_three_months"]
        p1 = data.columns["potassium_three_months"]
        age, diabetes = data.columns["age"], data.columns["diabetes"]
        # nobody sees U, but its mean is known: given S1, and later given S1 and S2
        off = s1 - (150 + 0.3 * (age - 60) + 4 * diabetes)
        u_mean, u_var = 5 * off / (106 + 1 / 12), 1 - 25 / (106 + 1 / 12)
        a1 = (actions[0] == "add_ace") & (p1 <= 5.5)
        mean = 60 + 0.6 * s1 + a1 * (-(6 + 0.5 * (s1 - 150)) + 8 * (p1 - 4.4))
        var = 9 * u_var + 49 + 1 / 12
        s2 = np.round(mean + 3 * u_mean + np.sqrt(var) * rng.standard_normal(N))
        u_later = u_mean + 3 * u_var / var * (s2 - mean - 3 * u_mean)
        a2 = actions[1] == "add_ccb"
        blip = -(3 + 0.3 * (s2 - 144)) + 0.25 * (age - 60) + a1
        y = 60 + 0.6 * s2 + 3 * u_later + a2 * blip
        error = y.std() / np.sqrt(N)
        assert abs(y.mean() - world.exact(*actions)) < 3 * error
        taken = np.all([data.columns[s.action] == a
                        for s, a in zip(world.stages, actions, strict=True)], axis=0)  # fmt: skip
        wrong = data.outcome[taken]
        assert abs(wrong.mean() - world.exact(*actions)) > 5 * wrong.std() / np.sqrt(len(wrong))


def test_a_regression_of_the_true_form_is_right_in_diabetes_and_the_crude_difference_is_not() -> (
    None
):
    world = DiabetesCohort()
    data = world.draw(N, 5)
    truth = world.exact("sglt2i") - world.exact("sulfonylurea")
    difference, error = crude(data, "second_line", "sglt2i", "sulfonylurea")
    assert truth < -0.15
    assert difference > 5 * error > 0
    c = data.columns
    base = np.column_stack([np.ones(N), c["age"] - 62, c["bmi"] - 31, c["egfr"] - 82,
                            c["heart_failure"], c["hba1c"] - 8.4])  # fmt: skip

    def design(taken: Floats) -> Floats:
        return np.hstack([base * (taken == a)[:, None] for a in world.stages[0].actions])

    fitted = np.linalg.lstsq(design(c["action_second_line"]), c["outcome"], rcond=None)[0]
    for action in world.stages[0].actions:
        [rule] = world.fixed(action)
        predicted = design(rule(data.history(0))) @ fitted
        # the error of the mean over patients and that of the fit, of which this is a bound
        error = 2 * c["outcome"].std() / np.sqrt(N / 4)
        assert abs(predicted.mean() - world.exact(action)) < error


@pytest.mark.parametrize(
    "world",
    [
        HypertensionCohort(HypertensionParameters(confounding=0)),
        DiabetesCohort(DiabetesParameters(confounding=0)),
    ],
    ids=lambda world: world.name,
)
def test_without_confounding_the_lots_are_equal_where_all_is_feasible(
    world: HypertensionCohort | DiabetesCohort,
) -> None:
    data = world.draw(2000, 1)
    for stage in world.stages:
        known = data.history(stage.name)
        free = world.feasible(stage.name, known).all(axis=1)
        share = world.propensity(stage.name, known)[free]
        np.testing.assert_allclose(share, 1 / len(stage.actions), atol=1e-12)


def test_without_confounding_the_crude_difference_is_right() -> None:
    world = HypertensionCohort(HypertensionParameters(confounding=0))
    data = world.draw(N, 6)
    difference, error = crude(data, "six_months", "add_ccb", "keep")
    means = [np.mean([world.exact(a, b) for a in ("add_ace", "keep")])
             for b in ("add_ccb", "keep")]  # fmt: skip
    assert abs(difference - (means[0] - means[1])) < 3 * error


@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_more_confounding_makes_positivity_poor(strength: float) -> None:
    for world in (HypertensionCohort(HypertensionParameters(confounding=strength)),
                  DiabetesCohort(DiabetesParameters(confounding=strength))):  # fmt: skip
        known = world.draw(5000, 1).history(0)
        share = world.propensity(0, known)
        rare = ((share < 0.01) & world.feasible(0, known)).any(axis=1).mean()
        assert (rare > 0.1) == (strength > 1)


def test_a_hidden_confounder_moves_treatment_and_leaves_no_propensity() -> None:
    world = HypertensionCohort(HypertensionParameters(confounding=0, hidden=1.0))
    data = world.draw(N, 7)
    sicker = data.noise["severity"] > 0
    treated = data.columns["action_three_months"] == "add_ace"
    assert treated[sicker].mean() - treated[~sicker].mean() > 0.2
    assert not any(name.startswith("_") for name in data.columns)
    with pytest.raises(SimulationError, match="the choice depends on what no table holds"):
        world.propensity("three_months", data.history("three_months"))
    seen: list[set[str]] = []

    def keep(h: Columns) -> Array:
        seen.append(set(h))
        return np.full(N, "keep")

    data.potential([keep, keep])
    assert not any(name.startswith("_") for names in seen for name in names)


def test_without_effects_every_fixed_regime_is_worth_the_same() -> None:
    world = HypertensionCohort(HypertensionParameters(effect=0))
    data = world.draw(500, 1)
    outcomes = [data.potential(world.fixed(a, b))
                for a in ("add_ace", "keep") for b in ("add_ccb", "keep")]  # fmt: skip
    for other in outcomes[1:]:
        np.testing.assert_array_equal(outcomes[0], other)
    assert np.isfinite(world.optimal(n=500).value)


def test_the_lots_of_a_trial_can_be_uneven() -> None:
    activity = ActivitySmart(ActivityParameters(coaching=0.8, first_option=0.1))
    data = activity.draw(N, 1)
    assert np.mean(data.columns["action_start"] == "coaching") == pytest.approx(0.8, abs=0.01)
    again = data.columns["action_eight_weeks"]
    coached = np.isin(again, ["gym", "interview"])
    assert np.mean(again[coached] == "gym") == pytest.approx(0.1, abs=0.01)
    depression = DepressionSmart(DepressionParameters(sertraline=0.3, augment=0.6))
    shares = depression.propensity("start", depression.draw(3, 1).history("start"))
    np.testing.assert_allclose(shares, np.tile([0.3, 0.7], (3, 1)))


def test_the_response_rates_are_as_stated_and_a_rise_of_ten_percent_is_no_response() -> None:
    world = ActivitySmart()
    data = world.draw(N, 2)
    for first in ("coaching", "classes"):
        under = data.under(world.fixed(first, {"coaching": "gym", "classes": "kit"}[first]))
        rate = under["responder"].mean()
        error = np.sqrt(rate * (1 - rate) / N)
        assert abs(rate - world.response_rate(first)) < 3 * error
    rises = data.columns["steps_eight_weeks"] * 10 - data.columns["steps_start"] * 11
    assert (data.columns["responder"] == (rises > 0)).all()
    assert (rises == 0).any()
    assert not data.columns["responder"][rises == 0].any()


def test_the_embedded_regimes_are_the_four_of_the_design() -> None:
    world = ActivitySmart()
    assert sorted(world.embedded()) == [
        "classes, kit", "classes, trainer", "coaching, gym", "coaching, interview",
    ]  # fmt: skip
    data = world.draw(100, 1)
    np.testing.assert_array_equal(
        data.potential(world.embedded()["classes, kit"]),
        data.potential(world.fixed("classes", "kit")),
    )


def test_the_value_of_any_regime_in_depression_is_a_finite_sum() -> None:
    world = DepressionSmart()

    def first(h: Columns) -> Array:
        return np.where(h["gad7"] > 12, "sertraline", "cbt")

    def second(h: Columns) -> Array:
        return np.where((h["phq9"] > 11) & (h["step"] == "cbt"), "switch", "augment")

    value, error = world.value([first, second], n=100_000, seed=5)
    assert abs(value - world.exact_value([first, second])) < 3 * error
    assert abs(value - world.exact_value({"start": first, "eight_weeks": second})) < 3 * error


def test_dynamic_programming_finds_what_no_single_change_improves() -> None:
    world = DepressionSmart()
    first, second = world.optimal(n=10).regime
    best = world.exact_value([first, second])
    flips = {"sertraline": "cbt", "cbt": "sertraline", "augment": "switch", "switch": "augment"}

    def flipped(rule: Rule, score: str, at: float) -> Rule:
        def changed(h: Columns) -> Array:
            taken = rule(h)
            other = np.array([flips[a] for a in taken], dtype=object)
            return np.where(h[score] == at, other, taken)

        return changed

    for gad in (0, 5, 10, 15, 21):
        assert world.exact_value([flipped(first, "gad7", gad), second]) > best
        assert world.exact_value([first, flipped(second, "gad7", gad)]) > best
    for phq in (5, 9, 14, 22):
        assert world.exact_value([first, flipped(second, "phq9", phq)]) > best
