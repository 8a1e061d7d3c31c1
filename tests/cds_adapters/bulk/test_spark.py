"""On Spark a replay comes to the same bytes as on one machine."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import spark_driver
from builders.command_line import environment
from builders.command_line import run as run_command
from builders.replays import COMPLETE, RULES, bundle_files, bundles, export, rows_of, run, write
from builders.spark_cluster import a_master, kill_executor, settings, workers

from cds_adapters.bulk import spark, sparkstart
from cds_adapters.bulk.sources import BulkError
from cds_adapters.bulk.sparkstart import SparkError

pytestmark = pytest.mark.spark

FILES = ["decisions.parquet", "manifest.json", "rejects.ndjson", "vocabulary.json"]
BOTH = ("hypertension-stepped-care", "hypertension-fixed-protocol")
TWO_CORES = "local[2]"


def outputs(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


def whole(out: Path) -> dict[str, bytes]:
    """Return every file of a folder, by its path within."""
    files = [path for path in out.rglob("*") if not path.is_dir()]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.fixture(scope="module", autouse=True)
def on_loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings(tmp_path_factory.mktemp("conf")).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with everything in it that needs more than one file, or is no good."""
    folder = export(tmp_path_factory.mktemp("data"), 28)
    _refer_to_medications(folder)
    _add_other_versions(folder)
    name = "Observation.ndjson"
    lines = (folder / name).read_text().splitlines()
    lines[6] = '{"resourceType": "Observation", "id": '
    lines[9] = lines[9][: len(lines[9]) // 2]
    lines[12] = (
        lines[12]
        .replace('"status":"final"', '"status":7')
        .replace('"status": "final"', '"status": 7')
    )
    half = len(lines) // 2
    write(folder, {
        name: "\n".join(lines[:half]) + "\n",
        "more/Observation.ndjson.gz": "\n".join(lines[half:]) + "\n",
        "more/Condition.ndjson.zst": (folder / "Condition.ndjson").read_bytes(),
    })  # fmt: skip
    (folder / "Condition.ndjson").unlink()
    patient = json.loads((folder / "Patient.ndjson").read_text().splitlines()[0])["id"]
    one = bundles(folder / "all", 3) / f"{patient}.json"
    (folder / "more" / "one.json").write_bytes(one.read_bytes())
    for file in (folder / "all").iterdir():
        file.unlink()
    return folder


def _refer_to_medications(folder: Path) -> None:
    """Name what was ordered by a Medication of its own, as many exports do."""
    orders, named = [], []
    for text in (folder / "MedicationRequest.ndjson").read_text().splitlines():
        order = json.loads(text)
        name = f"m-{order['id']}"
        code = order.pop("medicationCodeableConcept")
        named.append({"resourceType": "Medication", "id": name, "code": code})
        orders.append(order | {"medicationReference": {"reference": f"Medication/{name}"}})
    for kind, found in (("MedicationRequest", orders), ("Medication", named)):
        write(folder, {f"{kind}.ndjson": "".join(json.dumps(one) + "\n" for one in found)})


def _add_other_versions(folder: Path) -> None:
    """Add a later version that no code of it keeps of a condition that its codes do keep."""
    found = map(json.loads, (folder / "Condition.ndjson").read_text().splitlines())
    first = next(
        one for one in found if one["code"]["coding"][0]["code"] in ("59621000", "38341003")
    )
    newer = first | {
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]},
        "meta": {"versionId": "2", "lastUpdated": first["meta"]["lastUpdated"]},
    }
    write(folder, {"Condition.2.ndjson": json.dumps(newer) + "\n"})


def versions() -> dict[str, Any]:
    return {"bundles": tuple(bundle_files(name) for name in BOTH), "max_damaged": 0.1}


