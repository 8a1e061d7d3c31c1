"""What a version promises is held against what happens; the truth of the simulated world says."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.bundles import a_document, a_stage, bundle_of
from builders.replay_worlds import a_world, gained, intensification, points_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.benefit import benefit_of
from cds_engine.decide.cases import given_history
from cds_engine.decide.decide import decide
from cds_engine.estimate.columns import Floats
from cds_engine.replay.figures.benefit import Compared, agreement, benefit, tenths
from cds_engine.replay.figures.cohort import cohort_of
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.gains import predicted
from cds_engine.replay.figures.points import DecisionPoints
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.figures.values import valued
from cds_engine.simulate.hypertension import HypertensionCohort, HypertensionParameters

Json = dict[str, Any]
N = 4000
BUNDLE = intensification()
DOUBLED = {
    "constant: -9.19711": "constant: -18.39422",
    "{sbp: 0.159167, potassium: -3.11164}": "{sbp: 0.318334, potassium: -6.22328}",
    "constant: -24.9261": "constant: -49.8522",
    "{age: -0.252087, sbp: 0.292672, step_is_none: 1.12944}":
        "{age: -0.504174, sbp: 0.585344, step_is_none: 2.25888}",
}  # fmt: skip
"""The same advice to everybody, with twice the promise."""


def promise(frame: pd.DataFrame, bundle: RuleBundle, **given: Any) -> Json:
    found: Json = figures_of(frame, bundle, settings=FigureSettings(**given))["calibration"]
    one: Json = found["benefit"]
    return one


@cache
def drawn(seed: int = 11, n: int = N) -> pd.DataFrame:
    return points_of(a_world().draw(n, seed), intensification())


@cache
def told(seed: int, *, doubled: bool = False) -> Json:
    bundle = intensification(DOUBLED) if doubled else intensification()
    return promise(points_of(a_world().draw(N, seed), bundle), bundle)


@cache
def truth() -> dict[str, float]:
    """Return mean gain, intercept and slope from the potential outcomes of very many patients."""
    bundle, draw = intensification(), a_world().draw(60_000, 5)
    frame, promised, came = points_of(draw, bundle), [], []
    for k, name in enumerate(("three_months", "six_months")):
        part = frame.iloc[k * draw.n : (k + 1) * draw.n].reset_index(drop=True)
        rows = np.flatnonzero(part["decision.action"].notna())
        stage = next(one for one in bundle.stages if one.name == name)
        advised = part["decision.action"].to_numpy(dtype=object)[rows]
        gain = predicted(DecisionPoints(part, bundle), stage, rows, advised)
        against = part["decision.action"].to_numpy(dtype=object).copy()
        against[:] = "keep"
        against[rows] = np.where(gain.against == None, "keep", gain.against)  # noqa: E711 - each
        known = ~np.isnan(gain.estimate)
        promised.append(gain.estimate[known])
        came.append(gained(draw, bundle, k, against)[rows][known])
    x, y = np.concatenate(promised), np.concatenate(came)
    slope, intercept = np.polyfit(x, y, 1)
    return {"slope": float(slope), "intercept": float(intercept), "mean_observed": float(y.mean())}


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_slope_intercept_and_mean_are_within_three_standard_errors_of_the_truth(seed: int) -> None:
    found, true = told(seed), truth()
    assert found["refused"] is None
    for name in ("slope", "intercept"):
        assert abs(found[name] - true[name]) < 3 * found[f"{name}_error"]
    error = (found["mean_observed_high"] - found["mean_observed_low"]) / (2 * 1.959964)
    assert abs(found["mean_observed"] - true["mean_observed"]) < 3 * error


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_version_fitted_to_the_world_is_calibrated_and_one_that_promises_double_is_not(
    seed: int,
) -> None:
    fair, loud = told(seed), told(seed, doubled=True)
    assert abs(fair["slope"] - 1) < 3 * fair["slope_error"]
    assert 1 - loud["slope"] > 3 * loud["slope_error"]
    assert loud["mean_predicted"] == pytest.approx(2 * fair["mean_predicted"], rel=1e-4)
    assert loud["mean_observed"] == fair["mean_observed"]
    top = loud["groups"][-1]
    assert top["predicted_low"] > top["high"]


def test_groups_rise_in_what_was_promised_and_hold_everybody_once() -> None:
    found = told(11)
    gains = [one["predicted"] for one in found["groups"]]
    assert gains == sorted(gains)
    assert len(gains) == 10
    assert sum(one["n"] for one in found["groups"]) == found["n"]
    assert sum(one["n"] for one in found["stages"]) == found["n"]
    for one in found["groups"]:
        assert one["predicted_low"] < one["predicted"] < one["predicted_high"]
        assert one["low"] < one["observed"] < one["high"]


def test_where_tenths_would_be_small_there_are_fewer_groups_and_at_last_none() -> None:
    fewer = promise(drawn(), intensification(), smallest_cell=300)
    assert 1 < len(fewer["groups"]) < 10
    assert min(one["patients"] for one in fewer["groups"]) >= 2 * 300
    none = promise(drawn(), intensification(), smallest_cell=3000)
    assert none["refused"] == (
        "Fewer than 3000 patients took one of the actions that are compared."
    )
    assert none["groups"] == []


def compared(copies: int, gain: Floats, observed: Floats) -> Compared:
    patient = np.concatenate([np.arange(len(gain))] * copies)
    one, other = np.concatenate([gain] * copies), np.concatenate([observed] * copies)
    yes = np.ones(len(one), dtype=np.bool_)
    return Compared(patient, one, one, one, other, yes.astype(np.float64), yes, yes, {})


def test_rows_of_one_patient_say_no_more_than_one_of_them_does() -> None:
    rng = np.random.default_rng(3)
    gain = rng.normal(size=400)
    observed = gain + rng.normal(size=400)
    once, thrice = (agreement(compared(n, gain, observed), 0.95) for n in (1, 3))
    assert (thrice["n"], thrice["patients"]) == (1200, 400)
    for name in ("slope_error", "intercept_error"):
        assert thrice[name] == pytest.approx(once[name], rel=0.005)
    assert thrice["mean_observed_low"] == pytest.approx(once["mean_observed_low"], rel=0.01)


def weighted_and_repeated() -> tuple[Compared, Compared]:
    """Rows that weigh 1 to 9, the more the more was promised, and others that hold them as often.

    Where more was promised, less of it came.
    """
    rng = np.random.default_rng(3)
    gain = rng.normal(2, 1, size=600)
    observed = gain - 0.3 * gain**2 + rng.normal(size=600)
    times = np.clip(np.round(1 + 2 * gain), 1, 9).astype(int)
    each = np.repeat(np.arange(600), times)
    took = rng.random(600) < 0.5
    one = Compared(np.arange(600), gain, gain - 1, gain + gain**2, observed,
                   times.astype(np.float64), took, ~took, {})  # fmt: skip
    return one, replace(one.among(each), weight=np.ones(len(each)))


POINTS = ("mean_predicted", "mean_observed", "intercept", "slope")


def test_a_patient_of_weight_w_says_what_w_patients_would() -> None:
    weighted, repeated = weighted_and_repeated()
    found, wanted = (agreement(one, 0.95) for one in (weighted, repeated))
    plain = agreement(replace(weighted, weight=np.ones(600)), 0.95)
    for name in POINTS:
        assert found[name] == pytest.approx(wanted[name])
        assert abs(found[name] - plain[name]) > 0.05
    # the copies are of one patient: they make nothing surer
    for name in ("slope_error", "intercept_error", "mean_observed_low", "mean_observed_high"):
        assert found[name] == pytest.approx(wanted[name], rel=0.01)
    assert (found["n"], found["patients"]) == (600, 600)


def test_groups_are_tenths_of_those_for_whom_the_patients_stand() -> None:
    weighted, repeated = weighted_and_repeated()
    found, wanted = (tenths(one, FigureSettings(smallest_cell=5)) for one in (weighted, repeated))
    assert len(found) == len(wanted) == 10
    for one, other in zip(found, wanted, strict=True):
        for name in ("predicted", "predicted_low", "predicted_high", "observed"):
            assert one[name] == pytest.approx(other[name])
        assert one["patients"] == other["patients"]
    sizes = [one["n"] for one in found]
    assert sizes[0] > 2 * sizes[-1]
    assert sum(sizes) == 600


def test_those_of_whom_an_action_is_not_known_are_promised_something_too() -> None:
    frame = drawn()
    # of the sicker, to whom more is promised, most second actions are lost
    sick = expit((frame["sbp"].to_numpy(dtype=float) - 145) / 6)
    gone = np.random.default_rng(5).random(len(frame)) < 0.9 * sick
    lost = frame["decision.stage"].eq("six_months") & gone
    untold = frame.assign(**{
        "taken.action": frame["taken.action"].mask(lost),
        "taken.state": frame["taken.state"].mask(lost, "ambiguous"),
    })  # fmt: skip
    left = frame[~frame["key.patient"].isin(frame.loc[lost, "key.patient"])]
    wanted, found, naive = (
        promise(one, BUNDLE, least_effective_n=20) for one in (frame, untold, left)
    )
    apart = abs(naive["mean_predicted"] - wanted["mean_predicted"])
    assert apart > 0.3
    assert abs(found["mean_predicted"] - wanted["mean_predicted"]) < apart / 4
    assert abs(found["slope"] - truth()["slope"]) < 3 * found["slope_error"]


def test_where_few_stand_for_many_less_weight_stands_behind_an_action() -> None:
    points = DecisionPoints.of(drawn(7, 600), BUNDLE)
    asked = FigureSettings()
    found = valued(points, cohort_of(points, asked), asked)
    assert benefit(points, found, asked)["refused"] is None
    t = found.cohort.trajectories
    assert t is not None
    few = np.where(np.arange(len(t)) % 20 == 0, 40.0, 1.0)
    strong = replace(found.cohort, trajectories=replace(t, weights=few))
    told = benefit(points, replace(found, cohort=strong), asked)
    assert "fewer than the 50 that this report demands" in told["refused"]


def test_one_promise_to_everybody_has_a_mean_and_no_slope() -> None:
    rng = np.random.default_rng(3)
    found = agreement(compared(1, np.full(90, 2.0), rng.normal(2, 1, size=90)), 0.95)
    assert (found["slope"], found["mean_predicted"]) == (None, 2.0)
    assert found["why_no_slope"] == "the same gain is predicted for everybody"


def test_a_version_without_estimates_promised_nothing() -> None:
    bundle = replace(BUNDLE, stages=tuple(replace(one, estimates=None) for one in BUNDLE.stages))
    found = promise(points_of(a_world().draw(200, 1), bundle), bundle)
    assert found["refused"] == (
        "The version carries no estimates of benefit, so that none can be checked."
    )


def test_a_promise_in_another_unit_than_the_outcome_is_not_compared() -> None:
    bundle = intensification({"    unit: mm[Hg]\n    level": "    unit: mg/dL\n    level"})
    found = promise(points_of(a_world().draw(400, 1), bundle), bundle)
    assert found["refused"] == (
        "No stage can be checked. Three months: its gain is predicted in mg/dL, the outcome is in "
        "mmHg; Six months: its gain is predicted in mg/dL, the outcome is in mmHg."
    )


def test_too_few_decision_points_say_nothing() -> None:
    found = promise(drawn(7, 45), intensification(), least_effective_n=5)
    words = "decision points have a predicted gain that can be compared, fewer than 50"
    assert words in found["refused"]


def test_without_overlap_a_stage_is_refused_in_words() -> None:
    world = HypertensionCohort(HypertensionParameters(confounding=4.0))
    found = promise(points_of(world.draw(2000, 3), intensification()), intensification())
    assert "of the decision points had a chance below 5% of the action" in found["refused"]
    assert [one["stage"] for one in found["stages"]] == ["three_months", "six_months"]


def test_where_too_little_weight_stands_behind_an_action_the_stage_is_refused() -> None:
    found = promise(drawn(7, 600), intensification(), least_effective_n=250)
    assert "fewer than the 250 that this report demands" in found["refused"]


def test_where_no_value_can_be_told_no_promise_is_checked() -> None:
    frame = drawn(7, 600).copy()
    frame["outcome.value"] = np.nan
    frame["outcome.state"] = "pending"
    assert promise(frame, intensification())["refused"] == (
        "The outcome was observed of nobody. Patients by the state of their outcome: pending 600."
    )


SCORES = {
    "scores": {
        "a0": {"constant": 1, "terms": {"n0": 0.5, "b0": 2}},
        "a1": {"constant": 0.25},
        "a2": {"constant": -3, "terms": {"n1": 1}},
    },
    "support": [{"actions": ["a2"], "when": "n1 < 9", "because": "few"}],
}
CONTRASTS = {
    "reference": "a1",
    "coefficients": [["a0", "constant"], ["a0", "n0"], ["a0", "b0"], ["a2", "constant"],
                     ["a2", "n1"]],
    "centres": {"n0": 2, "n1": 1.5},
    "covariance": [[0.5], [0.1, 0.2], [0.0, 0.05, 0.3], [0.1, 0.0, 0.0, 0.4],
                   [0.02, 0.01, 0.0, 0.1, 0.25]],
}  # fmt: skip
LIST = [{"when": "n0 >= 3", "then": "a0", "instead": "a1"}, {"otherwise": "a1"}]
GROUPS = [
    {"when": "n0 >= 5 and letter is a", "n": {"a0": 4}},
    {"when": "n0 >= 3", "n": {"a0": 40, "a1": 38},
     "benefit": {"action": "a0", "against": "a1", "estimate": 2, "low": 1, "high": 3}},
    {"when": "b0", "n": {"a0": 12, "a1": 15},
     "benefit": {"action": "a1", "against": "a0", "estimate": 0.5, "low": -1, "high": 2}},
]  # fmt: skip


def fitted(rule: Any, estimates: Mapping[str, Any]) -> RuleBundle:
    stage = {**a_stage(rule), "estimates": {"outcome": "steps", "method": "by hand", **estimates}}
    guards = [{"never": ["a0"], "when": "b1", "because": "harm"}]
    return bundle_of(a_document(stages=[stage], safeguards=guards))


BY_SCORES = fitted(SCORES, {"contrasts": CONTRASTS, "groups": GROUPS})
BY_LIST = fitted(LIST, {"groups": GROUPS})
HISTORIES = st.lists(
    st.fixed_dictionaries({}, optional={
        "n0": st.integers(-5, 12), "n1": st.integers(-50, 120).map(lambda n: n / 10),
        "b0": st.booleans(), "b1": st.booleans(), "letter": st.sampled_from(["a", "b"]),
    }), min_size=1, max_size=30,
)  # fmt: skip


@pytest.mark.parametrize("bundle", [BY_SCORES, BY_LIST], ids=["scores", "list"])
@given(histories=HISTORIES)
@settings(max_examples=60, deadline=None)
def test_what_is_predicted_of_many_is_what_the_referee_says_of_each(
    bundle: RuleBundle, histories: list[Json]
) -> None:
    decisions = [decide(bundle, given_history(bundle, one, 0)) for one in histories]
    frame = pd.DataFrame({
        name: pd.Series([one.get(name) for one in histories], dtype=object)
        for name in bundle.base_variables
    })  # fmt: skip
    for name in ("n0", "n1"):
        frame[name] = pd.to_numeric(frame[name])
    rows = [at for at, one in enumerate(decisions) if one.action is not None]
    advised = np.array([decisions[at].action for at in rows], dtype=object)
    found = predicted(DecisionPoints(frame, bundle), bundle.stages[0], rows, advised)
    for place, at in enumerate(rows):
        said = benefit_of(bundle, decisions[at])
        assert said is not None
        ends = found.estimate[place], found.low[place], found.high[place]
        if said.estimate is None:
            assert np.isnan(ends).all()
            assert found.against[place] is None
        else:
            assert found.against[place] == said.against
            assert ends == pytest.approx((said.estimate, said.low, said.high))
