"""A rule bundle in rows and words that its reviewers can check, nothing left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cds_adapters.web.account import line_numbers
from cds_adapters.web.flow import Drawing, draw
from cds_adapters.web.tryform import query_of
from cds_adapters.web.words import spoken, unit_words
from cds_engine.bundle.document import Aim, Score, Scores
from cds_engine.bundle.model import Branch, DecisionList, RuleBundle, Stage, SupportRule
from cds_engine.criteria.syntax import IntegerForm
from cds_engine.criteria.words import criterion_words
from cds_engine.decide.cases import CaseResult, branches_without_case, run_cases
from cds_engine.vocabulary.time import Instant, parse_duration
from cds_engine.vocabulary.value import number_text, value_text
from cds_engine.vocabulary.variable import Variable

_SOURCES: Mapping[str, str] = {
    "patient.age": "age at the time of the decision",
    "patient.sex": "administrative sex",
    "observation": "measurement",
    "condition": "problem list",
    "allergy": "allergies",
    "medication": "medication",
    "procedure": "procedures",
    "encounter": "encounters",
    "course": "course of this regime",
}
_TAKES: Mapping[str, str] = {
    "latest": "latest value", "earliest": "earliest value", "mean": "mean of all values",
    "min": "lowest value", "max": "highest value", "count": "how many there are",
    "change": "change from the first to the last", "slope": "slope over time",
    "elapsed": "time since the last one", "adherence": "proportion of days covered",
    "present": "whether it is present", "active": "whether it is active now",
    "ever": "whether it ever was", "latest_action": "the last action taken",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class VariableRow:
    """How one variable is defined, in words first."""

    name: str
    label: str
    definition: str
    how: str
    unit: str
    plausible: str
    absent: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LineRow:
    """One line of a decision list.

    Attributes:
        number: 1, 2, 2.1 ...; the depth is how many it is nested in.
        leads: what it advises, or what happens instead.
    """

    number: str
    depth: int
    words: str
    code: str
    leads: str
    actions: tuple[str, ...]
    instead: str
    because: str


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The score of one action as a sum of terms, and for whom it is compared at all."""

    label: str
    name: str
    formula: str
    support: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage in words, as a table and as a drawing; either lines or scores are empty."""

    stage: Stage
    words: str
    options: tuple[tuple[str, str], ...]
    lines: tuple[LineRow, ...]
    scores: tuple[ScoreRow, ...]
    score_words: str
    drawing: Drawing | None


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case: what was given, expected and found, and where to try it."""

    result: CaseResult
    given: tuple[tuple[str, str], ...]
    found: str
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RegimeView:
    """Everything that the page of one version shows."""

    bundle: RuleBundle
    aim: str
    population: str
    variables: tuple[VariableRow, ...]
    safeguards: tuple[tuple[str, str, str, str], ...]
    stages: tuple[StageView, ...]
    cases: tuple[CaseRow, ...]
    failing: int
    untried: tuple[str, ...]


def regime_view(bundle: RuleBundle, as_of: Instant) -> RegimeView:
    """Lay a rule bundle out; its cases are decided at ``as_of``."""
    shown = spoken(bundle)
    results = run_cases(bundle, as_of)
    return RegimeView(
        bundle=bundle,
        aim=aim_words(bundle, bundle.document.aim),
        population=criterion_words(shown.population, shown.kinds),
        variables=tuple(_variable(shown, name) for name in bundle.variables),
        safeguards=tuple(_safeguards(shown)),
        stages=tuple(_stage(shown, stage) for stage in bundle.stages),
        cases=tuple(_case(shown, result) for result in results),
        failing=sum(1 for result in results if result.differences),
        untried=branches_without_case(bundle, results),
    )


def aim_words(bundle: RuleBundle, aim: Aim) -> str:
    """Say what the regime is meant to do: ``lower systolic pressure (mmHg) at 9 months``."""
    kind = bundle.kinds.get(aim.outcome)
    outcome = kind.label if kind else aim.outcome
    unit = f" ({unit_words(aim.unit)})" if aim.unit and unit_words(aim.unit) else ""
    when = f", measured {parse_duration(aim.at).words()} after the start" if aim.at else ""
    return f"{outcome}{unit}: {aim.better} is better{when}"


def population_words(bundle: RuleBundle) -> str:
    """Say for whom the regime is."""
    return criterion_words(bundle.population, spoken(bundle).kinds)


def _variable(bundle: RuleBundle, name: str) -> VariableRow:
    variable, kind = bundle.variables[name], bundle.kinds[name]
    plausible = ""
    if kind.low is not None and kind.high is not None:
        plausible = f"{number_text(kind.low)} to {number_text(kind.high)}"
    absent = {False: "counts as no", "unknown": "stays unknown", None: ""}[variable.absent]
    how = _how(bundle, name, variable)
    unit = kind.unit or {"boolean": "yes or no", "label": "label", "number": ""}[kind.type]
    definition = variable.definition or ""
    return VariableRow(name, kind.label, definition, how, unit, plausible, absent, variable.codes)


