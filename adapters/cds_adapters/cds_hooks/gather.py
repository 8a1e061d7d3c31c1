"""Everything a decision needs is gathered from the prefetch, then from the server, or is refused.

What required data could not be had ends the call with 412. What other data could not be had
makes the variables that it feeds incomplete, so that nothing is decided on it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cds_adapters.cds_hooks.answers import (
    NOT_SENT,
    Lacking,
    MalformedAnswerError,
    judge_answer,
    read_answer,
)
from cds_adapters.cds_hooks.outcomes import RefusalError
from cds_adapters.cds_hooks.prefetch import Query
from cds_adapters.cds_hooks.request import HookRequest
from cds_adapters.cds_hooks.upstream import Source, UpstreamError, Wanted
from cds_adapters.fhir.decode import DecodedBundle, merged
from cds_adapters.fhir.record import (
    Horizons,
    foreign_patients,
    record_of,
    stated_subjects,
)
from cds_adapters.fhir.references import local_reference, on_another_server
from cds_adapters.fhir.resources import OfMedication
from cds_adapters.fhir.site_map import SiteMap
from cds_engine.history.event import Record
from cds_engine.vocabulary.time import Instant

_MOST_MEDICATIONS = 100
"""Medications that are looked up one by one for one call."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found for one patient, and which variables are incomplete and why."""

    body: DecodedBundle
    gaps: Mapping[str, str]


async def gather(
    request: HookRequest,
    queries: Sequence[Query],
    as_of: Instant,
    source: Source | None,
    products: Collection[str] = (),
) -> Gathered:
    """Return all data that the queries ask for, and the products that draft orders refer to.

    Raises:
        RefusalError: 400 for malformed data and data about another patient, 412 for required data
            that cannot be had; names the keys.
    """
    found: dict[str, DecodedBundle] = {}
    lacking: list[tuple[Query, Lacking]] = []
    for query in queries:
        answer = _read(request, query, as_of)
        if isinstance(answer, Lacking):
            lacking.append((query, answer))
        else:
            found[query.key] = answer
    body = merged(found.values())
    refuse_other_patients(body, request.patient_id, request.server)
    asking = _Asking(request, source)
    gaps: dict[str, str] = {}
    if lacking:
        fetched, gaps = await asking.make_good(lacking)
        body = merged([body, *fetched])
        refuse_other_patients(body, request.patient_id, request.server)
    medications = await asking.medications(body, products)
    return Gathered(merged([body, *medications]) if medications else body, gaps)


def record_from(
    gathered: Gathered,
    patient_id: str,
    site: SiteMap,
    of_patient: Sequence[str],
    at: Horizons | None = None,
) -> Record:
    """Build the record; a Patient that cannot be used leaves its facts incomplete, not absent.

    Args:
        gathered: what was found.
        patient_id: whose record it is.
        site: the site's own codes and dates.
        of_patient: the variables that are read from the Patient itself.
        at: the instant and the horizons that it is built for, see ``build_record``.
    """
    record = record_of(gathered.body, patient_id, site, gathered.gaps, at)
    why = record.gaps.get("kind:patient")
    if why is None:
        return record
    gaps = {**record.gaps, **dict.fromkeys(of_patient, why)}
    return replace(record, gaps=gaps)


def refuse_other_patients(body: DecodedBundle, patient_id: str, server: str | None = None) -> None:
    """Refuse the whole call if anything in it is about somebody else.

    A patient on another server than ``server`` is somebody else, whatever the id.
    """
    others = {
        *foreign_patients(body.resources, patient_id, urls=body.urls, troubles=body.troubles),
        *_elsewhere(body, server),
    }
    if others:
        number = f"{len(others)} other patient{'s' if len(others) > 1 else ''}"
        raise RefusalError(
            400,
            "security",
            f"prefetch holds data of {number} than context.patientId; nothing of it was used. Send "
            "the searches of the patient in context only",
            security="other-patient",
        )


def _elsewhere(body: DecodedBundle, server: str | None) -> set[str]:
    if server is None:
        return set()
    stated = stated_subjects(body.resources)
    stated |= {trouble.subject for trouble in body.troubles}
    return {one for one in stated if one and on_another_server(one, "Patient", server)}


def _read(request: HookRequest, query: Query, as_of: Instant) -> DecodedBundle | Lacking:
    if request.decoded is not None:
        if query.key not in request.decoded:
            return NOT_SENT
        return judge_answer(request.decoded[query.key], query, as_of)
    try:
        return read_answer(request.prefetch.get(query.key), query, as_of)
    except MalformedAnswerError as fault:
        raise RefusalError(400, "structure", f"prefetch.{query.key}: {fault}") from None


