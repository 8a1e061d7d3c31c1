"""Two rules compared branch by branch, so that a moved threshold is seen as just that."""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from cds_engine.bundle.change import Change, field_changes, out_of_order, paired, shown
from cds_engine.bundle.document import Score, Scores
from cds_engine.bundle.model import Branch, DecisionList, RuleBundle, Stage
from cds_engine.criteria.syntax import Criterion, Threshold, leaves
from cds_engine.criteria.words import criterion_words
from cds_engine.vocabulary.value import number_text


class Guard(NamedTuple):
    """A criterion over some actions: a safeguard, or the support of scores."""

    place: str
    actions: tuple[str, ...]
    when: Criterion
    because: str


class Comparison:
    """Compares the rules of two versions of a regime."""

    def __init__(self, old: RuleBundle, new: RuleBundle) -> None:
        self.old = old
        self.new = new

    def criterion(
        self, place: str, what: str, before: Criterion, after: Criterion
    ) -> Iterator[Change]:
        """Compare two criteria; where only numbers differ, say which thresholds moved."""
        if str(before) == str(after):
            return
        moved = moved_thresholds(before, after)
        for earlier, later in moved:
            label = self.new.kinds[later.name].label
            amounts = _amount(self.old, earlier), _amount(self.new, later)
            yield Change(place, "changed", f"{what}: threshold of {label}", *amounts)
        if not moved:
            said = (
                criterion_words(before, self.old.kinds),
                criterion_words(after, self.new.kinds),
            )
            yield Change(place, "changed", f"{what}: criterion", *said)

    def guards(
        self, what: str, before: Sequence[Guard], after: Sequence[Guard]
    ) -> Iterator[Change]:
        """Compare safeguards, or what scores need to be compared at all."""
        like = (lambda guard: str(guard.when), lambda guard: guard.actions)
        for earlier, later in paired(before, after, _guard_signature, like):
            if later is None:
                if earlier is not None:
                    words = _guard_words(self.old, earlier)
                    yield Change(earlier.place, "removed", what, words, "")
            elif earlier is None:
                yield Change(later.place, "added", what, "", _guard_words(self.new, later))
            else:
                yield from self._guard(what, earlier, later)

    def _guard(self, what: str, before: Guard, after: Guard) -> Iterator[Change]:
        place = after.place
        yield from field_changes(place, f"{what}: actions", before.actions, after.actions)
        yield from self.criterion(f"{place}.when", what, before.when, after.when)
        yield from field_changes(
            f"{place}.because", f"{what}: reason", before.because, after.because
        )

    def rule(self, what: str, before: Stage, after: Stage) -> Iterator[Change]:
        """Compare the rules of two stages."""
        place = f"{after.place}.rule"
        if isinstance(before.rule, DecisionList) and isinstance(after.rule, DecisionList):
            yield from self.branches(place, what, before.rule, after.rule)
        elif isinstance(before.rule, DecisionList) or isinstance(after.rule, DecisionList):
            yield Change(place, "changed", f"{what}: form of the rule", _form(before), _form(after))
        else:
            yield from self._scores(place, what, before, after)

    def branches(
        self, place: str, what: str, before: DecisionList, after: DecisionList
    ) -> Iterator[Change]:
        """Compare two decision lists; the order counts, because the first that holds speaks."""
        like = (_when_text, _leads_to)
        pairs = paired(before.branches, after.branches, _signature, like)
        for earlier, later in pairs:
            if later is None:
                if earlier is not None:
                    words = _branch_words(self.old, earlier)
                    yield Change(earlier.place, "removed", f"{what}: branch", words, "")
            elif earlier is None:
                words = _branch_words(self.new, later)
                yield Change(later.place, "added", f"{what}: branch", "", words)
            else:
                yield from self._branch(what, earlier, later)
        if out_of_order(pairs, before.branches):
            yield Change(
                place, "moved", f"{what}: order of the branches",
                _order(self.old, before), _order(self.new, after),
            )  # fmt: skip

    def _branch(self, what: str, before: Branch, after: Branch) -> Iterator[Change]:
        place, stage, what = after.place, what, f"{what}: branch"
        if before.when is not None and after.when is not None:
            yield from self.criterion(f"{place}.when", what, before.when, after.when)
        elif before.when is not after.when:
            said = (_who(self.old, before), _who(self.new, after))
            yield Change(f"{place}.when", "changed", f"{what}: criterion", *said)
        if before.rule is not None and after.rule is not None:
            yield from self.branches(f"{place}.rule", stage, before.rule, after.rule)
        elif _leads_to(before) != _leads_to(after) or before.abstain != after.abstain:
            said = (_answer(self.old, before), _answer(self.new, after))
            yield Change(place, "changed", f"{what}: answer", *said)
        yield from field_changes(
            f"{place}.instead", f"{what}: instead", before.instead, after.instead
        )
        yield from field_changes(
            f"{place}.because", f"{what}: reason", before.because, after.because
        )

    def _scores(self, place: str, what: str, before: Stage, after: Stage) -> Iterator[Change]:
        earlier, later = _written(self.old, before), _written(self.new, after)
        for field in ("better", "margin", "unit", "because"):
            pair = getattr(earlier, field), getattr(later, field)
            yield from field_changes(f"{place}.{field}", f"{what}: {field}", *pair)
        for action in dict.fromkeys((*earlier.scores, *later.scores)):
            weights = _weights(earlier.scores.get(action)), _weights(later.scores.get(action))
            for name in dict.fromkeys((*weights[0], *weights[1])):
                term = f"{what}: score of {action}, {name}"
                at = f"{place}.scores.{action}"
                yield from field_changes(at, term, weights[0].get(name), weights[1].get(name))
        yield from self.guards(f"{what}: support", _support(before), _support(after))


