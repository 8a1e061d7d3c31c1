"""The plain evaluator of one history is the referee: whatever else decides must agree with it.

Missing data never falls through. A decision list is walked up to the first branch that is true,
and the branches that are unknown on the way stay possible; only if all that is possible comes to
the same answer is it given.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import isinf

from cds_engine.bundle.document import Outcome
from cds_engine.bundle.model import (
    Branch,
    DecisionList,
    RuleBundle,
    Safeguard,
    ScoreRule,
    Stage,
)
from cds_engine.criteria.syntax import Criterion, IntegerForm, Verdict
from cds_engine.decide.decision import Judgement, ReasonCode, Removed, Role, Step
from cds_engine.vocabulary.rounding import rounded
from cds_engine.vocabulary.value import Scalar, Span, State

_Values = dict[str, Scalar | None]
Exact = Fraction | float
"""An exact number, or an infinity."""

_Step = tuple[Role, str, Criterion | None, Verdict, int, int]
"""A step of a walk, still without names for its parts."""


def complete(bundle: RuleBundle, base: State) -> _Values:
    """Return the state with every derived variable added.

    Args:
        bundle: says how to derive.
        base: the value of every variable that is not derived; one left out is missing.
    """
    state: _Values = dict.fromkeys(bundle.kinds)
    if base.keys() <= state.keys():
        state.update(base)
    else:
        state = {name: base.get(name) for name in state}
    for derived in bundle.derived:
        if isinstance(derived.expression, IntegerForm):
            total = derived.expression.total(state)
            state[derived.name] = _in_units(total, derived.expression.divisor, derived.digits)
        else:
            state[derived.name] = derived.expression.evaluate(state, [])
    return state


def judge(bundle: RuleBundle, state: State, *, deceased: bool = False) -> Judgement:
    """Return what the rule bundle says of a completed state.

    The same state always gives the same judgement: nothing else is looked at.
    """
    if deceased:
        return Judgement("not_applicable", "deceased")
    return _Walk(bundle, state).judge()


def _in_units(total: int | Span | None, divisor: int, digits: int) -> float | Span | None:
    if total is None:
        return None
    if isinstance(total, Span):
        low, high = (rounded(end / divisor, digits) for end in (total.low, total.high))
        # rounding may bring a number just inside an open end onto it, unless nothing is rounded
        whole = 10**digits % divisor == 0
        return Span(low, high, total.low_open and whole, total.high_open and whole)
    # int / int is correctly rounded, so the value is the float nearest to the exact quotient
    return rounded(total / divisor, digits)


_Answer = tuple[tuple[str, ...], ReasonCode | None, str]
"""What a possible branch comes to once safeguards have spoken: actions or a code, and its place."""


class _Walked(Judgement):
    """A judgement that names the parts of its steps when somebody asks.

    A walk takes a step at every branch. Naming its parts takes as long as the step itself, and
    those who decide thousands of histories to count what is advised never ask.
    """

    __slots__ = ("path",)
    path: Sequence[_Step]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The path, step by step."""
        return tuple(map(Step._make, self.path))

    @steps.setter
    def steps(self, path: Sequence[_Step]) -> None:
        self.path = path


