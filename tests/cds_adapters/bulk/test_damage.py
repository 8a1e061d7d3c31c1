"""Damage is counted, located and set aside; what may be missing because of it is incomplete."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from builders.replays import COMPLETE, export, rows_of, run, write

from cds_adapters.bulk import scan
from cds_adapters.bulk.sources import BulkError

Json = dict[str, Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return export(tmp_path / "data")


def rejects(out: Path) -> list[Json]:
    return [json.loads(line) for line in (out / "rejects.ndjson").read_text().splitlines()]


def states(out: Path, variable: str, patient: str | None = None) -> set[str]:
    return {
        row[f"{variable}.state"]
        for row in rows_of(out)
        if patient in (None, row["key.patient"]) and row["decision.outcome"] != "not_applicable"
    }


def damage(file: Path, number: int, text: str) -> None:
    lines = file.read_text().splitlines()
    lines[number] = text
    file.write_text("\n".join(lines) + "\n")


def test_a_damaged_line_is_set_aside_with_its_place_and_the_rest_is_replayed(
    data: Path, tmp_path: Path
) -> None:
    damage(data / "Observation.ndjson", 6, '{"resourceType": "Observation", "id": ')
    found = run(data, tmp_path / "out")
    [one] = rejects(tmp_path / "out")
    assert (one["file"], one["line"], one["attributed"]) == ("Observation.ndjson", 7, False)
    assert one["reason"].startswith("it cannot be decoded: ")
    assert one["text"] == '{"resourceType": "Observation", "id": '
    assert found.manifest["damaged"]["set_aside"] == 1
    assert found.manifest["damaged"]["naming_no_patient"] == 1
    files = found.manifest["data"]["files"]
    assert found.manifest["damaged"]["lines_read"] == sum(one["lines"] for one in files)
    assert "1 damaged line was set aside; it is in rejects.ndjson" in found.warnings
    assert (
        "it names no patient: patients of whom it speaks are decided on without what it says, and "
        "no row of the table is marked; mend the lines that rejects.ndjson lists with attributed: "
        "false, and export again"
    ) in found.warnings
    assert found.rows == len(rows_of(tmp_path / "out")) > 0


def test_a_damaged_line_that_names_its_patient_leaves_a_gap_in_that_record_alone(
    data: Path, tmp_path: Path
) -> None:
    line = '{"resourceType":"Observation","subject":{"reference":"Patient/htn-uncontrolled-0"},"st'
    damage(data / "Observation.ndjson", 6, line)
    run(data, tmp_path / "out")
    assert states(tmp_path / "out", "sbp", "htn-uncontrolled-0") == {"incomplete"}
    assert "incomplete" not in states(tmp_path / "out", "sbp", "htn-ace-cough-0")
    assert [one["attributed"] for one in rejects(tmp_path / "out")] == [True]


def test_a_resource_that_turns_out_to_be_damaged_is_set_aside_too(
    data: Path, tmp_path: Path
) -> None:
    lines = list(map(json.loads, (data / "Observation.ndjson").read_text().splitlines()))
    at = next(n for n, one in enumerate(lines) if "55284-4" in str(one) or "85354-9" in str(one))
    lines[at]["component"][0]["valueQuantity"]["value"] = "120"
    damage(data / "Observation.ndjson", at, json.dumps(lines[at]))
    run(data, tmp_path / "out")
    [one] = rejects(tmp_path / "out")
    assert (one["file"], one["line"]) == ("Observation.ndjson", at + 1)
    patient = lines[at]["subject"]["reference"].removeprefix("Patient/")
    assert states(tmp_path / "out", "sbp", patient) == {"incomplete"}


def test_too_many_damaged_lines_end_the_run_with_their_places(data: Path, tmp_path: Path) -> None:
    for number in range(10):
        damage(data / "Condition.ndjson", number, "{")
    with pytest.raises(BulkError) as fault:
        run(data, tmp_path / "out")
    words = str(fault.value)
    assert "10 of 216 lines are damaged, which is more than 1.00%" in words
    assert "Condition.ndjson:1 (it cannot be decoded" in words
    assert "--max-damaged" in words
    assert len(rejects(tmp_path / "out")) == 10
    assert not (tmp_path / "out" / "decisions.parquet").exists()
    assert run(data, tmp_path / "out", max_damaged=0.1).rows > 0


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_an_export_cut_in_the_middle_of_a_line_leaves_what_it_held_incomplete(
    data: Path, tmp_path: Path, packing: str
) -> None:
    file = data / "Observation.ndjson"
    body = file.read_bytes()
    file.unlink()
    packed = {"": body, ".gz": gzip.compress(body), ".zst": zstandard.compress(body)}[packing]
    (data / f"Observation.ndjson{packing}").write_bytes(packed[: len(packed) * 2 // 3])
    found = run(data, tmp_path / "out", max_damaged=0.02)
    assert states(tmp_path / "out", "sbp") == {"incomplete"}
    [words] = [words for words in found.warnings if "is cut" in words]
    assert words.startswith(f"Observation.ndjson{packing} is cut: ")
    assert "Observation is incomplete for every patient; fetch the file again" in words
    taken = run(data, tmp_path / "again", max_damaged=0.02, accept_cut=True)
    assert "incomplete" not in states(tmp_path / "again", "sbp")
    [words] = [words for words in taken.warnings if "is cut" in words]
    assert words.endswith(
        ". What came after is not there (accepted: what it may have held is taken as not there; "
        "values may be wrong)"
    )
    assert "--accept-cut" not in words


def test_a_last_line_without_a_line_feed_is_no_cut(data: Path, tmp_path: Path) -> None:
    file = data / "Observation.ndjson"
    file.write_bytes(file.read_bytes().rstrip())
    found = run(data, tmp_path / "out")
    assert not [words for words in found.warnings if "cut" in words]


def test_a_missing_type_is_incomplete_and_not_absent(data: Path, tmp_path: Path) -> None:
    (data / "Condition.ndjson").unlink()
    (data / "AllergyIntolerance.ndjson").unlink()
    found = run(data, tmp_path / "out", complete=("AllergyIntolerance",))
    assert states(tmp_path / "out", "hypertension") == {"incomplete"}
    assert "incomplete" not in states(tmp_path / "out", "ace_intolerance")
    [words] = [words for words in found.warnings if words.startswith("the export holds no")]
    assert words == (
        "the export holds no Condition: hypertension, pregnant, angioedema incomplete for every "
        "patient; export it, or say --complete Condition if the export is complete and no patient "
        "has any"
    )


def test_a_missing_kind_of_order_leaves_the_course_incomplete(data: Path, tmp_path: Path) -> None:
    (data / "MedicationRequest.ndjson").unlink()
    rest = tuple(set(COMPLETE) - {"MedicationRequest"})
    run(data, tmp_path / "out", complete=rest)
    assert states(tmp_path / "out", "step") == {"incomplete"}
    assert states(tmp_path / "out", "on_ace") == {"incomplete"}


def test_an_empty_file_says_that_there_is_none(data: Path, tmp_path: Path) -> None:
    (data / "Condition.ndjson").write_text("")
    run(data, tmp_path / "out")
    assert "incomplete" not in states(tmp_path / "out", "hypertension")


def packed(data: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Pack a file, and change what comes of it."""
    file = data / name.rpartition(".")[0]
    body = file.read_bytes()
    file.unlink()
    found = gzip.compress(body) if name.endswith(".gz") else zstandard.compress(body)
    (data / name).write_bytes(change(found))


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_packed_file_of_no_bytes_is_cut_and_does_not_say_that_there_is_none(
    data: Path, tmp_path: Path, packing: str
) -> None:
    name = f"MedicationRequest.ndjson{packing}"
    packed(data, name, lambda _: b"")
    found = run(data, tmp_path / "out")
    [words] = [words for words in found.warnings if name in words]
    assert words.startswith(
        f"{name} is cut: it has 0 bytes, and {'gzip' if packing == '.gz' else 'zstd'} data"
    )
    assert "so MedicationRequest is incomplete for every patient" in words
    assert states(tmp_path / "out", "step") == {"incomplete"}
    assert "unchanged" not in {row["taken.state"] for row in rows_of(tmp_path / "out")}


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_packed_file_of_nothing_says_that_there_is_none(
    data: Path, tmp_path: Path, packing: str
) -> None:
    name = f"Condition.ndjson{packing}"
    (data / "Condition.ndjson").write_bytes(b"")
    packed(data, name, lambda whole: whole)
    found = run(data, tmp_path / "out")
    assert not [words for words in found.warnings if name in words]
    assert "incomplete" not in states(tmp_path / "out", "hypertension")