def moved_thresholds(before: Criterion, after: Criterion) -> list[tuple[Threshold, Threshold]]:
    """Return the thresholds that differ, if nothing else does; else nothing."""
    if _shape(before) != _shape(after):
        return []
    moved = []
    for earlier, later in zip(leaves(before), leaves(after), strict=True):
        if str(earlier) == str(later):
            continue
        if not (isinstance(earlier, Threshold) and isinstance(later, Threshold)):
            return []
        if earlier.name != later.name:
            return []
        moved.append((earlier, later))
    return moved


def _shape(criterion: Criterion) -> tuple[object, ...]:
    """Return how a criterion is put together, without what its leaves say."""
    return (type(criterion).__name__, *map(_shape, criterion.children()))


def _amount(bundle: RuleBundle, threshold: Threshold) -> str:
    unit = bundle.kinds[threshold.name].unit
    return f"{threshold.op} {number_text(threshold.bound)} {unit}".strip()


def _guard_signature(guard: Guard) -> tuple[Hashable, ...]:
    return (guard.actions, str(guard.when), guard.because)


def _guard_words(bundle: RuleBundle, guard: Guard) -> str:
    return f"{shown(guard.actions)}: {criterion_words(guard.when, bundle.kinds)}"


def _support(stage: Stage) -> list[Guard]:
    if isinstance(stage.rule, DecisionList):
        return []
    return [
        Guard(item.place, tuple(sorted(item.actions)), item.when, item.because)
        for item in stage.rule.support
    ]


def _written(bundle: RuleBundle, stage: Stage) -> Scores:
    """Return the scores as the document has them, not turned round."""
    rule = bundle.document.stages[bundle.stages.index(stage)].rule
    if not isinstance(rule, Scores):
        raise TypeError(f"{stage.place} is a list, not a table of scores")
    return rule


def _weights(score: Score | None) -> dict[str, float]:
    return {} if score is None else {"constant": float(score.constant), **score.terms}


def _form(stage: Stage) -> str:
    if isinstance(stage.rule, DecisionList):
        return f"a list of {len(stage.rule.branches)} branches"
    return f"scores of {', '.join(stage.rule.forms)}"


def _when_text(branch: Branch) -> str:
    return "otherwise" if branch.when is None else str(branch.when)


def _leads_to(branch: Branch) -> tuple[Hashable, ...]:
    return (branch.actions, branch.abstain is None, branch.rule is None)


def _signature(branch: Branch) -> tuple[Hashable, ...]:
    nested = tuple(map(_signature, branch.rule.branches)) if branch.rule else ()
    said = (branch.actions, branch.abstain, branch.instead, branch.because)
    return (_when_text(branch), *said, nested)


def _who(bundle: RuleBundle, branch: Branch) -> str:
    return "otherwise" if branch.when is None else criterion_words(branch.when, bundle.kinds)


def _answer(bundle: RuleBundle, branch: Branch) -> str:
    if branch.abstain is not None:
        return f"no advice: {branch.abstain}"
    if branch.rule is not None:
        return f"a list of {len(branch.rule.branches)} branches"
    return " or ".join(bundle.actions[name].label for name in branch.actions)


def _branch_words(bundle: RuleBundle, branch: Branch) -> str:
    return f"{_who(bundle, branch)}: {_answer(bundle, branch)}"


def _order(bundle: RuleBundle, rule: DecisionList) -> str:
    return "; ".join(_who(bundle, branch) for branch in rule.branches)
