"""The FHIR R4 resources, cut down to what a decision can use or must not overlook.

One tagged union holds them all; ``resourceType`` is the tag. Types that no decision rests on are
in the union too, without fields, so that a Bundle full of claims is read in one pass. Codes such
as ``status`` are text here: a wrong one is set aside where events are made, not in the decoder,
so that the rest of the Bundle still goes the fast way.
"""

from typing import TYPE_CHECKING, Union

from msgspec import Raw, Struct, defstruct, field

from cds_adapters.fhir.elements import (
    Anything,
    CodeableConcept,
    Coding,
    Meta,
    Period,
    Quantity,
    Range,
    Reference,
    Timing,
)
from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.whole import whole

_TAG = "resourceType"


class Resource(Struct, frozen=True, gc=False, rename="camel", tag_field=_TAG):
    """What every resource has; the two middle fields can change the meaning of all others."""

    id: str | None = None
    meta: Meta | None = None
    implicit_rules: str | None = None
    modifier_extension: tuple[Anything, ...] = ()


class Unused(Struct, frozen=True, gc=False, tag_field=_TAG, tag=""):
    """A resource of a type that no decision rests on."""


@whole
class Patient(Resource, frozen=True, gc=False, rename="camel", tag="Patient"):
    """A person under care."""

    gender: str | None = None
    birth_date: str | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: str | None = None


class OfPatient(Resource, frozen=True, gc=False, rename="camel"):
    """What every resource about a patient has."""

    subject: Reference | None = None


@whole
class Component(Struct, frozen=True, gc=False, rename="camel"):
    """One part of a panel, or an observation's own answer: at most one of the values is given."""

    code: CodeableConcept | None = None
    modifier_extension: tuple[Anything, ...] = ()
    data_absent_reason: CodeableConcept | None = None
    value_quantity: Quantity | None = None
    value_codeable_concept: CodeableConcept | None = None
    value_string: str | None = None
    value_boolean: bool | None = None
    value_integer: int | None = None
    value_range: Range | None = None
    value_ratio: Anything | None = None
    value_sampled_data: Anything | None = None
    value_time: str | None = None
    value_date_time: str | None = None
    value_period: Anything | None = None


@whole
class Observation(OfPatient, frozen=True, gc=False, rename="camel", tag="Observation"):
    """A measurement, a finding or an answer; ``focus`` says if it is about somebody else."""

    status: str | None = None
    code: CodeableConcept | None = None
    focus: tuple[Reference, ...] = ()
    effective_date_time: str | None = None
    effective_instant: str | None = None
    effective_period: Period | None = None
    effective_timing: Timing | None = None
    issued: str | None = None
    data_absent_reason: CodeableConcept | None = None
    value_quantity: Quantity | None = None
    value_codeable_concept: CodeableConcept | None = None
    value_string: str | None = None
    value_boolean: bool | None = None
    value_integer: int | None = None
    value_range: Range | None = None
    value_ratio: Anything | None = None
    value_sampled_data: Anything | None = None
    value_time: str | None = None
    value_date_time: str | None = None
    value_period: Anything | None = None
    component: tuple[Component, ...] = ()


@whole
class Condition(OfPatient, frozen=True, gc=False, rename="camel", tag="Condition"):
    """A problem or diagnosis."""

    clinical_status: CodeableConcept | None = None
    verification_status: CodeableConcept | None = None
    code: CodeableConcept | None = None
    onset_date_time: str | None = None
    onset_period: Period | None = None
    abatement_date_time: str | None = None
    abatement_period: Period | None = None
    abatement_age: Anything | None = None
    abatement_range: Anything | None = None
    abatement_string: str | None = None
    abatement_boolean: bool | None = None
    recorded_date: str | None = None


@whole
class AllergyIntolerance(Resource, frozen=True, gc=False, rename="camel", tag="AllergyIntolerance"):
    """A risk of harm from a substance."""

    subject: Reference | None = field(default=None, name="patient")
    clinical_status: CodeableConcept | None = None
    verification_status: CodeableConcept | None = None
    code: CodeableConcept | None = None
    onset_date_time: str | None = None
    onset_period: Period | None = None
    recorded_date: str | None = None


@whole
class Medication(Resource, frozen=True, gc=False, rename="camel", tag="Medication"):
    """A product that others refer to."""

    status: str | None = None
    code: CodeableConcept | None = None


class OfMedication(OfPatient, frozen=True, gc=False, rename="camel"):
    """What every resource about a patient's medication has."""

    status: str | None = None
    medication_codeable_concept: CodeableConcept | None = None
    medication_reference: Reference | None = None
    contained: tuple[Raw, ...] = ()


@whole
class DispenseRequest(Struct, frozen=True, gc=False, rename="camel"):
    """How much of a prescription may be handed over."""

    modifier_extension: tuple[Anything, ...] = ()
    number_of_repeats_allowed: int | None = None
    expected_supply_duration: Quantity | None = None


