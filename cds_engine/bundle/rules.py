"""The two rule forms, lists and scores, are checked branch by branch and term by term."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from cds_engine.bundle import document as doc
from cds_engine.bundle.model import Branch, DecisionList, Rule, ScoreRule, SupportRule
from cds_engine.criteria.syntax import Always, IntegerForm, Linear

if TYPE_CHECKING:
    from cds_engine.bundle.check import Compiler

MAX_BRANCHES = 2_000
MAX_DEPTH = 12


class RuleCompiler:
    """Checks the rule of one stage; faults go to the bundle's compiler."""

    def __init__(self, compiler: "Compiler", choose: Sequence[str]) -> None:
        self.compiler = compiler
        self.choose = choose

    def rule(self, place: str, rule: tuple[doc.Branch, ...] | doc.Scores) -> Rule:
        """Return the checked rule."""
        if isinstance(rule, doc.Scores):
            return self._scores(place, rule)
        checked = self._list(place, rule, depth=1)
        used = {a for branch in checked.walk() for a in (*branch.actions, *branch.instead)}
        for action in self.choose:
            if action not in used and action in self.compiler.actions:
                self.compiler.fault(
                    place, f"`{action}` can be chosen but no branch does; remove it from `choose`"
                )
        return checked

    def _list(self, place: str, branches: Sequence[doc.Branch], depth: int) -> DecisionList:
        if not branches:
            self.compiler.fault(place, "has no branch; end it with `otherwise: <action>`")
        if depth > MAX_DEPTH or len(branches) > MAX_BRANCHES:
            self.compiler.fault(
                place, f"is longer than {MAX_BRANCHES} or deeper than {MAX_DEPTH}; split it"
            )
            return DecisionList(())
        checked = [
            self._branch(f"{place}[{at}]", branch, at == len(branches) - 1, depth)
            for at, branch in enumerate(branches)
        ]
        return DecisionList(tuple(checked))

    def _branch(self, place: str, branch: doc.Branch, last: bool, depth: int) -> Branch:
        self._check_shape(place, branch, last=last)
        when = None
        if branch.when is not None:
            guard = branch.abstain is not None
            when = self.compiler.criterion(f"{place}.when", branch.when, allow_missing=guard)
            when = None if last and when == Always(value=True) else when
        written = _names(branch.then) or _names(branch.otherwise)
        # options that are equally good have no order of their own: two answers that name the same
        # ones are the same answer
        actions = tuple(action for action in self.choose if action in written)
        instead = _names(branch.instead)
        self.compiler.known_actions(place, (*written, *instead), self.choose)
        self.compiler.refuse_repeats(place, written)
        self.compiler.refuse_repeats(f"{place}.instead", instead)
        nested = None
        if branch.rule is not None:
            nested = self._list(f"{place}.rule", branch.rule, depth + 1)
        because = branch.because or ""
        return Branch(place, when, actions, nested, branch.abstain, instead, because)

    def _check_shape(self, place: str, branch: doc.Branch, *, last: bool) -> None:
        ends = [f for f in ("then", "otherwise", "rule", "abstain") if getattr(branch, f)]
        fault = self.compiler.fault
        if (branch.when is None) == (branch.otherwise is None):
            fault(place, "needs either `when` (with then, rule or abstain) or `otherwise`")
        elif len(ends) != 1:
            fault(
                place,
                "needs exactly one of `then`, `rule` and `abstain` after `when`; "
                f"found {', '.join(ends) or 'none'}",
            )
        if branch.otherwise is not None and not last:
            fault(place, "`otherwise` holds for everybody, so nothing after it can be reached")
        if last and branch.otherwise is None and branch.when not in ("true", "True"):
            fault(
                place,
                "the last branch must hold for everybody; add `- otherwise: <action>` after it",
            )
        if branch.instead and not (branch.then or branch.otherwise):
            fault(f"{place}.instead", "has a meaning only beside `then` or `otherwise`")

    def _scores(self, place: str, rule: doc.Scores) -> ScoreRule:
        self.compiler.known_actions(f"{place}.scores", rule.scores, self.choose)
        for action in self.choose:
            if action not in rule.scores:
                self.compiler.fault(f"{place}.scores", f"`{action}` can be chosen but has no score")
        sign = 1 if rule.better == "higher" else -1
        forms = {
            action: self._form(f"{place}.scores.{action}", score, sign)
            for action, score in rule.scores.items()
        }
        names = frozenset(n for score in rule.scores.values() for n in score.terms)
        self.compiler.note_read(names)
        kinds = self.compiler.kinds
        flags = frozenset(n for n in names if n in kinds and kinds[n].type == "boolean")
        support = tuple(
            self._support(f"{place}.support[{at}]", item) for at, item in enumerate(rule.support)
        )
        margin = Fraction(repr(rule.margin))
        return ScoreRule(place, forms, flags, names, margin, support, rule.because or "")

    def _form(self, place: str, score: doc.Score, sign: int) -> IntegerForm:
        terms: list[tuple[str, Fraction]] = []
        digits: dict[str, int] = {}
        for name, weight in score.terms.items():
            kind = self.compiler.kinds.get(name)
            if kind is None or kind.type == "label":
                what = "no variable" if kind is None else "a label, not a number or yes-or-no:"
                self.compiler.fault(f"{place}.terms", f"{what} `{name}`")
                continue
            digits[name] = kind.digits if kind.type == "number" else 0
            if weight:
                terms.append((name, sign * Fraction(repr(weight))))
        return IntegerForm.of(Linear(tuple(terms), sign * Fraction(repr(score.constant))), digits)

    def _support(self, place: str, item: doc.Support) -> SupportRule:
        self.compiler.known_actions(f"{place}.actions", item.actions, self.choose)
        when = self.compiler.criterion(f"{place}.when", item.when)
        return SupportRule(place, frozenset(item.actions), when, item.because or "")


def _names(value: str | Iterable[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
