"""The pieces of a shard become its patients' records, by the same code that serves."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import msgspec

from cds_adapters.bulk.eventfiles import Lost
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.medications import Medications
from cds_adapters.bulk.rejects import Reject, reject
from cds_adapters.bulk.scanned import read_report
from cds_adapters.bulk.spill import Laid, Piece, read_blocks
from cds_adapters.fhir.context import NO_VERSION, Context, Version
from cds_adapters.fhir.decode import DecodedBundle, add_url, decode_resource
from cds_adapters.fhir.deletions import take_back, without_deleted
from cds_adapters.fhir.elements import Reference
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.gaps import PATIENT, Gaps
from cds_adapters.fhir.record import record_of
from cds_adapters.fhir.references import local_reference
from cds_adapters.fhir.resources import (
    USED_TYPES,
    CarePlan,
    Encounter,
    MedicationAdministration,
    MedicationDispense,
    MedicationRequest,
    OfMedication,
    Procedure,
    ServiceRequest,
    UsedResource,
)
from cds_adapters.fhir.site_map import PLAIN, SiteMap
from cds_adapters.fhir.troubles import is_id
from cds_adapters.fhir.unseen import UNSEEN
from cds_adapters.fhir.whole import lost_nothing
from cds_engine.history.event import Event, Person, Record
from cds_engine.replay.points import Named, Patient

_event = msgspec.msgpack.Decoder(Event).decode
_lost = msgspec.msgpack.Decoder(Lost).decode
_person = msgspec.msgpack.Decoder(Person).decode
_reference = msgspec.json.Decoder(Reference).decode
_resource = msgspec.json.Decoder(UsedResource).decode
_resources = msgspec.json.Decoder(UsedResource).decode_lines
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_USED = frozenset(USED_TYPES.values())
_OF_MEDICATION = frozenset(kind for kind in _USED if issubclass(kind, OfMedication))
_NAMES_ENCOUNTER = {
    MedicationRequest: "other_encounter",
    MedicationDispense: "other_context",
    MedicationAdministration: "other_context",
    Procedure: "other_encounter",
    ServiceRequest: "other_encounter",
    CarePlan: "other_encounter",
    Encounter: "other_partOf",
}
"""Type of what may be a catalogue action -> the element that names its encounter."""


class ShardReader:
    """Reads the patients of one shard.

    Attributes:
        rejects: resources that turned out to be damaged once they were read in full.
    """

    def __init__(self, job: Job, shard: int) -> None:
        self._job = job
        self._shard = shard
        self._site = job.site()
        self._medications = Medications(job.work)
        self.rejects: list[Reject] = []

    def mapped(self) -> list[str]:
        """Return the local codes of the site that were met in what was read so far."""
        return sorted(self._site.event_codes.met)

    def patients(self) -> Iterator[Patient]:
        """Yield every patient of the shard, one at a time."""
        found: defaultdict[str, _Found] = defaultdict(_Found)
        for laid, number in self._laid():
            for piece in laid.pieces:
                found[piece.patient].pieces.append((piece, number))
            self._take_lines(laid, number, found)
        for patient in sorted(found):
            yield self._patient(patient, found.pop(patient))

    def _laid(self) -> Iterator[tuple[Laid, int]]:
        for number in range(len(self._job.parts)):
            for path in (self._job.spill(number), self._job.second_spill(number)):
                for laid in read_blocks(path, read_report(path).blocks, self._shard):
                    yield laid, number

    @staticmethod
    def _take_lines(laid: Laid, number: int, found: "defaultdict[str, _Found]") -> None:
        """Give every line to its patient: as a resource, or where one is odd, all to be read."""
        resources = _plain_lines(laid.text) if laid.patients else ()
        if resources is not None:
            for patient, resource in zip(laid.patients, resources, strict=True):
                found[patient].resources.append(resource)
            return
        lines = laid.text.split(b"\n")
        for patient, line, data in zip(laid.patients, laid.numbers, lines, strict=True):
            found[patient].pieces.append((Piece(patient, data, line=line), number))

    def _patient(self, patient: str, found: "_Found") -> Patient:
        events = [piece for piece, _ in found.pieces if piece.kind == "e"]
        persons = [piece for piece, _ in found.pieces if piece.kind == "p"]
        pieces = [(p, n) for p, n in found.pieces if p.kind in "rd"]
        lost = [_lost(piece.data) for piece, _ in found.pieces if piece.kind == "g"]
        of_fhir = bool(pieces or found.resources)
        if of_fhir and not events and not persons:
            return self._of_resources(patient, found.resources, pieces, lost)
        told = self._of_events(patient, events, persons, lost)
        if not of_fhir:
            return told
        more = self._of_resources(patient, found.resources, pieces, lost)
        record = replace(more.record, events=more.record.events + told.record.events)
        return Patient(record, {**more.encounters, **told.encounters})

    def _of_events(
        self, patient: str, events: list[Piece], persons: list[Piece], lost: list[Lost]
    ) -> Patient:
        gaps = self._gaps(lost)
        people = {_person(piece.data) for piece in persons}
        if len(people) != 1:
            words = "there is no person to take the patient's facts from"
            gaps.add(PATIENT, "persons contradict each other" if people else words)
        person = people.pop() if len(people) == 1 else Person(patient)
        told = tuple(_event(piece.data) for piece in events)
        named = zip(told, [piece.encounter for piece in events], strict=True)
        written = _each_once((event.source, event.version, name) for event, name in named if name)
        record = Record(person, told, (), gaps.words(), gap_times=gaps.times())
        return Patient(record, written)

    def _of_resources(
        self,
        patient: str,
        plain_ones: Sequence[UsedResource],
        pieces: list[tuple[Piece, int]],
        lost: list[Lost],
    ) -> Patient:
        urls = _urls(piece for piece, _ in pieces)
        resources = list(plain_ones)
        parts: list[DecodedBundle] = []
        for piece, number in pieces:
            plain = _plain(piece)
            if plain is not None:
                resources.append(plain)
                continue
            part = self._decoded(piece, number)
            resources += part.resources
            parts.append(part)
        names = _referred(resources, urls)
        for piece in self._medications.find(sorted(names)):
            part = decode_resource(piece.data, piece.patient, piece.full_url, unique=True)
            resources += part.resources
            parts.append(part)
        troubles = tuple(trouble for part in parts for trouble in part.troubles)
        deleted = self._job.deleted
        if deleted:
            resources = without_deleted(resources, deleted)
        body = DecodedBundle(tuple(resources), urls, troubles=troubles)
        # rows and resources of one patient are hardly ever mixed: what a row left holds always
        gaps = self._gaps(lost).words() if lost else self._job.gaps
        record = record_of(body, patient, self._site, gaps)
        if deleted:
            record = take_back(record, deleted)
        # on a schedule there is no encounter that could have written anything
        scheduled = self._job.settings.points == "schedule"
        return Patient(record, {} if scheduled else written_in(resources, urls, self._site))

    def _gaps(self, lost: Iterable[Lost]) -> Gaps:
        """Return the gaps of every record, and those that rows of one patient left."""
        gaps = Gaps(Context(self._site))
        gaps.add_all(self._job.gaps)
        for one in lost:
            for key in one.keys:
                gaps.add(key, one.words, one.since)
        return gaps

    def _decoded(self, piece: Piece, number: int) -> DecodedBundle:
        file = self._job.file(number).name
        line = piece.line + self._job.before[number]
        place = f"{file}:{line}" + (f" entry {piece.entry}" if piece.entry >= 0 else "")
        part = decode_resource(piece.data, place, piece.full_url, unique=True)
        if piece.kind == "r":
            self.rejects += [
                reject(file, line, piece.entry, trouble.reason, piece.data, attributed=True)
                for trouble in part.troubles
            ]
        return part


class _Found:
    """What was found of one patient: resources that are read, and what has to be."""

    __slots__ = ("pieces", "resources")

    def __init__(self) -> None:
        self.resources: list[UsedResource] = []
        self.pieces: list[tuple[Piece, int]] = []


def _plain_lines(text: bytes) -> list[UsedResource] | None:
    """Return the resources of some lines; None where anything about them needs a closer look."""
    try:
        resources = _resources(text)
    except _UNREADABLE:
        return None
    fine = _USED.issuperset(map(type, resources)) and all(is_id(one.id) for one in resources)
    return resources if fine and lost_nothing(text, resources) else None


def _plain(piece: Piece) -> UsedResource | None:
    """Return the resource of a piece; None where anything about it needs a closer look."""
    if piece.kind != "r" or piece.full_url is not None:
        return None
    try:
        resource = _resource(piece.data)
    except _UNREADABLE:
        return None
    # what the general way would find is the same resource, with no address and no trouble
    fine = type(resource) in _USED and is_id(resource.id) and lost_nothing(piece.data, resource)
    return resource if fine else None


def written_in(
    resources: Iterable[UsedResource], urls: Mapping[str, str], site: SiteMap = PLAIN
) -> dict[Named, str]:
    """Return version of an act -> the encounter that it names; of an encounter, what it is part of.

    Args:
        resources: everything of one patient.
        urls: what the addresses in Bundles stand for.
        site: how the site's dates are to be read.
    """
    found: list[tuple[str, Version, str]] = []
    named: dict[bytes, str | None] = {b"": None}
    context: Context | None = None
    for resource in resources:
        kind = type(resource)
        element = _NAMES_ENCOUNTER.get(kind)
        if element is None:
            continue
        text = bytes(getattr(resource, element))
        if text not in named:
            named[text] = _encounter(text, urls)
        encounter = named[text]
        if encounter is not None:
            context = context or Context(site)
            version = _version(resource, context)
            found.append((f"{kind.__name__}/{resource.id}", version, encounter))
    return _each_once(found)


def _version(resource: UsedResource, context: Context) -> Version:
    try:
        return context.version(resource.meta)
    except NotUsedError:
        # the record does not use it either
        return NO_VERSION


def _each_once(found: Iterable[tuple[str, Version, str]]) -> dict[Named, str]:
    """Name one encounter for each version; of copies that disagree, the same one in any order.

    What stands for versions that are not there was written where the first that is there was.
    """
    named: dict[Named, str] = {}
    for source, version, name in sorted(found, reverse=True):
        named[source, version] = named[source, UNSEEN] = name
    return named


def _encounter(raw: bytes, urls: Mapping[str, str]) -> str | None:
    """Return the source of the encounter that a reference names; None if it names none."""
    try:
        reference = _reference(raw).reference
    except msgspec.DecodeError:
        return None
    if reference is None:
        return None
    name = urls.get(reference, reference)
    if name.startswith("urn:uuid:"):
        return f"Encounter/{name.removeprefix('urn:uuid:')}"
    return local_reference(name, "Encounter")


def _urls(pieces: Iterable[Piece]) -> dict[str, str]:
    """Return what the addresses in all Bundles that speak of one patient stand for."""
    urls: dict[str, str] = {}
    for piece in pieces:
        for url, name in (piece.urls or {}).items():
            add_url(urls, url, name)
    return urls


def _referred(resources: Iterable[UsedResource], urls: Mapping[str, str]) -> set[str]:
    """Return the names of the Medications that resources refer to."""
    # isinstance is slow on structs, and every resource of every patient passes here
    some = [cast("OfMedication", one) for one in resources if type(one) in _OF_MEDICATION]
    stated = {
        one.medication_reference.reference for one in some if one.medication_reference is not None
    }
    local = (local_reference(urls.get(name) or name, "Medication") for name in stated if name)
    return {name for name in local if name is not None}
