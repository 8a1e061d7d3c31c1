"""The referee answers every history, always alike, and more information never contradicts it."""

import json
from itertools import product
from random import Random
from types import MappingProxyType
from typing import Any

from builders.bundles import ACTIONS, a_document, a_stage, bundle_of, variables
from builders.states import a_history, completion, draw_states, edges
from builders.strategies import Wish, bundles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decide import decide
from cds_engine.decide.record import (
    canonical,
    decide_again,
    decision_to_plain,
    history_to_plain,
    plain_to_history,
)
from cds_engine.decide.scalar import complete, judge
from cds_engine.vocabulary.value import Scalar, Span, State

SOME = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PLAIN = Wish(safeguards=False, missing=False)
"""Bundles without safeguards and without ``missing()``: their advice must survive more data."""

SEEDS = st.integers(0, 2**32)
ADVICE = frozenset({"recommendation", "equipoise", "no_change"})


@SOME
@given(bundle=bundles(), seed=SEEDS)
def test_every_history_gets_one_of_the_five_outcomes_with_its_reason(
    bundle: RuleBundle, seed: int
) -> None:
    for state in draw_states(bundle, seed, 100, missing=0.3, spans=0.1):
        decision = decide(bundle, a_history(state))
        has_reason = bool(decision.reasons)
        assert has_reason is (decision.outcome not in ADVICE)
        assert (decision.action is not None) is (decision.outcome in ADVICE - {"equipoise"})
        assert len(decision.candidates) > 1 or decision.outcome != "equipoise"


@SOME
@given(bundle=bundles(), seed=SEEDS)
def test_the_same_values_always_give_the_same_judgement(bundle: RuleBundle, seed: int) -> None:
    for state in draw_states(bundle, seed, 50):
        turned = dict(reversed(state.items()))
        first, second = (
            judge(bundle, complete(bundle, state)),
            judge(bundle, complete(bundle, turned)),
        )
        assert first == second


@SOME
@given(bundle=bundles(), seed=SEEDS)
def test_a_judgement_changes_nothing_that_it_was_given(bundle: RuleBundle, seed: int) -> None:
    for state in draw_states(bundle, seed, 20):
        completed = complete(bundle, MappingProxyType(state))
        before = dict(completed)
        judge(bundle, MappingProxyType(completed))
        assert completed == before


@SOME
@given(bundle=bundles(PLAIN), seed=SEEDS)
def test_completing_what_is_missing_never_contradicts_earlier_advice(
    bundle: RuleBundle, seed: int
) -> None:
    """Advice stands whatever the missing values turn out to be, and candidates hold the answer."""
    dice, pools = Random(seed), edges(bundle)  # noqa: S311 - test data
    for state in draw_states(bundle, seed, 60, missing=0.25, spans=0.1):
        early = judge(bundle, complete(bundle, state))
        for _ in range(4):
            later = judge(bundle, complete(bundle, completion(dice, bundle, state, pools)))
            if early.outcome in ADVICE or early.outcome == "not_applicable":
                assert (later.outcome, later.candidates) == (early.outcome, early.candidates)
            elif early.stage is not None and later.outcome in ADVICE:
                assert set(later.candidates) <= set(early.candidates)


@SOME
@given(bundle=bundles(), seed=SEEDS)
def test_an_action_that_a_safeguard_removed_is_never_advised(bundle: RuleBundle, seed: int) -> None:
    for state in draw_states(bundle, seed, 100):
        completed = complete(bundle, state)
        found = judge(bundle, completed)
        if found.outcome not in ADVICE:
            continue
        barred = {
            action
            for guard in bundle.safeguards
            if guard.when.evaluate(completed, []) is not False
            for action in guard.never
        }
        assert barred.isdisjoint(found.candidates)


@SOME
@given(bundle=bundles(), seed=SEEDS)
def test_only_what_the_stage_offers_is_advised_or_shown(bundle: RuleBundle, seed: int) -> None:
    for state in draw_states(bundle, seed, 100):
        found = judge(bundle, complete(bundle, state))
        offered = bundle.stage(found.stage).choose if found.stage else ()
        assert set(found.candidates) <= set(offered)


@SOME
@given(bundle=bundles(), seed=SEEDS)
def test_a_stored_decision_is_made_again_bit_for_bit(bundle: RuleBundle, seed: int) -> None:
    dice = Random(seed)  # noqa: S311 - test data
    for state in draw_states(bundle, seed, 30):
        history = a_history(state, dice=dice)
        decision = decide(bundle, history)
        stored = json.loads(canonical(history_to_plain(history)))
        again, plain = decide_again(bundle, stored)
        assert again == decision
        assert canonical(plain) == canonical(decision_to_plain(decision))
        assert plain_to_history(stored) == history


# --- the possible set is exact where no variable is read twice ----------------------------------

Domain = dict[str, tuple[Scalar, ...]]
DOMAIN: Domain = {
    "n0": (1.0, 2.0, 3.0), "m0": (1.0, 2.0, 3.0), "n1": (0.5, 1.0, 1.5), "n2": (0.25, 0.5),
    "b0": (True, False), "b1": (True, False), "b2": (True, False),
    "letter": ("a", "b"), "step": ("none", "a0"),
}  # fmt: skip
TESTS = (
    "n0 >= 2", "1 < m0 < 3", "not n1 != 1", "n2 == 0.5", "b0", "not b1", "b2", "letter is a",
    "step not in [none]",
)  # fmt: skip
"""Each reads a variable of its own, and its domain has values for which it holds and others."""


