"""A second evaluator, written from the definition and in fractions alone, agrees with the first."""

import ast
import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from random import Random

from builders.bundles import DIGITS, FLAGS, LABELS
from builders.states import draw_value
from builders.strategies import criteria
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cds_engine.criteria.parse import parse_criterion
from cds_engine.errors import CriterionError
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.value import Scalar, Span, State

KINDS: dict[str, Kind] = {
    **{name: Kind("number", name, "1", digits) for name, digits in DIGITS.items()},
    **{name: Kind("boolean", name) for name in FLAGS},
    **{name: Kind("label", name, labels=frozenset(known)) for name, known in LABELS.items()},
}
COMPARE: Mapping[type[ast.cmpop], Callable[[Fraction, Fraction], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
FAR, NEAR = Fraction(10) ** 30, Fraction(1, 10**30)
Verdict = bool | None


def oracle(text: str, state: State) -> Verdict:
    """Evaluate a criterion by Kleene's tables, looking at every part."""
    return _judge(ast.parse(text, mode="eval").body, state)


def _judge(node: ast.expr, state: State) -> Verdict:
    match node:
        case ast.Name(id="true"):
            return True
        case ast.Name(id=name):
            return state[name]  # type: ignore[return-value]
        case ast.Call(args=[ast.Name(id=name)]):
            return state[name] is None
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return {True: False, False: True, None: None}[_judge(inner, state)]
        case ast.BoolOp(op=op, values=parts):
            verdicts = [_judge(part, state) for part in parts]
            return _all(verdicts) if isinstance(op, ast.And) else _any(verdicts)
        case ast.Compare(left=left, ops=ops, comparators=rest):
            sides = [left, *rest]
            return _all(
                [_link(a, op, b, state) for a, op, b in zip(sides, ops, rest, strict=False)]
            )
    raise AssertionError(ast.dump(node))


def _all(verdicts: list[Verdict]) -> Verdict:
    return False if False in verdicts else (None if None in verdicts else True)


def _any(verdicts: list[Verdict]) -> Verdict:
    return True if True in verdicts else (None if None in verdicts else False)


def _link(left: ast.expr, op: ast.cmpop, right: ast.expr, state: State) -> Verdict:
    if isinstance(left, ast.Name) and left.id in LABELS:
        value = state[left.id]
        items = right.elts if isinstance(right, ast.List) else [right]
        named = {i.value if isinstance(i, ast.Constant) else i.id for i in items}  # type: ignore[attr-defined]
        among = value in named
        return None if value is None else among is not isinstance(op, ast.IsNot | ast.NotIn)
    weights = _weights(left)
    for name, weight in _weights(right).items():
        weights[name] = weights.get(name, Fraction(0)) - weight
    read = {name: state[name] for name, weight in weights.items() if name and weight}
    if None in read.values():
        return None
    points = [weights.get("", Fraction(0))]
    for name, value in read.items():
        points = [p + weights[name] * v for p in points for v in _points(value)]
    verdicts = {COMPARE[type(op)](point, Fraction(0)) for point in _dense(points)}
    return verdicts.pop() if len(verdicts) == 1 else None


def _points(value: Scalar | None) -> list[Fraction]:
    """Return the ends of what a value may be, just inside where an end is open or infinite."""
    if not isinstance(value, Span):
        return [Fraction(repr(value))]
    low = -FAR if value.low == float("-inf") else Fraction(repr(value.low))
    high = FAR if value.high == float("inf") else Fraction(repr(value.high))
    return [low + NEAR * value.low_open, high - NEAR * value.high_open]


def _dense(points: list[Fraction]) -> list[Fraction]:
    """Return the ends of the sums, their middle, and zero and its neighbours if between them."""
    low, high = min(points), max(points)
    return [
        low,
        high,
        (low + high) / 2,
        *(p for p in (-NEAR, Fraction(0), NEAR) if low <= p <= high),
    ]


def _weights(node: ast.expr) -> dict[str, Fraction]:
    """Return name -> weight of a weighted sum; the constant stands under the empty name."""
    match node:
        case ast.Name(id=name):
            return {name: Fraction(1)}
        case ast.Constant(value=number):
            return {"": Fraction(Decimal(repr(number)))}
        case ast.UnaryOp(operand=inner):
            return {name: -weight for name, weight in _weights(inner).items()}
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            factor = _weights(left)[""]
            return {name: factor * weight for name, weight in _weights(right).items()}
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            divisor = _weights(right)[""]
            return {name: weight / divisor for name, weight in _weights(left).items()}
        case ast.BinOp(left=left, right=right):
            total = _weights(left)
            for name, weight in _weights(right).items():
                total[name] = total.get(name, Fraction(0)) + weight
            return total
    raise AssertionError(ast.dump(node))


POOLS: Mapping[str, list[float]] = {
    name: sorted({round(v + at * 10.0**-digits, digits) + 0.0 for v in (0, 0.25, 1, 2, 5)
                  for at in (-1, 0, 1)})
    for name, digits in DIGITS.items()
}  # fmt: skip


def draw(dice: Random) -> dict[str, Scalar | None]:
    return {n: draw_value(dice, kind, POOLS.get(n, ()), 0.1, 0.2) for n, kind in KINDS.items()}


@settings(max_examples=300, deadline=None)
@given(text=criteria(missing=True), seed=st.integers(0, 2**32))
@example(text="n1 == 1.1 * n1 or n0 - n0 > 0", seed=0)
def test_every_criterion_comes_to_what_the_definition_says(text: str, seed: int) -> None:
    try:
        criterion = parse_criterion(text, KINDS, allow_missing=True)
    except CriterionError:
        return  # the drawn sum cancels, which the language refuses
    dice = Random(seed)  # noqa: S311 - test data
    for _ in range(40):
        state = draw(dice)
        assert criterion.evaluate(state, []) is oracle(text, state), state


@settings(max_examples=300, deadline=None)
@given(text=criteria(missing=True))
@example(text="letter not in ['is it in', 'not']")
@example(text="letter is not 'is it in'")
@example(text="not (not (b0))")
@example(text="not (b0 and not (b1 or b2))")
@example(text="n0 == 1 / 3")
@example(text="-n0 / 3 + 0.1 * n1 - 2 <= -0.000001")
def test_a_criterion_that_is_printed_and_read_again_is_the_same(text: str) -> None:
    criterion = parse_criterion(text, KINDS, allow_missing=True)
    assert parse_criterion(str(criterion), KINDS, allow_missing=True) == criterion


ANY_LABEL = {"x": Kind("label", "x")}
TYPED = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="\\"))


@settings(max_examples=300, deadline=None)
@given(label=TYPED)
@example(label="None")
@example(label="it's")
@example(label="lambda")
@example(label="true")
@example(label="ﬁ")
@example(label="a b\\")
@example(label="n#1")
@example(label="\n")
def test_any_label_survives_being_printed_and_read_again(label: str) -> None:
    criterion = parse_criterion(f"x is not {label!r}", ANY_LABEL)
    assert parse_criterion(str(criterion), ANY_LABEL) == criterion


@given(labels=st.lists(TYPED, min_size=1, max_size=4))
def test_any_list_of_labels_survives_being_printed_and_read_again(labels: list[str]) -> None:
    criterion = parse_criterion(f"x not in {labels!r}", ANY_LABEL)
    assert parse_criterion(str(criterion), ANY_LABEL) == criterion