def _how(bundle: RuleBundle, name: str, variable: Variable) -> str:
    if variable.source is None:
        derived = next(item for item in bundle.derived if item.name == name)
        if isinstance(derived.expression, IntegerForm):
            return f"computed: {derived.text}"
        return f"computed: {criterion_words(derived.expression, bundle.kinds)}"
    words = _SOURCES[variable.source]
    if variable.aggregate:
        words += f": {_TAKES[variable.aggregate]}"
    if variable.window:
        words += f", within {variable.window.words()}"
    if variable.before:
        words += f", before “{bundle.actions[variable.before].label}” first began"
    return words


def _safeguards(bundle: RuleBundle) -> Iterator[tuple[str, str, str, str]]:
    for guard in bundle.safeguards:
        barred = ", ".join(bundle.actions[action].label for action in sorted(guard.never))
        words = criterion_words(guard.when, bundle.kinds)
        yield barred, words, str(guard.when), guard.because


def _stage(bundle: RuleBundle, stage: Stage) -> StageView:
    options = tuple((bundle.actions[name].label, name) for name in stage.choose)
    words = criterion_words(stage.when, bundle.kinds)
    lines: tuple[LineRow, ...] = ()
    scores: tuple[ScoreRow, ...] = ()
    score_words = ""
    if isinstance(stage.rule, DecisionList):
        numbers = line_numbers(stage.rule)
        lines = tuple(_line(bundle, branch, numbers[branch.place]) for branch in stage.rule.walk())
    else:
        at = bundle.stages.index(stage)
        rule = bundle.document.stages[at].rule
        if not isinstance(rule, Scores):
            raise TypeError(f"{stage.place} was checked as scores but is written as a list")
        support = stage.rule.support
        scores, score_words = tuple(_scores(bundle, rule, support)), _score_words(rule)
    return StageView(stage, words, options, lines, scores, score_words, draw(bundle, stage))


def _line(bundle: RuleBundle, branch: Branch, number: str) -> LineRow:
    words, code = "everybody else", "otherwise"
    if branch.when is not None:
        words, code = criterion_words(branch.when, bundle.kinds), str(branch.when)
    if branch.abstain is not None:
        leads = f"no advice: {branch.abstain.rstrip('.')}"
    elif branch.rule is not None:
        leads = f"go through lines {number}.1 to {number}.{len(branch.rule.branches)}"
    else:
        leads = _labels(bundle, branch.actions)
        leads += ", equally good" if len(branch.actions) > 1 else ""
    return LineRow(
        number, number.count("."), words, code, leads, branch.actions,
        _labels(bundle, branch.instead), branch.because,
    )  # fmt: skip


def _labels(bundle: RuleBundle, names: tuple[str, ...]) -> str:
    return " or ".join(bundle.actions[name].label for name in names)


def _scores(
    bundle: RuleBundle, rule: Scores, support: tuple[SupportRule, ...]
) -> Iterator[ScoreRow]:
    for action, score in rule.scores.items():
        conditions = tuple(
            _with_reason(criterion_words(item.when, bundle.kinds), item.because)
            for item in support
            if action in item.actions
        )
        yield ScoreRow(bundle.actions[action].label, action, _formula(bundle, score), conditions)


def _formula(bundle: RuleBundle, score: Score) -> str:
    constant = float(score.constant)
    text = number_text(constant) if constant or not score.terms else ""
    for name, weight in score.terms.items():
        size = f"{number_text(abs(float(weight)))} times {bundle.kinds[name].label}"
        sign = ("minus " if weight < 0 else "") if not text else ("plus ", "minus ")[weight < 0]
        text = f"{text} {sign}{size}".strip()
    return text


def _with_reason(words: str, because: str) -> str:
    return f"{words} ({because.rstrip('.')})" if because else words


def _score_words(rule: Scores) -> str:
    words = f"The option with the {rule.better.replace('er', 'est')} score is advised"
    if rule.margin:
        unit = f" {unit_words(rule.unit)}" if rule.unit else ""
        words += f"; options within {number_text(float(rule.margin))}{unit} of it are equally good"
    return words + ". A yes counts as 1, a no as 0."


def _case(bundle: RuleBundle, result: CaseResult) -> CaseRow:
    defaults = bundle.cases.defaults if bundle.cases else {}
    given = {**defaults, **result.case.given}
    rows = tuple(
        (bundle.kinds[name].label, f"{value_text(value)} {bundle.kinds[name].unit}".strip())
        for name, value in given.items()
        if value is not None
    )
    found = " or ".join(bundle.actions[name].label for name in result.decision.candidates)
    return CaseRow(result, rows, found, query_of(given, deceased=result.case.deceased))
