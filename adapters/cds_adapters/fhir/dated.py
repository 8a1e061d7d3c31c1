"""What cannot be read may still say when: from then on it might have counted, and not before.

What is left of such a resource are its times. With everything else put right it becomes the events
it would have been, so that what is missing is missing from the same instant on.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from cds_adapters.fhir.context import Context
from cds_adapters.fhir.elements import CodeableConcept, Coding
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.events import make_events
from cds_adapters.fhir.resources import (
    USED_TYPES,
    AllergyIntolerance,
    CarePlan,
    Condition,
    Encounter,
    MedicationAdministration,
    MedicationDispense,
    MedicationRequest,
    MedicationStatement,
    Observation,
    PatientResource,
    Procedure,
    ServiceRequest,
)
from cds_engine.history.event import Event

_CODING = Coding(system="urn:any", code="any")
_ANY = CodeableConcept(coding=(_CODING,))
_DRUG: Mapping[str, Any] = {"medication_codeable_concept": _ANY}
SOUND: Mapping[type[PatientResource], Mapping[str, Any]] = {
    Observation: {"status": "final", "code": _ANY},
    Condition: {},
    AllergyIntolerance: {},
    MedicationRequest: {"status": "active", "intent": "order", **_DRUG},
    MedicationStatement: {"status": "active", **_DRUG},
    MedicationDispense: {"status": "completed", **_DRUG},
    MedicationAdministration: {"status": "completed", **_DRUG},
    Procedure: {"status": "completed", "code": _ANY},
    ServiceRequest: {"status": "active", "intent": "order", "code": _ANY},
    CarePlan: {"status": "active", "intent": "plan", "category": (_ANY,)},
    Encounter: {"status": "finished", "class_": _CODING},
}
"""What makes an event of a resource that says no more than its times."""

_STATED = frozenset(
    {
        "meta", "status", "authored_on", "effective_date_time", "effective_instant",
        "effective_period", "effective_timing", "issued", "onset_date_time", "onset_period",
        "recorded_date", "date_asserted", "when_prepared", "when_handed_over",
        "performed_date_time", "performed_period", "period", "created",
    }
)  # fmt: skip
_KEPT: Mapping[type[PatientResource], Mapping[str, str]] = {
    kind: {
        name: stated
        for name, stated in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
        if name in _STATED
    }
    for kind in SOUND
}
"""Type -> the fields in which it says when, and its status; by their names in FHIR."""


def dated_of(fields: Mapping[str, Raw]) -> PatientResource | None:
    """Return what is left of what cannot be decoded; None if not even its times can be read."""
    try:
        kind: Any = USED_TYPES.get(msgspec.json.decode(fields["resourceType"], type=str))
        kept = {name: fields[name] for name in _KEPT[kind].values() if name in fields}
        if "status" in kept and bytes(kept["status"])[:1] != b'"':
            del kept["status"]
        found: PatientResource = msgspec.json.decode(
            msgspec.json.encode({"resourceType": kind.__name__, **kept}), type=kind
        )
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found


def dated_events(resource: PatientResource | None, context: Context, source: str) -> list[Event]:
    """Return the events that a resource would have been, by its times; none if they say nothing."""
    if resource is None:
        return []
    for sound in _sound(resource):
        try:
            return make_events(sound, context, source)
        except NotUsedError:
            continue
    return []


def _sound(resource: PatientResource) -> Iterator[PatientResource]:
    """Yield the resource put right: first in its own status, then in one that can be used."""
    kind: Any = type(resource)
    times = {name: getattr(resource, name) for name in _KEPT[kind]}
    own = {} if times.get("status") is None else {"status": times["status"]}
    for status in (own, {}):
        yield kind(**{**times, **SOUND[kind], **status})