@whole
class MedicationRequest(
    OfMedication, frozen=True, gc=False, rename="camel", tag="MedicationRequest"
):
    """A prescription."""

    intent: str | None = None
    do_not_perform: bool = False
    authored_on: str | None = None
    dispense_request: DispenseRequest | None = None


@whole
class MedicationStatement(
    OfMedication, frozen=True, gc=False, rename="camel", tag="MedicationStatement"
):
    """A medication that somebody says is taken."""

    effective_date_time: str | None = None
    effective_period: Period | None = None
    date_asserted: str | None = None


@whole
class MedicationDispense(
    OfMedication, frozen=True, gc=False, rename="camel", tag="MedicationDispense"
):
    """A medication handed over."""

    when_prepared: str | None = None
    when_handed_over: str | None = None
    days_supply: Quantity | None = None


@whole
class MedicationAdministration(
    OfMedication, frozen=True, gc=False, rename="camel", tag="MedicationAdministration"
):
    """A medication given."""

    effective_date_time: str | None = None
    effective_period: Period | None = None


@whole
class Procedure(OfPatient, frozen=True, gc=False, rename="camel", tag="Procedure"):
    """Something done to or with a patient."""

    status: str | None = None
    code: CodeableConcept | None = None
    performed_date_time: str | None = None
    performed_period: Period | None = None


@whole
class ServiceRequest(OfPatient, frozen=True, gc=False, rename="camel", tag="ServiceRequest"):
    """An order for something that is no drug."""

    status: str | None = None
    intent: str | None = None
    do_not_perform: bool = False
    code: CodeableConcept | None = None
    authored_on: str | None = None


@whole
class ActivityDetail(Struct, frozen=True, gc=False, rename="camel"):
    """What a step of a care plan is."""

    modifier_extension: tuple[Anything, ...] = ()
    status: str | None = None
    do_not_perform: bool = False
    code: CodeableConcept | None = None


@whole
class Activity(Struct, frozen=True, gc=False, rename="camel"):
    """A step of a care plan."""

    modifier_extension: tuple[Anything, ...] = ()
    detail: ActivityDetail | None = None


@whole
class CarePlan(OfPatient, frozen=True, gc=False, rename="camel", tag="CarePlan"):
    """What a team intends to do for a patient."""

    status: str | None = None
    intent: str | None = None
    category: tuple[CodeableConcept, ...] = ()
    period: Period | None = None
    created: str | None = None
    activity: tuple[Activity, ...] = ()


@whole
class Encounter(OfPatient, frozen=True, gc=False, rename="camel", tag="Encounter"):
    """A meeting of a patient and a provider of care."""

    status: str | None = None
    class_: Coding | None = field(default=None, name="class")
    type: tuple[CodeableConcept, ...] = ()
    period: Period | None = None


class Issue(Struct, frozen=True, gc=False, omit_defaults=True):
    """One thing that a server has to say about a request."""

    severity: str | None = None
    code: str | None = None
    diagnostics: str | None = None


class OperationOutcome(
    Struct, frozen=True, gc=False, omit_defaults=True, tag_field=_TAG, tag="OperationOutcome"
):
    """What a server has to say about a request; inside a search, that it is not complete."""

    issue: tuple[Issue, ...] = ()


@whole
class Link(Struct, frozen=True, gc=False):
    """Where another page of a search is."""

    relation: str | None = None
    url: str | None = None


@whole
class Search(Struct, frozen=True, gc=False):
    """Why an entry is in a page of results: ``match``, ``include`` or ``outcome``."""

    mode: str | None = None


@whole
class Response(Struct, frozen=True, gc=False):
    """How a server answered one entry of a batch."""

    status: str | None = None


PatientResource = (
    Observation
    | Condition
    | AllergyIntolerance
    | MedicationRequest
    | MedicationStatement
    | MedicationDispense
    | MedicationAdministration
    | Procedure
    | ServiceRequest
    | CarePlan
    | Encounter
)
"""Whatever becomes an event."""

UsedResource = PatientResource | Patient | Medication
"""Whatever a record is built from."""


@whole
class Entry(Struct, frozen=True, gc=False, rename="camel"):
    """One resource of a Bundle, with the address that references inside the Bundle use."""

    full_url: str | None = None
    resource: "AnyResource | None" = None
    search: Search | None = None
    response: Response | None = None


@whole
class Bundle(Struct, frozen=True, gc=False, tag_field=_TAG, tag="Bundle"):
    """A page of search results, a transaction or a collection."""

    type: str | None = None
    total: int | None = None
    link: tuple[Link, ...] = ()
    entry: tuple[Entry, ...] = ()


if TYPE_CHECKING:
    AnyResource = UsedResource | OperationOutcome | Bundle | Unused
else:
    _UNUSED = tuple(
        defstruct(name, (), bases=(Unused,), frozen=True, gc=False, tag_field=_TAG, tag=name)
        for name in UNUSED_TYPES
    )
    AnyResource = Union[(UsedResource, OperationOutcome, Bundle, *_UNUSED)]

USED_TYPES: dict[str, type[UsedResource]] = {kind.__name__: kind for kind in UsedResource.__args__}
"""``resourceType`` -> struct."""
