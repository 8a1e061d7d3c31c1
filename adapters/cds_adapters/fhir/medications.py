"""Prescriptions, statements, dispenses and administrations become one event each."""

from cds_adapters.fhir.codesets import (
    ADMINISTRATION,
    DISPENSE,
    ENDED,
    PRESCRIPTION,
    STATEMENT,
    UNKNOWN,
    unfit,
)
from cds_adapters.fhir.context import Context
from cds_adapters.fhir.elements import Quantity
from cds_adapters.fhir.intents import require_order
from cds_adapters.fhir.resources import (
    DispenseRequest,
    MedicationAdministration,
    MedicationDispense,
    MedicationRequest,
    MedicationStatement,
)
from cds_engine.history.event import Event
from cds_engine.vocabulary.units import UCUM

_DAYS = {"d": 1.0, "wk": 7.0}
_WORDS = {"d": 1.0, "day": 1.0, "days": 1.0, "wk": 7.0, "week": 7.0, "weeks": 7.0}


def request_events(resource: MedicationRequest, context: Context, source: str) -> list[Event]:
    """Return the event of a prescription."""
    status = PRESCRIPTION.get(resource.status) or unfit(resource.status, PRESCRIPTION)
    require_order(resource.intent, status, do_not_perform=resource.do_not_perform)
    time = context.time(resource.authored_on)
    version, recorded = context.known(resource.meta, status, time)
    over = status in ENDED
    return [
        Event(
            kind="request",
            codes=context.medication_codes(resource, status),
            time=time,
            recorded=recorded,
            source=source,
            version=version,
            status=status,
            doubt=status == UNKNOWN,
            until=context.over(None, resource.meta, recorded) if over else None,
            ended=over,
            days=_prescribed_days(resource.dispense_request),
        )
    ]


def statement_events(resource: MedicationStatement, context: Context, source: str) -> list[Event]:
    """Return the event of a medication that somebody says is taken."""
    status = STATEMENT.get(resource.status) or unfit(resource.status, STATEMENT)
    time, until = context.when(resource.effective_date_time, resource.effective_period)
    known = context.time(resource.date_asserted) or context.said(time, until, resource.meta)
    version, recorded = context.known(resource.meta, status, known)
    over = status in ENDED
    return [
        Event(
            kind="statement",
            codes=context.medication_codes(resource, status),
            time=time,
            recorded=recorded,
            source=source,
            version=version,
            status=status,
            doubt=status == UNKNOWN,
            until=context.over(until, resource.meta, recorded) if over else until,
            ended=over,
        )
    ]


def dispense_events(resource: MedicationDispense, context: Context, source: str) -> list[Event]:
    """Return the event of a medication handed over, or at least prepared for it."""
    status = DISPENSE.get(resource.status) or unfit(resource.status, DISPENSE)
    time = context.time(resource.when_handed_over) or context.time(resource.when_prepared)
    version, recorded = context.known(resource.meta, status, time)
    return [
        Event(
            kind="dispense",
            codes=context.medication_codes(resource, status),
            time=time,
            recorded=recorded,
            source=source,
            version=version,
            status=status,
            doubt=status == UNKNOWN,
            days=days_of(resource.days_supply),
        )
    ]


def administration_events(
    resource: MedicationAdministration, context: Context, source: str
) -> list[Event]:
    """Return the event of a medication given."""
    status = ADMINISTRATION.get(resource.status) or unfit(resource.status, ADMINISTRATION)
    time, until = context.when(resource.effective_date_time, resource.effective_period)
    version, recorded = context.known(
        resource.meta, status, context.said(time, until, resource.meta)
    )
    return [
        Event(
            kind="administration",
            codes=context.medication_codes(resource, status),
            time=time,
            recorded=recorded,
            source=source,
            version=version,
            status=status,
            doubt=status == UNKNOWN,
            until=until,
        )
    ]


def days_of(supply: Quantity | None) -> float | None:
    """Return a supply in days; None unless its unit says days or weeks.

    >>> days_of(Quantity(value=4, code="wk", system="http://unitsofmeasure.org"))
    28.0
    """
    if supply is None or supply.value is None or supply.comparator is not None:
        return None
    if supply.code:
        factor = _DAYS.get(supply.code) if supply.system == UCUM else None
    else:
        factor = _WORDS.get(supply.unit or "")
    if factor is None or not 0 < supply.value * factor < _LONGEST:
        return None
    return supply.value * factor


_LONGEST = 36_525.0
"""A century of days; a longer supply is a mistake."""


def _prescribed_days(request: DispenseRequest | None) -> float | None:
    if request is None or request.modifier_extension:
        return None
    days = days_of(request.expected_supply_duration)
    repeats = request.number_of_repeats_allowed or 0
    if days is None or repeats < 0 or days * (1 + repeats) >= _LONGEST:
        return None
    return days * (1 + repeats)
