"""A criterion over a block is a pair of masks: where it is true, and where it is not false.

Kleene's logic is then two-valued logic done twice, and done once where nothing can be unknown.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cds_engine.criteria.syntax import Operator
from cds_engine.decide.table.block import Block, Part, Truth
from cds_engine.decide.table.columns import Bools
from cds_engine.decide.table.sums import Number, Sum

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
    "!=": operator.ne,
}  # fmt: skip
OPPOSITE: Mapping[Operator, Operator] = {"<": ">=", "<=": ">", "!=": "=="}
"""Comparisons that are evaluated as the opposite of another, which they then share."""


class Node:
    """A criterion ready for blocks; equal criteria are one node, computed once a block.

    What only one other node asks for is not kept, so that its memory is soon used again while it
    is still in the cache.

    Attributes:
        askers: how many ask for this node.
    """

    __slots__ = ("askers",)
    askers: int

    def truth(self, block: Block) -> Truth:
        """Return where the criterion is true, and where it is not false."""
        if self.askers == 1:
            return self.compute(block)
        found: Truth | None = block.known.get(self)
        if found is None:
            found = block.known[self] = self.compute(block)
        return found

    def compute(self, block: Block) -> Truth:
        """Work the two masks out."""
        raise NotImplementedError


class AlwaysNode(Node):
    """``true`` or ``false``."""

    __slots__ = ("value",)

    def __init__(self, *, value: bool) -> None:
        self.value = value

    def compute(self, block: Block) -> Truth:
        """Return the constant."""
        mask = block.everywhere() if self.value else block.nowhere()
        return mask, mask


class ThresholdNode(Node):
    """A number compared with a constant."""

    __slots__ = ("bound", "compare", "number")

    def __init__(self, number: Number, op: Operator, bound: float) -> None:
        self.number = number
        self.compare = COMPARE[op]
        self.bound = bound

    def compute(self, block: Block) -> Truth:
        """Compare; the values are rounded already, so the comparison is exact."""
        values, missing = self.number.part(block)
        return unless_missing(self.compare(values, self.bound), missing)


class SumNode(Node):
    """A weighted sum compared with zero."""

    __slots__ = ("compare", "sum")

    def __init__(self, total: Sum, op: Operator) -> None:
        self.sum = total
        self.compare = COMPARE[op]

    def compute(self, block: Block) -> Truth:
        """Compare; a sum nearer to zero than its error is left to the referee."""
        total = self.sum.total(block)
        if total.error is not None:
            unsure = ~(np.abs(total.values) > total.error)
            block.mark_doubtful(unsure if total.missing is None else unsure & ~total.missing)
        return unless_missing(self.compare(total.values, 0.0), total.missing)


class FlagNode(Node):
    """A yes-or-no variable by itself."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def compute(self, block: Block) -> Truth:
        """Return the column."""
        values, missing = block.part(self.name)
        return unless_missing(values.astype(np.bool_), missing)


class OneOfNode(Node):
    """A label that is one of several."""

    __slots__ = ("labels", "name")

    def __init__(self, name: str, labels: tuple[str, ...]) -> None:
        self.name = name
        self.labels = labels

    def compute(self, block: Block) -> Truth:
        """Compare codes; a label that the table does not know never occurs in it."""
        values, missing = block.part(self.name)
        column = block.table.columns.get(self.name)
        known = column.categories if column is not None else ()
        found: Bools | None = None
        for code in [at for at, label in enumerate(known) if label in self.labels]:
            equal = values == code
            found = equal if found is None else found | equal
        return unless_missing(block.nowhere() if found is None else found, missing)


class MissingNode(Node):
    """``missing(x)``."""

    __slots__ = ("number",)

    def __init__(self, number: Number) -> None:
        self.number = number

    def compute(self, block: Block) -> Truth:
        """Return the mask; a span is not missing."""
        missing = self.number.part(block).missing
        mask = block.nowhere() if missing is None else missing
        return mask, mask


class NotNode(Node):
    """The opposite; the opposite of unknown is unknown."""

    __slots__ = ("inner",)

    def __init__(self, inner: Node) -> None:
        self.inner = inner

    def compute(self, block: Block) -> Truth:
        """Not false becomes not true, and the other way round."""
        true, possible = self.inner.truth(block)
        if true is possible:
            mask = ~true
            return mask, mask
        return ~possible, ~true


class PairNode(Node):
    """Two criteria joined by ``and`` or by ``or``; longer ones are chains, whose heads are shared.

    Args:
        join: ``operator.and_`` or ``operator.or_``.
    """

    __slots__ = ("join", "left", "right")

    def __init__(self, join: Callable[[Bools, Bools], Bools], left: Node, right: Node) -> None:
        self.join = join
        self.left = left
        self.right = right

    def compute(self, block: Block) -> Truth:
        """Join both masks, once where they are one."""
        true, possible = self.left.truth(block)
        other, other_possible = self.right.truth(block)
        if true is possible and other is other_possible:
            mask = self.join(true, other)
            return mask, mask
        return self.join(true, other), self.join(possible, other_possible)


class TruthNumber(Number):
    """A derived yes-or-no variable as a number: 1, 0 or missing."""

    __slots__ = ("node",)

    def __init__(self, name: str, node: Node) -> None:
        super().__init__(name)
        self.node = node

    def part(self, block: Block) -> Part:
        """Return where it is true, and where it is neither true nor false."""
        true, possible = self.node.truth(block)
        return Part(true, None if true is possible else possible > true)


def unless_missing(holds: Bools, missing: Bools | None) -> Truth:
    """Return the pair of a test that is unknown where its input is missing; uses ``holds`` up."""
    if missing is None:
        return holds, holds
    true = holds > missing
    return true, np.logical_or(holds, missing, out=holds)
