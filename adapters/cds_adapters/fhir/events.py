"""Every resource becomes its events, or is set aside with the reason."""

from collections.abc import Callable, Mapping
from typing import Any

from cds_adapters.fhir.care import (
    encounter_events,
    plan_events,
    procedure_events,
    service_events,
)
from cds_adapters.fhir.context import Context
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.medications import (
    administration_events,
    dispense_events,
    request_events,
    statement_events,
)
from cds_adapters.fhir.observations import observation_events
from cds_adapters.fhir.problems import allergy_events, condition_events
from cds_adapters.fhir.resources import (
    AllergyIntolerance,
    CarePlan,
    Condition,
    Encounter,
    MedicationAdministration,
    MedicationDispense,
    MedicationRequest,
    MedicationStatement,
    Observation,
    PatientResource,
    Procedure,
    ServiceRequest,
)
from cds_adapters.fhir.site_map import PLAIN, SiteMap
from cds_engine.history.event import Event, EventKind, SetAside

Maker = Callable[[Any, Context, str], list[Event]]

KINDS: Mapping[type[PatientResource], EventKind] = {
    Observation: "observation",
    Condition: "condition",
    AllergyIntolerance: "allergy",
    MedicationRequest: "request",
    MedicationStatement: "statement",
    MedicationDispense: "dispense",
    MedicationAdministration: "administration",
    Procedure: "procedure",
    ServiceRequest: "service",
    CarePlan: "service",
    Encounter: "encounter",
}
"""Which kind of event a resource becomes."""

_MAKERS: Mapping[type[PatientResource], Maker] = {
    Observation: observation_events,
    Condition: condition_events,
    AllergyIntolerance: allergy_events,
    MedicationRequest: request_events,
    MedicationStatement: statement_events,
    MedicationDispense: dispense_events,
    MedicationAdministration: administration_events,
    Procedure: procedure_events,
    ServiceRequest: service_events,
    CarePlan: plan_events,
    Encounter: encounter_events,
}


def resource_events(
    resource: PatientResource, site: SiteMap = PLAIN, context: Context | None = None
) -> list[Event] | SetAside:
    """Return the events of one resource, or why there are none.

    ``context`` takes the place of ``site`` where several resources are read together.
    """
    source = source_of(resource)
    try:
        return make_events(resource, context or Context(site), source)
    except NotUsedError as unused:
        return SetAside(source, unused.reason)


def make_events(resource: PatientResource, context: Context, source: str) -> list[Event]:
    """Return the events of one resource, or raise NotUsedError."""
    if resource.modifier_extension:
        raise NotUsedError(
            "it has a modifier extension, which can change the meaning of everything in it, and "
            "none is understood here"
        )
    if resource.implicit_rules is not None:
        raise NotUsedError("it follows implicit rules, and none are understood here")
    return _MAKERS[type(resource)](resource, context, source)


def source_of(resource: PatientResource) -> str:
    """Return the reference to a resource: ``Observation/123``."""
    return f"{type(resource).__name__}/{resource.id}"
