"""Draft orders are read as they come; what is missing from them is no error."""

from typing import Any

import pytest
from builders.cards import UNHURRIED
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.cds_hooks.drafts import read_drafts

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def a_prescription(own_id: str | None = "d1", code: str = "29046", **fields: Any) -> dict[str, Any]:
    concept = {"text": "lisinopril", "coding": [{"system": RXNORM, "code": code}]}
    order: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "status": "draft",
        "medicationCodeableConcept": concept,
    }
    if own_id is not None:
        order["id"] = own_id
    return {**order, **fields}


def a_context(*orders: Any, selections: Any = None, **bundle: Any) -> dict[str, Any]:
    entries = [{"resource": order} for order in orders]
    context: dict[str, Any] = {
        "draftOrders": {"resourceType": "Bundle", "entry": entries, **bundle}
    }
    if selections is not None:
        context["selections"] = selections
    return context


def test_119_a_draft_without_intent_and_a_bundle_without_type_are_read() -> None:
    (draft,) = read_drafts(a_context(a_prescription()), "order-sign")
    assert draft.reference == "MedicationRequest/d1"
    assert draft.codes == ("rxnorm|29046",)
    assert draft.text == "lisinopril"
    assert draft.selected
    assert not draft.do_not_perform


def test_119_a_category_that_is_an_object_does_no_harm() -> None:
    order = a_prescription(category={"coding": {"code": "outpatient"}})
    assert len(read_drafts(a_context(order), "order-sign")) == 1


def test_119_a_coding_that_is_an_object_counts_as_a_list_of_one() -> None:
    order = a_prescription(
        medicationCodeableConcept={"coding": {"system": RXNORM, "code": "1", "display": "drug"}}
    )
    (draft,) = read_drafts(a_context(order), "order-sign")
    assert (draft.codes, draft.text) == (("rxnorm|1",), "drug")


def test_119_a_draft_without_medication_has_no_codes() -> None:
    order = {"resourceType": "MedicationRequest", "id": "d1"}
    (draft,) = read_drafts(a_context(order), "order-sign")
    assert draft.codes == ()
    assert draft.text == ""


def test_119_a_product_that_the_order_contains_is_followed() -> None:
    product = {
        "resourceType": "Medication",
        "id": "m",
        "code": {"coding": [{"system": RXNORM, "code": "7"}]},
    }
    order = a_prescription(contained=[product], medicationReference={"reference": "#m"})
    del order["medicationCodeableConcept"]
    (draft,) = read_drafts(a_context(order), "order-sign")
    assert draft.codes == ("rxnorm|7",)


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        pytest.param("Medication/m", None, id="by type and id"),
        pytest.param("urn:uuid:1", "urn:uuid:1", id="by full URL"),
    ],
)
def test_119_a_product_in_the_same_bundle_is_followed(reference: str, url: str | None) -> None:
    product = {
        "resourceType": "Medication",
        "id": "m",
        "code": {"coding": [{"system": RXNORM, "code": "7"}]},
    }
    order = a_prescription(medicationReference={"reference": reference})
    del order["medicationCodeableConcept"]
    context = a_context(order)
    context["draftOrders"]["entry"].append({"resource": product, "fullUrl": url})
    (draft,) = read_drafts(context, "order-sign")
    assert draft.codes == ("rxnorm|7",)


def test_120_only_what_was_selected_counts_as_selected() -> None:
    context = a_context(
        a_prescription("d1"), a_prescription("d2"), selections=["MedicationRequest/d2"]
    )
    drafts = read_drafts(context, "order-select")
    assert [(d.reference, d.selected) for d in drafts] == [
        ("MedicationRequest/d1", False),
        ("MedicationRequest/d2", True),
    ]


@pytest.mark.parametrize(
    "named", ["MedicationRequest/d2", "https://ehr.example.org/fhir/MedicationRequest/d2", "d2"]
)
def test_120_a_selection_is_found_however_it_is_written(named: str) -> None:
    context = a_context(a_prescription("d1"), a_prescription("d2"), selections=[named])
    assert [d.selected for d in read_drafts(context, "order-select")] == [False, True]


def test_120_selections_that_name_nothing_silence_nothing() -> None:
    context = a_context(a_prescription("d1"), selections=["MedicationRequest/other"])
    assert [d.selected for d in read_drafts(context, "order-select")] == [True]


def test_120_a_selected_order_of_another_kind_leaves_the_others_unselected() -> None:
    food = {"resourceType": "NutritionOrder", "id": "n1"}
    context = a_context(food, a_prescription("d1"), selections=["NutritionOrder/n1"])
    assert [d.selected for d in read_drafts(context, "order-select")] == [False]


def test_113_order_sign_has_no_selections() -> None:
    context = a_context(a_prescription("d1"), selections=["MedicationRequest/other"])
    assert [d.selected for d in read_drafts(context, "order-sign")] == [True]


def test_an_order_not_to_do_something_is_marked() -> None:
    (draft,) = read_drafts(a_context(a_prescription(doNotPerform=True)), "order-sign")
    assert draft.do_not_perform


@pytest.mark.parametrize("status", ["cancelled", "stopped", "entered-in-error", "revoked"])
def test_056_a_withdrawn_order_is_left_out(status: str) -> None:
    assert read_drafts(a_context(a_prescription(status=status)), "order-sign") == []


def test_113_a_signed_order_that_is_revised_is_read() -> None:
    assert len(read_drafts(a_context(a_prescription(status="active")), "order-sign")) == 1


def test_a_local_code_gains_the_standard_codes_it_stands_for() -> None:
    local = {"text": "L", "coding": [{"system": "urn:local", "code": "L1"}]}
    context = a_context(a_prescription(medicationCodeableConcept=local))
    (draft,) = read_drafts(context, "order-sign", {"urn:local|L1": ("rxnorm|29046",)})
    assert draft.codes == ("urn:local|L1", "rxnorm|29046")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "draftOrders", "entry", "resource", "resourceType", "id", "code", "coding",
                "system", "medicationReference", "reference", "contained", "selections",
                "medicationCodeableConcept", "fullUrl", "status", "text",
            ]
        ),
        inner | st.sampled_from(["MedicationRequest", "ServiceRequest", "#m", "Medication/m"]),
        max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@UNHURRIED
@given(_json, _json, _json)
def test_119_whatever_comes_is_read_without_an_error(orders: Any, entry: Any, named: Any) -> None:
    typed = {
        "resourceType": "MedicationRequest",
        "medicationReference": entry,
        "contained": entry,
        "status": named,
        "id": orders,
    }
    context = {"draftOrders": {"entry": [{"resource": typed}, entry, orders]}, "selections": named}
    for hook in ("order-select", "order-sign"):
        for draft in read_drafts(context, hook):
            assert all(isinstance(code, str) for code in draft.codes)
        assert isinstance(read_drafts({"draftOrders": orders}, hook), list)
