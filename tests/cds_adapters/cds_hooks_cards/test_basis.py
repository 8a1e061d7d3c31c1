"""The basis table on a card is enough to make the decision again."""

import re
from collections import Counter
from typing import Any

import pytest
from builders.cards import (
    AS_OF,
    AT_THREE_MONTHS,
    SCORED_CARE,
    STEPPED_CARE,
    UNHURRIED,
    Drawn,
    a_card,
    a_context,
    a_history,
    a_renderer,
    histories,
    rendered,
)
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cds_adapters.cds_hooks.detail import shown_value
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decide import decide
from cds_engine.decide.explain import explain
from cds_engine.history.value import Finding, History, Known, Missing, Reading
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.time import DAY, SECOND
from cds_engine.vocabulary.units import unit_words
from cds_engine.vocabulary.value import Scalar, Span, number_text

_parser = MarkdownIt("commonmark").enable("table")
_closed = re.compile(r"(\S+) to (\S+)")
_open = re.compile(r"(above )?(\S+?)(?: or higher)?, and (below )?(\S+?)(?: or lower)?")
_calls = st.sampled_from((STEPPED_CARE, SCORED_CARE)).flatmap(
    lambda bundle: st.tuples(st.just(bundle), histories(bundle))
)


def table(detail: str) -> list[list[str]]:
    """Read the rows of the basis table as a reader sees them."""
    rows: list[list[str]] = []
    for block in _parser.parse(detail):
        if block.type == "tr_open":
            rows.append([])
        if block.type == "inline" and block.level == 4:
            rows[-1].append("".join(t.content for t in block.children or []))
    return [row for row in rows[1:] if len(row) == 6]


def read_value(text: str, kind: Kind) -> Scalar:
    """Read a value back from the way it is shown."""
    if kind.type == "boolean":
        return {"yes": True, "no": False}[text]
    if kind.type == "label":
        return text
    if closed := _closed.fullmatch(text):
        return Span(float(closed[1]), float(closed[2]))
    if bounded := _open.fullmatch(text):
        above, low, below, high = bounded.groups()
        return Span(float(low), float(high), bool(above), bool(below))
    sign, _, bound = text.rpartition(" ")
    match sign:
        case "":
            return float(bound)
        case "<" | "<=":
            return Span(high=float(bound), high_open=sign == "<")
        case _:
            return Span(low=float(bound), low_open=sign == ">")


def history_of(bundle: RuleBundle, detail: str, history: History) -> History:
    """Make a history from nothing but the inputs that a card shows."""
    names = {kind.label: name for name, kind in bundle.kinds.items()}
    found: dict[str, Finding] = {}
    for label, value, *_ in table(detail):
        name = names[label]
        if name in bundle.base_variables:
            missing = value == "missing"
            found[name] = (
                Missing("absent", "") if missing else Known(read_value(value, bundle.kinds[name]))
            )
    for name in bundle.base_variables:
        found.setdefault(name, Missing("absent", "not shown"))
    return History(history.as_of, found)


@UNHURRIED
@given(_calls)
def test_tr_03_the_inputs_on_the_card_give_the_same_decision(call: Any) -> None:
    bundle, history = call
    decision = decide(bundle, history)
    for card in a_renderer(bundle).render(decision, history, a_context()).cards:
        again = decide(bundle, history_of(bundle, card["detail"], history))
        for what in ("outcome", "stage", "action", "candidates"):
            assert getattr(again, what) == getattr(decision, what)
        assert again.judgement.place == decision.judgement.place
        assert again.judgement.code == decision.judgement.code
        assert [s[:4] for s in again.judgement.steps] == [s[:4] for s in decision.judgement.steps]


def test_tr_03_the_histories_drawn_reach_every_outcome_and_both_rule_forms() -> None:
    outcomes: Counter[tuple[str, str]] = Counter()
    for seed in range(600):
        for bundle in (STEPPED_CARE, SCORED_CARE):
            outcomes[bundle.regime, decide(bundle, Drawn(seed).history(bundle)).outcome] += 1
    assert {outcome for _, outcome in outcomes} == {
        "recommendation", "equipoise", "no_change", "not_applicable", "abstention",
    }  # fmt: skip
    assert outcomes["scored-care", "recommendation"] > 10
    assert outcomes["stepped-care", "recommendation"] > 10


@UNHURRIED
@given(_calls)
def test_tr_03_the_basis_shows_what_the_explanation_shows(call: Any) -> None:
    bundle, history = call
    decision = decide(bundle, history)
    explained = explain(bundle, decision, history)
    for card in a_renderer(bundle).render(decision, history, a_context()).cards:
        shown = {row[0]: row for row in table(card["detail"])}
        for row in explained.inputs:
            label, value, unit, _, source, remark = shown[row.label]
            spanned = isinstance(decision.state[row.name], Span)
            assert spanned or value == row.value
            assert unit == unit_words(row.unit)
            assert bool(source) == any(row.sources)
            assert not row.reason or remark == row.reason
            assert label == row.label


