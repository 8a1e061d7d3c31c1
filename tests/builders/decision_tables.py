"""A replay's table of a small world of which it is known what each action does."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from builders.studies import hypertension, study_of
from scipy.special import expit

from cds_engine.estimate.export.data import study_trajectories
from cds_engine.estimate.export.skeleton import skeleton
from cds_engine.estimate.q_learning import QLearning
from cds_engine.estimate.study import StudyDocument
from cds_engine.estimate.trajectories import Trajectories

ACE, CCB = -8.0, -12.0
"""What each drug does to the pressure, in mmHg, whoever takes it."""
STAGES = ("three_months", "six_months")


def a_replay_study(data: Mapping[str, Any] | None = None, **outcome: Any) -> StudyDocument:
    """Return a study of a replay's table; given fields are those of its data and its outcome."""
    document = hypertension()
    document["data"] = {"file": "decisions.parquet", "layout": "decisions", **(data or {})}
    document["id"] = "key.patient"
    document["outcome"] = {**document["outcome"], "column": "outcome.value", **outcome}
    for stage in document["stages"]:
        stage["history"] = ["age", "sbp", *(["step"] if stage["stage"] == STAGES[1] else [])]
        stage["taken"] = "taken.action"
        stage["tailoring"] = ["sbp"]
    document["safeguards"] = []
    return study_of(document)


def a_replay_table(n: int, seed: int) -> pd.DataFrame:
    """Return the two decision points of every patient; the sicker one is, the more one is given.

    The pressure at nine months is that at six, less what the second drug does, and noise. Adding
    the second drug is best for everybody, and the first drug is worth ``ACE`` whoever has it.
    """
    rng = np.random.default_rng(seed)
    first = np.round(rng.normal(150, 12, n))
    ace = rng.random(n) < expit((first - 150) / 10)
    second = np.round(first + ACE * ace + rng.normal(0, 10, n))
    ccb = rng.random(n) < expit((second - 146) / 8)
    outcome = second + CCB * ccb + rng.normal(0, 4, n)
    who = [f"p{at:05d}" for at in range(n)]
    age = rng.integers(40, 80, n).astype(float)
    rows = [
        pd.DataFrame({
            "key.patient": who, "key.as_of": at, "decision.stage": stage, "age": age, "sbp": sbp,
            "step": step, "taken.action": taken, "taken.state": "seen", "outcome.value": outcome,
            "outcome.state": "known",
        })
        for at, (stage, sbp, step, taken) in enumerate([
            (STAGES[0], first, "none", np.where(ace, "add_ace", "keep")),
            (STAGES[1], second, np.where(ace, "add_ace", "none"), np.where(ccb, "add_ccb", "keep")),
        ])
    ]  # fmt: skip
    return pd.concat(rows, ignore_index=True).sample(frac=1, random_state=seed)


def untold(table: pd.DataFrame, rows: "pd.Series[bool]", state: str = "ambiguous") -> pd.DataFrame:
    """Return the table with the action of some rows not told."""
    changed = table.copy()
    changed.loc[rows, ["taken.action", "taken.state"]] = [None, state]
    return changed


def read_table(study: StudyDocument, table: pd.DataFrame) -> tuple[Trajectories, tuple[str, ...]]:
    """Return what a fit reads of a table, and its notes."""
    return study_trajectories(study, table, skeleton(study))


def worth_of_the_first_drug(found: Trajectories) -> float:
    """Return the mean of what the first drug is learned to do to the pressure, in mmHg."""
    learner = QLearning(
        main={STAGES[0]: ("age", "sbp"), STAGES[1]: ("age", "sbp", "step")},
        tailoring=dict.fromkeys(STAGES, ("sbp",)),
    ).fit(found)
    h = found.stages[0]
    told = np.asarray(learner.contrasts(STAGES[0], h, reference="keep").coefficients)[0]
    # at one place for all samples, since it is the same everywhere in truth
    return float(found.sign * (told[0] + told[1] * 150.0))
