"""Histories that were taken as a table are decided as a table, without a loop over rows."""

from cds_engine.decide.table.columns import Column, Table
from cds_engine.history.table import Findings, HistoryTable


def table_of_histories(histories: HistoryTable) -> Table:
    """Return the columns of histories as those of a table to decide; values are shared."""
    columns = {name: _column(found) for name, found in histories.columns.items()}
    died = histories.deceased if histories.deceased.any() else None
    return Table(columns, len(histories), died)


def _column(found: Findings) -> Column:
    missing = found.missing
    return Column(
        found.values, missing if missing.any() else None, found.categories, dict(found.spans)
    )
