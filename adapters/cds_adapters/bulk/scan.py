"""One file of an export is read once: what can matter is laid out by shard, the rest is counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from cds_adapters.bulk.eventfiles import (
    event_of,
    is_long_before,
    lost_with,
    person_of,
    read_event_rows,
)
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.judge import Judge, system_of
from cds_adapters.bulk.labels import Label, read_label, read_type
from cds_adapters.bulk.names import NameList, name_hashes
from cds_adapters.bulk.peek import Block as LineBlock
from cds_adapters.bulk.peek import Kept, look_at
from cds_adapters.bulk.rejects import reject
from cds_adapters.bulk.scanned import Scanned
from cds_adapters.bulk.sources import BulkError, DataFile, open_file
from cds_adapters.bulk.spill import MEDICATIONS, Piece, SpillWriter, write_whole
from cds_adapters.bulk.streams import FileStream, lines_of
from cds_adapters.bulk.visits import Visits, look_at_people
from cds_adapters.bulk.wanted import KIND_OF_TYPE
from cds_adapters.fhir.decode import add_url, is_failure, next_link, read_raw_bundle
from cds_adapters.fhir.decode import decode_resource as decode_one
from cds_adapters.fhir.deletions import add_deleted, deletions_in
from cds_adapters.fhir.duplicate_keys import refuse_duplicate_keys
from cds_adapters.fhir.errors import FHIRError
from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.record import NO_SUBJECT, patient_of_trouble
from cds_adapters.fhir.references import Subjects, about_no_patient, new_id
from cds_adapters.fhir.troubles import Trouble, glimpse
from cds_engine.history.event import Event
from cds_engine.replay.shard import shard_of

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_REFERRED = ("Patient", "Medication", "Encounter")
_MOST_REJECTS = 1_000_000
"""Damaged lines of one file after which the run ends, whatever share was allowed."""

_WITH_TEXT = 1_000
"""Damaged lines of one file that are kept with their text; of the others the place is kept."""

_TABLE = 100_000
"""How many patients or codes are remembered at once."""


def scan_part(job: Job, number: int) -> int:
    """Scan one part; return its number. Its report is written last, and marks it as done."""
    scanner = _Scanner(job, number, None)
    scanner.scan()
    return number


def fetch_more(job: Job, number: int, names: frozenset[int]) -> None:
    """Scan one part again for resources that count after all, see ``cds_adapters.bulk.twice``."""
    _Scanner(job, number, names).scan()


class _Scanner:
    """A file, or a part of one, in the course of being scanned."""

    def __init__(self, job: Job, number: int, only: frozenset[int] | None) -> None:
        self.job = job
        self.number = number
        self.part = job.parts[number]
        self.file: DataFile = job.file(number)
        self.only = only
        self.wanted = job.wanted()
        self.types = self.wanted.types()
        self.judge = Judge(self.wanted, job.site())
        self.systems = {
            kind: frozenset(map(system_of, codes or ()))
            for kind, codes in self.wanted.codes.items()
        }
        self.subjects = Subjects({})
        self.found = Scanned()
        # eight bytes each: a file may have a hundred million lines
        self.dropped = NameList()
        self.names = NameList()
        self.shards: dict[str, int] = {}
        chosen = bool(job.settings.classes or job.settings.types)
        self.visits = Visits(self.found, job.site(), chosen=chosen)

    def scan(self) -> None:
        first = self.only is None
        path = self.job.spill(self.number) if first else self.job.second_spill(self.number)
        stream = FileStream(self.job.export.address, self.file, self.part)
        with SpillWriter(path) as self.spill:
            if self.part.digest:
                for _ in stream.chunks():
                    pass
            elif self.file.kind == "ndjson":
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
        self.found.types += self.judge.passed_over()
        self.found.unmapped += _commonest(self.judge.unmapped())
        self.found.unread += self.judge.unread
        self.found.elsewhere += self.judge.elsewhere
        self.found.mapped = self.judge.mapped()
        self.found.visit_codes = _commonest(self.found.visit_codes)
        if first:
            for name, hashes in (("dropped", self.dropped), ("names", self.names)):
                with path.with_suffix(f".{name}").open("wb") as target:
                    np.save(target, hashes.hashes())
        write_whole(path.with_suffix(".json"), msgspec.json.encode(self.found))

    def _scan_lines(self, stream: FileStream) -> None:
        judge, passing = self.judge.judge, self.only is None
        last = 0
        for first, text, feeds in stream.whole_lines():
            self.found.ends += len(feeds)
            looked = look_at(text, feeds, self.judge) if passing and len(feeds) else None
            if looked is not None:
                self._take_block(looked, first)
                last = first
                continue
            block, ended = lines_of(text)
            for number, data in enumerate(block, first):
                if not data or data.isspace():
                    continue
                last = number
                self.found.lines += 1
                try:
                    label = read_label(data)
                except _UNREADABLE as fault:
                    cut = not ended or bool(stream.cut)
                    self._add_broken(data, number, f"it cannot be decoded: {fault}", cut=cut)
                    continue
                judged = judge(label)
                if passing and judged.counts is False:
                    # most lines of an export end here
                    judged.met += 1
                    self.dropped.add(f"{judged.kind}/{label.id}")
                else:
                    self._add_resource(data, label, number, -1, None, None)
        if stream.cut and last == 0:
            self.found.cut = stream.cut

    def _take_block(self, block: LineBlock, first: int) -> None:
        """Keep of a block what can matter; the rest is counted already, by its codes."""
        self.found.lines += block.lines
        if block.dropped:
            self.dropped.extend([str(one) for one in block.dropped], f"{block.kind}/")
        of_patients = block.kind == "Patient" or block.kind in self.types
        others = self._take_plain(block, first) if of_patients else block.kept
        for at, data, _ in others:
            self._add_resource(data, read_label(data), first + at, -1, None, None)

    def _take_plain(self, block: LineBlock, first: int) -> list[Kept]:
        """Keep the lines of which all is known that matters here; return the others."""
        kind, subjects = block.kind, self._known_subjects()
        mine: list[tuple[Kept, str]] = []
        others: list[Kept] = []
        for one in block.kept:
            peek = one.peek
            if peek is None or peek.id is None:
                others.append(one)
                continue
            about = peek.subject or peek.patient
            name = None if about is None else about.reference
            patient = peek.id if kind == "Patient" else subjects[name]
            if patient is None:
                others.append(one)
            else:
                mine.append((one, patient))
        if _ambiguous_lines([one.data for one, _ in mine], 0 if kind == "Patient" else len(mine)):
            return block.kept
        if mine:
            self._keep_plain(kind, mine, first)
        return others

    def _keep_plain(self, kind: str, mine: list[tuple[Kept, str]], first: int) -> None:
        lines = [one.data for one, _ in mine]
        if kind != "Patient":
            self.names.extend([str(one.peek.id) for one, _ in mine if one.peek], f"{kind}/")
        if kind == "Encounter":
            self.visits.look_at(lines)
        elif kind == "Patient":
            look_at_people(lines, self.found)
        self.found.types[kind] += len(mine)
        self.found.kept[kind] += len(mine)
        shards = [self._shard_of(patient) for _, patient in mine]
        patients = [patient for _, patient in mine]
        self.spill.add_lines(shards, patients, [first + one.at for one, _ in mine], lines)

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
                    self._set_row_aside(row, number, words)

    def _set_row_aside(self, row: Mapping[str, Any], number: int, reason: str) -> None:
        """Set a row aside; if it names its patient, the record has a gap because of it."""
        patient = row["patient"]
        if patient and self.only is None:
            lost = _pack(lost_with(row, reason))
            self._keep(patient, Piece(patient, lost, "g", number), "unknown")
        self._reject(b"", number, -1, reason, attributed=bool(patient))

    def _add_row(self, row: Mapping[str, Any], number: int) -> None:
        if "kind" not in row:
            person = person_of(row)
            self._keep(person.key, Piece(person.key, _pack(person), "p", number), "Patient")
            return
        event = event_of(row)
        self.found.types[event.kind] += 1
        self.found.timed += event.time is not None
        self.found.long_before += is_long_before(event)
        if not self.wanted.keeps(event.kind, event.codes):
            self._add_unread(event)
            # a version that counts no longer still takes the place of one that did
            self.dropped.add(event.source)
            if self.only is None or not self._is_asked_for(event.source):
                return
        elif self.only is not None:
            return
        if event.kind == "encounter":
            self.visits.look_at_event(event)
        self.names.add(event.source)
        piece = Piece(row["patient"], _pack(event), "e", number,
                      encounter=row.get("encounter") or "")  # fmt: skip
        self._keep(row["patient"], piece, event.kind)

    def _add_unread(self, event: Event) -> None:
        kind = event.kind
        self.found.unmapped.update(f"{kind} {code}" for code in event.codes)
        self.found.unread[kind] += 1
        if self.systems.get(kind, frozenset()).isdisjoint(map(system_of, event.codes)):
            self.found.elsewhere[kind] += 1

    def _add_broken(self, data: bytes, line: int, reason: str, *, cut: bool) -> None:
        if cut and not _is_json(data):
            self.found.cut, self.found.cut_line = "ends in the middle", line
        self._add_unreadable(data, line, -1, None, reason)

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
        if self.only is None:
            self._add_deletions(body)
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
            else:
                self._add_resource(data, told, line, number, full_url, (urls, given))
        if next_link(bundle.link) is not None:
            self.found.cut = "it is one page of several (it has a next link)"

    def _add_deletions(self, body: bytes) -> None:
        told = deletions_in(body)
        add_deleted(self.found.deleted, told.names)
        self.found.deleted_unclear += told.unclear

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
        if kind == "Bundle":
            self.found.lines -= 1
            self._add_nested(data, line)
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
        subjects = Subjects(urls) if urls else self._known_subjects()
        patient = name if kind == "Patient" else subjects[label.about]
        if patient is None:
            if not about_no_patient(label.about):
                self._reject(data, line, entry, NO_SUBJECT, attributed=False)
            return
        if kind == "Encounter":
            self.visits.look_at([data])
        elif kind == "Patient":
            look_at_people([data], self.found)
        piece = Piece(patient, data, "r", line, entry, full_url,
                      urls if urls and patient not in given else None)  # fmt: skip
        given.add(patient)
        self._keep(patient, piece, kind)

    def _counts(self, kind: str, label: Label, name: str | None) -> bool:
        """Say whether a resource can matter; note which do, and which do not."""
        if kind == "Patient":
            return self.only is None
        known = f"{kind}/{name}"
        judged = self.judge.judge(label)
        counts = judged.counts is not False
        if self.only is not None:
            return not counts and self._is_asked_for(known)
        if not counts:
            judged.met_apart += 1  # counted here already, as one of its type
        (self.names if counts else self.dropped).add(known)
        return counts

    def _is_asked_for(self, name: str) -> bool:
        return self.only is not None and int(name_hashes([name])[0]) in self.only

    def _known_subjects(self) -> Subjects:
        """Return the subjects outside Bundles; they are forgotten before they fill the memory."""
        if len(self.subjects) > _TABLE:
            self.subjects = Subjects({})
        return self.subjects

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

    def _keep(self, patient: str, piece: Piece, kind: str) -> None:
        self.found.kept[kind] += 1
        self.spill.add(self._shard_of(patient), piece)

    def _shard_of(self, patient: str) -> int:
        shard = self.shards.get(patient)
        if shard is None:
            if len(self.shards) > _TABLE:
                self.shards.clear()
            shard = self.shards[patient] = shard_of(patient, self.job.shards)
        return shard

    def _reject(self, data: bytes, line: int, entry: int, reason: str, *, attributed: bool) -> None:
        if self.only is not None:
            return
        rejects = self.found.rejects
        if len(rejects) >= _MOST_REJECTS:
            raise BulkError(
                f"{self.file.name} is damaged throughout: {_MOST_REJECTS} lines by line {line}, "
                f"the last because {reason}; fetch it again"
            )
        text = data if len(rejects) < _WITH_TEXT else b""
        rejects.append(reject(self.file.name, line, entry, reason, text, attributed=attributed))


_pack = msgspec.msgpack.Encoder().encode


def _commonest(counts: Counter[str]) -> Counter[str]:
    return Counter(dict(counts.most_common(_TABLE))) if len(counts) > _TABLE else counts


def _is_json(data: bytes) -> bool:
    try:
        read_type(data)
    except msgspec.ValidationError:
        return True
    except _UNREADABLE:
        return False
    return True


def _ambiguous_lines(lines: Sequence[bytes], subjects: int) -> bool:
    """Say whether it may be unclear of any line what it is or whose.

    Each names its type and, where it is about a patient, its subject: as many names as lines
    leave none for a second one.
    """
    text = b"\n".join(lines)
    about = text.count(b'"subject"') + text.count(b'"patient"')
    return text.count(b'"resourceType"') > len(lines) or about > subjects or b"\\u00" in text


def _ambiguous(data: bytes) -> str | None:
    """Return why it is not clear what a resource is or whose; mostly None, at little cost."""
    once = data.count(b'"subject"') < 2 and data.count(b'"patient"') < 2
    if once and data.count(b'"resourceType"') < 2 and b"\\u00" not in data:
        return None
    try:
        refuse_duplicate_keys(data)
    except FHIRError as fault:
        return str(fault)
    return None
