"""A rule bundle is a regime too: what it advises to the histories of a trial or a cohort."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.table import Column, Table, decide_table
from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Ints, as_column, plain
from cds_engine.estimate.rule import NO_DECISION, USUAL
from cds_engine.estimate.stage import StageData


@dataclass(frozen=True)
class BundleRule:
    """What a rule bundle advises at one stage.

    Where it abstains, holds several actions equally good, is not applicable, or advises what is
    none of the stage's actions, it says nothing, so that what is usual is done.

    Attributes:
        bundle: the rules.
        at: variable -> value for what a history needs besides the stage's columns, such as the
            weeks that have passed.
    """

    bundle: RuleBundle
    at: Mapping[str, Any]

    def __call__(self, h: StageData) -> Ints:
        """Return the places of the advised actions; a stage rule.

        Raises:
            EstimationError: if the bundle speaks of none of the stage's actions.
        """
        if not set(h.spec.actions) & set(self.bundle.actions):
            raise EstimationError(
                f"stage {h.spec.stage}: {self.bundle.identity} has none of the actions "
                f"{', '.join(h.spec.actions)}; value a bundle of the same actions"
            )
        decisions = decide_table(self.bundle, self._table(h))
        names = [*decisions.actions, None]
        places = {action: place for place, action in enumerate(h.spec.actions)}
        by_name = np.array([places.get(str(name), USUAL) for name in names], dtype=np.intp)
        advice = by_name[decisions.action]
        rows = np.flatnonzero(h.decided & (advice >= 0))
        advice[rows[~h.feasible[rows, advice[rows]]]] = USUAL
        return np.where(h.decided, advice, NO_DECISION).astype(np.intp)

    def _table(self, h: StageData) -> Table:
        columns: dict[str, Column] = {}
        for name in self.bundle.base_variables:
            if name in h.columns:
                values = h.columns[name]
            elif name in self.at:
                values = plain(np.full(h.rows, self.at[name], dtype=object))
            else:
                continue
            columns[name] = as_column(values, self.bundle.kinds[name])
        return Table(columns, h.rows)