@UNHURRIED
@given(_calls)
def test_tr_03_the_path_shows_every_verdict_that_is_not_false(call: Any) -> None:
    bundle, history = call
    decision = decide(bundle, history)
    steps = decision.judgement.steps
    for card in a_renderer(bundle).render(decision, history, a_context()).cards:
        path = card["detail"].partition("**Path**")[2].partition("\n\n**")[0]
        held = sum(step.verdict is True for step in steps)
        unknown = sum(step.verdict is None for step in steps)
        open_line = [s.role == "branch" and s.verdict is None for s in steps]
        after = sum(s.verdict is True and any(open_line[:at]) for at, s in enumerate(steps))
        assert path.count("— **holds**") == held - after
        assert path.count("— **applies unless an earlier line does, which cannot") == after
        assert path.count("— **cannot be told**") == unknown


def test_a_row_shows_value_unit_date_source_and_remark() -> None:
    readings = (
        Reading("Observation/a", AS_OF - 9 * DAY, AS_OF - 9 * DAY),
        Reading("Observation/b", AS_OF - 2 * DAY, AS_OF - 2 * DAY),
    )
    detail = a_card(sbp=Known(152.0, readings, "mean of 2 readings"))["detail"]
    assert (
        "| Systolic blood pressure | 152 | mmHg | 2025-04-05 09:30 | "
        "Observation/a, Observation/b | mean of 2 readings |"
    ) in detail


def test_a_derived_row_says_from_what() -> None:
    detail = a_card(**AT_THREE_MONTHS)["detail"]
    assert (
        "| Twice the excess | 4 | mmHg |  |  | derived: 2 times Systolic blood pressure minus 300 |"
        in detail
    )
    assert (
        "| Blood pressure is high | yes |  |  |  | "
        "derived: Systolic blood pressure is 140 mmHg or higher |"
    ) in detail


def test_the_inputs_of_scores_are_in_the_basis_though_no_criterion_reads_them() -> None:
    assert {row[0] for row in table(a_card(SCORED_CARE)["detail"])} == {
        "age", "sbp", "bmi", "diabetes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        pytest.param(0, 0, "2025-04-01 00:00", id="an instant"),
        pytest.param(0, DAY - 1, "2025-04-01", id="a day"),
        pytest.param(0, 30 * DAY - 1, "2025-04-01 to 2025-04-30", id="a month"),
    ],
)
def test_a_date_is_shown_as_precisely_as_it_is_known(start: int, end: int, shown: str) -> None:
    first = AS_OF - 6 * DAY - (9 * 60 + 30) * 60 * SECOND
    reading = Reading("Observation/a", first + start, first + end)
    detail = a_card(sbp=Known(152.0, (reading,)))["detail"]
    assert f"| mmHg | {shown} | Observation/a |" in detail


def test_many_sources_are_counted() -> None:
    readings = tuple(Reading(f"Observation/o{n}", AS_OF - DAY, AS_OF - DAY) for n in range(12))
    detail = a_card(sbp=Known(152.0, readings))["detail"]
    assert "Observation/o7 and 4 more |" in detail
    assert "Observation/o8" not in detail


def test_a_finding_that_was_not_given_is_shown_as_missing() -> None:
    history = a_history()
    bare = History(AS_OF, {n: f for n, f in history.findings.items() if n != "sbp"})
    (card,) = a_renderer().render(decide(STEPPED_CARE, bare), bare, a_context()).cards
    assert "| Systolic blood pressure | *missing* |  |  |  | absent |" in card["detail"]
    assert "- Systolic blood pressure: it was not given (missing)" in card["detail"]


@UNHURRIED
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_shown_exactly(number: float) -> None:
    assert shown_value(number) == number_text(number)
    assert float(shown_value(number)) == number


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (Span(1.5, 5.0), "1.5 to 5"),
        (Span(1.5, 5.0, high_open=True), "1.5 or higher, and below 5"),
        (Span(1.5, 5.0, low_open=True), "above 1.5, and 5 or lower"),
        (Span(high=5.0, high_open=True), "&lt; 5"),
        (Span(low=5.0), "&gt;= 5"),
    ],
)
def test_a_span_is_shown_with_its_open_ends(span: Span, shown: str) -> None:
    assert shown_value(span) == shown


def test_se_10_a_long_text_of_a_record_is_cut() -> None:
    detail = a_card(sbp=Known(152.0, (), "word " * 200))["detail"]
    (row,) = [row for row in table(detail) if row[0] == "Systolic blood pressure"]
    assert len(row[5]) <= 200
    assert row[5].endswith("…")


def test_an_abstention_over_scores_shows_what_they_read() -> None:
    decision, found = rendered(SCORED_CARE, diabetes=None)
    assert decision.outcome == "abstention"
    assert "| diabetes | *missing* |" in found.cards[0]["detail"]
    assert "  - Start an ACE inhibitor: *missing*" in found.cards[0]["detail"]
