"""Subgroups get the same answers as all, unless so few are in them that they could be known."""

from dataclasses import replace
from typing import Any

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints
from cds_engine.estimate.weights import cumulative_weights, effective_n
from cds_engine.replay.figures.cells import held_back, held_shares
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
    spoke = _shares(points, rows, held, settings)
    others = [{} for _ in rows] if points.against is None else [
        {f"{AGAINST}_{name}": value for name, value in one.items()}
        for one in _shares(points.second, rows, held, settings)
    ]  # fmt: skip
    values = _values(found, part, held, settings)
    for at, name in enumerate(part.names):
        group: dict[str, Any] = {"group": name, "held_back": at in held}
        if at in held:
            group["why"] = HELD_BACK.format(settings.smallest_cell)
        else:
            group |= {"patients": patients[at], **spoke[at], **others[at], **values[at]}
        told["groups"].append(group)
    return told


def _shares(
    points: DecisionPoints, rows: list[Bools], gone: frozenset[int], settings: FigureSettings
) -> list[dict[str, Any]]:
    """Return concordance in each group; where a small count of either kind would show, none."""
    judged = points.advised & points.action_known & points.choice
    n = [int((one & judged).sum()) for one in rows]
    agreed = [int((one & judged & points.concordant).sum()) for one in rows]
    small = held_back(n, settings.smallest_cell) | gone
    held = held_shares(agreed, n, settings.smallest_cell, small)
    return [
        {"judged": None, "agreed": None, "share": None} if at in held else
        {"judged": n[at], "agreed": agreed[at], "share": agreed[at] / n[at] if n[at] else None}
        for at in range(len(rows))
    ]  # fmt: skip


def _values(
    found: Valued, part: Partition, gone: frozenset[int], settings: FigureSettings
) -> list[dict[str, Any]]:
    names = range(len(part.names))
    if found.refused or found.prepared is None or part.group is None:
        return [{"n": None, "refused": "there are no values at all"} for _ in names]
    group = part.group[found.cohort.first]
    counts = [int((group == at).sum()) for at in names]
    held = held_back(counts, settings.smallest_cell) | gone
    weights = {key: _weights(found, key) for key in (VERSION, AGAINST)}
    did = {key: _followers(found, key, group, counts, held, settings)
           for key in (VERSION, AGAINST) if key in found.regimes}  # fmt: skip
    return [
        {"n": None, "refused": HELD_BACK.format(settings.smallest_cell)} if at in held
        else {"n": counts[at], **_value(found, group == at, weights,
                                        {key: one[at] for key, one in did.items()}, settings)}
        for at in names
    ]  # fmt: skip


def _followers(
    found: Valued, key: str, group: Ints, counts: list[int], gone: frozenset[int],
    settings: FigureSettings,
) -> list[int]:  # fmt: skip
    """Return how many of each group followed a version, -1 where that is held back."""
    names = range(len(counts))
    who = followers(found, key)
    did = [int((who & (group == at)).sum()) for at in names]
    held = held_shares(did, counts, settings.smallest_cell, gone)
    return [-1 if at in held else did[at] for at in names]


def _value(
    found: Valued, rows: Bools, weights: dict[str, Floats | None], did: dict[str, int],
    settings: FigureSettings,
) -> dict[str, Any]:  # fmt: skip
    told: dict[str, Any] = {"refused": None}
    usual = found.robust(USUAL_CARE)
    if usual is None or not rows.any():
        return {"refused": "nobody is counted"}
    told["usual"] = estimate(usual.among(rows, "subgroup"))
    for key, number in did.items():
        told[key] = _one(found, key, rows, weights[key], number, settings)
        value = found.robust(key)
        if value is not None and not told[key].get("refused"):
            told[f"{key}_minus_usual"] = estimate(value.minus(usual).among(rows, "subgroup"))
    return told


def _one(
    found: Valued, key: str, rows: Bools, weights: Floats | None, did: int,
    settings: FigureSettings,
) -> dict[str, Any]:  # fmt: skip
    value, least = found.robust(key), settings.least_effective_n
    if value is None or weights is None:
        return {"refused": found.regimes[key].refused}
    effective = effective_n(weights[rows])
    if effective < least:
        # how much few weigh would tell how few they are
        told = f"effective n {effective:.1f}, too few" if did >= 0 else "effective n too small"
        return {"refused": told}
    among = replace(value.among(rows, "subgroup"), followers=did,
                    effective_n=effective if did >= 0 else float("nan"))  # fmt: skip
    return {"refused": None, **(estimate(among) or {})}


def _weights(found: Valued, key: str) -> Floats | None:
    """Return the weights of those who followed and were observed, in the trajectories' order."""
    one = found.regimes.get(key)
    if one is None or one.refused or one.rules is None:
        return None
    t = trajectories_of(found.cohort)
    try:
        places = tuple(rule(h) for rule, h in zip(one.rules, t.stages, strict=True))
        held = cumulative_weights(t, places, found.shares)[-1] * t.observed * t.weights
    except EstimationError:
        return None
    return np.asarray(held, dtype=np.float64)
