"""A criterion over a table is a mask, exactly as evaluating each row alone gives it."""

import numpy as np

from cds_engine.criteria.syntax import Criterion
from cds_engine.decide.table.columns import Bools, Table
from cds_engine.decide.table.decide import blocks_of
from cds_engine.decide.table.plan import Plan


def where(criterion: Criterion, table: Table) -> tuple[Bools, Bools]:
    """Return where a criterion is true, and where it is not false (true or unknown).

    Args:
        criterion: reads only variables that stand in the table as columns.
        table: the histories.

    Returns:
        Two masks of shape (rows,). They differ where a missing value leaves the criterion unknown.
    """
    node = Plan().node(criterion)
    true = np.zeros(table.rows, dtype=np.bool_)
    possible = true.copy()
    for block in blocks_of(table):
        true[block.index], possible[block.index] = node.truth(block)
        if block.doubt is not None:
            for row in map(int, block.row_numbers()[block.doubt]):
                verdict = criterion.evaluate(table.state(row), [])
                true[row], possible[row] = verdict is True, verdict is not False
    return true, possible
