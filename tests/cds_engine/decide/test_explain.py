"""A decision shows the path that led to it: every criterion, its inputs, and where they stand."""

from typing import Any

from builders.records import (
    AS_OF,
    a_bundle,
    a_condition,
    a_history,
    a_reading,
    a_record,
    a_small_bundle,
    a_small_history,
    advice,
    at,
    days_ago,
)

from cds_engine.decide.decide import decide
from cds_engine.decide.explain import Alternative, Explanation, InputRow, explain
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Event

BUNDLE = a_bundle()


def explained(*events: Event) -> Explanation:
    history, decision = Regime(BUNDLE).decide(a_record(*events), AS_OF)
    return explain(BUNDLE, decision, history)


HIGH = a_reading(sbp=152)
SHOWN = explained(a_condition(), HIGH)


def test_tr_03_every_step_of_the_path_is_shown_in_order() -> None:
    assert [(step.role, step.place, step.title, step.verdict) for step in SHOWN.steps] == [
        ("population", "population", "Population", True),
        ("stage", "stages[0]", "Stage: baseline", True),
        ("stage", "stages[1]", "Stage: three months", False),
        ("branch", "stages[0].rule[0]", "Branch", True),
    ]
    branch = SHOWN.steps[-1]
    assert (branch.text, branch.words) == ("uncontrolled", "uncontrolled: yes")
    assert (branch.because, branch.actions) == ("It comes first.", ("lifestyle",))
    assert SHOWN.because == "It comes first."


def test_tr_03_every_criterion_shows_its_inputs() -> None:
    population = SHOWN.steps[0]
    assert [(row.text, row.words, row.verdict) for row in population.criteria] == [
        ("age >= 18", "age is 18 years or higher", True),
        ("hypertension", "hypertension: yes", True),
    ]
    [age] = population.criteria[0].inputs
    assert age == InputRow("age", "age", "55", "a", None, ("Patient",))


def test_tr_03_a_derived_input_comes_with_what_it_reads() -> None:
    [criterion] = SHOWN.steps[-1].criteria
    uncontrolled, sbp = criterion.inputs
    assert uncontrolled == InputRow(
        "uncontrolled", "uncontrolled", "yes", "", None, (),
        note="computed: systolic pressure is 140 mmHg or higher", derived="sbp >= 140",
    )  # fmt: skip
    assert sbp == InputRow(
        "sbp", "systolic pressure", "152", "mm[Hg]", at("2025-06-10T09:00"), (HIGH.source,)
    )


def test_inputs_are_listed_once_in_the_order_of_first_use() -> None:
    assert [row.name for row in SHOWN.inputs] == [
        "age", "hypertension", "step", "uncontrolled", "sbp",
    ]  # fmt: skip


def test_a_missing_input_shows_why_and_when_it_was_last_known() -> None:
    old = a_reading(sbp=152, at="2025-01-01T09:00")
    [row] = [row for row in explained(a_condition(), old).inputs if row.name == "sbp"]
    assert row == InputRow(
        "sbp", "systolic pressure", "missing", "", at("2025-01-01T09:00"), (old.source,),
        "stale", "the last reading is older than 30 days",
    )  # fmt: skip


def test_a_missing_input_that_no_criterion_reached_is_shown_all_the_same() -> None:
    bundle = a_small_bundle({"scores": {"a": {"terms": {"x": 1}}, "b": {}}})
    history = a_history(x=None)
    shown = explain(bundle, decide(bundle, history), history)
    assert [(row.name, row.value, row.reason) for row in shown.inputs] == [
        ("x", "missing", "absent")
    ]


ON_ADVICE = (a_condition(), HIGH, advice(days_ago(90)))


def test_alternatives_say_why_not() -> None:
    assert SHOWN.alternatives == (
        Alternative(
            "monitor", "Measure again in 3 months", "The rule advises it for everybody else."
        ),
    )
    assert explained(a_condition(), a_reading(sbp=120)).alternatives == (
        Alternative(
            "lifestyle",
            "Advise diet and exercise",
            "The rule advises it where uncontrolled: yes, unless an earlier line speaks.",
        ),
    )


def test_a_barred_alternative_says_whether_that_is_certain() -> None:
    [ace, monitor] = explained(*ON_ADVICE, a_reading(potassium=6)).alternatives
    assert ace == Alternative(
        "add_ace",
        "Start lisinopril 10 mg daily",
        "Barred by a safeguard: ACE inhibitors harm the fetus and raise potassium.",
    )
    assert monitor.why == "The rule advises it for everybody else."
    [ace, _] = explained(*ON_ADVICE).alternatives
    assert ace.why == (
        "Barred by a safeguard (an input for this is missing): ACE inhibitors harm the fetus and "
        "raise potassium."
    )


def test_a_safeguard_is_a_step_with_its_reason() -> None:
    [guard] = [step for step in explained(*ON_ADVICE).steps if step.role == "safeguard"]
    assert (guard.place, guard.title, guard.verdict) == ("safeguards[0]", "Safeguard", None)
    assert guard.because == "ACE inhibitors harm the fetus and raise potassium."
    assert guard.words == "pregnant: yes or potassium is above 5.5 mmol/L"
    assert [row.text for row in guard.criteria] == ["pregnant", "potassium > 5.5"]


def small(rule: Any, **values: Any) -> Explanation:
    bundle = a_small_bundle(rule)
    history = a_small_history(**values)
    return explain(bundle, decide(bundle, history), history)


def test_what_remains_possible_and_what_could_not_be_compared_is_said() -> None:
    open_rule = [{"when": "x > 1", "then": "a"}, {"otherwise": "b"}]
    assert [a.why for a in small(open_rule).alternatives] == ["Remains possible."] * 2
    scores = {
        "scores": {"a": {"terms": {"x": 1}}, "b": {"constant": 1}, "stay": {}},
        "support": [{"actions": ["a"], "when": "y < 1"}],
    }
    assert [(a.action, a.why) for a in small(scores, x=9, y=2).alternatives] == [
        ("a", "The data could not compare it for such a patient."),
        ("stay", "Its score is not the best."),
    ]


def test_the_last_line_is_for_everybody_else() -> None:
    last = small([{"when": "x > 1", "then": "a"}, {"otherwise": "b"}], x=0).steps[-1]
    assert (last.text, last.words, last.verdict, last.criteria) == (
        "otherwise", "everybody else", True, (),
    )  # fmt: skip


def test_without_a_stage_there_are_no_alternatives() -> None:
    assert explained(HIGH).alternatives == ()
    assert explained(HIGH).because == ""


def test_a_part_that_is_negated_is_said_and_answered_as_it_is_asked_for() -> None:
    rule = [{"when": "not (x > 1 or y > 1) and x > 0", "then": "a"}, {"otherwise": "b"}]
    [step] = [s for s in small(rule, x=1, y=0).steps if s.place.endswith("rule[0]")]
    assert [(row.text, row.words, row.verdict) for row in step.criteria] == [
        ("not x > 1", "x is 1 or lower", True),
        ("not y > 1", "y is 1 or lower", True),
        ("x > 0", "x is above 0", True),
    ]
    assert step.words == "(x is 1 or lower and y is 1 or lower) and x is above 0"
