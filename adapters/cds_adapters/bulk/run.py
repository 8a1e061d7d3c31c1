"""An export is replayed: laid out by patient, decided shard by shard, written with its manifest.

Whatever is done is on disk. A run that was killed goes on from there, and comes to the same bytes.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from cds_adapters.bulk.alone import alone_in
from cds_adapters.bulk.ends import Ends, records_end
from cds_adapters.bulk.gaps import Lacking, lacking, read_manifest
from cds_adapters.bulk.job import BundleFiles, Job, read_rules
from cds_adapters.bulk.learned import too_good
from cds_adapters.bulk.manifest import data_digest, manifest_of
from cds_adapters.bulk.medications import lay_out
from cds_adapters.bulk.parquet import JoinedShards
from cds_adapters.bulk.parts import parts_of, together
from cds_adapters.bulk.passed import whole_survey
from cds_adapters.bulk.place import (
    ANSWERS,
    refuse_another,
    refuse_answered,
    refuse_other_data,
    refuse_own_data,
)
from cds_adapters.bulk.rejects import Reject, as_lines
from cds_adapters.bulk.request import ReplayRequest, canonical
from cds_adapters.bulk.scan import scan_part
from cds_adapters.bulk.scanned import Scanned, is_scanned, read_report
from cds_adapters.bulk.shards import ShardReport, is_replayed, replay_one, shard_report
from cds_adapters.bulk.sharing import shared_out, start_others
from cds_adapters.bulk.sources import BulkError, Export, find_export
from cds_adapters.bulk.spill import write_whole
from cds_adapters.bulk.told import warnings_of
from cds_adapters.bulk.twice import fetch_other_versions
from cds_adapters.bulk.vocabulary import Survey
from cds_adapters.bulk.words import by, count_of
from cds_adapters.fhir.deletions import add_deleted
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.times import read_instant
from cds_engine.vocabulary.time import Instant

DECISIONS = "decisions.parquet"
REJECTS = "rejects.ndjson"
VOCABULARY = "vocabulary.json"
MANIFEST = "manifest.json"
WORK = ".cds-engine-work"


class Progress(Protocol):
    """Is told how far a step has come."""

    def __call__(self, step: str, done: int, total: int, /) -> None:
        """Take notice; ``done`` and ``total`` are bytes while reading, else shards."""


def in_silence(_step: str, _done: int, _total: int, /) -> None:
    """Take no notice."""


def unheard(_words: str, /) -> None:
    """Take no notice of a remark."""


def unanswered(_result: "ReplayResult", /) -> None:
    """Make nothing of the table."""


@dataclass(frozen=True)
class ReplayResult:
    """What a replay came to.

    Attributes:
        out: the folder with the files.
        manifest: what ``manifest.json`` says.
        warnings: what a reader of the figures must know.
        survey: the vocabulary check.
    """

    out: Path
    rows: int
    manifest: dict[str, Any]
    warnings: tuple[str, ...]
    survey: Survey


class Team(Protocol):
    """Does the work of a replay, on one machine or on many."""

    def scan(self, job: Job, numbers: Sequence[int], /) -> Iterator[int]:
        """Scan parts; yield the number of each when it is done. All reports are there at the end.

        The numbers come with the largest part first.
        """

    def decide(
        self, job: Job, scans: Sequence[Scanned], shards: Sequence[int], /
    ) -> Iterator[tuple[int, int]]:
        """Replay shards; yield the number of each when its rows and its report are there."""


class OneMachine:
    """Does the work in one process or several of this machine."""

    def __init__(self, jobs: int, bundles: Sequence[BundleFiles] = ()) -> None:
        self._jobs = jobs
        start_others(jobs, partial(read_rules, tuple(bundles)))

    def scan(self, job: Job, numbers: Sequence[int]) -> Iterator[int]:
        """Scan parts; what can matter is laid out in the job's folder."""
        return shared_out(self._jobs, scan_part, job, numbers)

    def decide(
        self, job: Job, scans: Sequence[Scanned], shards: Sequence[int]
    ) -> Iterator[tuple[int, int]]:
        """Replay shards from the job's folder."""
        _make_ready(job, scans)
        return shared_out(self._jobs, replay_one, job, shards)


@contextmanager
def _team(request: ReplayRequest) -> Iterator[Team]:
    if request.master is None:
        yield OneMachine(request.jobs, request.bundles)
        return
    from cds_adapters.bulk.spark import spark_team  # noqa: PLC0415 - optional

    with spark_team(request.master) as team:
        yield team