class _Walk:
    """One walk through a rule bundle for one state, remembering each step."""

    __slots__ = ("bundle", "leaves", "path", "state", "unknown")

    def __init__(self, bundle: RuleBundle, state: State) -> None:
        self.bundle = bundle
        self.state = state
        self.path: list[_Step] = []
        self.leaves: list[tuple[Criterion, Verdict]] = []
        self.unknown: list[Criterion] = []

    def judge(self) -> Judgement:
        inside = self.check("population", "population", self.bundle.population)
        if inside is False:
            return self.result("not_applicable", "out-of-population")
        if inside is None:
            return self.result("abstention", "missing")
        fitting = [s for s in self.bundle.stages if self.check("stage", s.place, s.when)]
        if self.unknown:
            return self.result("abstention", "missing")
        if len(fitting) != 1:
            return self.result("abstention", "several-stages" if fitting else "no-stage")
        return self.at_stage(fitting[0])

    def at_stage(self, stage: Stage) -> Judgement:
        removed = self.removed(stage)
        if isinstance(stage.rule, DecisionList):
            found = self.by_list(stage, stage.rule, removed)
        else:
            found = self.by_scores(stage, stage.rule, removed)
        found.stage = stage.name
        found.removed = tuple(removed.values())
        return found

    def check(self, role: Role, place: str, criterion: Criterion) -> Verdict:
        """Evaluate one criterion and remember it."""
        first = len(self.leaves)
        verdict = criterion.evaluate(self.state, self.leaves)
        self.path.append((role, place, criterion, verdict, first, len(self.leaves)))
        if verdict is None:
            self.unknown.append(criterion)
        return verdict

    def removed(self, stage: Stage) -> dict[str, Removed]:
        """Return the actions that a safeguard removes: one that is not definitely false does."""
        removed: dict[str, Removed] = {}
        for guard in self.bundle.safeguards:
            if guard.never.isdisjoint(stage.choose):
                continue
            before = len(self.unknown)
            verdict = self.check("safeguard", guard.place, guard.when)
            del self.unknown[before:]  # a removal is certain; only its cause may be unknown
            if verdict is not False:
                self.remove(guard, stage, removed, certain=verdict is True)
        return removed

    def remove(
        self, guard: Safeguard, stage: Stage, removed: dict[str, Removed], *, certain: bool
    ) -> None:
        for action in stage.choose:
            if action in guard.never and (action not in removed or not removed[action].certain):
                removed[action] = Removed(action, guard.place, guard.because, certain)

    def by_list(
        self, stage: Stage, rule: DecisionList, removed: Mapping[str, Removed]
    ) -> Judgement:
        possible: list[Branch] = []
        self.collect(rule, possible)
        answers = [self.answer(branch, removed) for branch in possible]
        # the last one is of the branch that certainly speaks, so that its words are true
        actions, code, place = answers[-1]
        for other, other_code, _ in answers:
            if other != actions or other_code != code:
                union = {action for each, _, _ in answers for action in each}
                candidates = tuple([action for action in stage.choose if action in union])
                return self.result("abstention", "missing", candidates)
        if code:
            return self.result("abstention", code, actions, place)
        return self.advise(actions, place)

    def collect(self, rule: DecisionList, possible: list[Branch]) -> None:
        """Gather the branches that may speak, up to the first that certainly does."""
        state, leaves, remember = self.state, self.leaves, self.path.append
        last = len(leaves)
        for branch in rule.branches:
            when, first = branch.when, last
            verdict = True if when is None else when.evaluate(state, leaves)
            last = len(leaves)
            remember(("branch", branch.place, when, verdict, first, last))
            if verdict is False:
                continue
            if when is not None and verdict is None:
                self.unknown.append(when)
            if branch.rule is None:
                possible.append(branch)
            else:
                self.collect(branch.rule, possible)
                last = len(leaves)
            if verdict is True:
                return

    def answer(self, branch: Branch, removed: Mapping[str, Removed]) -> _Answer:
        """Return what a branch advises: its actions, else what it says instead, else nothing."""
        if branch.abstain is not None:
            return (), "rule-abstains", branch.place
        if not removed:
            return branch.actions, None, branch.place
        kept = tuple([action for action in branch.actions if action not in removed])
        if kept:
            return kept, None, branch.place
        other = next((action for action in branch.instead if action not in removed), None)
        if other is not None:
            return (other,), None, branch.place
        return (), "safeguard", branch.place

    def by_scores(self, stage: Stage, rule: ScoreRule, removed: Mapping[str, Removed]) -> Judgement:
        feasible = [a for a in stage.choose if not (a in removed and removed[a].certain)]
        outside = {
            action
            for item in rule.support
            if self.check("support", item.place, item.when) is False
            for action in item.actions
        }
        compared = tuple(action for action in feasible if action not in outside)
        unsupported = tuple(action for action in feasible if action in outside)
        if self.unknown:
            return self.result("abstention", "missing", compared)
        if not feasible:
            return self.result("abstention", "safeguard", (), rule.place)
        if not compared or (unsupported and len(compared) < 2):
            found = self.result("abstention", "positivity-unsupported", compared, rule.place)
        else:
            found = self.best(rule, compared, removed)
        found.unsupported = unsupported
        return found

    def best(
        self, rule: ScoreRule, compared: tuple[str, ...], removed: Mapping[str, Removed]
    ) -> Judgement:
        """Return the best of the compared actions, or those within the margin of it."""
        chosen = compared if len(compared) == 1 else best_scores(rule, compared, self.state)
        if chosen is None:
            found = self.result("abstention", "missing", compared, rule.place)
            terms = {name for action in compared for name, _, _ in rule.forms[action].terms}
            found.undecided = missing_inputs(self.bundle, terms, self.state)
            return found
        kept = tuple(action for action in chosen if action not in removed)
        if len(kept) < len(chosen):
            return self.result("abstention", "safeguard", chosen, rule.place)
        return self.advise(kept, rule.place)

    def advise(self, actions: tuple[str, ...], place: str) -> Judgement:
        if len(actions) > 1:
            return self.result("equipoise", None, actions, place)
        change = self.bundle.actions[actions[0]].change
        found = self.result("recommendation" if change else "no_change", None, actions, place)
        found.action = actions[0]
        return found

    def result(
        self,
        outcome: Outcome,
        code: ReasonCode | None,
        candidates: tuple[str, ...] = (),
        place: str = "",
    ) -> Judgement:
        found = _Walked(outcome, code)
        found.candidates = candidates
        found.place = place
        found.path = self.path
        found.leaves = self.leaves
        if outcome == "abstention" and self.unknown:
            names = frozenset().union(*[criterion.names() for criterion in self.unknown])
            found.undecided = missing_inputs(self.bundle, names, self.state)
        return found


