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
        "all", "eligible", "complete", "supported", "known", "concordant",
    ]  # fmt: skip


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
    assert cohort["left_out"] == {"three_months: the action taken is ambiguous": 7}
    assert (cohort["eligible"], cohort["counted"]) == (N, N - 7)


def test_incomplete_histories_are_left_out_and_a_rare_variable_is_not_adjusted_for(
    frame: pd.DataFrame,
) -> None:
    few = (frame["decision.stage"] == "six_months") & (patient_number(frame) < 9)
    many = (frame["decision.stage"] == "six_months") & (patient_number(frame) < 90)
    cohort = told(changed(frame, few, potassium=np.nan))["value"]["cohort"]
    assert cohort["left_out"] == {"six_months: potassium is not known": 9}
    cohort = told(changed(frame, many, potassium=np.nan))["value"]["cohort"]
    assert cohort["left_out"] == {}
    assert cohort["not_adjusted"]["six_months"]["potassium"] == (
        "known in 85.0% of the decision points"
    )


def test_of_several_decision_points_at_a_stage_the_first_counts(frame: pd.DataFrame) -> None:
    again = frame[(frame["decision.stage"] == "three_months") & (patient_number(frame) < 5)].copy()
    again["key.as_of"] += pd.Timedelta(days=3)
    again["taken.action"] = None
    again["taken.state"] = "pending"
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
        "The outcome was observed of 33% of 600 patients, fewer than the 50% asked for: known 200, "
        "pending 400."
    )
    assert value["regimes"] == []
    everybody = changed(frame, late | True, outcome__value=np.nan, outcome__state="pending")
    assert told(everybody)["value"]["refused"] == "The outcome was observed of nobody: pending 600."


def test_below_the_least_effective_n_a_value_is_refused_with_the_reason(
    frame: pd.DataFrame,
) -> None:
    rows = {one["key"]: one for one in told(frame, least_effective_n=150)["value"]["regimes"]}
    refused = rows["fixed:keep > keep"]
    assert "robust" not in refused
    assert "fewer than the 150 asked for" in refused["refused"]
    assert rows["version"]["refused"] is None


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
    assert {one["group"]: one["flipped"] for one in flips["stages"]} == {
        "three_months": flips["flipped"], "six_months": 0,
    }  # fmt: skip
    assert sum(one["flipped"] for one in flips["groups"]["Age"]) == flips["flipped"]
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
