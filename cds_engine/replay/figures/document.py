"""The figures of a replay are one document of plain data; a report shows only what is in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cds_engine.bundle.confounders import unheld_confounders
from cds_engine.bundle.model import RuleBundle
from cds_engine.replay.figures.assumptions import assumptions, sensitivity, unseen
from cds_engine.replay.figures.benefit import benefit
from cds_engine.replay.figures.calibration import calibration
from cds_engine.replay.figures.cohort import cohort_of
from cds_engine.replay.figures.concordance import concordance, spoken
from cds_engine.replay.figures.control import firing
from cds_engine.replay.figures.flips import COLUMNS as FLIP_COLUMNS
from cds_engine.replay.figures.flips import flips
from cds_engine.replay.figures.funnel import funnel, outcomes
from cds_engine.replay.figures.groups import partitions
from cds_engine.replay.figures.points import DecisionPoints, Ends
from cds_engine.replay.figures.reasons import abstentions, lacking
from cds_engine.replay.figures.recoded import recoded
from cds_engine.replay.figures.rounding import DIGITS, rounded
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.figures.subgroups import subgroups
from cds_engine.replay.figures.timeline import timelines
from cds_engine.replay.figures.values import (
    Valued,
    differences,
    trajectories_of,
    valued,
    values_document,
)
from cds_engine.replay.outcome import inputs_of

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1


def figures_of(
    frame: "pd.DataFrame", bundle: RuleBundle, against: RuleBundle | None = None,
    settings: FigureSettings | None = None, run: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return every figure of a replay, rounded to significant digits, ready for JSON.

    Args:
        frame: the decision-point table, see ``cds_engine.replay.table``.
        bundle: the version that was replayed.
        against: the version beside it, if any.
        settings: what counts as too little, and what is looked at.
        run: what is to be told of the run itself, such as its settings and warnings. Where its
            ``settings`` say how long a window for an action is and when the records end, they
            decide which windows were over; else the table does.

    Raises:
        ReplayError: if the table is not that of these versions.
    """
    settings = settings or FigureSettings()
    ends = Ends.of((run or {}).get("settings", {}))
    points = DecisionPoints.of(frame, bundle, against, ends)
    cohort = cohort_of(points, settings)
    found, nowhere = valued(points, cohort, settings), found_nowhere(bundle, run or {})
    if found.kind == "outcomes" and nowhere:
        found = replace(found, refused=f"{found.refused} No patient has {', '.join(nowhere)} on "
                        "record, so that no other time to look for it would help.")  # fmt: skip
    told = {
        "format": FORMAT, "digits": DIGITS, "run": dict(run or {}), "settings": settings.plain(),
        "bundle": about(bundle), "against": None if against is None else about(against),
        "empty": nobody(points), **_of_version(points, settings),
        "second": None if against is None else (
            _of_version(points.second, settings) | {"recoded": recoded(points)}),
        "firing": firing(points, settings.smallest_cell),
        "value": _value(found, points, settings, unseen(bundle, run or {})) | {
            "cohort": cohort.plain(), "found_nowhere": nowhere,
        },
        "subgroups": subgroups(points, found, settings),
        "calibration": calibration(found, settings) | {
            "benefit": benefit(points, found, settings)
        },
        "flips": None, "timelines": [],
    }  # fmt: skip
    plain: dict[str, Any] = rounded(told | _one_by_one(points, settings))
    return plain


def _of_version(points: DecisionPoints, settings: FigureSettings) -> dict[str, Any]:
    """Return what is told of each version by itself, whatever the other one says."""
    return {
        "funnel": funnel(points), "outcomes": outcomes(points), "spoken": spoken(points),
        "concordance": concordance(points, settings),
        "abstentions": abstentions(points), "lacking": lacking(points),
    }  # fmt: skip


def about(bundle: RuleBundle) -> dict[str, Any]:
    """Return what a reader must know of a version to read its figures."""
    aim = bundle.document.aim
    return {
        "regime": bundle.regime, "version": bundle.version, "identity": bundle.identity,
        "digest": bundle.digest, "title": bundle.document.title,
        "aim": {"outcome": aim.outcome, "at": aim.at, "unit": aim.unit, "better": aim.better},
        "actions": {name: action.label for name, action in bundle.actions.items()},
        "stages": {stage.name: stage.title or stage.name for stage in bundle.stages},
        "stage_order": [stage.name for stage in bundle.stages],
        "variable_order": list(bundle.variables),
        "unheld_confounders": list(unheld_confounders(bundle)),
        "variables": {name: one.label or name for name, one in bundle.variables.items()},
    }  # fmt: skip


