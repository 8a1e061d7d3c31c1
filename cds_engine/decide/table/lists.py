"""A decision list over a block: each row keeps the answers that remain possible for it."""

from dataclasses import dataclass

from cds_engine.bundle.model import Branch, DecisionList, RuleBundle, Stage
from cds_engine.decide.decision import ReasonCode
from cds_engine.decide.table.block import Block
from cds_engine.decide.table.columns import Bools
from cds_engine.decide.table.decisions import Fate, Fates
from cds_engine.decide.table.nodes import Node
from cds_engine.decide.table.plan import Plan
from cds_engine.decide.table.stages import Facts, StageTable


@dataclass(frozen=True, slots=True)
class Answer:
    """What a branch says; branches that say the same have one answer."""

    actions: tuple[str, ...]
    instead: tuple[str, ...]
    abstains: bool

    def given(self, barred: frozenset[str]) -> tuple[tuple[str, ...], ReasonCode | None]:
        """Return what becomes of it where some actions are barred."""
        if self.abstains:
            return (), "rule-abstains"
        kept = tuple(action for action in self.actions if action not in barred)
        other = [action for action in self.instead if action not in barred]
        if kept or other:
            return kept or (other[0],), None
        return (), "safeguard"


@dataclass(frozen=True, slots=True)
class Line:
    """One branch: its criterion (None on the last line), and its answer or its nested list."""

    node: Node | None
    answer: int
    nested: "tuple[Line, ...]"


class ListTable(StageTable):
    """A stage whose rule is a list.

    Facts: for each answer whether it is possible, then for each safeguard whether it bites
    (whether its criterion is not definitely false).
    """

    def __init__(
        self, bundle: RuleBundle, stage: Stage, rule: DecisionList, plan: Plan, fates: Fates
    ) -> None:
        super().__init__(bundle, stage, plan, fates)
        self._answers: dict[Answer, int] = {}
        self.lines = self._lines(rule, plan)
        self.answers = tuple(self._answers)
        self.width = len(self.answers) + len(self.guards)

    def facts(self, block: Block, here: Bools) -> Facts:
        """Walk the list, each line for the rows that no earlier line has certainly decided."""
        possible: Facts = [None] * len(self.answers)
        self._walk(self.lines, block, here, possible)
        return possible + [node.truth(block)[1] for _, node in self.guards]

    def fate(self, facts: int) -> Fate:
        """Return the one answer if there is one, else abstain and name what remains possible."""
        barred = self.barred(facts, len(self.answers))
        possible = [a for at, a in enumerate(self.answers) if facts >> at & 1]
        given = {answer.given(barred) for answer in possible}
        name = self.stage.name
        if len(given) != 1:
            union = tuple(action for actions, _ in given for action in actions)
            return Fate("abstention", "missing", name, None, union)
        [(actions, code)] = given
        return Fate("abstention", code, name) if code else self.advise(actions)

    def _walk(self, lines: tuple[Line, ...], block: Block, rest: Bools, possible: Facts) -> None:
        for line in lines:
            if line.node is None:
                self._speak(line, block, rest, possible)
                return
            true, maybe = line.node.truth(block)
            here = rest & maybe
            self._speak(line, block, here, possible)
            rest = rest ^ here if true is maybe else rest > true

    def _speak(self, line: Line, block: Block, here: Bools, possible: Facts) -> None:
        if line.nested:
            if here.any():
                self._walk(line.nested, block, here, possible)
            return
        before = possible[line.answer]
        possible[line.answer] = here if before is None else before | here

    def _lines(self, rule: DecisionList, plan: Plan) -> tuple[Line, ...]:
        return tuple(self._line(branch, plan) for branch in rule.branches)

    def _line(self, branch: Branch, plan: Plan) -> Line:
        node = None if branch.when is None else plan.node(branch.when)
        if branch.rule is not None:
            return Line(node, -1, self._lines(branch.rule, plan))
        answer = Answer(branch.actions, branch.instead, branch.abstain is not None)
        return Line(node, self._answers.setdefault(answer, len(self._answers)), ())
