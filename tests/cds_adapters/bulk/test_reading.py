"""An export gives the same rows in whatever form, order and number of files it comes."""

import json
import random
from pathlib import Path

import fsspec
import pytest
from builders.replays import (
    AT_END,
    bundle_files,
    bundles,
    decisions,
    export,
    named_in,
    rows_of,
    run,
    write,
)
from msgspec import structs

from cds_adapters.bulk.eventfiles import write_event_files
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.parts import parts_of
from cds_adapters.bulk.records import read_records
from cds_adapters.bulk.scan import scan_part
from cds_adapters.bulk.sources import BulkError, find_export
from cds_adapters.fhir import files
from cds_adapters.fhir.samples import MESSES
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Event, Time
from cds_engine.replay.engine import reasons_of
from cds_engine.replay.points import Patient, Point, record_at
from cds_engine.vocabulary.time import instant
from cds_engine.vocabulary.units import StatedUnit
from cds_engine.vocabulary.value import Span


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("plain")
    run(folder, out)
    return decisions(out)


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_packed_files_give_the_same_bytes(
    folder: Path, plain: bytes, tmp_path: Path, packing: str
) -> None:
    packed = {f"{f.name}{packing}": f.read_bytes() for f in folder.iterdir()}
    run(write(tmp_path / "data", packed), tmp_path / "out")
    assert decisions(tmp_path / "out") == plain


def test_many_files_in_folders_with_their_lines_in_any_order_give_the_same_bytes(
    folder: Path, plain: bytes, tmp_path: Path
) -> None:
    draw = random.Random(7)  # noqa: S311
    parts: dict[str, str] = {}
    for file in folder.iterdir():
        lines = file.read_text().splitlines()
        draw.shuffle(lines)
        for n in range(3):
            part = "\n".join(lines[n::3])
            parts[f"part{(n + len(lines)) % 3}/{file.stem}.{n}.ndjson"] = part
    run(write(tmp_path / "data", parts), tmp_path / "out")
    assert decisions(tmp_path / "out") == plain


def test_the_same_patients_as_transaction_bundles_give_the_same_bytes(
    plain: bytes, tmp_path: Path
) -> None:
    run(bundles(tmp_path / "data"), tmp_path / "out")
    assert decisions(tmp_path / "out") == plain


