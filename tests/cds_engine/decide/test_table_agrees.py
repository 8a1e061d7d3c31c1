"""The table evaluator says of every row what the referee says of that history."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from builders.bundles import ACTIONS, a_document, a_stage, bundle_of, variables
from builders.states import draw_states
from builders.strategies import Wish, bundles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decision import Judgement
from cds_engine.decide.scalar import complete, judge
from cds_engine.decide.table import Fate, Table, TableDecisions, decide_table
from cds_engine.decide.table.block import Block
from cds_engine.decide.table.plan import Plan
from cds_engine.vocabulary.value import Span, State

ROWS = 500
SLOW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # reading a bundle takes longer than deciding hundreds of rows


def as_fate(judgement: Judgement) -> tuple[object, ...]:
    j = judgement
    return j.outcome, j.code, j.stage, j.action, frozenset(j.candidates)


def seen(fate: Fate) -> tuple[object, ...]:
    return *fate[:4], frozenset(fate.candidates)


def assert_agree(
    bundle: RuleBundle, states: Sequence[State], deceased: Sequence[bool] | None = None
) -> TableDecisions:
    """Decide a table and compare every row with the referee."""
    decisions = decide_table(bundle, Table.from_states(bundle, states, deceased))
    for row, state in enumerate(states):
        died = deceased is not None and deceased[row]
        expected = as_fate(judge(bundle, complete(bundle, state), deceased=died))
        assert seen(decisions.decode(row)) == expected, f"row {row}: {state}"
    return decisions


@SLOW
@given(bundle=bundles(), seed=st.integers(0, 2**32))
def test_fv_07_table_and_referee_agree_on_every_row(bundle: RuleBundle, seed: int) -> None:
    assert_agree(bundle, draw_states(bundle, seed, ROWS))


@SLOW
@given(bundle=bundles(), seed=st.integers(0, 2**32))
def test_fv_07_they_agree_where_nothing_is_missing(bundle: RuleBundle, seed: int) -> None:
    assert_agree(bundle, draw_states(bundle, seed, ROWS, missing=0, spans=0))


@SLOW
@given(bundle=bundles(Wish(stages=1)), seed=st.integers(0, 2**32))
def test_fv_07_they_agree_where_most_is_missing(bundle: RuleBundle, seed: int) -> None:
    assert_agree(bundle, draw_states(bundle, seed, ROWS, missing=0.6, spans=0.1))


def test_fv_07_they_agree_on_ten_thousand_patients_of_one_bundle() -> None:
    bundle = bundle_of(everything())
    decisions = assert_agree(bundle, draw_states(bundle, 7, 10_000))
    met = {(fate.outcome, fate.stage) for fate in decisions.fates}
    assert {"first", "second", "scored"} <= {stage for _, stage in met}
    assert {"recommendation", "no_change", "equipoise", "abstention"} <= {out for out, _ in met}


@given(
    ends=st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=60),
    digits=st.integers(0, 3),
    divisor=st.sampled_from([2, 4, 5, 8, 20, 3]),
)
@SLOW
def test_fv_08_both_round_a_derived_number_alike_on_every_half(
    ends: list[int], digits: int, divisor: int
) -> None:
    halves = {"derive": f"(n1 + n0) / {divisor}", "digits": digits}
    rule = [{"when": f"halved >= {1.5 / 10**digits}", "then": "a0"}, {"otherwise": "keep"}]
    document = a_document(variables=variables(halved=halves), stages=[a_stage(rule=rule)])
    bundle = bundle_of(document)
    states = [{"n0": float(end // 7), "n1": end / 10} for end in ends]
    assert_agree(bundle, states)
    block = Block(Table.from_states(bundle, states), slice(0, len(states)), len(states))
    column = Plan(bundle.derived).number("halved").part(block).values.tolist()
    assert column == [complete(bundle, state)["halved"] for state in states]


def test_the_dead_are_decided_as_dead() -> None:
    bundle = bundle_of(everything())
    states = draw_states(bundle, 3, 200)
    decisions = assert_agree(bundle, states, [row % 3 == 0 for row in range(200)])
    assert decisions.decode(0).code == "deceased"
    assert decisions.decode(1).code != "deceased"


@pytest.mark.parametrize("digits", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "==", "!="])
def test_fv_08_on_and_beside_a_threshold_both_see_the_same(digits: int, op: str) -> None:
    bound = round(0.1 + 0.2, digits) if digits else 3.0
    number = {"from": "observation", "codes": ["loinc|1-1"], "unit": "1", "digits": digits}
    rule = [{"when": f"x {op} {bound:.9f}", "then": "a0"}, {"otherwise": "a1"}]
    document = a_document(variables={"x": number, **variables()}, stages=[a_stage(rule)])
    step = 10.0**-digits
    values = [round(bound + shift * step, digits) for shift in (-1, 0, 1)]
    decisions = assert_agree(bundle_of(document), [{"x": value} for value in values])
    expected = {"<": "a0 a1 a1", "<=": "a0 a0 a1", ">": "a1 a1 a0", ">=": "a1 a0 a0",
                "==": "a1 a0 a1", "!=": "a0 a1 a0"}  # fmt: skip
    assert " ".join(str(decisions.decode(row).action) for row in range(3)) == expected[op]


def test_sums_that_whole_numbers_hold_need_no_referee() -> None:
    rule = [{"when": "n1 > 1.1 * n2", "then": "a0"}, {"otherwise": "a1"}]
    bundle = bundle_of(a_document(stages=[a_stage(rule)]))
    states = [{"n1": round(1.1 * tenth, 1), "n2": float(tenth)} for tenth in range(0, 1000, 10)]
    decisions = assert_agree(bundle, states)
    assert decisions.refereed == 0
    assert set(decisions.action.tolist()) == {ACTIONS.index("a1")}, "exactly 10 % more is not more"


def test_rows_that_floating_point_could_get_wrong_are_refereed_and_the_others_are_not() -> None:
    rule = [{"when": "0.123456789012 * huge > n2", "then": "a0"}, {"otherwise": "a1"}]
    bundle = bundle_of(a_document(stages=[a_stage(rule)]))
    tie = {"huge": 1_000_000_000.0, "n2": 123456789.01}
    just_more = {"huge": 1_000_000_000.0, "n2": 123456789.02}
    tie_of_twelve = {"huge": 1e12, "n2": 123456789012.0}
    clear = {"huge": 1_000_000_000.0, "n2": 5.0}
    decisions = assert_agree(bundle, [tie, just_more, tie_of_twelve, clear])
    assert [decisions.decode(row).action for row in range(4)] == ["a0", "a1", "a1", "a0"]
    assert decisions.refereed == 1


def test_ties_that_floating_point_takes_for_differences_are_found() -> None:
    rule = [{"when": "0.123456789012 * huge != n2", "then": "a0"}, {"otherwise": "a1"}]
    bundle = bundle_of(a_document(stages=[a_stage(rule)]))
    states = [{"huge": k * 1e10, "n2": round(k * 1234567890.12, 2)} for k in range(1, 300)]
    decisions = assert_agree(bundle, states)
    assert decisions.refereed == len(states)
    assert {decisions.decode(row).action for row in range(len(states))} == {"a1"}


def test_fine_scores_that_floating_point_puts_in_order_are_found_to_be_tied() -> None:
    fine = {"a0": {"terms": {"huge": 0.123456789012}}, "a1": {"terms": {"n2": 1}}}
    bundle = bundle_of(a_document(stages=[a_stage({"scores": fine})]))
    states = [{"huge": k * 1e10, "n2": round(k * 1234567890.12, 2)} for k in range(1, 300)]
    decisions = assert_agree(bundle, states)
    assert {decisions.decode(row).outcome for row in range(len(states))} == {"equipoise"}


def test_fv_12_tied_scores_are_equipoise_and_a_tie_needs_no_referee() -> None:
    bundle = bundle_of(a_document(stages=[a_stage(score_rule(margin=0))]))
    states: list[State] = [{"n1": value, "n2": 0.0} for value in (0.9, 1.0, 1.1)]
    decisions = assert_agree(bundle, states)
    assert [decisions.decode(row).candidates for row in range(3)] == [
        ("a1",),
        ("a0", "a1"),
        ("a0",),
    ]
    assert decisions.refereed == 0


def test_fv_12_scores_exactly_a_margin_apart_are_equally_good() -> None:
    bundle = bundle_of(a_document(stages=[a_stage(score_rule(margin=0.3))]))
    states: list[State] = [{"n1": value, "n2": 0.0} for value in (0.6, 0.7, 1.0, 1.3, 1.4)]
    decisions = assert_agree(bundle, states)
    tied = [len(decisions.decode(row).candidates) for row in range(5)]
    assert tied == [1, 2, 2, 2, 1]


def test_fv_12_tied_scores_with_fine_weights_are_refereed() -> None:
    fine = {
        "a0": {"terms": {"huge": 0.3333333333333333}},
        "a1": {"terms": {"huge": 1 / 3, "n2": 1}},
    }
    bundle = bundle_of(a_document(stages=[a_stage({"scores": fine})]))
    states: list[State] = [{"huge": 7.0, "n2": 0.0}, {"huge": 7.0, "n2": 0.5}]
    decisions = assert_agree(bundle, states)
    assert decisions.decode(0).outcome == "equipoise"
    assert decisions.refereed == 1


@pytest.mark.parametrize("weight", [1e11, -1e11, 1e-11])
def test_scores_that_overflow_a_float_are_still_right(weight: float) -> None:
    scores = {"a0": {"terms": {"huge": weight, "n0": weight}}, "a1": {"constant": 1}}
    bundle = bundle_of(a_document(stages=[a_stage({"scores": scores})]))
    values = (-1e300, -1e308, -1.0, 0.0, 1.0, 1e300, 1e308)
    assert_agree(bundle, [{"huge": huge, "n0": n0} for huge in values for n0 in values])


def test_rows_with_a_span_that_the_rule_reads_are_refereed_and_the_others_are_not() -> None:
    rule = [{"when": "n0 >= 3", "then": "a0"}, {"otherwise": "a1"}]
    bundle = bundle_of(a_document(stages=[a_stage(rule)]))
    states: list[State] = [
        {"n0": Span(high=3.0, high_open=True)},
        {"n0": Span(high=3.0)},
        {"n0": 3.0, "m0": Span(low=1.0)},
    ]
    decisions = assert_agree(bundle, states)
    assert [decisions.decode(row).action for row in range(3)] == ["a1", None, "a0"]
    assert decisions.refereed == 2


@pytest.mark.parametrize("answers", [3, 9, 20, 70])
def test_any_number_of_different_answers_is_decided(answers: int) -> None:
    ends = [("then", [a, b], "instead", [c]) for a in ACTIONS for b in ACTIONS for c in ACTIONS
            if len({a, b, c}) == 3]  # fmt: skip
    places = range(answers - 1)
    rule: list[Mapping[str, Any]] = [
        {"when": f"n0 == {at} or n1 == {at}", "then": ends[at % 60][1],
         **({"instead": ends[at % 60][3]} if at < 60 else {})} for at in places
    ]  # fmt: skip
    document = a_document(
        stages=[a_stage([*rule, {"otherwise": "keep"}])],
        safeguards=[{"never": ["a1", "a2"], "when": "b0", "because": "It would do harm."}],
    )
    assert_agree(bundle_of(document), draw_states(bundle_of(document), answers, 1_000))


def test_many_safeguards_at_a_scored_stage_are_decided() -> None:
    guards = [
        {"never": [ACTIONS[at % 3]], "when": f"n0 == {at} or b1 and n1 > {at}", "because": "Harm."}
        for at in range(40)
    ]
    document = a_document(stages=[a_stage(score_rule(margin=0.5))], safeguards=guards)
    assert_agree(bundle_of(document), draw_states(bundle_of(document), 1, 300))


def test_columns_and_bits_say_what_decode_says() -> None:
    bundle = bundle_of(everything())
    decisions = assert_agree(bundle, draw_states(bundle, 11, 500))
    for row in range(500):
        fate = decisions.decode(row)
        bits = int(decisions.candidates[row])
        named = {a for at, a in enumerate(decisions.actions) if bits >> at & 1}
        assert named == set(fate.candidates)
        action, stage = int(decisions.action[row]), int(decisions.stage[row])
        assert (None if action < 0 else decisions.actions[action]) == fate.action
        assert (None if stage < 0 else decisions.stages[stage]) == fate.stage
    assert decisions.outcome.dtype == np.uint8
    assert decisions.code.dtype == np.uint8
    assert decisions.candidates.dtype == np.uint64


def test_an_empty_table_has_no_decisions() -> None:
    bundle = bundle_of(a_document())
    decisions = decide_table(bundle, Table({}, 0))
    assert len(decisions.action) == 0


def test_rows_beyond_one_block_are_decided_like_the_first() -> None:
    bundle = bundle_of(everything())
    states = draw_states(bundle, 5, 500)
    few = assert_agree(bundle, states)
    many = decide_table(bundle, Table.from_states(bundle, states * 140))
    assert np.array_equal(many.action, np.tile(few.action, 140))
    assert np.array_equal(many.candidates, np.tile(few.candidates, 140))
    assert many.refereed == 140 * few.refereed


def score_rule(margin: float) -> dict[str, Any]:
    scores = {"a0": {"terms": {"n1": 1}}, "a1": {"constant": 1, "terms": {"n2": 1}}}
    return {"scores": scores, "margin": margin}


def everything() -> dict[str, Any]:
    """A document with every construct, written out."""
    derived: dict[str, dict[str, Any]] = {
        "rise": {"derive": "n1 - 0.5 * n2", "digits": 1},
        "third": {"derive": "(rise + n0) / 3", "digits": 2},
        "high": {"derive": "third > 0.5 or b2"},
    }
    first = [
        {"when": "missing(n1) and missing(n2)", "abstain": "Measure again."},
        {"when": "high and n0 >= 2", "then": "a0", "instead": ["a1", "a2"]},
        {"when": "letter in [a, 'is it in']", "rule": [
            {"when": "0 <= n1 < 2", "then": ["a1", "a2"]},
            {"when": "1.1 * n1 > n2 + 0.5", "rule": [
                {"when": "b1", "then": "a3"},
                {"when": "true", "abstain": "Nothing is known to help."}]},
            {"otherwise": "keep"}]},
        {"when": "not (n2 == 0.25 or high)", "then": "a2"},
        {"otherwise": "keep"},
    ]  # fmt: skip
    scored = {
        "scores": {
            "a0": {"constant": 1, "terms": {"n1": 0.5, "b0": -1}},
            "a1": {"terms": {"third": 1, "high": 0.25}},
            "keep": {},
        },
        "margin": 0.25,
        "support": [{"actions": ["a1"], "when": "n0 < 3"}],
    }
    return a_document(
        population="sex is not other",
        variables=variables(**derived),
        safeguards=[
            {"never": ["a0", "a3"], "when": "b0 or n1 > 5", "because": "It would do harm."},
            {"never": ["a1"], "when": "sex is male and third < 0", "because": "Nor this."},
        ],
        stages=[
            a_stage(first, "first", "step is none"),
            a_stage([{"otherwise": ["a0", "a3"]}], "second", "step is a0 and n0 != 1"),
            a_stage(scored, "scored", "step is a1 or step is a0 and n0 <= 1"),
        ],
    )


def test_a_document_written_out_is_plain_json() -> None:
    assert json.loads(json.dumps(everything())) == everything()
