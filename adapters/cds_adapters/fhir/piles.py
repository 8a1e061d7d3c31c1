"""Resources are laid on one pile per patient before any of them is decoded in full."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
from msgspec import Struct

from cds_adapters.fhir.decode import (
    DecodedBundle,
    RawBundle,
    add_url,
    decode_resource,
    is_failure,
    matters,
    next_link,
    read_raw_bundle,
)
from cds_adapters.fhir.deletions import (
    Deletions,
    add_deleted,
    deletions_in,
    take_back,
    without_deleted,
)
from cds_adapters.fhir.duplicate_keys import refuse_duplicate_keys
from cds_adapters.fhir.elements import Reference
from cds_adapters.fhir.errors import FHIRError
from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.record import NO_SUBJECT, patient_of_trouble, record_of
from cds_adapters.fhir.references import Subjects, about_no_patient, local_reference, new_id
from cds_adapters.fhir.resources import USED_TYPES
from cds_adapters.fhir.site_map import SiteMap
from cds_adapters.fhir.troubles import Trouble, glimpse
from cds_engine.history.event import Record, SetAside


@dataclass(frozen=True, slots=True)
class Piece:
    """One resource as it stands in a file.

    Attributes:
        data: its JSON.
        place: file and line, or file and entry.
        full_url: the address of its entry, in a Bundle.
    """

    data: bytes
    place: str
    full_url: str | None = None


class _Label(Struct, frozen=True, gc=False, rename="camel"):
    resource_type: str | None = None
    id: str | None = None
    subject: Reference | None = None
    patient: Reference | None = None
    medication_reference: Reference | None = None


_label = msgspec.json.Decoder(_Label)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_REFERRED = ("Patient", "Medication")
_NAMELESS = (
    "a deletion does not name one resource by type and id, as Observation/1 does, and so what was "
    "deleted still counts"
)


class Piles:
    """Everything that was found, by patient.

    Attributes:
        only: the id of the only patient who is wanted; None for all.
    """

    def __init__(self, only: str | None = None) -> None:
        self.only = only
        self._piles: dict[str, list[Piece]] = {}
        self._medications: dict[str, list[Piece]] = {}
        self._wanted: dict[str, dict[str, None]] = {}
        self._urls: dict[str, str] = {}
        self._lost: list[Trouble] = []
        self._deletions = Deletions()
        self._nameless: list[SetAside] = []

    def patients(self) -> tuple[str, ...]:
        """Return the ids of the patients, in the order in which they were found."""
        return tuple(self._piles)

    def pieces(self, patient_id: str) -> list[Piece]:
        """Return a patient's resources, and the medications that they refer to."""
        names = {self._urls.get(name) or name for name in self._wanted.get(patient_id, ())}
        local = sorted({local_reference(name, "Medication") or "" for name in names})
        shared = [piece for name in local for piece in self._medications.get(name, ())]
        return self._piles.get(patient_id, []) + shared

    def record(self, patient_id: str, site: SiteMap) -> Record:
        """Build a patient's record; what may be anybody's is missing from it.

        What the server deleted counts no longer from then on, whichever file says so.
        """
        parts = [
            decode_resource(piece.data, piece.place, piece.full_url, unique=True)
            for piece in self.pieces(patient_id)
        ]
        resources = [resource for part in parts for resource in part.resources]
        body = DecodedBundle(
            resources=tuple(without_deleted(resources, self._deletions.names)),
            urls=self._urls,
            troubles=(*(trouble for part in parts for trouble in part.troubles), *self._lost),
        )
        record = take_back(record_of(body, patient_id, site), self._deletions.names)
        return replace(record, set_aside=(*record.set_aside, *self._nameless))

    def add_body(self, body: bytes, place: str) -> None:
        """Add a Bundle, with what it says was deleted.

        Raises:
            FHIRError: if it is none, or gives two values to one key.
            DecodeError: if it cannot be decoded.
        """
        bundle, told = read_raw_bundle(body), deletions_in(body)
        # An entry that gives two resources would lose one; the resources are looked at one by one.
        if body.count(b'"resource"') > len(bundle.entry) or body.count(b'"entry"') > 1:
            refuse_duplicate_keys(body)
        add_deleted(self._deletions.names, told.names)
        if told.unclear:
            self._nameless.append(SetAside(place, _NAMELESS))
        self._add_bundle(bundle, place)

    def _add_bundle(self, bundle: RawBundle, place: str) -> None:
        """Add the entries of a Bundle; a page of a longer search leaves a gap in every record."""
        pieces = [
            Piece(bytes(entry.resource), f"{place}: Bundle.entry[{index}]", entry.full_url)
            for index, entry in enumerate(bundle.entry)
            if entry.resource
        ]
        urls: dict[str, str] = {}
        for piece in pieces:
            self._add_url(urls, piece)
        for piece in pieces:
            self.add(piece, "", urls)
        for url, name in urls.items():
            add_url(self._urls, url, name)
        if next_link(bundle.link) is not None:
            reason = "it is one page of several (it has a next link); fetch the others too"
            self._lost.append(Trouble(place, reason, "Bundle"))

    def add(self, piece: Piece, file_name: str = "", urls: Mapping[str, str] | None = None) -> None:
        """Lay a resource on the pile of the patient it names."""
        try:
            label = _label.decode(piece.data)
        except _UNREADABLE as fault:
            self._add_unreadable(piece, file_name, urls, str(fault))
            return
        if (reason := _ambiguous(piece.data)) and label.resource_type not in UNUSED_TYPES:
            # Whose it is may be what stands twice, so it may be anybody's.
            self._lost.append(Trouble(piece.place, reason))
            return
        kind = label.resource_type
        if kind == "Medication":
            name = f"Medication/{label.id or new_id(piece.full_url)}"
            self._medications.setdefault(name, []).append(piece)
        elif kind == "Bundle":
            self._add_nested(piece)
        elif kind == "OperationOutcome":
            self._add_outcome(piece)
        elif kind is None or kind in USED_TYPES:
            self._add_used(piece, label, Subjects(urls or {}))

    def _add_nested(self, piece: Piece) -> None:
        try:
            self.add_body(piece.data, piece.place)
        except (FHIRError, *_UNREADABLE) as fault:
            self._lost.append(Trouble(piece.place, f"it cannot be decoded: {fault}", "Bundle"))

    def _add_used(self, piece: Piece, label: _Label, subjects: Subjects) -> None:
        if label.resource_type == "Patient":
            patient = label.id or new_id(piece.full_url)
        else:
            subject = label.subject or label.patient
            reference = None if subject is None else subject.reference
            if about_no_patient(reference):
                return
            patient = subjects[reference]
        if patient is None:
            self._lost.append(glimpse(piece.data, piece.place, NO_SUBJECT))
        elif self.only in (None, patient):
            self._piles.setdefault(patient, []).append(piece)
            if label.medication_reference is not None and label.medication_reference.reference:
                self._wanted.setdefault(patient, {})[label.medication_reference.reference] = None

    def _add_unreadable(
        self, piece: Piece, file_name: str, urls: Mapping[str, str] | None, fault: str
    ) -> None:
        trouble = glimpse(piece.data, piece.place, f"it cannot be decoded: {fault}")
        if not trouble.resource_type:
            trouble = replace(trouble, resource_type=_type_in(file_name))
        if not matters(trouble):
            return
        patient = patient_of_trouble(trouble, Subjects(urls or {}))
        if patient is None:
            self._lost.append(trouble)
        elif self.only in (None, patient):
            self._piles.setdefault(patient, []).append(piece)

    def _add_outcome(self, piece: Piece) -> None:
        if any(is_failure(outcome) for outcome in decode_resource(piece.data, "").outcomes):
            self._lost.append(Trouble(piece.place, "the server reports an error", "Bundle"))

    def _add_url(self, urls: dict[str, str], piece: Piece) -> None:
        if piece.full_url is None:
            return
        try:
            label = _label.decode(piece.data)
        except _UNREADABLE:
            return
        if label.resource_type in _REFERRED:
            name = label.id or new_id(piece.full_url)
            add_url(urls, piece.full_url, f"{label.resource_type}/{name}")


def _ambiguous(data: bytes) -> str:
    """Return why it is not clear what a resource is or whose; mostly empty, at little cost."""
    names = (b'"subject"', b'"patient"', b'"resourceType"')
    if b"\\u00" not in data and all(data.count(name) < 2 for name in names):
        return ""
    try:
        refuse_duplicate_keys(data)
    except FHIRError as fault:
        return str(fault)
    return ""


def _type_in(file_name: str) -> str:
    """Return the resource type that a file is named after, such as ``Observation.1.ndjson``."""
    words = re.findall("[A-Za-z]+", file_name)
    return next((word for word in words if word in USED_TYPES or word in UNUSED_TYPES), "")
