"""A replay on Spark as a process of its own that stops at its steps, and goes on when it is told.

    python spark_driver.py DATA OUT MASTER SHARDS

It prints each step that is reached, as ``reading`` or ``deciding 2``, and waits for a line.
"""

import sys
from pathlib import Path

from builders.replays import bundle_files, run

from cds_adapters.bulk import spark


def wait_at(step: str, done: int, _total: int) -> None:
    """Say where the run stands, and wait."""
    if step in ("reading", "deciding"):
        print(step, done, flush=True)
        sys.stdin.readline()


def main(data: str, out: str, master: str, shards: str) -> None:
    """Replay, one shard for each core at a time."""
    spark.WAVE = 1
    versions = ("hypertension-stepped-care", "hypertension-fixed-protocol")
    run(
        Path(data), Path(out), wait_at, master=master, shards=int(shards), max_damaged=0.1,
        bundles=tuple(map(bundle_files, versions)),
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
