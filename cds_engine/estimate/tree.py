"""A learned tree is plain data: splits that a criterion can say, leaves that an action fills."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cds_engine.criteria.syntax import Flag, OneOf, Threshold
from cds_engine.decide.table import quantise
from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Columns, Floats, Ints, missing
from cds_engine.estimate.rule import NO_DECISION, StageRule
from cds_engine.estimate.stage import HistorySpec, StageData
from cds_engine.vocabulary.kind import Kind

DIGITS = 6
"""Decimals to which a number is rounded where its variable is not declared."""


@dataclass(frozen=True, slots=True)
class Benefit:
    """How much better the action of a leaf did than the best other one, among its rows.

    Attributes:
        against: the best other action that rows of the leaf could have and that some took.
        estimate: mean difference of scores, above 0 where the leaf's action is better.
        standard_error: of it.
        low, high: its interval; in-sample where the leaf was found in the same rows.
        n: rows in which both actions are feasible.
    """

    against: str
    estimate: float
    standard_error: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a tree ends.

    Attributes:
        action: what is advised.
        instead: what is advised where it is not feasible, in order.
        n: rows that end here.
        n_by_action: action -> how many of them took it.
        value: mean score of what is advised, in the direction of the outcome; cost not taken off.
        standard_error: of ``value``.
        benefit: over the best other action; None where none can be compared.
    """

    action: str
    instead: tuple[str, ...] = ()
    n: int = 0
    n_by_action: Mapping[str, int] = field(default_factory=dict)
    value: float = float("nan")
    standard_error: float = float("nan")
    benefit: Benefit | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """Where a tree divides.

    Attributes:
        variable: whose value decides.
        threshold: ``above`` are those whose number is at least this; whose label is this; who
            have the yes-or-no variable, if it is None.
        below, above: what follows.
    """

    variable: str
    threshold: float | str | None
    below: "Split | Leaf"
    above: "Split | Leaf"

    @property
    def criterion(self) -> str:
        """Who is above, as a criterion: ``hba1c >= 8.2``."""
        if self.threshold is None:
            return str(Flag(self.variable))
        if isinstance(self.threshold, str):
            return str(OneOf(self.variable, (self.threshold,)))
        return str(Threshold(self.variable, ">=", self.threshold))

    @property
    def opposite(self) -> str:
        """Who is below, as a criterion: ``hba1c < 8.2``."""
        if self.threshold is None:
            return f"not {Flag(self.variable)}"
        if isinstance(self.threshold, str):
            return OneOf(self.variable, (self.threshold,)).text(negated=True)
        return str(Threshold(self.variable, "<", self.threshold))

    def divides(self, columns: Columns, digits: int = DIGITS) -> Bools:
        """Return who is above, shape (n,)."""
        values = columns[self.variable]
        if isinstance(self.threshold, str):
            return np.asarray([str(one) == self.threshold for one in values], dtype=np.bool_)
        if self.threshold is None:
            return np.asarray(values == 1, dtype=np.bool_)
        rounded = quantise(np.asarray(values, dtype=np.float64), digits)
        return np.asarray(rounded >= self.threshold, dtype=np.bool_)


Node = Split | Leaf


@dataclass(frozen=True)
class Tree:
    """The rule of one stage as a tree; call it with histories to get the advised actions.

    Attributes:
        stage: the stage's name.
        root: the first split, or the only leaf.
        digits: variable -> decimals to which its numbers are rounded before they are compared.
        exact: whether no tree of the asked depth scores better on the rows it was learned from.
        gap: how much more, a row, a better tree of that depth could score at most; 0 if exact.
        notes: what a reader must know.
    """

    stage: str
    root: Node
    digits: Mapping[str, int] = field(default_factory=dict)
    exact: bool = True
    gap: float = 0.0
    notes: tuple[str, ...] = ()

    def __call__(self, h: StageData) -> Ints:
        """Return the place of the advised action for each row; a stage rule."""
        places = np.full(h.rows, NO_DECISION, dtype=np.intp)
        for leaf, inside in self.ends(h):
            for name in reversed((leaf.action, *leaf.instead)):
                at = h.spec.place(name)
                places[inside & h.feasible[:, at]] = at
        return places

    def ends(self, h: StageData) -> Iterator[tuple[Leaf, Bools]]:
        """Yield each leaf with the rows that end in it, in the order of ``branches``."""
        yield from self._ends(self.root, h, h.decided)

    def _ends(self, node: Node, h: StageData, here: Bools) -> Iterator[tuple[Leaf, Bools]]:
        if isinstance(node, Leaf):
            yield node, here
            return
        rows = np.flatnonzero(here)
        some = {node.variable: h.columns[node.variable][rows]}
        above = np.zeros(h.rows, dtype=np.bool_)
        above[rows] = node.divides(some, self.digits.get(node.variable, DIGITS))
        yield from self._ends(node.above, h, here & above)
        yield from self._ends(node.below, h, here & ~above)

    def branches(self) -> tuple[tuple[tuple[str, ...], Leaf], ...]:
        """Return every leaf with the criteria that all hold there, ``above`` first."""
        return tuple(_branches(self.root, ()))

    def leaves(self) -> tuple[Leaf, ...]:
        """Return the leaves in the order of ``branches``."""
        return tuple(leaf for _, leaf in self.branches())

    @property
    def depth(self) -> int:
        """How many splits lie on the longest way to a leaf."""
        return max(len(path) for path, _ in self.branches())

    def decision_list(self) -> tuple[dict[str, Any], ...]:
        """Return the tree as the nested decision list of a rule bundle."""
        return tuple(_lines(self.root))

    def with_leaves(self, leaves: Iterator[Leaf]) -> "Tree":
        """Return the tree with other leaves, in the order of ``branches``."""
        return replace(self, root=_refilled(self.root, leaves))

    def __str__(self) -> str:
        text = "\n".join(_text(self.root, ""))
        return "\n".join((f"stage {self.stage}", text, *(f"({note})" for note in self.notes)))


