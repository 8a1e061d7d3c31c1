"""A replay on Spark: executors read the files, Spark moves the pieces to their patients' shards.

Every part of a file is one task that reads it, and every shard one that replays it; both run what
one machine would run, so that what comes out is the same to the byte. The driver holds no rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from cds_adapters.bulk.job import Job
from cds_adapters.bulk.medications import lay_out
from cds_adapters.bulk.scanned import Scanned
from cds_adapters.bulk.sparkstart import spark_context
from cds_adapters.bulk.sparktasks import (
    BLOCK,
    DROPPED,
    FAULT,
    KEPT,
    MEDICATION_FILES,
    REPORT,
    ROWS,
    Told,
    decide,
    lay_blocks,
    meet,
    read,
    read_again,
    refuse_faults,
    versions,
)
from cds_adapters.bulk.spill import MEDICATIONS, write_whole

WAVE = 4
"""Shards for each core that are replayed before their rows are fetched and are safe on disk."""

_LOOK = 1.0
"""Seconds between two looks at how far Spark has come."""


@contextmanager
def spark_team(master: str) -> Iterator["SparkTeam"]:
    """Start Spark, and stop it at the end.

    Raises:
        SparkError: if Spark cannot be had, or gives up.
    """
    with spark_context(master) as context:
        yield SparkTeam(context)


class SparkTeam:
    """Does the work of a replay on Spark; see ``cds_adapters.bulk.run.Team``."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._told: Any = None
        self._order: list[int] = []

    def scan(self, job: Job, numbers: Sequence[int]) -> Iterator[int]:
        """Read all parts of an export, whether or not their reports are there.

        What a driver that was killed had read is gone with it; only shards are taken up again.
        """
        # Spark begins with the first: the largest, so that none is left alone at the end
        self._order = job.largest_first()
        self._told = self._spread(self._order).flatMap(partial(read, job, versions()))
        # kept on the executors' disks, for it is needed three times
        self._told.persist(_on_disk())
        left = [number for number in self._order if number in set(numbers)]
        with ThreadPoolExecutor(1) as pool:
            reports = pool.submit(self._told.filter(_is_report).collect)
            while not wait([reports], _LOOK).done:
                # which tasks are done is not told, only how many
                for _ in range(self._tasks_done() - len(numbers) + len(left)):
                    if len(left) > 1:
                        yield left.pop(0)
        for _, number, _, data in refuse_faults(reports.result()):
            write_whole(job.spill(number).with_suffix(".json"), data)
        yield from left

    def decide(
        self, job: Job, scans: Sequence[Scanned], shards: Sequence[int]
    ) -> Iterator[tuple[int, int]]:
        """Replay shards; yield the number of each and how many bytes of rows it gave."""
        if not shards:
            return
        if self._told is None:
            for _ in self.scan(job, ()):
                pass
        medications = self._send_medications(job, scans)
        told = self._told.mapPartitions(_shard_blocks)
        names, files = self._other_versions(job)
        if files:
            again = self._spread(files).flatMap(partial(read_again, job, names))
            told = told.union(again)
        by_shard = told.map(_keyed).partitionBy(job.shards, int).values()
        rows = by_shard.mapPartitionsWithIndex(_Decide(job, medications=medications))
        size = WAVE * self._context.defaultParallelism
        for start in range(0, len(shards), size):
            found = self._context.runJob(rows, list, list(shards[start : start + size]))
            yield from _written(job, refuse_faults(found))

    def _spread(self, numbers: Sequence[int]) -> Any:
        return self._context.parallelize(numbers, max(1, len(numbers)))

    def _tasks_done(self) -> int:
        tracker = self._context.statusTracker()
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        return sum(stage.numCompletedTasks for stage in stages if stage is not None)

    def _other_versions(self, job: Job) -> tuple[frozenset[int], list[int]]:
        """Do what ``cds_adapters.bulk.twice`` does: name resources to fetch, and their files."""
        hashes = self._told.filter(_is_hashes).map(_keyed).partitionBy(job.shards, int).values()
        found = hashes.mapPartitions(meet).collect()
        names = frozenset(
            name for data, _ in found for name in np.frombuffer(data, np.uint64).tolist()
        )
        return names, sorted({number for _, files in found for number in files})

    def _send_medications(self, job: Job, scans: Sequence[Scanned]) -> bool:
        """Send the Medications, which belong to no patient, to every executor as a file."""
        parts = [at for at, n in enumerate(self._order) if scans[n].types.get("Medication")]
        if not parts:
            return False
        told = self._told.mapPartitions(_medication_blocks)
        for path in job.work.glob("*.spill"):
            path.unlink()
        blocks = lay_blocks(job, self._context.runJob(told, list, parts))
        lay_out(blocks.items(), job.work)
        for name in MEDICATION_FILES:
            self._context.addFile(str(job.work / name))
        return True


class _Decide:
    """Replays the shard that a partition is."""

    def __init__(self, job: Job, *, medications: bool) -> None:
        self._job = job
        self._medications = medications

    def __call__(self, shard: int, told: Iterable[Told]) -> Iterator[Told]:
        return decide(self._job, medications=self._medications, shard=shard, told=told)


def _written(job: Job, told: Iterable[Told]) -> Iterator[tuple[int, int]]:
    """Write the rows of shards, and after them the report that marks each as done."""
    for what, shard, _, data in told:
        path = job.shard(shard)
        if what == ROWS:
            write_whole(path, data)
        else:
            write_whole(path.with_suffix(".json"), data)
            yield shard, path.stat().st_size


def _is_report(told: Told) -> bool:
    return told[0] in (REPORT, FAULT)


def _is_hashes(told: Told) -> bool:
    return told[0] in (KEPT, DROPPED)


def _shard_blocks(told: Iterable[Told]) -> Iterator[Told]:
    return (one for one in refuse_faults(told) if one[0] == BLOCK and one[1] != MEDICATIONS)


def _medication_blocks(told: Iterable[Told]) -> Iterator[Told]:
    return (one for one in refuse_faults(told) if one[0] == BLOCK and one[1] == MEDICATIONS)


def _keyed(told: Told) -> tuple[int, Told]:
    return told[1], told


def _on_disk() -> Any:
    from pyspark import StorageLevel  # noqa: PLC0415 - optional

    return StorageLevel.DISK_ONLY
