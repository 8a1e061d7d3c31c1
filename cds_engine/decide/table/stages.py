"""What a row comes to at a stage follows from a few facts: what is possible, and what is barred.

The facts of a row are the bits of one small number. Rows with the same number share their fate,
which is worked out once, in plain code, when the number is first met.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cds_engine.bundle.model import RuleBundle, Safeguard, Stage
from cds_engine.decide.table.block import Block
from cds_engine.decide.table.columns import Bools
from cds_engine.decide.table.decisions import Fate, Fates
from cds_engine.decide.table.nodes import Node
from cds_engine.decide.table.plan import Plan

Facts: TypeAlias = "list[Bools | None]"
"""One mask for each fact; None for a fact that holds nowhere."""

DENSE = 16
"""Up to so many facts, fates are looked up in a list of all combinations."""
MOST = 64
"""The most facts that one number can hold."""


class StageTable:
    """One stage, ready for blocks.

    Attributes:
        guards: the safeguards that bar an option of this stage, with their criteria.
        width: how many facts there are.
    """

    guards: list[tuple[Safeguard, Node]]

    def __init__(self, bundle: RuleBundle, stage: Stage, plan: Plan, fates: Fates) -> None:
        self.bundle = bundle
        self.stage = stage
        self.fates = fates
        self.guards = [
            (guard, plan.node(guard.when))
            for guard in bundle.safeguards
            if not guard.never.isdisjoint(stage.choose)
        ]
        self.width = 0
        self._dense: NDArray[np.int32] | None = None
        self._sparse: dict[int, int] = {}

    def facts(self, block: Block, here: Bools) -> Facts:
        """Return the facts of a block; rows that are not ``here`` do not matter."""
        raise NotImplementedError

    def fate(self, facts: int) -> Fate:
        """Return what follows from the facts that are set in a number."""
        raise NotImplementedError

    def decide(self, block: Block, here: Bools) -> NDArray[np.int32]:
        """Return the number of each row's fate; it has a meaning only where ``here``."""
        if self.width > MOST:
            block.mark_doubtful(here)
            return np.zeros(block.rows, dtype=np.int32)
        keys = pack(self.facts(block, here), block.rows)
        return self._look_up(keys) if self.width <= DENSE else self._look_up_rare(keys)

    def advise(self, actions: tuple[str, ...]) -> Fate:
        """Return the fate of rows to which these actions are advised."""
        name = self.stage.name
        if len(actions) > 1:
            return Fate("equipoise", None, name, None, actions)
        if self.bundle.actions[actions[0]].change:
            return Fate("recommendation", None, name, actions[0], actions)
        return Fate("no_change", None, name, actions[0], actions)

    def barred(self, facts: int, first: int) -> frozenset[str]:
        """Return what is barred by the safeguards whose facts stand from ``first`` on."""
        biting = [g.never for at, (g, _) in enumerate(self.guards) if facts >> first + at & 1]
        return frozenset().union(*biting)

    def _look_up(self, keys: NDArray[Any]) -> NDArray[np.int32]:
        if self._dense is None:
            self._dense = np.full(1 << self.width, -1, dtype=np.int32)
        found = self._dense[keys]
        new = found < 0
        if new.any():
            for key in np.unique(keys[new]):
                self._dense[key] = self.fates.number(self.fate(int(key)))
            found = self._dense[keys]
        numbers: NDArray[np.int32] = found
        return numbers

    def _look_up_rare(self, keys: NDArray[Any]) -> NDArray[np.int32]:
        different, places = np.unique(keys, return_inverse=True)
        for key in map(int, different):
            if key not in self._sparse:
                self._sparse[key] = self.fates.number(self.fate(key))
        numbers = np.array([self._sparse[int(key)] for key in different], dtype=np.int32)
        return numbers[places]


def pack(facts: Sequence[Bools | None], rows: int) -> NDArray[Any]:
    """Return one number a row, with a bit for each fact that holds.

    >>> yes, no = np.array([True]), np.array([False])
    >>> int(pack([yes, no, None, yes], 1)[0])
    9
    """
    size = np.min_scalar_type((1 << len(facts)) - 1)
    keys = np.zeros(rows, dtype=size)
    for at, fact in enumerate(facts):
        if fact is not None:
            bits = fact.view(np.uint8) if size == np.uint8 else fact.astype(size)
            keys |= bits << size.type(at)
    return keys
