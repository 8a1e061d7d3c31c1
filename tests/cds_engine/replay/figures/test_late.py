"""Where the records end before the window of a decision, what was done there is told of nobody."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.replay_worlds import START, a_world, intensification, points_of, truth

from cds_engine.bundle.model import RuleBundle
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.points import DecisionPoints, Ends
from cds_engine.replay.figures.settings import FigureSettings

Json = dict[str, Any]
N = 1440
DAY = pd.Timedelta(days=1)
UNTIL = START + 420 * DAY
WINDOW = "P90D"
RUN = {"settings": {"window": WINDOW, "data_until": UNTIL.strftime("%Y-%m-%dT%H:%M:%SZ")}}
WORDS = "the records end before its window does"


@cache
def whole(n: int = N, seed: int = 4) -> pd.DataFrame:
    return points_of(a_world().draw(n, seed), intensification())


def late(frame: pd.DataFrame) -> "pd.Series[bool]":
    return frame["key.as_of"] + 90 * DAY > UNTIL


def cut(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table as records would show it: who got a drug got it at once."""
    some = late(frame)
    other = frame.copy()
    nothing = some & (frame["taken.action"] == "keep")
    other.loc[nothing, ["taken.action", "taken.state"]] = [None, "pending"]
    other.loc[some, "outcome.value"] = np.nan
    other.loc[some, "outcome.state"] = "pending"
    return other


def told(frame: pd.DataFrame, run: Json | None = None, **settings: Any) -> Json:
    return figures_of(frame, intensification(), settings=FigureSettings(**settings), run=run)


def agreed(figures: Json) -> list[Json]:
    found: list[Json] = figures["concordance"]
    return found


def test_some_are_told_and_some_pending_where_the_records_end() -> None:
    held = cut(whole())
    there = held.loc[late(held), "taken.state"].value_counts()
    assert there["seen"] > 100
    assert there["pending"] > 100


def test_concordance_is_that_of_the_decisions_whose_window_was_over() -> None:
    frame = cut(whole())
    assert agreed(told(frame, RUN)) == agreed(told(whole()[~late(frame)]))
    # those treated at once alone would look as if clinicians did nothing but treat
    shown = frame["taken.state"] != "pending"
    assert agreed(told(frame, RUN))[-1]["share"] != agreed(told(frame[shown]))[-1]["share"]


def test_values_are_those_of_the_patients_whose_windows_were_over() -> None:
    frame = cut(whole())
    gone = frame["key.patient"].isin(frame.loc[late(frame), "key.patient"])
    found, wanted = told(frame, RUN), told(whole()[~gone])
    for part in ("regimes", "differences", "assumptions"):
        assert found["value"][part] == wanted["value"][part]
    assert found["calibration"] == wanted["calibration"]
    lost = frame.loc[gone, "key.patient"].nunique()
    assert found["value"]["cohort"]["counted"] == N - lost
    left_out = found["value"]["cohort"]["left_out"]
    assert set(left_out) == {f"Three months: {WORDS}", f"Six months: {WORDS}"}
    assert sum(left_out.values()) == lost


def test_the_funnel_says_how_many_decisions_come_too_late() -> None:
    frame = cut(whole())
    steps = {one["step"]: one["decisions"] for one in told(frame, RUN)["funnel"]}
    advised = frame["decision.outcome"].isin(["recommendation", "equipoise", "no_change"])
    assert steps["supported"] == advised.sum()
    assert steps["ripe"] == steps["known"] == (advised & ~late(frame)).sum()
    assert steps["ripe"] < steps["supported"]


def test_without_settings_the_first_that_is_pending_tells_from_when_on() -> None:
    frame = cut(whole())
    first = frame.loc[frame["taken.state"] == "pending", "key.as_of"].min()
    assert agreed(told(frame)) == agreed(told(whole()[frame["key.as_of"] < first]))
    assert told(frame)["value"]["cohort"]["left_out"][f"Six months: {WORDS}"] > 0


@pytest.mark.parametrize("how", [RUN, None], ids=["settings", "the table"])
def test_a_run_whose_windows_are_all_over_loses_nobody(how: Json | None) -> None:
    frame = whole()
    ends = {"settings": {"window": WINDOW, "data_until": "2030-01-01T00:00:00Z"}}
    found = told(frame, how and ends)
    assert found["value"]["cohort"]["left_out"] == {}
    assert found["funnel"][3]["decisions"] == found["funnel"][4]["decisions"]


