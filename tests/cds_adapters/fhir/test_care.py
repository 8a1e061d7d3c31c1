"""Procedures, orders of services, care plans and encounters become events."""

import json
from typing import Any

import pytest

from cds_adapters.fhir.decode import decode_resource
from cds_adapters.fhir.events import resource_events
from cds_engine.history.event import Event, SetAside
from cds_engine.vocabulary.time import iso

SNOMED = "http://snomed.info/sct"
MAY, JUNE = "2024-05-01T08:00:00Z", "2024-06-01T08:00:00Z"


def concept(code: str, system: str = SNOMED) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


USUAL: dict[str, dict[str, Any]] = {
    "Procedure": {"status": "completed", "code": concept("1"), "performedDateTime": MAY},
    "ServiceRequest": {
        "status": "active",
        "intent": "order",
        "code": concept("1"),
        "authoredOn": MAY,
    },
    "CarePlan": {
        "status": "active",
        "intent": "plan",
        "category": [concept("1")],
        "period": {"start": MAY},
    },
    "Encounter": {
        "status": "finished",
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "AMB",
        },
        "type": [concept("1")],
        "period": {"start": MAY, "end": JUNE},
    },
}


def a(kind: str, **fields: Any) -> dict[str, Any]:
    usual = {"resourceType": kind, "id": "x1", "subject": {"reference": "Patient/p1"}}
    given = {**usual, **USUAL[kind], **fields}
    return {name: value for name, value in given.items() if value is not None}


def read(resource: dict[str, Any]) -> Event | SetAside:
    decoded = decode_resource(json.dumps(resource).encode(), "here")
    assert decoded.troubles == ()
    found = resource_events(decoded.resources[0])  # type: ignore[arg-type]
    return found if isinstance(found, SetAside) else found[0]


def the_event(resource: dict[str, Any]) -> Event:
    event = read(resource)
    assert isinstance(event, Event), event
    return event


@pytest.mark.parametrize(
    ("kind", "event_kind", "codes", "until"),
    [
        ("Procedure", "procedure", ("snomed|1",), None),
        ("ServiceRequest", "service", ("snomed|1",), None),
        ("CarePlan", "service", ("snomed|1",), None),
        ("Encounter", "encounter", ("act|AMB", "snomed|1"), JUNE),
    ],
)
def test_each_becomes_an_event(
    kind: str, event_kind: str, codes: tuple[str, ...], until: str | None
) -> None:
    event = the_event(a(kind))

    assert (event.kind, event.source, event.codes) == (event_kind, f"{kind}/x1", codes)
    assert event.time is not None
    assert iso(event.time.start) == MAY
    assert (event.until and iso(event.until.start)) == until
    assert iso(event.recorded) == MAY


KEPT, VOID, ASIDE = "kept", "void", "aside"


@pytest.mark.parametrize(
    ("kind", "status", "fate", "ended"),
    [
        ("Procedure", "in-progress", KEPT, False),
        ("Procedure", "completed", KEPT, False),
        ("Procedure", "stopped", KEPT, False),
        ("Procedure", "on-hold", KEPT, False),
        ("Procedure", "entered-in-error", VOID, False),
        ("Procedure", "not-done", ASIDE, False),
        ("Procedure", "preparation", ASIDE, False),
        ("Procedure", "unknown", KEPT, False),
        ("ServiceRequest", "active", KEPT, False),
        ("ServiceRequest", "on-hold", KEPT, False),
        ("ServiceRequest", "completed", KEPT, True),
        ("ServiceRequest", "revoked", VOID, False),
        ("ServiceRequest", "entered-in-error", VOID, False),
        ("ServiceRequest", "draft", ASIDE, False),
        ("ServiceRequest", "unknown", KEPT, False),
        ("CarePlan", "active", KEPT, False),
        ("CarePlan", "on-hold", KEPT, False),
        ("CarePlan", "completed", KEPT, True),
        ("CarePlan", "revoked", VOID, False),
        ("CarePlan", "entered-in-error", VOID, False),
        ("CarePlan", "draft", ASIDE, False),
        ("CarePlan", "unknown", KEPT, False),
        ("Encounter", "arrived", KEPT, False),
        ("Encounter", "triaged", KEPT, False),
        ("Encounter", "in-progress", KEPT, False),
        ("Encounter", "onleave", KEPT, False),
        ("Encounter", "finished", KEPT, True),
        ("Encounter", "cancelled", VOID, False),
        ("Encounter", "entered-in-error", VOID, False),
        ("Encounter", "planned", ASIDE, False),
        ("Encounter", "unknown", ASIDE, False),
        ("Procedure", "bogus", ASIDE, False),
        ("ServiceRequest", "cancelled", ASIDE, False),
        ("CarePlan", None, ASIDE, False),
        ("Encounter", "bogus", ASIDE, False),
    ],
)
def test_statuses(kind: str, status: str | None, fate: str, ended: bool) -> None:
    found = read(a(kind, status=status))

    if fate == ASIDE:
        assert isinstance(found, SetAside)
        assert found.reason.startswith("status ")
        return
    assert isinstance(found, Event)
    taken_back = status if status == "entered-in-error" else "cancelled"
    assert found.status == (status if fate == KEPT else taken_back)
    assert found.ended is ended


