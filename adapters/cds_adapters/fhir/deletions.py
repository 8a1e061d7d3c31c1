"""What a server says it deleted counts no longer from when it was deleted.

A Bundle says so by an entry with ``DELETE`` in the place of a resource, and the ``deleted`` files
of a Bulk Data export hold such Bundles. Where nothing says when, it never counted.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import msgspec
from msgspec import Struct

from cds_adapters.fhir.codesets import ENTERED_IN_ERROR
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.resources import USED_TYPES, Medication, Patient, UsedResource
from cds_adapters.fhir.times import read_instant, sortable
from cds_engine.history.event import Event, Record, SetAside
from cds_engine.vocabulary.time import Instant, iso

Deleted = Mapping[str, Instant | None]
"""``Type/id`` -> when it was deleted; None where nothing says when."""

DELETED = "the server deleted it"


class _Stored(Struct, frozen=True, gc=False, rename="camel"):
    last_updated: str | None = None


class _Request(Struct, frozen=True, gc=False):
    method: str | None = None
    url: str | None = None


class _Answer(Struct, frozen=True, gc=False, rename="camel"):
    last_modified: str | None = None


class _Entry(Struct, frozen=True, gc=False):
    request: _Request | None = None
    response: _Answer | None = None


class _Bundle(Struct, frozen=True, gc=False):
    meta: _Stored | None = None
    timestamp: str | None = None
    entry: tuple[_Entry, ...] = ()


_bundle = msgspec.json.Decoder(_Bundle).decode


@dataclass(slots=True)
class Deletions:
    """What the Bundles of one body say was deleted.

    Attributes:
        names: those of types that can matter.
        unclear: how many name nothing by its type and id, as a search does.
    """

    names: dict[str, Instant | None] = field(default_factory=dict)
    unclear: int = 0


def deletions_in(body: bytes) -> Deletions:
    """Read what a Bundle says was deleted; raises a DecodeError where it cannot be read."""
    found = Deletions()
    if b'"DELETE"' not in body:
        return found
    bundle = _bundle(body)
    stored = None if bundle.meta is None else bundle.meta.last_updated
    for entry in bundle.entry:
        if entry.request is None or entry.request.method != "DELETE":
            continue
        name = _name(entry.request.url or "")
        if name is None:
            found.unclear += 1
        elif name:
            own = None if entry.response is None else entry.response.last_modified
            add_deleted(found.names, {name: _first_time(own, stored, bundle.timestamp)})
    return found


def add_deleted(found: dict[str, Instant | None], more: Deleted) -> None:
    """Add deletions; of several of one resource the last one that says when counts."""
    for name, at in more.items():
        held = found.get(name)
        found[name] = at if held is None else held if at is None else max(at, held)


def _name(url: str) -> str | None:
    """Return ``Type/id``; empty for a type that never matters, None where it is none."""
    kind, _, name = url.rstrip("/").rpartition("/")
    kind = kind.rpartition("/")[2]
    if not name or "?" in url or kind not in USED_TYPES:
        return "" if kind in UNUSED_TYPES and "?" not in url else None
    return f"{kind}/{name}"


def _first_time(*texts: str | None) -> Instant | None:
    for text in texts:
        if text is not None:
            try:
                return read_instant(text)
            except NotUsedError:
                continue
    return None


def without_deleted(resources: Iterable[UsedResource], deleted: Deleted) -> list[UsedResource]:
    """Leave out Patients and Medications that were deleted, and not stored again since.

    They have no events that could be taken back: their facts hold at any time.
    """
    return [
        one
        for one in resources
        if type(one) not in (Patient, Medication)
        or (name := f"{type(one).__name__}/{one.id}") not in deleted
        or _is_later("" if one.meta is None else one.meta.last_updated or "", deleted[name])
    ]


def take_back(record: Record, deleted: Deleted) -> Record:
    """Add to each source that was deleted a version that takes it back from then on."""
    named = {event.source for event in record.events}.intersection(deleted)
    if not named:
        return record
    marks = [
        mark
        for source in sorted(named)
        for mark in _marks([e for e in record.events if e.source == source], deleted[source])
    ]
    aside = tuple(SetAside(mark.source, DELETED) for mark in marks)
    events = record.events + tuple(marks)
    return replace(record, events=events, set_aside=record.set_aside + aside)


def _marks(events: Collection[Event], at: Instant | None) -> Iterator[Event]:
    """Yield the version that takes the versions of one source back, if any is from before."""
    taken = [event for event in events if not _is_later(event.version[1], at)]
    if not taken:
        return
    newest = max(taken, key=lambda event: event.version)
    yield Event(
        kind=newest.kind,
        codes=tuple(dict.fromkeys(code for event in taken for code in event.codes)),
        time=None,
        recorded=min(event.recorded for event in taken) if at is None else at,
        source=newest.source,
        version=newest.version,
        status=ENTERED_IN_ERROR,
    )


def _is_later(stored: str, at: Instant | None) -> bool:
    """Say whether something was stored after it had been deleted, and so stands again."""
    if at is None or not stored:
        return False
    try:
        written = stored if len(stored) == _SORTABLE else sortable(stored)
    except NotUsedError:
        return False
    return written > sortable(iso(at))


_SORTABLE = 26
"""How long a time is that ``sortable`` wrote."""
