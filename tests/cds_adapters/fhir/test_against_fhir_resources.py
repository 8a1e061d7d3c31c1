"""An independent FHIR library reads the same statuses, values and times from the same resources.

``fhir.resources`` (its R4B models) decodes by other means and keeps what it read as Python dates
and decimals. It is far too slow to serve with, and it lets wrong codes pass, but where both read
a resource they must read the same.
"""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from cds_adapters.fhir.context import Context
from cds_adapters.fhir.decode import decode_resource
from cds_adapters.fhir.events import resource_events
from cds_adapters.fhir.persons import read_person
from cds_adapters.fhir.resources import Patient
from cds_engine.history.event import Event, Time
from cds_engine.vocabulary.code import short_code
from cds_engine.vocabulary.time import instant

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

Json = dict[str, Any]
PER_FILE = 60

WHEN = {
    "Observation": ("effectiveDateTime", "effectivePeriod"),
    "Condition": ("onsetDateTime", "onsetPeriod"),
    "AllergyIntolerance": ("onsetDateTime", "onsetPeriod"),
    "MedicationRequest": ("authoredOn", ""),
    "MedicationStatement": ("effectiveDateTime", "effectivePeriod"),
    "MedicationAdministration": ("effectiveDateTime", "effectivePeriod"),
    "Procedure": ("performedDateTime", "performedPeriod"),
    "Encounter": ("", "period"),
    "CarePlan": ("", "period"),
}


