"""A criterion is read from a small subset of Python's expression grammar and checked at once.

The text is parsed with ``ast`` and never evaluated. What comes back is typed: every name is
declared, every number is compared in one unit, every label can occur.
"""

import ast
import difflib
import io
import re
import tokenize
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NoReturn

from cds_engine.criteria.syntax import (
    FLIPPED,
    All,
    Always,
    Any,
    Comparison,
    Criterion,
    Flag,
    IsMissing,
    Linear,
    Not,
    OneOf,
    Operator,
    Threshold,
)
from cds_engine.errors import CriterionError
from cds_engine.vocabulary.kind import Kind

MAX_LENGTH = 4_000
MAX_NODES = 1_000
MAX_DEPTH = 40
MAX_DECIMALS = 12
MAX_SIZE = 10**12
MAX_DENOMINATOR = 10**24

_COMPARISONS: Mapping[type[ast.cmpop], Operator] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_CONSTANTS = {"true": True, "True": True, "false": False, "False": False}


def parse_criterion(
    text: str, kinds: Mapping[str, Kind], *, allow_missing: bool = False
) -> Criterion:
    """Read a criterion and check it against the declared variables.

    Args:
        text: for example ``age >= 18 and (pregnant or potassium > 5.5)``.
        kinds: the declared variables.
        allow_missing: whether ``missing(x)`` may stand here (only guards that abstain).

    Raises:
        CriterionError: says what was found and what to write instead.
    """
    return _Reader(kinds, allow_missing=allow_missing).criterion(_tree(text))


def parse_linear(text: str, kinds: Mapping[str, Kind]) -> tuple[Linear, str]:
    """Read a weighted sum and return it with its unit.

    Raises:
        CriterionError: if it is no weighted sum of numbers in one unit.
    """
    return _Reader(kinds, allow_missing=False).sum(_tree(text))


def _tree(text: str) -> ast.expr:
    """Parse the text; refuse what is too long, too deep or no expression."""
    if len(text) > MAX_LENGTH:
        raise CriterionError(
            f"the criterion is {len(text)} characters long, at most {MAX_LENGTH} are read; "
            "name parts of it as derived variables"
        )
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        cure = _cure(text) or "write for example `sbp >= 140 and not pregnant`"
        raise CriterionError(
            f"{text!r} is not a criterion ({_why_unreadable(text, error)}); {cure}"
        ) from error
    _refuse_costly(tree)
    _refuse_hidden(text)
    return tree


def _cure(text: str) -> str:
    """Say what to write for the signs of other languages."""
    found = [cure for sign, cure in _OTHER_SIGNS if re.search(sign, text)]
    return f"write {', '.join(found)}" if found else ""


_OTHER_SIGNS = (
    (r"&&", "`and` for `&&`"),
    (r"\|\|", "`or` for `||`"),
    (r"=>", "`>=` for `=>`"),
    (r"=<", "`<=` for `=<`"),
    (r"(?<![<>=!])=(?![=<>])", "`==` for `=`"),
    (r"<>", "`!=` for `<>`"),
    (r"!(?!=)", "`not` for `!`"),
)


def _why_unreadable(text: str, error: Exception) -> str:
    if "\0" in text or isinstance(error, UnicodeError):
        return "it has characters that no text should have"
    return error.msg if isinstance(error, SyntaxError) else "it is nested too deeply"


def _refuse_hidden(text: str) -> None:
    """Refuse what a reader sees and the grammar does not: comments, letters that look alike."""
    if text.isascii() and "#" not in text:
        return
    inner = text.strip()
    tokens = tokenize.generate_tokens(io.StringIO(inner, newline=None).readline)
    unquoted = [token for token in tokens if token.type != tokenize.STRING]
    if any(token.type == tokenize.COMMENT for token in unquoted):
        raise CriterionError(
            "a criterion has no comments, and nothing after # would count; use `because`"
        )
    around = text.partition(inner)[::2]
    seen = "".join([*around, *(token.string for token in unquoted)])
    if not seen.isascii():
        strange = next(character for character in seen if not character.isascii())
        raise CriterionError(
            f"{strange!a} looks like something else; names and signs are plain ASCII, and a label "
            "with other letters stands in quotes"
        )


def _refuse_costly(tree: ast.expr) -> None:
    level: list[ast.AST] = [tree]
    nodes = depth = 0
    while level:
        nodes += len(level)
        depth += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise CriterionError(
                f"the criterion has more than {MAX_NODES} parts or is nested more than "
                f"{MAX_DEPTH} deep; name parts of it as derived variables"
            )
        level = [child for node in level for child in ast.iter_child_nodes(node)]


