"""A rule bundle is laid out once for blocks: equal criteria become one node."""

import operator
from collections.abc import Callable, Iterable
from functools import reduce

from cds_engine.bundle.model import Derived
from cds_engine.criteria.syntax import (
    All,
    Always,
    Any,
    Comparison,
    Criterion,
    Flag,
    IntegerForm,
    IsMissing,
    Not,
    OneOf,
    Threshold,
)
from cds_engine.decide.table.nodes import (
    OPPOSITE,
    AlwaysNode,
    FlagNode,
    MissingNode,
    Node,
    NotNode,
    OneOfNode,
    PairNode,
    SumNode,
    ThresholdNode,
    TruthNumber,
)
from cds_engine.decide.table.sums import DerivedNumber, Number, Sum


class Plan:
    """Nodes and numbers of one rule bundle, each of them once."""

    def __init__(self, derived: Iterable[Derived] = ()) -> None:
        self.derived = {one.name: one for one in derived}
        self._nodes: dict[object, Node] = {}
        self._numbers: dict[str, Number] = {}
        self._sums: dict[IntegerForm, Sum] = {}

    def node(self, criterion: Criterion) -> Node:
        """Return the node of a criterion, for one more that asks for it."""
        return self._once(criterion, lambda: self._make(criterion))

    def number(self, name: str) -> Number:
        """Return the number of a name, read or derived."""
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = self._number(name)
        return found

    def sum(self, form: IntegerForm) -> Sum:
        """Return the weighted sum of a form."""
        found = self._sums.get(form)
        if found is None:
            numbers = tuple(self.number(name) for name, _, _ in form.terms)
            found = self._sums[form] = Sum(form, numbers)
        return found

    def _number(self, name: str) -> Number:
        derived = self.derived.get(name)
        if derived is None:
            return Number(name)
        if isinstance(derived.expression, IntegerForm):
            return DerivedNumber(name, self.sum(derived.expression), derived.digits)
        return TruthNumber(name, self.node(derived.expression))

    def _make(self, criterion: Criterion) -> Node:
        match criterion:
            case Always(value):
                return AlwaysNode(value=value)
            case Threshold(name, op, bound) if op in OPPOSITE:
                return NotNode(self.node(Threshold(name, OPPOSITE[op], bound)))
            case Threshold(name, op, bound):
                return ThresholdNode(self.number(name), op, bound)
            case Comparison(op=op, form=form):
                return SumNode(self.sum(form), op)
            case Flag(name):
                derived = self.derived.get(name)
                if derived is None:
                    return FlagNode(name)
                return self.node(derived.expression)  # type: ignore[arg-type]
            case OneOf(name, labels):
                return OneOfNode(name, labels)
            case IsMissing(name):
                return MissingNode(self.number(name))
            case Not(inner):
                return NotNode(self.node(inner))
            case All(parts):
                return reduce(self._and, map(self.node, parts))
            case Any(parts):
                return reduce(self._or, map(self.node, parts))
        raise TypeError(f"no node for {type(criterion).__name__}")

    def _and(self, left: Node, right: Node) -> Node:
        return self._once(("and", left, right), lambda: PairNode(operator.and_, left, right))

    def _or(self, left: Node, right: Node) -> Node:
        return self._once(("or", left, right), lambda: PairNode(operator.or_, left, right))

    def _once(self, key: object, make: Callable[[], Node]) -> Node:
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = make()
            found.askers = 0
        found.askers += 1
        return found
