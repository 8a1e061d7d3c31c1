"""What can still be said about a resource that cannot be decoded: whose it is, and its codes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec import Raw

from cds_adapters.fhir.dated import dated_of
from cds_adapters.fhir.elements import CodeableConcept, Reference
from cds_adapters.fhir.resources import (
    AllergyIntolerance,
    Condition,
    Medication,
    Observation,
    OfMedication,
    Patient,
    PatientResource,
    Procedure,
    ServiceRequest,
    UsedResource,
)

T = TypeVar("T")
Concepts = tuple[CodeableConcept, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A resource that cannot be decoded.

    Attributes:
        source: the reference to it, or else its place: ``Bundle.entry[12]``.
        reason: why, in words that hold no patient value.
        resource_type: what it calls itself; empty if it does not say.
        subject: the reference to its patient, as it stands; None if that cannot be read.
        concepts: everything it can be about; empty if that cannot be read in full.
        dated: the resource with nothing but its times; None if they cannot be read.
    """

    source: str
    reason: str
    resource_type: str = ""
    subject: str | None = None
    concepts: Concepts = ()
    dated: PatientResource | None = None


def glimpse(data: bytes | Raw, place: str, reason: str) -> Trouble:
    """Read what can be read of a resource that cannot be decoded."""
    fields = _part(data, dict[str, Raw]) or _with_strange_numbers(data)
    if fields is None:
        return _glimpse_text(bytes(data), place, reason)
    kind = _part(fields.get("resourceType"), str) or ""
    resource_id = _part(fields.get("id"), str)
    subject = _part(fields.get("subject", fields.get("patient")), Reference)
    return Trouble(
        source=f"{kind}/{resource_id}" if kind and is_id(resource_id) else place,
        reason=reason,
        resource_type=kind,
        subject=None if subject is None else subject.reference,
        concepts=_concepts(fields),
        dated=dated_of(fields),
    )


def trouble_with(resource: UsedResource, place: str, reason: str) -> Trouble:
    """Describe a resource that was decoded but cannot be referred to."""
    dated = None if isinstance(resource, Patient | Medication) else resource
    subject = None if dated is None else dated.subject
    return Trouble(
        source=place,
        reason=reason,
        resource_type=type(resource).__name__,
        subject=None if subject is None else subject.reference,
        concepts=concepts_of(resource),
        dated=dated,
    )


def concepts_of(resource: UsedResource) -> Concepts:
    """Return everything a resource can be about; nothing if that is not plain."""
    match resource:
        case Observation():
            parts = [part.code for part in resource.component]
            return tuple(one for one in (resource.code, *parts) if one is not None)
        case Condition() | AllergyIntolerance() | Procedure() | ServiceRequest():
            return () if resource.code is None else (resource.code,)
        case OfMedication():
            concept = resource.medication_codeable_concept
            return () if concept is None else (concept,)
        case _:
            return ()


def is_id(text: str | None) -> bool:
    """Say whether text can stand in a reference and in a log."""
    return text is not None and 0 < len(text) <= 128 and text.isprintable()


def _concepts(fields: Mapping[str, Raw]) -> Concepts:
    found = [
        _part(fields[name], CodeableConcept)
        for name in ("code", "medicationCodeableConcept")
        if name in fields
    ]
    if "component" in fields:
        parts = _part(fields["component"], list[dict[str, Raw]]) or [{}]
        found += [_part(part.get("code"), CodeableConcept) for part in parts]
    readable = tuple(one for one in found if one is not None)
    return readable if len(readable) == len(found) else ()


def _part(data: bytes | Raw | None, kind: type[T]) -> T | None:
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _with_strange_numbers(data: bytes | Raw) -> dict[str, Raw] | None:
    """Read what is JSON but for numbers that JSON has not, such as NaN; they become nothing."""
    try:
        told = json.loads(bytes(data), parse_constant=lambda _: None)
        return _part(msgspec.json.encode(told), dict[str, Raw])
    except (ValueError, RecursionError):
        return None


_kind_in = re.compile(rb'"resourceType"\s*:\s*"([A-Za-z]{1,64})"').search
_subject_in = re.compile(
    rb'"(?:subject|patient)"\s*:\s*\{\s*"reference"\s*:\s*"([!#-\[\]-~]{1,256})"'
).search


def _glimpse_text(data: bytes, place: str, reason: str) -> Trouble:
    # A line that is cut off is no JSON, but mostly still says whose it is.
    kind, subject = _kind_in(data), _subject_in(data)
    return Trouble(
        place,
        reason,
        kind[1].decode() if kind else "",
        subject[1].decode() if subject else None,
    )
