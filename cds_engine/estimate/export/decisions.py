"""A replay's decision points are a long table: a row for each patient and stage, and its action."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cds_engine.errors import Fault, TrajectoriesError
from cds_engine.estimate.near_names import did_you_mean
from cds_engine.estimate.study import PATIENT, STAGE, TAKEN, LearnedStage, StudyDocument

AS_OF, STATE, OUTCOME_STATE = "key.as_of", "taken.state", "outcome.state"
_KNOWN = ("seen", "unchanged")
"""The states in which the record tells one action, or that nothing was changed."""
_DEAD = "deceased"
_WHY = {"died": "the patient died before an action was on record"}
NOT_OFFERED = "another action was taken than the stage offers"
"""Why an action counts for nothing, though the record tells it."""


@dataclass(frozen=True)
class DecisionRows:
    """The decision points of a study's learned stages.

    Attributes:
        frame: one row for each patient and stage, in order of patient and time; of a patient
            whose action is not told at a stage nothing that follows that row.
        untold: the rows, by their index, whose action is not told -> why, with the stage.
        patients: how many have a decision at a learned stage, those left out included.
        dead: how many of them died before their outcome could be measured.
        notes: what was left out and why.
    """

    frame: pd.DataFrame
    untold: "pd.Series[str]"
    patients: int
    dead: int
    notes: tuple[str, ...]


def decision_rows(study: StudyDocument, frame: pd.DataFrame) -> DecisionRows:
    """Return one row for each patient and learned stage, and whose action there is not told.

    A stage of the study is met under its own name or those of its parts. At each stage a patient's
    first decision point after that of the stage before counts. A patient whose stages come in
    another order is left out, and counted, as in the figures of a replay.

    Raises:
        TrajectoriesError: if the table is not one that a replay has written.
    """
    _refuse_other_tables(frame)
    served = {one.stage: one.stage for one in study.learned}
    served |= {part.stage: one.stage for one in study.learned for part in one.split}
    here = frame.assign(**{STAGE: frame[STAGE].map(served)})
    here = here[here[STAGE].notna()].sort_values([PATIENT, AS_OF], kind="stable")
    here = here.reset_index(drop=True)
    first, jumbled = _in_order(study.learned, here)
    kept = first[~first[PATIENT].isin(jumbled)]
    untold = _untold(study.learned, kept)
    marked = pd.Series(kept.index.isin(untold.index), index=kept.index)
    # nothing after such a row, for what follows depends on what is not known
    kept = kept[~(marked.groupby(kept[PATIENT]).cumsum() > marked)]
    repeated = int((~here[PATIENT].isin(jumbled)).sum() - (~first[PATIENT].isin(jumbled)).sum())
    said = {
        "decision points are at no learned stage": len(frame) - len(here),
        "repeat a patient's stage; the first is used": repeated,
        "patients have their stages in another order than the study's and are left out": len(
            jumbled
        ),
    }
    notes = tuple(f"{n} {words}" for words, n in said.items() if n)
    last = first.drop_duplicates(PATIENT, keep="last")
    dead = int((last[OUTCOME_STATE] == _DEAD).sum()) if OUTCOME_STATE in last else 0
    return DecisionRows(kept, untold[untold.index.isin(kept.index)], len(last), dead, notes)


def _refuse_other_tables(frame: pd.DataFrame) -> None:
    absent = [name for name in (PATIENT, STAGE, TAKEN, AS_OF, STATE) if name not in frame]
    if absent:
        raise TrajectoriesError("the table", [
            Fault(name, "a replay's table has this column; name the decisions.parquet of a run"
                  + did_you_mean(name, frame.columns))
            for name in absent
        ])  # fmt: skip


def _in_order(
    stages: Sequence[LearnedStage], here: pd.DataFrame
) -> tuple[pd.DataFrame, set[object]]:
    """Return each patient's row at each stage, and whose stages are in another order.

    The index of ``here`` counts its rows in order of patient and time.
    """
    latest = pd.Series(-1, index=pd.Index(here[PATIENT].unique()))
    chosen, jumbled = [], set()
    for stage in stages:
        rows = here[here[STAGE] == stage.stage]
        first = rows[rows.index > rows[PATIENT].map(latest)].drop_duplicates(PATIENT)
        latest.loc[first[PATIENT]] = first.index
        jumbled |= set(rows[PATIENT]) - set(first[PATIENT])
        chosen.append(first)
    return pd.concat(chosen).sort_index(), jumbled


def _untold(stages: Sequence[LearnedStage], rows: pd.DataFrame) -> "pd.Series[str]":
    """Return, of the rows whose action is not told, why; in the words of a replay's figures."""
    options = {one.stage: set(one.choose) for one in stages}
    why: dict[object, str] = {}
    for at, stage, state, action in zip(
        rows.index, rows[STAGE], rows[STATE], rows[TAKEN], strict=True
    ):
        if state not in _KNOWN:
            why[at] = f"{stage}: {why_untold(state)}"
        elif action not in options[stage]:
            why[at] = f"{stage}: {NOT_OFFERED}"
    return pd.Series(why, dtype=object)


def why_untold(state: str) -> str:
    """Return why a state of the action taken tells none, as fits and replays' figures say it.

    >>> why_untold("died"), why_untold("unclear")
    ('the patient died before an action was on record', 'the action taken is unclear')
    """
    return _WHY.get(state, f"the action taken is {state}")