@pytest.mark.parametrize("zeros", [1, 512, 200_000])
def test_packed_data_may_be_filled_up_with_zeros(data: Path, tmp_path: Path, zeros: int) -> None:
    run(data, tmp_path / "before")
    packed(data, "Observation.ndjson.gz", lambda whole: whole + b"\0" * zeros)
    found = run(data, tmp_path / "out")
    assert not [words for words in found.warnings if "is cut" in words]
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "before")


@pytest.mark.parametrize("after", [b"garbage", b"\0garbage", b"\x1f"])
def test_anything_else_after_packed_data_is_damage(
    data: Path, tmp_path: Path, after: bytes
) -> None:
    packed(data, "Observation.ndjson.gz", lambda whole: whole + after)
    found = run(data, tmp_path / "out")
    assert [words for words in found.warnings if words.startswith("Observation.ndjson.gz is cut")]


def test_zeros_alone_are_no_packed_data(data: Path, tmp_path: Path) -> None:
    packed(data, "Observation.ndjson.gz", lambda _: b"\0" * 512)
    found = run(data, tmp_path / "out")
    assert [words for words in found.warnings if "gz is cut: it is damaged inside" in words]


def empty_ones(warnings: tuple[str, ...]) -> list[str]:
    return [words for words in warnings if " is empty, and nobody" in words]


