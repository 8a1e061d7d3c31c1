"""Small trials with a known layout, and larger ones with a known truth."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from cds_engine.estimate.trajectories import HistorySpec, StageData, Trajectories

FIRST = HistorySpec(
    stage="first", variables=("sbp", "sex"), actions=("diet", "drug"), action="first_action"
)
SECOND = HistorySpec(
    stage="second",
    variables=("sbp_later", "first_action", "responder", "egfr"),
    actions=("keep", "add", "switch"),
    action="second_action",
    when="not responder",
    feasible={"switch": "egfr >= 45"},
)
SPECS = (FIRST, SECOND)


def a_table(**changed: Any) -> pd.DataFrame:
    """Return ten patients of a two-stage trial; two responded and have no second decision."""
    table = pd.DataFrame(
        {
            "id": [f"p{n}" for n in range(10)],
            "sbp": [150.0, 162, 148, 171, 155, 160, 158, 149, 165, 152],
            "sex": ["f", "m", "f", "m", "m", "f", "f", "m", "f", "m"],
            "first_action": ["diet", "drug"] * 5,
            "sbp_later": [140.0, 150, 139, 160, 150, 155, 130, 128, 150, 149],
            "responder": [False] * 6 + [True, True] + [False] * 2,
            "egfr": [80.0, 70, 60, 50, 40, 30, 90, 85, 75, 65],
            "second_action": ["keep", "add", "switch", "keep", "add", "keep", None, None,
                              "switch", "add"],
            "drop": [10.0, 12, 9, 14, 11, 8, 20, 22, 13, 7],
        }
    )  # fmt: skip
    return table.assign(**changed)


def read(table: pd.DataFrame, specs: tuple[HistorySpec, ...] = SPECS, **options: Any) -> Any:
    """Return the trajectories of a table whose outcome is ``drop``."""
    return Trajectories.from_wide(table, specs, outcome="drop", **options)


def a_smart(n: int, seed: int, *, noise: float = 1.0) -> pd.DataFrame:
    """Return a SMART in which both stages' Q-functions are linear and known.

    Non-responders choose again among three actions; ``intense`` is not feasible above age 70.
    Y = 2 + age/50 + [online](0.5 - x1) + (not responder)([more](x2 - 0.3) + [intense](0.4 - x2/2)).
    """
    rng = np.random.default_rng(seed)
    x1 = rng.standard_normal(n)
    age = rng.uniform(40, 80, n).round(1)
    sex = rng.choice(np.array(["f", "m"], dtype=object), n)
    online = rng.random(n) < 0.5
    responder = rng.random(n) < np.where(online, 0.45, 0.3)
    x2 = rng.standard_normal(n) + 0.3 * x1
    allowed = np.where(age[:, None] > 70, [1, 1, 0], [1, 1, 1])
    second = (rng.random((n, 3)) * allowed).argmax(axis=1)
    effects = np.column_stack([np.zeros(n), x2 - 0.3, 0.4 - x2 / 2])
    y = 2 + age / 50 + online * (0.5 - x1) + noise * rng.standard_normal(n)
    y += np.where(responder, 0.0, effects[np.arange(n), second])
    labels = np.array(["same", "more", "intense"], dtype=object)[second]
    return pd.DataFrame(
        {
            "id": np.arange(n), "x1": x1, "age": age, "sex": sex,
            "way": np.where(online, "online", "group"), "responder": responder, "x2": x2,
            "next": np.where(responder, None, labels), "steps": y,
        }
    )  # fmt: skip


SMART_SPECS = (
    HistorySpec(
        stage="start", variables=("x1", "age", "sex"), actions=("group", "online"), action="way",
        randomised={"group": 1, "online": 1},
    ),
    HistorySpec(
        stage="later", variables=("x1", "age", "way", "responder", "x2"),
        actions=("same", "more", "intense"), action="next", when="not responder",
        feasible={"intense": "age <= 70"}, randomised={"same": 1, "more": 1, "intense": 1},
    ),
)  # fmt: skip
SMART_MAIN = {"start": ("x1", "age", "sex"), "later": ("x1", "age", "way", "way:x1", "x2")}
SMART_TAILORING = {"start": ("x1",), "later": ("x2",)}


def the_smart(n: int = 400, seed: int = 1, **options: Any) -> Trajectories:
    """Return the trajectories of ``a_smart``."""
    return Trajectories.from_wide(a_smart(n, seed, **options), SMART_SPECS, outcome="steps")


def stage_data(
    spec: HistorySpec, columns: dict[str, Any], action: Any, **changed: Any
) -> StageData:
    """Return the histories of a stage in which everybody has a decision and all is feasible."""
    n = len(action)
    data = StageData(
        spec=spec, columns=columns, decided=np.ones(n, dtype=np.bool_),
        action=np.asarray(action, dtype=np.intp),
        feasible=np.ones((n, len(spec.actions)), dtype=np.bool_), reward=np.zeros(n),
    )  # fmt: skip
    return replace(data, **changed)


def trajectories(*stages: StageData, outcome: Any, **changed: Any) -> Trajectories:
    """Return trajectories of given stages; the identifiers count from 0."""
    y = np.asarray(outcome, dtype=np.float64)
    return replace(Trajectories(np.arange(len(y)), stages, y, weights=np.ones(len(y))), **changed)
