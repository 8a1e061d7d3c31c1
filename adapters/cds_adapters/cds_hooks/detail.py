"""The detail of a card shows everything that a decision rests on, as Markdown sections.

What does not depend on the patient was put into words before (``phrases``); here values are filled
in. The rows are those of ``cds_engine.decide.explain``, and the inputs of scores besides.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
from functools import lru_cache

from cds_adapters.cds_hooks.markdown import code, escape
from cds_adapters.cds_hooks.phrases import Line, Phrases
from cds_adapters.gain import gain_words
from cds_engine.bundle.document import Scores
from cds_engine.bundle.model import (
    Branch,
    DecisionList,
    RuleBundle,
    Safeguard,
    ScoreRule,
    Stage,
)
from cds_engine.criteria.syntax import Trace, Verdict
from cds_engine.decide.decision import Decision, Removed, Role
from cds_engine.decide.explain import opposite_of
from cds_engine.decide.scalar import best_scores
from cds_engine.history.value import Finding, History, Missing, Reading
from cds_engine.vocabulary.rounding import rounded
from cds_engine.vocabulary.time import DAY, MINUTE
from cds_engine.vocabulary.value import Span, number_text

MAX_SOURCES = 8
MAX_SET_ASIDE = 12
MAX_LINES = 10
MAX_NOTE = 200
"""Characters kept of a text that may come from a record."""

TABLE_HEAD = "| Input | Value | Unit | Date (UTC) | Source | Remark |\n|---|---|---|---|---|---|"
MISSING = "*missing*"
_MEASURED = (float, Span)
_FIRST_NAMED = ("AllergyIntolerance/", "Condition/", "Medication")
"""What a safeguard is most likely to hang on is named before what the list has no room for."""
_OTHER_STAGE = "- Other stages: the other one does not hold"
_FIRST_DAY = date(1970, 1, 1).toordinal()
_VERDICTS = {True: "holds", False: "does not hold", None: "cannot be told"}


class DetailWriter:
    """Writes details for one rule bundle; holds no patient's data."""

    def __init__(self, bundle: RuleBundle) -> None:
        self.bundle = bundle
        self.phrases = Phrases(bundle)
        self._stages = {stage.name: stage for stage in bundle.stages}
        self._branches = {branch.place: branch for branch in _branches(bundle)}
        self._scores_of = {
            stage.stage: stage.rule
            for stage in bundle.document.stages
            if isinstance(stage.rule, Scores)
        }

    def advice(self, decision: Decision, history: History) -> Iterator[str]:
        """Yield the sections on a decision: why, basis, path, alternatives, what was missing."""
        names = self.names(decision)
        yield from self._why(decision)
        yield from self._gain(decision)
        yield from self.basis(names, decision, history)
        yield from self._path(decision)
        yield from self._options(decision)
        said = {name for reason in decision.reasons for name in reason.variables}
        yield from self.gaps([name for name in names if name not in said], history)

    def _gain(self, decision: Decision) -> Iterator[str]:
        lines = [f"- {escape(line)}" for line in gain_words(self.bundle, decision)]
        if lines:
            yield "\n".join(["**What the data said of such patients**\n", *lines])

    def barred(
        self, guard: Safeguard, verdict: Verdict, trace: Trace, decision: Decision, history: History
    ) -> Iterator[str]:
        """Yield the sections on one safeguard that is not definitely false."""
        yield f"**Safeguard:** {self.phrases.because[guard.place]}"
        yield f"- {self._judged('safeguard', guard.place, verdict, trace)}"
        names = dict.fromkeys(n for leaf, _ in trace for n in self.phrases.comparison(leaf).names)
        yield from self.basis(tuple(names), decision, history)
        yield from self.gaps(tuple(names), history)

    def closing(self, decision: Decision, decision_id: str) -> str:
        """Return the foot of a card: as of when, which version, what to beware of."""
        lines = [
            f"Evaluated as of {_minute(decision.as_of)} UTC.",
            f"{self.phrases.identity}, decision {code(decision_id)}.",
            *(f"**Note:** {escape(note)}" for note in decision.notes),
            *self.phrases.about,
        ]
        return "  \n".join(lines)

    def names(self, decision: Decision) -> tuple[str, ...]:
        """Return every variable that a decision read, in the order of first use."""
        judgement = decision.judgement
        found: dict[str, None] = {}
        for leaf, _ in judgement.leaves or ():
            for name in self.phrases.comparison(leaf).names:
                found[name] = None
        for name in (
            *self.phrases.score_inputs.get(decision.stage or "", ()),
            *judgement.undecided,
        ):
            found[name] = None
        return tuple(found)

    def basis(self, names: Sequence[str], decision: Decision, history: History) -> Iterator[str]:
        """Yield the table of inputs: value, unit, date, source and remark of each."""
        if names:
            rows = [self._row(name, decision, history) for name in names]
            yield "\n".join(["**Basis**\n", TABLE_HEAD, *rows])

    def gaps(self, names: Sequence[str], history: History) -> Iterator[str]:
        """Yield what was missing or stale among some inputs, and which records were not used."""
        lines = [
            f"- {self.phrases.labels[name]}: {escape(found.detail, MAX_NOTE)} ({found.reason})"
            for name in names
            if name not in self.phrases.formulas
            and isinstance(found := _finding(name, history), Missing)
        ]
        aside = sorted(history.set_aside, key=lambda one: _urgency(one[0]))
        lines += [
            f"- Not used: {escape(source, MAX_NOTE)}: {escape(reason, MAX_NOTE)}"
            for source, reason in aside[:MAX_SET_ASIDE]
        ]
        if len(aside) > MAX_SET_ASIDE:
            lines.append(f"- and {len(aside) - MAX_SET_ASIDE} more records that were not used")
        if lines:
            yield "\n".join(["**Missing, stale or set aside**\n", *lines])

    def displaced(self, decision: Decision) -> tuple[Removed, ...]:
        """Return what the rule would have advised, had no safeguard removed it."""
        judgement = decision.judgement
        stage = self._stages.get(decision.stage or "")
        if not judgement.removed or stage is None or decision.outcome == "abstention":
            return ()
        if isinstance(stage.rule, ScoreRule):
            meant = self._best_of_all(stage, stage.rule, decision)
        else:
            meant = self._branches[judgement.place].actions
        return tuple(removed for removed in judgement.removed if removed.action in meant)

    def _best_of_all(self, stage: Stage, rule: ScoreRule, decision: Decision) -> tuple[str, ...]:
        verdicts = {step.place: step.verdict for step in decision.judgement.steps}
        outside = {
            a for item in rule.support if verdicts[item.place] is False for a in item.actions
        }
        compared = tuple(action for action in stage.choose if action not in outside)
        return best_scores(rule, compared, decision.state) or ()  # type: ignore[arg-type]

    def _why(self, decision: Decision) -> Iterator[str]:
        if decision.outcome == "abstention":
            said = [f"- {escape(r.text, 4 * MAX_NOTE)} ({r.code})" for r in decision.reasons]
            yield "\n".join(["**Why there is no advice**\n", *said])
        else:
            yield f"**Why:** {self.phrases.because[decision.judgement.place]}"
        for removed in self.displaced(decision):
            label = self.phrases.actions[removed.action]
            because = self.phrases.because[removed.place]
            yield f"**Safeguard:** the rule would come to “{label}”, which is barred. {because}"

    def _row(self, name: str, decision: Decision, history: History) -> str:
        value = decision.state[name]
        phrases = self.phrases
        shown = MISSING if value is None else shown_value(value)
        unit = phrases.units[name] if isinstance(value, _MEASURED) else ""
        formula = phrases.formulas.get(name)
        if formula is not None:
            return f"| {phrases.labels[name]} | {shown} | {unit} |  |  | {formula} |"
        found = _finding(name, history)
        if isinstance(found, Missing):
            remark: str = found.reason
        else:
            remark = escape(found.note, MAX_NOTE) if found.note else ""
        when, sources = _date(found), _sources(found.readings)
        return f"| {phrases.labels[name]} | {shown} | {unit} | {when} | {sources} | {remark} |"

    def _path(self, decision: Decision) -> Iterator[str]:
        judgement = decision.judgement
        trace = judgement.leaves or []
        short = len(judgement.steps) <= MAX_LINES
        lines, stages, branches, open_line = [], 0, 0, False
        for role, place, _, verdict, first, last in judgement.steps:
            if verdict is False and role == "stage" and decision.stage is not None:
                stages += 1
            elif verdict is False and role == "branch" and not short:
                branches += 1
            else:
                line = self._judged(role, place, verdict, trace[first:last], after_open=open_line)
                lines.append(f"- {line}")
            open_line = open_line or (role == "branch" and verdict is None)
        if stages:
            lines.append(f"- Other stages: none of {stages} holds" if stages > 1 else _OTHER_STAGE)
        if branches:
            lines.append(f"- {branches} more lines were looked at and do not hold")
        lines += self._scores(decision)
        if lines:
            yield "\n".join(["**Path**\n", *lines])

    def _judged(
        self, role: Role, place: str, verdict: Verdict, trace: Trace, *, after_open: bool = False
    ) -> str:
        line = self.phrases.lines[role, place]
        if verdict and after_open:
            said = "applies unless an earlier line does, which cannot be told"
        else:
            said = _VERDICTS[verdict]
        return f"{line.text} — **{said}**{self._parts(line, verdict, trace)}"

    def _parts(self, line: Line, verdict: Verdict, trace: Trace) -> str:
        if line.single or (verdict is not None and verdict is line.plain_when):
            return ""
        said = []
        for leaf, found in trace:
            comparison = self.phrases.comparison(leaf)
            verdict = opposite_of(found) if comparison.negated else found
            said.append(f"“{comparison.words}” {_VERDICTS[verdict]}")
        return f" ({'; '.join(said)})"

    def _scores(self, decision: Decision) -> Iterator[str]:
        stage = self._stages.get(decision.stage or "")
        if stage is None or not isinstance(stage.rule, ScoreRule):
            return
        document = self._scores_of[stage.name]
        sign = 1 if document.better == "higher" else -1
        unit = f" {escape(document.unit)}" if document.unit else ""
        margin = number_text(float(stage.rule.margin))
        yield f"- Scores ({document.better} is better; within {margin}{unit} is equal):"
        for action in stage.choose:
            total = stage.rule.forms[action].total(decision.state)  # type: ignore[arg-type]
            divisor = stage.rule.forms[action].divisor
            if isinstance(total, int):
                shown = number_text(rounded(float(Fraction(sign * total, divisor)), 4)) + unit
            else:
                shown = MISSING if total is None else "only known as a range"
            yield f"  - {self.phrases.actions[action]}: {shown}"

    def _options(self, decision: Decision) -> Iterator[str]:
        stage = self._stages.get(decision.stage or "")
        if stage is None:
            return
        lines = [
            f"- {self.phrases.actions[action]}: {self._why_not(stage, action, decision)}"
            for action in stage.choose
            if action != decision.action
        ]
        if lines:
            title = "Alternatives" if decision.outcome == "recommendation" else "Options"
            yield "\n".join([f"**{title}**\n", *lines])

    def _why_not(self, stage: Stage, action: str, decision: Decision) -> str:
        removed = next((r for r in decision.judgement.removed if r.action == action), None)
        if removed is not None:
            sure = "" if removed.certain else ", an input of which is missing"
            return f"barred by a safeguard{sure}. {self.phrases.because[removed.place]}"
        if action in decision.judgement.unsupported:
            return "the data could not compare it for such a patient."
        if action in decision.candidates:
            same = decision.outcome == "equipoise"
            return "as good as the others here." if same else "remains possible."
        return self.phrases.alternatives[stage.name, action]


