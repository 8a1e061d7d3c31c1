from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from builders.cohorts import HIGH_HIGH, LOW_LOW, TAILORED, Above, a_cohort, a_table, truth
from scipy.stats import norm

from cds_engine.errors import EstimationError
from cds_engine.estimate.comparison import fixed_regimes, most_followed, value_table
from cds_engine.estimate.crude import observed_value
from cds_engine.estimate.doubly_robust import dr_value
from cds_engine.estimate.g_formula import g_formula_value
from cds_engine.estimate.rule import Always
from cds_engine.estimate.simultaneous import critical_value, joint_covariance, simultaneous
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.trajectories import Trajectories


class Learner:
    """Always learns the tailored regime."""

    def fit(self, t: Trajectories) -> None:
        assert len(t)
        self.rules_ = TAILORED


def test_the_table_holds_regimes_fixed_ones_and_usual_care() -> None:
    t = a_cohort(8000, 3)
    table = value_table(t, {"tailored": TAILORED, "learned": Learner()})
    frame = table.frame().set_index("label")
    assert list(frame["kind"]) == ["regime", "learned", "fixed", "fixed", "usual care"]
    assert list(frame.index) == ["tailored", "learned", "low", "high", "usual care"]
    assert table.value("tailored").estimate == dr_value(t, TAILORED).estimate
    for label, wanted in (("tailored", truth("high", -0.4)), ("low", truth("low", "low")),
                          ("high", truth("high", "high"))):  # fmt: skip
        value = table.value(label)
        assert abs(value.estimate - wanted) < 3 * value.standard_error
    assert table.usual.estimate == pytest.approx(t.outcome.mean())
    assert table.best_fixed.label == "high"
    assert "the best of 2 fixed regimes on the same data" in table.best_fixed.notes[-1]


def test_the_table_shows_the_crude_means_and_how_they_mislead() -> None:
    table = value_table(a_cohort(8000, 3), {})
    low, high, _ = table.rows
    assert low.crude is not None
    assert high.crude is not None
    assert low.crude.estimate > high.crude.estimate
    assert low.value.estimate < high.value.estimate
    assert list(table.frame()["crude"])[:2] == [low.crude.estimate, high.crude.estimate]


def test_differences_in_the_table_are_paired() -> None:
    t = a_cohort(2000, 3)
    table = value_table(t, {"tailored": TAILORED})
    one, high = table.value("tailored"), table.value("high")
    gain = table.frame().iloc[0]
    difference = one.minus(high)
    assert gain["minus_best_fixed"] == pytest.approx(difference.estimate)
    assert gain["minus_best_fixed_low"] == pytest.approx(difference.low)
    assert one.influence is not None
    assert high.influence is not None
    direct = np.std(one.influence - high.influence) / np.sqrt(2000)
    assert difference.standard_error == pytest.approx(direct)
    assert difference.standard_error < np.hypot(one.standard_error, high.standard_error)
    labels = [d.label for d in table.differences("tailored")]
    assert labels == [f"tailored minus {other}" for other in ("low", "high", "usual care")]
    wide = table.differences("tailored", at_once=True)
    for narrow, wider in zip(table.differences("tailored"), wide, strict=True):
        assert wider.low < narrow.low


def test_the_best_fixed_one_follows_the_direction() -> None:
    t = a_cohort(2000, 3)
    turned = replace(t, better="lower")
    assert value_table(turned, {}).best_fixed.label == "high"
    assert value_table(turned, {}).best_fixed.estimate < 0
    assert value_table(t, {}).best_fixed.estimate > 0


def test_stages_with_other_actions_give_every_sequence_once() -> None:
    frame = a_table(600)
    frame["action_second"] = np.where(frame["action_first"] == "high", "gym", "walk")
    frame.loc[::2, "action_second"] = "rest"
    specs = [
        HistorySpec(stage="first", variables=("x1",), actions=("low", "high")),
        HistorySpec(stage="second", variables=("action_first",), actions=("gym", "walk", "rest"),
                    feasible={"gym": "action_first is high", "walk": "action_first is low"}),
    ]  # fmt: skip
    t = Trajectories.from_wide(frame, specs, outcome="y")
    assert list(fixed_regimes(t)) == ["low > gym", "low > rest", "high > gym", "high > rest"]


