"""Draft orders that are barred or not advised get a card; those that agree get none."""

from typing import Any

import pytest
from builders.cards import (
    AT_THREE_MONTHS,
    STEPPED,
    STEPPED_CARE,
    a_bundle,
    a_context,
    rendered,
)

from cds_adapters.cds_hooks.critique import Critic
from cds_adapters.cds_hooks.drafts import Draft, read_drafts
from cds_engine.bundle.model import RuleBundle

ACE = Draft("MedicationRequest/ace", "MedicationRequest", ("rxnorm|29046",))
ACE_ORDERED = Draft("MedicationRequest/ace2", "MedicationRequest", ("rxnorm|314076",))
CCB = Draft("MedicationRequest/ccb", "MedicationRequest", ("rxnorm|17767",))
LIFESTYLE = Draft("ServiceRequest/diet", "ServiceRequest", ("snomed|443402002",))
OTHER = Draft("MedicationRequest/x", "MedicationRequest", ("rxnorm|161",), "paracetamol")
EXPIRED = a_bundle(STEPPED.replace("review_by:", "expires: '2025-04-06'\nreview_by:"))


def cards(
    *drafts: Draft,
    bundle: RuleBundle = STEPPED_CARE,
    show_abstentions: bool = True,
    **values: Any,
) -> list[dict[str, Any]]:
    context = a_context("order-select", show_abstentions=show_abstentions)
    return rendered(bundle, context, list(drafts), **values)[1].cards


def steps(suggestion: dict[str, Any]) -> list[tuple[str, str]]:
    """Return type and target of each step of a suggestion."""
    return [
        (step["type"], step.get("resourceId") or step["resource"]["resourceType"])
        for step in suggestion["actions"]
    ]


# ---- what is barred ---------------------------------------------------------------------------


def test_a_draft_that_a_safeguard_forbids_is_critical() -> None:
    card, *rest = cards(ACE, pregnant=True)
    assert card["indicator"] == "critical"
    assert card["summary"] == (
        "Safeguard against “Start lisinopril 10 mg daily”: ACE inhibitors harm the fetus and "
        "raise potassium"
    )
    assert "**Safeguard:** ACE inhibitors harm the fetus and raise potassium." in card["detail"]
    assert "| Pregnant | yes |" in card["detail"]
    assert "(“Pregnant: yes” holds)" in card["detail"]
    assert rest == []


def test_a_safeguard_that_cannot_be_told_is_critical_and_says_what_is_missing() -> None:
    (card,) = cards(ACE, pregnant=None)
    assert card["indicator"] == "critical"
    assert card["summary"] == (
        "Safeguard not cleared for “Start lisinopril 10 mg daily”: pregnant is not known"
    )
    assert "**cannot be told**" in card["detail"]
    assert "- Pregnant: nothing on record, and the search was complete (absent)" in card["detail"]


def test_all_missing_inputs_of_a_safeguard_are_counted() -> None:
    (card,) = cards(ACE, pregnant=None, potassium=None)
    assert card["summary"].endswith("pregnant is not known, and 1 more input")


def test_a_safeguard_that_is_definitely_false_bars_nothing() -> None:
    assert [card["indicator"] for card in cards(ACE)] == ["warning"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"step": "ccb"}, id="at no stage"),
        pytest.param({"sbp": None}, id="under an abstention for another reason"),
        pytest.param({"sbp": 120.0}, id="where no change is advised"),
        pytest.param({"age": None}, id="where the population cannot be told"),
        pytest.param({"step": "lifestyle", "weeks": 2.0}, id="between two stages"),
    ],
)
def test_a_safeguard_holds_whatever_the_outcome(values: dict[str, Any]) -> None:
    (card,) = cards(ACE, pregnant=True, **values)
    assert card["indicator"] == "critical"


def test_a_safeguard_holds_for_an_action_that_the_stage_does_not_offer() -> None:
    bundle = a_bundle(STEPPED.replace("never: [ace]", "never: [ace, lifestyle]"))
    (card,) = cards(LIFESTYLE, bundle=bundle, pregnant=True, **AT_THREE_MONTHS)
    assert card["indicator"] == "critical"


def test_a_code_that_only_the_order_has_is_recognised_too() -> None:
    (card,) = cards(ACE_ORDERED, pregnant=True)
    assert card["indicator"] == "critical"


def test_two_drafts_of_one_barred_action_get_one_card_that_removes_both() -> None:
    (card,) = cards(ACE, ACE_ORDERED, pregnant=True, sbp=120.0)
    (removal,) = card["suggestions"]
    assert steps(removal) == [
        ("delete", "MedicationRequest/ace"),
        ("delete", "MedicationRequest/ace2"),
    ]


