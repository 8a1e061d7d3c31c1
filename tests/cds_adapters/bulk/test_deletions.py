"""What the server deleted counts no longer from when it was deleted, and never in silence."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders.replays import export, rows_of, run, write

from cds_adapters.bulk.records import read_records
from cds_engine.replay.settings import ReplaySettings

Json = dict[str, Any]
WHO = "htn-uncontrolled-0"
DAY = "2025-07-28"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return export(tmp_path / "data")


def panels(data: Path, day: str = DAY) -> list[Json]:
    """Return the blood pressures of a day."""
    found = map(json.loads, (data / "Observation.ndjson").read_text().splitlines())
    return [
        one for one in found
        if one["subject"]["reference"] == f"Patient/{WHO}" and "8480-6" in str(one)
        and one["effectiveDateTime"].startswith(day)
    ]  # fmt: skip


def delete(*urls: str, kind: str = "transaction", **more: Any) -> str:
    entries = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries, **more}) + "\n"


def at(out: Path, day: str) -> Json:
    [row] = [
        row for row in rows_of(out)
        if row["key.patient"] == WHO and row["key.as_of"].isoformat().startswith(day)
    ]  # fmt: skip
    return row


@pytest.mark.parametrize("name", ["gone.ndjson", "gone.json"])
def test_what_was_deleted_at_an_unknown_time_never_counts(
    data: Path, tmp_path: Path, name: str
) -> None:
    run(data, tmp_path / "plain")
    assert at(tmp_path / "plain", DAY)["sbp.state"] == "known"
    urls = [f"Observation/{one['id']}" for one in panels(data)]
    assert urls
    write(data, {name: delete(*urls)})
    found = run(data, tmp_path / "out")
    assert at(tmp_path / "out", DAY)["sbp.state"] != "known"
    assert found.manifest["data"]["deleted"] == len(urls)
    assert found.manifest["checked_again"]["differences"] == 0
    [words] = [words for words in found.warnings if "deleted" in words]
    assert words == (
        f"the export says that {len(urls)} resource{'s were' if len(urls) > 1 else ' was'} deleted,"
        f" and not when; {'they are' if len(urls) > 1 else 'it is'} left out altogether"
    )


@pytest.mark.parametrize(
    ("when", "known"),
    [
        pytest.param("2025-07-28T10:50:00Z", False, id="before the decision"),
        pytest.param("2025-07-28T11:10:00Z", True, id="after the decision"),
        pytest.param("2025-07-28T10:00:00Z", True, id="before it was stored, so it stands again"),
    ],
)
@pytest.mark.parametrize("where", ["meta", "response", "timestamp"])
def test_a_deletion_counts_from_its_time(
    data: Path, tmp_path: Path, when: str, where: str, *, known: bool
) -> None:
    urls = [f"https://ehr.example/fhir/Observation/{one['id']}" for one in panels(data)]
    body = json.loads(delete(*urls, kind="history"))
    body |= {"meta": {"lastUpdated": when}} if where == "meta" else {"timestamp": when}
    if where == "response":
        body["timestamp"] = "2026-01-01T00:00:00Z"
        for entry in body["entry"]:
            entry["response"] = {"status": "204", "lastModified": when}
    write(data, {"gone.json": json.dumps(body)})
    found = run(data, tmp_path / "out", settings=ReplaySettings(end=True, recheck=1.0))
    assert (at(tmp_path / "out", DAY)["sbp.state"] == "known") is known
    assert found.manifest["checked_again"]["differences"] == 0
    assert json.loads((tmp_path / "out" / "vocabulary.json").read_text())["set_aside"].get(
        "the server deleted it", 0
    ) == (0 if when.endswith("10:00:00Z") else len(urls))


@pytest.mark.parametrize("name", ["gone.ndjson.zst", "gone.json"])
def test_a_single_patient_s_record_lacks_what_was_deleted_too(data: Path, name: str) -> None:
    urls = {f"Observation/{one['id']}" for one in panels(data)}
    write(data, {name: delete(*urls)})
    [(_, record)] = read_records(str(data), patient=WHO)
    assert urls == {one.source for one in record.set_aside if "the server deleted" in one.reason}
    taken_back = {one.source for one in record.events if one.status == "entered-in-error"}
    assert urls <= taken_back


def test_dated_and_undated_deletions_are_told_together(data: Path, tmp_path: Path) -> None:
    dated = delete("Observation/a", meta={"lastUpdated": "2025-01-01T00:00:00Z"})
    write(data, {"gone.ndjson": dated})
    assert (
        "the export says that 1 resource was deleted; what it said counts no longer from then on"
    ) in run(data, tmp_path / "one").warnings
    write(data, {"gone.ndjson": dated + delete("Observation/b")})
    assert (
        "the export says that 2 resources were deleted; what they said counts no longer from then "
        "on, and of 1 never, because nothing says when"
    ) in run(data, tmp_path / "two").warnings


def test_a_deleted_encounter_is_no_decision_point(data: Path, tmp_path: Path) -> None:
    before = run(data, tmp_path / "plain").rows
    write(data, {"gone.json": delete(f"Encounter/{WHO}-encounter-3")})
    assert run(data, tmp_path / "out").rows == before - 1


@pytest.mark.parametrize(
    ("more", "state"),
    [
        pytest.param({}, "incomplete", id="at an unknown time"),
        pytest.param({"timestamp": "2026-01-01T00:00:00Z"}, "incomplete", id="last"),
        pytest.param({"timestamp": "2023-01-01T00:00:00Z"}, "known", id="and stored again"),
    ],
)
def test_a_deleted_patient_has_no_facts(data: Path, tmp_path: Path, more: Json, state: str) -> None:
    write(data, {"gone.json": delete(f"Patient/{WHO}", **more)})
    run(data, tmp_path / "out")
    assert at(tmp_path / "out", DAY)["age.state"] == state


def test_a_deletion_that_names_no_resource_is_told(data: Path, tmp_path: Path) -> None:
    write(data, {"gone.json": delete("Observation?identifier=1", "Claim/1", "Observation")})
    found = run(data, tmp_path / "out")
    assert found.manifest["data"]["deleted"] == 0
    assert (
        "2 deletions do not name one resource by type and id, as Observation/1 does, and so what "
        "was deleted still counts"
    ) in found.warnings


def test_deletions_are_the_same_in_parts(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [f"Observation/{WHO}-bp-{n}" for n in range(300)]
    write(data, {"gone.ndjson": "".join(map(delete, gone))})
    run(data, tmp_path / "whole")
    monkeypatch.setattr("cds_adapters.bulk.parts.SIZE", 10_000)
    run(data, tmp_path / "parts", jobs=2, shards=3)
    for name in ("decisions.parquet", "manifest.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
