"""A version that is not among the resources was on record all the same, and its content is unknown.

A server that counts versions exports the newest one alone. It was not known before it was stored;
but its own times may show that the resource stood in the record before, as somebody could read it
then. What it said is not known: for that time it leaves open whatever it now tells.
"""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from cds_adapters.fhir.codesets import REVISED, UNKNOWN
from cds_adapters.fhir.context import Context, Version
from cds_adapters.fhir.dated import SOUND
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.events import make_events
from cds_adapters.fhir.resources import AllergyIntolerance, Condition, PatientResource
from cds_engine.history.course import COURSE_KINDS
from cds_engine.history.event import BEGINNING, Event
from cds_engine.vocabulary.time import Instant

UNSEEN: Version = (-1, "")
"""What a version is called that is not among the resources; every other one is newer."""

WHY = "an earlier version of it is not among the records, and what it said is not known"


def is_revised(event: Event) -> bool:
    """Say whether an event is of a version that was not the first one of its source."""
    return event.version[0] > 1 or event.status in REVISED


def as_first(resource: PatientResource) -> PatientResource:
    """Return a resource as if it were the first version of itself and stood as it does."""
    changes: dict[str, Any] = {}
    if resource.meta is not None:
        changes["meta"] = replace(resource.meta, version_id=None)
    if getattr(resource, "status", None) in REVISED:
        changes["status"] = SOUND[type(resource)]["status"]
    if isinstance(resource, Condition | AllergyIntolerance):
        changes["verification_status"] = None
    return replace(resource, **changes)


def unseen_events(
    resource: PatientResource, made: Sequence[Event], context: Context, source: str
) -> list[Event]:
    """Return what stands for the versions before the first one that there is; mostly nothing.

    Args:
        resource: the first version among the resources.
        made: its events.
        context: of the record.
        source: the reference to it.
    """
    if not made or not is_revised(made[0]):
        return []
    try:
        earlier = make_events(as_first(resource), context, source)
    except NotUsedError:
        return []
    known = min(event.recorded for event in made)
    dated = (_before(event, known) for event in earlier)
    return [_open(event) for event in dated if event.recorded < known]


def _before(event: Event, known: Instant) -> Event:
    """Return an event that does not say when it was, nor when it was recorded, as always there.

    All that is told of it is when the version that there is was stored.
    """
    silent = event.time is None and event.recorded >= known
    return replace(event, recorded=BEGINNING) if silent else event


def _open(event: Event) -> Event:
    """Return an event that says no more than that it may have been so."""
    said: dict[str, Any] = {"doubt": True, "until": None, "ended": False, "days": None}
    if event.kind == "observation":
        said = {"value": None, "unit": None, "problem": WHY}
    elif event.kind in COURSE_KINDS:
        said["status"] = UNKNOWN
    return replace(event, version=UNSEEN, **said)
