"""A rule bundle in words and rows that a committee can check, nothing left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cds_engine.bundle.document import About, Scores
from cds_engine.bundle.model import Branch, DecisionList, RuleBundle, Safeguard, Stage
from cds_engine.criteria.syntax import Criterion, IntegerForm
from cds_engine.criteria.words import criterion_words
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.time import parse_duration
from cds_engine.vocabulary.units import unit_words
from cds_engine.vocabulary.value import number_text
from cds_engine.vocabulary.variable import Variable


@dataclass(frozen=True, slots=True)
class VariableRow:
    """One variable.

    Attributes:
        source: where it is read from, in words; ``computed`` for a derived one.
        taken: how several records become one value, or the expression in words.
        expression: the text of a derived variable; empty for others.
        unit: the UCUM code of a number, else ``yes or no`` or the labels it can have.
        other_units: accepted units that are converted.
        plausible: the believable range, empty where there is none.
        missing: what it means that there is no record.
    """

    name: str
    label: str
    definition: str
    source: str
    taken: str
    expression: str
    codes: tuple[str, ...]
    unit: str
    other_units: tuple[str, ...]
    plausible: str
    missing: str


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One treatment option; ``order`` is what would be ordered, empty where nothing is."""

    name: str
    label: str
    kind: str
    change: bool
    order: str
    seen_as: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class SafeguardRow:
    """Who must never be advised what; ``text`` is the criterion as it is written."""

    place: str
    actions: tuple[str, ...]
    text: str
    words: str
    because: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One line of a decision list.

    Attributes:
        number: 1, 2, 2.1 and so on; nested lines carry the number of the line that holds them.
        text, words: the criterion as it is written, and in words.
        leads_to: what follows where the line speaks, in words.
        actions, instead: names of the actions advised, and of those where one of them is barred.
    """

    number: str
    place: str
    text: str
    words: str
    leads_to: str
    actions: tuple[str, ...]
    instead: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class ScoreTerm:
    """One term of a score: how much one unit of a variable adds for one action."""

    action: str
    name: str
    label: str
    unit: str
    weight: str


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """A rule by scores: terms (a constant has no name), how they are compared, and for whom."""

    words: str
    terms: tuple[ScoreTerm, ...]
    support: tuple[SafeguardRow, ...]
    because: str


@dataclass(frozen=True, slots=True)
class StageDescription:
    """One stage: who is at it, what can be chosen, and the rule as rows or as scores."""

    name: str
    title: str
    place: str
    text: str
    words: str
    choose: tuple[str, ...]
    rows: tuple[RuleRow, ...]
    scores: ScoreTable | None


@dataclass(frozen=True, slots=True)
class Description:
    """A whole rule bundle in words.

    Attributes:
        about: pairs of a field's name in words and what it says.
        dates: pairs likewise; only those that are given.
        cases: how many cases the authors give.
    """

    regime: str
    version: str
    title: str
    description: str
    aim: str
    population_text: str
    population: str
    about: tuple[tuple[str, str], ...]
    dates: tuple[tuple[str, str], ...]
    variables: tuple[VariableRow, ...]
    actions: tuple[ActionRow, ...]
    safeguards: tuple[SafeguardRow, ...]
    stages: tuple[StageDescription, ...]
    cases: int


def describe(bundle: RuleBundle) -> Description:
    """Say everything that a rule bundle says, in words and rows."""
    document = bundle.document
    dates = {
        "in force from": document.effective_from,
        "review by": document.review_by,
        "expires after": document.expires,
    }
    return Description(
        regime=bundle.regime,
        version=bundle.version,
        title=document.title,
        description=document.description or "",
        aim=aim_words(bundle),
        population_text=str(bundle.population),
        population=criterion_words(bundle.population, bundle.kinds),
        about=tuple(_about(document.about)),
        dates=tuple((name, day) for name, day in dates.items() if day),
        variables=tuple(variable_row(bundle, name) for name in bundle.variables),
        actions=tuple(_action(name, action) for name, action in bundle.actions.items()),
        safeguards=tuple(_safeguard(bundle, guard) for guard in bundle.safeguards),
        stages=tuple(stage_description(bundle, stage) for stage in bundle.stages),
        cases=len(bundle.cases.cases) if bundle.cases else 0,
    )


def aim_words(bundle: RuleBundle) -> str:
    """Say what is optimised and when, counted from what the aim counts from.

    As ``lower systolic blood pressure (mmHg), 9 months after the decision``.
    """
    aim = bundle.document.aim
    kind = bundle.kinds.get(aim.outcome)
    unit = unit_words(aim.unit or (kind.unit if kind else ""))
    outcome = uncapitalised(kind.label if kind else aim.outcome)
    words = f"{aim.better} {outcome}{f' ({unit})' if unit else ''}"
    when = f", {parse_duration(aim.at).words()} after the {aim.counts_from}" if aim.at else ""
    return f"{words}{when}{f'. {aim.because}' if aim.because else ''}"


def uncapitalised(label: str) -> str:
    """Write a label as it stands inside a sentence; BMI and its like keep their letters."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def _about(about: About | None) -> Iterator[tuple[str, str]]:
    if about is None:
        return
    for field in type(about).model_fields:
        found = getattr(about, field)
        for text in found if isinstance(found, tuple) else filter(None, [found]):
            yield field.replace("_", " "), text


