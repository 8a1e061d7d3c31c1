"""The embedded regimes of a SMART, estimated together: against IPW, by hand, against the truth."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from builders.designs import (
    Document,
    a_design,
    a_model,
    again,
    eight_sequences,
    everybody_again,
    one_arm_again,
    second,
    three_arms,
    three_stages,
)
from numpy.typing import NDArray
from ruamel.yaml import YAML

from cds_engine.design import Design, OutcomeModel, embedded_regimes, read_design
from cds_engine.design.simulate import COVARIATE, Simulator
from cds_engine.errors import EstimationError, TrajectoriesError
from cds_engine.estimate.embedded import EmbeddedValues, embedded_values
from cds_engine.estimate.embedded_rows import on_paths, read_smart
from cds_engine.estimate.ipw import ipw_value
from cds_engine.estimate.trajectories import HistorySpec, Trajectories
from cds_engine.estimate.value import ValueEstimate
from cds_engine.simulate import WORLDS

EMBEDDED = ["coaching, gym", "coaching, interview", "classes, kit", "classes, trainer"]
EVERY = [
    pytest.param(a_design(), id="non-responders of both"),
    pytest.param(everybody_again(), id="all again"),
    pytest.param(one_arm_again(), id="one arm"),
    pytest.param(eight_sequences(), id="responders too"),
    pytest.param(three_arms(), id="unequal chances"),
    pytest.param(three_stages(), id="three stages"),
]
PAGE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "activity-design.yaml"
REMISSION = {"column": "remission", "when": "phq9_eight_weeks < 5", "label": "PHQ-9 below 5"}
DEPRESSION = {
    **a_design(),
    "outcome": {"label": "PHQ-9 at 16 weeks", "better": "lower"},
    "stages": [
        {"stage": "start", "randomise": [{"arms": {"sertraline": 1, "cbt": 1}}]},
        {"stage": "eight_weeks", "randomise": [
            again(first, "non-responders", "augment", "switch") for first in ("sertraline", "cbt")
        ]},
    ],
    "response": dict.fromkeys(("sertraline", "cbt"), REMISSION),
}  # fmt: skip


def activity() -> Design:
    return read_design(YAML(typ="safe", pure=True).load(PAGE.read_text("utf-8")))


def a_trial(document: Document, n: int = 500, seed: int = 1, **options: Any) -> pd.DataFrame:
    design = read_design(document)
    means = {" > ".join(end): float(at) for at, end in enumerate(design.ends)}
    model = a_model(document, means=means, **options)
    return pd.DataFrame(Simulator(model).table(n, seed))


def same_influence(one: ValueEstimate, other: ValueEstimate) -> None:
    assert one.influence is not None
    assert other.influence is not None
    np.testing.assert_allclose(one.influence, other.influence, rtol=1e-6, atol=1e-9)


def stacked(found: EmbeddedValues) -> tuple[NDArray[Any], ...]:
    """The replicated rows: outcome, regime, weight, patient."""
    w = found.rows.weights(found.regimes)
    regime, patient = np.nonzero(w)
    return found.rows.trajectories.outcome[patient], regime, w[regime, patient], patient


@pytest.mark.parametrize("document", EVERY)
def test_each_value_and_its_influence_are_those_of_ipw(document: Document) -> None:
    found = embedded_values(a_trial(document), read_design(document))
    for regime, one in zip(found.regimes, found.values, strict=True):
        ipw = ipw_value(found.rows.trajectories, found.rows.rules(regime), label=one.label)
        assert one.estimate == pytest.approx(ipw.estimate, rel=1e-6)
        assert one.standard_error == pytest.approx(ipw.standard_error, rel=1e-6)
        same_influence(one, ipw)
        assert (one.followers, one.n) == (ipw.followers, ipw.n)
        assert one.effective_n == pytest.approx(ipw.effective_n)
        assert one.estimand == ipw.estimand
        assert one.weights == ipw.weights


@pytest.mark.parametrize("document", EVERY)
def test_all_together_are_weighted_least_squares_on_replicated_rows(document: Document) -> None:
    found = embedded_values(a_trial(document), read_design(document))
    y, regime, w, patient = stacked(found)
    X = (regime[:, None] == np.arange(len(found.regimes))).astype(float)
    fit = sm.WLS(y, X, weights=w).fit(
        cov_type="cluster", cov_kwds={"groups": patient, "use_correction": False}
    )
    np.testing.assert_allclose([one.estimate for one in found.values], fit.params, rtol=1e-6)
    np.testing.assert_allclose([one.standard_error for one in found.values], fit.bse, rtol=1e-6)
    for one in found.contrasts():
        first, other = (at for name in one.label.split(" minus ")
                        for at, r in enumerate(found.regimes) if r.label == name)  # fmt: skip
        test = fit.t_test(np.eye(len(X[0]))[first] - np.eye(len(X[0]))[other])
        assert one.standard_error == pytest.approx(test.sd.item(), rel=1e-6)


def test_adjustment_is_the_same_regression_with_the_covariate_in_it() -> None:
    design = read_design(a_design())
    frame = a_trial(a_design(), rho=0.7)
    found = embedded_values(frame, design, covariates=[COVARIATE])
    y, regime, w, patient = stacked(found)
    x = frame[COVARIATE].to_numpy() - frame[COVARIATE].mean()
    X = np.column_stack([regime[:, None] == np.arange(4), x[patient]]).astype(float)
    fit = sm.GEE(y, X, groups=patient, weights=w, cov_struct=sm.cov_struct.Independence()).fit()
    np.testing.assert_allclose([one.estimate for one in found.values], fit.params[:4], rtol=1e-6)
    bare = embedded_values(frame, design).contrasts()
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for (i, j), one, unadjusted in zip(pairs, found.contrasts(), bare, strict=True):
        c = np.zeros(5)
        c[i], c[j] = 1, -1
        assert one.standard_error == pytest.approx(np.sqrt(c @ fit.cov_robust @ c), rel=1e-5)
        assert one.standard_error < 0.95 * unadjusted.standard_error
    # the mean of the covariate is estimated as well, which a regression on given rows leaves out
    assert found.values[0].standard_error > fit.bse[0]


def test_with_sample_weights_the_values_are_still_those_of_ipw() -> None:
    frame = a_trial(a_design()).assign(w=np.random.default_rng(0).uniform(0.5, 2, 500))
    rows = read_smart(frame, read_design(a_design()), weights="w")
    found = embedded_values(rows, rows.design)
    for regime, one in zip(found.regimes, found.values, strict=True):
        ipw = ipw_value(rows.trajectories, rows.rules(regime))
        assert one.estimate == pytest.approx(ipw.estimate, rel=1e-9)
        same_influence(one, ipw)


def test_missing_outcomes_are_refused_or_weighted_for_as_by_ipw() -> None:
    frame = a_trial(a_design(), 800)
    frame.loc[np.random.default_rng(0).random(800) < 0.1, "outcome"] = np.nan
    design = read_design(a_design())
    gone = int(frame["outcome"].isna().sum())
    with pytest.raises(TrajectoriesError, match=f"missing in {gone}"):
        embedded_values(frame, design)
    found = embedded_values(frame, design, missing="weight")
    assert f"missing in {gone} of 800" in found.values[0].notes[0]
    path = frame[["action_first", "responder", "action_second"]].map(str).agg(" ".join, axis=1)
    shares = frame["outcome"].notna().groupby(path).transform("mean")
    w = np.where(frame["outcome"].notna(), 1 / shares, 0) * found.rows.weights(found.regimes)
    means = (w * frame["outcome"].fillna(0).to_numpy()).sum(axis=1) / w.sum(axis=1)
    np.testing.assert_allclose([one.estimate for one in found.values], means, rtol=1e-12)


def test_with_covariates_missing_outcomes_are_weighted_for_as_by_ipw() -> None:
    frame = a_trial(a_design(), 800, rho=0.5)
    gone = np.random.default_rng(0).random(800) < np.where(frame[COVARIATE] > 0, 0.3, 0.05)
    frame.loc[gone, "outcome"] = np.nan
    design = read_design(a_design())
    rows = read_smart(frame, design, covariates=[COVARIATE], missing_outcomes=True)
    found = embedded_values(rows, design, covariates=[COVARIATE], missing="weight")
    assert rows.trajectories.stages[1].spec.variables == ("responder",)
    for regime, one in zip(found.regimes, found.values, strict=True):
        ipw = ipw_value(rows.trajectories, rows.rules(regime), missing="weight")
        assert one.weights == ipw.weights
        assert abs(one.estimate - ipw.estimate) < ipw.standard_error


@pytest.mark.parametrize("covariates", [(), ("steps_start", "self_efficacy")])
def test_the_activity_trial_finds_its_truth(covariates: tuple[str, ...]) -> None:
    world = WORLDS["activity-smart"]()
    found = embedded_values(world.draw(20_000, 3).frame(), activity(), covariates=covariates)
    truth = {label: world.exact(*label.split(", ")) for label in EMBEDDED}
    assert [one.label for one in found.values] == list(truth)
    for one in found.values:
        assert abs(one.estimate - truth[one.label]) < 3 * one.standard_error
    for one in found.contrasts():
        first, other = one.label.split(" minus ")
        assert abs(one.estimate - (truth[first] - truth[other])) < 3 * one.standard_error


def test_the_depression_trial_finds_its_truth_though_lower_is_better() -> None:
    world = WORLDS["depression-smart"]()
    found = embedded_values(world.draw(20_000, 5).frame(), read_design(DEPRESSION))
    truth = {one.label: world.exact(*one.label.split(", ")) for one in found.values}
    for one in found.values:
        assert abs(one.estimate - truth[one.label]) < 3 * one.standard_error
    assert found.better == "lower"
    assert min(truth, key=lambda label: truth[label]) in found.best().kept


def test_trajectories_of_a_study_give_what_their_table_gives() -> None:
    frame = WORLDS["activity-smart"]().draw(1500, 8).frame()
    first_stage = ("coaching", "classes")
    second_stage = ("gym", "interview", "kit", "trainer")
    for known in (("self_efficacy", "responder"), ("self_efficacy",)):
        specs = [
            HistorySpec(stage="start", variables=("self_efficacy",), actions=first_stage),
            HistorySpec(stage="eight_weeks", variables=known, actions=second_stage),
        ]
        trajectories = Trajectories.from_wide(frame, specs, outcome="outcome")
        one = embedded_values(trajectories, activity(), covariates=["self_efficacy"])
        two = embedded_values(frame, activity(), covariates=["self_efficacy"])
        assert [v.estimate for v in one.values] == [v.estimate for v in two.values]
        assert one.rows.counts() == two.rows.counts()


def test_row_order_and_the_names_of_arms_do_not_matter() -> None:
    frame = a_trial(a_design())
    one = embedded_values(frame, read_design(a_design()))
    shuffled = frame.sample(frac=1, random_state=1)
    two = embedded_values(shuffled, read_design(a_design()))
    for a, b in zip(one.values, two.values, strict=True):
        assert a.estimate == pytest.approx(b.estimate, rel=1e-12)
        assert a.standard_error == pytest.approx(b.standard_error, rel=1e-12)
    renamed = frame.replace({"action_first": {"a": "x"}, "action_second": {"c": "y"}})
    stages = second(again("x", "non-responders", "y", "d"), again("b", "non-responders", "e", "f"))
    stages[0]["randomise"] = [{"arms": {"x": 1, "b": 1}}]
    response = {"x": a_design()["response"]["a"], "b": a_design()["response"]["b"]}
    three = embedded_values(renamed, read_design(a_design(stages=stages, response=response)))
    assert [v.estimate for v in three.values] == [v.estimate for v in one.values]


def test_the_table_of_values_says_which_may_be_best() -> None:
    frame = embedded_values(a_trial(a_design()), read_design(a_design())).frame()
    assert frame["label"].to_list() == ["a, c", "a, d", "b, e", "b, f"]
    best, worst = frame["estimate"].argmax(), frame["estimate"].argmin()
    assert frame["may_be_best"].iloc[best]
    assert not frame["may_be_best"].iloc[worst]


def test_responders_are_told_by_the_criterion_where_the_table_has_no_column() -> None:
    frame = WORLDS["activity-smart"]().draw(800, 2).frame()
    told = embedded_values(frame.drop(columns="responder"), activity())
    read = embedded_values(frame, activity())
    assert [v.estimate for v in told.values] == [v.estimate for v in read.values]


def test_more_differences_than_can_hold_at_once_are_refused() -> None:
    document = eight_sequences()
    for one in document["stages"][1]["randomise"]:
        one["arms"] = dict.fromkeys("cdef", 1)
    found = embedded_values(a_trial(document, 900), read_design(document))
    assert len(found.contrasts()) == 496
    document["stages"][1]["randomise"][0]["arms"]["g"] = 1
    more = embedded_values(a_trial(document, 900), read_design(document))
    with pytest.raises(EstimationError, match="630 differences are too many to hold all at once"):
        more.contrasts(at_once=True)


def test_the_counts_add_up_along_every_branch() -> None:
    rows = read_smart(a_trial(three_stages()), read_design(three_stages()))
    counts = rows.counts()
    assert counts[()] == 500
    for path in rows.design.nodes:
        children = rows.design.children(path)
        assert not children or sum(counts[child] for child in children) == counts[path]


def faults(frame: pd.DataFrame, document: Document) -> str:
    with pytest.raises(TrajectoriesError) as caught:
        read_smart(frame, read_design(document))
    return str(caught.value)


def test_a_table_that_is_not_of_the_design_is_refused_with_every_fault() -> None:
    frame = a_trial(a_design())
    frame["responder"] = frame["responder"].astype(object)
    first, other = frame["action_first"], frame["action_second"]
    waits = frame.index[(first == "a") & other.notna()]
    responds = frame.index[(first == "b") & other.isna()]
    frame.loc[waits[:3], "action_second"] = None
    frame.loc[waits[3:5], "action_second"] = "e"
    frame.loc[responds[:4], "action_second"] = "f"
    said = faults(frame, a_design())
    assert "3 faults" in said
    assert (
        "second.action_second: 3 rows on 'a > non-responders' hold no arm, but are randomised here"
        in said
    )
    assert (
        "2 rows on 'a > non-responders' hold an arm that they are not randomised to; there is c, d"
        in said
    )
    assert "4 rows hold an arm, but by the design they are not randomised here" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"responder": None}, "the table has no column responder; add it, or say",
                     id="no response"),
        pytest.param({"responder": "yes"}, "responder: is no column of yes or no", id="labels"),
        pytest.param({"action_first": "a"}, "none of 500 rows took 'b'", id="an arm never seen"),
        pytest.param({"action_second": None}, "second.action_second: the table has no such column",
                     id="no stage"),
        pytest.param({"id": "x"}, "id", id="one id for all"),
    ],
)  # fmt: skip
def test_a_column_that_cannot_be_used_is_named(change: dict[str, Any], said: str) -> None:
    frame = a_trial(a_design())
    for name, value in change.items():
        frame = frame.drop(columns=name) if value is None else frame.assign(**{name: value})
    assert said in faults(frame, a_design())


def test_a_response_that_is_not_known_is_counted() -> None:
    frame = a_trial(a_design())
    frame["responder"] = frame["responder"].astype(object)
    rows = frame.index[frame["action_first"] == "a"]
    frame.loc[rows[:7], "responder"] = None
    assert f"it is not known of 7 of {len(rows)} rows on 'a' whether they responded" in faults(
        frame, a_design()
    )


def test_a_response_column_that_contradicts_its_criterion_is_refused() -> None:
    frame = WORLDS["activity-smart"]().draw(400, 2).frame()
    of_coaching = frame["action_start"] == "coaching"
    frame.loc[frame.index[of_coaching][:3], "responder"] ^= True
    with pytest.raises(TrajectoriesError) as caught:
        read_smart(frame, activity())
    assert (
        f"response.coaching: in 3 of {int(of_coaching.sum())} rows the column responder is not "
        "what `steps_eight_weeks > 1.1 * steps_start` says; correct one" in str(caught.value)
    )


def test_a_criterion_that_cannot_be_used_says_why() -> None:
    frame = WORLDS["activity-smart"]().draw(400, 2).frame()
    frame = frame.drop(columns=["responder", "steps_start"])
    with pytest.raises(TrajectoriesError, match=r"criterion cannot be used: .*steps_start"):
        read_smart(frame, activity())


def test_an_arm_of_one_path_that_nobody_took_is_named() -> None:
    stages = second(again("a", "non-responders", "c", "d"), again("b", "non-responders", "c", "d"))
    document = a_design(stages=stages)
    frame = a_trial(document)
    lost = (frame["action_first"] == "b") & (frame["action_second"] == "d")
    assert "no row on 'b > non-responders' holds 'd', so that nothing is known of it" in faults(
        frame[~lost], document
    )


def test_trajectories_of_other_stages_are_refused() -> None:
    rows = read_smart(a_trial(a_design()), read_design(a_design()))
    with pytest.raises(TrajectoriesError, match="its stages are first, second, those of the design "
                       "start, eight_weeks; they must agree"):  # fmt: skip
        on_paths(rows.trajectories, activity())


def test_where_nothing_tells_who_responded_the_variable_is_asked_for() -> None:
    frame, design = a_trial(eight_sequences()), read_design(eight_sequences())
    specs = [
        HistorySpec(stage=stage.stage, variables=(), actions=design.arms(at))
        for at, stage in enumerate(design.stages)
    ]
    trajectories = Trajectories.from_wide(frame, specs, outcome="outcome")
    with pytest.raises(TrajectoriesError, match="nothing else tells who responded after 'a'"):
        on_paths(trajectories, design)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope", "there is no variable nope at stage start"),
        ("word", "word holds labels; adjust for numbers or yes and no"),
        ("flat", "the covariates flat are constant or add nothing to one another"),
        ("holes", "holes is missing in 5 of 300 rows"),
    ],
)
def test_a_covariate_that_cannot_be_adjusted_for_is_refused(name: str, said: str) -> None:
    frame = WORLDS["activity-smart"]().draw(300, 2).frame().assign(word="x", flat=1.0, holes=1.0)
    frame.loc[frame.index[:5], "holes"] = np.nan
    spec = HistorySpec(stage="start", variables=("word", "flat"), actions=("coaching", "classes"))
    if name == "holes":
        with pytest.raises(TrajectoriesError, match="missing in 5 of 300 rows"):
            read_smart(frame, activity(), covariates=[name])
        return
    later = HistorySpec(stage="eight_weeks", variables=("responder",),
                        actions=("gym", "interview", "kit", "trainer"))  # fmt: skip
    trajectories = Trajectories.from_wide(frame, [spec, later], outcome="outcome")
    with pytest.raises(EstimationError, match=said):
        embedded_values(trajectories, activity(), covariates=[name])


def test_a_rule_is_for_its_own_rows_only() -> None:
    rows = read_smart(a_trial(a_design()), read_design(a_design()))
    rules = rows.rules(embedded_regimes(rows.design)[0])
    with pytest.raises(EstimationError, match="written for 500 rows, there are 10"):
        ipw_value(rows.trajectories.take(np.arange(10)), rules)


def test_a_regime_that_is_not_there_is_named_with_those_that_are() -> None:
    found = embedded_values(a_trial(a_design()), read_design(a_design()))
    assert found.value("b, e").label == "b, e"
    with pytest.raises(EstimationError, match="no embedded regime 'z'; there is a, c; a, d"):
        found.value("z")


def test_a_path_whose_outcomes_are_all_missing_is_named() -> None:
    frame = a_trial(one_arm_again())
    frame.loc[frame["action_first"] == "b", "outcome"] = np.nan
    with pytest.raises(EstimationError, match="every outcome is missing on b, so that"):
        embedded_values(frame, read_design(one_arm_again()), missing="weight")


@pytest.mark.slow
def test_contrasts_cover_the_truth_as_often_as_they_say() -> None:
    world = WORLDS["activity-smart"]()
    truth = {label: world.exact(*label.split(", ")) for label in EMBEDDED}
    held: list[list[bool]] = []
    for seed in range(400):
        found = embedded_values(world.draw(300, 1000 + seed).frame(), activity())
        held.append([])
        for one in found.contrasts():
            first, other = one.label.split(" minus ")
            held[-1].append(one.low <= truth[first] - truth[other] <= one.high)
    assert (np.mean(held, axis=0) >= 0.92).all()
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_the_model_of_the_sample_design_is_what_its_simulated_trial_shows() -> None:
    model = OutcomeModel.of(activity())
    frame = pd.DataFrame(Simulator(model).table(20_000, 4))
    found = embedded_values(frame, activity(), covariates=[COVARIATE])
    for regime, one in zip(found.regimes, found.values, strict=True):
        assert abs(one.estimate - model.value(regime)) < 3 * one.standard_error