def test_every_safeguard_that_bars_a_draft_is_named() -> None:
    text = STEPPED.replace(
        "stages:\n", "  - {never: [ace], when: age > 50, because: Too old for it.}\nstages:\n", 1
    )
    (card,) = cards(ACE, bundle=a_bundle(text), pregnant=None)
    assert card["summary"].endswith("too old for it")
    assert "**Safeguard:** Too old for it." in card["detail"]
    assert "**Safeguard:** ACE inhibitors harm the fetus" in card["detail"]


def test_a_barred_draft_is_offered_the_advice_in_its_place_and_its_removal() -> None:
    (card,) = cards(ACE, pregnant=True)
    replace, remove = card["suggestions"]
    assert replace["label"] == "Advise diet and exercise"
    assert replace["isRecommended"] is True
    assert steps(replace) == [("delete", "MedicationRequest/ace"), ("create", "ServiceRequest")]
    assert remove["label"] == "Remove the draft order: Start lisinopril 10 mg daily"
    assert steps(remove) == [("delete", "MedicationRequest/ace")]


def test_088_a_draft_that_cannot_be_named_is_not_deleted() -> None:
    nameless = Draft("", "MedicationRequest", ("rxnorm|29046",))
    (card,) = cards(nameless, pregnant=True)
    assert [steps(s) for s in card["suggestions"]] == [[("create", "ServiceRequest")]]


# ---- what is not advised ----------------------------------------------------------------------


def test_a_draft_that_differs_from_the_advice_is_a_warning_with_the_alternative() -> None:
    (card,) = cards(CCB)
    assert card["indicator"] == "warning"
    assert card["summary"] == (
        "The draft order differs from the advice; consider: Advise diet and exercise"
    )
    assert card["detail"].startswith(
        "A draft orders: Start amlodipine 5 mg daily.\n\n"
        "Advised at this stage: Advise diet and exercise."
    )
    (suggestion,) = card["suggestions"]
    assert steps(suggestion) == [("delete", "MedicationRequest/ccb"), ("create", "ServiceRequest")]


def test_where_several_are_equally_good_each_is_an_alternative() -> None:
    (card,) = cards(LIFESTYLE, **AT_THREE_MONTHS)
    assert [s["label"] for s in card["suggestions"]] == [
        "Start lisinopril 10 mg daily",
        "Start amlodipine 5 mg daily",
    ]
    assert not any("isRecommended" in s for s in card["suggestions"])


def test_several_drafts_that_differ_get_one_card() -> None:
    (card,) = cards(ACE, CCB)
    assert "A draft orders: Start lisinopril 10 mg daily; Start amlodipine" in card["detail"]
    (suggestion,) = card["suggestions"]
    assert [kind for kind, _ in steps(suggestion)] == ["delete", "delete", "create"]


def test_the_alternative_is_offered_once_among_all_cards() -> None:
    critical, warning = cards(ACE, CCB, pregnant=True)
    assert [s["label"] for s in critical["suggestions"]] == [
        "Advise diet and exercise",
        "Remove the draft order: Start lisinopril 10 mg daily",
    ]
    assert "suggestions" not in warning


def test_a_draft_where_no_change_is_advised_is_a_warning() -> None:
    (card,) = cards(CCB, sbp=120.0)
    assert card["indicator"] == "warning"
    assert card["summary"].startswith("The regime advises to continue without change")
    assert "Advised at this stage: Continue and measure again in 3 months." in card["detail"]
    assert "suggestions" not in card


def test_a_draft_under_an_abstention_gets_the_abstention() -> None:
    (card,) = cards(CCB, sbp=None)
    assert card["indicator"] == "info"
    assert card["summary"].startswith("No advice on stepped care")
    assert cards(CCB, sbp=None, show_abstentions=False) == []


# ---- what gets nothing ------------------------------------------------------------------------


def test_a_draft_that_agrees_gets_nothing() -> None:
    assert cards(LIFESTYLE) == []
    assert cards(CCB, **AT_THREE_MONTHS) == []
    assert cards(ACE, **AT_THREE_MONTHS) == []


def test_a_draft_of_the_action_that_changes_nothing_agrees_with_no_change() -> None:
    measure = Draft("ServiceRequest/bp", "ServiceRequest", ("loinc|85354-9",))
    assert cards(measure, sbp=120.0) == []


def test_000_what_the_drafts_contain_is_not_suggested_again() -> None:
    """After an accepted suggestion some clients call again with both orders."""
    (card,) = cards(CCB, LIFESTYLE)
    assert card["indicator"] == "warning"
    assert "suggestions" not in card
    background = Draft("ServiceRequest/d", "ServiceRequest", ("snomed|443402002",), selected=False)
    (card,) = cards(CCB, background)
    assert "suggestions" not in card


def test_a_draft_that_is_no_action_of_the_regime_gets_nothing() -> None:
    assert cards(OTHER, pregnant=True) == []


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_order_hooks_suggest_nothing_unasked(hook: str) -> None:
    decision, found = rendered(context=a_context(hook), drafts=[])
    assert decision.outcome == "recommendation"
    assert found.cards == []
    assert rendered(context=a_context(hook))[1].cards == []


