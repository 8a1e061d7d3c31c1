"""What a Bulk Data manifest lists and the folder does not hold is incomplete, never absent."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders.replays import COMPLETE, export, rows_of, run, write

Json = dict[str, Any]
ORDERS = "MedicationRequest"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return export(tmp_path / "data")


def lines_in(data: Path, name: str) -> int:
    return len((data / name).read_text().splitlines())


def manifest(data: Path, *more: Json, **lists: list[Json]) -> None:
    """List every file of a folder, with its count, and more."""
    listed = [
        {"type": f.stem, "url": f"https://x/{f.name}", "count": lines_in(data, f.name)}
        for f in sorted(data.glob("*.ndjson"))
    ]
    body = {
        "transactionTime": "2026-07-01T00:00:00Z", "request": "https://x/$export",
        "output": [*listed, *more], **lists,
    }  # fmt: skip
    write(data, {"manifest.json": json.dumps(body)})


def states(out: Path, variable: str) -> set[str]:
    return {
        r[f"{variable}.state"] for r in rows_of(out) if r["decision.outcome"] != "not_applicable"
    }


def of_the_manifest(warnings: tuple[str, ...]) -> list[str]:
    return [words for words in warnings if "manifest.json" in words]


def test_an_export_that_is_as_its_manifest_says_has_no_warning(data: Path, tmp_path: Path) -> None:
    manifest(data)
    found = run(data, tmp_path / "out")
    assert of_the_manifest(found.warnings) == []
    assert found.manifest["gaps"] == {}


def test_a_file_that_is_listed_and_not_there_leaves_its_type_incomplete(
    data: Path, tmp_path: Path
) -> None:
    manifest(data)
    (data / f"{ORDERS}.ndjson").unlink()
    found = run(data, tmp_path / "out", complete=())
    assert of_the_manifest(found.warnings) == [
        (
            "manifest.json lists MedicationRequest.ndjson, and it is not there, so "
            "MedicationRequest is incomplete for every patient; fetch it, or say --accept-cut to "
            "go on without it"
        )
    ]
    assert states(tmp_path / "out", "step") == {"incomplete"}
    accepted = run(data, tmp_path / "again", complete=(), accept_cut=True)
    assert "incomplete" not in states(tmp_path / "again", "step")
    assert of_the_manifest(accepted.warnings)[0] == (
        "manifest.json lists MedicationRequest.ndjson, and it is not there (accepted: what it may "
        "have held is taken as not there; values may be wrong)"
    )


def test_one_of_two_files_of_a_type_is_missed(data: Path, tmp_path: Path) -> None:
    manifest(data, {"type": "Observation", "url": "https://x/Observation.2.ndjson", "count": 9})
    found = run(data, tmp_path / "out")
    assert found.manifest["gaps"] == {
        "kind:observation": "manifest.json lists Observation.2.ndjson, and it is not there"
    }
    assert states(tmp_path / "out", "sbp") == {"incomplete"}


def test_a_file_of_a_type_that_no_bundle_reads_is_not_missed(data: Path, tmp_path: Path) -> None:
    manifest(data, {"type": "Claim", "url": "https://x/Claim.ndjson", "count": 9})
    assert of_the_manifest(run(data, tmp_path / "out").warnings) == []


def test_fewer_lines_than_listed_are_a_cut(data: Path, tmp_path: Path) -> None:
    manifest(data)
    file = data / "Observation.ndjson"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    found = run(data, tmp_path / "out")
    assert of_the_manifest(found.warnings) == [
        (
            "Observation.ndjson has 137 lines, and manifest.json says 138, so Observation is "
            "incomplete for every patient; fetch it again, or say --accept-cut to go on without it"
        )
    ]
    assert states(tmp_path / "out", "sbp") == {"incomplete"}
    run(data, tmp_path / "again", accept_cut=True)
    assert "incomplete" not in states(tmp_path / "again", "sbp")


def test_more_lines_than_listed_lack_nothing_and_are_told(data: Path, tmp_path: Path) -> None:
    manifest(data)
    file = data / "Condition.ndjson"
    file.write_text(file.read_text() + file.read_text().splitlines()[0] + "\n")
    found = run(data, tmp_path / "out")
    assert of_the_manifest(found.warnings) == [
        (
            "Condition.ndjson has 15 lines, and manifest.json says 14; look whether it is of this "
            "export"
        )
    ]
    assert found.manifest["gaps"] == {}


@pytest.mark.parametrize("counted", [True, False])
def test_files_that_were_named_anew_are_found_by_their_type(
    data: Path, tmp_path: Path, *, counted: bool
) -> None:
    manifest(data)
    body = json.loads((data / "manifest.json").read_text())
    for number, one in enumerate(body["output"]):
        one["url"] = f"https://x/bulk/{number}?part=1"
        if not counted:
            del one["count"]
    write(data, {"manifest.json": json.dumps(body)})
    assert of_the_manifest(run(data, tmp_path / "out").warnings) == []


def test_files_that_were_joined_are_found_by_their_counts(data: Path, tmp_path: Path) -> None:
    manifest(data)
    body = json.loads((data / "manifest.json").read_text())
    [one] = [one for one in body["output"] if one["type"] == "Observation"]
    for number, count in enumerate((100, one["count"] - 100)):
        body["output"].append({**one, "url": f"https://x/Observation-{number}", "count": count})
    body["output"].remove(one)
    write(data, {"manifest.json": json.dumps(body)})
    assert of_the_manifest(run(data, tmp_path / "out").warnings) == []


def test_lists_of_errors_and_deletions_that_are_not_there_are_missed(
    data: Path, tmp_path: Path
) -> None:
    manifest(
        data,
        error=[{"type": "OperationOutcome", "url": "https://x/errors.ndjson"}],
        deleted=[{"type": "Bundle", "url": "https://x/gone.ndjson"}],
    )
    found = run(data, tmp_path / "out")
    assert of_the_manifest(found.warnings) == [
        (
            "manifest.json lists errors.ndjson, and it is not there: what the server could not "
            "export is not known; fetch it"
        ),
        (
            "manifest.json lists gone.ndjson, and it is not there: what the server deleted may "
            "still count; fetch it"
        ),
    ]
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x"}]}
    gone = {"resourceType": "Bundle", "type": "transaction",
            "entry": [{"request": {"method": "DELETE", "url": "Observation/none"}}]}  # fmt: skip
    write(data, {"errors.ndjson": json.dumps(outcome), "gone.ndjson": json.dumps(gone)})
    again = run(data, tmp_path / "again")
    assert of_the_manifest(again.warnings) == []
    assert "the export holds 1 report of a failure by the server that made it" in again.warnings


def test_a_manifest_speaks_of_its_own_folder(data: Path, tmp_path: Path) -> None:
    manifest(data)
    for file in list(data.iterdir()):
        write(data, {f"a/{file.name}": file.read_bytes()})
        file.unlink()
    write(data, {"b/MedicationRequest.ndjson": (data / "a" / f"{ORDERS}.ndjson").read_bytes()})
    (data / "a" / f"{ORDERS}.ndjson").unlink()
    assert len(of_the_manifest(run(data, tmp_path / "out", complete=COMPLETE).warnings)) == 1


WHOLE = {"transactionTime": "2026-07-01T00:00:00Z", "request": "https://x/$export", "output": []}
NO_TIME = (
    "manifest.json has no transactionTime that is an instant with an offset, so that when the "
    "export was taken is not known; fetch it again, or say --data-until"
)


def no_list(what: str) -> str:
    return (
        f"manifest.json {what}, so that it is not known whether a file is lacking; fetch it again"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"transactionTime": 1756684800}, [NO_TIME]),
        ({"transactionTime": "2026-07-01"}, [NO_TIME]),
        ({"transactionTime": "yesterday"}, [NO_TIME]),
        ({"output": "x"}, [no_list("has no list `output` of files")]),
        ({"deleted": {}}, [no_list("has no list `deleted` of files")]),
        ({"output": [{"type": "Claim"}, 7]}, [no_list("has 2 entries in `output` without a url")]),
        ({"transactionTime": 5, "output": 5}, [NO_TIME, no_list("has no list `output` of files")]),
    ],
)
def test_what_is_wrong_with_a_manifest_is_told(
    data: Path, tmp_path: Path, change: Json, words: list[str]
) -> None:
    write(data, {"manifest.json": json.dumps(WHOLE | change)})
    found = run(data, tmp_path / "out")
    assert of_the_manifest(found.warnings) == words
    timed = found.manifest["settings"]["data_until"] == WHOLE["transactionTime"]
    assert timed is (NO_TIME not in words)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (json.dumps(WHOLE)[:-30].encode(), "it is no JSON: "),
        (b"", "it is no JSON: "),
        (b"\xff\xfe{}", "it is no JSON: "),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told_and_nothing_is_concluded_from_it(
    data: Path, tmp_path: Path, body: bytes, why: str
) -> None:
    write(data, {"manifest.json": body})
    (data / f"{ORDERS}.ndjson").unlink()
    found = run(data, tmp_path / "out", complete=())
    [words] = of_the_manifest(found.warnings)
    assert words.startswith(f"manifest.json cannot be read ({why}")
    assert words.endswith(
        "), so that which files the export has, which types were asked for and when it was taken "
        "are not known; fetch it again"
    )
    assert states(tmp_path / "out", "step") == {"incomplete"}


def test_a_manifest_whose_list_is_damaged_does_not_say_that_a_type_is_complete(
    data: Path, tmp_path: Path
) -> None:
    (data / f"{ORDERS}.ndjson").unlink()
    for name, output, state in (("whole", [], "known"), ("damaged", [7], "incomplete")):
        write(data, {"manifest.json": json.dumps(WHOLE | {"output": output})})
        run(data, tmp_path / name, complete=())
        assert state in states(tmp_path / name, "step")
    assert states(tmp_path / "damaged", "step") == {"incomplete"}


def test_a_packed_manifest_is_read(data: Path, tmp_path: Path) -> None:
    write(data, {"manifest.json.gz": json.dumps(WHOLE)})
    found = run(data, tmp_path / "out")
    assert found.manifest["settings"]["data_until"] == WHOLE["transactionTime"]
    (data / "manifest.json.gz").write_bytes(b"")
    found = run(data, tmp_path / "again")
    assert [one for one in of_the_manifest(found.warnings) if "(it is cut: it has 0 bytes" in one]


@pytest.mark.parametrize("body", ["[]", "{}", '{"name": "a web page"}'])
def test_a_manifest_of_something_else_is_none(data: Path, tmp_path: Path, body: str) -> None:
    write(data, {"manifest.json": body})
    assert of_the_manifest(run(data, tmp_path / "out").warnings) == []