@dataclass(frozen=True)
class RuleStage:
    """A rule as a model of its stage: it says which action comes first, and no more.

    Attributes:
        rule: the rule.
        spec: the stage.
    """

    rule: StageRule
    spec: HistorySpec

    def q(self, h: StageData) -> Floats:
        """Return 0 for what is advised, -1 for what else is feasible, NaN for the rest."""
        found = np.where(h.feasible, -1.0, np.nan)
        places = self.rule(h)
        rows = np.flatnonzero(places >= 0)
        found[rows, places[rows]] = 0.0
        return found


def check_values(stages: Sequence[StageData]) -> None:
    """Refuse values that are missing or infinite where there is a decision.

    Raises:
        EstimationError: with the stage, the variable and the count.
    """
    for h in stages:
        for name, values in h.columns.items():
            wild = missing(values)
            if values.dtype == np.float64:
                wild = wild | np.isinf(values)
            if count := int(np.count_nonzero(wild & h.decided)):
                raise EstimationError(
                    f"stage {h.spec.stage}: {name} is missing or infinite in {count} rows that "
                    "have a decision; complete it, or leave it out"
                )


def the_digits(h: StageData, kinds: Mapping[str, Kind]) -> dict[str, int]:
    """Return to how many decimals each number of a history is rounded."""
    return {
        name: kinds[name].digits if name in kinds else DIGITS
        for name, values in h.columns.items()
        if values.dtype == np.float64 and not _is_boolean(name, kinds)
    }


def candidates(
    h: StageData, names: tuple[str, ...], kinds: Mapping[str, Kind]
) -> tuple[list[tuple[str, float | str | None]], Floats]:
    """Return what a tree can split on, and the columns to split, for the rows with a decision.

    A number is one column, rounded as criteria round it; a yes-or-no variable is one of 0 and 1;
    a label is one column for each of its levels, or for one of two. Sorted by name and level.
    """
    found: list[tuple[str, float | str | None]] = []
    columns: list[Floats] = []
    digits = the_digits(h, kinds)
    for name in sorted(names):
        values = h.columns[name][h.decided]
        if values.dtype == object:
            levels = sorted({str(one) for one in values})
            for level in levels[1:] if len(levels) <= 2 else levels:
                found.append((name, level))
                columns.append(np.array([str(one) == level for one in values], dtype=np.float64))
        elif name in digits:
            found.append((name, 0.0))
            columns.append(quantise(values, digits[name]))
        else:
            found.append((name, None))
            columns.append(values.astype(np.float64))
    matrix = np.column_stack(columns) if columns else np.zeros((int(h.decided.sum()), 0))
    return found, matrix


def _is_boolean(name: str, kinds: Mapping[str, Kind]) -> bool:
    return name in kinds and kinds[name].type == "boolean"


def _branches(node: Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    if isinstance(node, Leaf):
        yield path, node
        return
    yield from _branches(node.above, (*path, node.criterion))
    yield from _branches(node.below, (*path, node.opposite))


def _lines(node: Node) -> Iterator[dict[str, Any]]:
    if isinstance(node, Leaf):
        yield {"otherwise": node.action, **_instead(node)}
        return
    if isinstance(node.above, Leaf):
        yield {"when": node.criterion, "then": node.above.action, **_instead(node.above)}
    else:
        yield {"when": node.criterion, "rule": tuple(_lines(node.above))}
    yield from _lines(node.below)


def _instead(leaf: Leaf) -> dict[str, Any]:
    return {"instead": leaf.instead} if leaf.instead else {}


def _refilled(node: Node, leaves: Iterator[Leaf]) -> Node:
    if isinstance(node, Leaf):
        return next(leaves)
    above = _refilled(node.above, leaves)
    return replace(node, above=above, below=_refilled(node.below, leaves))


def _text(node: Node, indent: str) -> Iterator[str]:
    if isinstance(node, Leaf):
        yield f"{indent}{_leaf_text(node)}"
        return
    yield f"{indent}if {node.criterion}"
    yield from _text(node.above, indent + "  ")
    yield f"{indent}else"
    yield from _text(node.below, indent + "  ")


def _leaf_text(leaf: Leaf) -> str:
    text = leaf.action
    if leaf.instead:
        text += f" (where not feasible: {', '.join(leaf.instead)})"
    text += f"  n={leaf.n}"
    if leaf.n_by_action:
        text += " (" + ", ".join(f"{name} {n}" for name, n in leaf.n_by_action.items()) + ")"
    if leaf.benefit is not None:
        one = leaf.benefit
        text += (f", {one.estimate:.3g} [{one.low:.3g}, {one.high:.3g}] better than "
                 f"{one.against}")  # fmt: skip
    return text