def replay(
    request: ReplayRequest,
    progress: Progress = in_silence,
    tell: Callable[[str], None] = unheard,
    answer: Callable[[ReplayResult], None] = unanswered,
) -> ReplayResult:
    """Replay an export; write ``decisions.parquet``, ``manifest.json`` and what goes with them.

    Args:
        request: what is asked for.
        progress: is told how far the work has come.
        tell: is told, in words, what is taken up again of work that was left behind, or that it
            was thrown away.
        answer: makes of the finished table what is made of it. What was read and decided is kept
            until it has, so that a run that ends there is taken up again.

    Raises:
        BulkError: if the export cannot be read, or too much of it is damaged, or the place for
            what comes out is taken or full.
    """
    export = find_export(request.data)
    refuse_own_data(request)
    with alone_in(request.out):
        return _replay(request, export, progress, tell, answer)


def _replay(
    request: ReplayRequest,
    export: Export,
    progress: Progress,
    tell: Callable[[str], None],
    answer: Callable[[ReplayResult], None],
) -> ReplayResult:
    with _team(request) as team:
        job = _job(request, export)
        settings = request.settings.settled_by(job.rules()[0].document.aim)
        request, job = replace(request, settings=settings), replace(job, settings=settings)
        refuse_another(request, job.rules(), export)
        if answer is unanswered:
            refuse_answered(request)
        for words in (_prepare(request, export, job), _taken_up(request, job)):
            if words:
                tell(words)
        parts = _scan_all(team, job, progress)
        whole = together(job.parts, parts)
        scans = whole.files
        job, lacks = _completed(request, replace(job, before=whole.before), scans)
        refuse_other_data(request, job, data_digest(scans))
        _clear(request)
        _refuse_damaged(request, scans, [])
        table = JoinedShards([job.shard(n) for n in range(job.shards)], job.work / DECISIONS)
        reports = _replay_all(team, job, parts, table, progress)
    rejects = _refuse_damaged(request, scans, reports)
    result = _finish(request, job, scans, reports, table, rejects, lacks)
    answer(result)
    shutil.rmtree(job.work)
    return result


def _job(request: ReplayRequest, export: Export) -> Job:
    return Job(
        export=export,
        bundles=request.bundles,
        settings=request.settings,
        work=request.out / WORK,
        shards=request.shards_for(export),
        codes=dict(request.codes),
        time_zone=request.time_zone,
        engine=request.engine,
        parts=parts_of(export),
    )


def _prepare(request: ReplayRequest, export: Export, job: Job) -> str:
    """Make the work folder; what another replay left in it is of no use and goes.

    Returns:
        What was thrown away, in words; empty if nothing was.
    """
    plan, path = request.plan(export), job.work / "plan.json"
    words = ""
    try:
        held = path.read_bytes() if path.exists() else b""
        if held and held != plan:
            words = (
                f"what {job.work} held was begun with other data, rule bundles or settings, or by "
                "another version of cds-engine, and is thrown away; this run begins anew"
            )
        if job.work.exists() and held != plan:
            shutil.rmtree(job.work)
        job.work.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_whole(path, plan)
    except OSError as fault:
        raise BulkError(
            f"{request.out} cannot be written ({fault.strerror}); name another folder"
        ) from fault
    return words


def _clear(request: ReplayRequest) -> None:
    """Remove what an earlier replay left, so that nothing looks finished before it is."""
    for name in (MANIFEST, DECISIONS, *ANSWERS):
        (request.out / name).unlink(missing_ok=True)


def _taken_up(request: ReplayRequest, job: Job) -> str:
    """Return what of this replay is done already, in words; empty if nothing is."""
    parts = sum(is_scanned(job, number) for number in range(len(job.parts)))
    shards = sum(is_replayed(job, shard) for shard in range(job.shards))
    if not parts and not shards:
        return ""
    # Spark reads again, see ``cds_adapters.bulk.spark``
    read = f"{parts} of {len(job.parts)} parts read, " if request.master is None else ""
    return f"taking up what {job.work} holds: {read}{shards} of {job.shards} shards decided"


def _scan_all(team: Team, job: Job, progress: Progress) -> list[Scanned]:
    numbers = job.largest_first()
    todo = [number for number in numbers if not is_scanned(job, number)]
    total = sum(map(job.size, numbers))
    done = total - sum(map(job.size, todo))
    progress("reading", done, total)
    for number in team.scan(job, todo):
        done += job.size(number)
        progress("reading", done, total)
    return [read_report(job.spill(number)) for number in sorted(numbers)]