def moment(value: date | datetime | str | None) -> int | None:
    """The first instant of a date or datetime as the other library holds it."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, str):  # a month or a year stays text there
        value = date(int(value[:4]), int(value[5:] or 1), 1)
    return instant(datetime(value.year, value.month, value.day, tzinfo=UTC))


def starts(time: Time | None) -> int | None:
    return None if time is None else time.start


def their_codes(concept: Any) -> set[str]:
    codings = (concept and concept.coding) or []
    return {short_code(one.system, one.code) for one in codings if one.system and one.code}


Answer = tuple[set[str], set[object], str | None]


def their_answers(resource: Any) -> list[Answer]:
    """Codes, possible values and unit code of an observation and of each of its components."""
    found: list[Answer] = []
    for part in (resource, *(resource.component or [])):
        quantity = part.valueQuantity
        if quantity is not None and quantity.value is not None and quantity.comparator is None:
            found.append((their_codes(part.code), {float(quantity.value)}, quantity.code))
        elif answers := their_codes(part.valueCodeableConcept):
            found.append((their_codes(part.code), {*answers}, None))
    return found


def compare_answers(events: list[Event], theirs: list[Answer]) -> None:
    ours = [event for event in events if isinstance(event.value, float | str)]
    assert len(ours) == len(theirs)
    for event, (codes, values, unit) in zip(ours, theirs, strict=True):
        assert set(event.codes) == codes
        given = event.value.split("\n") if isinstance(event.value, str) else [event.value]
        assert set(given) == values
        assert (event.unit.code if event.unit else "") == (unit or "")


def compare(resource: Json) -> bool:
    """Compare one resource; False where ours sets it aside."""
    kind = resource["resourceType"]
    theirs: Any = get_fhir_model_class(kind).model_validate(resource)
    decoded = decode_resource(json.dumps(resource).encode(), "here")
    assert decoded.troubles == ()
    events = resource_events(decoded.resources[0])  # type: ignore[arg-type]
    if not isinstance(events, list):
        return False
    for event in events:
        compare_times(kind, event, theirs)
        if kind in ("Condition", "AllergyIntolerance"):
            clinical = theirs.clinicalStatus
            assert event.status == (clinical.coding[0].code if clinical else "")
        else:
            assert event.status == theirs.status
    if kind == "Observation" and theirs.status not in ("entered-in-error", "cancelled"):
        compare_answers(events, their_answers(theirs))
    if kind in ("Condition", "Procedure", "AllergyIntolerance"):
        assert set(events[0].codes) == their_codes(theirs.code)
    return True


def compare_times(kind: str, event: Event, theirs: Any) -> None:
    at, period = WHEN[kind]
    if at and getattr(theirs, at) is not None:
        assert starts(event.time) == moment(getattr(theirs, at))
    elif period and getattr(theirs, period) is not None:
        lasted = getattr(theirs, period)
        if kind == "Observation":  # what was observed over a period counts at its end
            assert starts(event.time) == moment(lasted.end or lasted.start)
        else:
            assert starts(event.time) == moment(lasted.start)
            assert starts(event.until) == moment(lasted.end)
    if kind == "Condition" and theirs.abatementDateTime is not None:
        assert starts(event.until) == moment(theirs.abatementDateTime)
    if kind == "Observation" and theirs.issued is not None:
        assert event.recorded == moment(theirs.issued)


def resources_of(path: Path) -> Iterator[Json]:
    with gzip.open(path) as stream:
        yield from map(json.loads, stream)


@pytest.mark.sample_data
@pytest.mark.parametrize("source", ["ndjson/synthea2019", "ndjson/synthea2025-ca"])
@pytest.mark.parametrize("kind", sorted(WHEN))
def test_sample_resources(sample_data: Path, source: str, kind: str) -> None:
    path = sample_data / source / f"{kind}.ndjson.gz"
    if not path.exists():
        pytest.skip(f"{source} holds no {kind}")
    # One that refers to its medication needs the others: test_sample_data.py looks at these.
    whole = (one for one in resources_of(path) if "medicationReference" not in one)

    for resource in islice(whole, PER_FILE):
        assert compare(resource)


@pytest.mark.sample_data
@pytest.mark.parametrize("kind", ["Observation", "Condition", "AllergyIntolerance", "Procedure"])
def test_the_examples_of_the_standard(sample_data: Path, kind: str) -> None:
    used = 0
    for resource in resources_of(sample_data / "hl7-r4-examples" / f"{kind}.ndjson.gz"):
        try:
            get_fhir_model_class(kind).model_validate(resource)
        except ValueError:
            continue  # some examples use what R4B no longer has
        if any(name.startswith("_") for name in resource):
            continue
        used += compare(resource)

    assert used >= 4


@pytest.mark.sample_data
@pytest.mark.parametrize("source", ["synthea2019", "synthea2025-ca"])
def test_sample_patients(sample_data: Path, source: str) -> None:
    for resource in resources_of(sample_data / "ndjson" / source / "Patient.ndjson.gz"):
        theirs: Any = get_fhir_model_class("Patient").model_validate(resource)
        ours = decode_resource(json.dumps(resource).encode(), "here").resources[0]
        assert isinstance(ours, Patient)
        person, faults = read_person(ours, Context())

        assert faults == []
        assert (person.key, person.sex) == (theirs.id, theirs.gender)
        assert starts(person.born) == moment(theirs.birthDate)
        assert starts(person.died) == moment(theirs.deceasedDateTime)


SUBJECT = {"reference": "Patient/p"}
CODE = {"coding": [{"system": "http://loinc.org", "code": "1"}]}


@pytest.mark.parametrize("when", ["2024", "2024-02", "2024-02-29", "2024-02-29T23:59:59.123+14:00",
                                  "1969-12-31T23:59:59-00:30"])  # fmt: skip
@pytest.mark.parametrize("value", [0, -1, 7.25, 1e-7, 120.0, 1e14])
def test_built_observations(when: str, value: float) -> None:
    assert compare(
        {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "code": CODE,
            "subject": SUBJECT,
            "effectiveDateTime": when,
            "valueQuantity": {"value": value, "code": "mm[Hg]"},
        }
    )


@pytest.mark.parametrize("status", ["active", "on-hold", "stopped", "completed", "cancelled"])
@pytest.mark.parametrize("when", ["2024-02-29", "2024-02-29T10:00:00Z"])
def test_built_prescriptions(status: str, when: str) -> None:
    assert compare(
        {
            "resourceType": "MedicationRequest",
            "id": "r",
            "status": status,
            "intent": "order",
            "subject": SUBJECT,
            "medicationCodeableConcept": CODE,
            "authoredOn": when,
        }
    )
