"""Codes of another year, another system or another level, and drugs named in other ways."""

import copy

from cds_adapters.fhir.samples import codes
from cds_adapters.fhir.samples.codes import LOINC, SNOMED, Coding, Resource, concept, has_code
from cds_adapters.fhir.samples.messes.mess import mess
from cds_adapters.fhir.samples.messes.places import (
    Resources,
    holders,
    of_type,
    prescriptions,
    pressures,
    readings,
)

LOCAL = "https://ehr.example/codes"

OLDER: dict[Coding, Coding] = {
    codes.PRESSURE_PANEL: (LOINC, "55284-4", "Blood pressure systolic and diastolic"),
    codes.POTASSIUM: (LOINC, "2823-3", "Potassium [Moles/volume] in Serum or Plasma"),
    codes.CREATININE: (LOINC, "2160-0", "Creatinine [Mass/volume] in Serum or Plasma"),
    codes.HYPERTENSION: (SNOMED, "38341003", "Hypertensive disorder, systemic arterial (disorder)"),
}


@mess(
    "other-codes",
    what="Pressure panel, potassium, creatinine and hypertension carry the other codes in use.",
    reader="Decides as for the clean record, where the variables list these codes too.",
)
def other_codes(resources: Resources) -> None:
    """Write the codes that another generator wrote."""
    for resource in of_type(resources, "Observation", "Condition"):
        for usual, other in OLDER.items():
            if has_code(resource, usual):
                resource["code"] = concept(other)


@mess(
    "local-code",
    what="Readings and their components carry only a local code, 'L-' before the LOINC one.",
    reader="Does not recognise them, unless the site's map translates the local codes.",
)
def local_code(resources: Resources) -> None:
    """Replace standard codes by local ones."""
    for coded in _coded_parts(readings(resources)):
        coded["coding"] = [_local(coded)]


@mess(
    "local-code-first",
    what="Readings and their components carry a local code before the LOINC one.",
    reader="Decides as for the clean record; every coding is looked at, not just the first.",
)
def local_code_first(resources: Resources) -> None:
    """Put local codes before standard ones."""
    for coded in _coded_parts(readings(resources)):
        coded["coding"].insert(0, _local(coded))


@mess(
    "pressure-in-two",
    what="Every panel is two observations, a systolic and a diastolic, each with its own code.",
    reader="Decides as for the clean record; a pressure is a pressure inside a panel or alone.",
)
def pressure_in_two(resources: Resources) -> None:
    """Take the panels apart."""
    for panel in pressures(resources):
        resources.remove(panel)
        for component in panel.pop("component"):
            suffix = component["code"]["coding"][0]["code"]
            alone = {"id": f"{panel['id']}-{suffix}"} | copy.deepcopy(component)
            resources.append(copy.deepcopy(panel) | alone)


@mess(
    "medication-reference",
    what="Every order for a drug refers to a Medication resource of its own.",
    reader="Decides as for the clean record, if it was given the Medication; says so if not.",
)
def medication_reference(resources: Resources) -> None:
    """Move the drugs into resources of their own."""
    for order in prescriptions(resources):
        medication = _medication(order, f"{order['id']}-medication") | {
            "meta": order["meta"].copy()
        }
        resources.append(medication)
        order["medicationReference"] = {"reference": f"Medication/{medication['id']}"}


@mess(
    "medication-contained",
    what="Every order for a drug contains the Medication it refers to.",
    reader="Decides as for the clean record.",
)
def medication_contained(resources: Resources) -> None:
    """Move the drugs into contained resources."""
    for order in prescriptions(resources):
        order["contained"] = [_medication(order, "drug")]
        order["medicationReference"] = {"reference": "#drug"}


@mess(
    "drug-text-only",
    what="Every order names its drug in words, without a code.",
    reader="Does not recognise the drug and says that there is an order it could not read.",
)
def drug_text_only(resources: Resources) -> None:
    """Take the drug codes away."""
    for order in prescriptions(resources):
        del order["medicationCodeableConcept"]["coding"]


@mess(
    "unknown-drug-code",
    what="Every order names an ingredient where a product belongs.",
    reader="Does not take it for the product and says that there is an order it could not read.",
)
def unknown_drug_code(resources: Resources) -> None:
    """Write a code that is no product."""
    for order in prescriptions(resources):
        order["medicationCodeableConcept"] = concept(codes.LISINOPRIL)


def _coded_parts(observations: Resources) -> Resources:
    """Return the codes of observations and of their components."""
    parts = {id(p): p for o in observations for p in (o, *holders(o))}
    return [part["code"] for part in parts.values()]


def _local(coded: Resource) -> Resource:
    return {"system": LOCAL, "code": f"L-{coded['coding'][0]['code']}"}


def _medication(order: Resource, medication_id: str) -> Resource:
    return {
        "resourceType": "Medication",
        "id": medication_id,
        "status": "active",
        "code": order.pop("medicationCodeableConcept"),
    }


CODED = (
    other_codes,
    local_code,
    local_code_first,
    pressure_in_two,
    medication_reference,
    medication_contained,
    drug_text_only,
    unknown_drug_code,
)