def _completed(request: ReplayRequest, job: Job, scans: Sequence[Scanned]) -> tuple[Job, Lacking]:
    """Return the job with what only all files together tell: where the records end, what lacks."""
    settings = request.settings
    lacks = lacking(job.export, scans, job.rules(), request.complete, accept_cut=request.accept_cut)
    if settings.data_until is None:
        ends = _ends(job.export, scans)
        settings = replace(settings, data_until=ends.at)
        lacks = replace(lacks, warnings=lacks.warnings + ends.warnings)
    deleted = _deleted(scans)
    return replace(job, settings=settings, gaps=lacks.gaps, deleted=deleted), lacks


def _deleted(scans: Sequence[Scanned]) -> dict[str, Instant | None]:
    found: dict[str, Instant | None] = {}
    for scan in scans:
        add_deleted(found, scan.deleted)
    return found


def _ends(export: Export, scans: Sequence[Scanned]) -> Ends:
    """Return when the records end: when the export was taken, or else the last encounter."""
    taken = read_manifest(export).at
    if taken:
        with suppress(NotUsedError):
            return Ends(read_instant(taken))
    return records_end(scans)


def _make_ready(job: Job, scans: Sequence[Scanned]) -> None:
    """Do what lies between reading and replaying, once."""
    mark = job.work / "ready"
    if mark.exists():
        return
    fetch_other_versions(job)
    lay_out(((job.spill(n), scan.blocks) for n, scan in enumerate(scans)), job.work)
    write_whole(mark, b"")


def _replay_all(
    team: Team, job: Job, scans: Sequence[Scanned], table: JoinedShards, progress: Progress
) -> list[ShardReport]:
    todo = [shard for shard in range(job.shards) if shard_report(job, shard) is None]
    done = job.shards - len(todo)
    progress("deciding", done, job.shards)
    table.add(set(range(job.shards)).difference(todo))
    for shard, _ in team.decide(job, scans, todo):
        table.add([shard])
        done += 1
        progress("deciding", done, job.shards)
    found = [shard_report(job, shard) for shard in range(job.shards)]
    return [report for report in found if report is not None]


def _refuse_damaged(
    request: ReplayRequest, scans: Sequence[Scanned], reports: Sequence[ShardReport]
) -> list[Reject]:
    """Return all rejects; refuse to go on where they are too large a share of the lines."""
    rejects = [one for scan in scans for one in scan.rejects]
    rejects += [one for report in reports for one in report.rejects]
    lines = sum(scan.lines for scan in scans)
    if len(rejects) > request.max_damaged * lines:
        write_whole(request.out / REJECTS, as_lines(rejects))
        first = ", ".join(f"{one.place} ({one.reason})" for one in _in_order(rejects)[:3])
        raise BulkError(
            f"{len(rejects)} of {count_of(lines, 'line')} {by(len(rejects), 'is', 'are')} damaged, "
            f"which is more than {request.max_damaged:.2%}: {first}"
            f"{', ...' if len(rejects) > 3 else ''}; all are in {request.out / REJECTS}. Export "
            "again, or allow more with --max-damaged. What was read stays in "
            f"{request.out / WORK}, for a run that allows more; it holds patients' data, so delete "
            "it if there is to be none"
        )
    return rejects


def _in_order(rejects: Sequence[Reject]) -> list[Reject]:
    return sorted(rejects, key=lambda one: (one.file, one.line, one.entry))


def _finish(
    request: ReplayRequest,
    job: Job,
    scans: Sequence[Scanned],
    reports: Sequence[ShardReport],
    table: JoinedShards,
    rejects: Sequence[Reject],
    lacks: Lacking,
) -> ReplayResult:
    out = request.out
    rows = table.finish(out / DECISIONS)
    write_whole(out / REJECTS, as_lines(rejects))
    told = whole_survey(job.rules()[0], scans, [report.survey for report in reports])
    write_whole(out / VOCABULARY, canonical(told.plain()))
    learned = too_good(request.bundles, data_digest(scans))
    warnings = (*learned, *lacks.warnings, *warnings_of(job, scans, reports, rejects, told, lacks))
    outputs = [out / name for name in (DECISIONS, REJECTS, VOCABULARY)]
    found = manifest_of(request, job, scans, reports, rejects, outputs, warnings)
    write_whole(out / MANIFEST, canonical(found))
    return ReplayResult(out, rows, found, warnings, told)
