"""A criterion is true, false or unknown; numbers are compared exactly."""

from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import inf

import pytest
from builders.kinds import KINDS, criterion, verdict
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.criteria.parse import parse_criterion
from cds_engine.criteria.syntax import Verdict, decimal_text, span_holds, whole
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.value import Span

THREE: tuple[Verdict, ...] = (True, False, None)


@pytest.mark.parametrize(("p", "q"), list(product(THREE, THREE)))
def test_and_or_and_not_are_kleenes(p: Verdict, q: Verdict) -> None:
    both = False if False in (p, q) else (None if None in (p, q) else True)
    either = True if True in (p, q) else (None if None in (p, q) else False)
    assert verdict("pregnant and smoker", pregnant=p, smoker=q) is both
    assert verdict("pregnant or smoker", pregnant=p, smoker=q) is either
    assert verdict("not pregnant", pregnant=p) is (None if p is None else not p)
    assert verdict("not (pregnant and smoker)", pregnant=p, smoker=q) is verdict(
        "not pregnant or not smoker", pregnant=p, smoker=q
    )


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("sbp >= 140", {"sbp": 139.9}, False),
        ("sbp >= 140", {"sbp": 140}, True),
        ("sbp > 140", {"sbp": 140}, False),
        ("sbp < 140", {"sbp": 140}, False),
        ("sbp <= 140", {"sbp": 140}, True),
        ("sbp == 140", {"sbp": 140}, True),
        ("sbp != 140", {"sbp": 140}, False),
        ("sbp >= 140", {}, None),
        ("130 <= sbp < 140", {"sbp": 140}, False),
        ("130 <= sbp < 140", {"sbp": 130}, True),
        ("130 <= sbp < 140", {}, None),
        ("step is none", {"step": "none"}, True),
        ("step is none", {"step": "lifestyle"}, False),
        ("step is none", {}, None),
        ("step is not none", {}, None),
        ("step not in [none, add_ace]", {"step": "lifestyle"}, True),
        ("missing(sbp)", {}, True),
        ("missing(sbp)", {"sbp": 140}, False),
        ("missing(sbp)", {"sbp": Span(high=90)}, False),
        ("sbp - dbp > 40", {"sbp": 130}, None),
        ("true", {}, True),
        ("false and pregnant", {}, False),
    ],
)
def test_examples(text: str, values: dict[str, float], expected: Verdict) -> None:
    assert verdict(text, **values) is expected


def test_a_false_part_makes_the_rest_not_worth_looking_at() -> None:
    state = dict.fromkeys(KINDS, None) | {"sbp": 100.0}
    trace: list[object] = []
    found = criterion("sbp >= 140 and pregnant").evaluate(state, trace)  # type: ignore[arg-type]
    assert found is False
    assert len(trace) == 1


def test_s19_ten_percent_more_steps_is_not_more_than_ten_percent() -> None:
    response = criterion("steps > 1.1 * steps_before")
    for before in range(1, 20_001):
        state = dict.fromkeys(KINDS) | {"steps_before": float(before)}
        exactly, above = Fraction(11 * before, 10), 11 * before // 10 + 1
        at_most = 11 * before // 10
        state["steps"] = float(at_most)
        assert response.evaluate(state, []) is False, (before, exactly)
        state["steps"] = float(above)
        assert response.evaluate(state, []) is True, (before, exactly)


@given(cents=st.integers(1, 10**9))
def test_ten_percent_is_exact_for_decimals_too(cents: int) -> None:
    two = Kind("number", "a", "kg", 2), Kind("number", "b", "kg", 3)
    found = parse_criterion("a > 1.1 * b", {"b": two[0], "a": two[1]})
    before = cents / 100
    exactly = float(Decimal(cents) * 11 / 1000)
    assert found.evaluate({"a": exactly, "b": before}, []) is False
    assert found.evaluate({"a": round(exactly + 0.001, 3), "b": before}, []) is True


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("steps / 3 >= steps_before", {"steps": 300, "steps_before": 100}, True),
        ("steps / 3 > steps_before", {"steps": 300, "steps_before": 100}, False),
        ("sbp - dbp >= 0.3", {"sbp": 0.4, "dbp": 0.1}, True),
        ("sbp - dbp > 0.3", {"sbp": 0.4, "dbp": 0.1}, False),
        ("sbp + dbp <= 0.3", {"sbp": 0.1, "dbp": 0.2}, True),
        ("sbp * 3 == 0.3 + dbp", {"sbp": 0.1, "dbp": 0.0}, True),
    ],
)
def test_fv_08_decimals_are_compared_exactly(
    text: str, values: dict[str, float], expected: bool
) -> None:
    assert verdict(text, **values) is expected