def many_sequences(n: int = 3000) -> Trajectories:
    """Return a cohort with twelve first actions and eight second ones, the first taken most."""
    rng = np.random.default_rng(4)
    first = np.minimum(rng.geometric(0.2, n) - 1, 11)
    second = np.minimum(rng.geometric(0.3, n) - 1, 7)
    first[:12], second[:8] = np.arange(12), np.arange(8)
    frame = pd.DataFrame({
        "id": np.arange(n), "x": rng.normal(size=n), "y": rng.normal(size=n),
        "action_s1": [f"a{at:02d}" for at in first], "action_s2": [f"b{at}" for at in second],
    })  # fmt: skip
    specs = [
        HistorySpec(stage="s1", variables=("x",), actions=tuple(f"a{at:02d}" for at in range(12))),
        HistorySpec(stage="s2", variables=("x",), actions=tuple(f"b{at}" for at in range(8)),
                    feasible={"b0": "x > -9"}),
    ]  # fmt: skip
    return Trajectories.from_wide(frame, specs, outcome="y")


def test_of_too_many_sequences_those_most_followed_are_kept() -> None:
    t = many_sequences()
    taken = list(zip(*(h.action.tolist() for h in t.stages), strict=True))
    count = Counter(f"a{one:02d} > b{other}" for one, other in taken)
    kept = fixed_regimes(t)
    most = sorted(count.values(), reverse=True)[:64]
    assert len(count) > 64
    assert [count[label] for label in kept] == most
    [note] = kept.notes
    assert note.startswith("of 96 fixed regimes only the 64 that most followed were valued; the")


def test_rows_without_weight_follow_nothing() -> None:
    t = many_sequences()
    weights = np.where(t.stages[0].action == 3, 1.0, 0.0)
    kept = fixed_regimes(replace(t, weights=weights))
    assert kept
    assert {label.split(" > ")[0] for label in kept} == {"a03"}


def test_the_table_says_which_fixed_regimes_were_left_out() -> None:
    t = a_cohort(300)
    rules = dict.fromkeys((f"often {at}" for at in range(64)), (Always("high"), Always("low")))
    rules["rare"] = (Always("low"), Always("low"))
    followers = dr_value(t, rules["rare"]).followers
    assert 0 < followers < dr_value(t, rules["often 0"]).followers
    kept = most_followed(t, {"rare": rules["rare"], **rules})
    assert "rare" not in kept
    table = value_table(t, {}, fixed=rules, n_folds=2)
    assert len(table.rows) == 65
    assert "of 65 fixed regimes only the 64 that most followed" in table.notes[0]
    assert value_table(t, {}, n_folds=2).notes == ()


def test_a_regime_whose_followers_weigh_nothing_has_no_crude_mean() -> None:
    t = a_cohort(400)
    low = (t.stages[0].action == 0) & (t.stages[1].action == 0)
    half = [np.full((400, 2), 0.5)] * 2
    t = replace(t, weights=np.where(low, 0.0, 1.0))
    table = value_table(t, {}, propensity=half, n_folds=2)
    assert [row.crude is None for row in table.rows] == [True, False, False]


def test_labels_are_each_used_once_and_known() -> None:
    t = a_cohort(300)
    with pytest.raises(EstimationError, match="two regimes are called 'high'"):
        value_table(t, {"high": TAILORED})
    table = value_table(t, {"tailored": TAILORED}, fixed={})
    with pytest.raises(EstimationError, match="there is no value of 'best'; there are tailored"):
        table.value("best")
    with pytest.raises(EstimationError, match="no fixed regime was valued"):
        _ = table.best_fixed
    assert "minus_best_fixed" not in table.frame()


def test_missing_outcomes_are_weighted_for_in_every_row_and_noted() -> None:
    frame = value_table(a_cohort(3000, 3, lost=True), {"t": TAILORED}, missing="weight").frame()
    assert frame["notes"].str.contains("missing in").all()
    assert frame["crude"].iloc[-1] != frame["estimate"].iloc[-1]


