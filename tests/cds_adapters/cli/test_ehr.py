"""The small EHR answers each template as a server would: from one patient's resources alone."""

import json
from typing import Any

import pytest

from cds_adapters.cds_hooks.prefetch import prefetch_queries
from cds_adapters.cli.ehr import answer_prefetch, hook_request
from cds_adapters.fhir.samples import STORIES, SamplePatient, make_mess, sample_patient
from cds_adapters.storage.shelf import Shelf, shipped_rules

Json = dict[str, Any]
PRESSURE = "http://loinc.org|8480-6"
PANEL = "http://loinc.org|85354-9"


def observation(identifier: str, code: str, at: str) -> Json:
    system, _, value = code.partition("|")
    return {
        "resourceType": "Observation",
        "id": identifier,
        "code": {"coding": [{"system": system, "code": value}, {"system": "urn:x", "code": "y"}]},
        "effectiveDateTime": at,
    }


PATIENT: Json = {"resourceType": "Patient", "id": "p1"}
RESOURCES = [
    PATIENT,
    observation("old", PRESSURE, "2025-01-01T08:00:00Z"),
    observation("new", PRESSURE, "2025-03-01T08:00:00Z"),
    observation("other", "http://loinc.org|2823-3", "2025-02-01T08:00:00Z"),
    {"resourceType": "Medication", "id": "m1", "code": {"coding": []}},
    {"resourceType": "Medication", "id": "m2", "code": {"coding": []}},
    {
        "resourceType": "MedicationRequest",
        "id": "rx",
        "medicationReference": {"reference": "Medication/m1"},
        "authoredOn": "2025-01-01",
    },
    {
        "resourceType": "CarePlan",
        "id": "plan",
        "category": [{"coding": [{"system": "urn:x", "code": "z"}]}],
    },
]


def answer(template: str) -> Any:
    return answer_prefetch({"key": template}, RESOURCES)["key"]


def found(template: str) -> list[str]:
    page = answer(template)
    assert (page["resourceType"], page["type"]) == ("Bundle", "searchset")
    return [entry["resource"]["id"] for entry in page.get("entry", [])]


def test_a_read_gives_the_resource_itself() -> None:
    assert answer("Patient/{{context.patientId}}") == PATIENT
    assert answer("Group/{{context.patientId}}") is None


@pytest.mark.parametrize(
    ("query", "identifiers"),
    [
        pytest.param("Observation?patient=p1", ["new", "other", "old"], id="all, newest first"),
        pytest.param(f"Observation?patient=p1&code={PRESSURE}", ["new", "old"], id="one code"),
        pytest.param("Observation?patient=p1&code=urn:x|y,urn:x|w", ["new", "other", "old"],
                     id="any of several codes, and any of a resource's own"),
        pytest.param("Observation?patient=p1&code=urn:x|w", [], id="none"),
        pytest.param("Observation?patient=p1&_sort=-date&_count=1", ["new"], id="the newest"),
        pytest.param("CarePlan?patient=p1&code=urn:x|z", ["plan"], id="a plan by its category"),
        pytest.param("MedicationRequest?patient=p1", ["rx"], id="without what it refers to"),
        pytest.param("MedicationRequest?patient=p1&_include=MedicationRequest:medication",
                     ["rx", "m1"], id="with what it refers to"),
        pytest.param("Immunization?patient=p1", [], id="a type that there is none of"),
    ],
)  # fmt: skip
def test_a_search_gives_a_page_of_what_matches(query: str, identifiers: list[str]) -> None:
    assert found(query) == identifiers


def test_the_total_counts_what_the_page_leaves_out() -> None:
    assert answer("Observation?patient=p1&_count=1")["total"] == 3
    assert answer("Observation?patient=p1&_count=9")["total"] == 3


def test_the_answer_is_a_copy() -> None:
    page = answer("Observation?patient=p1&_count=1")
    page["entry"][0]["resource"]["id"] = "changed"
    assert RESOURCES[2]["id"] == "new"


@pytest.mark.parametrize("story", sorted(STORIES))
def test_a_request_holds_what_the_service_asks_for_and_nothing_else(story: str) -> None:
    patient = sample_patient(story)
    for bundle in Shelf(shipped_rules()):
        templates = {query.key: query.template for query in prefetch_queries(bundle)}
        body = hook_request("patient-view", patient, templates, "2025-06-01T00:00:00Z")
        assert body["hook"] == "patient-view"
        assert body["context"]["patientId"] == patient.id
        assert body["extension"] == {"org.cds-engine.as-of": "2025-06-01T00:00:00Z"}
        assert set(body["prefetch"]) == set(templates)
        assert body["prefetch"]["patient"]["id"] == patient.id
        json.dumps(body)


def every_resource(patient: SamplePatient) -> set[str]:
    return {f"{one['resourceType']}/{one['id']}" for one in patient.resources}


def test_a_medication_that_a_prescription_refers_to_is_brought() -> None:
    patient = make_mess(sample_patient("htn-ace-cough"), "medication-reference", 1)
    medications = {name for name in every_resource(patient) if name.startswith("Medication/")}
    assert medications
    template = "MedicationRequest?patient=x&_include=MedicationRequest:medication"
    page = answer_prefetch({"rx": template}, patient.resources)["rx"]
    assert medications <= {
        f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in page["entry"]
    }
