"""Whose action a replay could not tell is stood for by those alike, so that no value is biased."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.replay_worlds import START, Truth, a_world, intensification, points_of
from builders.replay_worlds import truth as true_of
from scipy.special import expit

from cds_engine.replay.figures.cohort import Cohort, cohort_of
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.points import DecisionPoints
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.figures.values import Valued, valued

Json = dict[str, Any]
N = 4000
KEYS = ("version", "usual", "difference")


@cache
def table(n: int = N, seed: int = 11) -> pd.DataFrame:
    return points_of(a_world().draw(n, seed), intensification())


@cache
def truth() -> Truth:
    return true_of(a_world(), intensification())


def chance(sbp: Any, treated: Any) -> Any:
    """Return how likely it is that the second action is not told: of the sicker and treated."""
    return expit((sbp - 150) / 8 + 1.5 * treated)


def by_history(frame: pd.DataFrame, seed: int = 5) -> "pd.Series[bool]":
    """Return the rows of the second stage whose action is lost."""
    draws = np.random.default_rng(seed).random(len(frame))
    lost = chance(frame["sbp"].to_numpy(dtype=float), frame["step"].to_numpy() != "none")
    return frame["decision.stage"].eq("six_months") & pd.Series(draws < lost, frame.index)


def untold(frame: pd.DataFrame, rows: Any, state: str = "ambiguous") -> pd.DataFrame:
    other = frame.copy()
    other.loc[rows, ["taken.action", "taken.state"]] = [None, state]
    return other


def without(frame: pd.DataFrame, rows: Any) -> pd.DataFrame:
    """Return the table without the patients of some rows: as they are left out."""
    return frame[~frame["key.patient"].isin(frame.loc[rows, "key.patient"])]


def number(frame: pd.DataFrame) -> "pd.Series[int]":
    return frame["key.patient"].str.rpartition("-")[2].astype(int)


def cohort(frame: pd.DataFrame, **settings: Any) -> Cohort:
    return cohort_of(DecisionPoints.of(frame, intensification()), FigureSettings(**settings))


def values_of(frame: pd.DataFrame, **settings: Any) -> Valued:
    points, asked = DecisionPoints.of(frame, intensification()), FigureSettings(**settings)
    return valued(points, cohort_of(points, asked), asked)


def off(found: Valued) -> dict[str, float]:
    """Return by how many standard errors the doubly robust values are off the truth."""
    version, usual = found.robust("version"), found.robust("usual")
    assert version is not None
    assert usual is not None
    held = dict(zip(KEYS, (version, usual, version.minus(usual)), strict=True))
    return {key: abs(one.estimate - getattr(truth(), key)) / one.standard_error
            for key, one in held.items()}  # fmt: skip


@pytest.mark.parametrize("seed", [11, 12])
def test_weighted_for_the_untold_every_value_is_right(seed: int) -> None:
    frame = table(N, seed)
    found = off(values_of(untold(frame, by_history(frame))))
    assert max(found.values()) < 3


@pytest.mark.parametrize("seed", [11, 12])
def test_with_the_untold_left_out_the_values_are_not(seed: int) -> None:
    frame = table(N, seed)
    found = off(values_of(without(frame, by_history(frame))))
    assert min(found["version"], found["usual"]) > 3


def test_crude_means_stay_what_a_naive_reader_would_compute() -> None:
    frame = table(1000)
    lost = by_history(frame)
    pairs = [values_of(one).regimes for one in (untold(frame, lost), without(frame, lost))]
    for key in ("version", "usual"):
        one, other = (found[key].crude for found in pairs)
        assert one is not None
        assert other is not None
        assert one.estimate == other.estimate


def test_the_weights_are_one_over_the_chance_that_the_action_is_told() -> None:
    frame = table(20_000)
    t = cohort(untold(frame, by_history(frame))).trajectories
    assert t is not None
    sbp, step = (t.stages[1].columns[name] for name in ("sbp", "step"))
    told = 1 - chance(sbp.astype(float), step != "none")
    assert np.abs(t.weights * told - 1).mean() < 0.06
    assert t.weights.sum() == pytest.approx(20_000, rel=0.03)


def test_weights_of_stages_multiply_and_nobody_is_asked_after_an_untold_action() -> None:
    frame = table(20_000)
    three = frame["decision.stage"] == "three_months"
    at_first = three & (number(frame) % 4 == 0)
    lost = at_first | (~three & (number(frame) % 10 < 3))
    found = cohort(untold(frame, lost))
    t = found.trajectories
    assert t is not None
    # at random both times: of those left three in four and then seven in ten are told
    numbers = np.arange(20_000)
    second = ((numbers % 4 != 0) & (numbers % 10 < 3)).sum() / 15_000
    assert np.abs(t.weights * 0.75 * (1 - second) - 1).max() < 0.2
    assert t.weights.mean() == pytest.approx(1 / 0.75 / (1 - second), rel=1e-3)
    assert found.left_out == {
        "Three months: the action taken is ambiguous": 5000,
        "Six months: the action taken is ambiguous": round(15_000 * second),
    }


def test_who_is_not_told_is_counted_as_before_and_said_with_the_reasons() -> None:
    frame = table(600, 4)
    six = frame["decision.stage"] == "six_months"
    held = untold(frame, six & (number(frame) % 20 == 0), "unclear")
    held.loc[six & (number(frame) % 20 == 1), "taken.action"] = "stop"
    told = figures_of(held, intensification())["value"]
    reasons = {
        "Six months: another action was taken than the stage offers": 30,
        "Six months: the action taken is unclear": 30,
    }
    assert told["cohort"]["left_out"] == told["cohort"]["stood_for"]["reasons"] == reasons
    assert (told["cohort"]["counted"], told["cohort"]["stood_for"]["patients"]) == (540, 60)
    [note] = told["cohort"]["stood_for"]["notes"]
    assert note.startswith("60 patients of whom an action is not known are stood for by the 540 ")
    assert "the action taken is unclear, of 30 patients" in note
    for regime in (one for one in told["regimes"] if not one["refused"]):
        assert note in regime["robust"]["notes"]
        assert note in regime["weighted"]["notes"]
    assert note in told["differences"][0]["robust"]["notes"]


def test_where_nobody_is_untold_nobody_is_weighted_and_nothing_is_said() -> None:
    told = figures_of(table(600, 4), intensification())["value"]
    assert "stood_for" not in told["cohort"]
    assert told["regimes"][0]["robust"]["notes"] == []


def test_nobody_stands_for_a_window_that_the_records_cut() -> None:
    frame = table(600, 4)
    late = frame["key.as_of"] >= START + pd.Timedelta(days=391)
    found = cohort(untold(frame, late & (number(frame) % 2 == 0), "pending"))
    assert found.stood_for is None
    # on each of 60 days one patient has the second decision, all of them as late or later
    assert found.left_out == {"Six months: the records end before its window does": 60}
    assert found.trajectories is not None
    assert (found.trajectories.weights == 1).all()


def test_an_untold_patient_without_a_history_is_left_out_for_good() -> None:
    frame = table(600, 4)
    six = frame["decision.stage"] == "six_months"
    held = untold(frame, six & (number(frame) % 10 == 0))
    held.loc[six & (number(frame) < 50), "potassium"] = np.nan
    found = cohort(held)
    assert found.left_out == {
        "Six months: the action taken is ambiguous": 60,
        "Six months: potassium is not known": 45,
    }
    assert found.stood_for is not None
    assert found.stood_for.patients == 55


def test_a_history_that_foretells_who_is_not_told_has_every_value_refused() -> None:
    frame = table(600, 4)
    lost = (frame["decision.stage"] == "six_months") & (frame["sbp"] > 150)
    told = figures_of(untold(frame, lost), intensification())["value"]
    n = int(lost.sum())
    assert told["refused_for"] == "untold"
    assert told["regimes"] == []
    assert told["refused"] == (
        f"Of {n} patients an action is not known, and leaving them out would bias every value: "
        f"stage Six months: the action is not known of {n} of 600 patients, and the history "
        f"foretells it perfectly of {n}, so that nobody can stand for them. What can be done: find "
        "out their actions, or adjust for fewer variables, which is right only without a variable "
        "that is no cause of treatment and outcome alike."
    )
    assert told["cohort"]["stood_for"]["largest_weight"] is None


def test_a_stage_at_which_no_action_is_known_has_every_value_refused() -> None:
    frame = table(600, 4)
    frame = frame[(frame["decision.stage"] == "three_months") | (number(frame) % 5 == 0)]
    refused = values_of(untold(frame, frame["decision.stage"] == "six_months")).refused
    assert "stage Six months: of none of 120 patients the action is known" in refused


def test_a_history_that_foretells_only_who_is_told_is_no_harm() -> None:
    frame = table(600, 4)
    six = frame["decision.stage"] == "six_months"
    lost = six & (frame["step"] == "none") & (number(frame) % 3 == 0)
    found = cohort(untold(frame, lost))
    assert found.stood_for is not None
    assert not found.stood_for.refused
    t = found.trajectories
    assert t is not None
    sure = t.stages[1].columns["step"] != "none"
    assert t.weights[sure] == pytest.approx(1)
    assert t.weights[~sure].min() > 1.2


def test_so_few_that_chance_foretells_them_are_stood_for_by_all_alike() -> None:
    frame = table(600, 4)
    six = frame["decision.stage"] == "six_months"
    lost = six & (frame["sbp"] == frame.loc[six, "sbp"].max())
    assert lost.sum() == 1
    found = cohort(untold(frame, lost))
    assert found.trajectories is not None
    assert found.trajectories.weights == pytest.approx(600 / 599)
    assert found.stood_for is not None
    assert found.stood_for.notes[1] == (
        "stage Six months: the 1 of 600 patients whose action is not known are too few to say what "
        "it depends on, so that all with the decision stand for them alike"
    )


def subgroup_errors(frame: pd.DataFrame) -> list[float]:
    """Return by how many standard errors usual care of each sex is off what was seen of all."""
    everybody = table().drop_duplicates("key.patient")
    told = figures_of(frame, intensification())["subgroups"]
    sexes = next(part for part in told if part["by"] == "Sex")["groups"]
    return [
        abs(one["usual"]["estimate"] - everybody.loc[here, "outcome.value"].mean())
        / one["usual"]["standard_error"]
        for one in sexes
        if (here := everybody["person.sex"] == one["group"]).any()
    ]


def test_subgroups_are_weighted_as_the_whole_is() -> None:
    frame = table()
    lost = by_history(frame)
    weighted, left_out = (subgroup_errors(one) for one in (untold(frame, lost),
                                                           without(frame, lost)))  # fmt: skip
    assert len(weighted) == len(left_out) == 2
    assert max(weighted) < 3 < min(left_out)


def test_fixed_actions_are_weighted_too() -> None:
    frame = table()
    found = values_of(untold(frame, by_history(frame)), least_effective_n=20).regimes
    fixed = {key.removeprefix("fixed:"): one.robust for key, one in found.items()
             if key.startswith("fixed:")}  # fmt: skip
    told = {key: one for key, one in fixed.items() if one is not None}
    assert len(told) >= 3
    for key, one in told.items():
        assert abs(one.estimate - a_world().exact(*key.split(" > "))) < 3 * one.standard_error


def test_a_subgroup_of_everybody_is_worth_as_many_as_everybody() -> None:
    frame = untold(table(), by_history(table())).assign(**{"person.sex": "female"})
    told = figures_of(frame, intensification(), settings=FigureSettings())
    version = next(one for one in told["value"]["regimes"] if one["key"] == "version")
    sexes = next(one for one in told["subgroups"] if one["by"] == "Sex")
    (everybody,) = [group["version"] for group in sexes["groups"] if group["n"]]
    assert everybody["effective_n"] == pytest.approx(version["weighted"]["effective_n"], rel=1e-4)
