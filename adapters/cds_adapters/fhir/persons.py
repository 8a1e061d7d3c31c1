"""A Patient becomes a Person: what does not change between decisions."""

from cds_adapters.fhir.codesets import GENDERS, not_one_of
from cds_adapters.fhir.context import Context
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.resources import Patient
from cds_adapters.fhir.times import read_time
from cds_engine.history.event import Person, SetAside, Time
from cds_engine.vocabulary.time import Instant


def read_person(
    patient: Patient, context: Context, by: Instant | None = None
) -> tuple[Person, list[SetAside]]:
    """Return the facts about a patient, and those that cannot be read.

    Args:
        patient: the newest version of the patient's own resource.
        context: of the record.
        by: an instant by which all of it was known, whatever it says; None if nothing is.

    Raises:
        NotUsedError: where nothing in the resource can be relied on.
    """
    if patient.modifier_extension or patient.implicit_rules is not None:
        raise NotUsedError("it has a modifier extension or implicit rules that are not understood")
    source, aside = f"Patient/{patient.id}", []
    facts: dict[str, Time | None] = {}
    for name, text, read in (
        # Age is counted in UTC calendar days, so the day of birth stays the day that is written.
        ("birthDate", patient.birth_date, read_time),
        ("deceasedDateTime", patient.deceased_date_time, context.times.__getitem__),
    ):
        try:
            facts[name] = None if text is None else read(text)
        except NotUsedError as fault:
            facts[name] = None
            aside.append(SetAside(source, f"{name}: {fault.reason}"))
    if patient.gender is not None and patient.gender not in GENDERS:
        aside.append(SetAside(source, not_one_of("gender", patient.gender, GENDERS)))
    deceased = patient.deceased_date_time is not None or patient.deceased_boolean is True
    person = Person(
        key=patient.id or "",
        born=facts["birthDate"],
        sex=patient.gender if patient.gender in GENDERS else None,
        died=facts["deceasedDateTime"],
        deceased=deceased,
        death_known=_known(patient, context, by) if deceased else None,
    )
    return person, aside


def _known(patient: Patient, context: Context, by: Instant | None) -> Instant | None:
    """Return when the record knew what it says at the latest; None if nothing tells."""
    stored = context.stored(patient.meta)
    known = [at for at in (None if stored is None else stored.end, by) if at is not None]
    return min(known, default=None)
