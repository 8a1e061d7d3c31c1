"""A decision's basis in rows that a card, a page or a terminal can show: criterion by criterion."""

from dataclasses import dataclass

from cds_engine.bundle.model import Branch, DecisionList, RuleBundle
from cds_engine.criteria.syntax import Criterion, IntegerForm, Verdict, signed_leaves
from cds_engine.criteria.words import criterion_words, sum_words
from cds_engine.decide.decision import Decision, Role, Step
from cds_engine.history.value import Finding, History, Known, Missing
from cds_engine.vocabulary.value import Span, value_text


@dataclass(frozen=True, slots=True)
class InputRow:
    """One variable as the decision read it.

    Attributes:
        value: as text, with the word ``missing`` where there is none.
        start: instant of the newest source, None where it has no time.
        sources: references to the source records.
        reason: why it is missing, in a fixed code; empty where it is known.
        note: how the value came about, in words, or the missing reason.
        derived: the expression, for derived variables.
    """

    name: str
    label: str
    value: str
    unit: str
    start: int | None
    sources: tuple[str, ...]
    reason: str = ""
    note: str = ""
    derived: str = ""


@dataclass(frozen=True, slots=True)
class CriterionRow:
    """One comparison that was looked at, with the input it read."""

    text: str
    words: str
    verdict: Verdict
    inputs: tuple[InputRow, ...]


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of the path: what was asked, what it came to, and the comparisons behind it."""

    role: Role
    place: str
    title: str
    text: str
    words: str
    verdict: Verdict
    because: str
    actions: tuple[str, ...]
    criteria: tuple[CriterionRow, ...]


@dataclass(frozen=True, slots=True)
class Alternative:
    """An option of the stage that was not advised, and why not."""

    action: str
    label: str
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything a reader needs to check a decision.

    Attributes:
        inputs: every variable that the path read, in the order of first use.
        because: the clinical reason of the branch that spoke.
    """

    steps: tuple[StepRow, ...]
    inputs: tuple[InputRow, ...]
    alternatives: tuple[Alternative, ...]
    because: str


def explain(bundle: RuleBundle, decision: Decision, history: History) -> Explanation:
    """Return the basis of a decision; the verdicts are those of the decision itself."""
    return _Explainer(bundle, decision, history).explain()