def shown_value(value: object) -> str:
    """Return a value, escaped, as a person reads it and from which it can be read back exactly.

    >>> shown_value(Span(1.5, 5.0, high_open=True)), shown_value(True), shown_value(4.0)
    ('1.5 or higher, and below 5', 'yes', '4')
    """
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return _number(value)
        case _:
            return escape(str(value))


def _urgency(source: str) -> int:
    kinds = (n for n, kind in enumerate(_FIRST_NAMED) if source.startswith(kind))
    return next(kinds, len(_FIRST_NAMED))


def _branches(bundle: RuleBundle) -> Iterator[Branch]:
    for stage in bundle.stages:
        if isinstance(stage.rule, DecisionList):
            yield from stage.rule.walk()


def _finding(name: str, history: History) -> Finding:
    return history.findings.get(name) or Missing("absent", "it was not given")


def _sources(readings: tuple[Reading, ...]) -> str:
    if len(readings) == 1:
        return escape(readings[0].source, MAX_NOTE)
    if not readings:
        return ""
    names = tuple(dict.fromkeys(reading.source for reading in readings))
    shown = ", ".join(escape(name, MAX_NOTE) for name in names[:MAX_SOURCES])
    more = len(names) - MAX_SOURCES
    return f"{shown} and {more} more" if more > 0 else shown


def _date(found: Finding) -> str:
    """Return when the newest source was true: a clock time, a day, or the days it spans."""
    if isinstance(found, Missing) and found.last is not None:
        return _day(found.last // DAY)
    start = end = None
    for reading in found.readings:
        if reading.start is not None and (start is None or reading.start > start):
            start, end = reading.start, reading.end
    if start is None:
        return ""
    if end is None or start == end:
        return _minute(start)
    first, last = _day(start // DAY), _day(end // DAY)
    return first if first == last else f"{first} to {last}"


def _minute(at: int) -> str:
    hours, minutes = divmod(at % DAY // MINUTE, 60)
    return f"{_day(at // DAY)} {hours:02}:{minutes:02}"


@lru_cache(maxsize=10_000)
def _day(days: int) -> str:
    # Every input has a date, and a day on the calendar is nobody's secret.
    return date.fromordinal(_FIRST_DAY + days).isoformat()


def _number(value: float) -> str:
    """Write a number as ``number_text`` does; most numbers are short, and then quicker."""
    text = repr(value)
    if not value or "e" in text or "n" in text:
        return number_text(value)
    return text.removesuffix(".0")