class _Reader:
    """Turns syntax trees into criteria, knowing the declared variables."""

    def __init__(self, kinds: Mapping[str, Kind], *, allow_missing: bool) -> None:
        self.kinds = kinds
        self.allow_missing = allow_missing

    def criterion(self, node: ast.expr) -> Criterion:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return All(tuple(_flat(All, map(self.criterion, values))))
            case ast.BoolOp(op=ast.Or(), values=values):
                return Any(tuple(_flat(Any, map(self.criterion, values))))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self.criterion(operand))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._chain([left, *comparators], ops)
            case ast.Name(id=name) if name in _CONSTANTS and name not in self.kinds:
                return Always(_CONSTANTS[name])
            case ast.Constant(value=bool(value)):
                return Always(value)
            case ast.Name(id=name):
                return self._flag(name)
            case ast.Call(func=ast.Name(id="missing"), args=[ast.Name(id=name)], keywords=[]):
                return self._missing(name)
        return _refuse(node, "is no criterion; compare a variable, or name a yes-or-no variable")

    def _chain(self, sides: list[ast.expr], ops: list[ast.cmpop]) -> Criterion:
        pairs = zip(sides, ops, sides[1:], strict=False)
        links = [self._comparison(left, op, right) for left, op, right in pairs]
        return links[0] if len(links) == 1 else All(tuple(links))

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Criterion:
        if isinstance(left, ast.Name) and self._kind(left.id).type == "label":
            return self._label(left.id, op, right)
        if isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn):
            _refuse(left, "is no label variable; `is` and `in` are for labels")
        return self._numbers(left, _COMPARISONS[type(op)], right)

    def _numbers(self, left: ast.expr, op: Operator, right: ast.expr) -> Criterion:
        first, first_unit = self.sum(left)
        second, second_unit = self.sum(right)
        difference = first.minus(second)
        if not difference.terms:
            _refuse(left, "is compared with itself or with a constant only; name a variable")
        if first.terms and second.terms and first_unit != second_unit:
            raise CriterionError(
                f"`{ast.unparse(left)}` is in {first_unit or 'no unit'} but "
                f"`{ast.unparse(right)}` is in {second_unit or 'no unit'}; "
                "compare like with like, or declare one of the variables in the other's unit"
            )
        if _is_bare(first) and not second.terms:
            return Threshold(first.terms[0][0], op, float(second.constant))
        if _is_bare(second) and not first.terms:
            return Threshold(second.terms[0][0], FLIPPED[op], float(first.constant))
        names = sorted(difference.names())
        return Comparison(first, op, second, tuple((n, self.kinds[n].digits) for n in names))

    def sum(self, node: ast.expr) -> tuple[Linear, str]:
        """Read a weighted sum whose numbers are of a size that can be compared."""
        linear, unit = self.linear(node)
        for number in (linear.constant, *(weight for _, weight in linear.terms)):
            if abs(number) >= MAX_SIZE or number.denominator > MAX_DENOMINATOR:
                _refuse(node, "comes to a number that is too large or too fine; check the unit")
        return linear, unit

    def linear(self, node: ast.expr) -> tuple[Linear, str]:
        """Read a weighted sum; return it with the unit of its variables."""
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float):
                if not isinstance(value, bool):
                    return Linear((), _exact(value)), ""
            case ast.Name(id=name):
                return Linear(((name, Fraction(1)),)), self._number(name).unit
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner, unit = self.linear(operand)
                return Linear(()).minus(inner), unit
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                return self._sum(left, right, negative=isinstance(op, ast.Sub))
            case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
                return self._product(node, left, op, right)
        return _refuse(
            node,
            "is no number; use declared numbers, constants, + and -, and * or / with a constant",
        )

    def _sum(self, left: ast.expr, right: ast.expr, *, negative: bool) -> tuple[Linear, str]:
        (first, unit), (second, other) = self.linear(left), self.linear(right)
        if first.terms and second.terms and unit != other:
            raise CriterionError(
                f"`{ast.unparse(left)}` is in {unit or 'no unit'} and `{ast.unparse(right)}` in "
                f"{other or 'no unit'}; only numbers in one unit can be added"
            )
        total = first.minus(second if negative else Linear(()).minus(second))
        return total, unit if first.terms else other

    def _product(
        self, node: ast.expr, left: ast.expr, op: ast.operator, right: ast.expr
    ) -> tuple[Linear, str]:
        (first, unit), (second, other) = self.linear(left), self.linear(right)
        if isinstance(op, ast.Div) or not second.terms:
            if second.terms:
                _refuse(node, "divides by a variable; write `a > 1.1 * b` for `a / b > 1.1`")
            if isinstance(op, ast.Div) and not second.constant:
                _refuse(node, "divides by zero")
            factor = 1 / second.constant if isinstance(op, ast.Div) else second.constant
            return _scaled(first, factor), unit
        if first.terms:
            _refuse(node, "multiplies two variables; only constants can weigh a variable")
        return _scaled(second, first.constant), other

    def _label(self, name: str, op: ast.cmpop, right: ast.expr) -> Criterion:
        negative = isinstance(op, ast.IsNot | ast.NotIn | ast.NotEq)
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not right.elts:
                _refuse(right, "is no list; write `x in [a, b]`")
            labels = tuple(self._known_label(name, item) for item in right.elts)
        elif isinstance(op, ast.Is | ast.IsNot | ast.Eq | ast.NotEq):
            labels = (self._known_label(name, right),)
        else:
            _refuse(right, f"is compared by size with `{name}`, whose values are labels; use `is`")
        found = OneOf(name, tuple(dict.fromkeys(labels)))
        return Not(found) if negative else found

    def _known_label(self, name: str, node: ast.expr) -> str:
        match node:
            case ast.Name(id=label):
                pass
            case ast.Constant(value=str(label)):
                pass
            case ast.Constant(value=None):
                label = "none"
            case _:
                _refuse(node, "is no label; write a name or a quoted text")
        known = self.kinds[name].labels
        if known is not None and label not in known:
            raise CriterionError(
                f"`{name}` is never {label!r}; it can be {', '.join(sorted(known))}"
                f"{_suggestion(label, known)}"
            )
        return label

    def _flag(self, name: str) -> Criterion:
        kind = self._kind(name)
        if kind.type == "boolean":
            return Flag(name)
        if kind.type == "label":
            raise CriterionError(f"`{name}` is a label, not yes or no; write `{name} is ...`")
        raise CriterionError(f"`{name}` is a number, not yes or no; compare it: `{name} >= ...`")

    def _missing(self, name: str) -> Criterion:
        self._kind(name)
        if not self.allow_missing:
            raise CriterionError(
                f"missing({name}) stands where an action follows; more information could then "
                "contradict earlier advice, so use it only in a branch that abstains"
            )
        return IsMissing(name)

    def _number(self, name: str) -> Kind:
        kind = self._kind(name)
        if kind.type != "number":
            raise CriterionError(
                f"`{name}` is {'yes or no' if kind.type == 'boolean' else 'a label'}, "
                "not a number; it cannot be compared by size or added"
            )
        return kind

    def _kind(self, name: str) -> Kind:
        kind = self.kinds.get(name)
        if kind is None:
            raise CriterionError(f"no variable `{name}`{_suggestion(name, self.kinds)}")
        return kind


