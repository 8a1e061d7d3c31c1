"""Prescriptions, statements, dispenses and administrations become events with their supply."""

import json
from typing import Any

import pytest

from cds_adapters.fhir.context import Context
from cds_adapters.fhir.decode import decode_bundle, decode_resource
from cds_adapters.fhir.events import resource_events
from cds_adapters.fhir.record import record_of
from cds_adapters.fhir.resources import Medication
from cds_engine.history.event import Event, Record, SetAside
from cds_engine.vocabulary.time import iso

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"
LISINOPRIL = {"coding": [{"system": RXNORM, "code": "314076"}]}
MAY, JUNE, JULY = "2024-05-01T08:00:00Z", "2024-06-01T08:00:00Z", "2024-07-01T08:00:00Z"

USUAL: dict[str, dict[str, Any]] = {
    "MedicationRequest": {"status": "active", "intent": "order", "authoredOn": MAY},
    "MedicationStatement": {"status": "active", "effectiveDateTime": MAY, "dateAsserted": JUNE},
    "MedicationDispense": {"status": "completed", "whenHandedOver": MAY},
    "MedicationAdministration": {"status": "completed", "effectiveDateTime": MAY},
}


def a(kind: str, **fields: Any) -> dict[str, Any]:
    usual = {
        "resourceType": kind,
        "id": "m1",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": LISINOPRIL,
    }
    given = {**usual, **USUAL[kind], **fields}
    return {name: value for name, value in given.items() if value is not None}


def read(resource: dict[str, Any], context: Context | None = None) -> Event | SetAside:
    decoded = decode_resource(json.dumps(resource).encode(), "here")
    assert decoded.troubles == ()
    found = resource_events(decoded.resources[0], context=context)  # type: ignore[arg-type]
    return found if isinstance(found, SetAside) else found[0]


def the_event(resource: dict[str, Any]) -> Event:
    event = read(resource)
    assert isinstance(event, Event), event
    return event


def record_with(*resources: dict[str, Any], **entry: Any) -> Record:
    entries = [{"resource": resource, **entry} for resource in resources]
    body = json.dumps({"resourceType": "Bundle", "entry": entries}).encode()
    return record_of(decode_bundle(body), "p1")


@pytest.mark.parametrize(
    ("kind", "event_kind", "time", "recorded"),
    [
        ("MedicationRequest", "request", MAY, MAY),
        ("MedicationStatement", "statement", MAY, JUNE),
        ("MedicationDispense", "dispense", MAY, MAY),
        ("MedicationAdministration", "administration", MAY, MAY),
    ],
)
def test_each_becomes_an_event(kind: str, event_kind: str, time: str, recorded: str) -> None:
    event = the_event(a(kind))

    assert (event.kind, event.source) == (event_kind, f"{kind}/m1")
    assert event.codes == ("rxnorm|314076",)
    assert event.time is not None
    assert iso(event.time.start) == time
    assert iso(event.recorded) == recorded
    assert (event.value, event.days, event.until) == (None, None, None)


KEPT, VOID, ASIDE = "kept", "void", "aside"


@pytest.mark.parametrize(
    ("kind", "status", "fate", "ended"),
    [
        ("MedicationRequest", "active", KEPT, False),
        ("MedicationRequest", "on-hold", KEPT, False),
        ("MedicationRequest", "completed", KEPT, True),
        ("MedicationRequest", "stopped", KEPT, True),
        ("MedicationRequest", "cancelled", VOID, False),
        ("MedicationRequest", "entered-in-error", VOID, False),
        ("MedicationRequest", "draft", ASIDE, False),
        ("MedicationRequest", "unknown", KEPT, False),
        ("MedicationStatement", "active", KEPT, False),
        ("MedicationStatement", "completed", KEPT, True),
        ("MedicationStatement", "stopped", KEPT, True),
        ("MedicationStatement", "on-hold", KEPT, False),
        ("MedicationStatement", "entered-in-error", VOID, False),
        ("MedicationStatement", "intended", ASIDE, False),
        ("MedicationStatement", "not-taken", ASIDE, False),
        ("MedicationStatement", "unknown", KEPT, False),
        ("MedicationDispense", "in-progress", KEPT, False),
        ("MedicationDispense", "completed", KEPT, False),
        ("MedicationDispense", "stopped", KEPT, False),
        ("MedicationDispense", "cancelled", VOID, False),
        ("MedicationDispense", "declined", VOID, False),
        ("MedicationDispense", "entered-in-error", VOID, False),
        ("MedicationDispense", "preparation", ASIDE, False),
        ("MedicationDispense", "on-hold", ASIDE, False),
        ("MedicationDispense", "unknown", KEPT, False),
        ("MedicationAdministration", "in-progress", KEPT, False),
        ("MedicationAdministration", "on-hold", KEPT, False),
        ("MedicationAdministration", "completed", KEPT, False),
        ("MedicationAdministration", "stopped", KEPT, False),
        ("MedicationAdministration", "entered-in-error", VOID, False),
        ("MedicationAdministration", "not-done", ASIDE, False),
        ("MedicationAdministration", "unknown", KEPT, False),
        ("MedicationRequest", "bogus", ASIDE, False),
        ("MedicationStatement", "bogus", ASIDE, False),
        ("MedicationDispense", "bogus", ASIDE, False),
        ("MedicationAdministration", "bogus", ASIDE, False),
    ],
)
def test_statuses(kind: str, status: str, fate: str, ended: bool) -> None:
    found = read(a(kind, status=status))

    if fate == ASIDE:
        words = "is not one of" if status == "bogus" else "does not say that it happened"
        assert isinstance(found, SetAside)
        assert found.reason.startswith(f"status {status!r} {words}")
        return
    assert isinstance(found, Event)
    taken_back = status if status == "entered-in-error" else "cancelled"
    assert found.status == (status if fate == KEPT else taken_back)
    assert found.ended is ended


