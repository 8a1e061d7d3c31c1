"""Histories that were taken as a table are decided as a table, without a loop over rows."""

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.table.columns import Column, Table
from cds_engine.history.table import EventTable, Findings, HistoryTable, Referee, TableTaker
from cds_engine.history.table.columns import Longs


def table_of_histories(histories: HistoryTable) -> Table:
    """Return the columns of histories as those of a table to decide; values are shared."""
    columns = {name: _column(found) for name, found in histories.columns.items()}
    died = histories.deceased if histories.deceased.any() else None
    return Table(columns, len(histories), died)


def take_histories(
    bundle: RuleBundle, events: EventTable, person: Longs, as_of: Longs, referee: Referee
) -> HistoryTable:
    """Return the histories that a rule bundle asks for; see ``TableTaker.take``."""
    return TableTaker(bundle.base_variables, bundle.actions).take(events, person, as_of, referee)


def _column(found: Findings) -> Column:
    missing = found.missing
    return Column(
        found.values, missing if missing.any() else None, found.categories, dict(found.spans)
    )
