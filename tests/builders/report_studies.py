"""Small trials of any number of stages, written for reports: the names are as awkward as can be."""

from typing import Any

import numpy as np
import pandas as pd
from builders.studies import study_of

from cds_adapters.report.numbers import MINUS
from cds_engine.estimate.study import StudyDocument

AWKWARD = "Pain <b>now</b> & $x_1$"


def shown(text: str) -> float:
    """Return the number that a report writes so."""
    return float(text.replace(MINUS, "-"))


def staged(stages: int, learner: str = "q-learning", **fields: Any) -> StudyDocument:
    """Return a study with so many stages, each with two options of its own."""
    code = "https://codes.example/c|"
    steps = [f"{name}{k}" for k in range(1, stages + 1) for name in ("do", "wait")]
    actions = {
        name: {"label": f"Action <{name}>",
               "order": {"resource": "ServiceRequest", "code": code + name},
               "seen_as": [code + name]}
        for name in steps
    }  # fmt: skip
    return study_of({
        "study": "staged", "version": "1.0.0", "title": "A trial <script>alert(1)</script>",
        "aim": {"outcome": "pain", "at": "P9M", "unit": "{score}", "better": "lower"},
        "data": {"world": "hypertension-cohort", "n": 1},
        "outcome": {"column": "y", "label": "Pain <later>"},
        "population": "pain >= 5",
        "variables": {
            "pain": {"from": "observation", "label": AWKWARD, "codes": [code + "pain"],
                     "unit": "{score}", "take": "latest", "within": "P30D",
                     "plausible": [0, 100], "digits": 0},
            "step": {"from": "course", "label": "Step", "take": "latest_action"},
        },
        "actions": actions,
        "stages": [
            {"stage": f"stage{k}", "choose": [f"do{k}", f"wait{k}"],
             "when": "step is none" if k == 1 else f"step in [do{k - 1}, wait{k - 1}]",
             "history": {"pain": f"pain{k}"}, "taken": f"a{k}",
             "randomised": {f"do{k}": 1, f"wait{k}": 1}, "tailoring": ["pain"],
             "at": {"step": "none" if k == 1 else f"do{k - 1}"}}
            for k in range(1, stages + 1)
        ],
        "method": {"learner": learner, "bootstrap": 100, "propensity": "known", "min_leaf": 20},
        "seed": 1,
        **fields,
    })  # fmt: skip


def staged_table(stages: int, n: int = 400, seed: int = 3) -> pd.DataFrame:
    """Return its data: doing something helps those whose pain is above 50."""
    rng = np.random.default_rng(seed)
    table: dict[str, Any] = {"id": np.arange(n)}
    y = rng.normal(40.0, 4.0, n)
    for k in range(1, stages + 1):
        pain = rng.integers(20, 81, n).astype(float)
        does = rng.random(n) < 0.5
        y += 0.1 * pain - does * 0.3 * (pain - 50)
        table |= {f"pain{k}": pain, f"a{k}": np.where(does, f"do{k}", f"wait{k}")}
    return pd.DataFrame(table).assign(y=y)
