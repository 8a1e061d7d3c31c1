"""Histories taken as a table, and compared row by row with the scalar history, which is right."""

from collections.abc import Mapping, Sequence

import numpy as np

from cds_engine.history.event import Record
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.table import HistoryTable, TableTaker, table_of
from cds_engine.history.value import Finding, History, Missing
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.value import Scalar
from cds_engine.vocabulary.variable import Variable

Point = tuple[int, int]
"""A decision point: the number of the record, and the instant."""


class Takers:
    """Both ways to take histories, for one set of variables and actions."""

    def __init__(self, variables: Mapping[str, Variable], actions: Mapping[str, Action]) -> None:
        self.table = TableTaker(variables, actions)
        self.scalar = HistoryTaker(variables, actions)
        self.asked = 0

    def take(self, records: Sequence[Record], points: Sequence[Point]) -> HistoryTable:
        """Take a table; whatever it leaves to the scalar history is counted in ``asked``."""

        def referee(person: int, as_of: int) -> History:
            self.asked += 1
            return self.scalar.take(records[person], as_of)

        person = np.array([person for person, _ in points], dtype=np.int64)
        as_of = np.array([at for _, at in points], dtype=np.int64)
        return self.table.take(table_of(records), person, as_of, referee)

    def assert_agree(self, records: Sequence[Record], points: Sequence[Point]) -> HistoryTable:
        """Compare every variable in every row, and who had died, with the scalar history."""
        table = self.take(records, points)
        for row, (person, as_of) in enumerate(points):
            history = self.scalar.take(records[person], as_of)
            found = {name: column.at(row) for name, column in table.columns.items()}
            expected = {name: said(finding) for name, finding in history.findings.items()}
            assert typed(found) == typed(expected), (row, records[person], as_of)
            assert bool(table.deceased[row]) == history.deceased
        return table


def said(finding: Finding) -> Scalar:
    """Return a finding's value, or its reason."""
    return finding.reason if isinstance(finding, Missing) else finding.value


def typed(values: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """Return values so that 1.0 and True differ, and -0.0 and 0.0 too."""
    return {name: (type(value).__name__, repr(value)) for name, value in values.items()}
