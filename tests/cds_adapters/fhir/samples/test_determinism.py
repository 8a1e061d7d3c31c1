"""The same arguments give the same bytes, whatever the process that asks."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cds_adapters.fhir.samples import (
    MESSES,
    STORIES,
    SamplePatient,
    make_mess,
    sample_patient,
    sample_patients,
    to_json,
    to_ndjson,
    to_transaction_bundle,
)

PRINT_DIGEST = """
import hashlib
from cds_adapters.fhir.samples import MESSES, sample_patients, to_json, to_ndjson
files = to_ndjson(sample_patients(60, messes=tuple(MESSES)))
print(hashlib.sha256(to_json(files).encode()).hexdigest())
"""

CLEAN_COHORT = "bb69d3e9048a6ad682ff6c6c96c3fbbb92d07495af174961e312a3555933e279"


def digest(value: object) -> str:
    return hashlib.sha256(to_json(value).encode()).hexdigest()


def test_the_bytes_of_a_cohort_are_these() -> None:
    """Fails when any byte of the clean samples changes; then change the digest on purpose."""
    assert digest(to_ndjson(sample_patients(28))) == CLEAN_COHORT


@pytest.mark.parametrize(
    ("hash_seed", "zone"),
    [
        pytest.param("0", "UTC", id="plain"),
        pytest.param("1", "Pacific/Kiritimati", id="another hash seed, far east"),
        pytest.param("12345", "America/St_Johns", id="another hash seed, west"),
    ],
)
def test_neither_hash_seed_nor_time_zone_changes_a_byte(hash_seed: str, zone: str) -> None:
    here = digest(to_ndjson(sample_patients(60, messes=tuple(MESSES))))
    environment = os.environ | {
        "PYTHONHASHSEED": hash_seed,
        "TZ": zone,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    there = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == here


def every_mess_made(seed: int) -> Iterator[SamplePatient]:
    for mess in MESSES.values():
        yield make_mess(sample_patient(mess.story), mess.name, seed)


def test_every_mess_is_made_the_same_way_twice() -> None:
    first = [to_json(to_transaction_bundle(patient)) for patient in every_mess_made(seed=4)]
    again = [to_json(to_transaction_bundle(patient)) for patient in every_mess_made(seed=4)]
    assert first == again


@pytest.mark.parametrize("story", STORIES)
def test_number_and_seed_vary_the_patient(story: str) -> None:
    variants = [
        sample_patient(story),
        sample_patient(story, number=1),
        sample_patient(story, seed=1),
    ]
    assert len({to_json(list(patient.resources)) for patient in variants}) == 3


def test_a_patient_does_not_depend_on_how_many_are_made() -> None:
    few, many = list(sample_patients(5)), list(sample_patients(20))
    assert many[:5] == few
