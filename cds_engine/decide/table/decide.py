"""decide_table: every row gets what the referee would say of it, millions of rows at a time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cds_engine.bundle.model import DecisionList, RuleBundle, Stage
from cds_engine.decide.scalar import complete, judge
from cds_engine.decide.table.block import ROWS, Block
from cds_engine.decide.table.columns import Bools, Table
from cds_engine.decide.table.decisions import Fate, Fates, TableDecisions
from cds_engine.decide.table.lists import ListTable
from cds_engine.decide.table.plan import Plan
from cds_engine.decide.table.scores import ScoreTable
from cds_engine.decide.table.stages import MOST, StageTable
from cds_engine.errors import TableError

DENSE_SHARE = 0.5
"""A stage that holds a smaller share of a block's rows has them gathered first.

Measured with six stages: nearly half as fast again where their rules differ, no slower where they
are alike.
"""


def decide_table(bundle: RuleBundle, table: Table) -> TableDecisions:
    """Decide every row of a table exactly as ``judge(bundle, complete(bundle, row))`` does.

    Args:
        bundle: the rules.
        table: a column for each variable that is read from a record.

    Raises:
        TableError: if the columns do not fit the rule bundle, or if it has more than 64 actions.
    """
    if len(bundle.actions) > MOST:
        raise TableError(
            f"{bundle.identity} has {len(bundle.actions)} actions, and candidates are kept as "
            f"{MOST} bits a row; decide its histories one by one"
        )
    table.check(bundle)
    return _TableDecider(bundle).decide(table)


class _TableDecider:
    """One rule bundle laid out for tables."""

    def __init__(self, bundle: RuleBundle) -> None:
        self.bundle = bundle
        self.fates = Fates(bundle)
        self.plan = Plan(bundle.derived)
        self.population = self.plan.node(bundle.population)
        self.whens = [self.plan.node(stage.when) for stage in bundle.stages]
        self.stages = [self._stage(stage) for stage in bundle.stages]

    def decide(self, table: Table) -> TableDecisions:
        fate = np.empty(table.rows, dtype=np.int32)
        refereed = 0
        for block in blocks_of(table):
            fate[block.index] = self.decide_block(block)
            if block.doubt is not None:
                doubtful = block.row_numbers()[block.doubt]
                refereed += len(doubtful)
                for row in doubtful:
                    fate[row] = self.referee(table, int(row))
        return TableDecisions(
            tuple(self.bundle.actions),
            tuple(stage.name for stage in self.bundle.stages),
            tuple(self.fates.met),
            fate,
            refereed,
        )

    def decide_block(self, block: Block) -> NDArray[np.int32]:
        """Place the rows at stages; those that no stage takes are done with."""
        inside, perhaps = self.population.truth(block)
        fitting = [node.truth(block) for node in self.whens]
        unknown, once, twice = block.nowhere(), block.nowhere(), block.nowhere()
        for true, possible in fitting:
            if true is not possible:
                unknown |= possible > true
            twice |= once & true
            once |= true
        placed = (inside & once) > (unknown | twice)
        died = block.died()
        if died is not None:
            placed = placed > died
        fate = np.empty(block.rows, dtype=np.int32)
        if not placed.all():
            number = self.fates.number
            fate[:] = number(Fate("abstention", "no-stage"))
            fate[twice] = number(Fate("abstention", "several-stages"))
            fate[unknown | (perhaps > inside)] = number(Fate("abstention", "missing"))
            fate[~perhaps] = number(Fate("not_applicable", "out-of-population"))
            if died is not None:
                fate[died] = number(Fate("not_applicable", "deceased"))
        for stage, (true, _) in zip(self.stages, fitting, strict=True):
            _decide_stage(stage, block, true & placed, fate)
        return fate

    def referee(self, table: Table, row: int) -> int:
        """Decide one row by the referee."""
        died = table.deceased is not None and bool(table.deceased[row])
        state = complete(self.bundle, table.state(row))
        return self.fates.of(judge(self.bundle, state, deceased=died))

    def _stage(self, stage: Stage) -> StageTable:
        if isinstance(stage.rule, DecisionList):
            return ListTable(self.bundle, stage, stage.rule, self.plan, self.fates)
        return ScoreTable(self.bundle, stage, stage.rule, self.plan, self.fates)


def blocks_of(table: Table) -> Iterator[Block]:
    """Cut a table into blocks."""
    for start in range(0, table.rows, ROWS):
        stop = min(start + ROWS, table.rows)
        yield Block(table, slice(start, stop), stop - start)


def _decide_stage(stage: StageTable, block: Block, here: Bools, fate: NDArray[np.int32]) -> None:
    """Fill in the fates of the rows that are at one stage."""
    count = int(np.count_nonzero(here))
    if count == block.rows:
        fate[:] = stage.decide(block, here)
    elif count > DENSE_SHARE * block.rows:
        np.copyto(fate, stage.decide(block, here), where=here)
    elif count:
        rows = np.flatnonzero(here)
        part = block.choose(rows)
        fate[rows] = stage.decide(part, part.everywhere())
        if part.doubt is not None:
            doubt = block.nowhere()
            doubt[rows] = part.doubt
            block.mark_doubtful(doubt)
