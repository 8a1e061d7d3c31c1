"""Histories of hundreds of thousands of decision points at once, each as the scalar one has it."""

from cds_engine.history.table.answer import REASONS, Findings
from cds_engine.history.table.builder import EventTableBuilder, table_of
from cds_engine.history.table.columns import EventTable, Observations, Occurrences, Persons
from cds_engine.history.table.take import HistoryTable, Referee, TableTaker

__all__ = [
    "REASONS",
    "EventTable",
    "EventTableBuilder",
    "Findings",
    "HistoryTable",
    "Observations",
    "Occurrences",
    "Persons",
    "Referee",
    "TableTaker",
    "table_of",
]
