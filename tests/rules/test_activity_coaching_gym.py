"""Coaching first; the gym for whoever does not walk strictly more than ten per cent more."""

import pytest
from builders.shipped import NOW, decisions, shipped
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.decide.cases import given_history
from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision

REGIME = "activity-coaching-gym"
NUMBERS = range(12)
COACHING = ("recommendation", "coaching")
GYM = ("recommendation", "gym")
GO_ON = ("no_change", "continue_coaching")


def told(decided: list[Decision]) -> list[tuple[str, str | None]]:
    return [(decision.outcome, decision.action) for decision in decided]


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("activity-start", [COACHING]),
        ("activity-responder", [COACHING, GO_ON]),
        ("activity-nonresponder", [COACHING, GYM]),
        ("activity-exactly-ten-percent", [COACHING, GYM]),
    ],
)
@pytest.mark.parametrize("number", NUMBERS)
def test_the_story_gets_its_answer(
    story: str, expected: list[tuple[str, str | None]], number: int
) -> None:
    _, decided = decisions(REGIME, story, number)
    assert told(decided) == expected


@pytest.mark.parametrize("number", NUMBERS)
def test_without_a_step_count_it_says_that_both_counts_are_missing(number: int) -> None:
    _, decided = decisions(REGIME, "activity-sedentary-no-steps", number)
    assert told(decided) == [COACHING, ("abstention", None)]
    assert [(r.code, r.variables) for r in decided[1].reasons] == [
        ("missing", ("steps_before",)),
        ("missing", ("steps",)),
    ]
    assert decided[1].candidates == ("continue_coaching", "gym")


def test_exactly_ten_per_cent_is_no_response_end_to_end() -> None:
    _, decided = decisions(REGIME, "activity-exactly-ten-percent", 0)
    state = decided[1].state
    assert (state["steps_before"], state["steps"], state["responder"]) == (5000.0, 5500.0, False)


@given(before=st.integers(0, 90_000))
def test_ten_per_cent_more_is_exact_for_any_number_of_steps(before: int) -> None:
    bundle = shipped(REGIME)
    person = {
        "age": 45, "sedentary": True, "acute_heart_disease": False, "step": "coaching",
        "weeks_on_step": 8, "steps_before": before,
    }  # fmt: skip
    for tenths, response in ((before * 11, False), (before * 11 + 1, True)):
        history = given_history(bundle, {**person, "steps": tenths / 10}, NOW)
        assert decide(bundle, history).state["responder"] is response