def best_scores(rule: ScoreRule, compared: tuple[str, ...], state: State) -> tuple[str, ...] | None:
    """Return the actions whose exact score is best or within the margin of it.

    None where a missing input, or a span that holds several winners, leaves it open.
    """
    bounds: dict[str, tuple[Exact, Exact]] = {}
    for action in compared:
        form = rule.forms[action]
        total = form.total(state)
        if total is None:
            return None
        bounds[action] = _ends(total, form.divisor)
    top = max(low for low, _ in bounds.values())
    near = tuple(a for a in compared if bounds[a][1] >= top - rule.margin)
    exact = all(low == high for low, high in bounds.values())
    return near if exact or len(near) == 1 else None


def _ends(total: int | Span, divisor: int) -> tuple[Exact, Exact]:
    if isinstance(total, Span):
        return _exact(total.low, divisor), _exact(total.high, divisor)
    exact = Fraction(total, divisor)
    return exact, exact


def _exact(end: float, divisor: int) -> Exact:
    return end if isinf(end) else Fraction(int(end), divisor)


def missing_inputs(bundle: RuleBundle, names: Iterable[str], state: State) -> tuple[str, ...]:
    """Return the inputs behind some names that are missing or known only as a span.

    A derived variable is traced to what it reads.
    """
    reads = {derived.name: derived.reads for derived in bundle.derived}
    open_names: set[str] = set()
    layer = set(names)
    while layer:
        new = {n for n in layer if (v := state.get(n)) is None or type(v) is Span} - open_names
        open_names |= new
        layer = {read for name in new if name in reads for read in reads[name]}
    return tuple([name for name in bundle.kinds if name in open_names and name not in reads])
