"""Every call ends in exactly one of five outcomes, and every silence has its reason."""

from typing import Any

import pytest
from builders.records import (
    AS_OF,
    HYPERTENSION,
    PREGNANCY,
    a_bundle,
    a_condition,
    a_document,
    a_history,
    a_person,
    a_prescription,
    a_reading,
    a_record,
    a_small_bundle,
    advice,
    at,
    days_ago,
)

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision, Reason
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Event
from cds_engine.vocabulary.units import StatedUnit

BUNDLE = a_bundle()
REGIME = Regime(BUNDLE)
HIGH, NORMAL = a_reading(sbp=152), a_reading(sbp=128)
SAFE = (
    a_reading(potassium=4.2),
    a_condition(PREGNANCY, since="2010-01-01", until="2011-01-01", ended=True, status="resolved"),
)
NOT_PREGNANT = a_document()["variables"] | {
    "pregnant": {"from": "condition", "codes": [PREGNANCY], "absent": False}
}


def decided(*events: Event, regime: Regime = REGIME, as_of: int = AS_OF, **record: Any) -> Decision:
    return regime.decide(a_record(*events, **record), as_of)[1]


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


class TestTheFiveOutcomes:
    """One readable patient for each."""

    def test_a_recommendation(self) -> None:
        decision = decided(a_condition(), HIGH)
        assert (decision.outcome, decision.stage, decision.action) == (
            "recommendation", "baseline", "lifestyle",
        )  # fmt: skip
        assert decision.candidates == ("lifestyle",)
        assert decision.reasons == ()

    def test_no_change(self) -> None:
        decision = decided(a_condition(), NORMAL)
        assert (decision.outcome, decision.action) == ("no_change", "monitor")
        assert decision.candidates == ("monitor",)

    def test_equipoise(self) -> None:
        bundle = a_small_bundle([{"when": "x > 1", "then": ["a", "b"]}, {"otherwise": "stay"}])
        decision = decide(bundle, a_history(x=2))
        assert (decision.outcome, decision.action) == ("equipoise", None)
        assert decision.candidates == ("a", "b")

    def test_not_applicable(self) -> None:
        decision = decided(HIGH)
        assert (decision.outcome, decision.stage) == ("not_applicable", None)
        assert decision.reasons == (
            Reason("out-of-population", "the regime is not meant for this patient"),
        )

    def test_abstention(self) -> None:
        decision = decided(a_condition())
        assert (decision.outcome, decision.stage, decision.action) == (
            "abstention", "baseline", None,
        )  # fmt: skip
        assert decision.candidates == ("lifestyle", "monitor")
        assert decision.reasons == (
            Reason("missing", "systolic pressure: no reading is on record", ("sbp",)),
        )


class TestReasonCodes:
    """One scenario per code (TR-05)."""

    @pytest.mark.parametrize(
        ("events", "code", "words"),
        [
            ([], "missing", "no reading is on record"),
            ([a_reading(sbp=152, at="2025-01-01T09:00")], "stale",
             "the last reading is older than 30 days"),
            ([a_reading(sbp=352)], "out-of-range", "the number is outside the plausible range"),
            ([a_reading(152, no_unit=True)], "unit-unknown", "the number has no unit"),
            ([a_reading(152, unit=StatedUnit("mm[Hg]"))], "unit-unknown",
             "the unit's code system is 'absent', not UCUM"),
            ([a_reading(sbp=152, source="1"), a_reading(sbp=120, source="2")], "conflicting-data",
             "readings at one time contradict each other"),
            ([a_reading(None, problem="text answers cannot be compared")], "unresolved",
             "text answers cannot be compared"),
            ([a_reading(sbp=152, at="2025-05")], "unresolved",
             "a reading is dated too vaguely, or not at all, to tell whether it counts"),
        ],
    )  # fmt: skip
    def test_tr_05_of_an_input(self, events: list[Event], code: Any, words: str) -> None:
        decision = decided(a_condition(), *events)
        assert decision.outcome == "abstention"
        assert decision.reasons == (Reason(code, f"systolic pressure: {words}", ("sbp",)),)

    def test_tr_05_an_incomplete_search_is_not_none_found(self) -> None:
        gaps = {"kind:observation": "the server answered 500"}
        decision = decided(a_condition(), HIGH, gaps=gaps)
        assert decision.reasons == (
            Reason("incomplete", "systolic pressure: the server answered 500", ("sbp",)),
        )

    def test_tr_05_a_gap_in_the_problem_list_leaves_the_population_open(self) -> None:
        decision = decided(HIGH, gaps={f"code:{HYPERTENSION}": "the search was cut short"})
        assert (decision.outcome, decision.stage, codes(decision)) == (
            "abstention", None, ["incomplete"],
        )  # fmt: skip

    def test_tr_05_out_of_population(self) -> None:
        assert codes(decided(a_condition(), HIGH, person=a_person("2010-01-01"))) == [
            "out-of-population"
        ]

    def test_tr_05_no_stage(self) -> None:
        decision = decided(a_condition(), HIGH, advice(days_ago(30)))
        assert (decision.outcome, codes(decision)) == ("abstention", ["no-stage"])
        assert decision.reasons[0].text == "no stage of the regime fits this history"

    def test_tr_05_several_stages(self) -> None:
        decision = decide(two_stages("x > 1", "x > 2"), a_history(x=3))
        assert (decision.outcome, codes(decision)) == ("abstention", ["several-stages"])
        assert decision.reasons[0].text == "more than one stage of the regime fits this history"
        assert decision.stage is None

    def test_tr_05_deceased(self) -> None:
        decision = decided(a_condition(), HIGH, person=a_person(died="2025-06-01"))
        assert decision.outcome == "not_applicable"
        assert decision.reasons == (Reason("deceased", "the patient is recorded as deceased"),)
        assert decision.judgement.steps == ()

    def test_tr_05_safeguard(self) -> None:
        on_advice = advice(days_ago(90))
        potassium = a_reading(potassium=5.6)
        regime = Regime(a_bundle(variables=NOT_PREGNANT))
        decision = decided(a_condition(), HIGH, on_advice, potassium, regime=regime)
        assert (decision.outcome, decision.stage) == ("abstention", "three_months")
        assert codes(decision) == ["safeguard"]
        assert decision.reasons[0].text == (
            "what the rule would advise is barred by a safeguard: ACE inhibitors harm the fetus "
            "and raise potassium."
        )

    def test_tr_05_the_rule_abstains(self) -> None:
        rule = [{"when": "x > 1", "abstain": "Ask a specialist."}, {"otherwise": "stay"}]
        decision = decide(a_small_bundle(rule), a_history(x=2))
        place = "stages[0].rule[0]"
        assert decision.reasons == (Reason("rule-abstains", "Ask a specialist.", (), place),)

    def test_tr_05_positivity_unsupported(self) -> None:
        rule = {
            "scores": {"a": {}, "b": {"terms": {"x": 1}}},
            "support": [{"actions": ["b"], "when": "y < 10"}],
        }
        decision = decide(a_small_bundle(rule), a_history(x=1, y=10))
        assert codes(decision) == ["positivity-unsupported"]
        assert decision.reasons[0].text == (
            "the data behind the regime could not compare the options for such a patient"
        )

    def test_tr_05_an_expired_version_and_one_not_yet_in_force(self) -> None:
        expired = Regime(a_bundle(expires="2025-06-14"))
        early = Regime(a_bundle(effective_from="2025-06-16"))
        for regime, code, words in (
            (expired, "expired-bundle", "this version expired on 2025-06-14"),
            (early, "not-yet-effective", "this version is not in force before 2025-06-16"),
        ):
            decision = decided(a_condition(), HIGH, regime=regime)
            assert decision.outcome == "abstention"
            assert decision.reasons == (Reason(code, words),)  # type: ignore[arg-type]


