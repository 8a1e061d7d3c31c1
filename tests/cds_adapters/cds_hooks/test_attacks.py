"""What an attacker tried: drafts that hide their product, searches that hide their end."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from builders.hook_calls import (
    ACCESS,
    PATIENT,
    Json,
    Served,
    condition,
    diagnostics,
    hook_body,
    observation,
    outcome,
    person,
    prefetch,
    prescription,
    pressure,
    searchset,
    without,
)
from fakes.fhir_server import FakeFhirServer, on_loopback

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
LISINOPRIL: Json = {"coding": [{"system": RXNORM, "code": "314076"}]}
PRODUCT: Json = {"resourceType": "Medication", "id": "m1", "code": LISINOPRIL}
HIGH_POTASSIUM = searchset(observation("k", "2823-3", 6.2, "mmol/L"))
UNREAD = "The order could not be checked: its product has no code that can be read"


@pytest.fixture
def ehr() -> Iterator[FakeFhirServer]:
    server = FakeFhirServer()
    with on_loopback(server) as url:
        server.url = f"{url}/fhir"
        yield server


def a_draft(reference: str | None = None, **fields: Any) -> Json:
    product = {} if reference is None else {"medicationReference": {"reference": reference}}
    return {
        "resourceType": "MedicationRequest",
        "id": "draft-1",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT}"},
        **product,
        **fields,
    }


def body_with(*entries: Json, hook: str = "order-sign", **keys: Any) -> Json:
    body = hook_body(hook, prefetch=prefetch(observations_potassium=HIGH_POTASSIUM, **keys))
    body["context"]["draftOrders"]["entry"] = list(entries)
    return body


def cards_for(
    *resources: Json, hook: str = "order-sign", served: Served | None = None, **fields: Any
) -> list[Json]:
    body = body_with(*({"resource": one} for one in resources), hook=hook) | fields
    answer = (served or Served()).call(body, f"pressure-{hook}")
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["cards"]
    return found


def assert_barred(cards: list[Json]) -> None:
    (card,) = cards
    assert card["indicator"] == "critical"
    assert "lisinopril" in card["summary"]


def assert_unread(cards: list[Json], reason: str) -> None:
    card = next(card for card in cards if card["summary"] == UNREAD)
    assert card["indicator"] == "warning"
    assert reason in card["detail"]


# ---- the product of a draft ------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference",
    ["Medication/m1", "Medication/m1/_history/2", "https://ehr.example/fhir/Medication/m1"],
)
def test_a_product_among_the_drafts_is_found_however_it_is_referred_to(reference: str) -> None:
    assert_barred(cards_for(a_draft(reference), PRODUCT))


def test_a_product_that_the_draft_contains_is_found() -> None:
    assert_barred(cards_for(a_draft("#m1", contained=[PRODUCT])))


@pytest.mark.parametrize("reference", ["Medication/m1", "Medication/m1/_history/2"])
def test_a_product_that_came_with_the_prescriptions_is_found(reference: str) -> None:
    sent = searchset()
    sent["entry"] = [{"resource": PRODUCT, "search": {"mode": "include"}}]
    body = body_with({"resource": a_draft(reference)}, medication_requests=sent)
    answer = Served().call(body, "pressure-order-sign")
    assert_barred(answer.json()["cards"])


def test_a_product_that_came_under_an_address_of_its_own_is_found() -> None:
    sent = searchset(prescription())
    sent["entry"].append({"fullUrl": "urn:uuid:product", "resource": PRODUCT})
    body = body_with({"resource": a_draft("urn:uuid:product")}, medication_requests=sent)
    cards = Served().call(body, "pressure-order-sign").json()["cards"]
    assert "critical" in [card["indicator"] for card in cards]


def test_a_product_that_nobody_sent_is_fetched(ehr: FakeFhirServer) -> None:
    ehr.pages["Medication/m1"] = [PRODUCT]
    served = Served(fhir_servers=(ehr.url,), allow_plain_http=True)
    access: Json = {"fhirServer": ehr.url, "fhirAuthorization": ACCESS}
    assert_barred(cards_for(a_draft("Medication/m1"), served=served, **access))


def test_a_product_on_another_server_is_not_looked_up_on_this_one(ehr: FakeFhirServer) -> None:
    ehr.pages["Medication/m1"] = [PRODUCT]
    served = Served(fhir_servers=(ehr.url,), allow_plain_http=True)
    access: Json = {"fhirServer": ehr.url, "fhirAuthorization": ACCESS}
    draft = a_draft("https://else.example/fhir/Medication/m1")
    assert_unread(cards_for(draft, served=served, **access), "could not be fetched")
    assert ehr.seen == []


@pytest.mark.parametrize("reference", ["Medication/zz", "#zz", "urn:uuid:zz"])
@pytest.mark.parametrize("hook", ["order-sign", "order-select"])
def test_a_product_that_cannot_be_found_is_said_to_be_unchecked(hook: str, reference: str) -> None:
    assert_unread(cards_for(a_draft(reference), hook=hook), "was not sent")


@pytest.mark.parametrize(
    "concept", [{"text": "lisinopril 10 mg"}, {"coding": [{"code": "314076"}]}, {}]
)
def test_a_product_without_a_code_is_said_to_be_unchecked(concept: Json) -> None:
    cards = cards_for(a_draft(medicationCodeableConcept=concept))
    assert_unread(cards, "is given in words")
    assert "10 mg" not in cards[0]["detail"].split("Evaluated")[0]


def test_a_product_that_was_found_but_has_no_code_is_said_to_be_unchecked() -> None:
    product = {"resourceType": "Medication", "id": "m1"}
    assert_unread(cards_for(a_draft("Medication/m1"), product), "is given in words")


def test_a_draft_that_was_not_selected_is_not_reported_as_unchecked() -> None:
    other = a_draft("Medication/zz") | {"id": "draft-2"}
    selected = a_draft(medicationCodeableConcept=LISINOPRIL)
    assert_barred(cards_for(selected, other, hook="order-select"))


def test_a_draft_with_two_actions_is_barred_if_one_of_them_is() -> None:
    diet = {"system": "http://snomed.info/sct", "code": "443402002"}
    concept = {"coding": [diet, *LISINOPRIL["coding"]]}
    assert_barred(cards_for(a_draft(medicationCodeableConcept=concept)))


# ---- whose data it is ------------------------------------------------------------------------


def test_a_draft_for_another_patient_by_the_address_of_an_entry_is_refused() -> None:
    draft = a_draft("Medication/m1", subject={"reference": "urn:uuid:aa"})
    somebody = {"fullUrl": "urn:uuid:aa", "resource": person("patient-2")}
    answer = Served().call(body_with({"resource": draft}, somebody), "pressure-order-sign")
    assert answer.status_code == 400
    assert "another patient" in diagnostics(answer)


def test_a_draft_for_the_patient_by_the_address_of_an_entry_is_taken() -> None:
    draft = a_draft("#m1", contained=[PRODUCT], subject={"reference": "urn:uuid:aa"})
    same = {"fullUrl": "urn:uuid:aa", "resource": person()}
    answer = Served().call(body_with({"resource": draft}, same), "pressure-order-sign")
    assert_barred(answer.json()["cards"])


@pytest.mark.parametrize(
    ("base", "server", "status"),
    [
        ("https://else.example/fhir", "https://ehr.example/fhir", 400),
        ("https://ehr.example/other", "https://ehr.example/fhir", 400),
        ("https://EHR.example:443/fhir", "https://ehr.example/fhir/", 200),
        ("https://else.example/fhir", None, 200),
    ],
)
def test_the_same_id_on_another_server_is_another_patient(
    base: str, server: str | None, status: int
) -> None:
    subject = {"reference": f"{base}/Patient/{PATIENT}"}
    fields = {} if server is None else {"fhirServer": server}
    sent = hook_body(
        prefetch=prefetch(observations_sbp=searchset(pressure() | {"subject": subject}))
    )
    assert Served().call(sent | fields).status_code == status
    drafted = body_with({"resource": a_draft("#m1", contained=[PRODUCT], subject=subject)})
    assert Served().call(drafted | fields, "pressure-order-sign").status_code == status


# ---- searches that are not all ---------------------------------------------------------------


def allergies(number: int) -> list[Json]:
    return [
        {"resourceType": "AllergyIntolerance", "id": f"a{n}"} | {"patient": person_reference()}
        for n in range(number)
    ]


def person_reference() -> Json:
    return {"reference": f"Patient/{PATIENT}"}


def batch(*answers: Json) -> Json:
    entries = [{"response": {"status": "200"}, "resource": answer} for answer in answers]
    return {"resourceType": "Bundle", "type": "batch-response", "entry": entries}


def remark(code: str) -> Json:
    found = outcome("warning")
    found["issue"][0]["code"] = code
    return found


LACKING = (
    "incomplete", "timeout", "throttled", "exception", "lock-error", "no-store", "too-costly",
)  # fmt: skip
BARE = {"fullUrl": "https://ehr.example/fhir/AllergyIntolerance/a1"}
NOT_ALL = {
    "200-no-total": searchset(*allergies(200)),
    "200-total-0": searchset(*allergies(200), total=0),
    "200-total-negative": searchset(*allergies(200), total=-5),
    "200-total-3": searchset(*allergies(200), total=3),
    "one-five-times": searchset(*allergies(1) * 5, total=5),
    "negative-and-empty": searchset(total=-1),
    "bare": searchset() | {"entry": [BARE]},
    "bare-match": searchset() | {"entry": [{"search": {"mode": "match"}}]},
    "nested-short": batch(searchset(total=3)),
    "nested-short-beside-one": batch(searchset(*allergies(1), total=3)),
    "other-type-unused": searchset({"resourceType": "Binary", "id": "x"}),
    "other-type-unknown": searchset({"resourceType": "Thing", "id": "x"}),
    "other-type-used": searchset(condition(), pressure()),
    **{code: searchset(remark(code), total=0) for code in LACKING},
}


@pytest.mark.parametrize("answer", NOT_ALL.values(), ids=NOT_ALL)
def test_052_an_answer_that_may_not_be_all_is_not_none_found(answer: Json) -> None:
    reply = Served().call(hook_body(prefetch=prefetch(allergies=answer)))
    assert reply.status_code == 412
    assert "allergies" in diagnostics(reply)


@pytest.mark.parametrize(
    "answer",
    [
        searchset(*allergies(200), total=200),
        searchset(*allergies(199)),
        searchset(*allergies(2) * 2, total=2),
        searchset(*allergies(3), total=0),
        batch(searchset(total=0)),
        batch(searchset(*allergies(1), total=1)),
        searchset(remark("informational"), total=0),
        searchset({"resourceType": "Binary", "id": "x"}, *allergies(1)),
    ],
    ids=["200-of-200", "199", "doubled", "wrong-total", "batch", "batch-1", "remark", "noise"],
)
def test_052_an_answer_that_is_all_is_taken(answer: Json) -> None:
    assert Served().call(hook_body(prefetch=prefetch(allergies=answer))).status_code == 200


@pytest.mark.parametrize("name", ["200-no-total", "200-total-0", "one-five-times", "incomplete"])
def test_053_a_server_whose_answer_may_not_be_all_is_not_believed(
    ehr: FakeFhirServer, name: str
) -> None:
    ehr.pages["AllergyIntolerance"] = [NOT_ALL[name]]
    served = Served(fhir_servers=(ehr.url,), allow_plain_http=True)
    access: Json = {"fhirServer": ehr.url, "fhirAuthorization": ACCESS}
    reply = served.call(hook_body(prefetch=without("allergies"), **access))
    assert reply.status_code == 412
    assert len(ehr.seen) == 1


def test_a_type_that_stands_twice_and_once_as_null_ends_the_call() -> None:
    twice = '{"resourceType": "Bundle", "resourceType": null}'
    text = json.dumps(hook_body(prefetch=prefetch(allergies="HERE")))
    reply = Served().call(text.replace('"HERE"', twice).encode())
    assert reply.status_code == 400
    assert "allergies" in diagnostics(reply)