@st.composite
def read_once(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A decision list in which every variable is read once, at most one level deep."""
    left = list(draw(st.permutations(TESTS)))
    rule: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 4))):
        parts = [left.pop() for _ in range(min(len(left), draw(st.integers(1, 2))))]
        if not parts:
            break
        line: dict[str, Any] = {"when": draw(st.sampled_from([" and ", " or "])).join(parts)}
        kind = draw(st.sampled_from(["then", "then", "abstain", "rule"]))
        if kind == "abstain":
            line["abstain"] = "Ask a specialist."
        elif kind == "rule" and left:
            inner = {"when": left.pop(), "then": draw(st.sampled_from(ACTIONS))}
            line["rule"] = [inner, {"otherwise": draw(st.sampled_from(ACTIONS))}]
        else:
            line["then"] = draw(st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2,
                                         unique=True).map(sorted))  # fmt: skip
        rule.append(line)
    return [*rule, {"otherwise": draw(st.sampled_from(ACTIONS))}]


def first_that_holds(rule: list[dict[str, Any]], values: dict[str, Scalar]) -> tuple[str, ...]:
    """Walk a document's list for a patient of whom everything is known; Python reads the tests.

    Criteria are written in a subset of Python, so that its own ``eval`` is an oracle that knows
    nothing of the project.
    """
    names = {**values, "true": True, "a": "a", "none": "none"}
    for line in rule:
        if "otherwise" in line or eval(line["when"], {}, names):  # noqa: S307 - our own text
            if "rule" in line:
                return first_that_holds(line["rule"], values)
            if "abstain" in line:
                return ()
            said = line["then"] if "then" in line else line["otherwise"]
            return (said,) if isinstance(said, str) else tuple(said)
    raise AssertionError("the last line holds for everybody")


@SOME
@given(rule=read_once(), seed=SEEDS)
def test_the_possible_set_is_the_union_over_all_completions(
    rule: list[dict[str, Any]], seed: int
) -> None:
    bundle = bundle_of(a_document(stages=[a_stage(rule)]))
    dice = Random(seed)  # noqa: S311 - test data
    for _ in range(20):
        unknown = [name for name in DOMAIN if dice.random() < 0.4]
        known = {n: dice.choice(v) for n, v in DOMAIN.items() if n not in unknown}
        found = judge(bundle, complete(bundle, known))
        answers = {
            first_that_holds(rule, {**known, **dict(zip(unknown, values, strict=True))})
            for values in product(*(DOMAIN[name] for name in unknown))
        }
        assert set(found.candidates) == {action for answer in answers for action in answer}
        if len(answers) > 1:
            assert (found.outcome, found.code) == ("abstention", "missing")
        elif answers == {()}:
            assert (found.outcome, found.code) == ("abstention", "rule-abstains")
        else:
            assert found.outcome in ADVICE


# --- faults that the properties found, kept as examples -----------------------------------------


def test_a_way_out_that_remains_possible_is_among_the_candidates() -> None:
    rule = [{"when": "b1", "then": "a0", "instead": "a1"}, {"otherwise": "a2"}]
    guard = {"never": ["a0"], "when": "b0", "because": "It would do harm."}
    bundle = bundle_of(a_document(stages=[a_stage(rule)], safeguards=[guard]))
    assert judge(bundle, complete(bundle, {"b0": True})).candidates == ("a1", "a2")


def test_rounding_a_derived_span_takes_its_open_ends_away() -> None:
    derived = {"d": {"derive": "n1 / 2", "digits": 0}}
    rule = [{"when": "d > 2", "then": "a0"}, {"otherwise": "keep"}]
    bundle = bundle_of(a_document(variables=variables(**derived), stages=[a_stage(rule)]))
    span = Span(4.0, 9.0, low_open=True)
    assert complete(bundle, {"n1": 4.1})["d"] == 2.0, "4.1 lies in the span, and comes to 2"
    assert judge(bundle, complete(bundle, {"n1": span})).outcome == "abstention"


def test_a_derived_span_that_is_not_rounded_keeps_its_open_ends() -> None:
    derived = {"d": {"derive": "2 * n1 - 1", "digits": 1}}
    rule = [{"when": "d > 7", "then": "a0"}, {"otherwise": "keep"}]
    bundle = bundle_of(a_document(variables=variables(**derived), stages=[a_stage(rule)]))
    state: State = {"n1": Span(4.0, 9.0, low_open=True)}
    assert judge(bundle, complete(bundle, state)).action == "a0"


def test_variables_derived_from_each_other_over_and_over_are_traced_in_no_time() -> None:
    depth = 60
    chain = {"d0": {"derive": "n0 + m0"}, "d1": {"derive": "n0 - m0"}}
    for at in range(2, depth):
        chain[f"d{at}"] = {"derive": f"0.5 * d{at - 1} - 0.5 * d{at - 2}"}
    rule = [{"when": f"d{depth - 1} > 0", "then": "a0"}, {"otherwise": "keep"}]
    bundle = bundle_of(a_document(variables=variables(**chain), stages=[a_stage(rule)]))
    assert judge(bundle, complete(bundle, {})).undecided == ("n0", "m0")
