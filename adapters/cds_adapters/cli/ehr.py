"""A small EHR for demonstrations: it answers prefetch templates from one patient's resources."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cds_adapters.fhir.samples import SamplePatient, to_searchset

Resource = Mapping[str, Any]

_DATES = (
    "effectiveDateTime", "authoredOn", "whenHandedOver", "performedDateTime", "onsetDateTime",
    "recordedDate",
)  # fmt: skip


def answer_prefetch(templates: Mapping[str, str], resources: Sequence[Resource]) -> dict[str, Any]:
    """Return what a client sends for each template: one resource, or a searchset."""
    return {key: _answer(template, resources) for key, template in templates.items()}


def hook_request(
    hook: str, patient: SamplePatient, templates: Mapping[str, str], as_of: str
) -> dict[str, Any]:
    """Return the body of a hook call about a sample patient at one instant."""
    identifier = patient.resources[0]["id"]
    return {
        "hook": hook,
        "hookInstance": "00000000-0000-4000-8000-000000000000",
        "context": {
            "userId": "Practitioner/demonstration",
            "patientId": identifier,
            "encounterId": "demonstration",
        },
        "prefetch": answer_prefetch(templates, patient.resources),
        "extension": {"org.cds-engine.as-of": as_of},
    }


def _answer(template: str, resources: Sequence[Resource]) -> Any:
    parts = urlsplit(template)
    kind, _, identifier = parts.path.partition("/")
    found = [resource for resource in resources if resource["resourceType"] == kind]
    if identifier:
        return found[0] if found else None
    query = parse_qs(parts.query)
    wanted = {code for text in query.get("code", []) for code in text.split(",")}
    matching = [r for r in found if not wanted or wanted & _codes(r)]
    matching.sort(key=_date, reverse=True)
    count = int(query.get("_count", ["1000"])[0])
    page = matching[:count]
    brought = _medications(page, resources) if "_include" in query else []
    # a server counts a resource once, however many copies of it a file holds
    matches = len({r.get("id") or number for number, r in enumerate(matching)})
    return to_searchset([dict(r) for r in [*page, *brought]], total=matches)


def _medications(page: Sequence[Resource], resources: Sequence[Resource]) -> list[Resource]:
    """Return the Medications that a page of prescriptions refers to."""
    wanted = {(r.get("medicationReference") or {}).get("reference") for r in page}
    return [r for r in resources if f"{r['resourceType']}/{r.get('id')}" in wanted]


def _codes(resource: Resource) -> set[str]:
    concepts = [resource.get("code"), resource.get("medicationCodeableConcept")]
    concepts += resource.get("category", []) if resource["resourceType"] == "CarePlan" else []
    return {
        f"{coding.get('system', '')}|{coding.get('code', '')}"
        for concept in concepts
        if isinstance(concept, dict)
        for coding in concept.get("coding", [])
    }


def _date(resource: Resource) -> str:
    return next((str(resource[field]) for field in _DATES if field in resource), "")
