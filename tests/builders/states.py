"""States that sit on the edges of a rule bundle: values on and beside thresholds, gaps, spans.

Drawn by a seed, many at once, so that one bundle is tried on thousands of them.
"""

from collections.abc import Mapping, Sequence
from random import Random

from builders.bundles import LABELS

from cds_engine.bundle.model import DecisionList, RuleBundle
from cds_engine.criteria.syntax import Criterion, IntegerForm, Threshold, leaves
from cds_engine.history.value import Finding, History, Known, Missing, MissingReason, Reading
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.value import Scalar, Span, State

INF = float("inf")
Values = dict[str, Scalar | None]


def edges(bundle: RuleBundle) -> dict[str, list[float]]:
    """Return, for each number, the values on and just beside every threshold, and a few more."""
    found: dict[str, set[float]] = {}
    for criterion in all_criteria(bundle):
        for leaf in leaves(criterion):
            if isinstance(leaf, Threshold):
                found.setdefault(leaf.name, set()).add(leaf.bound)
    numbers = {n: k for n, k in bundle.kinds.items() if k.type == "number"}
    return {name: _beside(kind, found.get(name, set())) for name, kind in numbers.items()}


def _beside(kind: Kind, bounds: set[float]) -> list[float]:
    step = 10.0**-kind.digits
    near = {b + shift * step for b in bounds | {0.0, 2.0} for shift in (-1, 0, 1)}
    near |= {1e9, -98765.0} if kind.label == "huge" else set()
    return sorted({round(value, kind.digits) + 0.0 for value in near})


def all_criteria(bundle: RuleBundle) -> list[Criterion]:
    """Return every criterion of a bundle."""
    found = [bundle.population, *(g.when for g in bundle.safeguards)]
    found += [d.expression for d in bundle.derived if not isinstance(d.expression, IntegerForm)]
    for stage in bundle.stages:
        found.append(stage.when)
        if isinstance(stage.rule, DecisionList):
            found += [branch.when for branch in stage.rule.walk() if branch.when]
        else:
            found += [item.when for item in stage.rule.support]
    return found


def draw_states(
    bundle: RuleBundle, seed: int, rows: int, *, missing: float = 0.15, spans: float = 0.03
) -> list[Values]:
    """Draw many states from the edges, with missing values and spans."""
    dice = Random(seed)  # noqa: S311 - test data
    pools = edges(bundle)
    kinds = {name: bundle.kinds[name] for name in bundle.base_variables}
    return [
        {n: draw_value(dice, kind, pools.get(n, []), missing, spans) for n, kind in kinds.items()}
        for _ in range(rows)
    ]


def draw_value(
    dice: Random, kind: Kind, pool: Sequence[float], missing: float, spans: float
) -> Scalar | None:
    """Draw one value of a kind."""
    if dice.random() < missing:
        return None
    if kind.type == "boolean":
        return dice.random() < 0.5
    if kind.type == "label":
        return dice.choice(sorted(kind.labels or LABELS["letter"]))
    value: Scalar = draw_span(dice, kind, pool) if dice.random() < spans else dice.choice(pool)
    return value


def draw_span(dice: Random, kind: Kind, pool: Sequence[float]) -> Span:
    """Draw a span that holds at least one number of the variable's digits between its ends."""
    low, high = sorted((dice.choice(pool), dice.choice(pool)))
    low, high = round(low - 10.0**-kind.digits, kind.digits), high + 10.0**-kind.digits
    low_open, high_open = dice.random() < 0.5, dice.random() < 0.5
    side = dice.random()
    if side < 0.2:
        return Span(-INF, round(high, kind.digits), False, high_open)
    if side < 0.4:
        return Span(low, INF, low_open, False)
    return Span(low, round(high, kind.digits), low_open, high_open)


def completion(
    dice: Random, bundle: RuleBundle, state: State, pools: Mapping[str, Sequence[float]]
) -> Values:
    """Return a state that agrees with another one and knows every value exactly."""
    found: Values = {}
    for name in bundle.base_variables:
        value, kind = state[name], bundle.kinds[name]
        if value is None:
            value = draw_value(dice, kind, pools.get(name, ()), 0, 0)
        elif isinstance(value, Span):
            value = dice.choice(inside(value, kind.digits, pools[name]))
        found[name] = value
    return found


def inside(span: Span, digits: int, pool: Sequence[float]) -> list[float]:
    """Return numbers of a span: its ends, their neighbours and the pool, as far as inside it."""
    step = 10.0**-digits
    finite = [end for end in (span.low, span.high) if abs(end) != INF]
    near = [*pool, *(round(end + shift * step, digits) + 0.0 for end in finite
                     for shift in (-1, 0, 1))]  # fmt: skip
    return sorted({v for v in near if _lies_in(v, span)})


def _lies_in(value: float, span: Span) -> bool:
    above = value > span.low or (value == span.low and not span.low_open)
    below = value < span.high or (value == span.high and not span.high_open)
    return above and below


GAPS: tuple[MissingReason, ...] = (
    "absent", "stale", "unit", "implausible", "conflicting", "incomplete", "unresolved",
)  # fmt: skip


def a_history(
    state: State, as_of: int = 1_700_000_000_000_000, dice: Random | None = None
) -> History:
    """Return a history that holds a state, each value with a source and each gap with a reason."""
    dice = dice or Random(0)  # noqa: S311 - test data
    findings: dict[str, Finding] = {}
    for name, value in state.items():
        start = as_of - dice.randrange(10**12)
        readings = (Reading(f"Observation/{name}", start, start + dice.randrange(10**6)),)
        if value is None:
            last = dice.choice([None, start])
            findings[name] = Missing(dice.choice(GAPS), "why it is missing", readings[:1], last)
        else:
            findings[name] = Known(value, readings, dice.choice(["", "mean of 2 readings"]))
    return History(as_of, findings)
