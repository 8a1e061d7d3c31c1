"""A draft order is valid FHIR R4, complete enough to be signed, and says nothing of when.

``authoredOn`` is left out: an order is authored when a clinician signs it, and the instant of the
decision stands on the card.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from fhir.resources.R4B.medicationrequest import MedicationRequest
from fhir.resources.R4B.servicerequest import ServiceRequest

from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.code import full_code

if TYPE_CHECKING:
    from pydantic import BaseModel

Resource = dict[str, Any]

_SUBJECT = "Patient/{}"


def order_text(action: Action) -> str:
    """Return what is ordered, as a person reads it."""
    return (action.order.text if action.order else None) or action.label


def draft_order(action: Action, patient_id: str) -> Resource | None:
    """Build the draft order of an action for one patient; None where it orders nothing.

    Raises:
        ValueError: the order is no valid FHIR R4 resource.
    """
    order = action.order
    if order is None:
        return None
    text = order_text(action)
    system, bare = full_code(order.code)
    # Some clients take over the text and the first coding alone, so both say all.
    concept = {"coding": [{"system": system, "code": bare, "display": text}], "text": text}
    content: Resource = {
        "resourceType": order.resource,
        "status": "draft",
        "intent": "proposal",
        "subject": {"reference": _SUBJECT.format(patient_id)},
    }
    model: type[BaseModel] = ServiceRequest
    field = "code"
    if order.resource == "MedicationRequest":
        model, field = MedicationRequest, "medicationCodeableConcept"
        if order.dosage:
            content["dosageInstruction"] = [{"text": order.dosage}]
    built = model.model_validate({**content, field: concept})
    return built.model_dump(mode="json", exclude_none=True)


class OrderForms:
    """The draft orders of a catalogue, built and validated once; a request fills in the patient.

    Args:
        actions: the catalogue; every order in it is validated here, before any patient comes.
    """

    def __init__(self, actions: Mapping[str, Action]) -> None:
        self._forms: dict[str, bytes] = {}
        for name, action in actions.items():
            order = draft_order(action, "example")
            if order is not None:
                self._forms[name] = msgspec.json.encode(order)

    def order(self, action: str, patient_id: str) -> Resource | None:
        """Return a fresh copy of the action's order for a patient; None where it has none."""
        form = self._forms.get(action)
        if form is None:
            return None
        order: Resource = msgspec.json.decode(form)
        order["subject"] = {"reference": _SUBJECT.format(patient_id)}
        return order
