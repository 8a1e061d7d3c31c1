"""Each outcome has its card, or none."""

import json
from typing import Any

import pytest
from builders.cards import (
    AS_OF,
    AT_THREE_MONTHS,
    SCORED,
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

from cds_adapters.cds_hooks.cards import CardRenderer, render
from cds_adapters.storage.records import CardReceipt
from cds_engine.decide.decide import decide
from cds_engine.vocabulary.time import DAY


def test_a_recommendation_is_one_card_of_information() -> None:
    decision, found = rendered()
    assert decision.outcome == "recommendation"
    (card,) = found.cards
    assert card["indicator"] == "info"
    assert card["summary"] == "Consider: Advise diet and exercise"
    assert "**Why:** Diet and exercise come first." in card["detail"]


def test_a_recommendation_offers_the_advised_order_and_marks_it() -> None:
    card = a_card()
    (suggestion,) = card["suggestions"]
    assert suggestion["label"] == "Advise diet and exercise"
    assert suggestion["isRecommended"] is True
    assert card["selectionBehavior"] == "at-most-one"


def test_equipoise_offers_each_candidate_and_recommends_none() -> None:
    decision, found = rendered(**AT_THREE_MONTHS)
    (card,) = found.cards
    assert decision.outcome == "equipoise"
    assert [s["label"] for s in card["suggestions"]] == [
        "Start lisinopril 10 mg daily",
        "Start amlodipine 5 mg daily",
    ]
    assert not any("isRecommended" in s for s in card["suggestions"])
    assert card["summary"].startswith("Consider one of 2 equal options: ")


def test_advice_without_an_order_can_still_be_accepted() -> None:
    card = a_card(**AT_THREE_MONTHS, sbp=210.0)
    (suggestion,) = card["suggestions"]
    assert suggestion["label"] == "Refer to a specialist"
    assert "actions" not in suggestion


def test_098_no_change_shows_no_card() -> None:
    decision, found = rendered(sbp=120.0)
    assert decision.outcome == "no_change"
    assert (found.cards, found.receipts) == ([], ())


@pytest.mark.parametrize("values", [{"age": 17.0}, {"hypertension": False}, {"deceased": True}])
def test_a_regime_that_is_not_for_the_patient_shows_no_card(values: dict[str, Any]) -> None:
    decision, found = rendered(**values)
    assert decision.outcome == "not_applicable"
    assert found.cards == []


def test_an_action_put_in_the_place_of_a_barred_one_is_a_warning() -> None:
    card = a_card(sbp=185.0, pregnant=True)
    assert card["indicator"] == "warning"
    assert card["summary"] == "Consider: Start amlodipine 5 mg daily"
    assert "“Start lisinopril 10 mg daily”, which is barred." in card["detail"]
    assert "ACE inhibitors harm the fetus and raise potassium." in card["detail"]


def test_a_safeguard_that_changes_nothing_is_no_warning() -> None:
    card = a_card(pregnant=True)
    assert card["indicator"] == "info"
    assert "Start lisinopril 10 mg daily: barred by a safeguard." in card["detail"]


def test_equipoise_from_which_a_safeguard_took_an_action_is_a_warning() -> None:
    card = a_card(**AT_THREE_MONTHS, pregnant=True)
    assert card["indicator"] == "warning"
    assert [s["label"] for s in card["suggestions"]] == ["Start amlodipine 5 mg daily"]


def test_scores_from_which_a_safeguard_took_the_best_are_a_warning() -> None:
    assert a_card(SCORED_CARE)["indicator"] == "info"
    card = a_card(SCORED_CARE, bmi=50.0)
    assert card["indicator"] == "warning"
    assert card["summary"] == "Consider: Start a calcium blocker"


def test_scores_whose_best_was_not_removed_are_information() -> None:
    # the barred action is scored, and loses
    card = a_card(SCORED_CARE, bmi=50.0, diabetes=False, age=20.0)
    assert card["indicator"] == "info"


def test_scores_are_shown_as_the_bundle_counts_them() -> None:
    detail = a_card(SCORED_CARE)["detail"]
    assert "Scores (lower is better; within 0.5 mm\\[Hg\\] is equal):" in detail
    assert "  - Start an ACE inhibitor: 145 mm\\[Hg\\]" in detail
    assert "  - Start both: 155 mm\\[Hg\\]" in detail
    assert "- Start both: it scores worse." in detail


def test_an_action_that_could_not_be_compared_is_said_to_be() -> None:
    detail = a_card(SCORED_CARE, age=80.0)["detail"]
    assert "- Start both: the data could not compare it for such a patient." in detail


def test_073_the_source_is_the_regime_with_its_address() -> None:
    assert a_card()["source"] == {
        "label": "Stepped care for hypertension",
        "url": "https://example.org/guideline",
    }
    assert a_card(SCORED_CARE)["source"] == {"label": "Choice of a drug by scores"}


@pytest.mark.parametrize("source", ["guideline.html", "javascript:alert(1)", "ftp://x.org/y", ""])
def test_073_an_address_that_is_not_absolute_is_left_out(source: str) -> None:
    bundle = a_bundle(STEPPED.replace("https://example.org/guideline", f'"{source}"'))
    assert "url" not in a_card(bundle)["source"]


def test_092_links_are_absolute_and_lead_to_this_decision_and_this_version() -> None:
    _, found = rendered(context=a_context(base_url="https://cds.example.org/"))
    assert found.cards[0]["links"] == [
        {
            "label": "Basis of this decision",
            "url": "https://cds.example.org/decisions/8a4c2f6e-0000-4000-8000-000000000001",
            "type": "absolute",
        },
        {
            "label": "The regime, version 1.2.0",
            "url": "https://cds.example.org/regimes/stepped-care/1.2.0",
            "type": "absolute",
        },
    ]


def test_097_131_a_card_names_rule_version_stage_and_decision() -> None:
    card = a_card()
    assert card["extension"] == {
        "org.cds-engine.rule": {
            "regime": "stepped-care",
            "version": "1.2.0",
            "digest": STEPPED_CARE.digest,
            "stage": "baseline",
            "decision": "8a4c2f6e-0000-4000-8000-000000000001",
        }
    }
    assert "`stepped-care@1.2.0`" in card["detail"]
    assert STEPPED_CARE.digest[:19] in card["detail"]
    assert "decision `8a4c2f6e-0000-4000-8000-000000000001`" in card["detail"]


def test_131_a_card_without_a_stage_leaves_it_out() -> None:
    card = a_card(step="ccb")
    assert "stage" not in card["extension"]["org.cds-engine.rule"]


def test_077_a18_override_reasons_have_code_system_and_display() -> None:
    reasons = a_card()["overrideReasons"]
    assert {r["system"] for r in reasons} == {
        "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"
    }
    assert all(r["display"] for r in reasons)
    codes = [r["code"] for r in reasons]
    assert len(codes) == len(set(codes))
    assert {
        "cds-not-applicable", "cds-suboptimal-context", "recipient-disagrees-evidence",
        "recipient-concerns-outcomes", "does-not-align-preferences", "not-convenient-feasible",
        "patient-contraindication", "prefers-alternative",
    } <= set(codes)  # fmt: skip


def test_069_080_receipts_hold_the_identifiers_that_were_sent() -> None:
    _, found = rendered(**AT_THREE_MONTHS)
    assert found.receipts == (CardReceipt("uuid-3", ("uuid-1", "uuid-2")),)
    assert found.cards[0]["uuid"] == "uuid-3"


def test_049_the_same_decision_gives_the_same_content() -> None:
    def content() -> str:
        _, found = rendered(context=a_context(uuid=lambda: "x"))
        return json.dumps(found.cards)

    assert content() == content()


def test_a_changed_card_does_not_change_the_next() -> None:
    first = a_card()
    before = json.dumps(first)
    first["source"]["label"] = "x"
    first["overrideReasons"][0]["code"] = "x"
    first["suggestions"][0]["actions"][0]["resource"]["code"]["text"] = "x"
    assert json.dumps(a_card()) == before


def test_a_renderer_made_before_says_what_one_made_afresh_says() -> None:
    history = a_history()
    decision = decide(STEPPED_CARE, history)
    fresh = render(STEPPED_CARE, decision, history, a_context())
    assert a_renderer().render(decision, history, a_context()) == fresh


def test_a_decision_of_another_copy_of_the_bundle_reads_the_same() -> None:
    other = a_bundle(STEPPED)
    history = a_history(other)
    found = CardRenderer(STEPPED_CARE).render(decide(other, history), history, a_context())
    assert found.cards == [a_card()]


@pytest.mark.parametrize(
    "values", [{}, {"sbp": None}, dict(AT_THREE_MONTHS)], ids=["advice", "abstention", "equipoise"]
)
def test_a_frozen_clock_is_marked_on_every_card(values: dict[str, Any]) -> None:
    _, found = rendered(context=a_context(frozen=True), **values)
    (card,) = found.cards
    assert card["summary"].startswith("[Demonstration: as of 2025-04-07] ")
    assert card["detail"].startswith("**Demonstration: as of 2025-04-07**\n\n")


def test_a_running_clock_is_not_marked() -> None:
    card = a_card()
    assert "Demonstration" not in card["summary"] + card["detail"]


def test_a_card_says_as_of_when_it_speaks() -> None:
    assert "Evaluated as of 2025-04-07 09:30 UTC." in a_card()["detail"]


def test_gv_15_an_overdue_review_is_noted_on_the_card() -> None:
    late = AS_OF + 2000 * DAY
    detail = a_card(as_of=late)["detail"]
    assert "**Note:** This version was due for review by 2030-01-01." in detail
    assert "due for review" not in a_card()["detail"]


def test_a3_a4_a13_use_caution_and_date_of_the_evidence_are_on_the_card() -> None:
    detail = a_card()["detail"]
    assert "**Intended use:** Adults in primary care." in detail
    assert "**Caution:** Not for emergencies." in detail
    assert "Evidence of 2024-06-01." in detail


def test_a16_alternatives_are_shown_with_why_not() -> None:
    detail = a_card()["detail"]
    assert "- Continue and measure again in 3 months: the rule advises it for everybody" in detail
    assert (
        "- Start amlodipine 5 mg daily: the rule advises it in place of a barred option where "
        "Systolic blood pressure is 180 mmHg or higher."
    ) in detail


def test_the_path_names_each_line_with_its_verdict() -> None:
    detail = a_card()["detail"]
    assert "- Population: age is 18 years or higher and hypertension: yes — **holds**" in detail
    assert "- Line 1: Systolic blood pressure is 180 mmHg or higher → Start" in detail
    assert "(if barred: Start amlodipine 5 mg daily) — **does not hold**" in detail
    assert "- Other stages: the other one does not hold" in detail


def test_the_path_tells_which_part_of_a_criterion_decided() -> None:
    detail = a_card(sbp=185.0, pregnant=True)["detail"]
    assert "raise" in detail
    assert "— **holds** (“Pregnant: yes” holds)" in detail


def test_a_long_list_is_counted_not_recited() -> None:
    lines = "".join(
        f"      - {{when: sbp >= {limit}, then: ace}}\n" for limit in range(250, 190, -5)
    )
    text = STEPPED.replace("      - {when: sbp >= 180, then: ace, instead", f"{lines}      - "
                           "{when: sbp >= 180, then: ace, instead", 1)  # fmt: skip
    detail = a_card(a_bundle(text))["detail"]
    assert "- 14 more lines were looked at and do not hold" in detail
    assert "Line 15: Blood pressure is high: yes" in detail


def test_a_branch_without_a_reason_is_explained_by_its_criterion() -> None:
    text = STEPPED.replace(', because: "Diet and exercise come first."', "")
    detail = a_card(a_bundle(text))["detail"]
    assert "**Why:** Blood pressure is high: yes and age is below 80 years." in detail


def test_variables_that_read_the_same_are_told_apart() -> None:
    text = STEPPED.replace("label: Potassium}", "label: Systolic blood pressure}")
    detail = a_card(a_bundle(text))["detail"]
    assert "| Systolic blood pressure (sbp) | 152 |" in detail
    assert "| Systolic blood pressure (potassium) | 4.2 |" in detail


def test_se_10_markup_in_a_bundle_is_shown_not_rendered() -> None:
    detail = a_card(a_bundle(SCORED), bmi=50.0)["detail"]
    assert "Not studied in &lt;severe&gt; obesity." in detail


def test_records_that_were_set_aside_are_named_up_to_a_number() -> None:
    aside = tuple((f"Observation/x{n}", "entered-in-error") for n in range(14))
    detail = a_card(set_aside=aside)["detail"]
    assert "- Not used: Observation/x11: entered-in-error" in detail
    assert "Observation/x12" not in detail
    assert "- and 2 more records that were not used" in detail


@pytest.mark.parametrize("kind", ["AllergyIntolerance", "Condition", "MedicationRequest"])
def test_an_attack_a_listed_item_set_aside_is_named_before_any_observation(kind: str) -> None:
    aside = tuple((f"Observation/x{n}", "entered-in-error") for n in range(30))
    detail = a_card(set_aside=(*aside, (f"{kind}/a", "only text")))["detail"]
    assert detail.index(f"{kind}/a: only text") < detail.index("Observation/x0")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (3, None),
        (4, "1 more caution is on the decision's page."),
        (6, "3 more cautions are on the decision's page."),
    ],
)
def test_a4_cautions_that_the_card_has_no_room_for_are_announced(
    count: int, words: str | None
) -> None:
    cautions = ", ".join(f"Beware of {number}." for number in range(count))
    text = STEPPED.replace("cautions: [Not for emergencies.]", f"cautions: [{cautions}]")
    detail = a_card(a_bundle(text), sbp=150.0)["detail"]
    assert detail.count("**Caution:**") == 3
    assert (words is None) is ("more caution" not in detail)
    assert words is None or words in detail