def test_a_plain_file_of_no_bytes_is_told(data: Path, tmp_path: Path) -> None:
    (data / "Condition.ndjson").write_bytes(b"")
    write(data, {"Claim.ndjson": "", "part-7.ndjson": ""})
    assert empty_ones(run(data, tmp_path / "out").warnings) == [
        (
            "Condition.ndjson is empty, and nobody is taken to have any Condition that is in no "
            "other file; if the export should hold some, fetch it again"
        ),
        (
            "part-7.ndjson is empty, and nobody is taken to have any resource of its type that is "
            "in no other file; if the export should hold some, fetch it again"
        ),
    ]


@pytest.mark.parametrize(("count", "told"), [({"count": 0}, 0), ({}, 1)])
def test_a_file_that_its_manifest_says_is_empty_is_as_it_should_be(
    data: Path, tmp_path: Path, count: Json, told: int
) -> None:
    (data / "Condition.ndjson").write_bytes(b"")
    output = [{"type": "Condition", "url": "https://x/Condition.ndjson", **count}]
    body = {"transactionTime": "2026-07-01T00:00:00Z", "output": output}
    write(data, {"manifest.json": json.dumps(body)})
    assert len(empty_ones(run(data, tmp_path / "out").warnings)) == told


@pytest.mark.parametrize(
    ("request_url", "state"),
    [
        pytest.param("https://x/$export?_type=Condition,Patient", "known", id="it was asked for"),
        pytest.param("https://x/$export", "known", id="all was asked for"),
        pytest.param("https://x/$export?_type=Patient", "incomplete", id="it was not asked for"),
        pytest.param("https://x/$export?_since=2025-01-01", "incomplete", id="only what is new"),
    ],
)
def test_the_manifest_of_an_export_tells_what_was_asked_for(
    data: Path, tmp_path: Path, request_url: str, state: str
) -> None:
    (data / "Condition.ndjson").unlink()
    manifest = {"transactionTime": "2026-07-01T00:00:00Z", "request": request_url, "output": []}
    write(data, {"manifest.json": json.dumps(manifest)})
    found = run(data, tmp_path / "out", complete=tuple(set(COMPLETE) - {"Condition"}))
    assert {row["hypertension.state"] for row in rows_of(tmp_path / "out")} == {state}
    assert found.manifest["settings"]["data_until"] == "2026-07-01T00:00:00Z"


def test_resources_of_mixed_patients_go_to_their_own(data: Path, tmp_path: Path) -> None:
    """One Bundle with everybody's resources gives the rows of the files."""
    resources = [
        {"resource": json.loads(line)}
        for file in sorted(data.iterdir())
        for line in file.read_text().splitlines()
    ]
    body = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": resources})
    run(write(tmp_path / "one", {"all.json": body}), tmp_path / "out")
    run(data, tmp_path / "plain")
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "plain")


