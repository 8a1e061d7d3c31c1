"""A Patient becomes a Person: what does not change between decisions."""

from cds_adapters.fhir.codesets import GENDERS, not_one_of
from cds_adapters.fhir.context import Context
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.resources import Patient
from cds_adapters.fhir.times import read_time
from cds_engine.history.event import Person, SetAside, Time


def read_person(patient: Patient, context: Context) -> tuple[Person, list[SetAside]]:
    """Return the facts about a patient, and those that cannot be read.

    Raises NotUsedError where nothing in the resource can be relied on.
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
    person = Person(
        key=patient.id or "",
        born=facts["birthDate"],
        sex=patient.gender if patient.gender in GENDERS else None,
        died=facts["deceasedDateTime"],
        deceased=patient.deceased_date_time is not None or patient.deceased_boolean is True,
    )
    return person, aside
