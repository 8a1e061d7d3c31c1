"""One file of an export is read once: what can matter is laid out by shard, the rest is counted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from cds_adapters.bulk.eventfiles import event_of, person_of, read_event_rows
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.labels import Concept, Label, read_label, read_type, read_visit
from cds_adapters.bulk.rejects import Reject, reject
from cds_adapters.bulk.sources import DataFile, open_file
from cds_adapters.bulk.spill import (
    MEDICATIONS,
    Block,
    Piece,
    SpillWriter,
    name_hash,
    write_whole,
)
from cds_adapters.bulk.streams import FileStream
from cds_adapters.bulk.wanted import KIND_OF_TYPE, Relevant, Wanted
from cds_adapters.fhir.decode import add_url, is_failure, next_link, read_raw_bundle
from cds_adapters.fhir.decode import decode_resource as decode_one
from cds_adapters.fhir.duplicate_keys import refuse_duplicate_keys
from cds_adapters.fhir.errors import FHIRError, NotUsedError
from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.record import NO_SUBJECT, patient_of_trouble
from cds_adapters.fhir.references import Subjects, about_no_patient, new_id
from cds_adapters.fhir.times import read_time
from cds_adapters.fhir.troubles import Trouble, glimpse
from cds_engine.replay.shard import shard_of
from cds_engine.vocabulary.code import short_code
from cds_engine.vocabulary.time import Instant

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_REFERRED = ("Patient", "Medication", "Encounter")
_MEDICATION_TYPES = frozenset(
    {"MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration"}
)
_BY_CODE = frozenset(
    {"Observation", "Condition", "AllergyIntolerance", "Procedure", "ServiceRequest"}
)
_PLANNED = frozenset({"planned", "cancelled", "entered-in-error"})
_TABLE = 200_000
"""How many different unmapped codes are counted before the rare ones are let go."""


@dataclass
class Scanned:
    """What one file came to.

    Attributes:
        sha256: of the file as it stands.
        lines: lines that are not empty, entries of Bundles, rows of Parquet files.
        kept: how many of them can matter, by type of resource.
        types: how many there are, by type of resource.
        blocks: where the shards stand in the file's spill.
        rejects: damaged lines.
        cut: why it is known to end too early; empty if it is not.
        refused: failures that the server reported in the export itself.
        latest: the last start or end of an encounter; None if there is none.
        unmapped: ``type code`` -> how often the code was met where it does not count.
    """

    sha256: str = ""
    lines: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    blocks: list[Block] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    cut: str = ""
    refused: int = 0
    latest: Instant | None = None
    unmapped: Counter[str] = field(default_factory=Counter)


# a Counter is no type that msgspec knows
_scanned = msgspec.json.Decoder(Scanned, dec_hook=lambda _, counts: Counter(counts))


def read_report(spill: Path) -> Scanned:
    """Return what a file came to; nothing, if it has not been scanned to its end."""
    path = spill.with_suffix(".json")
    return _scanned.decode(path.read_bytes()) if path.exists() else Scanned()


def is_scanned(job: Job, number: int) -> bool:
    """Say whether a file has been scanned to its end."""
    return job.spill(number).with_suffix(".json").exists()


def scan_file(job: Job, number: int) -> int:
    """Scan one file; return its number. Its report is written last, and marks it as done."""
    scanner = _Scanner(job, number, None)
    scanner.scan()
    return number


def fetch_more(job: Job, number: int, names: frozenset[int]) -> None:
    """Scan one file again for resources that count after all, see ``cds_adapters.bulk.twice``."""
    _Scanner(job, number, names).scan()


@lru_cache(maxsize=2)
def _tables(job_key: "_Key") -> tuple[Wanted, Mapping[str, Relevant]]:
    job = job_key.job
    wanted, site = job.wanted(), job.site()
    tables = {}
    for kind, event_kind in KIND_OF_TYPE.items():
        codes = wanted.codes.get(event_kind)
        if codes is not None and kind in (_BY_CODE | _MEDICATION_TYPES):
            tables[kind] = Relevant(codes, site)
    return wanted, tables


class _Key:
    """Lets a job be looked up by what its tables depend on."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._key = (job.bundles, tuple(sorted(job.codes.items())), job.time_zone)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


