"""Records come from files: folders or single files, NDJSON or Bundles, packed or not."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cds_adapters.fhir import streams
from cds_adapters.fhir.errors import FHIRError
from cds_adapters.fhir.files import patient_resources, read_records
from cds_engine.history.event import Record
from cds_engine.vocabulary.time import iso

Json = dict[str, Any]


def a_patient(name: str) -> Json:
    return {"resourceType": "Patient", "id": name, "birthDate": "1960-01-01"}


def an_observation(name: str, patient: str, value: object = 152) -> Json:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2024-05-01T12:00:00Z",
        "valueQuantity": {"value": value},
    }


def a_prescription(name: str, patient: str, medication: str) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{patient}"},
        "medicationReference": {"reference": medication},
        "authoredOn": "2024-05-01",
    }


MEDICATION: Json = {
    "resourceType": "Medication",
    "id": "m1",
    "code": {"coding": [{"system": "urn:x", "code": "pill"}]},
}
TWO_PATIENTS: dict[str, list[Json]] = {
    "Patient": [a_patient("p1"), a_patient("p2")],
    "Observation.0": [an_observation("o1", "p1"), an_observation("o2", "p2")],
    "Observation.1": [an_observation("o3", "p1")],
    "Medication": [MEDICATION, {**MEDICATION, "id": "m2"}],
    "MedicationRequest": [a_prescription("r1", "p2", "Medication/m1")],
    "Claim": [{"resourceType": "Claim", "id": 7, "patient": "whoever"}],
}
SOURCES = {
    "p1": ["Observation/o1", "Observation/o3"],
    "p2": ["MedicationRequest/r1", "Observation/o2"],
}


def write(path: Path, data: bytes) -> Path:
    packed = path.suffix == ".gz"
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def lines(*resources: Json) -> bytes:
    return b"".join(json.dumps(resource).encode() + b"\n" for resource in resources)


def a_bundle(*resources: Json, urls: bool = False, **fields: Any) -> bytes:
    entries: list[Json] = [{"resource": resource} for resource in resources]
    for entry in entries:
        if urls:
            entry["fullUrl"] = f"urn:uuid:{entry['resource']['resourceType']}"
    return json.dumps({"resourceType": "Bundle", "entry": entries, **fields}, indent=1).encode()


def read(path: Path, **options: Any) -> dict[str, Record]:
    found = list(read_records(path, **options))
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


def sources(records: dict[str, Record]) -> dict[str, list[str]]:
    return {
        name: sorted(event.source for event in record.events) for name, record in records.items()
    }


@pytest.mark.parametrize("suffix", [".ndjson", ".ndjson.gz"])
def test_an_export_is_gathered_by_patient(tmp_path: Path, suffix: str) -> None:
    for name, resources in TWO_PATIENTS.items():
        write(tmp_path / (name + suffix), lines(*resources))
    (tmp_path / "manifest.txt").write_text("not FHIR")

    records = read(tmp_path)
    assert sources(records) == SOURCES
    assert all(not record.set_aside and not record.gaps for record in records.values())
    assert all(record.person.born for record in records.values())


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
@pytest.mark.parametrize("kind", ["collection", "transaction", "searchset"])
def test_one_bundle_is_read(tmp_path: Path, suffix: str, kind: str) -> None:
    everything = [one for resources in TWO_PATIENTS.values() for one in resources]
    path = write(tmp_path / f"bundle{suffix}", a_bundle(*everything, type=kind))

    assert sources(read(path)) == SOURCES


def test_a_folder_of_bundles_is_one_export(tmp_path: Path) -> None:
    everything = [one for resources in TWO_PATIENTS.values() for one in resources]
    write(tmp_path / "a.json", a_bundle(*everything[:4]))
    write(tmp_path / "b.json.gz", a_bundle(*everything[4:]))

    assert sources(read(tmp_path)) == SOURCES


def test_a_single_ndjson_file_is_read(tmp_path: Path) -> None:
    everything = [one for resources in TWO_PATIENTS.values() for one in resources]
    path = write(
        tmp_path / "all.ndjson", b"\xef\xbb\xbf" + lines(*everything).replace(b"\n", b"\r\n\n")
    )

    assert sources(read(path)) == SOURCES


def test_references_inside_a_bundle_are_followed(tmp_path: Path) -> None:
    resources = [
        a_patient("p1"),
        MEDICATION,
        a_prescription("r1", "x", "urn:uuid:Medication")
        | {"subject": {"reference": "urn:uuid:Patient"}},
        an_observation("o1", "x") | {"subject": {"reference": "urn:uuid:Patient"}},
    ]
    path = write(tmp_path / "bundle.json", a_bundle(*resources, urls=True))

    records = read(path)
    assert sources(records) == {"p1": ["MedicationRequest/r1", "Observation/o1"]}
    assert records["p1"].gaps == {}
    assert len(dict(patient_resources(path))["p1"]) == 4


def test_one_patient_can_be_asked_for(tmp_path: Path) -> None:
    for name, resources in TWO_PATIENTS.items():
        write(tmp_path / f"{name}.ndjson", lines(*resources))

    assert sources(read(tmp_path, patient="p2")) == {"p2": SOURCES["p2"]}
    with pytest.raises(FHIRError, match="holds nothing about patient 'p3'; check the id"):
        read(tmp_path, patient="p3")


def test_the_resources_come_as_they_stand_with_the_medications(tmp_path: Path) -> None:
    for name, resources in TWO_PATIENTS.items():
        write(tmp_path / f"{name}.ndjson", lines(*resources))

    found = {
        name: sorted(json.loads(one)["resourceType"] for one in raw)
        for name, raw in patient_resources(tmp_path)
    }
    assert found == {
        "p1": ["Observation", "Observation", "Patient"],
        "p2": ["Medication", "MedicationRequest", "Observation", "Patient"],
    }


# --- what cannot be read


def about(subject: object) -> bytes:
    return lines({**an_observation("o9", "p1"), "subject": subject})


def test_a_damaged_line_is_set_aside_for_the_patient_it_names(tmp_path: Path) -> None:
    write(tmp_path / "Patient.ndjson", lines(a_patient("p1"), a_patient("p2")))
    whole, broken = lines(an_observation("o1", "p1")), lines(an_observation("o2", "p1", "152"))
    cut = lines(an_observation("o3", "p1"))[:-20] + b"\n"
    write(tmp_path / "Observation.ndjson", whole + b"\n" + broken + cut)

    records = read(tmp_path)
    assert {aside.source: aside.reason[:22] for aside in records["p1"].set_aside} == {
        "Observation/o2": "it cannot be decoded: ",
        "Observation.ndjson:4": "it cannot be decoded: ",
    }
    assert list(records["p1"].gaps) == ["kind:observation", "observation:loinc|8480-6"]
    assert (records["p2"].set_aside, records["p2"].gaps) == ((), {})


@pytest.mark.parametrize(
    ("file", "line", "gap"),
    [
        ("Observation.ndjson", b"garbage", "kind:observation"),
        ("1.Condition.ndjson", b'{"resourceType":', "kind:condition"),
        ("export.ndjson", b"garbage", "*"),
        ("export.ndjson", b'{"resourceType":"Procedure","code', "kind:procedure"),
        ("export.ndjson", b'{"id":"x"}', "*"),
        ("export.ndjson", about({}), "observation:loinc|8480-6"),
        ("export.ndjson", about(7), "observation:loinc|8480-6"),
        ("Claim.ndjson", b"garbage", None),
        ("export.ndjson", b'{"resourceType":"Claim","x', None),
        ("export.ndjson", about({"reference": "Group/g"}), None),
        ("export.ndjson", lines({"resourceType": "OperationOutcome",
                                 "issue": [{"severity": "error"}]}), "*"),
        ("export.ndjson", lines({"resourceType": "OperationOutcome",
                                 "issue": [{"severity": "information"}]}), None),
    ],
)  # fmt: skip
def test_a_line_that_may_be_anybodys_leaves_a_gap_with_everybody(
    tmp_path: Path, file: str, line: bytes, gap: str | None
) -> None:
    write(tmp_path / "Patient.ndjson", lines(a_patient("p1"), a_patient("p2")))
    write(tmp_path / file, line)

    for record in read(tmp_path).values():
        assert list(record.gaps) == ([] if gap is None else [gap])
        assert len(record.set_aside) == (gap is not None)


def test_a_page_of_a_longer_search_leaves_a_gap(tmp_path: Path) -> None:
    links = [{"relation": "next", "url": "https://ehr.example/page2"}]
    path = write(tmp_path / "page.json", a_bundle(a_patient("p1"), link=links))

    assert "one page of several" in read(path)["p1"].gaps["*"]


def test_a_broken_entry_is_named_by_its_place(tmp_path: Path) -> None:
    broken = {**an_observation("o1", "p1"), "id": 7}
    path = write(tmp_path / "b.json", a_bundle(a_patient("p1"), broken))

    assert read(path)["p1"].set_aside[0].source == "b.json: Bundle.entry[1]"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("b.json", b"{", "is no Bundle that can be read"),
        ("b.json", b'{"resourceType":"Patient"}', "it is Patient, not a Bundle"),
        ("b.json", b"{}", "without a resourceType, not a Bundle"),
        ("b.json", b"[]", "is no Bundle that can be read"),
        ("b.json", b"[" * 100_000, "is no Bundle that can be read"),
        ("b.txt", b"", "is no FHIR file; pass a folder of .ndjson files"),
    ],
)
def test_a_file_that_is_no_bundle_is_refused(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    path = write(tmp_path / name, data)

    with pytest.raises(FHIRError, match=words):
        read(path)


def test_a_path_that_holds_nothing_is_refused_with_what_to_pass(tmp_path: Path) -> None:
    with pytest.raises(FHIRError, match=r"does not exist; pass a folder of \.ndjson files"):
        read(tmp_path / "nowhere")
    with pytest.raises(FHIRError, match=r"holds no \.ndjson and no \.json file"):
        read(tmp_path)


@pytest.mark.parametrize("suffix", [".ndjson.gz", ".json.gz"])
def test_a_packed_file_that_is_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    data = gzip.compress(lines(a_patient("p1")))
    for damaged in (data[:-9], b"not gzip at all", data[:15] + b"\x00\x01" + data[17:]):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(damaged)
        with pytest.raises(FHIRError, match="fetch it again"):
            read(path)


@pytest.mark.parametrize("name", ["bomb.ndjson.gz", "bomb.json.gz"])
def test_a_bomb_is_refused_before_it_bursts(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b" " * (streams.FREE + 2 * 2**20))

    with pytest.raises(FHIRError, match="unpacks to more than 16777216 bytes"):
        read(path)


def test_bodies_and_lines_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_BODY", 1000)
    body = write(tmp_path / "b.json", a_bundle(*[a_patient("p1")] * 100))
    line = write(tmp_path / "l.ndjson", b"x" * 2000)

    with pytest.raises(FHIRError, match="larger than 1000 bytes; split it into several Bundles"):
        read(body)
    with pytest.raises(FHIRError, match=r"l\.ndjson:1: a line is longer than 1000 bytes"):
        read(line)


def test_lines_are_found_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_CHUNK", 7)
    path = write(tmp_path / "x.ndjson", b"one\n\n  \ntwo and more\nthree")

    assert list(streams.read_lines(path)) == [(1, b"one"), (4, b"two and more"), (5, b"three")]


def a_deletion(*urls: str, **more: object) -> Json:
    entries = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries, **more}


EXPORT = {"Patient": [a_patient("p1")], "Observation": [an_observation("o1", "p1")]}


def told_with(folder: Path, deletion: Json, form: str) -> Record:
    """The record of p1 where a file or a line of one says that something was deleted."""
    if form == "one Bundle":
        entries = [{"resource": one} for kind in EXPORT.values() for one in kind]
        (folder / "all.json").write_text(
            json.dumps(deletion | {"entry": [*entries, *deletion["entry"]]})
        )
    else:
        for kind, resources in EXPORT.items():
            text = "".join(json.dumps(one) + "\n" for one in resources)
            (folder / f"{kind}.ndjson").write_text(text)
        name = "gone.ndjson" if form == "a line" else "a-gone.json"
        (folder / name).write_text(json.dumps(deletion) + "\n")
    [(_, record)] = read_records(folder)
    return record


FORMS = ["one Bundle", "a Bundle beside", "a line"]


@pytest.mark.parametrize("form", FORMS)
def test_what_a_bundle_deletes_counts_no_more(tmp_path: Path, form: str) -> None:
    when = "2024-07-01T00:00:00Z"
    record = told_with(tmp_path, a_deletion("Observation/o1", timestamp=when), form)
    said = [(one.source, one.reason) for one in record.set_aside]
    assert ("Observation/o1", "the server deleted it") in said
    [first, last] = [one for one in record.events if one.source == "Observation/o1"]
    assert (first.status, last.status) == ("final", "entered-in-error")
    assert iso(last.recorded) == when


@pytest.mark.parametrize("form", FORMS)
def test_a_deleted_patient_has_no_facts(tmp_path: Path, form: str) -> None:
    record = told_with(tmp_path, a_deletion("Patient/p1"), form)
    assert record.person.born is None
    assert "kind:patient" in record.gaps


@pytest.mark.parametrize("form", FORMS)
def test_a_deletion_that_names_no_resource_is_told(tmp_path: Path, form: str) -> None:
    record = told_with(tmp_path, a_deletion("Observation?code=1"), form)
    [told] = [one for one in record.set_aside if "deletion" in one.reason]
    assert told.reason == (
        "a deletion does not name one resource by type and id, as Observation/1 does, and so what "
        "was deleted still counts"
    )
    assert [one.status for one in record.events] == ["final"]
    assert not record.gaps


def test_a_line_with_a_broken_bundle_may_be_about_anything(tmp_path: Path) -> None:
    record = told_with(tmp_path, a_deletion("Patient/p1") | {"timestamp": 7}, "a line")
    assert record.gaps
    assert any("it cannot be decoded" in one.reason for one in record.set_aside)
