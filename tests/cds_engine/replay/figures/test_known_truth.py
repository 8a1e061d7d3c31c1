"""On a cohort whose truth is known the value is right, and without the confounders it is not."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from builders.replay_worlds import Truth, a_world, intensification, points_of
from builders.replay_worlds import truth as true_of

from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.settings import FigureSettings

Json = dict[str, Any]
N = 3000


def figures(hidden: float = 0.0, seed: int = 11, **settings: Any) -> Json:
    bundle = intensification()
    frame = points_of(a_world(hidden).draw(N, seed), bundle)
    return figures_of(frame, bundle, settings=FigureSettings(**settings))


@cache
def truth(hidden: float = 0.0) -> Truth:
    return true_of(a_world(hidden), intensification())


def values(told: Json) -> dict[str, tuple[float, float]]:
    """Return estimate and standard error of the version, of usual care and of the difference."""
    rows = {one["key"]: one for one in told["value"]["regimes"]}
    difference = told["value"]["differences"][0]
    assert (difference["of"], difference["minus"]) == ("version", "usual")
    found = {"version": rows["version"]["robust"], "usual": rows["usual"]["robust"],
             "difference": difference["robust"]}  # fmt: skip
    return {name: (one["estimate"], one["standard_error"]) for name, one in found.items()}


def errors(told: Json, hidden: float = 0.0) -> dict[str, float]:
    """Return by how many standard errors each value is off the truth."""
    wanted = truth(hidden)._asdict()
    return {name: (estimate - wanted[name]) / error
            for name, (estimate, error) in values(told).items()}  # fmt: skip


@pytest.mark.parametrize("seed", [11, 12])
def test_the_doubly_robust_value_is_within_three_standard_errors_of_the_truth(seed: int) -> None:
    found = errors(figures(seed=seed))
    assert max(map(abs, found.values())) < 3
    assert set(found) == {"version", "usual", "difference"}


def test_the_version_is_better_than_usual_care_and_the_interval_says_so() -> None:
    told = figures()["value"]["differences"][0]["robust"]
    assert told["high"] < 0 > truth().difference


FIXED = [("add_ace", "add_ccb"), ("add_ace", "keep"), ("keep", "keep")]


def fixed_errors(told: Json) -> list[float]:
    """Return by how many standard errors the values of fixed actions are off the truth."""
    rows = {one["key"]: one.get("robust") for one in told["value"]["regimes"]}
    return [
        (one["estimate"] - a_world().exact(*actions)) / one["standard_error"]
        for actions in FIXED
        if (one := rows[f"fixed:{' > '.join(actions)}"])
    ]


def test_the_values_of_fixed_actions_are_right_too() -> None:
    assert max(map(abs, fixed_errors(figures(least_effective_n=20)))) < 3


def test_with_the_recorded_confounders_withheld_they_are_not() -> None:
    found = fixed_errors(figures(adjust_for=("age",)))
    assert len(found) == len(FIXED)
    assert min(map(abs, found)) > 3


def test_with_an_unrecorded_confounder_the_value_of_the_version_is_not_right_either() -> None:
    found = errors(figures(0.8), 0.8)
    assert abs(found["version"]) > 3
    assert abs(found["difference"]) > 3
    assert abs(found["usual"]) < 3


def test_sensitivity_says_how_little_hidden_confounding_would_do_it() -> None:
    hidden = 0.8
    told = figures(hidden)
    assert abs(errors(told, hidden)["difference"]) > 3
    wanted = truth(hidden).difference
    [curve] = told["value"]["sensitivity"]
    covers = [at["gamma"] for at in curve["curve"] if at["low"] <= wanted <= at["high"]]
    assert 1.0 not in covers
    assert min(covers) <= np.exp(hidden)
    assert 1 < curve["flips_at"] < np.exp(hidden)


def test_weighting_alone_agrees_with_the_doubly_robust_value() -> None:
    told = figures()["value"]["regimes"][0]
    apart = told["robust"]["estimate"] - told["weighted"]["estimate"]
    assert abs(apart) < 2 * told["weighted"]["standard_error"]


def test_the_naive_difference_stands_beside_and_differs() -> None:
    told = figures()["value"]["regimes"]
    fixed = next(one for one in told if one["key"] == "fixed:add_ace > add_ccb")
    assert fixed["naive"]["estimate"] > 0
    assert fixed["robust"]["estimate"] < fixed["crude"]["estimate"]
