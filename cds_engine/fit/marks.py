"""Each value says what weakens it: few who followed, or patients from whom the regime was learned.

A fit tells values that a replay would refuse; whoever reads them must know.
"""

from collections.abc import Collection
from dataclasses import replace

from cds_engine.estimate.comparison import Compared, ValueTable
from cds_engine.estimate.doubly_robust import IN_SAMPLE
from cds_engine.estimate.value import ValueEstimate

LEAST_N = 50.0
"""The effective n below which a replay refuses a value, unless it is told otherwise."""


def marked(table: ValueTable, in_sample: Collection[str] = ()) -> ValueTable:
    """Return a table of values whose notes say what weakens each.

    Args:
        table: the values.
        in_sample: labels of regimes that were learned from the trajectories of the table and are
            not valued out of fold.
    """
    return replace(table, rows=tuple(_marked(row, in_sample) for row in table.rows))


def few(value: ValueEstimate) -> str:
    """Say that a value rests on few; empty where it rests on enough, or has no weights."""
    if not value.effective_n < LEAST_N:
        return ""
    return (f"rests on effective n {value.effective_n:.1f}; a replay refuses below "
            f"{LEAST_N:g}")  # fmt: skip


def _marked(row: Compared, in_sample: Collection[str]) -> Compared:
    value = row.value
    notes = [IN_SAMPLE] if value.label in in_sample else []
    notes += [few(value)] if few(value) else []
    return replace(row, value=replace(value, notes=(*value.notes, *notes)))
