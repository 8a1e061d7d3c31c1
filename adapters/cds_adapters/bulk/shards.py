"""One shard is replayed on its own, and its rows are on disk as a whole or not at all."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cds_adapters.bulk.job import Job
from cds_adapters.bulk.parquet import write_shard
from cds_adapters.bulk.patients import ShardReader
from cds_adapters.bulk.rejects import Reject
from cds_adapters.bulk.spill import write_whole
from cds_adapters.bulk.vocabulary import Survey, last_entry, survey
from cds_adapters.fhir.unseen import UNSEEN
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.table.stages import MOST
from cds_engine.replay.columnar import ColumnarEngine
from cds_engine.replay.engine import HistoryEngine, ScalarEngine
from cds_engine.replay.points import Patient
from cds_engine.replay.shard import replay_shard

ENGINES: Mapping[str, Callable[[], HistoryEngine]] = {
    "columnar": ColumnarEngine,
    "scalar": ScalarEngine,
}
"""Name -> engine; all give the same answers."""


@dataclass
class ShardReport:
    """What one shard came to, besides its rows.

    Attributes:
        counts: what was met, counted by words.
        checked, differences: see ``cds_engine.replay.shard.ShardRows``.
        decisions: outcome, and ``outcome: reason``, of the decisions -> how often.
        later_versions: resources of which the first versions are not among the records.
        survey: the vocabulary check, as ``Survey.plain`` writes it.
        mapped: those of the site's local codes that were met.
    """

    rows: int
    counts: dict[str, int]
    checked: int
    differences: list[str]
    decisions: dict[str, int]
    rejects: list[Reject]
    later_versions: int = 0
    survey: dict[str, Any] = field(default_factory=dict)
    mapped: list[str] = field(default_factory=list)


_decode = msgspec.json.Decoder(ShardReport).decode


def shard_report(job: Job, shard: int) -> ShardReport | None:
    """Return what a shard came to; None if it is not done."""
    path = job.shard(shard).with_suffix(".json")
    return _decode(path.read_bytes()) if path.exists() else None


def is_replayed(job: Job, shard: int) -> bool:
    """Say whether a shard is done."""
    return job.shard(shard).with_suffix(".json").exists()


def replay_one(job: Job, shard: int) -> tuple[int, int]:
    """Replay a shard; return its number and how many rows it gave. The report is written last."""
    with _no_collector():
        return _replay(job, shard)


def _replay(job: Job, shard: int) -> tuple[int, int]:
    reader = ShardReader(job, shard)
    patients = list(reader.patients())
    rules = job.rules()
    engine = ENGINES[job.engine]()
    found = replay_shard(patients, rules, job.settings, engine)
    write_shard(job.shard(shard), found.columns)
    columns = found.columns
    told_of = zip(columns["decision.outcome"].values, columns["decision.code"].values, strict=True)
    decisions = {
        outcome if code is None else f"{outcome}: {code}": count
        for (outcome, code), count in Counter(told_of).items()
    }
    told = _survey(rules[0], patients, engine)
    report = ShardReport(
        rows=found.rows,
        counts=dict(found.counts),
        checked=found.checked,
        differences=list(found.differences),
        decisions=decisions,
        rejects=reader.rejects,
        later_versions=sum(_later_versions(patient) for patient in patients),
        survey=told.plain(shown=None),
        mapped=reader.mapped(),
    )
    write_whole(job.shard(shard).with_suffix(".json"), msgspec.json.encode(report))
    return shard, found.rows


def _later_versions(patient: Patient) -> int:
    return len({one.source for one in patient.record.events if one.version == UNSEEN})


def _survey(bundle: RuleBundle, patients: Sequence[Patient], engine: HistoryEngine) -> Survey:
    if isinstance(engine, ColumnarEngine) and len(bundle.actions) <= MOST:
        records, histories = engine.histories(bundle, last_entry)
        return survey(bundle, records, histories)
    return survey(bundle, [patient.record for patient in patients])


@contextmanager
def _no_collector() -> Iterator[None]:
    """Do without the collector of cycles: records hold none, and it looks through all of them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
