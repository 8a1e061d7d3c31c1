"""An abstention says what is missing, with its reason code."""

import re
from dataclasses import replace
from typing import Any

import pytest
from builders.cards import (
    AS_OF,
    AT_THREE_MONTHS,
    SCORED_CARE,
    STEPPED,
    STEPPED_CARE,
    a_bundle,
    a_card,
    a_context,
    a_history,
    a_renderer,
    rendered,
)

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decision import Reason
from cds_engine.history.value import Known, Missing
from cds_engine.vocabulary.time import DAY
from cds_engine.vocabulary.value import Span

TOLD = "Systolic blood pressure: in words"
OVERLAPPING = a_bundle(
    STEPPED.replace("when: step is lifestyle and weeks >= 10", "when: age >= 18")
)
EXPIRED = a_bundle(STEPPED.replace("review_by:", "expires: '2025-04-06'\nreview_by:"))
EARLY = a_bundle(STEPPED.replace("review_by:", "effective_from: '2025-05-01'\nreview_by:"))


def gone(reason: Any) -> dict[str, Any]:
    return {"sbp": Missing(reason, "in words", (), AS_OF - 90 * DAY)}


@pytest.mark.parametrize(
    ("bundle", "values", "code", "summary"),
    [
        (STEPPED_CARE, gone("absent"), "missing", "no systolic blood pressure in the last 30 days"),
        (STEPPED_CARE, gone("stale"), "stale", "no systolic blood pressure in the last 30 days"),
        (STEPPED_CARE, gone("implausible"), "out-of-range", "outside its plausible range"),
        (STEPPED_CARE, gone("unit"), "unit-unknown", "systolic blood pressure has no usable unit"),
        (STEPPED_CARE, gone("conflicting"), "conflicting-data", "contradicts itself"),
        (STEPPED_CARE, gone("incomplete"), "incomplete", "the search for systolic blood pressure"),
        (STEPPED_CARE, gone("unresolved"), "unresolved", "in a way that leaves it open"),
        (STEPPED_CARE, {"sbp": Known(Span(120, 190))}, "unresolved", "only known as a range"),
        (STEPPED_CARE, {"step": "ccb"}, "no-stage", "no stage of the regime fits this history"),
        (OVERLAPPING, {}, "several-stages", "more than one stage of the regime fits"),
        (SCORED_CARE, {"age": 80.0, "bmi": 50.0}, "positivity-unsupported", "could not compare"),
        (EXPIRED, {}, "expired-bundle", "this version expired on 2025-04-06"),
        (EARLY, {}, "not-yet-effective", "this version is not in force before 2025-05-01"),
        (STEPPED_CARE, {"sbp": 165.0, "pregnant": True}, "safeguard", "barred by a safeguard"),
        (
            STEPPED_CARE,
            {**AT_THREE_MONTHS, "sbp": 85.0},
            "rule-abstains",
            "a pressure this low needs a clinician first",
        ),
    ],
)  # fmt: skip
def test_tr_05_each_reason_has_its_card_and_its_code(
    bundle: RuleBundle, values: dict[str, Any], code: str, summary: str
) -> None:
    decision, found = rendered(bundle, **values)
    (card,) = found.cards
    assert decision.outcome == "abstention"
    assert card["indicator"] == "info"
    assert f"({code})" in card["detail"].split("\n\n")[1]
    assert summary in card["summary"]
    assert card["summary"].startswith("No advice on ")


def test_tr_05_out_of_population_is_no_abstention_and_no_card() -> None:
    decision, found = rendered(age=17.0)
    assert [reason.code for reason in decision.reasons] == ["out-of-population"]
    assert found.cards == []


def test_the_summary_says_in_whole_what_is_missing() -> None:
    assert a_card(sbp=None)["summary"] == (
        "No advice on stepped care for hypertension: no systolic blood pressure in the last 30 days"
    )


