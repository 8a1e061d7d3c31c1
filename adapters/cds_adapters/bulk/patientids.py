"""The ids of the patients in a folder of records, without what is on record of them.

Bulk Data names a file after the type that it holds. Where files are named so, those of another
type than Patient are not opened.
"""

import re
from collections.abc import Iterator

import msgspec

from cds_adapters.bulk.eventfiles import read_event_rows
from cds_adapters.bulk.sources import DataFile, Export, find_export, open_file
from cds_adapters.bulk.streams import FileStream
from cds_adapters.fhir.decode import read_raw_bundle
from cds_adapters.fhir.errors import FHIRError
from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.resources import USED_TYPES

_MARK = b'"Patient"'
_UNREADABLE = (FHIRError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Label(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    resource_type: str = ""
    id: str = ""


_label = msgspec.json.Decoder(_Label)


def patient_ids(address: str) -> frozenset[str]:
    """Return the ids of all patients; what cannot be read names nobody.

    Args:
        address: a folder or file of FHIR or of events, packed or not; a path or an fsspec URL.

    Raises:
        BulkError: if the folder holds nothing that can be read, or a file of events is none.
    """
    export = find_export(address)
    found: set[str] = set()
    for file in _that_may_name(export):
        found.update(_ids(export, file))
    return frozenset(found - {""})


def _that_may_name(export: Export) -> list[DataFile]:
    lines = export.of("ndjson")
    types = {file: _types_in(file.name) for file in lines}
    named = any("Patient" in words for words in types.values())
    some = [file for file, words in types.items() if not (named and words) or "Patient" in words]
    return [*some, *export.of("bundle", "events", "persons")]


def _types_in(name: str) -> list[str]:
    words = re.findall("[A-Za-z]+", name.rpartition("/")[2])
    return [word for word in words if word in USED_TYPES or word in UNUSED_TYPES]


def _ids(export: Export, file: DataFile) -> Iterator[str]:
    if file.kind in ("events", "persons"):
        with open_file(export.address, file) as stream:
            yield from (row["patient"] or "" for _, row in read_event_rows(stream, file.name))
    elif file.kind == "ndjson":
        for _, line in FileStream(export.address, file).lines():
            yield _id(line)
    else:
        try:
            entries = read_raw_bundle(FileStream(export.address, file).body()).entry
        except _UNREADABLE:
            return  # who it is about is said when a patient of it is asked for
        yield from (_id(bytes(entry.resource)) for entry in entries if entry.resource)


def _id(resource: bytes) -> str:
    """Return the id of a Patient; empty for any other resource, and for what is none."""
    if _MARK not in resource:
        return ""
    try:
        label = _label.decode(resource)
    except _UNREADABLE:
        return ""
    return label.id if label.resource_type == "Patient" else ""
