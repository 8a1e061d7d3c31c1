"""A manifest names where the horizon counts from, whether the settings say so or the aim."""

from pathlib import Path
from typing import Any

import pytest
from builders.records import a_document
from builders.replays import example_files, export, run

from cds_engine.replay.settings import ReplaySettings


@pytest.mark.parametrize(
    ("aim", "given", "said"),
    [
        pytest.param({}, None, "decision", id="nobody says"),
        pytest.param({"from": "start"}, None, "start", id="the aim"),
        pytest.param({"from": "start"}, False, "decision", id="both, and the settings count"),
        pytest.param({}, True, "start", id="the settings"),
    ],
)
def test_the_manifest_says_where_the_horizon_counted_from(
    tmp_path: Path, aim: dict[str, Any], given: bool | None, said: str
) -> None:
    data = export(tmp_path / "data", 2)
    found = run(
        data, tmp_path / "out", settings=ReplaySettings(end=True, from_start=given),
        bundles=(example_files(aim=a_document()["aim"] | aim),),
    )  # fmt: skip
    assert found.manifest["settings"]["horizon_from"] == said
    # what is already there is of the same settings
    again = ReplaySettings(end=True, from_start=said == "start")
    run(data, tmp_path / "out", settings=again,
        bundles=(example_files(aim=a_document()["aim"] | aim),))  # fmt: skip
