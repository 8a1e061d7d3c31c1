"""Draft orders are valid FHIR and complete before any patient comes."""

from typing import Any

import pytest
from builders.cards import STEPPED_CARE, UNHURRIED, a_card
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.cds_hooks.orders import OrderForms, draft_order
from cds_engine.vocabulary.action import Action, Order

MODELS: dict[str, Any] = {"MedicationRequest": MedicationRequest, "ServiceRequest": ServiceRequest}
ORDERED = [name for name, action in STEPPED_CARE.actions.items() if action.order]
FORMS = OrderForms(STEPPED_CARE.actions)


@pytest.mark.parametrize("action", ORDERED)
def test_089_an_order_is_a_draft_and_a_proposal_for_this_patient(action: str) -> None:
    order = draft_order(STEPPED_CARE.actions[action], "p1") or {}
    assert (order["status"], order["intent"]) == ("draft", "proposal")
    assert order["subject"] == {"reference": "Patient/p1"}


@pytest.mark.parametrize("action", ORDERED)
def test_005_an_order_is_standard_fhir_json(action: str) -> None:
    order = draft_order(STEPPED_CARE.actions[action], "p1") or {}
    model = MODELS[order["resourceType"]].model_validate(order)
    assert model.model_dump(mode="json", exclude_none=True) == order


def test_089_text_and_first_coding_both_say_what_is_ordered() -> None:
    order = draft_order(STEPPED_CARE.actions["ace"], "p1") or {}
    assert order["medicationCodeableConcept"] == {
        "text": "lisinopril 10 MG Oral Tablet",
        "coding": [
            {
                "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
                "code": "314076",
                "display": "lisinopril 10 MG Oral Tablet",
            }
        ],
    }
    assert order["dosageInstruction"] == [{"text": "1 tablet by mouth once a day"}]


def test_without_a_text_the_label_says_what_is_ordered() -> None:
    order = draft_order(STEPPED_CARE.actions["lifestyle"], "p1") or {}
    assert order["resourceType"] == "ServiceRequest"
    assert order["code"]["text"] == "Advise diet and exercise"
    assert "dosageInstruction" not in order


def test_an_order_does_not_say_when_it_was_authored() -> None:
    assert "authoredOn" not in (draft_order(STEPPED_CARE.actions["ace"], "p1") or {})


def test_an_action_without_an_order_orders_nothing() -> None:
    assert draft_order(STEPPED_CARE.actions["monitor"], "p1") is None
    assert FORMS.order("monitor", "p1") is None


@UNHURRIED
@given(st.sampled_from(ORDERED), st.text(min_size=1, max_size=64))
def test_a_prepared_order_equals_one_built_afresh(action: str, patient: str) -> None:
    fresh = draft_order(STEPPED_CARE.actions[action], patient.encode(errors="ignore").decode())
    assert FORMS.order(action, patient.encode(errors="ignore").decode()) == fresh


def test_a_changed_order_does_not_change_the_next() -> None:
    order = FORMS.order("ace", "p1") or {}
    order["medicationCodeableConcept"]["coding"][0]["code"] = "0"
    assert FORMS.order("ace", "p1") == draft_order(STEPPED_CARE.actions["ace"], "p1")


def test_an_order_that_is_no_fhir_is_refused_at_the_start() -> None:
    fields: dict[str, Any] = {"resource": "MedicationRequest", "code": "rxnorm|1", "dosage": 7}
    broken = Action(label="Start", order=Order.model_construct(**fields))
    with pytest.raises(ValueError, match="dosageInstruction"):
        OrderForms({"start": broken})


def test_085_an_action_of_a_suggestion_says_what_it_does() -> None:
    (suggestion,) = a_card()["suggestions"]
    (step,) = suggestion["actions"]
    assert step["type"] == "create"
    assert step["description"] == "Draft an order: Advise diet and exercise"
