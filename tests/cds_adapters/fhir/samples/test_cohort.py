"""A cohort deals stories and messes in turn."""

import time
from collections import Counter

import pytest

from cds_adapters.fhir.samples import (
    MESSES,
    STORIES,
    make_mess,
    sample_patient,
    sample_patients,
)


def test_the_stories_come_in_turn() -> None:
    dealt = [patient.story for patient in sample_patients(2 * len(STORIES))]
    assert dealt == [*STORIES, *STORIES]


def test_ids_occur_once() -> None:
    ids = [patient.id for patient in sample_patients(200)]
    assert len(set(ids)) == 200


def test_first_visits_are_spread_over_the_year() -> None:
    told_from_the_start = (p for p in sample_patients(300) if p.story != "htn-between-visits")
    months = {patient.visits[0][:7] for patient in told_from_the_start}
    assert months == {f"2025-{month:02}" for month in range(1, 13)}


def test_a_clean_patient_is_the_story_told_on_the_day_drawn() -> None:
    for index, patient in enumerate(sample_patients(40)):
        number, day = index // len(STORIES), patient.visits[0][:10]
        if patient.story != "htn-between-visits":
            assert patient == sample_patient(patient.story, number, start=day)


def test_each_story_gets_a_different_mess_each_time_it_comes_round() -> None:
    messes = ("bp-without-unit", "year-only-birth")
    clean = list(sample_patients(2 * len(STORIES)))
    messy = list(sample_patients(2 * len(STORIES), messes=messes))
    made = Counter(
        (patient.story, mess)
        for before, patient in zip(clean, messy, strict=True)
        for mess in messes
        if before.story == "htn-controlled" and patient == make_mess(before, mess, 2026)
    )
    assert made == {(("htn-controlled", mess)): 1 for mess in messes}


def test_a_record_without_a_place_for_any_mess_stays_clean() -> None:
    clean = list(sample_patients(len(STORIES)))
    messy = list(sample_patients(len(STORIES), messes=("bp-without-unit",)))
    untouched = {a.story for a, b in zip(clean, messy, strict=True) if a == b}
    assert untouched == {"htn-no-pressure", *(s for s in STORIES if s.startswith("activity-"))}


def test_all_messes_are_dealt() -> None:
    messes = tuple(name for name in MESSES if name != "huge")
    clean = list(sample_patients(400))
    messy = list(sample_patients(400, messes=messes))
    assert all(a != b for a, b in zip(clean, messy, strict=True))


def test_an_unknown_mess_is_refused() -> None:
    with pytest.raises(ValueError, match="no mess 'mud'"):
        list(sample_patients(1, messes=("mud",)))


def test_a_thousand_patients_take_seconds() -> None:
    began = time.process_time()
    assert sum(1 for _ in sample_patients(1000)) == 1000
    assert time.process_time() - began < 10
