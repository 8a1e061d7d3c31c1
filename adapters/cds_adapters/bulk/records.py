"""Records of single patients out of any export, in memory, by the same code that serves.

What may be anybody's, because it names no patient that can be read, leaves a gap in every record.
"""

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from cds_adapters.bulk.eventfiles import event_of, person_of, read_event_rows
from cds_adapters.bulk.sources import BulkError, DataFile, Export, find_export, open_file
from cds_adapters.bulk.streams import FileStream
from cds_adapters.fhir.errors import FHIRError, UnknownPatientError
from cds_adapters.fhir.piles import Piece, Piles
from cds_adapters.fhir.site_map import PLAIN, SiteMap
from cds_engine.history.event import Event, Person, Record

_UNREADABLE = (FHIRError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_records(
    address: str, site: SiteMap = PLAIN, patient: str | None = None
) -> Iterator[tuple[str, Record]]:
    """Yield every patient's id and record, in the order in which the files name the patients.

    Args:
        address: a folder or file of FHIR or of events, packed or not; a path or an fsspec URL.
        site: what the site's own codes and dates mean.
        patient: the id of the only patient who is wanted.

    Raises:
        BulkError: if the export cannot be read.
        UnknownPatientError: if it knows nothing of the patient.
    """
    export = find_export(address)
    piles, told = Piles(only=patient), _Events(patient)
    for file in export.files:
        _read(export, file, piles, told)
    names = tuple(dict.fromkeys((*piles.patients(), *told.events, *told.persons)))
    if patient is not None and patient not in names:
        raise UnknownPatientError(
            f"{address}: holds nothing about patient {patient!r}; check the id"
        )
    for name in names:
        yield name, _record(name, piles, told, site)


class _Events:
    """What event files tell, by patient."""

    def __init__(self, only: str | None) -> None:
        self.only = only
        self.events: dict[str, list[Event]] = {}
        self.persons: dict[str, Person] = {}


def _record(name: str, piles: Piles, told: _Events, site: SiteMap) -> Record:
    events = tuple(told.events.get(name, ()))
    if name in piles.patients():
        record = piles.record(name, site)
        return replace(record, events=record.events + events)
    if name in told.persons:
        return Record(told.persons[name], events)
    gap = {"kind:patient": "there is no person to take the patient's facts from"}
    return Record(Person(name), events, (), gap)


def _read(export: Export, file: DataFile, piles: Piles, told: _Events) -> None:
    if file.kind == "ndjson":
        stream = FileStream(export.address, file)
        base = file.name.rpartition("/")[2]
        for number, line in stream.lines():
            piles.add(Piece(line, f"{file.name}:{number}"), base)
        if stream.cut:
            raise BulkError(f"{file.name} is cut: {stream.cut}; fetch it again")
    elif file.kind == "bundle":
        _read_bundle(export, file, piles)
    elif file.kind != "manifest":
        _read_rows(export, file, told)


def _read_bundle(export: Export, file: DataFile, piles: Piles) -> None:
    stream = FileStream(export.address, file)
    try:
        body = stream.body()
        if stream.cut:
            raise FHIRError(stream.cut)
        piles.add_body(body, file.name)
    except _UNREADABLE as fault:
        raise BulkError(
            f"{file.name}: is no Bundle that can be read ({fault}); fetch it again"
        ) from None


def _read_rows(export: Export, file: DataFile, told: _Events) -> None:
    with open_file(export.address, file) as data:
        for number, row in read_event_rows(data, file.name):
            name = row["patient"]
            if told.only not in (None, name):
                continue
            try:
                if "kind" in row:
                    told.events.setdefault(name, []).append(event_of(row))
                else:
                    told.persons[name] = person_of(row)
            except ValueError as fault:
                raise BulkError(f"{file.name}, row {number}: {fault}; correct it") from None
