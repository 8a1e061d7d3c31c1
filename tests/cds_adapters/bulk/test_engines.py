"""Both engines write the same bytes, on samples with every mess, worlds and the public sample."""

from pathlib import Path
from typing import Any

import pytest
from builders.replays import AT_END, bundle_files, example_files, export, run

from cds_adapters.cli.simulate import run_world
from cds_adapters.fhir.samples import MESSES
from cds_adapters.fhir.times import read_instant
from cds_engine.bundle.read import FILES as BUNDLE_FILES
from cds_engine.replay.settings import ReplaySettings
from cds_engine.vocabulary.time import parse_duration

FILES = ("decisions.parquet", "manifest.json", "rejects.ndjson", "vocabulary.json")
MONTHLY = ReplaySettings(
    points="schedule",
    first=read_instant("2024-01-01T00:00:00Z"),
    last=read_instant("2026-01-01T00:00:00Z"),
    every=parse_duration("P2M"),
    recheck=0.2,
)


def same_bytes(data: Path, place: Path, **given: Any) -> int:
    """Replay by both engines; return how many rows there are."""
    rows = 0
    for engine in ("scalar", "columnar"):
        found = run(data, place / engine, engine=engine, **given)
        rows = found.rows
        assert not any("report this fault" in warning for warning in found.warnings)
    for name in FILES:
        assert (place / "scalar" / name).read_bytes() == (place / "columnar" / name).read_bytes()
    return rows


@pytest.mark.parametrize("settings", [AT_END, MONTHLY], ids=["encounters", "schedule"])
@pytest.mark.parametrize("messes", [(), tuple(MESSES)], ids=["clean", "every mess"])
def test_sample_patients(tmp_path: Path, messes: tuple[str, ...], settings: ReplaySettings) -> None:
    data = export(tmp_path / "data", 14, messes)
    assert same_bytes(data, tmp_path, settings=settings) > 0


def test_two_versions(tmp_path: Path) -> None:
    pair = (bundle_files(), bundle_files("hypertension-fixed-protocol"))
    assert same_bytes(export(tmp_path / "data"), tmp_path, bundles=pair) > 0


def test_a_regime_for_nobody(tmp_path: Path) -> None:
    nobody = example_files(population="age >= 130")
    assert same_bytes(export(tmp_path / "data"), tmp_path, bundles=(nobody,)) > 0


@pytest.mark.parametrize(
    ("world", "regime"),
    [
        ("hypertension-cohort", "hypertension-intensification"),
        ("diabetes-cohort", "diabetes-second-line"),
    ],
)
@pytest.mark.parametrize("settings", [AT_END, MONTHLY], ids=["encounters", "schedule"])
def test_worlds(tmp_path: Path, world: str, regime: str, settings: ReplaySettings) -> None:
    data = tmp_path / "data"
    assert run_world(world, data, 60, 7, [], 2, bundles=False, as_json=False) == 0
    # what a study leaves beside a fitted rule bundle is none of its files
    files = tuple(file for file in bundle_files(regime) if file[0] in BUNDLE_FILES)
    given = {"bundles": (files,), "settings": settings, "complete": ()}
    assert same_bytes(data, tmp_path, **given) > 0


@pytest.mark.sample_data
@pytest.mark.parametrize("source", ["synthea2019", "synthea2025-ca"])
def test_the_public_sample(sample_data: Path, tmp_path: Path, source: str) -> None:
    assert same_bytes(sample_data / "ndjson" / source, tmp_path, complete=()) > 900
