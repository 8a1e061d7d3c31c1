"""The benefit is what the data behind a rule said of patients like this one; it decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from cds_engine.bundle.estimates import CONSTANT
from cds_engine.bundle.model import Contrasts, Estimates, RuleBundle, ScoreRule, Stage
from cds_engine.criteria.syntax import IntegerForm
from cds_engine.decide.decision import Decision
from cds_engine.vocabulary.value import Scalar, Span, State


@dataclass(frozen=True, slots=True)
class Benefit:
    """How much better the advised action is expected to do than the best other one.

    Attributes:
        action: the action advised.
        against: the best other action that could be compared; None where no difference is known.
        estimate, low, high: the difference and its interval, above 0 where ``action`` is better;
            None where only numbers of patients are known.
        level: of the interval.
        outcome, unit: what the difference is of.
        similar: action -> how many similar patients took it; empty where no group holds.
        method: how it was estimated.
    """

    action: str
    against: str | None
    estimate: float | None
    low: float | None
    high: float | None
    level: float
    outcome: str
    unit: str
    similar: Mapping[str, int]
    method: str


def benefit_of(bundle: RuleBundle, decision: Decision) -> Benefit | None:
    """Return what the data said of patients like this one; None where the rule was not fitted.

    Only of an advised action: of an equipoise or an abstention there is no benefit to state.
    """
    stage = next((one for one in bundle.stages if one.name == decision.stage), None)
    if stage is None or stage.estimates is None or decision.action is None:
        return None
    state: State = decision.state  # type: ignore[assignment]
    against, ends, similar = _found(stage, stage.estimates, state, decision)
    document = stage.estimates.document
    estimate, low, high = ends
    return Benefit(
        decision.action, against, estimate, low, high, document.level, document.outcome,
        document.unit, similar, document.method,
    )  # fmt: skip


_Ends = tuple[float, float, float] | tuple[None, None, None]
_UNKNOWN: _Ends = (None, None, None)


def _found(
    stage: Stage, estimates: Estimates, state: State, decision: Decision
) -> tuple[str | None, _Ends, Mapping[str, int]]:
    similar: Mapping[str, int] = {}
    against: str | None = None
    ends = _UNKNOWN
    for group in estimates.groups:
        verdict = group.when.evaluate(state, [])
        if verdict is None:
            break  # which group the patient belongs to is open
        if verdict:
            similar = group.n
            stated = group.benefit
            if stated is not None and stated.action == decision.action:
                against = stated.against
                ends = (float(stated.estimate), float(stated.low), float(stated.high))
            break
    if estimates.contrasts is not None and isinstance(stage.rule, ScoreRule):
        other = _best_other(stage.rule, decision, state)
        if other is not None and decision.action is not None:
            against = other
            ends = _contrast(
                stage.rule, estimates.contrasts, decision.action, other, state,
                estimates.document.level,
            )  # fmt: skip
    return against, ends, similar


def _best_other(rule: ScoreRule, decision: Decision, state: State) -> str | None:
    """Return the best action besides the advised one, of those that could be advised at all."""
    judgement = decision.judgement
    barred = {one.action for one in judgement.removed} | set(judgement.unsupported)
    scores = {
        action: total
        for action, form in rule.forms.items()
        if action != decision.action and action not in barred
        and (total := _score(form, state)) is not None
    }  # fmt: skip
    return max(scores, key=scores.__getitem__) if scores else None


def _score(form: IntegerForm, state: State) -> float | None:
    total = form.total(state)
    return None if total is None or isinstance(total, Span) else total / form.divisor


def _contrast(
    rule: ScoreRule, contrasts: Contrasts, action: str, other: str, state: State, level: float
) -> _Ends:  # fmt: skip
    """Return score(action) - score(other) with its interval.

    With x the centred terms' values, the difference is x'b with b = b(action) - b(other), where
    the reference's contrast with itself is 0; its variance is x' Cov(b) x. The terms are centred
    so that nothing large cancels in it. The interval is unknown where rounding leaves it negative.
    """
    scores = _score(rule.forms[action], state), _score(rule.forms[other], state)
    if scores[0] is None or scores[1] is None:
        return _UNKNOWN
    loads = [0.0] * len(contrasts.rows)
    for sign, name in ((1.0, action), (-1.0, other)):
        for (owner, term), row in contrasts.rows.items():
            if owner == name:
                value = 1.0 if term == CONSTANT else _number(state[term])
                loads[row] += sign * (value - contrasts.centres.get(term, 0.0))
    variance = sum(
        (1.0 if i == j else 2.0) * loads[i] * loads[j] * value
        for i, row in enumerate(contrasts.covariance)
        for j, value in enumerate(row)
    )
    estimate = scores[0] - scores[1]
    if variance < 0:
        return _UNKNOWN
    half = NormalDist().inv_cdf(0.5 + level / 2) * sqrt(variance)
    return estimate, estimate - half, estimate + half


def _number(value: Scalar | None) -> float:
    return float(value)  # type: ignore[arg-type]