class _Explainer:
    def __init__(self, bundle: RuleBundle, decision: Decision, history: History) -> None:
        self.bundle = bundle
        self.decision = decision
        self.history = history
        self.branches = {b.place: b for b in _all_branches(bundle)}
        self.derived = {d.name: d for d in bundle.derived}

    def explain(self) -> Explanation:
        judgement = self.decision.judgement
        steps = tuple(self.step(step) for step in judgement.steps)
        rows: dict[str, InputRow] = {}
        for step in steps:
            for criterion in step.criteria:
                for row in criterion.inputs:
                    rows.setdefault(row.name, row)
        for name in (*self.scored(), *judgement.undecided):
            for row in self.with_reads(name):
                rows.setdefault(row.name, row)
        spoke = self.branches.get(judgement.place)
        return Explanation(
            steps, tuple(rows.values()), self.alternatives(), spoke.because if spoke else ""
        )

    def scored(self) -> tuple[str, ...]:
        """Return what the scores read, where it was scores that decided."""
        if self.decision.stage is None:
            return ()
        rule = self.bundle.stage(self.decision.stage).rule
        return () if isinstance(rule, DecisionList) else tuple(sorted(rule.names))

    def step(self, step: Step) -> StepRow:
        leaves = self.decision.judgement.leaves or []
        asked = signed_leaves(step.criterion) if step.criterion else ()
        opposite = {id(leaf) for leaf, negated in asked if negated}
        criteria = tuple(
            self.leaf(leaf, verdict, negated=id(leaf) in opposite)
            for leaf, verdict in leaves[step.first : step.last]
        )
        text = "otherwise" if step.criterion is None else str(step.criterion)
        words = "everybody else" if step.criterion is None else self.words(step.criterion)
        branch = self.branches.get(step.place)
        because = branch.because if branch else self.because(step)
        actions = branch.actions if branch else ()
        return StepRow(
            step.role, step.place, self.title(step), text, words, step.verdict, because,
            actions, criteria,
        )  # fmt: skip

    def leaf(self, leaf: Criterion, verdict: Verdict, *, negated: bool) -> CriterionRow:
        """Return the row of a comparison as the criterion asks for it: of `not high`, not high."""
        inputs: dict[str, InputRow] = {}
        for name in sorted(leaf.names()):
            for row in self.with_reads(name):
                inputs.setdefault(row.name, row)
        words = criterion_words(leaf, self.bundle.kinds, negated=negated)
        if negated:
            return CriterionRow(f"not {leaf}", words, opposite_of(verdict), tuple(inputs.values()))
        return CriterionRow(str(leaf), words, verdict, tuple(inputs.values()))

    def with_reads(self, name: str) -> list[InputRow]:
        """Return the row of a variable, and of all that it is derived from, each once."""
        found: dict[str, InputRow] = {}
        todo = [name]
        while todo:
            here = todo.pop()
            if here in found:
                continue
            found[here] = self.input(here)
            if here in self.derived:
                todo.extend(sorted(self.derived[here].reads, reverse=True))
        return list(found.values())

    def input(self, name: str) -> InputRow:
        kind = self.bundle.kinds[name]
        value = self.decision.state.get(name)
        shown = value_text(value)  # type: ignore[arg-type]
        unit = kind.unit if isinstance(value, float | Span) else ""
        if name in self.derived:
            derived = self.derived[name]
            expression = derived.expression
            if isinstance(expression, IntegerForm):
                said = sum_words(expression, self.bundle.kinds)
            else:
                said = self.words(expression)
            note = f"computed: {said}"
            return InputRow(name, kind.label, shown, unit, None, (), "", note, derived.text)
        finding = self.history.findings.get(name) or Missing("absent", "it was not given")
        sources = tuple(reading.source for reading in finding.readings)
        reason = finding.reason if isinstance(finding, Missing) else ""
        note = finding.note if isinstance(finding, Known) else finding.detail
        start = _newest(finding)
        return InputRow(name, kind.label, shown, unit, start, sources, reason, note)

    def words(self, criterion: Criterion) -> str:
        return criterion_words(criterion, self.bundle.kinds)

    def title(self, step: Step) -> str:
        if step.role == "stage":
            found = next(s for s in self.bundle.stages if s.place == step.place)
            return f"Stage: {found.title}"
        titles = {"population": "Population", "safeguard": "Safeguard", "support": "Support"}
        return titles.get(step.role, "Branch")

    def because(self, step: Step) -> str:
        guards = {guard.place: guard.because for guard in self.bundle.safeguards}
        return guards.get(step.place, "")

    def alternatives(self) -> tuple[Alternative, ...]:
        stage = self.decision.stage
        if stage is None:
            return ()
        removed = {item.action: item for item in self.decision.judgement.removed}
        shown = {self.decision.action} if self.decision.action else set()
        options = [a for a in self.bundle.stage(stage).choose if a not in shown]
        found = []
        for action in options:
            if action in removed:
                sure = "" if removed[action].certain else " (an input for this is missing)"
                why = f"Barred by a safeguard{sure}: {removed[action].because}"
            elif action in self.decision.judgement.unsupported:
                why = "The data could not compare it for such a patient."
            elif action in self.decision.candidates:
                why = "Remains possible."
            else:
                why = self.when_chosen(stage, action)
            found.append(Alternative(action, self.bundle.actions[action].label, why))
        return tuple(found)

    def when_chosen(self, stage: str, action: str) -> str:
        """Say when the rule would have advised an action."""
        rule = self.bundle.stage(stage).rule
        if not isinstance(rule, DecisionList):
            return "Its score is not the best."
        conditions = [
            ("" if action in branch.actions else "in place of a barred option ")
            + ("for everybody else" if branch.when is None else f"where {self.words(branch.when)}")
            for branch in rule.walk()
            if action in (*branch.actions, *branch.instead)
        ]
        earlier = "" if conditions == ["for everybody else"] else ", unless an earlier line speaks"
        return f"The rule advises it {', or '.join(conditions)}{earlier}."


def opposite_of(verdict: Verdict) -> Verdict:
    """Return the verdict on the opposite; that of unknown is unknown."""
    return None if verdict is None else not verdict


def _newest(finding: Finding) -> int | None:
    starts = [r.start for r in finding.readings if r.start is not None]
    if isinstance(finding, Missing) and finding.last is not None:
        return finding.last
    return max(starts, default=None)


def _all_branches(bundle: RuleBundle) -> list[Branch]:
    return [
        branch
        for stage in bundle.stages
        if isinstance(stage.rule, DecisionList)
        for branch in stage.rule.walk()
    ]
