"""A problem-list entry or an allergy becomes one event that says whether it still holds."""

from cds_adapters.fhir.codesets import (
    CLINICAL,
    DOUBTFUL,
    ENTERED_IN_ERROR,
    OVER,
    REFUTED,
    STATUS_SYSTEMS,
    VERIFICATION,
    not_one_of,
)
from cds_adapters.fhir.context import Context
from cds_adapters.fhir.elements import CodeableConcept
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.resources import AllergyIntolerance, Condition
from cds_engine.history.event import Event, EventKind, Time


def condition_events(resource: Condition, context: Context, source: str) -> list[Event]:
    """Return the event of a condition; one that is called active has not ended, by that alone."""
    until = _abated(resource, context)
    abated = until is not None or _abated_without_time(resource)
    return _event("condition", resource, context, source, until, abated)


def allergy_events(resource: AllergyIntolerance, context: Context, source: str) -> list[Event]:
    """Return the event of an allergy or intolerance."""
    return _event("allergy", resource, context, source, None, abated=False)


def _event(
    kind: EventKind,
    resource: Condition | AllergyIntolerance,
    context: Context,
    source: str,
    until: Time | None,
    abated: bool,
) -> list[Event]:
    clinical = _statuses("clinicalStatus", resource.clinical_status, CLINICAL)
    verification = _statuses("verificationStatus", resource.verification_status, VERIFICATION)
    void = [code for code in verification if code in (ENTERED_IN_ERROR, REFUTED)]
    open_ = [code for code in clinical if code not in OVER]
    # Codes that contradict each other take nothing back and end nothing; they leave it in doubt.
    split = 0 < len(void) < len(verification) or 0 < len(open_) < len(clinical)
    status = void[0] if void and not split else next(iter(open_ or clinical), "")
    over = (bool(clinical) and not open_) or (not clinical and abated)
    time, _ = context.when(resource.onset_date_time, resource.onset_period)
    known = context.time(resource.recorded_date) or time
    version, recorded = context.listed(resource.meta, status, known)
    return [
        Event(
            kind=kind,
            codes=context.codes(resource.code),  # without one it may be anything on the list
            time=time,
            recorded=recorded,
            source=source,
            version=version,
            status=status,
            until=context.over(until, resource.meta, recorded) if over else until,
            ended=over,
            doubt=split or any(code in DOUBTFUL for code in verification),
        )
    ]


def _statuses(name: str, concept: CodeableConcept | None, codes: frozenset[str]) -> tuple[str, ...]:
    """Return the codes of a status that is written as a concept; none where none is given."""
    if concept is None:
        return ()
    # Sites add codings of their own beside the one that FHIR requires.
    stated = [one.code for one in concept.coding if (one.system or "") in _OFFICIAL]
    known = tuple(code for code in stated if code is not None and code in codes)
    if known:
        return known
    raise NotUsedError(not_one_of(name, stated[0] if stated else None, codes))


_OFFICIAL = STATUS_SYSTEMS | {""}


def _abated(resource: Condition, context: Context) -> Time | None:
    start, end = context.when(resource.abatement_date_time, resource.abatement_period)
    return end or start


def _abated_without_time(resource: Condition) -> bool:
    said = (resource.abatement_age, resource.abatement_range, resource.abatement_string)
    return resource.abatement_boolean is True or said != (None, None, None)
