"""Decide millions of rows, kept as columns, exactly as the referee decides one."""

from cds_engine.decide.table.columns import Column, Table, quantise
from cds_engine.decide.table.criterion import where
from cds_engine.decide.table.decide import decide_table
from cds_engine.decide.table.decisions import CODES, OUTCOMES, Fate, TableDecisions

__all__ = [
    "CODES",
    "OUTCOMES",
    "Column",
    "Fate",
    "Table",
    "TableDecisions",
    "decide_table",
    "quantise",
    "where",
]
