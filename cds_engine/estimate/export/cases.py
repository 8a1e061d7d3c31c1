"""Cases are drawn at and around every boundary; what they expect is what the estimator says.

Of what was not learned, such as waiting for the next decision, they record what the written rules
say, so that a later change of them is noticed.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from cds_engine.bundle.model import DecisionList, RuleBundle
from cds_engine.criteria.syntax import Comparison, Criterion, IntegerForm, Threshold, leaves
from cds_engine.decide.scalar import complete, judge
from cds_engine.estimate.export.probe import ABSTAIN, ELSEWHERE, Probe
from cds_engine.vocabulary.value import NONE, number_text

Document = dict[str, Any]
State = Mapping[str, Any]


def cases_of(bundle: RuleBundle, probes: Sequence[Probe]) -> list[Document]:
    """Return the cases of a fitted rule bundle.

    They are the typical patient of every stage, both sides of every boundary and threshold, each
    input gone missing, and a patient for every branch that is not learned.

    Args:
        bundle: as it was read back.
        probes: the estimator's view of every served stage.
    """
    drawn = _Drawn(bundle, probes)
    typical = [(probe, probe.typical()) for probe in probes]
    for probe, state in typical:
        drawn.add(f"{probe.stage}: a typical patient", state)
        for name, below, above in probe.boundaries(state):
            drawn.add(f"{probe.stage}: {name} up to {_text(below[name])}", below)
            drawn.add(f"{probe.stage}: {name} from {_text(above[name])}", above)
    states = [state for _, state in typical]
    for title, state in (*_at_thresholds(bundle, states), *_missing(bundle, states)):
        drawn.add(title, state)
    for title, state in _branches(bundle, states):
        drawn.add(title, state)
    return drawn.cases


class _Drawn:
    """Cases so far; no two of them say the same."""

    def __init__(self, bundle: RuleBundle, probes: Sequence[Probe]) -> None:
        self.bundle = bundle
        self.probes = probes
        self.cases: list[Document] = []
        self._titles: set[str] = set()
        self._states: list[State] = []

    def add(self, title: str, state: State) -> None:
        """Add one case, unless its title or its values are there already."""
        if title in self._titles or state in self._states:
            return
        self._titles.add(title)
        self._states.append(dict(state))
        given = {name: value for name, value in state.items() if name in self.bundle.base_variables}
        expect = self._expected(given)
        self.cases.append({"case": title, "given": given, "expect": expect})

    def _expected(self, state: State) -> Document:
        if None not in state.values():
            for probe in self.probes:
                if not set(probe.h.columns) & set(self.bundle.base_variables) <= set(state):
                    continue  # a patient of another stage, of whom this one's history is not known
                [wanted] = probe.answers([state])
                if wanted != ELSEWHERE:
                    return self._learned(probe.stage, wanted)
        found = judge(self.bundle, complete(self.bundle, state))
        expect: Document = {"outcome": found.outcome}
        expect |= {"stage": found.stage} if found.stage else {}
        expect |= {"action": found.action} if found.action else {}
        return expect | ({"reason": found.code} if found.code else {})

    def _learned(self, stage: str, wanted: frozenset[str]) -> Document:
        if wanted == ABSTAIN:
            return {"outcome": "abstention", "stage": stage}
        if len(wanted) > 1:
            options = next(one.choose for one in self.bundle.stages if one.name == stage)
            return {"outcome": "equipoise", "stage": stage,
                    "candidates": [action for action in options if action in wanted]}  # fmt: skip
        [action] = wanted
        outcome = "recommendation" if self.bundle.actions[action].change else "no_change"
        return {"outcome": outcome, "stage": stage, "action": action}


def _criteria(bundle: RuleBundle) -> Iterator[Criterion]:
    yield bundle.population
    yield from (guard.when for guard in bundle.safeguards)
    yield from (d.expression for d in bundle.derived if not isinstance(d.expression, IntegerForm))
    for stage in bundle.stages:
        yield stage.when
        if isinstance(stage.rule, DecisionList):
            yield from (branch.when for branch in stage.rule.walk() if branch.when)


def _thresholds(bundle: RuleBundle) -> list[tuple[str, float]]:
    """Return each variable with the number it is compared with, and the nearest one beyond."""
    found: dict[tuple[str, float], None] = {}
    for criterion in _criteria(bundle):
        for leaf in leaves(criterion):
            if isinstance(leaf, Threshold):
                step = 10.0 ** -bundle.kinds[leaf.name].digits
                sign = -1 if leaf.op in {">=", "<"} else 1
                beyond = round(leaf.bound + sign * step, bundle.kinds[leaf.name].digits)
                found |= {(leaf.name, leaf.bound): None, (leaf.name, beyond): None}
    return list(found)


def _at_thresholds(
    bundle: RuleBundle, states: Sequence[State]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, value in _thresholds(bundle):
        if name not in bundle.base_variables:
            continue
        kind = bundle.kinds[name]
        if not (kind.low is None or kind.low <= value) or not (
            kind.high is None or value <= kind.high
        ):
            continue  # nobody can have it: it would not be believed
        base = next((state for state in states if name in state), states[0])
        yield f"{name} is {_text(value)}", {**base, name: value}


def _missing(bundle: RuleBundle, states: Sequence[State]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in bundle.base_variables:
        base = next((state for state in states if name in state), states[0])
        yield f"{name} is missing", {**base, name: None}


def _branches(bundle: RuleBundle, states: Sequence[State]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a patient for every branch, by trying what the criteria speak of."""
    left = {
        branch.place: (stage.name, branch)
        for stage in bundle.stages
        if isinstance(stage.rule, DecisionList)
        for branch in stage.rule.walk()
        if branch.rule is None
    }
    for state in _tried(bundle, states):
        found = judge(bundle, complete(bundle, state))
        if found.place in left:
            stage, _ = left.pop(found.place)
            yield f"{stage}: {found.place.rsplit('.', 1)[-1]} speaks", state
        if not left:
            return


def _tried(bundle: RuleBundle, states: Sequence[State]) -> Iterator[dict[str, Any]]:
    """Yield patients: each typical one with labels and up to two numbers moved."""
    labels = [NONE, *(a for a in bundle.actions if bundle.actions[a].change)]
    moves = [(name, value) for name, value in _thresholds(bundle) if name in bundle.base_variables]
    courses = [n for n, v in bundle.variables.items() if v.take == "latest_action"]
    for state in states:
        doubled = [(n, 2 * state[n]) for n in _compared(bundle) if isinstance(state.get(n), float)]
        for label in labels if courses else [NONE]:
            base = {**state, **dict.fromkeys(courses, label)}
            yield base
            for name, value in [*moves, *doubled]:
                yield {**base, name: value}
            for (one, first), (other, second) in product(moves, moves):
                if one < other:
                    yield {**base, one: first, other: second}


def _compared(bundle: RuleBundle) -> list[str]:
    """Return the variables that criteria compare with each other."""
    every = (leaf for criterion in _criteria(bundle) for leaf in leaves(criterion))
    names = {n for leaf in every if isinstance(leaf, Comparison) for n in leaf.names()}
    return [name for name in bundle.base_variables if name in names]


def _text(value: object) -> str:
    return number_text(float(value)) if isinstance(value, int | float) else str(value)