def test_the_second_version_leaves_out_the_same() -> None:
    other = intensification({"constant: -9.19711": "constant: -12.0"})
    frame = points_of(a_world().draw(300, 4), intensification(), other)
    frame["against.taken.action"] = frame["taken.action"]
    frame["against.taken.state"] = frame["taken.state"].mask(late(frame), "seen")
    points = DecisionPoints.of(frame, intensification(), other, Ends.of(RUN["settings"]))
    assert (points.second.ripe == points.ripe).all()
    assert points.ripe.sum() == (~late(frame)).sum()
    assert not (points.second.action_known & ~points.ripe).any()


def test_a_window_of_months_is_one_of_the_calendar() -> None:
    ends = Ends.of({"window": "P1M", "data_until": "2025-02-28T12:00:00Z"})
    assert ends is not None
    at = pd.Series(pd.to_datetime(["2025-01-28T12:00Z", "2025-01-28T12:01Z", "2025-01-31T12:00Z"]))
    assert ends.cut(at).tolist() == [False, True, False]


@pytest.mark.parametrize("settings", [
    {}, {"window": "P30D"}, {"window": "P30D", "data_until": None},
])  # fmt: skip
def test_a_run_that_does_not_say_when_the_records_end_says_nothing(settings: Json) -> None:
    assert Ends.of(settings) is None


def test_a_stage_that_came_too_late_for_everybody_is_left_out_with_its_number() -> None:
    frame = whole(600)
    run = {"settings": {"window": WINDOW, "data_until": "2020-01-01T00:00:00Z"}}
    found = told(frame, run)
    assert found["value"]["refused_for"] == "left-out"
    assert found["value"]["cohort"]["left_out"] == {f"Three months: {WORDS}": 600}
    assert agreed(found)[-1]["decisions"] == 0


@pytest.mark.parametrize("seed", [21, 22])
def test_with_the_late_left_out_the_values_are_right(seed: int) -> None:
    frame = cut(whole(4000, seed))
    rows = {one["key"]: one for one in told(frame, RUN)["value"]["regimes"]}
    for key, true in truth(a_world(), intensification())._asdict().items():
        if key in rows:
            one = rows[key]["robust"]
            assert abs(one["estimate"] - true) < 3 * one["standard_error"]


CONDITION = {"aim: {outcome: sbp, at: P9M, from: start, unit: 'mm[Hg]', better: lower}":
             "aim: {outcome: hypertension, at: P9M, from: start, better: lower}"}  # fmt: skip


def a_condition(n: int = 400) -> tuple[RuleBundle, pd.DataFrame]:
    """Of every ten patients four have the condition at the end, and one of these had it at first.

    One more of them has it only since the second decision.
    """
    bundle = intensification(CONDITION)
    frame = points_of(a_world().draw(n, 4), intensification())
    at = frame["key.patient"].str.rpartition("-")[2].astype(int) % 10
    second = frame["decision.stage"] == "six_months"
    frame["hypertension"] = (at == 0) | (second & (at == 1))
    frame["outcome.value"] = np.where(at < 4, 1.0, 0.0)
    return bundle, frame


def test_what_was_true_at_the_first_decision_already_is_counted_apart() -> None:
    bundle, frame = a_condition()
    cohort = figures_of(frame, bundle)["value"]["cohort"]
    assert cohort["already"] == {"patients": 40, "of": 160}


def test_of_those_whose_outcome_is_not_known_nothing_is_counted() -> None:
    bundle, frame = a_condition()
    some = frame["key.patient"].str.endswith("0")
    frame.loc[some, "outcome.value"] = np.nan
    frame.loc[some, "outcome.state"] = "pending"
    cohort = figures_of(frame, bundle)["value"]["cohort"]
    assert cohort["already"] == {"patients": 0, "of": 120}


def test_a_condition_of_which_nothing_was_known_was_not_true_already() -> None:
    bundle, frame = a_condition()
    open_ = frame["key.patient"].str.rpartition("-")[2].astype(int) % 20 == 0
    frame["hypertension"] = frame["hypertension"].astype(object).mask(open_, None)
    settings = FigureSettings(adjust_for=("age", "sbp"))
    cohort = figures_of(frame, bundle, settings=settings)["value"]["cohort"]
    assert cohort["already"] == {"patients": 20, "of": 160}


def test_a_measurement_cannot_be_true_already() -> None:
    assert told(whole(600))["value"]["cohort"]["already"] is None
