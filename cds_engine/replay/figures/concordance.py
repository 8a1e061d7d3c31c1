"""Concordance: how often clinicians did what the version advises, beyond what chance would give."""

from collections import Counter
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.proportion import proportion_confint

from cds_engine.estimate.columns import Bools
from cds_engine.replay.figures.cells import held_back
from cds_engine.replay.figures.points import FIRING, DecisionPoints
from cds_engine.replay.figures.settings import FigureSettings

Pair = tuple[str, str]
"""The action that was advised, and the one that was taken."""


def concordance(points: DecisionPoints, settings: FigureSettings) -> list[dict[str, Any]]:
    """Return the agreement of every stage with advice, in the bundle's order, and of all.

    Only decisions count of which both the advice and the action are known, and whose window for an
    action was over when the records ended. Intervals are Wilson's
    and take decisions as independent; Cohen's kappa leaves out decisions in which several actions
    were equally good.
    """
    rows = points.advised & points.action_known
    stages = points.bundle.stages
    here = [rows & (points.stage == stage.name).to_numpy(dtype=np.bool_) for stage in stages]
    counts = [_counted(points, one) for one in here]
    held = [_held(one, settings.smallest_cell) for one in counts]
    choice = [len(stage.choose) > 1 for stage in stages]
    found = [
        _of(points, one, few, settings)
        | {"stage": stage.name, "title": stage.title or stage.name, "choice": open_}
        for stage, one, few, open_ in zip(stages, here, held, choice, strict=True)
    ]
    apart = "stages differ in their actions, so that kappa is of one stage"
    whole = {"stage": "", "title": "All stages with a choice", "choice": True, "kappa": None,
             "kappa_why": apart}  # fmt: skip
    # what is held back of one stage is the whole less the others
    few = frozenset[Pair]().union(*(one for one, open_ in zip(held, choice, strict=True) if open_))
    return [*found, _of(points, rows & points.choice, few, settings) | whole]


def spoken(points: DecisionPoints) -> dict[str, int]:
    """Return what came of decisions at stages with a choice: a card, nothing to change, no advice.

    Each is in one of the three, which come to ``decisions`` together.
    """
    outcome = points.frame.loc[points.choice, "decision.outcome"]
    card, same = int(outcome.isin(FIRING).sum()), int((outcome == "no_change").sum())
    return {"decisions": len(outcome), "card": card, "no_change": same,
            "none": len(outcome) - card - same}  # fmt: skip


def _of(
    points: DecisionPoints, rows: Bools, few: frozenset[Pair], settings: FigureSettings
) -> dict[str, Any]:
    n, agreed = int(rows.sum()), int((rows & points.concordant).sum())
    low, high = float("nan"), float("nan")
    if n:
        low, high = proportion_confint(agreed, n, alpha=1 - settings.level, method="wilson")
    kappa = {"kappa": None, "kappa_why": "held back: it would tell of few"} if few else (
        _kappa(points, rows))  # fmt: skip
    return {
        **points.counted(rows), "agreed": agreed, "share": agreed / n if n else float("nan"),
        "low": float(low), "high": float(high), **kappa,
        "pairs": [{"advised": pair[0], "taken": pair[1], "decisions": None if pair in few else n}
                  for pair, n in _counted(points, rows).items()],
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


def _counted(points: DecisionPoints, rows: Bools) -> dict[Pair, int]:
    """Return how often each action was taken where each was advised."""
    held = points.frame.loc[rows, ["decision.action", "taken.action"]].dropna()
    counts = Counter(zip(held["decision.action"], held["taken.action"], strict=True))
    return {(str(a), str(t)): n for (a, t), n in sorted(counts.items())}


def _held(counts: dict[Pair, int], smallest: int) -> frozenset[Pair]:
    """Return the pairs to hold back, where the sums of the same and of others are told.

    A pair that is alone of its kind is that sum itself, which is told.
    """
    found: set[Pair] = set()
    for same in (True, False):
        part = [pair for pair in counts if (pair[0] == pair[1]) is same]
        if len(part) > 1:
            found |= {part[at] for at in held_back([counts[one] for one in part], smallest)}
    return frozenset(found)
