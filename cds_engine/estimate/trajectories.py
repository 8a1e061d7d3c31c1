"""Trajectories are a trial or a cohort after its layout was checked: what every estimator reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats
from cds_engine.estimate.layout import Better, Roles, read_wide
from cds_engine.estimate.long_table import widened
from cds_engine.estimate.stage import HistorySpec, StageData
from cds_engine.vocabulary.kind import Kind

__all__ = ["Better", "HistorySpec", "StageData", "Trajectories"]


@dataclass(frozen=True)
class Trajectories:
    """A trial or cohort, one row for each patient.

    Attributes:
        ids: identifiers, each once, shape (n,).
        stages: the stages in order of time.
        outcome: Y, shape (n,), turned so that larger is better; the sum of all rewards where
            stages have rewards. NaN where it is missing and ``observed`` is False.
        better: how the outcome was declared; results are turned back on the way out.
        weights: sample weights, shape (n,); ones unless given.
        kinds: how variables are declared, where they are.
        outcome_name: what the outcome is called, with its unit where it has one.
    """

    ids: NDArray[Any]
    stages: tuple[StageData, ...]
    outcome: Floats
    better: Better = "higher"
    weights: Floats = field(default_factory=lambda: np.ones(0))
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    outcome_name: str = "outcome"

    def __post_init__(self) -> None:
        if not len(self.weights):
            object.__setattr__(self, "weights", np.ones(len(self.ids)))

    def __len__(self) -> int:
        """Return n."""
        return len(self.ids)

    @property
    def sign(self) -> int:
        """1 where larger was declared better, -1 where smaller was: multiply to turn back."""
        return 1 if self.better == "higher" else -1

    @cached_property
    def observed(self) -> Bools:
        """Where the outcome is not missing."""
        return ~np.isnan(self.outcome)

    def take(self, rows: NDArray[Any]) -> "Trajectories":
        """Return some of the trajectories, given as row numbers or as a mask."""
        return replace(
            self,
            ids=self.ids[rows],
            stages=tuple(stage.take(rows) for stage in self.stages),
            outcome=self.outcome[rows],
            weights=self.weights[rows],
        )

    def complete(self) -> "Trajectories":
        """Return these trajectories if every outcome is there.

        Raises:
            EstimationError: with the number of those that are not.
        """
        gone = int(np.count_nonzero(~self.observed))
        if gone:
            raise EstimationError(
                f"{self.outcome_name} is missing in {gone} of {len(self)} rows; give weights for "
                "those that are observed (`missing='weight'`) or complete the table"
            )
        return self

    def layout(self) -> "pd.DataFrame":
        """Return n, mean outcome and missing outcomes for every path of actions.

        One row a path, such as ``coaching > gym``; a stage without a decision is written ``-``.
        """
        labels = [np.append(np.array(s.spec.actions, dtype=object), "-")[s.action]
                  for s in self.stages]  # fmt: skip
        frame = pd.DataFrame(
            {s.spec.stage: label for s, label in zip(self.stages, labels, strict=True)}
        )
        frame["outcome"] = self.outcome * self.sign
        frame["missing"] = ~self.observed
        names = [stage.spec.stage for stage in self.stages]
        grouped = frame.groupby(names, sort=True)
        return grouped.agg(
            n=("missing", "size"), mean_outcome=("outcome", "mean"), missing=("missing", "sum")
        ).reset_index()

    @classmethod
    def from_wide(  # noqa: PLR0913 - one argument for each role a column can have
        cls,
        frame: "pd.DataFrame",
        specs: Sequence[HistorySpec],
        *,
        outcome: str,
        better: Better = "higher",
        identifier: str = "id",
        weights: str | None = None,
        missing_outcomes: Literal["refuse", "keep"] = "refuse",
        kinds: Mapping[str, Kind] | None = None,
        unit: str = "",
    ) -> "Trajectories":
        """Read a table with one row for each patient.

        Args:
            frame: the table.
            specs: one for each stage, in order of time.
            outcome: the column with Y. Where stages have rewards, what is optimised is the sum of
                the stages' rewards and Y, which is then what comes after the last reward: no
                reward's column can be the outcome's.
            better: whether larger or smaller outcomes are better.
            identifier: the column that identifies patients.
            weights: the column with sample weights.
            missing_outcomes: ``keep`` leaves NaN where the outcome is missing, for estimators that
                weight; ``refuse`` counts and refuses them.
            kinds: how variables are declared, which their columns must then be; whole numbers 0
                and 1 may stand for no and yes. Else taken from the columns. Numbers
                are taken as they stand: round them first to the digits that are declared.
            unit: of the outcome, for reading.

        Raises:
            TrajectoriesError: with every fault: stage, column and count.
        """
        roles = Roles(outcome, identifier, weights, better, missing_outcomes == "keep", kinds or {})
        return cls._read(frame, specs, roles, unit)

    @classmethod
    def from_long(  # noqa: PLR0913 - likewise
        cls,
        frame: "pd.DataFrame",
        specs: Sequence[HistorySpec],
        *,
        outcome: str,
        stage: str = "stage",
        identifier: str = "id",
        action: str = "action",
        better: Better = "higher",
        weights: str | None = None,
        missing_outcomes: Literal["refuse", "keep"] = "refuse",
        kinds: Mapping[str, Kind] | None = None,
        unit: str = "",
    ) -> "Trajectories":
        """Read a table with one row for each patient and stage.

        A patient who has no decision at a stage may have no row there, and then has reward 0
        there. The outcome is that of the patient's last row; if it is missing there, it is missing.
        Variables are taken from the
        row of their stage, or, if its column is empty there, from the patient's latest row before
        it. What an earlier stage held is called ``<column>@<stage>``: with ``columns={"first_sbp":
        "sbp@first", "first_action": "action@first"}`` both are variables of a later stage.

        Args:
            frame: the table.
            specs: one for each stage; their names are what stands in the ``stage`` column.
            outcome: the column with Y.
            stage: the column with the stage's name, or its number 1..K.
            identifier: the column that identifies patients.
            action: the column with the action taken.
            better: as in ``from_wide``, like all that follow.
            weights: likewise; the same in all rows of a patient.
            missing_outcomes: likewise.
            kinds: likewise.
            unit: likewise.

        Raises:
            TrajectoriesError: with every fault: stage, column and count.
        """
        wide, renamed, present = widened(
            frame, specs, outcome=outcome, stage=stage, identifier=identifier, action=action,
            weights=weights,
        )  # fmt: skip
        roles = Roles(outcome, identifier, weights, better, missing_outcomes == "keep", kinds or {},
                      present)  # fmt: skip
        return cls._read(wide, renamed, roles, unit)

    @classmethod
    def _read(
        cls, frame: "pd.DataFrame", specs: Sequence[HistorySpec], roles: Roles, unit: str
    ) -> "Trajectories":
        found = read_wide(frame, specs, roles)
        return cls(
            found.ids, found.stages, found.outcome, roles.better, found.weights,
            dict(roles.kinds), f"{roles.outcome} ({unit})" if unit else roles.outcome,
        )  # fmt: skip
