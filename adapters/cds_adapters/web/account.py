"""An account of one decision: what it says, on which values, along which path, and why not else."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cds_adapters.gain import gain_words
from cds_adapters.web.words import REASONS, Calendar, sentence, spoken
from cds_engine.bundle.describe import stage_description
from cds_engine.bundle.model import DecisionList, RuleBundle
from cds_engine.criteria.syntax import Verdict
from cds_engine.decide.decision import Decision
from cds_engine.decide.explain import Alternative, Explanation, InputRow, StepRow, explain
from cds_engine.history.value import History
from cds_engine.vocabulary.value import NONE


@dataclass(frozen=True, slots=True)
class Told:
    """One reason: its name in words, its code, its text, and the inputs it is about."""

    name: str
    code: str
    text: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Input:
    """One row of the basis.

    Attributes:
        row: the value as the decision read it.
        when: when the newest source was true, as precisely as recorded; empty if it has no time.
        ago: how long before the decision that was.
        how: how the value was computed, in words.
    """

    row: InputRow
    when: str
    ago: str
    how: str


@dataclass(frozen=True, slots=True)
class PathStep:
    """One step of the path, and what followed from it.

    Attributes:
        decided: whether this is the line that spoke.
    """

    step: StepRow
    title: str
    consequence: str
    decided: bool
    values: tuple[InputRow, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """All that a page shows of one decision.

    Attributes:
        instead: what a safeguard barred from being put first; empty where none did.
        because: the clinical reason of the line that spoke.
        gain: what the data behind a fitted rule said of such patients, a sentence each.
    """

    outcome: str
    headline: str
    stage: str
    instead: str
    because: str
    options: tuple[str, ...]
    reasons: tuple[Told, ...]
    inputs: tuple[Input, ...]
    path: tuple[PathStep, ...]
    alternatives: tuple[Alternative, ...]
    set_aside: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    gain: tuple[str, ...] = ()


def account(
    bundle: RuleBundle, decision: Decision, history: History, calendar: Calendar
) -> Account:
    """Tell a decision in words; nothing is decided here."""
    return _Teller(bundle, decision, history, calendar).tell()


def headline(outcome: str, options: tuple[str, ...], reasons: tuple[Told, ...]) -> str:
    """Say in one line what a decision comes to."""
    match outcome:
        case "recommendation":
            return f"Suggested: {' or '.join(options)}"
        case "equipoise":
            return f"Equally good: {' · '.join(options)}"
        case "no_change":
            return f"No change suggested: {' or '.join(options)}"
        case "not_applicable":
            return "The regime does not apply here"
    main = f": {reasons[0].name.lower()}" if reasons else ""
    return f"No advice can be given{main}"


class _Teller:
    def __init__(
        self, bundle: RuleBundle, decision: Decision, history: History, calendar: Calendar
    ) -> None:
        self.bundle = spoken(bundle)
        self.decision = decision
        self.history = history
        self.calendar = calendar
        self.why: Explanation = explain(self.bundle, decision, history)
        self.removed_by = {guard.place: guard.never for guard in bundle.safeguards}
        self.removed = {item.action for item in decision.judgement.removed}
        self.course = {n for n, v in bundle.variables.items() if v.source == "course"}
        self.lines = _lines(bundle, decision.stage)
        rule = bundle.stage(decision.stage).rule if decision.stage else None
        walked = list(rule.walk()) if isinstance(rule, DecisionList) else []
        self.nested = {branch.place for branch in walked if branch.rule is not None}
        self.instead_of = {branch.place: branch.instead for branch in walked}

    def tell(self) -> Account:
        decision = self.decision
        reasons = tuple(
            Told(REASONS[r.code], r.code, r.text, tuple(map(self.label, r.variables)))
            for r in decision.reasons
        )
        options = tuple(self.action(action) for action in decision.candidates)
        return Account(
            outcome=decision.outcome,
            headline=headline(decision.outcome, options, reasons),
            stage=self.bundle.stage(decision.stage).title if decision.stage else "",
            instead=self.instead(),
            because=self.why.because,
            options=options,
            reasons=reasons,
            inputs=tuple(self.input(row) for row in self.why.inputs),
            path=tuple(self.path_step(step) for step in self.why.steps),
            alternatives=self.why.alternatives,
            set_aside=self.history.set_aside,
            notes=decision.notes,
            gain=tuple(gain_words(self.bundle, decision)),
        )

    def label(self, name: str) -> str:
        return self.bundle.kinds[name].label

    def action(self, name: str) -> str:
        return self.bundle.actions[name].label

    def input(self, row: InputRow) -> Input:
        return Input(self.named(row), *self.times(row), self.how(row))

    def named(self, row: InputRow) -> InputRow:
        """Return a row whose value, where it is an action, reads as the action does."""
        if row.name not in self.course or row.reason:
            return row
        if row.value == NONE:
            return replace(row, value="nothing yet")
        known = row.value in self.bundle.actions
        return replace(row, value=self.action(row.value)) if known else row

    def how(self, row: InputRow) -> str:
        return sentence(row.note) if row.derived else row.note

    def times(self, row: InputRow) -> tuple[str, str]:
        finding = self.history.findings.get(row.name)
        readings = finding.readings if finding else ()
        ends = [(r.start, r.end) for r in readings if r.start is not None and r.end is not None]
        as_of = self.decision.as_of
        if not ends:
            return ("", "") if row.start is None else self.at(row.start, row.start, as_of)
        newest = max(ends)
        return self.at(*newest, as_of)

    def at(self, start: int, end: int, as_of: int) -> tuple[str, str]:
        return self.calendar.span(start, end), self.calendar.ago(start, as_of)

    def path_step(self, step: StepRow) -> PathStep:
        decided = step.role == "branch" and step.place == self.decision.judgement.place
        rows: dict[str, InputRow] = {}
        for criterion in step.criteria:
            rows |= {row.name: self.named(row) for row in criterion.inputs}
        title = f"Line {self.lines[step.place]}" if step.place in self.lines else step.title
        return PathStep(step, title, self.consequence(step, decided), decided, tuple(rows.values()))

    def consequence(self, step: StepRow, decided: bool) -> str:
        match step.role:
            case "population":
                return _pick(step.verdict, _POPULATION)
            case "stage":
                return _pick(step.verdict, _STAGE)
            case "support":
                return _pick(step.verdict, _SUPPORT)
            case "safeguard":
                barred = ", ".join(map(self.action, sorted(self.removed_by[step.place])))
                return _pick(step.verdict, _SAFEGUARD).format(barred)
        return self.branch(step, decided)

    def instead(self) -> str:
        """Say which actions the line that spoke names first, but a safeguard bars."""
        place = self.decision.judgement.place
        spoke = next((step for step in self.why.steps if step.place == place), None)
        barred = [a for a in (spoke.actions if spoke else ()) if a in self.removed]
        if not barred or not self.decision.candidates:
            return ""
        return (
            f"The rule puts {' or '.join(map(self.action, barred))} first here, "
            "which a safeguard bars."
        )

    def branch(self, step: StepRow, decided: bool) -> str:
        if step.verdict is False:
            return "Goes on to the next line"
        if decided:
            return self.deciding(step)
        if step.place in self.nested:
            if step.verdict:
                return "Looks at the lines below it"
            return "Cannot be told; the lines below it may apply"
        outcome = self.would_come_to(step)
        if step.verdict is None:
            return f"Cannot be told; if it holds: {outcome}"
        return f"Applies unless an earlier line does, which cannot be told; then: {outcome}"

    def would_come_to(self, step: StepRow) -> str:
        """Say what a line would come to, safeguards and their ways out considered."""
        if not step.actions:
            return "no advice"
        kept = [action for action in step.actions if action not in self.removed]
        spare = [a for a in self.instead_of.get(step.place, ()) if a not in self.removed]
        if kept or spare:
            return " or ".join(map(self.action, kept or spare[:1]))
        return f"no advice, for a safeguard bars {' and '.join(map(self.action, step.actions))}"

    def deciding(self, step: StepRow) -> str:
        if not step.actions:
            return "Decides: no advice is given"
        kept = " or ".join(map(self.action, self.decision.candidates))
        barred = " or ".join(self.action(a) for a in step.actions if a in self.removed)
        if not barred:
            return f"Decides: {kept}"
        return f"Barred: {barred}. " + (f"Decides: {kept}" if kept else "No advice is given")


_POPULATION = ("The regime is for this patient", "The regime is not for this patient")
_STAGE = ("This stage applies", "This stage does not apply")
_SUPPORT = ("The data can compare the options", "The data cannot compare the options")
_SAFEGUARD = ("Bars: {}", "Bars nothing", "Bars, because it cannot be ruled out: {}")


def _pick(verdict: Verdict, words: tuple[str, ...]) -> str:
    if verdict is None:
        return words[2] if len(words) > 2 else "Cannot be told; an input is missing"
    return words[0] if verdict else words[1]


def _lines(bundle: RuleBundle, stage: str | None) -> Mapping[str, str]:
    """Number the lines of a stage's list as the version's own page does: 1, 2, 2.1, ..."""
    if stage is None:
        return {}
    said = stage_description(bundle, bundle.stage(stage))
    return {row.place: row.number for row in said.rows}
