"""A replay on Spark as a process of its own that stops at its steps, and goes on when it is told.

    python spark_driver.py DATA OUT MASTER SHARDS GATE

It prints each step that is reached, as ``reading`` or ``deciding 2``, and waits for a line. All
parts but the first are read only once the file GATE is there, so that until then every executor is
at a task.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

from builders.replays import bundle_files, run

from cds_adapters.bulk import spark
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.sparktasks import Told, Versions, read

OPENED_WITHIN = 60.0
"""Seconds after which a part is read whether or not the gate is there."""


def wait_at(step: str, done: int, _total: int) -> None:
    """Say where the run stands, and wait."""
    if step in ("reading", "deciding"):
        print(step, done, flush=True)
        sys.stdin.readline()


def held_back(gate: Path) -> Callable[[Job, Versions, int], Iterator[Told]]:
    """Return what reads a part of an export as ``read`` does, most of them at a gate."""

    def read_later(job: Job, told_by: Versions, number: int) -> Iterator[Told]:
        deadline = time.monotonic() + OPENED_WITHIN
        first = job.largest_first()[0]
        while number != first and not gate.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return read(job, told_by, number)

    return read_later


def main(data: str, out: str, master: str, shards: str, gate: str) -> None:
    """Replay, one shard for each core at a time."""
    versions = ("hypertension-stepped-care", "hypertension-fixed-protocol")
    with patch.object(spark, "WAVE", 1), patch.object(spark, "read", held_back(Path(gate))):
        run(
            Path(data), Path(out), wait_at, master=master, shards=int(shards), max_damaged=0.1,
            bundles=tuple(map(bundle_files, versions)),
        )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
