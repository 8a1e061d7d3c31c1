"""What a rule bundle says whoever the patient is: put into words and escaped once, at the start."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cds_adapters.cds_hooks.markdown import code, escape
from cds_engine.bundle.model import Branch, DecisionList, RuleBundle, ScoreRule, Stage
from cds_engine.criteria.syntax import All, Criterion, IntegerForm, Not, Verdict, signed_leaves
from cds_engine.criteria.syntax import Any as Either
from cds_engine.criteria.words import criterion_words, sum_words
from cds_engine.decide.decision import Role
from cds_engine.vocabulary.units import unit_words

MAX_CAUTIONS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A criterion of the rule bundle, ready to be shown with its verdict.

    Attributes:
        text: escaped; its title, the criterion in words, and what follows from it.
        single: whether it is one comparison, so that there are no parts to show.
        plain_when: the verdict that all of its parts share if it has that verdict; None if there
            is no such verdict.
    """

    text: str
    single: bool
    plain_when: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """A leaf of a criterion, its escaped words, and the variables behind it, derived and read.

    Where the criterion asks for the opposite of the leaf, the words say the opposite.
    """

    leaf: Criterion
    words: str
    names: tuple[str, ...]
    negated: bool = False


class Phrases:
    """The escaped words of one rule bundle; nothing here is about a patient.

    Attributes:
        labels, units: variable -> as shown; labels are told apart where two read the same.
        formulas: derived variable -> how it is derived.
        lines: role and place of a step -> its line.
        because: place of a branch, score rule or safeguard -> the reason.
        alternatives: stage and action -> when the rule would have advised it.
        score_inputs: stage -> the variables that its scores read, if it has scores.
        identity: which version this is.
        about: what is known of use and misuse, for the foot of a card.
    """

    def __init__(self, bundle: RuleBundle) -> None:
        self._kinds = bundle.kinds
        self._reads = {derived.name: derived.reads for derived in bundle.derived}
        self.labels = _labels(bundle)
        self.units = {name: escape(unit_words(kind.unit)) for name, kind in bundle.kinds.items()}
        self.actions = {name: escape(action.label) for name, action in bundle.actions.items()}
        self.formulas: dict[str, str] = {}
        self.lines: dict[tuple[Role, str], Line] = {}
        self._comparisons: dict[int, Comparison] = {}
        self._equal: dict[Criterion, Comparison] = {}
        self.because: dict[str, str] = {}
        self.alternatives: dict[tuple[str, str], str] = {}
        self.score_inputs: dict[str, tuple[str, ...]] = {}
        for derived in bundle.derived:
            said = (
                escape(sum_words(derived.expression, self._kinds))
                if isinstance(derived.expression, IntegerForm)
                else self._words(derived.expression)
            )
            self.formulas[derived.name] = f"derived: {said}"
        self._add("population", "population", "Population", bundle.population)
        for guard in bundle.safeguards:
            self._add("safeguard", guard.place, "Safeguard", guard.when)
            self.because[guard.place] = escape(guard.because)
        for stage in bundle.stages:
            self._add_stage(stage)
        self.identity = f"{code(bundle.identity)}, digest {code(short_digest(bundle.digest))}"
        self.about = _about(bundle)

    def comparison(self, leaf: Criterion) -> "Comparison":
        """Return the words of a leaf of this rule bundle, whichever copy of it was read."""
        # an identity is quicker to look up than a criterion is to hash
        found = self._comparisons.get(id(leaf))
        return found if found is not None and found.leaf is leaf else self._equal[leaf]

    def with_reads(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return variables, each followed by what it is derived from."""
        found: dict[str, None] = {}
        for name in names:
            found[name] = None
            if name in self._reads:
                found.update(dict.fromkeys(self.with_reads(sorted(self._reads[name]))))
        return tuple(found)

    def _add_stage(self, stage: Stage) -> None:
        self._add("stage", stage.place, f"Stage {escape(stage.title)}", stage.when)
        if isinstance(stage.rule, ScoreRule):
            self._add_scores(stage, stage.rule)
        else:
            for branch in stage.rule.walk():
                self._add_branch(stage, branch)
        for action in stage.choose:
            self.alternatives[stage.name, action] = self._when_advised(stage, action)

    def _add_scores(self, stage: Stage, rule: ScoreRule) -> None:
        for item in rule.support:
            self._add("support", item.place, "Comparable", item.when)
        names = [name for form in rule.forms.values() for name, _, _ in form.terms]
        self.score_inputs[stage.name] = self.with_reads(names)
        self.because[rule.place] = (
            escape(rule.because) or "It scores best among the options that could be compared."
        )

    def _add_branch(self, stage: Stage, branch: Branch) -> None:
        title = f"Line {_number(stage, branch)}"
        said = " or ".join(self.actions[action] for action in branch.actions)
        spare = " or ".join(self.actions[action] for action in branch.instead)
        then = f" → {said}" + (f" (if barred: {spare})" if spare else "") if said else ""
        if branch.when is None:
            self.lines["branch", branch.place] = Line(f"{title}: everybody else{then}", True, True)
            fallback = "No earlier line of the rule holds."
        else:
            self._add("branch", branch.place, title, branch.when, then)
            fallback = f"{self._words(branch.when)}."
        self.because[branch.place] = escape(branch.because) or fallback

    def _add(
        self, role: Role, place: str, title: str, criterion: Criterion, then: str = ""
    ) -> None:
        parts = criterion.children()
        flat = len(parts) > 1 and not any(_inner(part).children() for part in parts)
        shared: Verdict = None
        if flat and isinstance(criterion, All | Either):
            shared = isinstance(criterion, All)
        text = f"{title}: {self._words(criterion)}{then}"
        self.lines[role, place] = Line(text, not _inner(criterion).children(), shared)
        for leaf, negated in signed_leaves(criterion):
            reads = self.with_reads(sorted(leaf.names()))
            words = escape(criterion_words(leaf, self._kinds, negated=negated))
            said = Comparison(leaf, words, reads, negated)
            self._comparisons[id(leaf)] = self._equal[leaf] = said

    def _when_advised(self, stage: Stage, action: str) -> str:
        if not isinstance(stage.rule, DecisionList):
            return "it scores worse."
        found = []
        for branch in stage.rule.walk():
            where = (
                "for everybody else" if branch.when is None else f"where {self._words(branch.when)}"
            )
            if action in branch.actions:
                found.append(where)
            elif action in branch.instead:
                found.append(f"in place of a barred option {where}")
        return f"the rule advises it {', or '.join(found)}."

    def _words(self, criterion: Criterion) -> str:
        return escape(criterion_words(criterion, self._kinds))


def short_digest(digest: str) -> str:
    """Return enough of a digest to tell versions apart: ``sha256:0123456789ab``."""
    algorithm, _, value = digest.rpartition(":")
    return f"{algorithm}:{value[:12]}" if algorithm else value[:12]


def _labels(bundle: RuleBundle) -> dict[str, str]:
    count = Counter(kind.label for kind in bundle.kinds.values())
    return {
        name: escape(kind.label if count[kind.label] == 1 else f"{kind.label} ({name})")
        for name, kind in bundle.kinds.items()
    }


def _about(bundle: RuleBundle) -> tuple[str, ...]:
    about = bundle.document.about
    if about is None:
        return ()
    return tuple(_about_lines(about.intended_use, about.cautions, about.evidence_date))


def _about_lines(
    use: str | None, cautions: tuple[str, ...], evidence_date: str | None
) -> Iterator[str]:
    if use:
        yield f"**Intended use:** {escape(use, 300)}"
    for caution in cautions[:MAX_CAUTIONS]:
        yield f"**Caution:** {escape(caution, 300)}"
    more = len(cautions) - MAX_CAUTIONS
    if more > 0:
        which = "1 more caution is" if more == 1 else f"{more} more cautions are"
        yield f"{which} on the decision's page."
    if evidence_date:
        yield f"Evidence of {escape(evidence_date)}."


def _inner(criterion: Criterion) -> Criterion:
    while isinstance(criterion, Not):
        criterion = criterion.inner
    return criterion


def _number(stage: Stage, branch: Branch) -> str:
    """Number a branch as a reader counts: ``stages[0].rule[1].rule[0]`` is line 2.1."""
    inside = branch.place.removeprefix(stage.place)
    indexes = [part.partition("]")[0] for part in inside.split("[")[1:]]
    return ".".join(str(int(index) + 1) for index in indexes)
