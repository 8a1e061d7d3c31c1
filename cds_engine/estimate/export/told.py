"""Whose course of actions is told stands for those whose is not: one over its probability.

The action of a decision is not told where the record shows two, or one of unknown status, or ends
too early; or it is told and none of the stage's. Such a patient did have the decision. Read as one
without it, the outcome would enter the stages before as if the best had been done from there on,
which biases every stage before. `data.untold` says what is done instead:

* ``weight``, the default. That the action is told is taken as one more thing that happens at the
  stage, after its history H_k and before its action. Where it depends on nothing but the histories
  and actions up to there (told at random), those told, each weighted by the product over stages of
  1 / P(told at k | history up to k, told before), stand for all: the estimand stays that of the
  whole population. Of patients who had an action that the stage does not offer this is nothing
  new: it is one more option, which no regime of the study advises, and asks what sequential
  exchangeability asks anyway.
* ``leave-out``. Right only if who is told has nothing to do with history at all: a second history
  is a consequence of the first action, so that to choose patients by it biases the first stage.

Nobody stands for whose window for an action the records may cut, nor counts who was told something
in such a window: see ``cds_engine.estimate.untold``, which a replay's figures use as well.

A missing outcome's weights (``missing_outcomes``) cannot do this work: they are given the whole
history with all actions, of which the untold one is a part.

References:
    Tsiatis et al. (2019), Dynamic Treatment Regimes, CRC Press, section 5.4; Robins, Rotnitzky
    & Zhao (1995), JASA 90, 106-121.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats
from cds_engine.estimate.export.decisions import AS_OF, STATE, DecisionRows
from cds_engine.estimate.history_matrix import HistoryMatrix
from cds_engine.estimate.missing_outcomes import whole_history
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.study import PATIENT, STAGE, TAKEN, StudyDocument
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.untold import cut_short, shares_told

_TOLD = ("told", "untold")


@dataclass(frozen=True)
class Told:
    """The patients all of whose actions are told.

    Attributes:
        frame: their rows.
        weights: of each patient, by identifier; ones where nobody is weighted for.
        notes: who is not among them, and what was done about it.
    """

    frame: pd.DataFrame
    weights: "pd.Series[float]"
    notes: tuple[str, ...]


def told_courses(
    study: StudyDocument, rows: DecisionRows, frame: pd.DataFrame, specs: Sequence[HistorySpec],
    options: dict[str, Any],
) -> Told:  # fmt: skip
    """Return the patients whose every action is told, weighted for the others or without them.

    Args:
        study: says which, in ``data.untold``.
        rows: the decision points.
        frame: their table, rounded as serving would.
        specs: of the stages.
        options: how a long table is read, besides its columns.

    Raises:
        EstimationError: if nobody's course is told, or the history foretells whose is not.
        TrajectoriesError: with every fault of the table.
    """
    asked = frame[PATIENT].nunique()
    frame, rows, notes = _in_time(frame, rows)
    lost = frame.loc[rows.untold.index, PATIENT]
    kept = frame[~frame[PATIENT].isin(lost)]
    weights = pd.Series(1.0, index=pd.Index(kept[PATIENT].unique()))
    reasons = rows.untold.value_counts().sort_index()
    notes += [f"{why}, of {n} patients" for why, n in reasons.items()]
    if kept.empty and notes:
        raise EstimationError(
            f"of none of {asked} patients every action is told: {'; '.join(notes)}"
        )
    if not len(lost):
        return Told(kept, weights, tuple(notes))
    everybody = frame[PATIENT].nunique()
    if getattr(study.data, "untold", "weight") == "leave-out":
        notes.append(
            f"these {len(lost)} of {everybody} patients are left out, as if whose action is told "
            "had nothing to do with their history"
        )
        return Told(kept, weights, tuple(notes))
    frame, blank = _with_history(study, frame, rows)
    if blank:
        notes.append(f"{blank} of them lack a part of their history there as well, so that nobody "
                     "can stand for them, and are left out")  # fmt: skip
    shares, alike = _weights(frame, rows, specs, options)
    weights *= shares.reindex(weights.index)
    notes.append(
        f"these {len(lost)} patients had a decision, so that they are not among those without; "
        f"the {len(kept[PATIENT].unique())} whose every action is told stand for them, weighted by "
        "one over its probability given the history up to each decision (largest weight "
        f"{weights.max():.1f})"
    )
    return Told(kept, weights, (*notes, *alike))


def _in_time(
    frame: pd.DataFrame, rows: DecisionRows
) -> tuple[pd.DataFrame, DecisionRows, list[str]]:
    """Return both without the patients who have a decision too near the end of the records."""
    late = frame.loc[cut_short(frame[AS_OF], frame[STATE]), PATIENT].unique()
    if not len(late):
        return frame, rows, []
    frame = frame[~frame[PATIENT].isin(late)]
    untold = rows.untold[rows.untold.index.isin(frame.index)]
    note = (
        f"{len(late)} patients have a decision so late that the records end before its window "
        "does; they are left out, whether or not their action is told, as only what is done at "
        "once is told there"
    )
    return frame, replace(rows, untold=untold), [note]


def _with_history(
    study: StudyDocument, frame: pd.DataFrame, rows: DecisionRows
) -> tuple[pd.DataFrame, int]:
    """Return the table without patients whose untold row lacks what explains it, and how many."""
    blank: set[Any] = set()
    for stage in study.learned:
        columns = [name for name in stage.history.values() if name in frame]
        known = frame.groupby(PATIENT, sort=False)[columns].ffill() if columns else frame[columns]
        here = frame[STAGE].eq(stage.stage) & frame.index.isin(rows.untold.index)
        blank |= set(frame.loc[here & known.isna().any(axis=1), PATIENT])
    return frame[~frame[PATIENT].isin(blank)], len(blank)


def _weights(
    frame: pd.DataFrame, rows: DecisionRows, specs: Sequence[HistorySpec], options: dict[str, Any]
) -> "tuple[pd.Series[float], list[str]]":
    """Return each patient's product of 1 / P(told at k | history up to k, told before), and notes.

    Raises:
        EstimationError: if the history foretells whose action is not told.
    """
    notes: list[str] = []
    weights = pd.Series(1.0, index=pd.Index(frame[PATIENT].unique()))
    for k, spec in enumerate(specs):
        here = frame[STAGE].eq(spec.stage)
        untold = here & frame.index.isin(rows.untold.index)
        if not untold.any():
            continue
        upto = frame[STAGE].isin([one.stage for one in specs[: k + 1]])
        before = frame[STAGE].isin([one.stage for one in specs[:k]])
        gone = frame.loc[before & frame.index.isin(rows.untold.index), PATIENT]
        part = frame[upto & ~frame[PATIENT].isin(gone)].copy()
        said = np.where(untold[part.index], _TOLD[1], _TOLD[0])
        part[TAKEN] = part[TAKEN].astype(object).mask(here[part.index], pd.Series(said, part.index))
        part[options["outcome"]] = 0.0  # it is not asked of here
        asked = [replace(one, reward=None) for one in specs[:k]]
        asked.append(replace(spec, actions=_TOLD, feasible={}, randomised=None, reward=None))
        read = Trajectories.from_long(part, asked, stage=STAGE, action=TAKEN, **options)
        decided = read.stages[-1].decided
        shares, note = _shares(read.take(decided), spec.stage)
        notes += [note] if note else []
        weights.loc[read.ids[decided]] /= shares
    return weights, notes


def _shares(read: Trajectories, stage: str) -> tuple[Floats, str]:
    """Return P(told | history up to the last stage) of those with a decision there, and a note."""
    h = read.stages[-1]
    blocks = [HistoryMatrix.of(h)(h)]
    if len(read.stages) > 1:
        blocks.append(whole_history(replace(read, stages=read.stages[:-1])))
    try:
        return shares_told(np.hstack(blocks), h.action == 1, stage, read.weights)
    except EstimationError as error:
        raise EstimationError(
            f"{error}; if they are few, leave them out on purpose with "
            "`data: {untold: leave-out}`"
        ) from error
