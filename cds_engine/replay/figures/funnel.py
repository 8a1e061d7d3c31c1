"""The funnel: of all decisions, those that the version could speak of, and those it agreed with."""

from typing import TYPE_CHECKING, Any

import numpy as np

from cds_engine.replay.figures.points import DecisionPoints

if TYPE_CHECKING:
    from cds_engine.estimate.columns import Bools


def funnel(points: DecisionPoints) -> list[dict[str, Any]]:
    """Return the steps, each with its decisions and its patients; each is a part of the one before.

    A patient counts for a step if one decision of the patient does. The last two steps are what
    ``concordance`` counts of all stages with a choice.
    """
    everything = np.ones(len(points), dtype=np.bool_)
    steps: list[tuple[str, str, Bools]] = [
        ("all", "Decision points", everything),
        ("eligible", "Eligible: in the population and at a stage", points.eligible),
        ("complete", "History complete enough for the rule", points.complete),
        ("supported", "In support: the version says what to do", points.advised),
        ("ripe", "The records go on until the time to act was over", points.advised & points.ripe),
        ("known", "The action taken is on record", points.advised & points.action_known),
        # at a stage with a single option everybody does the same, which says nothing of agreement
        ("choice", "At a stage with a choice",
         points.advised & points.action_known & points.choice),
        ("concordant", "Clinicians did the same: it was the advised action",
         points.concordant & points.choice),
    ]  # fmt: skip
    return [{"step": step, "words": words, **points.counted(rows)} for step, words, rows in steps]


def outcomes(points: DecisionPoints) -> list[dict[str, Any]]:
    """Return how often each outcome of a decision came up."""
    return [
        {"outcome": str(name), **points.counted((points.frame["decision.outcome"] == name)
                                                .to_numpy(dtype=np.bool_))}
        for name in sorted(points.frame["decision.outcome"].unique())
    ]  # fmt: skip