def test_a_resource_of_nobody_is_set_aside(data: Path, tmp_path: Path) -> None:
    lines = list(map(json.loads, (data / "Condition.ndjson").read_text().splitlines()))
    at = next(n for n, one in enumerate(lines) if "59621000" in str(one))
    del lines[at]["subject"]
    damage(data / "Condition.ndjson", at, json.dumps(lines[at]))
    run(data, tmp_path / "out")
    [one] = rejects(tmp_path / "out")
    assert one["reason"] == "it has no subject that can be resolved to a patient"


def test_a_bundle_that_cannot_be_read_is_one_damaged_line(data: Path, tmp_path: Path) -> None:
    write(data, {"more.json": '{"resourceType":"Bundle","entry":[', "none.json": '{"a":1}'})
    found = run(data, tmp_path / "out", max_damaged=0.1)
    assert [one["file"] for one in rejects(tmp_path / "out")] == ["more.json", "none.json"]
    assert found.rows > 0


def test_failures_that_the_server_reports_are_told(data: Path, tmp_path: Path) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x"}]}
    write(data, {"errors.ndjson": json.dumps(outcome)})
    found = run(data, tmp_path / "out")
    assert "the export holds 1 report of a failure by the server that made it" in found.warnings


def test_a_file_that_is_damaged_throughout_does_not_fill_the_memory(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_MOST_REJECTS", 20)
    monkeypatch.setattr(scan, "_WITH_TEXT", 3)
    for number in range(12):
        damage(data / "Condition.ndjson", number, "{")
    run(data, tmp_path / "out", max_damaged=1.0)
    assert [one["text"] for one in rejects(tmp_path / "out")] == ["{"] * 3 + [""] * 9
    for number in range(30):
        damage(data / "Observation.ndjson", number, "{")
    with pytest.raises(BulkError, match="ndjson is damaged throughout: 20 lines by line 21, the"):
        run(data, tmp_path / "out", max_damaged=1.0)


def test_no_patient_value_reaches_a_message(data: Path, tmp_path: Path) -> None:
    lines = list(map(json.loads, (data / "Observation.ndjson").read_text().splitlines()))
    lines[3]["status"] = 777_123
    lines[3]["subject"] = "Patient/secret-name"
    damage(data / "Observation.ndjson", 3, json.dumps(lines[3]))
    damage(data / "Observation.ndjson", 4, '{"resourceType":"Observation","note":"secret"')
    with pytest.raises(BulkError) as fault:
        run(data, tmp_path / "out", max_damaged=0.0)
    assert "secret" not in str(fault.value)
    assert "777" not in str(fault.value)


def test_codes_that_match_nothing_are_told(data: Path, tmp_path: Path) -> None:
    text = (data / "Observation.ndjson").read_text().replace("http://loinc.org", "http://own")
    (data / "Observation.ndjson").write_text(text)
    found = run(data, tmp_path / "out")
    [words] = [words for words in found.warnings if words.startswith("found for no patient")]
    assert "sbp" in words
    told = json.loads((tmp_path / "out" / "vocabulary.json").read_text())
    assert told["variables"]["sbp"]["patients"] == 0
    assert "Observation http://own|8480-6" in told["unmapped"]


def test_a_population_that_nobody_is_in_is_told(data: Path, tmp_path: Path) -> None:
    text = (data / "Condition.ndjson").read_text().replace("59621000", "1").replace("38341003", "1")
    (data / "Condition.ndjson").write_text(text)
    found = run(data, tmp_path / "out")
    assert "no decision point is in the regime's population" in found.warnings


def test_encounters_without_an_end_are_told(data: Path, tmp_path: Path) -> None:
    lines = list(map(json.loads, (data / "Encounter.ndjson").read_text().splitlines()))
    for one in lines:
        del one["period"]["end"]
    write(data, {"Encounter.ndjson": "\n".join(map(json.dumps, lines))})
    found = run(data, tmp_path / "out")
    assert found.rows == 0
    assert f"{len(lines)} encounters without an end are no decision points" in found.warnings
    assert any(words.startswith("there is no decision point") for words in found.warnings)
