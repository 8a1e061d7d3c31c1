"""A study's table is read as serving would see it: the same variables, digits and feasible sets."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.table import quantise
from cds_engine.errors import EstimationError
from cds_engine.estimate.deaths import deaths_note
from cds_engine.estimate.export.decisions import DecisionRows, decision_rows
from cds_engine.estimate.export.told import told_courses
from cds_engine.estimate.missing_outcomes import probability_observed
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.study import STAGE, TAKEN, LearnedStage, StudyDocument, TableData
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.vocabulary.units import unit_words


def study_trajectories(
    study: StudyDocument, frame: pd.DataFrame, bundle: RuleBundle
) -> tuple[Trajectories, tuple[str, ...]]:
    """Return the study's trajectories, and notes on what was done to the table on the way.

    Args:
        study: names columns, stages and actions.
        frame: the table.
        bundle: the study's skeleton, for the kinds of its variables.

    Raises:
        TrajectoriesError: with every fault of the table.
        EstimationError: if a stage speaks of variables that are not declared, or, of a replay's
            table, too many died before the outcome or nobody can stand for whose action is not
            told.
    """
    specs = [_spec(study, stage, bundle) for stage in study.learned]
    layout = study.data.layout if isinstance(study.data, TableData) else "wide"
    rows = decision_rows(study, frame) if layout == "decisions" else None
    rounded, notes = _as_served(study, frame if rows is None else rows.frame, bundle)
    notes += [note for stage in study.learned for note in _unused(study, stage, bundle)]
    options: dict[str, Any] = {
        "outcome": study.outcome.column, "better": study.aim.better, "identifier": study.id,
        "weights": study.weights, "kinds": bundle.kinds, "unit": study.aim.unit or "",
        "missing_outcomes": "keep" if study.outcome.missing == "weight" else "refuse",
    }  # fmt: skip
    if rows is not None:
        found, aside = _of_decisions(study, rows, rounded, specs, options)
        notes = [*rows.notes, *aside, *notes]
    elif isinstance(study.data, TableData) and layout == "long":
        found = Trajectories.from_long(
            rounded, specs, action=study.learned[0].taken, stage=study.data.stage, **options
        )
    else:
        found = Trajectories.from_wide(rounded, specs, **options)
    found, lost = _weighted(found)
    notes += lost
    unit = f" ({unit_words(study.aim.unit)})" if study.aim.unit else ""
    named = replace(found, outcome_name=study.outcome.label + unit)
    # in the order of their identifiers, so that the order of the table's rows reaches nothing
    return named.take(np.argsort(named.ids.astype(str), kind="stable")), tuple(notes)


def _of_decisions(
    study: StudyDocument, rows: DecisionRows, frame: pd.DataFrame, specs: list[HistorySpec],
    options: dict[str, Any],
) -> tuple[Trajectories, list[str]]:  # fmt: skip
    """Return the trajectories of a replay's table, and who is not among them, or should not be."""
    dead = deaths_note(rows.dead, rows.patients, study.outcome.label, study.outcome.deaths)
    told = told_courses(study, rows, frame, specs, options)
    found = Trajectories.from_long(told.frame, specs, stage=STAGE, action=TAKEN, **options)
    weights = found.weights * told.weights.loc[found.ids].to_numpy(dtype=np.float64)
    return replace(found, weights=weights), [*told.notes, *([dead] if dead else [])]


def _weighted(found: Trajectories) -> tuple[Trajectories, list[str]]:
    """Return the trajectories whose outcome is there, weighted for those whose is not.

    Each stands for 1 / P(observed | whole history) of its like: right if nothing but the history
    decides whose outcome is lost.
    """
    gone = int(np.count_nonzero(~found.observed))
    if not gone:
        return found, []
    shares = probability_observed(found)
    kept = found.observed
    weighted = replace(found.take(kept), weights=found.weights[kept] / shares[kept])
    note = (
        f"the outcome is missing in {gone} of {len(found)} rows; the others are weighted by one "
        f"over their probability of being observed (largest weight {1 / shares[kept].min():.1f})"
    )
    return weighted, [note]


def _spec(study: StudyDocument, stage: LearnedStage, bundle: RuleBundle) -> HistorySpec:
    unknown = [name for name in stage.history if name not in bundle.kinds]
    if unknown:
        raise EstimationError(
            f"stage {stage.stage}: history names {', '.join(unknown)}, which the study does not "
            "declare under `variables`; declare it, so that serving knows it too"
        )
    return HistorySpec(
        stage=stage.stage,
        variables=tuple(stage.history),
        actions=stage.choose,
        feasible=dict(_feasible(study, stage, bundle)),
        when=stage.decides,
        action=stage.taken,
        reward=stage.reward,
        columns=dict(stage.history),
        randomised=stage.randomised,
    )


def _feasible(
    study: StudyDocument, stage: LearnedStage, bundle: RuleBundle
) -> Iterator[tuple[str, str]]:
    """Yield each action's criterion: in no safeguard, and an option of some part of the stage."""
    for action in stage.choose:
        criteria = [
            f"not ({guard.when})"
            for at, guard in enumerate(study.safeguards)
            if action in guard.never and not _beyond(stage, bundle, at)
        ]
        if stage.split:
            parts = [f"({part.when})" for part in stage.split if action in part.choose]
            criteria.append(f"({' or '.join(parts)})")
        if criteria:
            yield action, " and ".join(criteria)


def _beyond(stage: LearnedStage, bundle: RuleBundle, at: int) -> list[str]:
    """Return the variables of a safeguard that the stage's history does not hold."""
    return sorted(bundle.safeguards[at].when.names() - set(stage.history))


def _unused(study: StudyDocument, stage: LearnedStage, bundle: RuleBundle) -> Iterator[str]:
    for at, guard in enumerate(study.safeguards):
        beyond = _beyond(stage, bundle, at)
        if beyond and not set(guard.never).isdisjoint(stage.choose):
            yield (
                f"stage {stage.stage}: the safeguard `{guard.when}` could not be applied to the "
                f"data, which hold no {', '.join(beyond)}; it holds where the regime is served"
            )


def _as_served(
    study: StudyDocument, frame: pd.DataFrame, bundle: RuleBundle
) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with every number rounded to its variable's digits, as a history has it."""
    rounded, notes = frame.copy(), []
    for stage in study.learned:
        for name, column in stage.history.items():
            kind = bundle.kinds.get(name)
            if kind is None or kind.type != "number" or column not in frame:
                continue
            values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64)
            if np.isnan(values).sum() > frame[column].isna().sum():
                continue  # it holds text, which the reading of the table names
            there = np.isfinite(values)
            exact = values.copy()
            exact[there] = quantise(values[there], kind.digits)
            changed = int(np.count_nonzero(exact[there] != values[there]))
            if changed:
                rounded[column] = exact
                notes.append(
                    f"{column}: {changed} of {len(values)} values were rounded to the "
                    f"{kind.digits} decimals that serving compares"
                )
    return rounded, list(dict.fromkeys(notes))
