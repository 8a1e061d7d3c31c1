"""A rule bundle that has been checked: nothing in it can be ill-typed, unknown or half-written."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from cds_engine.bundle import document as doc
from cds_engine.bundle.document import BundleDocument, CasesDocument
from cds_engine.criteria.syntax import Criterion, IntegerForm
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.variable import Variable


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of a decision list.

    Attributes:
        place: where it stands in the document, ``stages[1].rule[0]``.
        when: its criterion; None on the last line, which always holds.
        actions: the action, or several in equipoise; empty where ``rule`` or ``abstain`` speaks.
        rule: a nested list, or None.
        abstain: the words of a branch that gives no advice, or None.
        instead: actions to advise, in order, where a safeguard removes ``actions``.
        because: the clinical reason.
    """

    place: str
    when: Criterion | None
    actions: tuple[str, ...] = ()
    rule: "DecisionList | None" = None
    abstain: str | None = None
    instead: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True)
class DecisionList:
    """Branches of which the first that holds speaks; the last one always holds."""

    branches: tuple[Branch, ...]

    def walk(self) -> Iterator[Branch]:
        """Yield every branch, nested ones after the one that holds them."""
        for branch in self.branches:
            yield branch
            if branch.rule:
                yield from branch.rule.walk()


@dataclass(frozen=True, slots=True)
class SupportRule:
    """A criterion outside which some actions are not compared."""

    place: str
    actions: frozenset[str]
    when: Criterion
    because: str


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """Linear scores; larger is better here, whatever the document says.

    Attributes:
        forms: action -> exact score, already turned so that larger is better.
        flags: the yes-or-no variables among the terms, which count as 1 or 0.
        margin: scores this close to the best are in equipoise.
    """

    place: str
    forms: Mapping[str, IntegerForm]
    flags: frozenset[str]
    names: frozenset[str]
    margin: Fraction
    support: tuple[SupportRule, ...]
    because: str = ""


Rule = DecisionList | ScoreRule


@dataclass(frozen=True, slots=True)
class Group:
    """Patients whom the data behind the rule counted together."""

    when: Criterion
    n: Mapping[str, int]
    benefit: doc.Benefit | None


@dataclass(frozen=True, slots=True)
class Contrasts:
    """How sure the differences between linear scores are.

    Attributes:
        reference: the action whose score is subtracted from the others.
        rows: ``(action, term) -> row`` of the covariance; the constant's term is ``constant``.
        covariance: lower triangle, row by row, of the coefficients of centred terms.
        centres: variable -> value that is subtracted from it first; 0 where there is none.
    """

    reference: str
    rows: Mapping[tuple[str, str], int]
    covariance: tuple[tuple[float, ...], ...]
    centres: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Estimates:
    """What the data said of patients at a stage.

    Attributes:
        document: the estimates as they are written.
        groups: the first whose criterion holds is the patient's.
        contrasts: the scores' differences, for a rule by scores; None otherwise.
    """

    document: doc.Estimates
    groups: tuple[Group, ...]
    contrasts: Contrasts | None


@dataclass(frozen=True, slots=True)
class Stage:
    """A decision point of the regime."""

    name: str
    title: str
    place: str
    when: Criterion
    choose: tuple[str, ...]
    rule: Rule
    estimates: Estimates | None = None


@dataclass(frozen=True, slots=True)
class Safeguard:
    """Actions removed where ``when`` is not definitely false."""

    place: str
    never: frozenset[str]
    when: Criterion
    because: str


@dataclass(frozen=True, slots=True)
class Derived:
    """A variable computed from others: a criterion or a weighted sum."""

    name: str
    expression: Criterion | IntegerForm
    reads: frozenset[str]
    digits: int
    text: str


@dataclass(frozen=True, eq=False)
class RuleBundle:
    """A regime in one version, checked and ready to decide.

    Attributes:
        digest: ``sha256:...`` of the manifest, which names every file and its own digest.
        derived: in an order in which each reads only what stands before it.
        kinds: every variable's type, derived ones included.
        notes: what is allowed but worth a look, such as a variable that nothing reads.
        read_cases: reads the cases and checks them.
    """

    document: BundleDocument
    digest: str
    manifest: Mapping[str, str]
    kinds: Mapping[str, Kind]
    population: Criterion
    derived: tuple[Derived, ...]
    safeguards: tuple[Safeguard, ...]
    stages: tuple[Stage, ...]
    notes: tuple[str, ...] = ()
    read_cases: Callable[[], CasesDocument | None] = lambda: None

    @cached_property
    def cases(self) -> CasesDocument | None:
        """The authors' cases; None without any. They decide nothing, so serving never reads them.

        Raises:
            RuleBundleError: if they have faults and the bundle was read without looking at them.
        """
        return self.read_cases()

    @property
    def regime(self) -> str:
        """The regime's name."""
        return self.document.regime

    @property
    def version(self) -> str:
        """The version."""
        return self.document.version

    @property
    def identity(self) -> str:
        """``regime@version``."""
        return f"{self.regime}@{self.version}"

    @property
    def actions(self) -> Mapping[str, Action]:
        """The catalogue of actions."""
        return self.document.actions

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Every declared variable."""
        return self.document.variables

    @property
    def base_variables(self) -> Mapping[str, Variable]:
        """The variables that are read from a record, not derived."""
        return {n: v for n, v in self.document.variables.items() if v.source is not None}

    def stage(self, name: str) -> Stage:
        """Return the stage of that name; KeyError if there is none."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)