class _Asking:
    """Asks the server that a request names, if it may be asked at all."""

    def __init__(self, request: HookRequest, source: Source | None) -> None:
        self.request = request
        self.source = source

    async def make_good(
        self, lacking: Sequence[tuple[Query, Lacking]]
    ) -> tuple[list[DecodedBundle], dict[str, str]]:
        """Fetch what was not sent; return it, and the gaps that stay."""
        wanted = [
            Wanted(query, query.path(self.request.patient_id), found.begun, found.next_link)
            for query, found in lacking
        ]
        results = await self.fetch(wanted)
        required: list[str] = []
        gaps: dict[str, str] = {}
        for (query, found), result in zip(lacking, results, strict=True):
            if isinstance(result, DecodedBundle):
                continue
            words = f"prefetch key `{query.key}` {found.why}, and {result}"
            if query.required:
                required.append(words)
            gaps |= dict.fromkeys(query.variables, words)
        if required:
            raise RefusalError(412, "incomplete", *required, audited=True)
        return [result for result in results if isinstance(result, DecodedBundle)], gaps

    async def medications(
        self, body: DecodedBundle, products: Collection[str]
    ) -> list[DecodedBundle]:
        """Fetch the medications that orders only refer to and nobody sent; those of drafts first.

        One that cannot be had is left: a prescription is then set aside as unresolved, and a draft
        is said to be unchecked.
        """
        if self.refused() is not None:
            return []
        drafted = _products_missing(body, products, self.request.server)
        others = sorted(_medications_missing(body).difference(drafted))
        missing = [*drafted, *others][:_MOST_MEDICATIONS]
        if not missing:
            return []
        wanted = [
            Wanted(Query(name, "Medication", name, None, (), False), name) for name in missing
        ]
        results = await self.fetch(wanted)
        return [result for result in results if isinstance(result, DecodedBundle)]

    async def fetch(self, wanted: Sequence[Wanted]) -> list[DecodedBundle | UpstreamError]:
        refused = self.refused()
        if refused is not None or self.source is None or self.request.access is None:
            return [UpstreamError(refused or "") for _ in wanted]
        return await self.source.fetch(self.request.access, wanted)

    def refused(self) -> str | None:
        """Say why nothing can be fetched, or None."""
        if self.request.server is None:
            return "no fhirServer was given to fetch it from"
        if self.request.access is None:
            return "no fhirAuthorization was given to fetch it with"
        if self.source is None:
            return "this service fetches nothing"
        return None


def _products_missing(
    body: DecodedBundle, products: Collection[str], server: str | None
) -> list[str]:
    """Return the medications that drafts refer to and nobody sent, if this server has them."""
    held = _held(body)
    found: dict[str, None] = {}
    for reference in products:
        local = local_reference(reference, "Medication")
        if local is None or local in held or reference in body.urls:
            continue
        if not on_another_server(reference, "Medication", server):
            found[local] = None
    return list(found)


def _held(body: DecodedBundle) -> set[str]:
    return {f"{type(resource).__name__}/{resource.id}" for resource in body.resources}


def _medications_missing(body: DecodedBundle) -> set[str]:
    held = _held(body)
    found: set[str] = set()
    for resource in body.resources:
        if isinstance(resource, OfMedication) and resource.medication_reference is not None:
            reference = resource.medication_reference.reference or ""
            if reference in body.urls or reference.startswith(("#", "urn:")):
                continue
            local = local_reference(reference, "Medication")
            if local is not None and local not in held:
                found.add(local)
    return found


def refuse_other_drafts(
    context: Mapping[str, Any], patient_id: str, server: str | None = None
) -> None:
    """Refuse a call whose draft orders are for somebody else; drafts without a subject pass."""
    entries = _dicts(context.get("draftOrders"), "entry")
    addresses: dict[str, set[str]] = {}
    for entry in entries:
        resource, url = entry.get("resource"), entry.get("fullUrl")
        if isinstance(resource, dict) and isinstance(url, str):
            name = f"{resource.get('resourceType')}/{resource.get('id')}"
            addresses.setdefault(url, set()).add(name)
    for entry in entries:
        reference = _subject(entry.get("resource"))
        if reference is None:
            continue
        named = {reference, *addresses.get(reference, ())}
        meant = {local_reference(name, "Patient") for name in named}
        if meant - {None, f"Patient/{patient_id}"} or on_another_server(
            reference, "Patient", server
        ):
            raise RefusalError(
                400,
                "security",
                "context.draftOrders holds an order for another patient than context.patientId",
                security="other-patient",
            )


def _dicts(holder: object, name: str) -> list[dict[str, Any]]:
    found = holder.get(name) if isinstance(holder, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _subject(resource: object) -> str | None:
    subject = resource.get("subject") if isinstance(resource, dict) else None
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return reference if isinstance(reference, str) else None