_SOURCES: Mapping[str, str] = {
    "patient.age": "date of birth",
    "patient.sex": "administrative sex",
    "observation": "measurements and answers",
    "condition": "problem list",
    "allergy": "allergies and intolerances",
    "medication": "medications",
    "procedure": "procedures and services",
    "encounter": "encounters",
    "course": "steps of this regime",
}

_TAKEN: Mapping[tuple[str, str], str] = {
    ("condition", "present"): "whether it is there and not over",
    ("allergy", "present"): "whether it is there and not over",
    ("medication", "active"): "whether a prescription is in force",
    ("medication", "adherence"): "share of days covered by the supply",
    ("course", "latest_action"): "the latest step that began",
    ("course", "elapsed"): "time since the latest step began",
    ("course", "count"): "how many steps began",
}

_TAKES: Mapping[str, str] = {
    "latest": "the latest",
    "earliest": "the earliest",
    "mean": "the mean",
    "min": "the lowest",
    "max": "the highest",
    "count": "how many there are",
    "change": "the change from the first to the last",
    "slope": "the slope over time",
    "elapsed": "time since the last",
    "ever": "whether there ever was one",
}


def variable_row(bundle: RuleBundle, name: str) -> VariableRow:
    """Describe one variable."""
    variable, kind = bundle.variables[name], bundle.kinds[name]
    ends = (kind.low, kind.high)
    low, high = (number_text(float(end)) if end is not None else "" for end in ends)
    return VariableRow(
        name=name,
        label=kind.label,
        definition=variable.definition or "",
        source=_SOURCES[variable.source] if variable.source else "computed",
        taken=_taken(bundle, name, variable),
        expression=next((d.text for d in bundle.derived if d.name == name), ""),
        codes=variable.codes,
        unit=_unit(kind),
        other_units=tuple(variable.units),
        plausible=f"{low} to {high}" if low and high else "",
        missing=_missing(variable),
    )


def _taken(bundle: RuleBundle, name: str, variable: Variable) -> str:
    if variable.source is None:
        derived = next(item for item in bundle.derived if item.name == name)
        if isinstance(derived.expression, IntegerForm):
            return derived.text
        return criterion_words(derived.expression, bundle.kinds)
    take = variable.aggregate
    if take is None:
        return "completed units of age" if variable.source == "patient.age" else "as recorded"
    words = _TAKEN.get((variable.source, take)) or _TAKES[take]
    window = variable.window
    if variable.before:
        began = f"`{bundle.actions[variable.before].label}` first began"
        return f"{words} of {window.words() if window else 'all time'} up to when {began}"
    return f"{words} of the last {window.words()}" if window else words


def _unit(kind: Kind) -> str:
    match kind.type:
        case "boolean":
            return "yes or no"
        case "label":
            return " or ".join(sorted(kind.labels)) if kind.labels else "a label"
        case _:
            return kind.unit


