"""A replay writes neither among its data nor over another replay's answers."""

from pathlib import Path
from typing import Any

import pytest
from builders.replays import COMPLETE, bundle_files, decisions, export, run, write

from cds_adapters.bulk.run import WORK
from cds_adapters.bulk.sources import BulkError
from cds_adapters.report.answers import write_answers
from cds_engine.replay.settings import ReplaySettings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return export(tmp_path / "data")


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        pytest.param("", "is the folder of the data", id="the same"),
        pytest.param("answers", "lies inside ", id="inside"),
        pytest.param("../data/a/..", "is the folder of the data", id="the same, written otherwise"),
    ],
)
def test_the_data_are_no_place_for_answers(data: Path, inside: str, words: str) -> None:
    held = sorted(data.iterdir())
    with pytest.raises(BulkError, match=f"{words}.*so that the next replay would read") as fault:
        run(data, data / inside)
    assert "name a folder outside it" in str(fault.value)
    with pytest.raises(BulkError, match=words):
        run(f"file://{data}", data / inside)
    assert sorted(data.iterdir()) == held


def test_answers_beside_one_file_of_data_are_fine(data: Path, tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"a.ndjson": (data / "Patient.ndjson").read_bytes()})
    run(one / "a.ndjson", one / "out")
    assert (one / "out" / "manifest.json").exists()


def test_the_same_replay_is_done_again_without_a_word(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "out")
    first = decisions(tmp_path / "out")
    run(data, tmp_path / "out", jobs=2, shards=3)
    assert decisions(tmp_path / "out") == first


@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("settings", {"settings": ReplaySettings(end=True, seed=3)}),
        ("settings", {"complete": COMPLETE[:1]}),
        ("rule bundles", {"bundles": (bundle_files("hypertension-fixed-protocol"),)}),
    ],
)
def test_the_answers_of_another_replay_are_not_written_over_unasked(
    data: Path, tmp_path: Path, what: str, given: dict[str, Any]
) -> None:
    run(data, tmp_path / "out")
    held = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    with pytest.raises(BulkError) as fault:
        run(data, tmp_path / "out", **given)
    assert str(fault.value) == (
        f"{tmp_path / 'out'} holds a finished replay of other {what}; name another folder, or say "
        "--overwrite to lose that one"
    )
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == held
    run(data, tmp_path / "out", overwrite=True, **given)
    assert (tmp_path / "out" / "manifest.json").read_bytes() != held["manifest.json"]


def test_answers_are_not_taken_away_by_a_run_that_makes_none(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(data, out)
    write_answers(out, (bundle_files(),))
    held = {file.name: file.read_bytes() for file in out.iterdir()}
    assert {"report.html", "figures.json"} <= set(held)
    with pytest.raises(BulkError) as fault:
        run(data, out)
    assert str(fault.value) == (
        f"{out} holds a finished replay of the same question with its figures.json and "
        "report.html, which a cohort does not make, so that they would be lost; use its "
        "decisions.parquet as it is, name another folder, or say --overwrite to lose them"
    )
    assert {file.name: file.read_bytes() for file in out.iterdir()} == held
    run(data, out, overwrite=True)
    assert not (out / "report.html").exists()


def test_other_data_under_the_same_names_are_noticed_once_they_are_read(
    data: Path, tmp_path: Path
) -> None:
    run(data, tmp_path / "out")
    held = decisions(tmp_path / "out")
    write(data, {"Condition.ndjson": (data / "Condition.ndjson").read_bytes() + b"\n"})
    with pytest.raises(BulkError, match="holds a finished replay of other data; name") as fault:
        run(data, tmp_path / "out")
    assert f"What was read stays in {tmp_path / 'out' / WORK} for that;" in str(fault.value)
    assert decisions(tmp_path / "out") == held
    (data / "Condition.ndjson").rename(data / "Condition.2.ndjson")
    with pytest.raises(BulkError, match="holds a finished replay of other data; name another"):
        run(data, tmp_path / "out")
    run(data, tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / WORK).exists()


def test_an_end_that_was_stated_is_not_one_that_was_found(data: Path, tmp_path: Path) -> None:
    run(data, tmp_path / "out", settings=ReplaySettings(end=True, data_until=1_700_000_000_000_000))
    with pytest.raises(BulkError, match="holds a finished replay of other settings"):
        run(data, tmp_path / "out")


def test_a_manifest_of_something_else_is_not_written_over(data: Path, tmp_path: Path) -> None:
    write(tmp_path / "out", {"manifest.json": "[]"})
    with pytest.raises(BulkError, match="is none of a replay, and would be written over"):
        run(data, tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").read_text() == "[]"
