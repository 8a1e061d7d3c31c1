"""A safeguard that is not definitely false removes its actions, unless it says what else."""

from typing import Any

import pytest
from builders.records import Json, a_small_bundle, a_small_history

from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision, Removed

STAY: Json = {"otherwise": "stay"}
NEVER_A = [{"never": ["a"], "when": "p", "because": "A harms."}]
PLACE = "safeguards[0]"


def decided(
    rule: Any, *, safeguards: list[Json] | None = None, choose: Any = None, **values: Any
) -> Decision:
    bundle = a_small_bundle(rule, choose=choose, safeguards=safeguards or NEVER_A)
    return decide(bundle, a_small_history(**values))


RULE = [{"when": "x > 1", "then": "a"}, STAY]


@pytest.mark.parametrize(
    ("p", "certain"), [pytest.param(True, True, id="true"), pytest.param(None, False, id="unknown")]
)
def test_an_action_that_is_removed_is_not_replaced_in_silence(
    p: bool | None, certain: bool
) -> None:
    decision = decided(RULE, x=2, p=p)
    assert (decision.outcome, decision.action) == ("abstention", None)
    assert decision.reasons[0].code == "safeguard"
    assert decision.reasons[0].place == "stages[0].rule[0]"
    assert decision.judgement.removed == (Removed("a", PLACE, "A harms.", certain),)


def test_a_safeguard_that_may_hold_says_what_would_settle_it() -> None:
    decision = decided(RULE, x=2, p=None)
    assert [(reason.code, reason.variables) for reason in decision.reasons] == [
        ("safeguard", ()), ("missing", ("p",)),
    ]  # fmt: skip
    assert [reason.code for reason in decided(RULE, x=2, p=True).reasons] == ["safeguard"]


@pytest.mark.parametrize(
    ("p", "q", "y", "named"),
    [
        pytest.param(None, None, None, ["y", "p", "q"], id="all of them"),
        pytest.param(None, False, 9, ["p"], id="the one that is open"),
        pytest.param(None, True, None, [], id="none where one is certain: nothing would help"),
        pytest.param(False, None, 9, ["q"], id="not one that bars something else"),
    ],
)
def test_several_safeguards_that_may_hold_all_say_what_would_settle_them(
    p: bool | None, q: bool | None, y: float | None, named: list[str]
) -> None:
    guards: list[Json] = [
        {"never": ["a"], "when": "p", "because": "P."},
        {"never": ["a"], "when": "q", "because": "Q."},
        {"never": ["a"], "when": "y < 5 and not q", "because": "Y."},
        {"never": ["b"], "when": "risk is high", "because": "R."},
    ]
    rule = [RULE[0], {"when": "y > 100", "then": "b"}, STAY]
    decision = decided(rule, safeguards=guards, x=2, p=p, q=q, y=y)
    assert decision.reasons[0].code == "safeguard"
    assert [name for reason in decision.reasons for name in reason.variables] == named


def test_a_safeguard_that_is_definitely_false_removes_nothing() -> None:
    decision = decided(RULE, x=2, p=False)
    assert decision.action == "a"
    assert decision.judgement.removed == ()


def test_a_safeguard_does_not_matter_where_the_action_is_not_advised() -> None:
    decision = decided(RULE, x=0, p=True)
    assert (decision.outcome, decision.action) == ("no_change", "stay")


INSTEAD = [{"when": "x > 1", "then": "a", "instead": ["b", "c"]}, STAY]


def test_the_list_may_say_what_to_do_instead() -> None:
    assert decided(INSTEAD, x=2, p=True).action == "b"
    assert decided(INSTEAD, x=2, p=None).action == "b"
    assert decided(INSTEAD, x=2, p=False).action == "a"


def test_what_is_said_instead_is_guarded_too() -> None:
    both = [*NEVER_A, {"never": ["b"], "when": "q", "because": "B harms."}]
    assert decided(INSTEAD, safeguards=both, x=2, p=True, q=None).action == "c"
    all_three = [*both, {"never": ["c"], "when": "true", "because": "C harms."}]
    decision = decided(INSTEAD, safeguards=all_three, x=2, p=True, q=True)
    assert [reason.code for reason in decision.reasons] == ["safeguard"]
    assert decision.reasons[0].text == (
        "what the rule would advise is barred by a safeguard: A harms. B harms. C harms."
    )


def test_of_an_equipoise_pair_the_one_that_is_safe_remains() -> None:
    pair = [{"when": "x > 1", "then": ["a", "b"]}, STAY]
    assert decided(pair, x=2, p=False).candidates == ("a", "b")
    for p in (True, None):
        decision = decided(pair, x=2, p=p)
        assert (decision.outcome, decision.action) == ("recommendation", "b")
        assert [removed.action for removed in decision.judgement.removed] == ["a"]


def test_a_pair_that_is_wholly_removed_is_not_advised() -> None:
    both = [{"never": ["a", "b"], "when": "p", "because": "Both harm."}]
    decision = decided([{"when": "x > 1", "then": ["a", "b"]}, STAY], safeguards=both, x=2, p=True)
    assert [reason.code for reason in decision.reasons] == ["safeguard"]


def test_a_removed_action_is_no_candidate() -> None:
    decision = decided(RULE, x=None, p=True)
    assert (decision.outcome, decision.candidates) == ("abstention", ("stay",))


def test_what_stands_instead_is_a_candidate() -> None:
    decision = decided(INSTEAD, x=None, p=True)
    assert decision.candidates == ("b", "stay")


def test_two_safeguards_on_one_action_are_remembered_with_the_surer() -> None:
    two = [
        {"never": ["a"], "when": "q", "because": "Perhaps."},
        {"never": ["a"], "when": "p", "because": "Surely."},
    ]
    decision = decided(RULE, safeguards=two, x=2, p=True, q=None)
    assert decision.judgement.removed == (Removed("a", "safeguards[1]", "Surely.", True),)
    decision = decided(RULE, safeguards=two, x=2, p=None, q=True)
    assert decision.judgement.removed == (Removed("a", PLACE, "Perhaps.", True),)


def test_a_safeguard_on_other_stages_actions_is_not_asked() -> None:
    elsewhere = [{"never": ["c"], "when": "p", "because": "C harms."}]
    decision = decided(RULE, safeguards=elsewhere, choose=["a", "stay"], x=2)
    assert decision.action == "a"
    assert not [step for step in decision.judgement.steps if step.role == "safeguard"]


def test_staying_may_be_barred_too() -> None:
    never = [{"never": ["stay"], "when": "p", "because": "Do not wait."}]
    decision = decided(RULE, safeguards=never, x=0, p=True)
    assert [reason.code for reason in decision.reasons] == ["safeguard"]


@pytest.mark.parametrize(
    ("p", "q", "verdict"),
    [(True, None, True), (False, None, None), (False, False, False), (None, True, True)],
)
def test_a_safeguard_may_be_a_whole_criterion(
    p: bool | None, q: bool | None, verdict: bool | None
) -> None:
    never = [{"never": ["a"], "when": "p or q", "because": "Either harms."}]
    decision = decided(RULE, safeguards=never, x=2, p=p, q=q)
    assert (decision.outcome == "recommendation") is (verdict is False)
    if verdict is not False:
        assert decision.judgement.removed[0].certain is (verdict is True)
