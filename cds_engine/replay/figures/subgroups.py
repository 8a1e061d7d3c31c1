"""Subgroups get the same answers as all, unless so few are in them that they could be known."""

from dataclasses import replace
from typing import Any

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats
from cds_engine.estimate.weights import cumulative_weights, effective_n
from cds_engine.replay.figures.cells import held_back, shown
from cds_engine.replay.figures.groups import Partition, partitions
from cds_engine.replay.figures.points import DecisionPoints
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.figures.values import (
    AGAINST,
    USUAL_CARE,
    VERSION,
    Valued,
    estimate,
    followers,
    trajectories_of,
)

HELD_BACK = "held back: fewer than {} patients, or they would give those away"


def subgroups(
    points: DecisionPoints, found: Valued, settings: FigureSettings
) -> list[dict[str, Any]]:
    """Return counts, concordance and values of every subgroup.

    A patient belongs where the first decision of the trajectory does. Counts below the smallest
    cell are held back, with as many more as would tell them together with the totals.
    """
    return [_of(points, found, one, settings) for one in partitions(points, settings)]


def _of(points: DecisionPoints, found: Valued, part: Partition,
        settings: FigureSettings) -> dict[str, Any]:  # fmt: skip
    told: dict[str, Any] = {"by": part.by, "why_not": part.why or None, "groups": []}
    if part.group is None:
        return told
    rows = [part.rows(at) for at in range(len(part.names))]
    patients = [points.patients(one & points.eligible) for one in rows]
    held = held_back(patients, settings.smallest_cell)
    spoke = _shares(points, rows, settings)
    values = _values(found, part, settings)
    for at, name in enumerate(part.names):
        group: dict[str, Any] = {"group": name, "held_back": at in held}
        if at in held:
            group["why"] = HELD_BACK.format(settings.smallest_cell)
        else:
            group |= {"patients": patients[at], **spoke[at], **values[at]}
        told["groups"].append(group)
    return told


def _shares(
    points: DecisionPoints, rows: list[Bools], settings: FigureSettings
) -> list[dict[str, Any]]:
    """Return concordance in each group; small counts of either kind are held back."""
    judged = points.advised & points.action_known & points.choice
    n = [int((one & judged).sum()) for one in rows]
    agreed = [int((one & judged & points.concordant).sum()) for one in rows]
    others = [all_ - same for all_, same in zip(n, agreed, strict=True)]
    smallest = settings.smallest_cell
    told = [shown(one, smallest) for one in (n, agreed, others)]
    return [
        {"judged": None, "agreed": None, "share": None} if None in cells else
        {"judged": n[at], "agreed": agreed[at], "share": agreed[at] / n[at] if n[at] else None}
        for at, cells in enumerate(zip(*told, strict=True))
    ]  # fmt: skip


def _values(found: Valued, part: Partition, settings: FigureSettings) -> list[dict[str, Any]]:
    names = range(len(part.names))
    if found.refused or found.prepared is None or part.group is None:
        return [{"n": None, "refused": "there are no values at all"} for _ in names]
    group = part.group[found.cohort.first]
    counts = [int((group == at).sum()) for at in names]
    held = held_back(counts, settings.smallest_cell)
    weights = {key: _weights(found, key) for key in (VERSION, AGAINST)}
    return [
        {"n": None, "refused": HELD_BACK.format(settings.smallest_cell)} if at in held
        else {"n": counts[at], **_value(found, group == at, weights, settings)}
        for at in names
    ]  # fmt: skip


def _value(
    found: Valued, rows: Bools, weights: dict[str, Floats | None], settings: FigureSettings
) -> dict[str, Any]:
    told: dict[str, Any] = {"refused": None}
    usual = found.robust(USUAL_CARE)
    if usual is None or not rows.any():
        return {"refused": "nobody is counted"}
    told["usual"] = estimate(usual.among(rows, "subgroup"))
    for key in (VERSION, AGAINST):
        if key not in found.regimes:
            continue
        told[key] = _one(found, key, rows, weights[key], settings)
        value = found.robust(key)
        if value is not None and not told[key].get("refused"):
            told[f"{key}_minus_usual"] = estimate(value.minus(usual).among(rows, "subgroup"))
    return told


def _one(
    found: Valued, key: str, rows: Bools, weights: Floats | None, settings: FigureSettings
) -> dict[str, Any]:
    value, least = found.robust(key), settings.least_effective_n
    if value is None or weights is None:
        return {"refused": found.regimes[key].refused}
    effective = effective_n(weights[rows])
    if effective < least:
        return {"refused": f"effective n {effective:.1f}, too few"}
    did, smallest = int(followers(found, key)[rows].sum()), settings.smallest_cell
    few = 0 < int(rows.sum()) - did < smallest or did < smallest
    among = replace(value.among(rows, "subgroup"), effective_n=effective,
                    followers=-1 if few else did)  # fmt: skip
    return {"refused": None, **(estimate(among) or {})}


def _weights(found: Valued, key: str) -> Floats | None:
    """Return the weights of those who followed and were observed, in the trajectories' order."""
    one = found.regimes.get(key)
    if one is None or one.refused or one.rules is None:
        return None
    t = trajectories_of(found.cohort)
    try:
        places = tuple(rule(h) for rule, h in zip(one.rules, t.stages, strict=True))
        held = cumulative_weights(t, places, found.shares)[-1] * t.observed
    except EstimationError:
        return None
    return np.asarray(held, dtype=np.float64)
