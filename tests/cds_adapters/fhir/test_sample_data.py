"""All of the public FHIR sample is read without an exception, and with nothing lost unsaid."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from cds_adapters.fhir.decode import decode_bundle, decode_resource
from cds_adapters.fhir.duplicate_keys import refuse_duplicate_keys
from cds_adapters.fhir.files import patient_resources, read_records
from cds_adapters.fhir.record import record_of
from cds_adapters.fhir.resources import USED_TYPES
from cds_engine.history.event import Record

pytestmark = pytest.mark.sample_data

SETS = ["synthea2019", "synthea2025-ca"]
PATIENTS = {"synthea2019": 61, "synthea2025-ca": 40}


def kinds(record: Record) -> Counter[str]:
    return Counter(event.kind for event in record.events)


@pytest.mark.parametrize("source", SETS)
def test_bundles_and_bulk_files_give_the_same_records(sample_data: Path, source: str) -> None:
    from_bundles = dict(read_records(sample_data / "bundles" / source))
    from_lines = dict(read_records(sample_data / "ndjson" / source))

    assert len(from_bundles) == PATIENTS[source]
    assert from_bundles.keys() == from_lines.keys()
    for name, record in from_bundles.items():
        assert record.set_aside == ()
        assert record.gaps == {}
        assert record.person == from_lines[name].person
        assert sorted(map(repr, record.events)) == sorted(map(repr, from_lines[name].events))


def test_every_bundle_is_read_whole(sample_data: Path) -> None:
    for path in sorted((sample_data / "bundles").glob("*/*.gz")):
        data = gzip.decompress(path.read_bytes())
        stated = Counter(entry["resource"]["resourceType"] for entry in json.loads(data)["entry"])

        found = decode_bundle(data)
        read = Counter(type(resource).__name__ for resource in found.resources)
        assert found.troubles == ()
        assert read == {kind: count for kind, count in stated.items() if kind in USED_TYPES}


def test_every_example_of_the_standard_is_read_or_named(sample_data: Path) -> None:
    for path in sorted((sample_data / "hl7-r4-examples").glob("*.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            refuse_duplicate_keys(line)
            found = decode_resource(line, path.name)
            kind = json.loads(line)["resourceType"]
            if kind in USED_TYPES:
                assert len(found.resources) + len(found.troubles) == 1
    for _, record in read_records(sample_data / "hl7-r4-examples"):
        assert record.events or record.set_aside


def test_panels_without_units_stay_without_units(sample_data: Path) -> None:
    units = Counter(
        bool(event.unit and event.unit.code)
        for _, record in read_records(sample_data / "ndjson" / "synthea2019")
        for event in record.events
        if "loinc|8480-6" in event.codes
    )

    assert units == {True: 539 - 64, False: 64}


def test_prescriptions_by_reference_find_their_medication(sample_data: Path) -> None:
    records = dict(read_records(sample_data / "ndjson" / "synthea2025-ca"))
    requests = [e for record in records.values() for e in record.events if e.kind == "request"]

    assert len(requests) == 805
    assert all(event.codes for event in requests)


def test_the_resources_that_can_be_posted_make_the_same_record(sample_data: Path) -> None:
    folder = sample_data / "ndjson" / "synthea2025-ca"
    name, raw = next(iter(patient_resources(folder)))
    body = b'{"resourceType":"Bundle","entry":[%s]}' % b",".join(
        b'{"resource":%s}' % one for one in raw
    )
    path_record = dict(read_records(folder, patient=name))[name]

    assert set(record_of(decode_bundle(body), name).events) == set(path_record.events)