def two_stages(first: str, second: str) -> RuleBundle:
    stages = [
        {"stage": name, "when": when, "choose": ["stay"], "rule": [{"otherwise": "stay"}]}
        for name, when in (("one", first), ("two", second))
    ]
    return a_small_bundle([{"otherwise": "stay"}], stages=stages)


class TestPopulationAndStage:
    """Both must be definitely known."""

    def test_an_unknown_population_abstains_and_says_what_is_missing(self) -> None:
        decision = decided(a_condition(), HIGH, person=a_person(None))
        assert decision.reasons == (
            Reason("missing", "age: no date of birth is on record", ("age",)),
        )
        assert decision.candidates == ()

    def test_one_definite_no_is_enough(self) -> None:
        decision = decided(HIGH, person=a_person(None))
        assert codes(decision) == ["out-of-population"]

    @pytest.mark.parametrize(
        ("born", "outcome"),
        [("2007", "abstention"), ("2006", "recommendation"), ("2008", "not_applicable")],
    )
    def test_a_year_of_birth_is_enough_where_both_ages_agree(self, born: str, outcome: str) -> None:
        decision = decided(a_condition(), HIGH, person=a_person(born), as_of=at("2025-06-15T09:00"))
        assert decision.outcome == outcome
        if outcome == "abstention":
            assert decision.reasons == (
                Reason("unresolved", "age is only known as a range", ("age",)),
            )

    def test_a_stage_that_is_unknown_leaves_another_that_is_true_open(self) -> None:
        bundle = two_stages("x > 1", "y > 1")
        assert decide(bundle, a_history(x=2, y=0)).stage == "one"
        decision = decide(bundle, a_history(x=2, y=None))
        assert (decision.outcome, decision.stage) == ("abstention", None)
        assert [reason.variables for reason in decision.reasons] == [("y",)]

    def test_a_stage_that_is_unknown_beside_one_that_is_not_true_is_missing_not_no_stage(
        self,
    ) -> None:
        assert codes(decide(two_stages("x > 1", "y > 1"), a_history(x=0, y=None))) == ["missing"]

    def test_two_true_and_one_unknown_is_missing_first(self) -> None:
        bundle = two_stages("x > 1", "x > 1 or y > 1")
        assert codes(decide(bundle, a_history(x=2, y=None))) == ["several-stages"]

    def test_the_weeks_on_a_step_decide_the_stage_to_the_day(self) -> None:
        for days, outcome in ((69, "abstention"), (70, "no_change")):
            events = [a_condition(), NORMAL, advice(days_ago(days)), *SAFE]
            assert decided(*events).outcome == outcome

    def test_a_course_that_cannot_be_told_leaves_the_stage_open(self) -> None:
        when = days_ago(90)
        decision = decided(a_condition(), HIGH, advice(when), a_prescription(at=when))
        assert decision.outcome == "abstention"
        assert set(codes(decision)) == {"conflicting-data"}


def test_a_derived_input_is_traced_to_what_it_reads() -> None:
    decision = decided(a_condition())
    assert decision.judgement.undecided == ("sbp",)
    assert decision.state["uncontrolled"] is None


def test_s4_the_same_history_gives_the_same_decision() -> None:
    first, second = (decided(a_condition(), HIGH) for _ in range(2))
    assert first == second


def test_an_empty_history_abstains() -> None:
    decision = decide(BUNDLE, a_history())
    assert decision.outcome == "abstention"
    assert [reason.text for reason in decision.reasons] == [
        "age: it was not given", "hypertension: it was not given",
    ]  # fmt: skip