def found_nowhere(bundle: RuleBundle, run: Mapping[str, Any]) -> list[str]:
    """Return what the outcome is read from, if no patient has any of it on record.

    Empty where the run does not tell its vocabulary, as a list under ``variables``.
    """
    told = run.get("vocabulary", {}).get("variables", ())
    held = {one["variable"]: one["patients"] for one in told}
    names = list(inputs_of(bundle, bundle.document.aim.outcome))
    return names if names and all(held.get(name) == 0 for name in names) else []


def nobody(points: DecisionPoints) -> str | None:
    """Return why there is nothing to answer, in words; None where there is."""
    if not len(points):
        return "There is no decision point, so nothing is answered; the run's warnings say why."
    if not points.eligible.any():
        held = points.frame["decision.outcome"].value_counts()
        said = ", ".join(f"{name} {n}" for name, n in sorted(held.items()))
        return (
            f"No patient was eligible: of {len(points)} decision points none is at a stage of the "
            f"regime ({said})."
        )
    return None


def _value(
    found: Valued, points: DecisionPoints, settings: FigureSettings, unseen_as: Sequence[str]
) -> dict[str, Any]:
    if found.refused:
        return {"refused": found.refused, "refused_for": found.kind, "regimes": [],
                "differences": [], "sensitivity": [], "assumptions": None}  # fmt: skip
    curves, flips_at = sensitivity(found, settings)
    return {
        "refused": None, "refused_for": None, "outcome": trajectories_of(found.cohort).outcome_name,
        "regimes": values_document(found), "differences": differences(found),
        "sensitivity": curves, "assumptions": assumptions(
            found, points.bundle, flips_at, unheld_confounders(points.bundle), unseen_as),
    }  # fmt: skip


def _one_by_one(points: DecisionPoints, settings: FigureSettings) -> dict[str, Any]:
    """Return flips and timelines: of who flips, or without a second version of who disagreed."""
    told: dict[str, Any] = {}
    if points.against is not None:
        told["flips"] = _flips(points, points.against, settings)
        wanted = [one["patient"] for one in told["flips"]["listed"]]
    else:
        apart = points.choice & points.advised & points.action_known & ~points.concordant
        wanted = list(points.frame.loc[apart, "key.patient"])
    few: Sequence[str] = list(dict.fromkeys(wanted))[: settings.timelines]
    theirs = points.frame[points.frame["key.patient"].isin(few)]
    told["timelines"] = timelines(rows_of(theirs), list(points.bundle.base_variables), few)
    return told


def _flips(points: DecisionPoints, against: RuleBundle, settings: FigureSettings) -> dict[str, Any]:
    parts = [part for part in partitions(points, settings) if part.group is not None]
    groups = {part.by: [part.names[at] for at in part.group] for part in parts
              if part.group is not None}  # fmt: skip
    stages = [stage.name for one in (points.bundle, against) for stage in one.stages]
    orders = {"Stage": list(dict.fromkeys(stages)), **{part.by: part.names for part in parts}}
    choices = (with_choice(points.bundle), with_choice(against))
    return flips(rows_of(points.frame[list(FLIP_COLUMNS)]), groups, settings.listed,
                 choices=choices, smallest=settings.smallest_cell, orders=orders)  # fmt: skip


def with_choice(bundle: RuleBundle) -> frozenset[str]:
    """Return the stages that offer more than one action."""
    return frozenset(stage.name for stage in bundle.stages if len(stage.choose) > 1)


def rows_of(frame: "pd.DataFrame") -> dict[str, list[Any]]:
    """Return the columns as lists, None for no value and instants as text."""
    held: dict[str, list[Any]] = {}
    for name in frame.columns:
        values = frame[name]
        if name == "key.as_of":
            held[name] = list(values.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        elif values.dtype == object and name.endswith((".candidates", ".reasons", ".sources",
                                                       ".withheld")):  # fmt: skip
            held[name] = list(values)  # many rows share one sequence; a list each would be much
        else:
            held[name] = [None if gone else one for one, gone in
                          zip(values.tolist(), values.isna(), strict=True)]  # fmt: skip
    return held
