"""A FHIR body becomes typed resources; one that cannot be read does not take the others with it.

The whole Bundle is decoded in one pass. Only when that fails is it read again entry by entry, so
that a fault can be laid at the door of the one resource that has it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct, field, structs

from cds_adapters.fhir.duplicate_keys import refuse_duplicate_keys
from cds_adapters.fhir.errors import FHIRError
from cds_adapters.fhir.references import local_reference, new_id
from cds_adapters.fhir.resources import (
    USED_TYPES,
    AnyResource,
    Bundle,
    Entry,
    Issue,
    Link,
    Medication,
    OfMedication,
    OperationOutcome,
    Patient,
    Response,
    Search,
    UsedResource,
)
from cds_adapters.fhir.troubles import Trouble, glimpse, is_id, trouble_with
from cds_adapters.fhir.whole import ABSENT, lost_nothing


class DecodedBundle(Struct, frozen=True):
    """What one FHIR body holds.

    Attributes:
        resources: those that a record can be built from, in their order.
        urls: ``fullUrl`` -> ``Type/id`` of the Patients and Medications, which others refer to;
            empty where two entries claim one address.
        next_link: where the next page is; None if this is all there is.
        total: how many matches the server counts over all pages; None if it does not say.
        outcomes: what the server had to say; inside a search they mean that it is not complete.
        troubles: resources that cannot be decoded.
        short: why it holds less than it speaks of; empty where it does not.
        others: how many resources it holds of types that are never used.
    """

    resources: tuple[UsedResource, ...] = ()
    urls: Mapping[str, str] = field(default_factory=dict)
    next_link: str | None = None
    total: int | None = None
    outcomes: tuple[OperationOutcome, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    short: str = ""
    others: int = 0


class RawEntry(Struct, frozen=True, rename="camel"):
    """An entry whose resource is not decoded yet."""

    full_url: str | None = None
    resource: Raw = Raw()
    search: Search | None = None
    response: Response | None = None


class RawBundle(Struct, frozen=True):
    """A Bundle whose resources are not decoded yet."""

    total: int | None = None
    link: tuple[Link, ...] = ()
    entry: tuple[RawEntry, ...] = ()


class _Tag(Struct, frozen=True, rename="camel"):
    resource_type: str | None = None


_body = msgspec.json.Decoder(AnyResource | None)
_resource = msgspec.json.Decoder(AnyResource)
_raw_bundle = msgspec.json.Decoder(RawBundle)
_tag = msgspec.json.Decoder(_Tag)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


def decode_bundle(
    data: bytes | Raw, name: str = "Bundle", *, unique: bool = False
) -> DecodedBundle:
    """Read a Bundle, or a single resource, or ``null``, which holds nothing.

    ``name`` stands for the body where a resource in it cannot be named otherwise. Raises FHIRError
    where the body as a whole cannot be read, and, if keys must be ``unique``, where one stands
    twice in an object.
    """
    try:
        return _decoded(data, name, unique=unique)
    except RecursionError:
        raise FHIRError("the JSON is nested too deeply to be FHIR; send it flat") from None
    except _UNREADABLE as fault:
        raise FHIRError(f"the body is not JSON: {fault}") from None


def _decoded(data: bytes | Raw, name: str, *, unique: bool) -> DecodedBundle:
    try:
        body = _body.decode(data)
    except msgspec.ValidationError as fault:
        if unique:
            refuse_duplicate_keys(bytes(data))
        return _piecewise(data, name, fault)
    if unique and not lost_nothing(data, body):
        refuse_duplicate_keys(bytes(data))
    return _collected(body, name)


def whole_body(body: AnyResource | None) -> DecodedBundle:
    """Return what a body holds that was decoded already, and shown to give each key once."""
    return _collected(body, "Bundle")


def may_contain(body: AnyResource | None) -> bool:
    """Say whether a resource may stand inside another one; what is not used is not looked into."""
    entries = body.entry if type(body) is Bundle else (Entry(resource=body),)
    for entry in entries:
        resource: Any = entry.resource
        kind = type(resource)
        if resource is None:
            continue
        if kind not in _USED:
            return True
        if resource.contained if kind in _OF_MEDICATION else resource.other_contained is not ABSENT:
            return True
    return False


def decode_resource(
    data: bytes | Raw, place: str, full_url: str | None = None, *, unique: bool = False
) -> DecodedBundle:
    """Read one resource; ``place`` names it where it cannot be read. Never raises.

    With ``unique``, one that gives a key twice counts as one that cannot be read.
    """
    try:
        resource = _resource.decode(data)
        if unique and not lost_nothing(data, resource):
            refuse_duplicate_keys(bytes(data))
    except (*_UNREADABLE, RecursionError) as fault:
        trouble = glimpse(data, place, f"it cannot be decoded: {fault}")
        return DecodedBundle(troubles=(trouble,) if matters(trouble) else ())
    except FHIRError as fault:
        # Which of two keys is meant is open, and so are what it is about and when it was.
        trouble = dataclasses.replace(glimpse(data, place, str(fault)), concepts=(), dated=None)
        return DecodedBundle(troubles=(trouble,) if matters(trouble) else ())
    return _collected(resource, place, full_url)


def merged(parts: Iterable[DecodedBundle]) -> DecodedBundle:
    """Put several bodies together; a next link of one stays, totals do not."""
    parts = tuple(parts)
    urls: dict[str, str] = {}
    for part in parts:
        for url, name in part.urls.items():
            add_url(urls, url, name)
    return DecodedBundle(
        resources=tuple(resource for part in parts for resource in part.resources),
        urls=urls,
        next_link=next((part.next_link for part in parts if part.next_link is not None), None),
        outcomes=tuple(outcome for part in parts for outcome in part.outcomes),
        troubles=tuple(trouble for part in parts for trouble in part.troubles),
        short=next((part.short for part in parts if part.short), ""),
        others=sum(part.others for part in parts),
    )


def _collected(body: AnyResource | None, name: str, full_url: str | None = None) -> DecodedBundle:
    if not isinstance(body, Bundle):
        return _one(Entry(full_url, body), name)
    resources: list[UsedResource] = []
    urls: dict[str, str] = {}
    outcomes: list[OperationOutcome] = []
    troubles: list[Trouble] = []
    inner: list[DecodedBundle] = []
    short, others = "", 0
    for index, entry in enumerate(body.entry):
        resource: Any = entry.resource
        # isinstance is slow on structs, and this loop sees every entry of every request.
        kind = type(resource)
        if kind in _USED:
            if not is_id(resource.id):
                resource = _named(resource, entry.full_url)
            if resource is None:
                place = f"{name}.entry[{index}]"
                troubles.append(trouble_with(cast("UsedResource", entry.resource), place, _NO_ID))
                continue
            resources.append(resource)
            if kind in _REFERRED and entry.full_url is not None:
                add_url(urls, entry.full_url, f"{kind.__name__}/{resource.id}")
        elif kind is OperationOutcome:
            outcomes.append(resource)
        elif kind is Bundle:
            inner.append(_searched(_collected(resource, f"{name}.entry[{index}]")))
        elif resource is not None:
            others += 1
        elif _is_bare(entry):
            short = "holds an entry without its resource"
        if entry.response is not None and not (entry.response.status or "2").startswith("2"):
            outcomes.append(_FAILED)
    own = DecodedBundle(
        tuple(resources),
        urls,
        next_link(body.link),
        body.total,
        tuple(outcomes),
        tuple(troubles),
        short,
        others,
    )
    return structs.replace(merged([own, *inner]), total=body.total) if inner else own


def distinct(resources: Iterable[UsedResource], troubles: Iterable[Trouble] = ()) -> int:
    """Count resources as a server does: one that is held five times is one."""
    named = {(type(resource), resource.id) for resource in resources}
    return len(named) + len({trouble.source for trouble in troubles})


def _searched(page: DecodedBundle) -> DecodedBundle:
    """Mark a search inside another body that counts more results than it gave."""
    matches = [one for one in page.resources if type(one) is not Medication]
    found = distinct(matches or page.resources, page.troubles) + page.others
    if page.total is None or page.total <= found:
        return page
    return structs.replace(page, short="holds a search that counts more results than it gave")


def _is_bare(entry: Entry) -> bool:
    """Tell an entry that names a result and leaves it out from one that answers a write."""
    matched = entry.search is not None and entry.search.mode == "match"
    return entry.response is None and (matched or entry.full_url is not None)


def _one(entry: Entry, place: str) -> DecodedBundle:
    found = _collected(Bundle(entry=(entry,)), place)
    if not found.troubles:
        return found
    troubles = tuple(dataclasses.replace(one, source=place) for one in found.troubles)
    return structs.replace(found, troubles=troubles)


_FAILED = OperationOutcome(issue=(Issue(severity="error", code="incomplete"),))
_USED = frozenset(USED_TYPES.values())
_OF_MEDICATION = frozenset(kind for kind in _USED if issubclass(kind, OfMedication))
_REFERRED = frozenset({Patient, Medication})
_NO_ID = "it has no id, or one that cannot be written down, so that nothing can refer to it"


def _named(resource: UsedResource, full_url: str | None) -> UsedResource | None:
    # The resources of a transaction may get their id only from the address of their entry.
    given = new_id(full_url) if resource.id is None else None
    return structs.replace(resource, id=given) if is_id(given) else None


def add_url(urls: dict[str, str], url: str, name: str) -> None:
    """Note what an address stands for; nothing, if it says two things.

    An address that ends in ``Type/id`` speaks for itself, and a relative one is none.
    """
    stated = local_reference(url, name.partition("/")[0])
    if stated == name or ":" not in url:
        return
    urls[url] = name if stated is None and urls.get(url, name) == name else ""


def next_link(links: Iterable[Link]) -> str | None:
    """Return where the next page is; empty if the link does not say."""
    return next((link.url or "" for link in links if link.relation == "next"), None)


def matters(trouble: Trouble) -> bool:
    """Tell a resource that might have been used from one of a type that never is."""
    return not trouble.resource_type or trouble.resource_type in _MATTERS


_MATTERS = frozenset(USED_TYPES) | {"OperationOutcome", "Bundle"}


def is_failure(outcome: OperationOutcome) -> bool:
    """Say whether a server reports that something failed, rather than a remark."""
    harmless = ("information", "warning")
    return not outcome.issue or any(one.severity not in harmless for one in outcome.issue)


def read_raw_bundle(data: bytes | Raw) -> RawBundle:
    """Read a Bundle without decoding its resources; raises FHIRError if it is none."""
    kind = _tag.decode(data).resource_type
    if kind != "Bundle":
        raise FHIRError(f"it is {kind or 'without a resourceType'}, not a Bundle")
    return _raw_bundle.decode(data)


def _piecewise(data: bytes | Raw, name: str, fault: msgspec.ValidationError) -> DecodedBundle:
    try:
        kind = _tag.decode(data).resource_type
        if kind != "Bundle":
            return _single(data, kind, name, fault)
        bundle = _raw_bundle.decode(data)
    except msgspec.ValidationError as worse:
        raise FHIRError(f"the body is neither a FHIR resource nor a Bundle: {worse}") from None
    entries: list[Entry] = []
    troubles: list[Trouble] = []
    for index, entry in enumerate(bundle.entry):
        try:
            resource = _body.decode(entry.resource) if entry.resource else None
        except _UNREADABLE as reason:
            place = f"{name}.entry[{index}]"
            troubles.append(glimpse(entry.resource, place, f"it cannot be decoded: {reason}"))
            entries.append(Entry(response=entry.response))
            continue
        entries.append(Entry(entry.full_url, resource, entry.search, entry.response))
    rest = _collected(Bundle(total=bundle.total, link=bundle.link, entry=tuple(entries)), name)
    found = tuple(trouble for trouble in troubles if matters(trouble))
    others = rest.others + len(troubles) - len(found)
    return structs.replace(rest, troubles=(*rest.troubles, *found), others=others)


def _single(
    data: bytes | Raw, kind: str | None, name: str, fault: msgspec.ValidationError
) -> DecodedBundle:
    if kind is None:
        raise FHIRError("the body has no resourceType; send a FHIR R4 resource or Bundle")
    if kind not in _MATTERS:
        return DecodedBundle()
    return DecodedBundle(troubles=(glimpse(data, name, f"it cannot be decoded: {fault}"),))