@pytest.mark.parametrize("values", [{"age": 17.0}, {"deceased": True}])
def test_a_patient_outside_the_population_gets_nothing(values: dict[str, Any]) -> None:
    assert cards(ACE, pregnant=True, **values) == []


def test_a_version_out_of_date_criticises_nothing() -> None:
    assert cards(ACE, bundle=EXPIRED, pregnant=True) == []


def test_120_a_draft_that_was_not_selected_is_background() -> None:
    background = Draft("MedicationRequest/a", "MedicationRequest", ACE.codes, selected=False)
    assert cards(background, pregnant=True) == []


def test_an_order_not_to_give_something_is_no_order_for_it() -> None:
    stop = Draft("MedicationRequest/a", "MedicationRequest", ACE.codes, do_not_perform=True)
    assert cards(stop, pregnant=True) == []


# ---- codes that mean several actions ----------------------------------------------------------

AMBIGUOUS = a_bundle(STEPPED.replace("code: rxnorm|197361", "code: rxnorm|29046"))


def test_a_draft_that_may_be_what_is_advised_agrees() -> None:
    assert cards(ACE, bundle=AMBIGUOUS, sbp=185.0) == []


def test_a_draft_that_may_be_barred_is_barred_even_if_it_may_be_what_is_advised() -> None:
    (card,) = cards(ACE, bundle=AMBIGUOUS, pregnant=True, sbp=185.0)
    assert card["indicator"] == "critical"


def test_a_draft_that_may_be_barred_is_barred() -> None:
    (card,) = cards(ACE, bundle=AMBIGUOUS, pregnant=True)
    assert card["indicator"] == "critical"


def test_a_code_is_recognised_however_the_bundle_writes_its_system() -> None:
    full = "http://www.nlm.nih.gov/research/umls/rxnorm|29046"
    bundle = a_bundle(STEPPED.replace("[rxnorm|29046]", f'["{full}"]'))
    assert Critic(bundle).recognised(ACE) == ("ace",)


def test_the_drafts_of_a_lenient_client_are_criticised() -> None:
    coding = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "29046"}
    order = {
        "resourceType": "MedicationRequest",
        "id": "a",
        "category": {"coding": []},
        "medicationCodeableConcept": {"coding": [coding]},
    }
    context = {
        "selections": ["MedicationRequest/a"],
        "draftOrders": {"resourceType": "Bundle", "entry": [{"resource": order}]},
    }
    (card,) = cards(*read_drafts(context, "order-select"), pregnant=True)
    assert card["indicator"] == "critical"


# ---- what cannot be recognised ----------------------------------------------------------------

LOCAL = Draft("MedicationRequest/l", "MedicationRequest", ("urn:own|L1",), "lisinopril")


def test_a_draft_in_a_code_system_the_regime_does_not_use_is_said_to_be_unrecognised() -> None:
    (card,) = cards(LOCAL)
    assert (card["indicator"], card.get("overrideReasons")) == ("info", None)
    assert card["summary"] == (
        "The order could not be recognised: its code is in a system this regime does not use"
    )
    assert card["detail"].startswith(
        "1 draft order is coded in no system that the options of this regime are coded in "
        "(loinc, rxnorm, snomed), so that nobody can tell whether one of them is ordered."
    )
    assert "No safeguard of this regime was applied." in card["detail"]
    (both,) = cards(LOCAL, LOCAL)
    assert both["summary"].startswith("2 orders could not be recognised: their codes are in")


@pytest.mark.parametrize(
    "draft",
    [
        pytest.param(OTHER, id="another drug in a system of the regime"),
        pytest.param(
            Draft("", "MedicationRequest", ("urn:own|L1", "rxnorm|161")), id="both systems"
        ),
        pytest.param(Draft("", "MedicationRequest", ("urn:own|1",), "", True), id="not to do"),
        pytest.param(
            Draft("", "MedicationRequest", ("urn:own|1",), "", False, False), id="unselected"
        ),
        pytest.param(Draft("", "ServiceRequest", ("urn:own|1",)), id="a service"),
        pytest.param(Draft("", "ServiceRequest", (), "X-ray", unread="in words"), id="in words"),
    ],
)
def test_other_drafts_stay_without_a_card(draft: Draft) -> None:
    assert cards(draft) == []


def test_a_service_in_words_is_asked_about_where_a_safeguard_bars_a_service() -> None:
    bars = a_bundle(STEPPED.replace("never: [ace]", "never: [ace, lifestyle]"))
    words = Draft("", "ServiceRequest", (), "exercise", unread="in words")
    (card,) = cards(words, bundle=bars)
    assert card["indicator"] == "info"


def test_a_medication_in_words_is_still_a_warning() -> None:
    (card,) = cards(Draft("", "MedicationRequest", (), "a pill", unread="in words"))
    assert card["indicator"] == "warning"
