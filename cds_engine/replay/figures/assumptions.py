"""What the values rest on is measured: overlap, balance, and what hidden confounding would do."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Any

from cds_engine.assume.balance import balance, largest
from cds_engine.assume.consistency import mapped
from cds_engine.assume.ledger import Entry, ledger
from cds_engine.assume.positivity import overlap
from cds_engine.bundle.model import RuleBundle
from cds_engine.estimate.rule import Observed
from cds_engine.estimate.sensitivity import sensitivity_model
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.replay.figures.points import stage_titles
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


def assumptions(
    found: Valued, bundle: RuleBundle, flips_at: float, unheld: Sequence[str] = (),
    unseen: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return overlap, balance and the three assumptions with their evidence, to be signed.

    Args:
        found: the values that rest on them.
        bundle: the version that was replayed; the ledger's words are its labels.
        flips_at: the Gamma at which the version's difference from usual care could flip; NaN
            where there is none.
        unheld: what a study adjusted for and the bundle does not hold.
        unseen: see ``unseen``.
    """
    t = trajectories_of(found.cohort)
    overlaps, shares = overlap(t, list(found.shares))
    compared = balance(t, shares)
    before, after = largest(compared)
    aside = found.cohort.left_out
    told = stage_titles(bundle)
    heads = {h.spec.stage: f"{told[h.spec.stage]}:" for h in t.stages}
    counts = {stage: (sum(n for why, n in aside.items() if why.startswith(head)
                          and "action" in why.removeprefix(head)), 0)
              for stage, head in heads.items()}  # fmt: skip
    rows = mapped(t, counts)
    labelled = _labelled(t, bundle)
    stages = {stage.name: stage.title or stage.name for stage in bundle.stages}
    covered = [replace(one, stage=stages[one.stage], action=bundle.actions[one.action].label)
               for one in overlaps]  # fmt: skip
    entries = ledger(
        labelled, [replace(one, stage=stages[one.stage]) for one in rows], covered, compared,
        flips_at=None if isnan(flips_at) else flips_at, unheld=unheld, unseen=unseen,
    )  # fmt: skip
    return {
        "overlap": [
            {"stage": o.stage, "action": o.action, "could": o.could, "took": o.took,
             "quantiles": list(o.quantiles), "rare": o.rare, "effective_n": o.effective_n,
             "largest_weight": o.largest_weight, "problem": o.problem() or None} for o in overlaps
        ],
        "balance": [{"stage": b.stage, "action": b.action, "column": b.column, "before": b.before,
                     "after": b.after} for b in compared],
        "largest": {"before": before, "after": after},
        "ledger": [_document(entry) for entry in entries],
        "doubts": [{"assumption": one.assumption, "whys": list(one.whys)}
                   for one in entries if one.judgement == "doubtful"],
    }  # fmt: skip


def unseen(bundle: RuleBundle, run: Mapping[str, Any]) -> list[str]:
    """Return why actions may have been taken that the records do not show as such, in words.

    Nothing where the run does not tell its vocabulary: ``actions``, each with the patients who have
    it on record, and ``treatments``, each type of resource with what of it nothing reads.
    """
    told = run.get("vocabulary", {})
    found = [
        f"nobody has {bundle.actions[one['action']].label} on record under the codes that it is "
        "seen as"
        for one in told.get("actions", ())
        if not one["patients"] and one["action"] in bundle.actions
    ]
    return found + [
        f"{one['unread']} of {one['resources']} resources of type {one['type']} have codes that "
        "nothing reads, and may be actions"
        for one in told.get("treatments", ())
        if one["doubtful"]
    ]


def _document(entry: Entry) -> dict[str, Any]:
    """Return an entry as plain data; a row of these trajectories is a patient."""
    told = entry.document()
    return told | {"evidence": [one.replace(" rows ", " patients ") for one in told["evidence"]]}


def _labelled(t: Trajectories, bundle: RuleBundle) -> Trajectories:
    """Return trajectories whose stages and variables are called as a person calls them."""
    titles = {stage.name: stage.title or stage.name for stage in bundle.stages}
    words = {name: one.label or name for name, one in bundle.variables.items()}
    return replace(t, stages=tuple(
        replace(h, spec=replace(h.spec, stage=titles[h.spec.stage], columns={},
                                variables=tuple(words[name] for name in h.spec.variables)))
        for h in t.stages
    ))  # fmt: skip


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
        "of": a.key, "minus": b.key, "label": minus(a, b, two=AGAINST in found.regimes),
        "flips_at": model.flips_at(0.0),
        "curve": [{"gamma": float(g), "low": float(low), "high": float(high)} for g, low, high
                  in zip(curve["gamma"], curve["low"], curve["high"], strict=True)],
    }  # fmt: skip
