"""Edits made after a decision neither change it in silence nor empty the past."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders.replays import export, lines, rows_of, run

Json = dict[str, Any]
TOUCHED: Json = {"versionId": "2", "lastUpdated": "2026-01-01T00:00:00Z"}


def touched(folder: Path, name: str) -> Path:
    """Let every resource of one file have been stored again after all decisions."""
    path = folder / f"{name}.ndjson"
    found = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(lines(one | {"meta": TOUCHED} for one in found))
    return folder


def test_the_problem_list_is_open_and_not_known_to_be_empty(tmp_path: Path) -> None:
    before = run(export(tmp_path / "data"), tmp_path / "before")
    after = run(touched(tmp_path / "data", "Condition"), tmp_path / "after")
    states = [
        [(row["hypertension"], row["hypertension.state"]) for row in rows_of(one.out)]
        for one in (before, after)
    ]
    assert (True, "known") in states[0]
    assert (False, "known") not in {pair for was, pair in zip(*states, strict=True) if was[0]}
    assert (None, "unresolved") in states[1]
    assert not any("only a later version" in one for one in before.warnings)
    [told] = [one for one in after.warnings if "only a later version" in one]
    assert f"of {after.manifest['data']['kept']['Condition']} resources" in told


def test_versions_that_are_there_are_told_of_nowhere(tmp_path: Path) -> None:
    data = export(tmp_path / "data")
    path = data / "Condition.ndjson"
    found = [json.loads(line) for line in path.read_text().splitlines()]
    first = [one | {"meta": {"versionId": "1"}} for one in found]
    path.write_text(lines([*first, *(one | {"meta": TOUCHED} for one in found)]))
    told = run(data, tmp_path / "out").warnings
    assert not any("only a later version" in one for one in told)


@pytest.mark.parametrize("name", ["MedicationRequest", "Procedure", "Observation"])
def test_the_second_check_agrees(tmp_path: Path, name: str) -> None:
    found = run(touched(export(tmp_path / "data"), name), tmp_path / "out")
    assert found.manifest["checked_again"]["differences"] == 0
    assert any("only a later version" in one for one in found.warnings)