@given(
    value=st.integers(-(10**14), 10**14),
    digits=st.integers(0, 9),
    op=st.sampled_from(["<", "<=", ">", ">="]),
)
def test_fv_08_a_threshold_is_met_by_the_number_that_is_written_like_it(
    value: int, digits: int, op: str
) -> None:
    written = Decimal(value).scaleb(-digits)
    if abs(written) >= 10**12:
        return
    found = parse_criterion(f"x {op} {written:f}", {"x": Kind("number", "x", "", digits)})
    assert found.evaluate({"x": float(written) + 0.0}, []) is ("=" in op)


@given(value=st.integers(-(10**17), 10**17), digits=st.integers(0, 9))
def test_a_rounded_number_is_a_whole_number_of_its_last_digit(value: int, digits: int) -> None:
    number = round(value / 10**digits, digits)
    assert whole(number, digits) == Decimal(repr(number)).scaleb(digits)


@pytest.mark.parametrize(
    ("span", "op", "bound", "expected"),
    [
        (Span(high=5, high_open=True), "<", 5, True),
        (Span(high=5, high_open=True), ">=", 5, False),
        (Span(high=5, high_open=True), "<=", 4.9, None),
        (Span(high=5), "<", 5, None),
        (Span(high=5), "<=", 5, True),
        (Span(high=5), ">", 5, False),
        (Span(low=9, low_open=True), ">", 9, True),
        (Span(low=9, low_open=True), "<=", 9, False),
        (Span(low=9), ">", 9, None),
        (Span(low=9), ">=", 9, True),
        (Span(low=9), "<", 9, False),
        (Span(1, 2), "==", 1.5, None),
        (Span(1, 2), "==", 3, False),
        (Span(1, 2), "!=", 3, True),
        (Span(1, 2, True, False), "==", 1, False),
        (Span(1, 2, False, True), "!=", 2, True),
        (Span(2, 2), "==", 2, True),
        (Span(-inf, inf), ">", 0, None),
    ],
)
def test_rl_17_a_span_is_decided_only_as_a_whole(
    span: Span, op: str, bound: float, expected: Verdict
) -> None:
    assert span_holds(span, op, bound) is expected  # type: ignore[arg-type]
    assert verdict(f"sbp {op} {bound}", sbp=span) is expected
    assert verdict(f"2 * sbp {op} {2 * bound}", sbp=span) is expected
    assert verdict(f"-1 * sbp {_flipped(op)} {-bound}", sbp=span) is expected


def _flipped(op: str) -> str:
    return {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(op, op)


SPANS = st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans(), st.booleans()).filter(
    lambda s: s[0] < s[1] or (s[0] == s[1] and not (s[2] or s[3]))
).map(lambda s: Span(float(s[0]), float(s[1]), s[2], s[3]))  # fmt: skip


@given(SPANS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(0, 6))
def test_rl_17_a_verdict_on_a_span_holds_for_every_number_in_it(
    span: Span, op: str, bound: int
) -> None:
    inside = [
        number
        for number in (tenth / 4 for tenth in range(29))
        if (number > span.low or (number == span.low and not span.low_open))
        and (number < span.high or (number == span.high and not span.high_open))
    ]
    each = {verdict(f"sbp {op} {bound}", sbp=number) for number in inside}
    assert span_holds(span, op, bound) is (each.pop() if len(each) == 1 else None)  # type: ignore[arg-type]


def test_a_sum_of_spans_adds_their_ends() -> None:
    low, high = Span(1, 2), Span(10, 20, False, True)
    assert verdict("sbp + dbp >= 11", sbp=low, dbp=high) is True
    assert verdict("sbp + dbp < 22", sbp=low, dbp=high) is True
    assert verdict("sbp + dbp < 21.9", sbp=low, dbp=high) is None
    assert verdict("sbp - dbp > -19", sbp=low, dbp=high) is True
    assert verdict("sbp - dbp >= -18.9", sbp=low, dbp=high) is None
    assert verdict("sbp - dbp <= -8", sbp=low, dbp=high) is True
    assert verdict("sbp - dbp < -8", sbp=low, dbp=high) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Fraction(11, 10), "1.1"),
        (Fraction(140), "140"),
        (Fraction(1, 3), "1 / 3"),
        (Fraction(-5, 4), "-1.25"),
        (Fraction(1, 10**12), "0.000000000001"),
    ],
)
def test_a_weight_is_written_in_full(number: Fraction, text: str) -> None:
    assert decimal_text(number) == text
