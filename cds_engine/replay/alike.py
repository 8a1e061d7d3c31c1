"""Rows are alike for which ``decide`` names the same reasons, whatever their numbers are.

A judgement looks at a state through the criteria of the rule bundle, and through scores, which
are known or not. So rows of one fate that lack the same inputs for the same reasons, and of which
every criterion says the same, lack the same for an answer.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cds_engine.bundle.model import DecisionList, RuleBundle
from cds_engine.criteria.syntax import Criterion
from cds_engine.decide.table.columns import Table
from cds_engine.decide.table.decide import blocks_of
from cds_engine.decide.table.plan import Plan
from cds_engine.history.table import Findings
from cds_engine.history.table.columns import Bytes, Longs

Ints = NDArray[np.int32]


def alike(
    bundle: RuleBundle,
    table: Table,
    histories: Sequence[Findings],
    fate: Ints,
    unknown: Sequence[Sequence[bool]],
    rows: Longs,
) -> list[bytes | None]:
    """Return for each of some rows what it shares with those that are alike; None: with nobody.

    Args:
        bundle: the rules.
        table: a column for each variable that is read from a record.
        histories: the same variables, with the reasons for what is missing.
        fate: row by row, the number of what was decided.
        unknown: for each derived variable, row by row, whether it has no value.
        rows: which rows.
    """
    told, doubt = _verdicts(bundle, table)
    alone = doubt
    for found in histories:
        # a range may lie on one side of a bound or across it, which no pattern tells
        alone[list(found.spans)] = True
    lacks = [found.reasons[rows] for found in histories]
    derived = [np.array(one, dtype=np.bool_)[rows].astype(np.uint8) for one in unknown]
    numbers = fate[rows].astype(np.int32)[:, None].view(np.uint8)
    pattern = np.column_stack([numbers, told[rows], *lacks, *derived])
    return [
        None if by_itself else row.tobytes()
        for by_itself, row in zip(alone[rows].tolist(), pattern, strict=True)
    ]


def _verdicts(
    bundle: RuleBundle, table: Table
) -> tuple[Bytes, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]:
    """Return what every criterion says of every row, and which rows only the referee can judge."""
    plan = Plan(bundle.derived)
    nodes = [plan.node(criterion) for criterion in _criteria(bundle)]
    told = np.zeros((table.rows, len(nodes)), dtype=np.uint8)
    doubt = np.zeros(table.rows, dtype=np.bool_)
    for block in blocks_of(table):
        for place, node in enumerate(nodes):
            true, possible = node.truth(block)
            told[block.index, place] = true.astype(np.uint8) + possible
        if block.doubt is not None:
            doubt[block.index] = block.doubt
    return told, doubt


def _criteria(bundle: RuleBundle) -> Iterator[Criterion]:
    """Yield every criterion that a judgement may ask."""
    yield bundle.population
    for guard in bundle.safeguards:
        yield guard.when
    for stage in bundle.stages:
        yield stage.when
        if isinstance(stage.rule, DecisionList):
            yield from (branch.when for branch in stage.rule.walk() if branch.when is not None)
        else:
            yield from (item.when for item in stage.rule.support)
