"""What an executor does: the work of one machine, in a folder of its own, told back as bytes.

The files are read, and the shards replayed, by the very functions that do it without Spark. What
they would leave on this machine's disk for one another is what Spark moves between them.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

import cds_engine
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.medications import lay_out
from cds_adapters.bulk.names import Hashes, Held
from cds_adapters.bulk.scan import fetch_more, scan_part
from cds_adapters.bulk.scanned import Scanned, read_report
from cds_adapters.bulk.shards import replay_one
from cds_adapters.bulk.sources import BulkError, open_file
from cds_adapters.bulk.spill import Block
from cds_engine.errors import CDSError

REPORT, BLOCK, KEPT, DROPPED, FAULT, ROWS = "report", "block", "kept", "dropped", "fault", "rows"

Place = tuple[int, bool, int]
"""Number of the part, whether it was read again, and the order in which it was told."""

Told = tuple[str, int, Place, bytes]
"""What is told, for which shard (or part of files or hashes), from where, and the bytes."""

MEDICATION_FILES = ("medications", "medications.index")
"""What ``cds_adapters.bulk.medications.lay_out`` leaves in a work folder."""

_AT_ONCE = 4_000_000
"""Hashes that are sorted at once; eight bytes each."""

Versions = tuple[str, str]


def versions() -> Versions:
    """Return which code this is; the driver's and every executor's must be the same."""
    return cds_engine.__version__, str(cds_engine.SEMANTICS_VERSION)


def read(job: Job, told_by: Versions, number: int) -> Iterator[Told]:
    """Read one part of the export; tell its report, its pieces by shard, and its hashes."""
    return _guarded(_read, job, told_by, number)


def read_again(job: Job, names: frozenset[int], number: int) -> Iterator[Told]:
    """Read one part again for resources that count after all; tell them by shard."""
    with _own_folder(job) as mine:
        fetch_more(mine, number, names)
        path = mine.second_spill(number)
        yield from _blocks(path, read_report(path).blocks, number, again=True)


def decide(job: Job, *, medications: bool, shard: int, told: Iterable[Told]) -> Iterator[Told]:
    """Replay one shard; tell its rows as a Parquet file, and its report.

    Args:
        job: the job, complete with the gaps of the export.
        medications: whether Spark sent the export's Medications to every executor.
        shard: its number.
        told: every piece of the shard's patients, in any order.
    """
    return _guarded(_decide, job, medications, shard, told)


def meet(told: Iterable[Told]) -> Iterator[tuple[bytes, list[int]]]:
    """Find resources of which one version was kept and another was not, in one part of the hashes.

    Yields:
        Their hashes, and the numbers of the parts that hold versions that were not kept.
    """
    kept, dropped = [np.empty(0, np.uint64)], dict[int, list[Hashes]]()
    for what, _, (number, _, _), data in told:
        hashes = np.frombuffer(data, np.uint64)
        if what == KEPT:
            kept.append(hashes)
        else:
            dropped.setdefault(number, []).append(hashes)
    held = Held(np.concatenate(kept))
    found = {n: held.among(np.concatenate(parts)) for n, parts in dropped.items()}
    files = sorted(number for number, both in found.items() if both.size)
    if files:
        yield np.unique(np.concatenate([found[number] for number in files])).tobytes(), files


def refuse_faults(told: Iterable[Told]) -> Iterator[Told]:
    """Pass on what was told; raise the BulkError that an executor met."""
    for one in told:
        if one[0] == FAULT:
            raise BulkError(one[3].decode())
        yield one


def lay_blocks(job: Job, told: Iterable[Told]) -> dict[Path, list[Block]]:
    """Write pieces into spill files as a scan does; return where the blocks of each file stand."""
    found: dict[Path, list[tuple[int, Block]]] = {}
    for _, shard, (number, again, order), data in told:
        path = job.second_spill(number) if again else job.spill(number)
        with path.open("ab") as stream:
            block = (shard, stream.tell(), len(data))
            stream.write(data)
        found.setdefault(path, []).append((order, block))
    return {path: [block for _, block in sorted(found[path])] for path in sorted(found)}


def _guarded(work: Callable[..., Iterator[Told]], *given: object) -> Iterator[Told]:
    """Tell an error of the project as what it is; Spark would try again what cannot succeed."""
    try:
        yield from work(*given)
    except CDSError as fault:
        yield FAULT, 0, (0, False, 0), str(fault).encode()


def _read(job: Job, told_by: Versions, number: int) -> Iterator[Told]:
    if versions() != told_by:
        raise BulkError(
            f"an executor has cds-engine {' '.join(versions())}, and it was asked by "
            f"{' '.join(told_by)}; install the same version on every machine"
        )
    _refuse_absent(job, number)
    with _own_folder(job) as mine:
        scan_part(mine, number)
        path = mine.spill(number)
        found = read_report(path)
        yield from _blocks(path, found.blocks, number, again=False)
        for what, name in ((KEPT, ".names"), (DROPPED, ".dropped")):
            hashes = np.load(path.with_suffix(name), mmap_mode="r", allow_pickle=False)
            yield from _divided(what, hashes, number, job.shards)
        report = msgspec.json.encode(replace(found, blocks=[]))
        yield REPORT, number, (number, False, 0), report


def _refuse_absent(job: Job, number: int) -> None:
    file = job.file(number)
    try:
        open_file(job.export.address, file).close()
    except OSError as fault:
        raise BulkError(
            f"{file.name} cannot be opened on an executor ({fault.strerror or fault}); the export "
            "must be readable under the same address on every machine"
        ) from fault


def _decide(job: Job, medications: bool, shard: int, told: Iterable[Told]) -> Iterator[Told]:
    with _own_folder(job) as mine:
        for path, blocks in lay_blocks(mine, told).items():
            report = msgspec.json.encode(Scanned(blocks=blocks))
            path.with_suffix(".json").write_bytes(report)
        if medications:
            from pyspark import SparkFiles  # noqa: PLC0415 - optional, and there on an executor

            for name in MEDICATION_FILES:
                (mine.work / name).symlink_to(SparkFiles.get(name))
        else:
            lay_out((), mine.work)
        replay_one(mine, shard)
        path = mine.shard(shard)
        yield ROWS, shard, (0, False, 0), path.read_bytes()
        yield REPORT, shard, (0, False, 0), path.with_suffix(".json").read_bytes()


@contextmanager
def _own_folder(job: Job) -> Iterator[Job]:
    """Give a job a work folder that goes when it is done, on the disk that Spark was given."""
    disk = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or None
    with tempfile.TemporaryDirectory(prefix="cds-engine-", dir=disk) as folder:
        yield replace(job, work=Path(folder))


def _blocks(path: Path, blocks: Iterable[Block], number: int, *, again: bool) -> Iterator[Told]:
    with path.open("rb") as stream:
        for order, (shard, offset, length) in enumerate(blocks):
            stream.seek(offset)
            yield BLOCK, shard, (number, again, order), stream.read(length)


def _divided(what: str, hashes: Hashes, number: int, parts: int) -> Iterator[Told]:
    """Tell hashes part by part; equal ones are in the same part."""
    for start in range(0, len(hashes), _AT_ONCE):
        some = np.array(hashes[start : start + _AT_ONCE])
        # the upper half is a CRC; the lower one, a sum of bytes, would fill few of the parts
        part = (some >> np.uint64(32)) % np.uint64(parts)
        ordered = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[ordered], np.arange(parts + 1, dtype=np.uint64))
        for at in range(parts):
            mine = some[ordered[ends[at] : ends[at + 1]]]
            if mine.size:
                yield what, at, (number, False, start), mine.tobytes()
