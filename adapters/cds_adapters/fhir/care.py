"""Procedures, orders of services, care plans and encounters become one event each."""

from cds_adapters.fhir.codesets import (
    CANCELLED,
    CARE_PLAN,
    ENCOUNTER,
    ENDED,
    ENTERED_IN_ERROR,
    PLANS,
    PROCEDURE,
    SERVICE_REQUEST,
    UNKNOWN,
    VOID,
    unfit,
)
from cds_adapters.fhir.context import Context, no_codes
from cds_adapters.fhir.elements import CodeableConcept
from cds_adapters.fhir.intents import require_order
from cds_adapters.fhir.resources import (
    Activity,
    CarePlan,
    Encounter,
    Procedure,
    ServiceRequest,
)
from cds_engine.history.event import Event


def procedure_events(resource: Procedure, context: Context, source: str) -> list[Event]:
    """Return the event of something done; it is known from its end on.

    What is not completed was begun, but whether it was done to the end is open.
    """
    status = PROCEDURE.get(resource.status) or unfit(resource.status, PROCEDURE)
    time, until = context.when(resource.performed_date_time, resource.performed_period)
    version, recorded = context.known(
        resource.meta, status, context.said(time, until, resource.meta)
    )
    return [
        Event(
            kind="procedure",
            codes=context.codes(resource.code) or no_codes(),
            time=time,
            recorded=recorded,
            source=source,
            version=version,
            status=status,
            until=until,
            doubt=status != "completed",
        )
    ]


def service_events(resource: ServiceRequest, context: Context, source: str) -> list[Event]:
    """Return the event of an order for something that is no drug."""
    status = SERVICE_REQUEST.get(resource.status) or unfit(resource.status, SERVICE_REQUEST)
    require_order(resource.intent, status, do_not_perform=resource.do_not_perform)
    time = context.time(resource.authored_on)
    version, recorded = context.known(resource.meta, status, time)
    return [
        Event(
            kind="service",
            codes=context.codes(resource.code) or no_codes(),
            time=time,
            recorded=recorded,
            source=source,
            version=version,
            status=status,
            ended=status in ENDED,
            doubt=status == UNKNOWN,
        )
    ]


def plan_events(resource: CarePlan, context: Context, source: str) -> list[Event]:
    """Return the event of a care plan: what it is, and every step of it that has begun.

    A step in status unknown is an event of its own, in doubt.
    """
    status = CARE_PLAN.get(resource.status) or unfit(resource.status, CARE_PLAN)
    require_order(resource.intent, status, do_not_perform=False, orders=PLANS)
    time, until = context.when(None, resource.period)
    known = context.time(resource.created) or time
    version, recorded = context.known(resource.meta, status, known)
    begun: list[CodeableConcept] = list(resource.category)
    open_: list[CodeableConcept] = []
    for step in resource.activity:
        if (concept := _step(step)) is not None:
            unknown = step.detail is not None and step.detail.status == UNKNOWN
            (open_ if unknown else begun).append(concept)
    groups = [(context.merged(map(context.codes, begun)), status)]
    groups.append((context.merged(map(context.codes, open_)), UNKNOWN))
    if not any(codes for codes, _ in groups):
        no_codes()
    return [
        Event(
            kind="service",
            codes=codes,
            time=time,
            recorded=recorded,
            source=source,
            version=version,
            status=status if status in VOID else stated,
            until=until,
            ended=status in ENDED,
            doubt=UNKNOWN in (status, stated),
        )
        for codes, stated in groups
        if codes
    ]


def encounter_events(resource: Encounter, context: Context, source: str) -> list[Event]:
    """Return the event of an encounter; that it takes place is known when it begins."""
    status = ENCOUNTER.get(resource.status) or unfit(resource.status, ENCOUNTER)
    time, until = context.when(None, resource.period)
    groups = [context.codes(concept) for concept in resource.type]
    if resource.class_ is not None:
        groups.insert(0, context.coding(resource.class_.system, resource.class_.code))
    version, recorded = context.known(
        resource.meta, status, time or context.said(None, until, resource.meta)
    )
    return [
        Event(
            kind="encounter",
            codes=context.merged(groups) or no_codes(),
            time=time,
            recorded=recorded,
            source=source,
            version=version,
            status=status,
            until=until,
            ended=status in ENDED,
        )
    ]


def _step(step: Activity) -> CodeableConcept | None:
    detail = step.detail
    if detail is None or step.modifier_extension or detail.modifier_extension:
        return None
    if detail.do_not_perform:
        return None
    return None if detail.status in _NOT_BEGUN else detail.code


_NOT_BEGUN = frozenset({CANCELLED, ENTERED_IN_ERROR, "not-started", "scheduled"})