def _missing(variable: Variable) -> str:
    if variable.source is None:
        return "unknown where what it is computed from leaves it open"
    if variable.absent is False:
        return "no record means no, if the search was complete"
    if variable.source == "course" and variable.is_label:
        return "no record means that no step began, if the search was complete"
    if variable.aggregate == "count":
        return "no record means none, if the search was complete"
    return "no record means unknown"


def _action(name: str, action: Action) -> ActionRow:
    order = ""
    if action.order:
        parts = (action.order.text or action.label, action.order.dosage)
        order = f"{action.order.resource} {action.order.code}: {'; '.join(filter(None, parts))}"
    return ActionRow(
        name, action.label, action.kind or "", action.change, order, action.seen_as,
        action.because or "",
    )  # fmt: skip


def _safeguard(bundle: RuleBundle, guard: Safeguard) -> SafeguardRow:
    barred = tuple(name for name in bundle.actions if name in guard.never)
    return _guarded(bundle, guard.place, barred, guard.when, guard.because)


def _guarded(
    bundle: RuleBundle, place: str, actions: tuple[str, ...], when: Criterion, because: str
) -> SafeguardRow:
    return SafeguardRow(place, actions, str(when), criterion_words(when, bundle.kinds), because)


def stage_description(bundle: RuleBundle, stage: Stage) -> StageDescription:
    """Describe one stage."""
    rows: tuple[RuleRow, ...] = ()
    scores = None
    if isinstance(stage.rule, DecisionList):
        rows = tuple(_rows(bundle, stage.rule, ""))
    else:
        scores = _score_table(bundle, stage)
    words = criterion_words(stage.when, bundle.kinds)
    return StageDescription(
        stage.name, stage.title, stage.place, str(stage.when), words, stage.choose, rows, scores
    )


def _rows(bundle: RuleBundle, rule: DecisionList, prefix: str) -> Iterator[RuleRow]:
    for at, branch in enumerate(rule.branches, start=1):
        number = f"{prefix}{at}"
        text, words = "otherwise", "everybody else"
        if branch.when is not None:
            text, words = str(branch.when), criterion_words(branch.when, bundle.kinds)
        yield RuleRow(
            number, branch.place, text, words, _leads_to(bundle, branch, number), branch.actions,
            branch.instead, branch.because,
        )  # fmt: skip
        if branch.rule:
            yield from _rows(bundle, branch.rule, f"{number}.")


def _leads_to(bundle: RuleBundle, branch: Branch, number: str) -> str:
    if branch.abstain is not None:
        return f"no advice: {branch.abstain}"
    if branch.rule is not None:
        return f"lines {number}.1 to {number}.{len(branch.rule.branches)}"
    words = " or ".join(bundle.actions[name].label for name in branch.actions)
    if len(branch.actions) > 1:
        words += ", equally good"
    if branch.instead:
        others = ", else ".join(bundle.actions[name].label for name in branch.instead)
        words += f"; if barred: {others}"
    return words


def _score_table(bundle: RuleBundle, stage: Stage) -> ScoreTable:
    written = bundle.document.stages[bundle.stages.index(stage)].rule
    if not isinstance(written, Scores) or isinstance(stage.rule, DecisionList):
        raise TypeError(f"{stage.place} is a list, not a table of scores")
    best = "highest" if written.better == "higher" else "lowest"
    words = f"the option with the {best} score"
    if written.margin:
        unit = f" {unit_words(written.unit)}" if written.unit else ""
        words += f"; those within {number_text(float(written.margin))}{unit} of it are equally good"
    support = tuple(
        _guarded(
            bundle, item.place, tuple(a for a in stage.choose if a in item.actions), item.when,
            item.because,
        )
        for item in stage.rule.support
    )  # fmt: skip
    return ScoreTable(words, tuple(_terms(bundle, written)), support, written.because or "")


def _terms(bundle: RuleBundle, written: Scores) -> Iterator[ScoreTerm]:
    for action, score in written.scores.items():
        yield ScoreTerm(action, "", "constant", "", number_text(float(score.constant)))
        for name, weight in score.terms.items():
            kind = bundle.kinds[name]
            unit = kind.unit if kind.type == "number" else "if yes"
            yield ScoreTerm(action, name, kind.label, unit, number_text(float(weight)))
