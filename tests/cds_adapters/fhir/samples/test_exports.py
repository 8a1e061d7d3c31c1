"""Records leave in the forms that servers use, and nothing is lost on the way."""

import json
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from cds_adapters.fhir.samples import (
    NUMBER_MARKER,
    STORIES,
    make_mess,
    sample_patient,
    to_json,
    to_ndjson,
    to_searchset,
    to_transaction_bundle,
)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [r for item in value.values() for r in references(item)]
    return [r for item in value for r in references(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("story", STORIES)
def test_a_transaction_is_valid_and_refers_only_to_its_own_entries(story: str) -> None:
    patient = sample_patient(story)
    bundle = to_transaction_bundle(patient)
    Bundle.model_validate(bundle)
    full_urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(full_urls)) == len(patient.resources)
    assert all(url.startswith("urn:uuid:") for url in full_urls)
    assert set(references(bundle)) <= set(full_urls)


def test_a_transaction_posts_each_resource_and_changes_only_its_references() -> None:
    patient = sample_patient("htn-ace-cough")
    bundle = to_transaction_bundle(patient)
    names = {
        e["fullUrl"]: f"{e['resource']['resourceType']}/{e['resource']['id']}"
        for e in bundle["entry"]
    }
    text = to_json([entry["resource"] for entry in bundle["entry"]])
    for urn, name in names.items():
        text = text.replace(urn, name)
    assert json.loads(text) == list(patient.resources)
    assert {e["request"]["method"] for e in bundle["entry"]} == {"POST"}
    assert [e["request"]["url"] for e in bundle["entry"]] == [
        r["resourceType"] for r in patient.resources
    ]


def test_a_transaction_leaves_references_alone_that_lead_elsewhere() -> None:
    patient = make_mess(sample_patient("htn-controlled"), "conditional-reference")
    outside = {r for r in references(to_transaction_bundle(patient)) if not r.startswith("urn:")}
    assert outside == {"Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999999999"}


def test_exports_leave_the_patient_as_it_was() -> None:
    patient = sample_patient("htn-ace-cough")
    to_transaction_bundle(patient)
    to_ndjson([patient])
    assert patient == sample_patient("htn-ace-cough")


def test_a_page_of_search_results_says_the_total_and_the_next_page() -> None:
    resources = sample_patient("htn-controlled").resources[:3]
    page = to_searchset(resources, total=18, next_link="https://ehr.example/fhir?page=2")
    Bundle.model_validate(page)
    assert page["total"] == 18
    assert page["link"] == [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]
    assert [entry["resource"] for entry in page["entry"]] == list(resources)
    assert {entry["search"]["mode"] for entry in page["entry"]} == {"match"}
    assert page["entry"][0]["fullUrl"] == "https://ehr.example/fhir/Patient/htn-controlled-0"


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        pytest.param(0, {"resourceType": "Bundle", "type": "searchset", "total": 0}, id="empty"),
        pytest.param(None, {"resourceType": "Bundle", "type": "searchset"}, id="total unknown"),
    ],
)
def test_an_empty_page_has_no_empty_lists(total: int | None, expected: dict[str, Any]) -> None:
    assert to_searchset((), total=total) == expected


def test_ndjson_has_one_file_per_type_and_one_line_per_resource() -> None:
    patients = [sample_patient("htn-ace-cough"), sample_patient("activity-responder")]
    files = to_ndjson(patients)
    assert list(files) == sorted(files)
    read = [json.loads(line) for text in files.values() for line in text.splitlines()]
    wanted = [resource for patient in patients for resource in patient.resources]
    assert sorted(read, key=to_json) == sorted(wanted, key=to_json)
    for name, text in files.items():
        assert text.endswith("\n")
        kinds = {json.loads(line)["resourceType"] for line in text.splitlines()}
        assert kinds == {name.removesuffix(".ndjson")}


def test_a_hostile_line_break_does_not_break_a_line_of_ndjson() -> None:
    patient = make_mess(sample_patient("htn-controlled"), "hostile-strings")
    text = "".join(to_ndjson([patient]).values())
    assert text.count("\n") == len(patient.resources)


@pytest.mark.parametrize("token", ["1e999", "-1e999", "NaN", "0.10"])
def test_a_marked_number_is_written_bare(token: str) -> None:
    assert to_json({"value": NUMBER_MARKER + token}) == f'{{"value":{token}}}'
