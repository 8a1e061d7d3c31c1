"""A nuisance model reads a history as a matrix of numbers, whatever order the table had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Columns, Floats, listed
from cds_engine.estimate.stage import StageData


@dataclass(frozen=True)
class HistoryMatrix:
    """The columns of H_k as numbers: yes is 1, a label is one column for each level but the first.

    Columns are sorted by the variable's name and levels by their text, so that neither the order
    of the table's columns nor that of the specification reaches a model.

    Attributes:
        stage: the stage's name, for messages.
        variables: the names of H_k, sorted.
        levels: variable -> its levels in the data that the matrix was declared from.
    """

    stage: str
    variables: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, h: StageData) -> "HistoryMatrix":
        """Declare the matrix from all who have a decision."""
        levels = {name: levels_of(values[h.decided]) for name, values in h.columns.items()
                  if values.dtype == object}  # fmt: skip
        return cls(h.spec.stage, tuple(sorted(h.columns)), levels)

    def __call__(self, h: StageData) -> Floats:
        """Return the matrix, shape (n, p); zeros in rows without a decision.

        Raises:
            EstimationError: where a value is missing in a row that has a decision.
        """
        matrix = numbers(h.columns, self.variables, self.levels, h.rows)
        matrix[~h.decided] = 0.0
        if gone := missing_cells(matrix):
            raise EstimationError(
                f"stage {self.stage}: {gone} rows that have a decision lack a value in "
                f"one of {listed(self.variables)}; complete them before estimating"
            )
        return matrix

    def names(self) -> tuple[str, ...]:
        """Return the name of each column of the matrix, such as ``sex=male``."""
        held = []
        for name in self.variables:
            levels = self.levels.get(name)
            held += [name] if levels is None else [f"{name}={level}" for level in levels[1:]]
        return tuple(held)


def numbers(
    columns: Columns, variables: Sequence[str], levels: Mapping[str, tuple[str, ...]],
    rows: int | None = None,
) -> Floats:  # fmt: skip
    """Return columns side by side as numbers; NaN where a value is missing.

    Args:
        columns: the values.
        variables: which columns, in order.
        levels: of those that are labels.
        rows: how many there are, for where no variable could say.
    """
    blocks: list[Floats] = []
    for name in variables:
        values = columns[name]
        known = levels.get(name)
        if known is None:
            blocks.append(values.astype(np.float64)[:, None])
            continue
        places, found = pd.factorize(values)
        order = {level: at for at, level in enumerate(known)}
        level = np.append([order.get(str(one), -1) for one in found], -1)[places]
        block = (level[:, None] == np.arange(1, len(known))).astype(np.float64)
        block[places < 0] = np.nan
        blocks.append(block)
    if blocks:
        return np.hstack(blocks)
    first = next(iter(columns.values()), np.zeros(0))
    return np.zeros((len(first) if rows is None else rows, 0))


def levels_of(values: NDArray[Any]) -> tuple[str, ...]:
    """Return the levels of a label column, sorted by their text."""
    return tuple(sorted({str(one) for one in pd.factorize(values)[1]}))


def missing_cells(matrix: Floats) -> int:
    """Return how many rows of a matrix hold a NaN."""
    return int(np.count_nonzero(np.isnan(matrix).any(axis=1)))
