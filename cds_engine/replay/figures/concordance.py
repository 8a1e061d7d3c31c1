"""Concordance: how often clinicians did what the version advises, beyond what chance would give."""

from collections import Counter
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.proportion import proportion_confint

from cds_engine.estimate.columns import Bools
from cds_engine.replay.figures.cells import shown
from cds_engine.replay.figures.points import DecisionPoints
from cds_engine.replay.figures.settings import FigureSettings


def concordance(points: DecisionPoints, settings: FigureSettings) -> list[dict[str, Any]]:
    """Return the agreement of every stage with advice, in the bundle's order, and of all.

    Only decisions count of which both the advice and the action are known. Intervals are Wilson's
    and take decisions as independent; Cohen's kappa leaves out decisions in which several actions
    were equally good.
    """
    rows = points.advised & points.action_known
    found = [
        _of(points, rows & (points.stage == stage.name).to_numpy(dtype=np.bool_), settings)
        | {"stage": stage.name, "title": stage.title or stage.name, "choice": len(stage.choose) > 1}
        for stage in points.bundle.stages
    ]
    apart = "stages differ in their actions, so that kappa is of one stage"
    whole = {"stage": "", "title": "All stages with a choice", "choice": True, "kappa": None,
             "kappa_why": apart}  # fmt: skip
    return [*found, _of(points, rows & points.choice, settings) | whole]


def _of(points: DecisionPoints, rows: Bools, settings: FigureSettings) -> dict[str, Any]:
    n, agreed = int(rows.sum()), int((rows & points.concordant).sum())
    low, high = float("nan"), float("nan")
    if n:
        low, high = proportion_confint(agreed, n, alpha=1 - settings.level, method="wilson")
    return {
        **points.counted(rows), "agreed": agreed, "share": agreed / n if n else float("nan"),
        "low": float(low), "high": float(high), **_kappa(points, rows),
        "pairs": _pairs(points, rows, settings.smallest_cell),
    }  # fmt: skip


def _kappa(points: DecisionPoints, rows: Bools) -> dict[str, Any]:
    single = rows & points.frame["decision.action"].notna().to_numpy(dtype=np.bool_)
    advised = points.frame.loc[single, "decision.action"].to_numpy(dtype=object)
    taken = points.frame.loc[single, "taken.action"].to_numpy(dtype=object)
    labels = sorted({*map(str, advised), *map(str, taken)})
    if len(labels) < 2:
        why = "nobody" if not labels else f"only {points.label(labels[0])} was advised and done"
        return {"kappa": None, "kappa_why": f"{why}, so that there is no chance to agree beyond"}
    return {"kappa": float(cohen_kappa_score(advised.astype(str), taken.astype(str))),
            "kappa_why": ""}  # fmt: skip


def _pairs(points: DecisionPoints, rows: Bools, smallest: int) -> list[dict[str, Any]]:
    """Return how often each action was taken where each was advised; small counts held back.

    The sums of agreements and of disagreements are told, so each is held back by itself.
    """
    held = points.frame.loc[rows, ["decision.action", "taken.action"]].dropna()
    counts = Counter(zip(held["decision.action"], held["taken.action"], strict=True))
    pairs = sorted((str(a), str(t), n) for (a, t), n in counts.items())
    told: list[dict[str, Any]] = []
    for same in (True, False):
        part = [one for one in pairs if (one[0] == one[1]) is same]
        for (advised, taken, _), count in zip(
            part, shown([one[2] for one in part], smallest), strict=True
        ):
            told.append({"advised": advised, "taken": taken, "decisions": count})
    return sorted(told, key=lambda one: (one["advised"], one["taken"]))