def test_a_subgroup_is_the_value_among_its_members() -> None:
    t = a_cohort(20_000, 3)
    value = dr_value(t, HIGH_HIGH)
    young = t.stages[0].columns["x1"] > 0
    inside = value.among(young, "x1 > 0")
    wanted = truth("high", "high") - 1.25 * np.sqrt(2 / np.pi)
    assert abs(inside.estimate - wanted) < 3 * inside.standard_error
    assert inside.n == young.sum()
    outside = value.among(~young, "x1 <= 0")
    whole = (inside.estimate * inside.n + outside.estimate * outside.n) / len(t)
    assert whole == pytest.approx(value.estimate)
    apart = inside.minus(outside)
    assert apart.n == len(t)
    assert apart.standard_error == pytest.approx(
        np.hypot(inside.standard_error, outside.standard_error), rel=1e-6
    )
    difference = value.minus(dr_value(t, LOW_LOW)).among(young, "x1 > 0")
    wanted = truth("high", "high") - truth("low", "low") + 0.25 * np.sqrt(2 / np.pi)
    assert abs(difference.estimate - wanted) < 3 * difference.standard_error


def test_a_subgroup_of_weighted_rows_is_a_weighted_mean() -> None:
    t = a_cohort(500)
    s = np.random.default_rng(0).uniform(0.5, 2, 500)
    some = t.stages[0].columns["x1"] > 0
    usual = observed_value(replace(t, weights=s))
    inside = usual.among(some, "x1 > 0")
    mean = np.average(t.outcome[some], weights=s[some])
    assert inside.estimate == pytest.approx(mean)
    error = np.sqrt(np.sum((s[some] * (t.outcome[some] - mean)) ** 2)) / s[some].sum()
    assert inside.standard_error == pytest.approx(error)
    with pytest.raises(EstimationError, match="nobody: all in this subgroup have a sample weight"):
        observed_value(replace(t, weights=np.where(some, 0.0, s))).among(some, "nobody")


def test_a_subgroup_of_nobody_or_of_a_model_is_refused() -> None:
    t = a_cohort(200)
    with pytest.raises(EstimationError, match="x1 > 9: nobody is in this subgroup"):
        observed_value(t).among(t.stages[0].columns["x1"] > 9, "x1 > 9")
    model = g_formula_value(t, HIGH_HIGH, n_bootstrap=0)
    with pytest.raises(EstimationError, match="without an influence function there are no"):
        model.among(t.stages[0].columns["x1"] > 0, "x1 > 0")
    with pytest.raises(EstimationError, match="they rest on different trajectories"):
        observed_value(t).minus(observed_value(t.take(np.arange(100))))


def test_one_interval_at_once_is_itself_and_many_independent_ones_are_sidak() -> None:
    one = observed_value(a_cohort(400))
    assert critical_value([one]) == pytest.approx(norm.ppf(0.975), rel=0.01)
    noise = np.random.default_rng(0).normal(size=(8, 400))
    noise = np.linalg.qr(noise.T)[0].T
    many = [replace(one, influence=row, standard_error=float(np.linalg.norm(row)) / 400)
            for row in noise]  # fmt: skip
    sidak = norm.ppf(0.5 + 0.5 * 0.95 ** (1 / 8))
    assert critical_value(many) == pytest.approx(sidak, rel=0.01)
    assert critical_value([one] * 5) == pytest.approx(norm.ppf(0.975), rel=0.01)
    wide = simultaneous(many)
    assert wide[0].high - wide[0].estimate == pytest.approx(
        sidak * many[0].standard_error, rel=0.01
    )
    assert "interval holds together with those of 7 others (max-t)" in wide[0].notes


def test_the_joint_covariance_has_the_standard_errors_on_its_diagonal() -> None:
    t = a_cohort(400)
    values = [dr_value(t, rules) for rules in (HIGH_HIGH, TAILORED)]
    covariance = joint_covariance(values)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [v.standard_error for v in values])
    assert critical_value([values[0].minus(values[0])]) == 0


def test_values_that_cannot_be_joined_are_refused() -> None:
    t = a_cohort(200)
    with pytest.raises(EstimationError, match="there is no estimate to give an interval to"):
        simultaneous([])
    with pytest.raises(EstimationError, match="has no influence function, so that nothing is"):
        simultaneous([g_formula_value(t, HIGH_HIGH, n_bootstrap=0)])
    with pytest.raises(EstimationError, match="rest on different trajectories; estimate all"):
        simultaneous([observed_value(t), observed_value(t.take(np.arange(50)))])


def test_a_rule_may_be_anything_that_gives_places() -> None:
    t = a_cohort(400)
    rules = (Always("high"), Above("x2", -0.4))
    assert dr_value(t, rules).estimate == dr_value(t, TAILORED).estimate
