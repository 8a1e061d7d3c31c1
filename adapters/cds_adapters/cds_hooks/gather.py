"""Everything a decision needs is gathered from the prefetch, then from the server, or is refused.

What required data could not be had ends the call with 412. What other data could not be had
makes the variables that it feeds incomplete, so that nothing is decided on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cds_adapters.cds_hooks.answers import Lacking, MalformedAnswerError, read_answer
from cds_adapters.cds_hooks.outcomes import RefusalError
from cds_adapters.cds_hooks.prefetch import Query
from cds_adapters.cds_hooks.request import HookRequest
from cds_adapters.cds_hooks.upstream import Source, UpstreamError, Wanted
from cds_adapters.fhir.decode import DecodedBundle, merged
from cds_adapters.fhir.record import foreign_patients, record_of
from cds_adapters.fhir.references import local_reference
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
    request: HookRequest, queries: Sequence[Query], as_of: Instant, source: Source | None
) -> Gathered:
    """Return all data that the queries ask for.

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
    refuse_other_patients(body, request.patient_id)
    asking = _Asking(request, source)
    gaps: dict[str, str] = {}
    if lacking:
        fetched, gaps = await asking.make_good(lacking)
        body = merged([body, *fetched])
        refuse_other_patients(body, request.patient_id)
    medications = await asking.medications(body)
    return Gathered(merged([body, *medications]) if medications else body, gaps)


def record_from(
    gathered: Gathered, patient_id: str, site: SiteMap, of_patient: Sequence[str]
) -> Record:
    """Build the record; a Patient that cannot be used leaves its facts incomplete, not absent.

    Args:
        gathered: what was found.
        patient_id: whose record it is.
        site: the site's own codes and dates.
        of_patient: the variables that are read from the Patient itself.
    """
    record = record_of(gathered.body, patient_id, site, gathered.gaps)
    why = record.gaps.get("kind:patient")
    if why is None:
        return record
    gaps = {**record.gaps, **dict.fromkeys(of_patient, why)}
    return Record(record.person, record.events, record.set_aside, gaps)


def refuse_other_patients(body: DecodedBundle, patient_id: str) -> None:
    """Refuse the whole call if anything in it is about somebody else."""
    others = foreign_patients(body.resources, patient_id, urls=body.urls, troubles=body.troubles)
    if others:
        number = f"{len(others)} other patient{'s' if len(others) > 1 else ''}"
        raise RefusalError(
            400,
            "security",
            f"prefetch holds data of {number} than context.patientId; nothing of it was used. Send "
            "the searches of the patient in context only",
            security="other-patient",
        )


def _read(request: HookRequest, query: Query, as_of: Instant) -> DecodedBundle | Lacking:
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

    async def medications(self, body: DecodedBundle) -> list[DecodedBundle]:
        """Fetch the medications that prescriptions only refer to and nobody sent.

        One that cannot be had is left: the prescription is then set aside as unresolved.
        """
        if self.refused() is not None:
            return []
        missing = sorted(_medications_missing(body))[:_MOST_MEDICATIONS]
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


def _medications_missing(body: DecodedBundle) -> set[str]:
    held = {f"{type(resource).__name__}/{resource.id}" for resource in body.resources}
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


def refuse_other_drafts(context: Mapping[str, Any], patient_id: str) -> None:
    """Refuse a call whose draft orders are for somebody else; drafts without a subject pass."""
    bundle = context.get("draftOrders")
    entries = bundle.get("entry") if isinstance(bundle, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        subject = resource.get("subject") if isinstance(resource, dict) else None
        reference = subject.get("reference") if isinstance(subject, dict) else None
        local = local_reference(reference, "Patient") if isinstance(reference, str) else None
        if local is not None and local != f"Patient/{patient_id}":
            raise RefusalError(
                400,
                "security",
                "context.draftOrders holds an order for another patient than context.patientId",
                security="other-patient",
            )
