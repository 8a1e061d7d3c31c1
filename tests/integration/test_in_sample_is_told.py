"""A version on the patients it was learned from is said to be so, in replay and in value."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from builders.command_line import run

from cds_adapters.report.replay_page import replay_page

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "intensification"
NAME = "hypertension-from-records@1.0.0"
TOO_GOOD = f"{NAME} was learned from these very records"
NOT_KNOWN = "It is not known whether"
SHIPPED = "hypertension-intensification"


def decision_points(folder: Path, seed: int) -> None:
    """Make an export and its decision points, with the study beside them."""
    export, points = folder / "export", folder / "points"
    run("simulate", "--world", "hypertension-cohort", "--out", export, "--count", 150,
        "--seed", seed)  # fmt: skip
    said = run("cohort", export, "--bundle", EXAMPLE, "--out", points, "--instant", "end")
    assert said.code == 0, said.err
    shutil.copy(EXAMPLE / "study.yaml", folder / "study.yaml")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hospital that has fitted its records."""
    folder = tmp_path_factory.mktemp("home")
    decision_points(folder, 3)
    said = run("fit", folder / "study.yaml", "--out", folder / "fitted")
    assert said.code == 0, said.err
    return folder


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another hospital, with the same study file."""
    folder = tmp_path_factory.mktemp("away")
    decision_points(folder, 4)
    return folder


def replayed(export: Path, out: Path, *bundles: object) -> tuple[list[str], str]:
    """Return the warnings of a replay's manifest, and its report."""
    said = run("replay", export, *bundles, "--out", out, "--instant", "end")
    assert said.code == 0, said.err
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text("utf-8"))
    return manifest["warnings"], (out / "report.html").read_text("utf-8")


def without_records(fitted: Path, folder: Path) -> Path:
    """Return a copy of a fitted version that does not say from which records it was learned."""
    shutil.copytree(fitted, folder)
    evidence = json.loads((folder / "evidence.json").read_text("utf-8"))
    del evidence["data"]["records"]
    (folder / "evidence.json").write_text(json.dumps(evidence), "utf-8")
    return folder


def test_the_evidence_names_the_records_behind_a_table_of_decision_points(home: Path) -> None:
    evidence = json.loads((home / "fitted" / "evidence.json").read_text("utf-8"))
    manifest = json.loads((home / "points" / "manifest.json").read_text("utf-8"))
    assert evidence["data"]["records"] == manifest["data"]["digest"]
    report = (home / "fitted" / "report.html").read_text("utf-8")
    assert manifest["data"]["digest"] in report


def test_a_table_that_is_not_the_manifests_names_no_records(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "points", tmp_path / "points")
    held = tmp_path / "points" / "manifest.json"
    manifest = json.loads(held.read_text("utf-8"))
    manifest["outputs"]["decisions.parquet"] = "sha256:00"
    held.write_text(json.dumps(manifest), "utf-8")
    shutil.copy(home / "study.yaml", tmp_path)
    run("fit", tmp_path / "study.yaml", "--out", tmp_path / "fitted")
    evidence = json.loads((tmp_path / "fitted" / "evidence.json").read_text("utf-8"))
    assert set(evidence["data"]) == {"what", "digest", "rows"}


def test_a_replay_on_the_records_it_was_learned_from_says_so(home: Path, tmp_path: Path) -> None:
    warnings, report = replayed(home / "export", tmp_path / "run", "--bundle", home / "fitted")
    [said] = [one for one in warnings if TOO_GOOD in one]
    assert said == (
        f"the version {TOO_GOOD}, so that its value here is too good; replay it on patients that "
        "it was not learned from"
    )
    assert TOO_GOOD in report
    assert NOT_KNOWN not in report


def test_so_it_does_of_the_second_version(home: Path, tmp_path: Path) -> None:
    warnings, report = replayed(home / "export", tmp_path / "run", "--bundle", SHIPPED,
                                "--against", home / "fitted")  # fmt: skip
    assert any(TOO_GOOD in one for one in warnings)
    assert f"{NOT_KNOWN} {SHIPPED}@1.0.0 was learned from these records" in report


def test_on_other_patients_there_is_nothing_to_say(home: Path, away: Path, tmp_path: Path) -> None:
    warnings, report = replayed(away / "export", tmp_path / "run", "--bundle", home / "fitted")
    assert "learned from" not in " ".join(warnings)
    assert NOT_KNOWN not in report


def test_where_the_evidence_does_not_say_the_ledger_says_that_it_is_not_known(
    home: Path, tmp_path: Path
) -> None:
    silent = without_records(home / "fitted", tmp_path / "silent")
    warnings, report = replayed(home / "export", tmp_path / "run", "--bundle", silent)
    assert "learned from" not in " ".join(warnings)
    assert f"{NOT_KNOWN} {NAME} was learned from these records" in report
    figures = json.loads((tmp_path / "run" / "figures.json").read_text("utf-8"))
    assert replay_page(figures) == report
    del figures["run"]["learned"]  # as in figures that were made before it was told
    assert NOT_KNOWN not in replay_page(figures)


def in_sample(said: Any) -> bool:
    assert said.code == 0, said.err
    return f"{NAME}: in-sample:" in said.out


def test_a_value_on_the_data_it_was_learned_from_is_in_sample(home: Path) -> None:
    assert in_sample(run("value", home / "study.yaml", "--bundle", home / "fitted"))


def test_a_table_made_anew_from_the_same_records_is_the_same_data(
    home: Path, tmp_path: Path
) -> None:
    run("cohort", home / "export", "--bundle", EXAMPLE, "--out", tmp_path / "points",
        "--instant", "end", "--seed", 9, "--tolerance", "P31D")  # fmt: skip
    shutil.copy(home / "study.yaml", tmp_path)
    evidence = json.loads((home / "fitted" / "evidence.json").read_text("utf-8"))
    evidence["data"]["digest"] = "sha256:00"  # as of a table that came out otherwise
    fitted = tmp_path / "fitted"
    shutil.copytree(home / "fitted", fitted)
    (fitted / "evidence.json").write_text(json.dumps(evidence), "utf-8")
    assert in_sample(run("value", tmp_path / "study.yaml", "--bundle", fitted))


def test_the_same_study_file_beside_other_patients_is_not(home: Path, away: Path) -> None:
    assert not in_sample(run("value", away / "study.yaml", "--bundle", home / "fitted"))
