"""What the values rest on is measured: overlap, balance, and what hidden confounding would do."""

from typing import Any

from cds_engine.assume.balance import balance, largest
from cds_engine.assume.consistency import mapped
from cds_engine.assume.ledger import ledger
from cds_engine.assume.positivity import overlap
from cds_engine.estimate.rule import Observed
from cds_engine.estimate.sensitivity import sensitivity_model
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.figures.values import (
    AGAINST,
    USUAL_CARE,
    VERSION,
    One,
    Valued,
    minus,
    trajectories_of,
)


def assumptions(found: Valued, flips_at: float | None) -> dict[str, Any]:
    """Return overlap, balance and the three assumptions with their evidence, to be signed."""
    t = trajectories_of(found.cohort)
    overlaps, shares = overlap(t, list(found.shares))
    compared = balance(t, shares)
    before, after = largest(compared)
    aside = found.cohort.left_out
    counts = {h.spec.stage: (sum(n for why, n in aside.items() if why.startswith(f"{h.spec.stage}:")
                                 and "action" in why), 0) for h in t.stages}  # fmt: skip
    entries = ledger(t, mapped(t, counts), overlaps, compared, flips_at=flips_at)
    return {
        "overlap": [
            {"stage": o.stage, "action": o.action, "could": o.could, "took": o.took,
             "quantiles": list(o.quantiles), "rare": o.rare, "effective_n": o.effective_n,
             "largest_weight": o.largest_weight, "problem": o.problem() or None} for o in overlaps
        ],
        "balance": [{"stage": b.stage, "action": b.action, "column": b.column, "before": b.before,
                     "after": b.after} for b in compared],
        "largest": {"before": before, "after": after},
        "ledger": [entry.document() for entry in entries],
    }  # fmt: skip


def sensitivity(found: Valued, settings: FigureSettings) -> tuple[list[dict[str, Any]], float]:
    """Return how unmeasured confounding would move each difference, and where the first one flips.

    Gamma bounds the factor by which an unmeasured cause shifts the odds of treatment at every
    stage. The differences are of Hajek values.
    """
    told, first = [], float("nan")
    for one, other in ((VERSION, USUAL_CARE), (VERSION, AGAINST), (AGAINST, USUAL_CARE)):
        a, b = found.regimes.get(one), found.regimes.get(other)
        if a is None or b is None or a.refused or b.refused:
            continue
        told.append(_bounds(found, a, b, settings))
        if one == VERSION and other == USUAL_CARE:
            first = float(told[-1]["flips_at"])
    return told, first


def _bounds(found: Valued, a: One, b: One, settings: FigureSettings) -> dict[str, Any]:
    t = trajectories_of(found.cohort)
    usual = tuple(Observed() for _ in t.stages)
    model = sensitivity_model(
        t, a.rules or usual, b.rules or usual, labels=(a.label, b.label),
        propensity=list(found.shares), missing="weight",
    )  # fmt: skip
    curve = model.curve(settings.gammas)
    return {
        "of": a.key, "minus": b.key, "label": minus(a, b),
        "flips_at": model.flips_at(0.0),
        "curve": [{"gamma": float(g), "low": float(low), "high": float(high)} for g, low, high
                  in zip(curve["gamma"], curve["low"], curve["high"], strict=True)],
    }  # fmt: skip