def test_a_url_gives_the_same_bytes(folder: Path, plain: bytes, tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    for file in folder.iterdir():
        system.pipe(f"/hospital/{file.name}", file.read_bytes())
    try:
        run("memory://hospital", tmp_path / "out")
    finally:
        system.rm("/hospital", recursive=True)
    assert decisions(tmp_path / "out") == plain


def test_the_same_patients_as_events_give_the_same_bytes(
    folder: Path, plain: bytes, tmp_path: Path
) -> None:
    written = {
        f"{line['resourceType']}/{line['id']}": line["encounter"]["reference"]
        for file in folder.iterdir()
        for line in map(json.loads, file.read_text().splitlines())
        if "encounter" in line
    }
    records = [record for _, record in files.read_records(folder)]
    patients = [Patient(record, named_in(written, *record.events)) for record in records]
    write_event_files(tmp_path / "data", patients)
    run(tmp_path / "data", tmp_path / "out")
    assert decisions(tmp_path / "out") == plain


def test_an_event_of_every_shape_comes_back_from_a_file(tmp_path: Path) -> None:
    time = Time(0, 86_399_999_999, "day")
    full = Event(
        "observation", ("a|1", "b|2"), time, 5, "Observation/1", (3, "2025"), "final", 1.5,
        StatedUnit("mm[Hg]", "s", "t"), "problem", time, True, True, 30.0,
    )  # fmt: skip
    values = [1.5, Span(high=2.0, high_open=True), "a|b\nc|d", True, False, None]
    events = [structs.replace(full, value=v, source=f"O/{n}") for n, v in enumerate(values)]
    bare = Event("condition", (), None, 7, "Condition/1")
    [(_, before)] = files.read_records(_one_patient(tmp_path / "one"))
    patient = Patient(type(before)(before.person, (*events, bare)))
    write_event_files(tmp_path / "data", [patient])
    [(name, again)] = read_records(str(tmp_path / "data"))
    assert (name, again) == (patient.key, patient.record)
    assert len(structs.fields(Event)) == 14  # a new field must be written too


def _one_patient(folder: Path) -> Path:
    person = {"resourceType": "Patient", "id": "p1", "birthDate": "1970", "gender": "male",
              "deceasedDateTime": "2020-01-01"}  # fmt: skip
    return write(folder, {"Patient.ndjson": json.dumps(person)})


@pytest.mark.parametrize("form", ["ndjson.gz", "ndjson.zst", "json"])
def test_single_records_are_those_that_serving_reads(
    folder: Path, tmp_path: Path, form: str
) -> None:
    if form == "json":
        data = bundles(tmp_path / "data")
    else:
        packed = {f"{f.stem}.{form}": f.read_bytes() for f in folder.iterdir()}
        data = write(tmp_path / "data", packed)
    expected = dict(files.read_records(folder))
    found = dict(read_records(str(data)))
    assert found.keys() == expected.keys()
    for name, record in found.items():
        assert record.person == expected[name].person
        assert set(map(repr, record.events)) == set(map(repr, expected[name].events))
    name = sorted(expected)[3]
    [(only, record)] = read_records(str(data), patient=name)
    assert (only, len(record.events)) == (name, len(expected[name].events))


def test_messy_records_are_decided_as_serving_decides_them(tmp_path: Path) -> None:
    data = export(tmp_path / "data", 56, tuple(MESSES))
    run(data, tmp_path / "out", max_damaged=1.0)
    check_rows(tmp_path / "out", data)


def check_rows(out: Path, data: Path) -> int:
    """Compare every row with what the regime decides of the record as serving reads it."""
    job = Job(find_export(str(data)), (bundle_files(),), AT_END, out, 1)
    regime = Regime(job.rules()[0])
    records = dict(files.read_records(data))
    rows = rows_of(out)
    for row in rows:
        as_of = instant(row["key.as_of"])
        point = Point("", as_of, frozenset(row["key.withheld"]))
        history, decision = regime.decide(record_at(records[row["key.patient"]], point), as_of)
        assert row["decision.outcome"] == decision.outcome
        assert row["decision.action"] == decision.action
        assert row["decision.stage"] == decision.stage
        assert tuple(row["decision.candidates"]) == decision.candidates
        assert tuple(row["decision.reasons"]) == reasons_of(decision)
        for name in regime.bundle.variables:
            value = decision.state[name]
            assert row[name] == (None if isinstance(value, Span) else value)
            if name in history.findings and value is None:
                assert row[f"{name}.state"] == history.findings[name].reason  # type: ignore[union-attr]
    return len(rows)


@pytest.mark.sample_data
@pytest.mark.parametrize("source", ["synthea2019", "synthea2025-ca"])
def test_every_decision_on_the_public_sample_is_that_of_the_regime(
    sample_data: Path, tmp_path: Path, source: str
) -> None:
    data = sample_data / "ndjson" / source
    assert run(data, tmp_path / "out", complete=()).manifest["gaps"] == {}
    assert (
        check_rows(tmp_path / "out", data) == {"synthea2019": 1869, "synthea2025-ca": 956}[source]
    )


@pytest.mark.sample_data
def test_bundles_and_lines_of_the_public_sample_give_the_same_bytes(
    sample_data: Path, tmp_path: Path
) -> None:
    for form in ("ndjson", "bundles"):
        run(sample_data / form / "synthea2025-ca", tmp_path / form, complete=())
    assert decisions(tmp_path / "ndjson") == decisions(tmp_path / "bundles")


def test_only_what_the_bundle_reads_is_kept(folder: Path, tmp_path: Path) -> None:
    found = run(folder, tmp_path / "out").manifest["data"]
    assert found["kept"]["Observation"] < found["resources"]["Observation"]
    assert found["kept"]["Encounter"] == found["resources"]["Encounter"]


def test_a_version_whose_codes_do_not_count_still_takes_the_place_of_one_that_did(
    folder: Path, tmp_path: Path
) -> None:
    [first, *_] = [
        line
        for line in map(json.loads, (folder / "Condition.ndjson").read_text().splitlines())
        if line["code"]["coding"][0]["code"] in ("59621000", "38341003")
    ]
    name = first["subject"]["reference"].removeprefix("Patient/")
    newer = first | {
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]},
        "meta": {"versionId": "2", "lastUpdated": first["meta"]["lastUpdated"]},
    }
    data = write(tmp_path / "data", {f.name: f.read_bytes() for f in folder.iterdir()})
    write(data, {"Condition.2.ndjson": json.dumps(newer)})
    run(data, tmp_path / "out")
    run(folder, tmp_path / "before")
    told = {row["hypertension"] for row in rows_of(tmp_path / "out") if row["key.patient"] == name}
    assert True in {
        r["hypertension"] for r in rows_of(tmp_path / "before") if r["key.patient"] == name
    }
    assert told == {False}
    check_rows(tmp_path / "out", data)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nowhere", "does not exist; pass a folder of .ndjson files"),
        ("empty", "holds nothing that can be read; pass a folder"),
        ("nosuch://place", "cannot be opened"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_cure(
    tmp_path: Path, address: str, words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("x")
    where = address if "://" in address else str(tmp_path / address)
    with pytest.raises(BulkError, match=words):
        find_export(where)


def test_files_that_are_not_read_are_named(folder: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "data", {f.name: f.read_bytes() for f in folder.iterdir()})
    write(data, {"notes.txt": "x", "decisions.parquet": "x", ".hidden.ndjson": "x"})
    found = run(data, tmp_path / "out").manifest["data"]
    assert found["ignored"] == ["decisions.parquet", "notes.txt"]


def test_memory_does_not_hold_the_export(folder: Path, tmp_path: Path) -> None:
    """What one file leaves behind is on disk, shard by shard, and holds only what matters."""
    found = find_export(str(folder))
    job = Job(found, (bundle_files(),), AT_END, tmp_path, 4, parts=parts_of(found))
    for number in range(len(found.files)):
        scan_part(job, number)
    kept = sum(file.stat().st_size for file in tmp_path.glob("*.spill"))
    assert 0 < kept < sum(file.size for file in found.files) / 4