def test_what_has_no_window_is_not_on_record() -> None:
    bundle = a_bundle(STEPPED.replace("take: mean, within: P30D", "take: latest"))
    assert a_card(bundle, sbp=None)["summary"].endswith("no systolic blood pressure on record")


def test_what_is_no_measurement_is_not_known() -> None:
    assert a_card(age=None)["summary"].endswith(": age is not known")


def test_what_is_measured_before_an_action_is_not_said_to_be_missing_of_late() -> None:
    bundle = a_bundle(STEPPED.replace("take: mean, within: P30D", "within: P30D, before: ccb"))
    summary = a_card(bundle, sbp=None)["summary"]
    assert summary.endswith(": systolic blood pressure is not known")


def test_an_answer_is_not_known_rather_than_not_measured() -> None:
    asked = "  asked: {from: observation, codes: [loinc|82810-3], within: P30D, label: Asked,"
    answers = " answers: {snomed|77386006: pregnant}}"
    text = STEPPED.replace("actions:", f"{asked}{answers}\nactions:", 1)
    text = text.replace("when: step is none", "when: asked is pregnant")
    summary = a_card(a_bundle(text))["summary"]
    assert summary.endswith(": asked is not known")


def test_a_safeguard_is_named_in_the_summary() -> None:
    assert a_card(sbp=165.0, pregnant=True)["summary"] == (
        "No advice on stepped care for hypertension: barred by a safeguard: ACE inhibitors harm "
        "the fetus and raise potassium"
    )


def test_several_missing_inputs_are_counted() -> None:
    card = a_card(age=None, hypertension=None)
    assert card["summary"].endswith(": age is not known, and 1 more input")
    card = a_card(**{**AT_THREE_MONTHS, "step": None, "weeks": None, "age": None})
    assert card["summary"].endswith(": age is not known")


def test_a_site_may_turn_abstentions_off() -> None:
    _, found = rendered(context=a_context(show_abstentions=False), sbp=None)
    assert (found.cards, found.receipts) == ([], ())


def test_075_an_abstention_suggests_nothing_and_offers_nothing_to_override() -> None:
    card = a_card(sbp=None)
    assert not {"suggestions", "selectionBehavior", "overrideReasons"} & set(card)


def test_an_abstention_shows_what_remains_possible_and_what_would_settle_it() -> None:
    detail = a_card(sbp=None)["detail"]
    assert "- Advise diet and exercise: remains possible." in detail
    assert "- Start lisinopril 10 mg daily: remains possible." in detail
    assert "| Systolic blood pressure | *missing* |  |  |  | absent |" in detail
    assert detail.count("- Systolic blood pressure: nothing on record") == 1


def test_a_safeguard_whose_input_is_missing_says_so() -> None:
    detail = a_card(pregnant=None)["detail"]
    assert "barred by a safeguard, an input of which is missing." in detail
    assert "- Pregnant: nothing on record, and the search was complete (absent)" in detail


def test_a_stale_value_shows_when_it_was_last_known() -> None:
    detail = a_card(**gone("stale"))["detail"]
    assert "| Systolic blood pressure | *missing* |  | 2025-01-07 |  | stale |" in detail


def test_a_version_out_of_date_shows_neither_basis_nor_path() -> None:
    detail = a_card(EXPIRED)["detail"]
    assert not re.search(r"\*\*(Basis|Path|Options)\*\*", detail)


def test_an_attack_an_abstention_says_its_reasons_and_no_words_of_a_branch() -> None:
    decision, _ = rendered(**{**AT_THREE_MONTHS, "sbp": 85.0})
    said = "It cannot be told whether: this or that holds."
    unsure = replace(decision, reasons=(Reason("rule-abstains", said),))
    found = a_renderer().render(unsure, a_history(STEPPED_CARE), a_context())
    why = found.cards[0]["detail"].split("\n\n**Basis**")[0]
    assert why == f"**Why there is no advice**\n\n- {said} (rule-abstains)"
    assert found.cards[0]["summary"].endswith("it cannot be told whether: this or that holds")
