"""What a replay answers, on tables small enough to count by hand, and where it refuses to."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.replay_worlds import a_world, intensification, points_of
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.replay.figures.cells import held_back, shown
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.rounding import rounded
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.settings import ReplayError

Json = dict[str, Any]
N = 600
LESS_EAGER = {"constant: -9.19711": "constant: -12.0"}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return points_of(a_world().draw(N, 4), intensification())


def told(frame: pd.DataFrame, **settings: Any) -> Json:
    return figures_of(frame, intensification(), settings=FigureSettings(**settings))


def changed(frame: pd.DataFrame, rows: Any, **values: Any) -> pd.DataFrame:
    """Return the table with values set in some rows; ``a__b`` is the column ``a.b``."""
    other = frame.copy()
    for name, value in values.items():
        column = name.replace("__", ".")
        other[column] = other[column].where(~rows, value)
    return other


def patient_number(frame: pd.DataFrame) -> pd.Series:
    return frame["key.patient"].str.rpartition("-")[2].astype(int)


def test_the_funnel_counts_decisions_and_patients_and_only_narrows(frame: pd.DataFrame) -> None:
    steps = told(frame)["funnel"]
    assert (steps[0]["decisions"], steps[0]["patients"]) == (2 * N, N)
    counts = [one["decisions"] for one in steps]
    assert counts == sorted(counts, reverse=True)
    assert [one["step"] for one in steps] == [
        "all", "eligible", "complete", "supported", "ripe", "known", "choice", "concordant",
    ]  # fmt: skip


def test_the_funnel_ends_with_the_agreement_that_is_told_elsewhere(frame: pd.DataFrame) -> None:
    """Decisions at a stage with a single option, where nobody could do otherwise, do not count."""
    single = frame.assign(**{"decision.stage": frame["decision.stage"].replace(
        "three_months", "later")})  # fmt: skip
    for one in (told(frame), told(single)):
        choice, same = ({key: step[key] for key in ("decisions", "patients")}
                        for step in one["funnel"][-2:])  # fmt: skip
        whole = next(at for at in one["concordance"] if not at["stage"])
        assert choice == {key: whole[key] for key in choice}
        assert same["decisions"] == whole["agreed"]
    assert one["funnel"][-3]["decisions"] > choice["decisions"]


def test_concordance_is_counted_with_wilson_interval_and_kappa(frame: pd.DataFrame) -> None:
    one = next(s for s in told(frame)["concordance"] if s["stage"] == "three_months")
    rows = frame[(frame["decision.stage"] == "three_months") & frame["decision.action"].notna()]
    advised, taken = rows["decision.action"], rows["taken.action"]
    n, agreed = len(rows), int((advised == taken).sum())
    assert (one["decisions"], one["agreed"]) == (n, agreed)
    p, z = agreed / n, 1.959964
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert (one["low"], one["high"]) == (pytest.approx(centre - half, rel=1e-4),
                                         pytest.approx(centre + half, rel=1e-4))  # fmt: skip
    chance = sum((advised == a).mean() * (taken == a).mean() for a in ("add_ace", "keep"))
    assert one["kappa"] == pytest.approx((p - chance) / (1 - chance), rel=1e-4)


def test_abstentions_name_the_inputs_that_lack(frame: pd.DataFrame) -> None:
    rows = (frame["decision.stage"] == "six_months") & (patient_number(frame) < 30)
    lacking = changed(frame, rows, decision__outcome="abstention", decision__code="stale",
                      decision__action=None)  # fmt: skip
    lacking["decision.reasons"] = [["stale:potassium"] if one else kept for one, kept in
                                   zip(rows, frame["decision.reasons"], strict=True)]  # fmt: skip
    figures = told(lacking)
    stale = next(one for one in figures["abstentions"] if one["code"] == "stale")
    assert stale == {"code": "stale", "decisions": 30, "patients": 30, "stages": {"six_months": 30}}
    assert figures["lacking"] == [
        {"code": "stale", "variable": "potassium", "decisions": 30, "patients": 30}
    ]


def test_a_month_of_silence_lies_outside_the_limits(frame: pd.DataFrame) -> None:
    rows = frame["key.as_of"].dt.strftime("%Y-%m") == "2024-09"
    figures = told(changed(frame, rows, decision__outcome="no_change"))["firing"]
    silent = next(one for one in figures["months"] if one["month"] == "2024-09")
    assert (silent["fired"], silent["outside"]) == (0, True)
    one = figures["months"][0]
    p, n = figures["centre"], one["decisions"]
    half = 3 * np.sqrt(p * (1 - p) / n)
    assert one["high"] == pytest.approx(min(1, p + half), rel=1e-4)


def test_a_patient_whose_action_is_unclear_is_left_out_and_counted(frame: pd.DataFrame) -> None:
    rows = (frame["decision.stage"] == "three_months") & (patient_number(frame) < 7)
    figures = told(changed(frame, rows, taken__action=None, taken__state="ambiguous"))
    cohort = figures["value"]["cohort"]
    assert cohort["left_out"] == {"Three months: the action taken is ambiguous": 7}
    assert (cohort["eligible"], cohort["counted"]) == (N, N - 7)


def test_incomplete_histories_are_left_out_and_a_rare_variable_is_not_adjusted_for(
    frame: pd.DataFrame,
) -> None:
    few = (frame["decision.stage"] == "six_months") & (patient_number(frame) < 9)
    many = (frame["decision.stage"] == "six_months") & (patient_number(frame) < 90)
    cohort = told(changed(frame, few, potassium=np.nan))["value"]["cohort"]
    assert cohort["left_out"] == {"Six months: potassium is not known": 9}
    cohort = told(changed(frame, many, potassium=np.nan))["value"]["cohort"]
    assert cohort["left_out"] == {}
    assert cohort["not_adjusted"]["six_months"]["potassium"] == (
        "known in 85.0% of the decision points"
    )


def test_of_several_decision_points_at_a_stage_the_first_counts(frame: pd.DataFrame) -> None:
    again = frame[(frame["decision.stage"] == "three_months") & (patient_number(frame) < 5)].copy()
    again["key.as_of"] += pd.Timedelta(days=3)
    again["taken.action"] = None
    again["taken.state"] = "none"
    figures = told(pd.concat([frame, again], ignore_index=True))
    assert figures["value"]["cohort"]["repeated"] == {"three_months": 5, "six_months": 0}
    assert figures["value"]["regimes"] == told(frame)["value"]["regimes"]


def test_stages_in_another_order_leave_a_patient_out(frame: pd.DataFrame) -> None:
    rows = (frame["decision.stage"] == "three_months") & (patient_number(frame) < 4)
    late = frame.copy()
    late.loc[rows, "key.as_of"] += pd.Timedelta(days=400)
    cohort = told(late)["value"]["cohort"]
    assert cohort["left_out"] == {"stages in another order than the bundle's": 4}


def test_outcomes_that_are_not_yet_observable_are_weighted_for_and_never_zero(
    frame: pd.DataFrame,
) -> None:
    late = patient_number(frame) % 5 == 0
    censored = changed(frame, late, outcome__value=np.nan, outcome__state="pending")
    figures = told(censored)
    assert figures["value"]["cohort"]["outcomes"] == {"known": N * 4 // 5, "pending": N // 5}
    one, whole = (f["value"]["regimes"][0]["robust"] for f in (figures, told(frame)))
    assert abs(one["estimate"] - whole["estimate"]) < 3 * one["standard_error"]
    assert "missing in 120 of 600" in " ".join(one["notes"])


def test_where_most_outcomes_lack_every_value_is_refused(frame: pd.DataFrame) -> None:
    late = patient_number(frame) % 3 != 0
    value = told(changed(frame, late, outcome__value=np.nan, outcome__state="pending"))["value"]
    assert value["refused"] == (
        "The outcome was observed of 33% of 600 patients, fewer than the 50% that this report "
        "demands. Patients by the state of their outcome: known 200, pending 400."
    )
    assert value["regimes"] == []
    everybody = changed(frame, late | True, outcome__value=np.nan, outcome__state="pending")
    assert told(everybody)["value"]["refused"] == (
        "The outcome was observed of nobody. Patients by the state of their outcome: pending 600."
    )


def test_below_the_least_effective_n_a_value_is_refused_with_the_reason(
    frame: pd.DataFrame,
) -> None:
    rows = {one["key"]: one for one in told(frame, least_effective_n=150)["value"]["regimes"]}
    refused = rows["fixed:keep > keep"]
    assert "robust" not in refused
    assert "fewer than the 150 that this report demands" in refused["refused"]
    assert rows["version"]["refused"] is None


def test_deaths_before_the_outcome_are_told_apart(frame: pd.DataFrame) -> None:
    dead, late = patient_number(frame) % 25 == 0, patient_number(frame) % 25 == 1
    few = changed(frame, dead, outcome__value=np.nan, outcome__state="deceased")
    few = changed(few, late, outcome__value=np.nan, outcome__state="pending")
    value = told(few)["value"]
    assert value["refused"] is None
    # the outcome of those who are pending was not due
    assert value["cohort"]["deaths"] == {
        "patients": N // 25, "of": N - N // 25, "share": pytest.approx(24 / 576, rel=1e-4),
    }  # fmt: skip


def test_who_died_before_an_action_was_on_record_is_left_out_and_still_counted_as_dead(
    frame: pd.DataFrame,
) -> None:
    dead = patient_number(frame) < 12
    died = changed(frame, dead, outcome__value=np.nan, outcome__state="deceased",
                   taken__action=None, taken__state="died")  # fmt: skip
    cohort = told(died)["value"]["cohort"]
    assert cohort["left_out"] == {
        "Three months: the patient died before an action was on record": 12
    }
    assert (cohort["deaths"]["patients"], cohort["deaths"]["of"]) == (12, N)
    assert "deceased" not in cohort["outcomes"]


def test_where_many_died_every_value_is_refused(frame: pd.DataFrame) -> None:
    dead = patient_number(frame) % 5 == 0
    many = changed(frame, dead, outcome__value=np.nan, outcome__state="deceased")
    value = told(many)["value"]
    assert (value["refused_for"], value["regimes"]) == ("deaths", [])
    assert value["refused"].startswith(
        "120 of the 600 patients whose outcome was due died before it (20%), more than the 10% up "
        "to which this report tells a value"
    )
    assert value["refused"].endswith(
        "--most-deaths allows more, which is right only where no treatment here bears on who dies."
    )
    assert told(many, most_deaths=0.2)["value"]["refused"] is None


def test_a_version_that_never_advises_has_no_value_of_its_own(frame: pd.DataFrame) -> None:
    silent = changed(frame, frame["age"] > 0, decision__outcome="abstention",
                     decision__action=None)  # fmt: skip
    value = told(silent)["value"]
    version = value["regimes"][0]
    assert version["refused"] == (
        "it gave no advice at any decision with a choice, so it has no value of its own"
    )
    assert "robust" not in version
    assert value["differences"][0]["refused"] == version["refused"]
    open_ = changed(silent, frame["age"] > 0, decision__outcome="equipoise")
    assert told(open_)["value"]["regimes"][0]["refused"].startswith(
        "it never advised one action over the others"
    )


def test_every_value_says_in_how_many_its_advice_deviates(frame: pd.DataFrame) -> None:
    rows = {one["key"]: one for one in told(frame)["value"]["regimes"]}
    apart = frame["decision.action"].notna() & (frame["decision.action"] != frame["taken.action"])
    n = frame.loc[apart, "key.patient"].nunique()
    assert rows["version"]["deviates"] == {
        "patients": n, "of": N, "share": pytest.approx(n / N, rel=1e-4),
    }  # fmt: skip
    assert rows["usual"]["deviates"]["patients"] == 0


def test_a_model_that_cannot_be_fitted_is_refused_with_what_a_replay_can_do(
    frame: pd.DataFrame,
) -> None:
    first = frame["decision.stage"] == "three_months"
    high = frame["sbp"] > 150
    foretold = changed(frame, first & high, taken__action="add_ace", taken__state="seen")
    foretold = changed(foretold, first & ~high, taken__action="keep", taken__state="unchanged")
    value = told(foretold)["value"]
    assert value["refused_for"] == "models"
    assert "patients the action is foretold with certainty" in value["refused"]
    assert "naming those to keep with --adjust-for" in value["refused"]
    assert "penalised" not in value["refused"]
    assert "declare" not in value["refused"]


def test_decisions_with_a_choice_are_parted_into_three(frame: pd.DataFrame) -> None:
    one = told(frame)["spoken"]
    said = frame["decision.outcome"]
    assert one == {
        "decisions": 2 * N, "card": int((said == "recommendation").sum()),
        "no_change": int((said == "no_change").sum()), "none": int((said == "abstention").sum()),
    }  # fmt: skip
    assert one["card"] + one["no_change"] + one["none"] == 2 * N


def test_pairs_held_back_at_a_stage_are_not_given_away_by_the_row_of_all(
    frame: pd.DataFrame,
) -> None:
    figures = told(frame, smallest_cell=60)["concordance"]
    *stages, whole = [one for one in figures if one["choice"]]
    hidden = {(p["advised"], p["taken"]) for s in stages for p in s["pairs"]
              if p["decisions"] is None}  # fmt: skip
    assert hidden
    for one in whole["pairs"]:
        assert (one["decisions"] is None) == ((one["advised"], one["taken"]) in hidden)
    for one in stages:
        for same in (True, False):
            part = [p["decisions"] for p in one["pairs"] if (p["advised"] == p["taken"]) is same]
            assert part.count(None) != 1 or len(part) == 1
        if None in [p["decisions"] for p in one["pairs"]]:
            assert one["kappa"] is None


def test_followers_held_back_in_a_group_are_no_difference_of_those_that_are_told(
    frame: pd.DataFrame,
) -> None:
    version = told(frame)["value"]["regimes"][0]
    whole = version["deviates"]["of"] - version["deviates"]["patients"]
    smallest = 121  # one of the sexes has fewer who followed, the other more
    sexes = {one["by"]: one for one in told(frame, smallest_cell=smallest)["subgroups"]}["Sex"]
    followed = [one["version"]["followers"] for one in sexes["groups"]]
    counts = [one["version"]["followers"] for one in
              {p["by"]: p for p in told(frame)["subgroups"]}["Sex"]["groups"]]  # fmt: skip
    assert sum(counts) == whole
    assert min(counts) < smallest < max(counts)
    assert followed == [None, None]


def test_what_the_bundle_does_not_hold_of_the_study_is_told(frame: pd.DataFrame) -> None:
    assert told(frame)["bundle"]["unheld_confounders"] == ["diabetes"]


def test_a_doubt_says_what_and_why_in_the_words_of_the_labels(frame: pd.DataFrame) -> None:
    found = told(frame)["value"]
    doubts = {one["assumption"]: one["whys"] for one in found["assumptions"]["doubts"]}
    gamma = found["sensitivity"][0]["flips_at"]
    assert doubts["sequential exchangeability"][0] == (
        f"a hidden cause that shifts the odds of treatment by a factor of {gamma:.2f} could "
        "reverse the result (below 2 we call it doubtful)"
    )
    text = str(found["assumptions"]["ledger"])
    assert "Systolic blood pressure" in text
    assert "add_ace" not in text
    assert " rows " not in text


def test_the_order_of_the_bundle_is_told_in_lists(frame: pd.DataFrame) -> None:
    bundle = told(frame)["bundle"]
    assert bundle["stage_order"] == [one.name for one in intensification().stages]
    assert bundle["variable_order"] == list(intensification().variables)
    assert bundle["stage_order"] != sorted(bundle["stage_order"])


def test_nobody_eligible_is_an_answer(frame: pd.DataFrame) -> None:
    nobody = changed(frame, frame["age"] > 0, decision__outcome="not_applicable",
                     decision__stage=None, decision__action=None,
                     decision__code="out-of-population")  # fmt: skip
    figures = told(nobody)
    assert figures["empty"].startswith("No patient was eligible: of 1200 decision points none")
    assert figures["value"]["refused"] == (
        "No patient was eligible at a stage that offers a choice."
    )
    assert told(frame.iloc[:0])["empty"].startswith("There is no decision point")


def test_advice_that_nobody_took_has_no_value(frame: pd.DataFrame) -> None:
    first = frame["decision.stage"] == "three_months"
    kept = changed(frame, first, taken__action="keep", taken__state="unchanged")
    version = told(kept)["value"]["regimes"][0]
    assert version["refused"].startswith("it advises what nobody took: Add lisinopril 10 mg once")


def test_a_safeguard_that_was_overridden_is_told(frame: pd.DataFrame) -> None:
    first = (frame["decision.stage"] == "three_months") & (frame["taken.action"] == "add_ace")
    high = changed(frame, first & (patient_number(frame) < 20), potassium=6.0)
    [said] = told(high)["value"]["cohort"]["overridden"]
    assert "though a safeguard rules it out" in said
    assert told(frame)["value"]["cohort"]["overridden"] == []


def test_small_subgroups_are_held_back_with_what_would_give_them_away(frame: pd.DataFrame) -> None:
    male = patient_number(frame) < 4
    few = frame.assign(**{"person.sex": np.where(male, "male", "female")})
    few.loc[patient_number(few).between(4, 30), "person.sex"] = "other"
    parts = {one["by"]: one for one in told(few)["subgroups"]}
    groups = {one["group"]: one for one in parts["Sex"]["groups"]}
    assert groups["male"]["held_back"]
    assert groups["other"]["held_back"]
    assert "patients" not in groups["male"]
    assert groups["female"]["patients"] == N - 31


def test_a_subgroup_that_is_not_known_is_said(frame: pd.DataFrame) -> None:
    parts = {one["by"]: one for one in told(frame, subgroups=("weight",))["subgroups"]}
    assert parts["weight"]["why_not"].startswith("the version has no variable 'weight'; it has age")
    without = told(frame.drop(columns="person.sex"))["subgroups"]
    assert without[1]["why_not"] == "neither the version nor the table holds the sex"


def test_calibration_finds_the_outcome_model_calibrated(frame: pd.DataFrame) -> None:
    found = told(frame)["calibration"]
    assert found["slope_low"] < 1 < found["slope_high"]
    assert sum(one["n"] for one in found["groups"]) == found["n"]
    assert found["mean_predicted"] == pytest.approx(found["mean_observed"], abs=1.5)


def test_two_versions_are_paired_and_their_flips_listed() -> None:
    bundle, other = intensification(), intensification(LESS_EAGER)
    frame = points_of(a_world().draw(N, 4), bundle, other)
    figures = figures_of(frame, bundle, other, FigureSettings(timelines=3))
    pairs = [(one["of"], one["minus"]) for one in figures["value"]["differences"]]
    assert ("version", "against") in pairs
    flips = figures["flips"]
    assert flips["pairs"] == [{"from": "add_ace", "to": "keep", "decisions": flips["flipped"]}]
    assert flips["kinds"] == {"other": flips["flipped"], "silent": 0, "no_choice": 0}
    assert [one["group"] for one in flips["stages"]] == ["three_months", "six_months"]
    assert {one["group"]: one["flipped"] for one in flips["stages"]} == {
        "three_months": flips["flipped"], "six_months": 0,
    }  # fmt: skip
    assert sum(one["flipped"] for one in flips["groups"]["Sex"]) == flips["flipped"]
    assert len(flips["listed"]) == flips["flipped"]
    assert len({one["id"] for one in flips["listed"]}) == flips["flipped"]
    assert [one["patient"] for one in figures["timelines"]] == list(
        dict.fromkeys(one["patient"] for one in flips["listed"])
    )[:3]
    first = figures["timelines"][0]["decisions"]
    assert [one["stage"] for one in first] == ["three_months", "six_months"]
    assert (first[0]["version"], first[0]["against"], first[0]["flipped"]) == (
        "add_ace", "keep", True,
    )  # fmt: skip


def test_the_order_of_the_rows_changes_nothing(frame: pd.DataFrame) -> None:
    mixed = frame.sample(frac=1.0, random_state=3, ignore_index=True)
    assert told(mixed) == told(frame)


def test_a_table_of_another_version_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(ReplayError, match="has no column potassium; it was made by another"):
        told(frame.drop(columns="potassium"))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 12))
def test_what_is_held_back_cannot_be_worked_out(counts: list[int], smallest: int) -> None:
    held = held_back(counts, smallest)
    assert all(at in held for at, n in enumerate(counts) if 0 < n < smallest)
    if held and len(held) < len(counts):
        assert len(held) > 1
        assert sum(counts[at] for at in held) >= smallest
    assert [one for one in shown(counts, smallest) if one is not None] == [
        n for at, n in enumerate(counts) if at not in held
    ]


def test_numbers_have_a_stated_number_of_digits_and_none_is_wild() -> None:
    wild = {"a": float("inf"), "b": [float("nan"), -0.0], "c": 1 / 3, "d": True}
    assert rounded(wild, 3) == {"a": "infinite", "b": [None, 0.0], "c": 0.333, "d": True}


UNSEEN = "nobody has Add amlodipine 5 mg once daily on record under the codes that it is seen as"
UNREAD = (
    "30 of 90 resources of type MedicationRequest have codes that nothing reads, and may be actions"
)


@pytest.mark.parametrize(
    ("held", "doubtful", "whys"),
    [
        pytest.param(7, False, [], id="all are seen"),
        pytest.param(
            0, False,
            [UNSEEN],
            id="an action that nobody has",
        ),
        pytest.param(
            7, True,
            [UNREAD],
            id="much that nothing reads",
        ),
    ],
)  # fmt: skip
def test_consistency_is_doubtful_where_actions_may_be_unseen(
    frame: pd.DataFrame, held: int, doubtful: bool, whys: list[str]
) -> None:
    vocabulary = {
        "actions": [{"action": "add_ccb", "patients": held}],
        "treatments": [{"type": "MedicationRequest", "resources": 90, "unread": 30,
                        "elsewhere": 30, "doubtful": doubtful, "codes": []}],
    }  # fmt: skip
    found = figures_of(frame, intensification(), run={"vocabulary": vocabulary})["value"]
    doubts = {one["assumption"]: one["whys"] for one in found["assumptions"]["doubts"]}
    assert doubts.get("consistency", []) == whys
    entry = found["assumptions"]["ledger"][0]
    assert entry["judgement"] == ("doubtful" if whys else "supported")
