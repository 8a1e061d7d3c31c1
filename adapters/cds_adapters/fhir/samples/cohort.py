"""A cohort deals all stories in turn, and all messes asked for, until there are enough patients."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from cds_adapters.fhir.samples.draw import Draw
from cds_adapters.fhir.samples.messes import MessDoesNotApplyError, make_mess
from cds_adapters.fhir.samples.patient import SamplePatient
from cds_adapters.fhir.samples.stories import STORIES, sample_patient

FIRST_DAY = date(2025, 1, 6)


def sample_patients(
    count: int, seed: int = 2026, messes: Sequence[str] = ()
) -> Iterator[SamplePatient]:
    """Yield ``count`` patients, the stories in turn, their first visits spread over a year.

    Each patient gets one of ``messes``, a different one each time its story comes round. Where
    that one finds no place in the record, the next does; where none does, the record stays
    clean.
    """
    stories = tuple(STORIES)
    for index in range(count):
        number, place = divmod(index, len(stories))
        weeks = Draw(seed, "first week", index).between(0, 51)
        day = (FIRST_DAY + timedelta(weeks=weeks)).isoformat()
        patient = sample_patient(stories[place], number, seed, day)
        yield _messed_up(patient, messes, number + place, seed)


def _messed_up(
    patient: SamplePatient, messes: Sequence[str], turn: int, seed: int
) -> SamplePatient:
    for offset in range(len(messes)):
        try:
            return make_mess(patient, messes[(turn + offset) % len(messes)], seed)
        except MessDoesNotApplyError:
            continue
    return patient
