"""An engine decides many points of many records at once; the plain one asks the regime."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decision import Decision
from cds_engine.decide.regime import Regime
from cds_engine.history.value import History, Missing
from cds_engine.replay.outcome import KNOWN, RANGE
from cds_engine.replay.points import Patient, Point, record_at
from cds_engine.vocabulary.value import Scalar, Span

UNKNOWN = "unknown"
"""The state of a derived variable that its own inputs leave open."""


class Asked(NamedTuple):
    """One question: the place of the patient among those given, and the point."""

    patient: int
    point: Point


@dataclass(slots=True)
class Decided:
    """The answers to a list of questions, a row each.

    Attributes:
        values: every variable, derived ones included -> its value; None where it is missing or
            known only as a range.
        states: every variable -> ``known``, ``range``, ``unknown`` (derived) or why it is missing.
        outcome: one of the five outcomes.
        code: why there is no advice; None where there is.
        candidates: the actions that remain possible, are equally good, or the one advised.
        reasons: every reason, ``code:variable`` where it is about one, else ``code``.
    """

    values: dict[str, list[Scalar | None]]
    states: dict[str, list[str]]
    outcome: list[str] = field(default_factory=list)
    code: list[str | None] = field(default_factory=list)
    stage: list[str | None] = field(default_factory=list)
    action: list[str | None] = field(default_factory=list)
    candidates: list[tuple[str, ...]] = field(default_factory=list)
    reasons: list[tuple[str, ...]] = field(default_factory=list)

    @classmethod
    def none_yet(cls, bundle: RuleBundle) -> "Decided":
        """Return the answers to no question."""
        return cls({name: [] for name in bundle.variables}, {name: [] for name in bundle.variables})

    def add(self, history: History, decision: Decision) -> None:
        """Add one row."""
        for name, value in decision.state.items():
            known = isinstance(value, float | bool | str)
            self.values[name].append(value if known else None)  # type: ignore[arg-type]
            self.states[name].append(state_of(name, value, history))
        self.outcome.append(decision.outcome)
        self.code.append(decision.judgement.code)
        self.stage.append(decision.stage)
        self.action.append(decision.action)
        self.candidates.append(decision.candidates)
        self.reasons.append(reasons_of(decision))

    def row(self, number: int) -> tuple[object, ...]:
        """Return everything that is said of one row, for comparison."""
        said = (self.outcome, self.code, self.stage, self.action, self.candidates, self.reasons)
        values = tuple((n, v[number], self.states[n][number]) for n, v in self.values.items())
        return (*(column[number] for column in said), *values)


class HistoryEngine(Protocol):
    """Takes histories and decides them."""

    def decide(
        self, bundle: RuleBundle, patients: Sequence[Patient], asked: Sequence[Asked]
    ) -> Decided:
        """Answer every question exactly as ``Regime.decide`` does, in the order asked.

        The history of a point is that of ``record_at(record, point)`` as of ``point.as_of``.
        """


class ScalarEngine:
    """Asks the regime point by point: the referee, as it serves."""

    def decide(
        self, bundle: RuleBundle, patients: Sequence[Patient], asked: Sequence[Asked]
    ) -> Decided:
        """Answer every question."""
        regime = Regime(bundle)
        decided = Decided.none_yet(bundle)
        for place, point in asked:
            record = record_at(patients[place].record, point)
            decided.add(*regime.decide(record, point.as_of))
        return decided


def state_of(name: str, value: object, history: History) -> str:
    """Return the state of one variable, as the table holds it."""
    if isinstance(value, Span):
        return RANGE
    if value is not None:
        return KNOWN
    finding = history.findings.get(name)
    return finding.reason if isinstance(finding, Missing) else UNKNOWN


def reasons_of(decision: Decision) -> tuple[str, ...]:
    """Return every reason of a decision, with the variables that it is about."""
    return tuple(
        f"{reason.code}:{name}" if name else reason.code
        for reason in decision.reasons
        for name in (reason.variables or ("",))
    )