class _Scanner:
    """One file in the course of being scanned."""

    def __init__(self, job: Job, number: int, only: frozenset[int] | None) -> None:
        self.job = job
        self.number = number
        self.file: DataFile = job.export.files[number]
        self.only = only
        self.wanted, self.tables = _tables(_Key(job))
        self.types = self.wanted.types()
        self.found = Scanned()
        self.dropped: list[int] = []
        self.names: list[int] = []
        self.zone = job.site().time_zone

    def scan(self) -> None:
        first = self.only is None
        path = self.job.spill(self.number) if first else self.job.second_spill(self.number)
        stream = FileStream(self.job.export.address, self.file)
        with SpillWriter(path) as self.spill:
            if self.file.kind == "ndjson":
                self._scan_lines(stream)
            elif self.file.kind == "bundle":
                self._scan_body(stream)
            elif self.file.kind == "manifest":
                stream.body()
            else:
                self._scan_rows(stream)
        self.found.sha256 = stream.digest
        self.found.blocks = self.spill.blocks
        self.found.cut = self.found.cut or stream.cut
        if self.only is None:
            for name, hashes in (("dropped", self.dropped), ("names", self.names)):
                with path.with_suffix(f".{name}").open("wb") as target:
                    np.save(target, np.array(hashes, dtype=np.uint64))
        write_whole(path.with_suffix(".json"), msgspec.json.encode(self.found))

    def _scan_lines(self, stream: FileStream) -> None:
        number = 0
        for number, data, ended in stream.lines():
            self._add(data, number, cut=not ended or bool(stream.cut))
        if stream.cut and number == 0:
            self.found.cut = stream.cut

    def _scan_body(self, stream: FileStream) -> None:
        body = stream.body()
        if stream.cut:
            self._reject(body, 1, -1, stream.cut, attributed=False)
            return
        try:
            self._add_bundle(body, 1)
        except (FHIRError, *_UNREADABLE) as fault:
            self._reject(body, 1, -1, f"it is no Bundle that can be read: {fault}",
                         attributed=False)  # fmt: skip

    def _scan_rows(self, stream: FileStream) -> None:
        for _ in stream.chunks():
            pass
        with open_file(self.job.export.address, self.file) as data:
            for number, row in read_event_rows(data, self.file.name):
                self.found.lines += 1
                try:
                    self._add_row(row, number)
                except (ValueError, TypeError, KeyError) as fault:
                    words = str(fault) if type(fault) is ValueError else type(fault).__name__
                    self._reject(b"", number, -1, words, attributed=False)

    def _add_row(self, row: Mapping[str, Any], number: int) -> None:
        if "kind" not in row:
            person = person_of(row)
            self._keep(person.key, Piece(person.key, _pack(person), "p", number), "Patient")
            return
        event = event_of(row)
        self.found.types[event.kind] += 1
        if not self.wanted.keeps(event.kind, event.codes):
            self.found.unmapped.update(f"{event.kind} {code}" for code in event.codes)
            # a version that counts no longer still takes the place of one that did
            self.dropped.append(name_hash(event.source))
            if self.only is None or name_hash(event.source) not in self.only:
                return
        elif self.only is not None:
            return
        if event.kind == "encounter" and event.time is not None and event.status not in _PLANNED:
            self._reaches((event.until or event.time).start)
        self.names.append(name_hash(event.source))
        piece = Piece(row["patient"], _pack(event), "e", number,
                      encounter=row.get("encounter") or "")  # fmt: skip
        self._keep(row["patient"], piece, event.kind)

    def _add(self, data: bytes, line: int, *, cut: bool = False) -> None:
        """Add one line of NDJSON."""
        try:
            label = read_label(data)
        except _UNREADABLE as fault:
            self.found.lines += 1
            if cut and not _is_json(data):
                self.found.cut = f"line {line} ends in the middle"
            self._add_unreadable(data, line, -1, None, f"it cannot be decoded: {fault}")
            return
        if label.resource_type == "Bundle":
            self._add_nested(data, line)
            return
        self.found.lines += 1
        self._add_resource(data, label, line, -1, None, None)

    def _add_nested(self, data: bytes, line: int) -> None:
        try:
            self._add_bundle(data, line)
        except (FHIRError, *_UNREADABLE) as fault:
            self.found.lines += 1
            self._reject(data, line, -1, f"it is no Bundle that can be read: {fault}",
                         attributed=False)  # fmt: skip

    def _add_bundle(self, body: bytes, line: int) -> None:
        bundle = read_raw_bundle(body)
        if body.count(b'"resource"') > len(bundle.entry) or body.count(b'"entry"') > 1:
            refuse_duplicate_keys(body)
        entries = [
            (number, bytes(entry.resource), entry.full_url)
            for number, entry in enumerate(bundle.entry)
            if entry.resource
        ]
        urls: dict[str, str] = {}
        labels: list[Label | None] = []
        faults: dict[int, str] = {}
        for number, data, full_url in entries:
            try:
                label = read_label(data)
            except _UNREADABLE as fault:
                labels.append(None)
                faults[number] = f"it cannot be decoded: {fault}"
                continue
            labels.append(label)
            if full_url is not None and label.resource_type in _REFERRED:
                name = label.id or new_id(full_url)
                add_url(urls, full_url, f"{label.resource_type}/{name}")
        given: set[str] = set()
        for (number, data, full_url), told in zip(entries, labels, strict=True):
            self.found.lines += 1
            if told is None:
                self._add_unreadable(data, line, number, urls, faults[number])
            elif told.resource_type == "Bundle":
                self._add_nested(data, line)
            else:
                self._add_resource(data, told, line, number, full_url, (urls, given))
        if next_link(bundle.link) is not None:
            self.found.cut = "it is one page of several (it has a next link)"

    def _add_resource(  # what stands around a resource
        self,
        data: bytes,
        label: Label,
        line: int,
        entry: int,
        full_url: str | None,
        bundle: tuple[dict[str, str], set[str]] | None,
    ) -> None:
        kind = label.resource_type
        if kind is None:
            self._add_unreadable(data, line, entry, None, "it has no resourceType")
            return
        self.found.types[kind] += 1
        if kind == "OperationOutcome":
            self._add_outcome(data)
            return
        if kind == "Medication":
            self._add_medication(data, label, line, entry, full_url)
            return
        if kind != "Patient" and kind not in self.types:
            if kind not in UNUSED_TYPES and kind not in KIND_OF_TYPE:
                self._reject(data, line, entry, "its type is none of FHIR R4's", attributed=False)
            return
        name = label.id or new_id(full_url)
        if not self._counts(kind, label, name):
            return
        if (fault := _ambiguous(data)) is not None:
            self._reject(data, line, entry, fault, attributed=False)
            return
        urls, given = bundle or ({}, set())
        patient = name if kind == "Patient" else Subjects(urls)[label.about]
        if patient is None:
            if not about_no_patient(label.about):
                self._reject(data, line, entry, NO_SUBJECT, attributed=False)
            return
        if kind == "Encounter":
            self._look_at_visit(data)
        piece = Piece(patient, data, "r", line, entry, full_url,
                      urls if urls and patient not in given else None)  # fmt: skip
        given.add(patient)
        self._keep(patient, piece, kind)

    def _counts(self, kind: str, label: Label, name: str | None) -> bool:
        """Say whether a resource can matter; note which do, and which do not."""
        if kind == "Patient":
            return self.only is None
        known = name_hash(f"{kind}/{name}")
        verdict = self._verdict(kind, label)
        if self.only is not None:
            return not verdict and known in self.only
        (self.names if verdict else self.dropped).append(known)
        return verdict

    def _verdict(self, kind: str, label: Label) -> bool:
        """Say whether any code counts; what it is about being unclear, it may be anything."""
        table = self.tables.get(kind)
        if table is None:
            return True
        if kind in _MEDICATION_TYPES:
            concepts = [label.medication_codeable_concept]
        elif kind == "Observation" and label.component:
            concepts = [label.code, *(part.code for part in label.component)]
        else:
            concepts = [label.code]
        told = [self._told(table, concept) for concept in concepts]
        if any(one is not False for one in told):
            return True
        unmapped = self.found.unmapped
        for concept in concepts:
            for one in concept.coding if concept else ():
                if one.system and one.code:
                    unmapped[f"{kind} {short_code(one.system, one.code)}"] += 1
        if len(unmapped) > _TABLE:
            self.found.unmapped = Counter(dict(unmapped.most_common(_TABLE // 2)))
        return False

    @staticmethod
    def _told(table: Relevant, concept: Concept | None) -> bool | None:
        """Say whether a concept counts; None where it has no code in a code system."""
        if concept is None:
            return None
        told = [table[one.system, one.code] for one in concept.coding]
        if True in told:
            return True
        return False if False in told else None

    def _add_medication(
        self, data: bytes, label: Label, line: int, entry: int, full_url: str | None
    ) -> None:
        if self.only is None:
            name = f"Medication/{label.id or new_id(full_url)}"
            piece = Piece(name, data, "r", line, entry, full_url)
            self.spill.add(MEDICATIONS, piece)

    def _add_outcome(self, data: bytes) -> None:
        found = decode_one(data, "")
        self.found.refused += sum(is_failure(outcome) for outcome in found.outcomes)

    def _add_unreadable(
        self, data: bytes, line: int, entry: int, urls: dict[str, str] | None, reason: str
    ) -> None:
        """Set a line aside; if it names its patient, the record has a gap because of it."""
        trouble = glimpse(data, "", reason)
        kind = trouble.resource_type
        unused = kind in UNUSED_TYPES or (kind in KIND_OF_TYPE and kind not in self.types)
        if unused and _is_json(data):
            return
        patient = self._patient_of(trouble, urls)
        if self.only is None and patient is not None:
            self._keep(patient, Piece(patient, data, "d", line, entry), kind or "unknown")
        self._reject(data, line, entry, reason, attributed=patient is not None)

    @staticmethod
    def _patient_of(trouble: Trouble, urls: dict[str, str] | None) -> str | None:
        return patient_of_trouble(trouble, Subjects(urls or {}))

    def _look_at_visit(self, data: bytes) -> None:
        try:
            visit = read_visit(data)
        except _UNREADABLE:
            return
        if visit.period is None or visit.status in _PLANNED:
            return
        ended = visit.period.end if visit.status == "finished" else None
        for text in (visit.period.start, ended):
            if text is not None:
                self._look_at_time(text)

    def _look_at_time(self, text: str) -> None:
        try:
            self._reaches(read_time(text, self.zone).start)
        except NotUsedError:
            return

    def _reaches(self, at: Instant) -> None:
        self.found.latest = at if self.found.latest is None else max(self.found.latest, at)

    def _keep(self, patient: str, piece: Piece, kind: str) -> None:
        self.found.kept[kind] += 1
        self.spill.add(shard_of(patient, self.job.shards), piece)

    def _reject(self, data: bytes, line: int, entry: int, reason: str, *, attributed: bool) -> None:
        if self.only is None:
            self.found.rejects.append(
                reject(self.file.name, line, entry, reason, data, attributed=attributed)
            )


_pack = msgspec.msgpack.Encoder().encode


def _is_json(data: bytes) -> bool:
    try:
        read_type(data)
    except msgspec.ValidationError:
        return True
    except _UNREADABLE:
        return False
    return True


def _ambiguous(data: bytes) -> str | None:
    """Return why it is not clear what a resource is or whose; mostly None, at little cost."""
    names = (b'"subject"', b'"patient"', b'"resourceType"')
    if b"\\u00" not in data and all(data.count(name) < 2 for name in names):
        return None
    try:
        refuse_duplicate_keys(data)
    except FHIRError as fault:
        return str(fault)
    return None