def _flat(kind: type[All] | type[Any], parts: Iterable[Criterion]) -> list[Criterion]:
    """Splice nested conjunctions (or disjunctions) into one, so that printing is stable."""
    out: list[Criterion] = []
    for part in parts:
        out.extend(part.parts if isinstance(part, kind) else (part,))
    return out


def _exact(value: float) -> Fraction:
    """Return the decimal a number was written as."""
    number = Decimal(repr(value))
    if not number.is_finite() or abs(number) >= MAX_SIZE:
        raise CriterionError(f"{value!r} is too large to be compared; check the unit")
    if -number.normalize().as_tuple().exponent > MAX_DECIMALS:  # type: ignore[operator]
        raise CriterionError(f"{value!r} has more than {MAX_DECIMALS} decimals; round it")
    return Fraction(number)


def _scaled(linear: Linear, factor: Fraction) -> Linear:
    terms = tuple((name, weight * factor) for name, weight in linear.terms if factor)
    return Linear(terms, linear.constant * factor)


def _is_bare(linear: Linear) -> bool:
    return len(linear.terms) == 1 and linear.terms[0][1] == 1 and not linear.constant


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _refuse(node: ast.AST, why: str) -> NoReturn:
    raise CriterionError(f"`{ast.unparse(node)}` {why}")
