"""A patient-view body as an EHR sends it: 30 Observations, 10 MedicationRequests, 8 Conditions."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cds_adapters.cli.ehr import answer_prefetch
from cds_adapters.fhir.samples import sample_patient

PATIENT = "benchmark"
PROFILE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
NARRATIVE = (
    '<div xmlns="http://www.w3.org/1999/xhtml"><p><b>Generated narrative</b></p><table>'
    "<tr><td>status</td><td>final</td></tr><tr><td>performer</td><td>Dr. Example, MD, General"
    " Practice</td></tr><tr><td>encounter</td><td>Outpatient visit, 15 minutes</td></tr></table>"
    "</div>"
)


def patient_view(templates: Mapping[str, str]) -> bytes:
    """Return the whole request body."""
    body = {
        "hook": "patient-view",
        "hookInstance": "6bc883b2-b795-4dcb-b661-34884a31d472",
        "context": {"userId": "Practitioner/benchmark", "patientId": PATIENT},
        "prefetch": answer_prefetch(templates, _resources()),
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _resources() -> list[dict[str, Any]]:
    """Return the resources of a hypertensive patient with a long, recent record."""
    now = datetime.now(UTC).replace(microsecond=0)
    story = [dict(r) for r in sample_patient("htn-uncontrolled").resources]
    patient = {**story[0], "id": PATIENT}
    by_type: dict[str, list[dict[str, Any]]] = {}
    for resource in story[1:]:
        by_type.setdefault(resource["resourceType"], []).append(resource)
    panels = [r for r in by_type["Observation"] if "component" in r]
    others = [r for r in by_type["Observation"] if "component" not in r]
    observations = [_observation(panels[0], at, now) for at in range(24)]
    observations += [_observation(others[at % len(others)], 24 + at, now) for at in range(6)]
    conditions = [_condition(by_type["Condition"][0], at, now) for at in range(8)]
    drugs = [_prescription(at, now) for at in range(10)]
    return [patient, *observations, *conditions, *drugs]


def _dressed(resource: dict[str, Any], profile: str, number: int) -> dict[str, Any]:
    """Add what real resources carry besides: profiles, narrative, references, identifiers."""
    kind = resource["resourceType"]
    return {
        **resource,
        "id": f"{kind.lower()}-{number}",
        "meta": {"versionId": "1", "profile": [PROFILE + profile]},
        "text": {"status": "generated", "div": NARRATIVE},
        "identifier": [{"system": "https://ehr.example/ids", "value": f"{kind}-{number:08d}"}],
        "subject": {"reference": f"Patient/{PATIENT}", "display": "Sample Patient"},
        "encounter": {"reference": f"Encounter/visit-{number}", "display": "Outpatient visit"},
    }


def _observation(model: dict[str, Any], number: int, now: datetime) -> dict[str, Any]:
    at = (now - timedelta(days=1 + 9 * number)).isoformat()
    return {
        **_dressed(model, "observation", number),
        "effectiveDateTime": at,
        "issued": at,
        "performer": [{"reference": "Practitioner/benchmark", "display": "Dr. Example"}],
    }


def _condition(model: dict[str, Any], number: int, now: datetime) -> dict[str, Any]:
    at = (now - timedelta(days=400 + number)).isoformat()
    return {**_dressed(model, "condition", number), "onsetDateTime": at, "recordedDate": at}


def _prescription(number: int, now: datetime) -> dict[str, Any]:
    at = (now - timedelta(days=100 + number)).isoformat()
    drug = {
        "coding": [
            {
                "system": "http://www.nlm.nih.gov/research/umls/rxnorm",
                "code": "314076",
                "display": "lisinopril 10 MG Oral Tablet",
            }
        ],
        "text": "lisinopril 10 MG Oral Tablet",
    }
    resource = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": drug,
        "authoredOn": at,
        "requester": {"reference": "Practitioner/benchmark", "display": "Dr. Example"},
        "dosageInstruction": [{"text": "10 mg by mouth once daily", "asNeededBoolean": False}],
    }
    return _dressed(resource, "medicationrequest", number)
