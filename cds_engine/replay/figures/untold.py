"""Patients whose every action is known stand for those of whom one is not: one over its chance.

Of an action the record may show two, or one of unknown status, or none where it lacks something.
Such a patient had the decision all the same, and a second history is a consequence of the first
action, so that leaving the patient out biases every stage before and every value. That the action
is told is taken as one more thing that happens at a stage, after its history H_k. Where it depends
on nothing but the histories and actions up to there, those told, each weighted by the product over
stages of 1 / P(told at k | history up to k, told before), stand for all; so it is in a fit too, by
the same ``cds_engine.estimate.untold`` (see ``cds_engine.estimate.export.told``). The history is
what treatment is explained by as well. The weights are taken as known, so that standard errors are
a little too wide if anything.

Two kinds of patients are left out as before. Nobody stands for whose history lacks something there.
And nobody stands for whose window for an action the records cut (``DecisionPoints.ripe``): that is
a matter of dates, which no history of another patient can make up for. Of these it is the action
itself that says whether it is told, so that all of them are left out, told or not.

References:
    Tsiatis et al. (2019), Dynamic Treatment Regimes, CRC Press, section 5.4; Robins, Rotnitzky
    & Zhao (1995), JASA 90, 106-121.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints, plain
from cds_engine.estimate.history_matrix import levels_of, numbers
from cds_engine.estimate.untold import shares_told


@dataclass(frozen=True)
class StoodFor:
    """Patients with an action that is not told, for whom others stand.

    Attributes:
        reasons: why it is not told -> patients.
        weights: of those whose every action is told, shape (n,).
        notes: what was done, in words.
        refused: why nobody can stand for them; empty where somebody can.
    """

    reasons: dict[str, int]
    weights: Floats = field(default_factory=lambda: np.zeros(0))
    notes: tuple[str, ...] = ()
    refused: str = ""

    @property
    def patients(self) -> int:
        """How many they are."""
        return sum(self.reasons.values())

    def plain(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "patients": self.patients, "reasons": dict(sorted(self.reasons.items())),
            "largest_weight": float(self.weights.max()) if len(self.weights) else None,
            "notes": list(self.notes), "refused": self.refused or None,
        }  # fmt: skip


@dataclass(frozen=True)
class Reached:
    """A stage, and everybody who reached it with all actions before it told.

    Attributes:
        stage: its title, for what is said.
        variables: what explains treatment there.
        rows: the row of each in the decision-point table, by patient.
        untold: patients of these rows whose action is not told.
    """

    stage: str
    variables: Sequence[str]
    rows: "pd.Series[int]"
    untold: frozenset[str]


def stood_for(
    frame: pd.DataFrame, reached: Sequence[Reached], kept: Sequence[str], reasons: dict[str, int]
) -> StoodFor:
    """Return the weights with which those who are kept stand for the untold, or why they cannot.

    Args:
        frame: the decision points.
        reached: the stages in order.
        kept: the patients who are counted.
        reasons: why an action is not told -> patients.
    """
    weights, notes = pd.Series(1.0, index=list(kept), dtype="float64"), []
    for k, here in enumerate(reached):
        if not here.untold:
            continue
        untold = here.rows.index.isin(here.untold)
        try:
            shares, note = shares_told(_history(frame, reached[: k + 1]), untold, here.stage)
        except EstimationError as fault:
            return StoodFor(reasons, refused=str(fault))
        told = pd.Series(shares, here.rows.index).reindex(weights.index, fill_value=1.0)
        weights /= told
        notes += [note] if note else []
    held = np.asarray(weights.to_numpy(), dtype=np.float64)
    return StoodFor(reasons, held, (_said(reasons, held), *notes))


def _said(reasons: Mapping[str, int], weights: Floats) -> str:
    whys = "; ".join(f"{why}, of {n} patients" for why, n in sorted(reasons.items()))
    return (
        f"{sum(reasons.values())} patients of whom an action is not known are stood for by the "
        f"{len(weights)} who are counted, weighted by one over the probability that it is known "
        "given the history up to each decision (largest weight "
        f"{weights.max(initial=0.0):.1f}): {whys}"
    )


def _history(frame: pd.DataFrame, reached: Sequence[Reached]) -> Floats:
    """Return the histories of all stages and the actions before the last, of who reached it.

    What was not known of those without a decision at a stage counts as zero beside an indicator
    that they had one.
    """
    who, last = reached[-1].rows.index, reached[-1]
    blocks = []
    for one in reached:
        rows = np.asarray(one.rows.reindex(who, fill_value=-1).to_numpy(), dtype=np.intp)
        here = rows >= 0
        blocks.append(_spread(_variables(frame, one.variables, rows[here]), here))
        if one is not last:
            taken = frame["taken.action"].iloc[rows[here]].to_numpy(dtype=object)
            each = np.array(levels_of(taken), dtype=object)
            blocks.append(_spread((taken[:, None] == each).astype(np.float64), here))
    return np.hstack(blocks)


def _variables(frame: pd.DataFrame, names: Sequence[str], rows: Ints) -> Floats:
    columns = {name: plain(frame[name].iloc[rows]) for name in names}
    levels = {name: levels_of(one) for name, one in columns.items() if one.dtype == object}
    return numbers(columns, names, levels, len(rows))


def _spread(block: Floats, here: Bools) -> Floats:
    spread = np.zeros((len(here), block.shape[1]))
    spread[here] = block
    return spread
