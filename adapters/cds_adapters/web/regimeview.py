"""A rule bundle on a page: its description, each stage drawn, and its cases decided."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cds_adapters.web.flow import Drawing, draw
from cds_adapters.web.tryform import query_of
from cds_adapters.web.words import spoken
from cds_engine.bundle.describe import (
    Description,
    RuleRow,
    ScoreTable,
    ScoreTerm,
    StageDescription,
    describe,
)
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.cases import CaseResult, branches_without_case, run_cases
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.value import value_text


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of a decision list.

    Attributes:
        depth: in how many lines it stands.
        leads: where it leads, and in ``barred`` what follows where a safeguard bars that.
    """

    row: RuleRow
    depth: int
    leads: str
    barred: str


@dataclass(frozen=True, slots=True)
class ScoreView:
    """The score of one action as a sum of terms, and for whom it is compared at all."""

    label: str
    name: str
    formula: str
    support: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage in words, as a table and as a drawing; lines or scores, never both."""

    said: StageDescription
    options: tuple[str, ...]
    lines: tuple[LineView, ...]
    scores: tuple[ScoreView, ...]
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

    said: Description
    stages: tuple[StageView, ...]
    cases: tuple[CaseRow, ...]
    failing: int
    untried: tuple[str, ...]


def regime_view(bundle: RuleBundle, as_of: Instant) -> RegimeView:
    """Lay a rule bundle out; its cases are decided at ``as_of``."""
    shown = spoken(bundle)
    said = describe(shown)
    results = run_cases(bundle, as_of)
    return RegimeView(
        said=said,
        stages=tuple(_stage(shown, stage) for stage in said.stages),
        cases=tuple(_case(shown, result) for result in results),
        failing=sum(1 for result in results if result.differences),
        untried=branches_without_case(bundle, results),
    )


def _stage(bundle: RuleBundle, said: StageDescription) -> StageView:
    return StageView(
        said,
        tuple(bundle.actions[name].label for name in said.choose),
        tuple(_line(bundle, row) for row in said.rows),
        tuple(_scores(bundle, said.scores)) if said.scores else (),
        draw(bundle, bundle.stage(said.name)),
    )


def _line(bundle: RuleBundle, row: RuleRow) -> LineView:
    instead = ", else ".join(bundle.actions[name].label for name in row.instead)
    leads = row.leads_to.removesuffix(f"; if barred: {instead}")
    barred = instead or ("no advice" if row.actions else "")
    return LineView(row, row.number.count("."), leads, barred)


def _scores(bundle: RuleBundle, table: ScoreTable) -> Iterator[ScoreView]:
    for action in dict.fromkeys(term.action for term in table.terms):
        conditions = tuple(
            f"{item.words} ({item.because.rstrip('.')})" if item.because else item.words
            for item in table.support
            if action in item.actions
        )
        terms = [term for term in table.terms if term.action == action]
        yield ScoreView(bundle.actions[action].label, action, _formula(terms), conditions)


def _formula(terms: list[ScoreTerm]) -> str:
    """Write a sum as a reader says it: ``100 minus 0.5 times steps``."""
    text = ""
    for term in terms:
        size = term.weight.removeprefix("-")
        if not term.name and size == "0" and len(terms) > 1:
            continue
        amount = f"{size} times {term.label}" if term.name else size
        minus = term.weight.startswith("-")
        sign = ("minus " if minus else "plus ") if text else ("minus " if minus else "")
        text = f"{text} {sign}{amount}".strip()
    return text


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
