"""Abstentions are counted by their reason, and by the inputs that would have settled them."""

from typing import Any

import numpy as np

from cds_engine.replay.figures.points import DecisionPoints


def abstentions(points: DecisionPoints) -> list[dict[str, Any]]:
    """Return every reason for no advice, commonest first.

    Only abstentions count; who is outside of the population has no advice to lack.
    """
    frame = points.frame
    silent = (frame["decision.outcome"] == "abstention").to_numpy(dtype=np.bool_)
    codes = frame["decision.code"].where(silent)
    found = [
        {"code": str(code), **points.counted((codes == code).to_numpy(dtype=np.bool_)),
         "stages": _stages(points, (codes == code).to_numpy(dtype=np.bool_))}
        for code in codes.dropna().unique()
    ]  # fmt: skip
    return sorted(found, key=lambda one: (-int(one["decisions"]), str(one["code"])))


def lacking(points: DecisionPoints) -> list[dict[str, Any]]:
    """Return which inputs the abstentions name, each with why it was of no use."""
    frame = points.frame
    silent = frame.loc[frame["decision.outcome"] == "abstention", ["key.patient",
                                                                  "decision.reasons"]]  # fmt: skip
    named = silent.explode("decision.reasons").dropna(subset=["decision.reasons"])
    named = named[named["decision.reasons"].str.contains(":", regex=False)]
    rows = []
    for reason, group in named.groupby("decision.reasons", sort=True):
        code, _, variable = str(reason).partition(":")
        rows.append({"code": code, "variable": variable, "decisions": int(group.index.nunique()),
                     "patients": int(group["key.patient"].nunique())})  # fmt: skip
    return sorted(rows, key=lambda one: (-int(one["decisions"]), one["variable"], one["code"]))


def _stages(points: DecisionPoints, rows: "np.ndarray[Any, np.dtype[np.bool_]]") -> dict[str, int]:
    counts = points.stage[rows].value_counts()
    return {str(stage) or "none": int(count) for stage, count in sorted(counts.items())}
