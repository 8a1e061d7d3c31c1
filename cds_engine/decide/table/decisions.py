"""Decisions for a table: one small number a row, which names one of few different fates."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from cds_engine.bundle.document import Outcome
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decision import Judgement, ReasonCode

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""The outcomes; ``TableDecisions.outcome`` holds places in this tuple."""

CODES: tuple[ReasonCode | None, ...] = (None, *get_args(ReasonCode))
"""The reason codes; ``TableDecisions.code`` holds places in this tuple, 0 for none."""

_Number = TypeVar("_Number", bound=np.generic)

NOWHERE = -1
"""Stands for no stage and for no action."""


class Fate(NamedTuple):
    """What a row comes to: of a judgement, all but the path.

    Attributes:
        candidates: in the order in which the stage lists its options.
    """

    outcome: Outcome
    code: ReasonCode | None = None
    stage: str | None = None
    action: str | None = None
    candidates: tuple[str, ...] = ()


class Fates:
    """Every fate that was met, each with its number."""

    def __init__(self, bundle: RuleBundle) -> None:
        self.met: list[Fate] = []
        self._numbers: dict[Fate, int] = {}
        self._choose = {stage.name: stage.choose for stage in bundle.stages}

    def number(self, fate: Fate) -> int:
        """Return the number of a fate."""
        if fate.stage is not None:
            wanted = frozenset(fate.candidates)
            ordered = tuple(a for a in self._choose[fate.stage] if a in wanted)
            fate = fate._replace(candidates=ordered)
        found = self._numbers.get(fate)
        if found is None:
            found = self._numbers[fate] = len(self.met)
            self.met.append(fate)
        return found

    def of(self, judgement: Judgement) -> int:
        """Return the number of what the referee said."""
        j = judgement
        return self.number(Fate(j.outcome, j.code, j.stage, j.action, j.candidates))


@dataclass(frozen=True)
class TableDecisions:
    """The decisions for the rows of a table.

    Attributes:
        actions: the rule bundle's actions; ``action`` holds places in it.
        stages: the rule bundle's stages; ``stage`` holds places in it.
        fates: the different fates that were met.
        fate: for each row, its place in ``fates``.
        refereed: how many rows were left to the referee.
    """

    actions: tuple[str, ...]
    stages: tuple[str, ...]
    fates: tuple[Fate, ...]
    fate: NDArray[np.int32]
    refereed: int

    @cached_property
    def outcome(self) -> NDArray[np.uint8]:
        """For each row, the place of its outcome in ``OUTCOMES``."""
        return self._spread([OUTCOMES.index(fate.outcome) for fate in self.fates], np.uint8)

    @cached_property
    def code(self) -> NDArray[np.uint8]:
        """For each row, the place of its reason code in ``CODES``; 0 where there is none."""
        return self._spread([CODES.index(fate.code) for fate in self.fates], np.uint8)

    @cached_property
    def stage(self) -> NDArray[np.int16]:
        """For each row, the place of its stage in ``stages``; -1 where there is none."""
        return self._spread([_place(self.stages, f.stage) for f in self.fates], np.int16)

    @cached_property
    def action(self) -> NDArray[np.int16]:
        """For each row, the place of the action advised in ``actions``; -1 where there is none."""
        return self._spread([_place(self.actions, f.action) for f in self.fates], np.int16)

    @cached_property
    def candidates(self) -> NDArray[np.uint64]:
        """For each row, a bit for each action that remains possible or is equally good."""
        masks = [sum(1 << self.actions.index(a) for a in f.candidates) for f in self.fates]
        return self._spread(masks, np.uint64)

    def decode(self, row: int) -> Fate:
        """Return one row's decision in words."""
        return self.fates[int(self.fate[row])]

    def _spread(self, values: Sequence[int], dtype: type[_Number]) -> NDArray[_Number]:
        return np.array(values, dtype=dtype)[self.fate]


def _place(names: tuple[str, ...], name: str | None) -> int:
    return NOWHERE if name is None else names.index(name)
