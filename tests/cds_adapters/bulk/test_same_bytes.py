"""The same input gives the same bytes, whatever was in between."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from builders.command_line import environment
from builders.replays import COMPLETE, bundle_files, export, run, write

from cds_adapters.bulk import run as module
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.request import ReplayRequest
from cds_adapters.bulk.run import WORK
from cds_adapters.bulk.shards import replay_one
from cds_adapters.bulk.sources import BulkError, find_export
from cds_engine.replay.settings import ReplaySettings

FILES = ["decisions.parquet", "manifest.json", "rejects.ndjson", "vocabulary.json"]


def outputs(out: Path) -> dict[str, bytes]:
    assert sorted(file.name for file in out.iterdir()) == FILES
    return {name: (out / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("data"), 28)


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed")
    run(data, out)
    return outputs(out)


@pytest.mark.parametrize(("jobs", "shards"), [(1, 5), (2, 5), (2, 11)])
def test_processes_and_shards_have_no_say(
    data: Path, undisturbed: dict[str, bytes], tmp_path: Path, jobs: int, shards: int
) -> None:
    run(data, tmp_path / "out", jobs=jobs, shards=shards)
    assert outputs(tmp_path / "out") == undisturbed


_KILLED = """
import sys, time
from pathlib import Path
from builders.replays import run
from cds_adapters.bulk import run as module

def slow(work):
    def slowly(job, number):
        time.sleep(0.05)
        return work(job, number)
    return slowly

module.scan_part, module.replay_one = slow(module.scan_part), slow(module.replay_one)
run(sys.argv[1], Path(sys.argv[2]), shards=40, jobs=int(sys.argv[3]))
"""


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("step", ["part-*.json", "shard-*.json"])
def test_killed_in_the_middle_and_run_again_it_comes_to_the_same(
    data: Path, undisturbed: dict[str, bytes], tmp_path: Path, step: str, jobs: int
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(data), str(out), str(jobs)],
        env=environment(), start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(list((out / WORK).glob(step))) < 2 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (out / WORK).is_dir()
    assert not (out / "manifest.json").exists()
    run(data, out, shards=40)
    assert outputs(out) == undisturbed


def test_what_is_done_is_not_done_again(
    data: Path, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    real = replay_one

    def stop(job: Job, shard: int) -> tuple[int, int]:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(shard)
        return real(job, shard)

    monkeypatch.setattr(module, "replay_one", stop)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "out", shards=8)
    again: list[int] = []

    def note(job: Job, shard: int) -> tuple[int, int]:
        again.append(shard)
        return real(job, shard)

    monkeypatch.setattr(module, "replay_one", note)
    monkeypatch.setattr(module, "scan_part", lambda *_: pytest.fail("the files were read again"))
    run(data, tmp_path / "out", shards=8)
    assert again == [3, 4, 5, 6, 7]
    assert outputs(tmp_path / "out") == undisturbed


def test_what_another_replay_left_behind_is_not_taken_up(
    data: Path, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "_finish", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path / "out", settings=ReplaySettings())
    assert (tmp_path / "out" / WORK).is_dir()
    run(data, tmp_path / "out")
    assert outputs(tmp_path / "out") == undisturbed


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_change_of_data_bundle_or_settings_changes_the_manifest(
    data: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    changed = write(tmp_path / "data", {f.name: f.read_bytes() for f in data.iterdir()})
    write(changed, {"Patient.ndjson": (data / "Patient.ndjson").read_bytes() + b"\n"})
    run(changed, tmp_path / "a")
    run(data, tmp_path / "b", settings=ReplaySettings(end=True, seed=1))
    run(data, tmp_path / "c", bundles=(bundle_files(), bundle_files("hypertension-fixed-protocol")))
    found = [outputs(tmp_path / name)["manifest.json"] for name in "abc"]
    assert len({*found, undisturbed["manifest.json"]}) == 4


def test_a_folder_that_cannot_be_written_is_said(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(BulkError, match="out cannot be written"):
        run(data, tmp_path / "out")


def test_large_exports_are_divided_so_that_memory_stays_bounded(data: Path) -> None:
    found = find_export(str(data))
    request = ReplayRequest(str(data), (bundle_files(),), data, complete=COMPLETE)
    large = replace(found, files=tuple(replace(f, size=2**30) for f in found.files))
    assert request.shards_for(found) == 1
    assert request.shards_for(large) == 32 * len(found.files)
