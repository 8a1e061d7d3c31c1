"""CDS_HOOKS.md, section G: the context of every hook."""

from typing import Any

import pytest
from builders.hook_calls import CONTEXTS, Json, Served, diagnostics, hook_body

from cds_adapters.cds_hooks.discovery import Offer
from cds_adapters.cds_hooks.hooks import HOOKS, SERVED

ALL = Offer(hooks=tuple(HOOKS.values()))
LINES = {name: 111 + index for index, name in enumerate(HOOKS)}
FIELDS = [
    pytest.param(hook.name, field.name, id=f"{LINES[hook.name]}-{hook.name}-{field.name}")
    for hook in HOOKS.values()
    for field in hook.fields
    if field.required
]


def call(hook: str, **context: Any) -> Any:
    body = hook_body(hook)
    body["context"] |= context
    return Served(offer=ALL).call(body, f"pressure-{hook}")


def test_111_to_117_the_table_has_all_hooks_in_their_published_versions() -> None:
    assert {hook.name: hook.version for hook in HOOKS.values()} == {
        "patient-view": "1.0",
        "order-select": "1.0",
        "order-sign": "1.0",
        "order-dispatch": "1.1",
        "encounter-start": "1.0",
        "encounter-discharge": "1.0",
        "appointment-book": "1.0",
    }


def test_111_to_116_five_hooks_are_served_unless_others_are_asked_for() -> None:
    assert [hook.name for hook in SERVED] == [
        "patient-view", "order-select", "order-sign", "encounter-start", "encounter-discharge",
    ]  # fmt: skip


@pytest.mark.parametrize("hook", [pytest.param(h, id=f"{LINES[h]}-{h}") for h in HOOKS])
def test_111_to_117_the_contexts_as_published_are_accepted(hook: str) -> None:
    assert call(hook).status_code == 200
    assert call(hook, encounterId="e-1").status_code == 200


@pytest.mark.parametrize(("hook", "field"), FIELDS)
@pytest.mark.parametrize("value", [None, 5])
def test_118_a_required_field_that_is_missing_or_wrong_is_named(
    hook: str, field: str, value: object
) -> None:
    answer = call(hook, **{field: value})
    assert answer.status_code == 400
    assert f"context.{field}" in diagnostics(answer)


@pytest.mark.parametrize(("hook", "field"), FIELDS)
def test_118_a_required_field_that_is_absent_is_named(hook: str, field: str) -> None:
    body = hook_body(hook)
    del body["context"][field]
    answer = Served(offer=ALL).call(body, f"pressure-{hook}")
    assert answer.status_code == 400
    assert diagnostics(answer) == f"context.{field}: is missing; {hook} requires it"


@pytest.mark.parametrize("patient", ["Patient/patient-1", "", "a b", "a/b", "x" * 65, "a\n", "é"])
def test_118_a_patient_is_a_bare_id(patient: str) -> None:
    answer = call("patient-view", patientId=patient)
    assert answer.status_code == 400
    assert "send the id alone" in diagnostics(answer)


@pytest.mark.parametrize("user", ["1", "Practitioner", "Practitioner/", "Device/1", "x/Patient/1"])
def test_111_a_user_is_a_reference_to_a_person(user: str) -> None:
    answer = call("patient-view", userId=user)
    assert answer.status_code == 400
    assert "context.userId" in diagnostics(answer)


@pytest.mark.parametrize(
    "user", ["Practitioner/1", "PractitionerRole/1", "Patient/1", "RelatedPerson/1"]
)
def test_111_117_all_kinds_of_users_are_taken(user: str) -> None:
    assert call("patient-view", userId=user).status_code == 200


@pytest.mark.parametrize("selections", [["", "x/1"], "MedicationRequest/1", [5], [None]])
def test_112_selections_are_a_list_of_references(selections: object) -> None:
    answer = call("order-select", selections=selections)
    assert answer.status_code == 400
    assert "context.selections" in diagnostics(answer)


@pytest.mark.parametrize("drafts", [{}, {"resourceType": "Patient"}, [], "x"])
def test_112_113_draft_orders_are_a_bundle(drafts: object) -> None:
    for hook in ("order-select", "order-sign"):
        answer = call(hook, draftOrders=drafts)
        assert answer.status_code == 400
        assert "context.draftOrders" in diagnostics(answer)


def test_114_dispatch_needs_no_user() -> None:
    assert "userId" not in CONTEXTS["order-dispatch"]
    assert call("order-dispatch").status_code == 200
    assert call("order-dispatch", performer="nobody").status_code == 400
    assert call("order-dispatch", fulfillmentTasks={"a": 1}).status_code == 400


def drafts(*resources: Json) -> Json:
    return {"resourceType": "Bundle", "entry": [{"resource": r} for r in resources]}


def test_119_drafts_may_lack_nearly_everything() -> None:
    sandbox = {
        "resourceType": "MedicationRequest",
        "id": "draft-1",
        "category": {"coding": [{"code": "community"}]},
        "subject": "somebody",
        "dosageInstruction": {},
    }
    for hook in ("order-select", "order-sign"):
        assert call(hook, draftOrders=drafts(sandbox, {}, {"resourceType": "X"})).status_code == 200


def test_120_a_draft_that_contradicts_the_advice_gets_a_card() -> None:
    coding = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "314076"}
    draft = {
        "resourceType": "MedicationRequest",
        "id": "draft-1",
        "medicationCodeableConcept": {"coding": [coding]},
    }
    for hook in ("order-select", "order-sign"):
        cards = call(hook, draftOrders=drafts(draft)).json()["cards"]
        assert len(cards) == 1


def test_116_discharge_requires_the_encounter_that_other_hooks_may_omit() -> None:
    assert call("encounter-discharge", encounterId=None).status_code == 400
    assert call("patient-view", encounterId=None).status_code == 200