@pytest.mark.parametrize(
    ("intent", "words"),
    [
        ("proposal", "intent proposal is not an order"),
        ("plan", "intent plan is not an order"),
        ("option", "intent option is not an order"),
        ("bogus", "intent 'bogus' is not one of directive, filler-order,"),
        (None, "intent is missing; FHIR requires one of"),
    ],
)
def test_what_is_no_order_is_set_aside(intent: str | None, words: str) -> None:
    found = read(a("MedicationRequest", intent=intent))

    assert isinstance(found, SetAside)
    assert words in found.reason


@pytest.mark.parametrize(
    "intent", ["order", "original-order", "reflex-order", "filler-order", "instance-order"]
)
def test_every_sort_of_order_is_one(intent: str) -> None:
    assert the_event(a("MedicationRequest", intent=intent)).kind == "request"


def test_an_order_to_do_nothing_is_no_order() -> None:
    found = read(a("MedicationRequest", doNotPerform=True))

    assert isinstance(found, SetAside)
    assert "asks not to do something" in found.reason
    assert the_event(a("MedicationRequest", doNotPerform=False)).kind == "request"


DAYS_30 = {"value": 30, "unit": "days", "system": UCUM, "code": "d"}


@pytest.mark.parametrize(
    ("supply", "days"),
    [
        pytest.param(DAYS_30, 30.0, id="days"),
        pytest.param({"value": 4, "system": UCUM, "code": "wk"}, 28.0, id="weeks"),
        pytest.param({"value": 4, "unit": "weeks"}, 28.0, id="weeks in words"),
        pytest.param({"value": 1.5, "unit": "day"}, 1.5, id="a day and a half"),
        pytest.param({"value": 1, "system": UCUM, "code": "mo"}, None, id="no exact month"),
        pytest.param({"value": 30, "code": "d"}, None, id="a code without a system"),
        pytest.param({"value": 30}, None, id="no unit"),
        pytest.param({"value": 30, "unit": "tablets"}, None, id="not a time"),
        pytest.param({"value": 30, "unit": "days", "comparator": ">"}, None, id="a bound"),
        pytest.param({"unit": "days"}, None, id="no number"),
        pytest.param({"value": -30, "unit": "days"}, None, id="less than nothing"),
        pytest.param({"value": 1e9, "unit": "days"}, None, id="for ever"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_days_of_supply(supply: dict[str, Any] | None, days: float | None) -> None:
    assert the_event(a("MedicationDispense", daysSupply=supply)).days == days
    request = {"expectedSupplyDuration": supply} if supply else {}
    assert the_event(a("MedicationRequest", dispenseRequest=request)).days == days


@pytest.mark.parametrize(
    ("fields", "days"),
    [
        ({"numberOfRepeatsAllowed": 0}, 30.0),
        ({"numberOfRepeatsAllowed": 2}, 90.0),
        ({"numberOfRepeatsAllowed": -1}, None),
        ({"numberOfRepeatsAllowed": 10_000}, None),
        ({"modifierExtension": [{"url": "urn:not"}]}, None),
    ],
)
def test_repeats_multiply_the_supply(fields: dict[str, Any], days: float | None) -> None:
    request = {"expectedSupplyDuration": DAYS_30, **fields}

    assert the_event(a("MedicationRequest", dispenseRequest=request)).days == days


@pytest.mark.parametrize(
    ("kind", "fields", "time", "until", "recorded"),
    [
        ("MedicationDispense", {"whenPrepared": MAY, "whenHandedOver": JUNE}, JUNE, None, JUNE),
        ("MedicationDispense", {"whenPrepared": MAY, "whenHandedOver": None}, MAY, None, MAY),
        (
            "MedicationStatement",
            {"effectiveDateTime": None, "effectivePeriod": {"start": MAY, "end": JULY}},
            MAY,
            JULY,
            JUNE,
        ),
        (
            "MedicationStatement",
            {
                "effectiveDateTime": None,
                "effectivePeriod": {"start": MAY, "end": JULY},
                "dateAsserted": None,
            },
            MAY,
            JULY,
            MAY,
        ),
        (
            "MedicationAdministration",
            {"effectiveDateTime": None, "effectivePeriod": {"start": MAY, "end": JUNE}},
            MAY,
            JUNE,
            MAY,
        ),
        ("MedicationStatement", {"effectiveDateTime": None}, None, None, JUNE),
    ],
)
def test_times(
    kind: str, fields: dict[str, Any], time: str | None, until: str | None, recorded: str
) -> None:
    event = the_event(a(kind, **fields))

    assert (event.time and iso(event.time.start)) == time
    assert (event.until and iso(event.until.start)) == until
    assert iso(event.recorded) == recorded


def test_a_request_without_any_time_is_set_aside() -> None:
    found = read(a("MedicationRequest", authoredOn=None))

    assert isinstance(found, SetAside)
    assert "no time says when it was" in found.reason


MEDICATION = {"resourceType": "Medication", "id": "med", "code": LISINOPRIL}


def refer(reference: str, **fields: Any) -> dict[str, Any]:
    given = {"medicationReference": {"reference": reference}, "medicationCodeableConcept": None}
    return a("MedicationRequest", **given, **fields)


@pytest.mark.parametrize(
    ("request_", "others", "full_url"),
    [
        pytest.param(refer("#med", contained=[MEDICATION]), [], None, id="contained"),
        pytest.param(
            refer("#med", contained=[{"resourceType": "Organization", "id": "med"}, MEDICATION]),
            [],
            None,
            id="contained beside something else",
        ),
        pytest.param(refer("Medication/med"), [MEDICATION], None, id="in the same record"),
        pytest.param(
            refer("https://ehr.example/fhir/Medication/med"), [MEDICATION], None, id="by address"
        ),
        pytest.param(refer("Medication/med/_history/3"), [MEDICATION], None, id="a version of it"),
        pytest.param(refer("urn:uuid:1234"), [MEDICATION], "urn:uuid:1234", id="by entry"),
    ],
)
def test_a_medication_that_is_referred_to_is_found(
    request_: dict[str, Any], others: list[dict[str, Any]], full_url: str | None
) -> None:
    address: dict[str, Any] = {"fullUrl": full_url} if full_url else {}
    entries = [{"resource": request_}, *({"resource": other, **address} for other in others)]
    body = json.dumps({"resourceType": "Bundle", "entry": entries}).encode()
    record = record_of(decode_bundle(body), "p1")

    assert [event.codes for event in record.events] == [("rxnorm|314076",)]


UNRESOLVED = "medication reference cannot be resolved"


@pytest.mark.parametrize(
    ("request_", "others"),
    [
        (refer("Medication/other"), [MEDICATION]),
        (refer("#other", contained=[MEDICATION]), []),
        (refer("#med", contained=[{**MEDICATION, "code": "314076"}]), []),
        (refer("urn:uuid:1234"), [MEDICATION]),
        (refer("Medication/med"), [{**MEDICATION, "modifierExtension": [{"url": "urn:not"}]}]),
        (refer("Medication/med"), [{**MEDICATION, "implicitRules": "urn:rules"}]),
        (refer("Medication/med"), [{**MEDICATION, "status": "entered-in-error"}]),
        (refer("Substance/med"), [MEDICATION]),
    ],
)
def test_one_that_is_not_found_leaves_a_gap(
    request_: dict[str, Any], others: list[dict[str, Any]]
) -> None:
    record = record_with(request_, *others)

    assert record.events == ()
    (aside,) = record.set_aside
    assert aside.source == "MedicationRequest/m1"
    assert aside.reason.startswith(UNRESOLVED)
    assert UNRESOLVED in record.gaps["kind:request"]


def test_one_that_is_entered_in_error_needs_no_medication() -> None:
    record = record_with(refer("Medication/other", status="entered-in-error"))

    assert [event.status for event in record.events] == ["entered-in-error"]
    assert "kind:request" not in record.gaps


def test_without_a_medication_there_is_a_gap() -> None:
    record = record_with(a("MedicationRequest", medicationCodeableConcept=None))

    assert "there is no medication in it" in record.gaps["kind:request"]


def test_a_medication_with_text_alone_is_set_aside_without_a_gap() -> None:
    record = record_with(refer("Medication/med"), {**MEDICATION, "code": {"text": "a pill"}})

    assert "no code in a code system" in record.set_aside[0].reason
    assert "kind:request" not in record.gaps


def test_the_newest_version_of_a_medication_counts() -> None:
    newer = {**MEDICATION, "meta": {"versionId": "2"}, "code": {
        "coding": [{"system": RXNORM, "code": "2"}]
    }}  # fmt: skip
    both = [{**MEDICATION, "meta": {"versionId": "1"}}, newer]

    for others in (both, both[::-1]):
        record = record_with(refer("Medication/med"), *others)
        assert record.events[0].codes == ("rxnorm|2",)


def test_medications_can_be_handed_over_by_reference() -> None:
    known = decode_resource(json.dumps(MEDICATION).encode(), "here").resources[0]
    assert isinstance(known, Medication)
    context = Context(medications={"Medication/med": known})

    event = read(refer("Medication/med"), context)

    assert isinstance(event, Event)
    assert event.codes == ("rxnorm|314076",)
