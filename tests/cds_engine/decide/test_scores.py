"""The feasible action with the best score is advised; what is too close is in equipoise."""

from typing import Any, ClassVar

import pytest
from builders.records import Json, a_history, a_small_bundle, a_small_history

from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision
from cds_engine.vocabulary.value import Span

SCORES: Json = {
    "a": {"constant": 1, "terms": {"x": 0.1}},
    "b": {"constant": 2, "terms": {"p": 0.5}},
    "stay": {"constant": 0},
}


def decided(
    *, scores: Json = SCORES, safeguards: list[Json] | None = None, rule: Json | None = None,
    **values: Any,
) -> Decision:  # fmt: skip
    bundle = a_small_bundle({"scores": scores} | (rule or {}), safeguards=safeguards)
    return decide(bundle, a_small_history(**values))


@pytest.mark.parametrize(
    ("x", "p", "action"),
    [
        (11, False, "a"),
        (9, False, "b"),
        (14, True, "b"),
        (16, True, "a"),
        (-20, False, "b"),
    ],
)
def test_the_best_score_is_advised(x: float, p: bool, action: str) -> None:
    decision = decided(x=x, p=p)
    assert (decision.outcome, decision.action) == ("recommendation", action)


def test_an_exact_tie_is_equipoise_in_the_order_of_the_choice() -> None:
    decision = decided(x=10, p=False)
    assert (decision.outcome, decision.candidates) == ("equipoise", ("a", "b"))
    assert decision.action is None


def test_fv_08_a_tie_is_exact() -> None:
    scores = {"a": {"terms": {"x": 0.1}}, "b": {"constant": 0.3}}
    assert decided(scores=scores, x=3).outcome == "equipoise"
    scores = {"a": {"terms": {"x": 0.1, "y": 0.2}}, "b": {"constant": 0.3}}
    assert decided(scores=scores, x=1, y=1).outcome == "equipoise"


@pytest.mark.parametrize(
    ("x", "candidates"),
    [(15, ("a", "b")), (15.01, ("a",)), (5, ("a", "b")), (4.99, ("b",)), (10, ("a", "b"))],
)
def test_the_margin_itself_is_within_the_margin(x: float, candidates: tuple[str, ...]) -> None:
    assert decided(rule={"margin": 0.5}, x=x, p=False).candidates == candidates


def test_lower_may_be_better() -> None:
    decision = decided(rule={"better": "lower"}, x=5, p=True)
    assert (decision.outcome, decision.action) == ("no_change", "stay")


def test_a_missing_term_of_any_compared_action_leaves_it_open() -> None:
    decision = decided(x=None, p=True)
    assert (decision.outcome, decision.candidates) == ("abstention", ("a", "b", "stay"))
    assert [reason.code for reason in decision.reasons] == ["missing"]
    assert decision.judgement.undecided == ("x",)


@pytest.mark.parametrize(
    ("span", "action"),
    [
        (Span(low=11), "a"),
        (Span(high=9), "b"),
        (Span(low=9), None),
        (Span(12, 13, True, True), "a"),
    ],
)
def test_rl_17_a_span_is_enough_where_one_action_wins_throughout(
    span: Span, action: str | None
) -> None:
    decision = decided(x=span, p=False)
    assert decision.action == action
    if action is None:
        assert [(r.code, r.variables) for r in decision.reasons] == [("unresolved", ("x",))]


class TestSupport:
    """An action is compared only where the data could compare it."""

    RULE: ClassVar[Json] = {
        "support": [{"actions": ["a"], "when": "x < 100", "because": "No such data."}]
    }

    def test_inside_it_nothing_changes(self) -> None:
        assert decided(rule=self.RULE, x=50, p=False).action == "a"

    def test_outside_it_the_others_are_compared(self) -> None:
        decision = decided(rule=self.RULE, x=100, p=False)
        assert decision.action == "b"
        assert decision.judgement.unsupported == ("a",)

    def test_one_alone_is_no_comparison(self) -> None:
        scores = {"a": {"terms": {"x": 1}}, "b": {}}
        decision = decided(scores=scores, rule=self.RULE, x=100)
        assert [reason.code for reason in decision.reasons] == ["positivity-unsupported"]
        assert decision.candidates == ("b",)

    def test_support_that_is_unknown_abstains(self) -> None:
        scores = {"a": {}, "b": {"constant": 1}, "stay": {}}
        decision = decided(scores=scores, rule=self.RULE, x=None)
        assert [(r.code, r.variables) for r in decision.reasons] == [("missing", ("x",))]

    def test_none_supported_is_none_compared(self) -> None:
        rule = {"support": [{"actions": ["a", "b", "stay"], "when": "x < 100"}]}
        decision = decided(rule=rule, x=100, p=False)
        assert decision.judgement.unsupported == ("a", "b", "stay")
        assert [reason.code for reason in decision.reasons] == ["positivity-unsupported"]


class TestSafeguards:
    """The best of what is feasible is advised; what may be infeasible is never advised."""

    NEVER = ({"never": ["a"], "when": "q", "because": "A harms."},)

    def test_a_barred_action_is_not_compared(self) -> None:
        decision = decided(safeguards=list(self.NEVER), x=50, p=False, q=True)
        assert decision.action == "b"
        assert decision.judgement.removed[0].certain

    def test_an_action_that_may_be_barred_is_not_advised_if_it_is_the_best(self) -> None:
        decision = decided(safeguards=list(self.NEVER), x=50, p=False, q=None)
        assert decision.reasons[0].code == "safeguard"
        assert decision.candidates == ("a",)

    def test_it_does_not_matter_where_another_is_better(self) -> None:
        decision = decided(safeguards=list(self.NEVER), x=0, p=False, q=None)
        assert decision.action == "b"

    def test_it_matters_where_it_ties(self) -> None:
        decision = decided(safeguards=list(self.NEVER), x=10, p=False, q=None)
        assert (decision.outcome, decision.candidates) == ("abstention", ("a", "b"))

    def test_the_last_one_left_is_advised_without_its_score(self) -> None:
        never = [{"never": ["b", "stay"], "when": "q", "because": "They harm."}]
        assert decided(safeguards=never, x=None, p=None, q=True).action == "a"

    def test_nothing_left_is_a_safeguard(self) -> None:
        never = [{"never": ["a", "b", "stay"], "when": "q", "because": "All harm."}]
        decision = decided(safeguards=never, x=1, p=True, q=True)
        assert [reason.code for reason in decision.reasons] == ["safeguard"]
        assert decision.candidates == ()


def test_a_score_in_a_derived_number_is_as_exact() -> None:
    variables = {
        name: {"from": "observation", "codes": [f"loinc|{name}"], "unit": "kg"} for name in "xy"
    } | {"gain": {"derive": "x - y", "digits": 2}}
    scores = {"a": {"terms": {"gain": 10}}, "b": {"constant": 3}}
    bundle = a_small_bundle({"scores": scores}, variables=variables)
    assert decide(bundle, a_history(x=0.4, y=0.1)).outcome == "equipoise"
    assert decide(bundle, a_history(x=0.41, y=0.1)).action == "a"