@pytest.fixture(scope="module")
def one_machine(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("one-machine")
    found = run(data, out, shards=3, **versions()).manifest
    assert found["damaged"]["set_aside"] > found["damaged"]["naming_no_patient"] > 0
    assert found["data"]["resources"]["Medication"] > 0
    assert any(row["taken.sources"] for row in rows_of(out))
    assert len(found["decisions"]) > 2
    return outputs(out)


def test_the_whole_command_comes_to_the_same_files_on_spark(data: Path, tmp_path: Path) -> None:
    words = (
        "replay", data, "--bundle", RULES / BOTH[0] / "1.0.0", "--against",
        RULES / BOTH[1] / "1.0.0", "--instant", "end", "--by", "potassium", "--small-cell", "2",
        "--max-damaged", "0.1", *(word for kind in COMPLETE for word in ("--complete", kind)),
        "--json",
    )  # fmt: skip
    one = run_command(*words, "--out", tmp_path / "one")
    spark = run_command(*words, "--out", tmp_path / "spark", "--engine", "spark",
                        "--master", TWO_CORES)  # fmt: skip
    assert (one.code, spark.code) == (0, 0), spark.err
    told = one.document | {"out": ""}
    assert spark.document | {"out": ""} == told
    assert json.loads((tmp_path / "one" / "figures.json").read_bytes())["flips"]["flipped"] > 0
    # nothing differs by its nature: no file says when, where or on how many machines it was made
    assert whole(tmp_path / "spark") == whole(tmp_path / "one")
    assert sorted(whole(tmp_path / "one")) == sorted([*FILES, "figures.json", "report.html"])


def test_shards_that_are_done_are_not_done_again(
    data: Path,
    one_machine: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spark, "WAVE", 1)

    def stop(step: str, done: int, _total: int) -> None:
        if step == "deciding" and done == 2:
            raise KeyboardInterrupt

    steps: list[tuple[str, int]] = []
    given = {"shards": 4, "master": TWO_CORES, **versions()}
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "out", progress=stop, **given)
    assert not (tmp_path / "out" / "manifest.json").exists()
    run(data, tmp_path / "out", progress=lambda step, done, _: steps.append((step, done)), **given)
    done = [done for step, done in steps if step == "deciding"]
    assert done == [2, 3, 4]
    assert outputs(tmp_path / "out") == one_machine


def test_what_an_executor_cannot_read_is_said_as_on_one_machine(tmp_path: Path) -> None:
    folder = write(export(tmp_path / "data", 3), {"events.parquet": "no Parquet"})
    said = []
    for master in (None, TWO_CORES):
        with pytest.raises(BulkError) as told:
            run(folder, tmp_path / f"out-{master is None}", master=master)
        said.append(str(told.value))
    assert said[0] == said[1]
    assert said[0].startswith("events.parquet is no Parquet file that can be read")


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with a_master(tmp_path_factory.mktemp("master")) as address:
        yield address


def test_a_cluster_without_workers_is_said(
    data: Path, master: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparkstart, "EXECUTORS_WITHIN", 1.0)
    with pytest.raises(SparkError, match="gave no executor within 1 s; see on its page whether"):
        run(data, tmp_path / "out", master=master)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def team(master: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    with workers(tmp_path_factory.mktemp("workers"), master, 2) as processes:
        yield processes


def logged(tmp_path: Path) -> dict[str, str]:
    """Return an environment of a driver that waits for both workers and logs what Spark does."""
    (tmp_path / "log").mkdir()
    more = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (tmp_path / "log").as_uri(),
        "spark.eventLog.compress": "false",
        # both workers are there before the first task is given to one of them
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.cores.max": "2",
    }
    return settings(tmp_path / "driver", **more)


def test_two_workers_come_to_the_same_bytes_though_their_executors_are_killed(
    data: Path, master: str, team: list[int], one_machine: dict[str, bytes], tmp_path: Path
) -> None:
    """One is killed while files are read, the other once it holds what the next shards need."""
    gate = tmp_path / "gate"
    words = [data, tmp_path / "out", master, 4, gate]
    killed: dict[str, int] = {}
    with subprocess.Popen(
        [sys.executable, "-W", "error", str(spark_driver.__file__), *map(str, words)],
        env={**environment(), **logged(tmp_path)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as driver:  # fmt: skip
        assert driver.stdin is not None
        assert driver.stdout is not None
        for line in driver.stdout:
            step, done = line.split()
            if int(done) > 0 and step not in killed:
                killed[step] = kill_executor(team[len(killed)])
                gate.touch()
            driver.stdin.write("\n")
            driver.stdin.flush()
    assert driver.returncode == 0
    assert sorted(killed) == ["deciding", "reading"]
    assert outputs(tmp_path / "out") == one_machine
    lost = [one["Removed Reason"] for one in _events(tmp_path, "ExecutorRemoved")]
    assert lost == ["Command exited with code 137"] * len(killed)
    tasks = _events(tmp_path, "TaskEnd")
    assert {"Success", "ExecutorLostFailure"} <= {one["Task End Reason"]["Reason"] for one in tasks}
    good = [one for one in tasks if one["Task End Reason"]["Reason"] == "Success"]
    assert len({one["Task Info"]["Executor ID"] for one in good}) > 1
    assert sum(_shuffled(one) for one in good) > 0


def _events(folder: Path, name: str) -> list[Any]:
    """Return what Spark says has happened, of one kind."""
    files = [path for path in (folder / "log").rglob("*") if path.is_file()]
    texts = [line for file in files for line in file.read_text().splitlines() if name in line]
    events = map(json.loads, texts)
    return [event for event in events if event["Event"] == f"SparkListener{name}"]


def _shuffled(task: Any) -> int:
    written: int = task["Task Metrics"]["Shuffle Write Metrics"]["Shuffle Bytes Written"]
    return written