@pytest.mark.parametrize(
    ("kind", "intent", "used"),
    [
        ("ServiceRequest", "order", True),
        ("ServiceRequest", "original-order", True),
        ("ServiceRequest", "proposal", False),
        ("ServiceRequest", "plan", False),
        ("ServiceRequest", "directive", False),
        ("ServiceRequest", "option", False),
        ("CarePlan", "plan", True),
        ("CarePlan", "order", True),
        ("CarePlan", "proposal", False),
        ("CarePlan", "option", False),
    ],
)
def test_a_service_must_be_ordered_and_a_care_plan_at_least_planned(
    kind: str, intent: str, used: bool
) -> None:
    found = read(a(kind, intent=intent))

    assert isinstance(found, Event) is used
    if isinstance(found, SetAside):
        assert found.reason == f"intent {intent} is not an order"


def test_an_order_to_do_nothing_is_no_order() -> None:
    found = read(a("ServiceRequest", doNotPerform=True))

    assert isinstance(found, SetAside)
    assert "asks not to do something" in found.reason


def test_a_care_plan_carries_the_codes_of_the_steps_it_still_contains() -> None:
    steps = [
        {"detail": {"code": concept("2"), "status": "in-progress"}},
        {"detail": {"code": concept("2")}},
        {"detail": {"code": concept("3"), "status": "cancelled"}},
        {"detail": {"code": concept("4"), "status": "entered-in-error"}},
        {"detail": {"code": concept("5"), "doNotPerform": True}},
        {"detail": {"code": concept("6")}, "modifierExtension": [{"url": "urn:not"}]},
        {"detail": {"code": concept("7"), "modifierExtension": [{"url": "urn:not"}]}},
        {"detail": {}},
        {"reference": {"reference": "ServiceRequest/1"}},
    ]

    assert the_event(a("CarePlan", activity=steps)).codes == ("snomed|1", "snomed|2")


def test_a_care_plan_is_known_since_it_was_created() -> None:
    assert iso(the_event(a("CarePlan", created=JUNE)).recorded) == JUNE


def test_a_procedure_is_known_when_it_is_over() -> None:
    period = {"performedDateTime": None, "performedPeriod": {"start": MAY, "end": JUNE}}
    stored = {"meta": {"lastUpdated": "2024-07-01T08:00:00Z"}}
    event = the_event(a("Procedure", **period, **stored))

    assert event.time is not None
    assert event.until is not None
    assert (iso(event.time.start), iso(event.until.end)) == (MAY, JUNE)
    assert iso(event.recorded) == JUNE


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Procedure", {"code": {"text": "a talk"}}),
        ("ServiceRequest", {"code": None}),
        ("CarePlan", {"category": None}),
        ("Encounter", {"class": None, "type": None}),
    ],
)
def test_without_codes_it_is_set_aside(kind: str, fields: dict[str, Any]) -> None:
    found = read(a(kind, **fields))

    assert isinstance(found, SetAside)
    assert found.reason == "there is no code in a code system, at most text"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Procedure", {"performedDateTime": None}),
        ("Procedure", {"performedDateTime": None, "performedString": "in spring"}),
        ("ServiceRequest", {"authoredOn": None}),
        ("CarePlan", {"period": None}),
        ("Encounter", {"period": None}),
    ],
)
def test_without_any_time_it_is_set_aside(kind: str, fields: dict[str, Any]) -> None:
    found = read(a(kind, **fields))

    assert isinstance(found, SetAside)
    assert found.reason == "no time says when it was or when it became known"
