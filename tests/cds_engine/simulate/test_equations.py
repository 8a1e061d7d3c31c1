"""The table follows the equations that the worlds state, computed here one patient at a time."""

from collections.abc import Callable, Mapping
from math import exp

import numpy as np
import pytest

from cds_engine.simulate import WORLDS

Z = Mapping[str, float]


def kept(value: float, digits: int, low: float, high: float) -> float:
    return round(min(max(value, low), high), digits)


def activity(z: Z, chosen: list[str | None]) -> dict[str, float]:
    age = kept(50 + 8 * z["age"], 0, 18, 90)
    e = kept(50 + 12 * z["self_efficacy"], 0, 0, 100)
    s0 = kept(5200 - 20 * (age - 50) + 900 * z["steps_start"], 0, 0, 30000)
    r, s = {"coaching": (450, 16), "classes": (500, -14)}[chosen[0] or ""]
    s8 = kept(s0 + r + s * (e - 50) + 700 * z["steps_eight_weeks"], 0, 0, 30000)
    responder = 10 * s8 > 11 * s0
    g, t = {"gym": (500, 32), "interview": (650, -24), "kit": (400, 24), "trainer": (550, -20),
            None: (0, 0)}[chosen[1]]  # fmt: skip
    y = kept(s8 + 100 + (not responder) * (g + t * (e - 50)) + 800 * z["outcome"], 0, 0, 60000)
    return {"age": age, "self_efficacy": e, "steps_start": s0, "steps_eight_weeks": s8,
            "responder": responder, "outcome": y}  # fmt: skip


def hypertension(z: Z, chosen: list[str | None]) -> dict[str, float]:
    age, u = kept(60 + 9 * z["age"], 0, 18, 110), z["severity"]
    diabetes = z["diabetes"] < 0.3
    p1 = kept(4.4 + 0.4 * z["potassium_three_months"], 1, 2.5, 8)
    s1 = 150 + 0.3 * (age - 60) + 4 * diabetes + 5 * u + 9 * z["sbp_three_months"]
    s1 = kept(s1, 0, 60, 280)
    a1, a2 = chosen[0] == "add_ace", chosen[1] == "add_ccb"
    b1 = -(6 + 0.5 * (s1 - 150)) + 8 * (p1 - 4.4)
    s2 = kept(60 + 0.6 * s1 + 3 * u + a1 * b1 + 7 * z["sbp_six_months"], 0, 60, 280)
    p2 = kept(4.4 + 0.6 * (p1 - 4.4) + 0.2 * a1 + 0.25 * z["potassium_six_months"], 1, 2.5, 8)
    b2 = -(3 + 0.3 * (s2 - 144)) + 0.25 * (age - 60) + a1
    y = kept(60 + 0.6 * s2 + 3 * u + a2 * b2 + 7 * z["outcome"], 0, 60, 280)
    return {"age": age, "diabetes": diabetes, "sbp_three_months": s1, "sbp_six_months": s2,
            "potassium_three_months": p1, "potassium_six_months": p2, "outcome": y}  # fmt: skip


def depression(z: Z, chosen: list[str | None]) -> dict[str, float]:
    g = kept(10 + 4 * z["gad7"], 0, 0, 21)
    p0 = kept(17 + 0.2 * (g - 10) + 3 * z["phq9_start"], 0, 10, 27)
    shift = -1.5 - 0.18 * (g - 10) if chosen[0] == "sertraline" else -1.9 + 0.22 * (g - 10)
    p8 = kept(0.55 * p0 + shift + 3.2 * z["phq9_eight_weeks"], 0, 0, 27)
    mean = {"augment": 0.9 * p8 - 2.4 + 0.2 * (p8 - 9),
            "switch": 0.9 * p8 - 3.0 - 0.2 * (p8 - 9) + 0.1 * (g - 10),
            None: 0.8 * p8 + 0.5}[chosen[1]]  # fmt: skip
    return {"age": kept(45 + 11 * z["age"], 0, 18, 90), "gad7": g, "phq9_start": p0,
            "phq9_eight_weeks": p8, "remission": p8 < 5,
            "outcome": kept(mean + 2.5 * z["outcome"], 0, 0, 27)}  # fmt: skip


def diabetes(z: Z, chosen: list[str | None]) -> dict[str, float]:
    age = kept(62 + 9 * z["age"], 0, 18, 100)
    bmi = kept(31 + 4 * z["bmi"], 1, 15, 60)
    egfr = kept(82 - 0.8 * (age - 62) + 16 * z["egfr"], 0, 5, 150)
    failing = z["heart_failure"] < 1 / (1 + exp(1.8 - 0.05 * (age - 62)))
    hba1c = kept(8.4 + 0.9 * z["hba1c"], 1, 5, 15)
    h = hba1c - 8.4
    blip = {
        "sglt2i": -0.90 - 0.25 * h - 0.012 * (egfr - 82) - 0.03 * (bmi - 31),
        "dpp4i": -0.65 + 0.05 * h - 0.015 * (age - 62),
        "sulfonylurea": -0.70 - 0.10 * h + 0.012 * (age - 62),
    }[chosen[0] or ""]
    y = 8.4 + 0.8 * h + 0.3 * failing + 0.01 * (age - 62) + blip + 0.6 * z["outcome"]
    return {"age": age, "bmi": bmi, "egfr": egfr, "heart_failure": failing, "hba1c": hba1c,
            "outcome": kept(y, 1, 4, 18)}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "equations"),
    [("activity-smart", activity), ("hypertension-cohort", hypertension),
     ("depression-smart", depression), ("diabetes-cohort", diabetes)],
)  # fmt: skip
def test_the_table_follows_the_stated_equations(
    name: str, equations: Callable[[Z, list[str | None]], dict[str, float]]
) -> None:
    world = WORLDS[name]()
    data = world.draw(400, 21)
    for row in range(data.n):
        z = {one: float(values[row]) for one, values in data.noise.items()}
        chosen = [data.columns[stage.action][row] for stage in world.stages]
        expected = {one: float(value) for one, value in equations(z, chosen).items()}
        found = {one: float(data.columns[one][row]) for one in expected}
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "stage", "moved", "at", "feasible"),
    [
        ("hypertension-cohort", 0, "potassium", 5.5, [True, True]),
        ("hypertension-cohort", 0, "potassium", 5.6, [False, True]),
        ("diabetes-cohort", 0, "egfr", 30.0, [True, True, True]),
        ("diabetes-cohort", 0, "egfr", 29.0, [False, True, True]),
        ("depression-smart", 1, "phq9", 5.0, [True, True]),
        ("depression-smart", 1, "phq9", 4.0, [False, False]),
    ],
)
def test_the_limits_are_feasible_themselves(
    name: str, stage: int, moved: str, at: float, feasible: list[bool]
) -> None:
    world = WORLDS[name]()
    known = world.draw(1, 1).history(stage)
    known |= {moved: np.array([at]), world.stages[stage].columns[moved]: np.array([at])}
    known |= {"heart_failure": np.array([False])}
    assert world.feasible(stage, known).tolist() == [feasible]
