"""On Spark a replay comes to the same bytes as on one machine."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders.command_line import run_process
from builders.replays import COMPLETE, RULES, bundle_files, bundles, export, rows_of, run, write
from builders.spark_cluster import a_master, settings, workers

from cds_adapters.bulk import spark, sparkstart
from cds_adapters.bulk.run import WORK
from cds_adapters.bulk.sources import BulkError
from cds_adapters.bulk.sparkstart import SparkError

pytestmark = pytest.mark.spark

FILES = ["decisions.parquet", "manifest.json", "rejects.ndjson", "vocabulary.json"]
BOTH = ("hypertension-stepped-care", "hypertension-fixed-protocol")
TWO_CORES = "local[2]"


def outputs(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


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


def test_two_cores_of_spark_come_to_the_same_bytes(
    data: Path, one_machine: dict[str, bytes], tmp_path: Path
) -> None:
    run(data, tmp_path / "out", shards=2, master=TWO_CORES, **versions())
    assert outputs(tmp_path / "out") == one_machine
    assert not (tmp_path / "out" / WORK).exists()


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


def test_two_workers_of_a_cluster_come_to_the_same_bytes(
    data: Path,
    master: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "log").mkdir()
    more = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (tmp_path / "log").as_uri(),
        "spark.eventLog.compress": "false",
        # both workers are there before the first task is given to one of them
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.cores.max": "2",
    }
    for name, value in settings(tmp_path / "driver", **more).items():
        monkeypatch.setenv(name, value)
    run(data, tmp_path / "one-machine", max_damaged=0.1)
    complete = [word for kind in COMPLETE for word in ("--complete", kind)]
    with workers(tmp_path, master, 2):
        said = run_process(
            "cohort", data, "--bundle", RULES / BOTH[0] / "1.0.0", "--out", tmp_path / "out",
            "--instant", "end", "--max-damaged", "0.1", *complete,
            "--engine", "spark", "--master", master, "--json",
        )  # fmt: skip
    assert said.code == 0, said.err
    assert outputs(tmp_path / "out") == outputs(tmp_path / "one-machine")
    tasks = _tasks(tmp_path / "log")
    assert len({task["Task Info"]["Executor ID"] for task in tasks}) == 2
    assert sum(_shuffled(task) for task in tasks) > 0


def _tasks(folder: Path) -> list[Any]:
    """Return the tasks that Spark says have ended."""
    files = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    texts = [
        line for file in files for line in file.read_text().splitlines() if "Task Info" in line
    ]
    events = map(json.loads, texts)
    return [event for event in events if event["Event"] == "SparkListenerTaskEnd"]


def _shuffled(task: Any) -> int:
    written: int = task["Task Metrics"]["Shuffle Write Metrics"]["Shuffle Bytes Written"]
    return written
