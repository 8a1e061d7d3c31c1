"""A job says everything that a worker process needs to know, in plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from cds_adapters.bulk.sources import DataFile, Export, Part
from cds_adapters.bulk.wanted import Wanted
from cds_adapters.fhir.site_map import SiteMap
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.replay.settings import ReplaySettings
from cds_engine.vocabulary.time import Instant

BundleFiles = tuple[tuple[str, bytes], ...]
"""The files of one rule bundle: names and exact bytes."""


@dataclass(frozen=True)
class Job:
    """One replay.

    Attributes:
        export: the files that are read.
        bundles: the files of the version that is replayed, and of at most one more.
        settings: decision points, windows and horizons.
        work: folder for what is laid out on disk meanwhile.
        shards: into how many parts the patients are divided; has no say in any row.
        codes: the site's local codes -> standard codes.
        time_zone: the site's IANA time zone.
        gaps: what every record lacks, because the export does.
        parts: the pieces of work that reading is made of.
        before: part by part, how many lines of its file stand before it; known once all are read.
        deleted: ``Type/id`` of what was deleted -> when, see ``cds_adapters.fhir.deletions``.
        engine: what takes the histories and decides them, see ``cds_adapters.bulk.shards``.
    """

    export: Export
    bundles: tuple[BundleFiles, ...]
    settings: ReplaySettings
    work: Path
    shards: int
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    time_zone: str = "UTC"
    gaps: Mapping[str, str] = field(default_factory=dict)
    engine: str = "columnar"
    parts: tuple[Part, ...] = ()
    before: tuple[int, ...] = ()
    deleted: Mapping[str, Instant | None] = field(default_factory=dict)

    def rules(self) -> tuple[RuleBundle, ...]:
        """Return the rule bundles, ready to decide; each process reads them once."""
        return read_rules(self.bundles)

    def wanted(self) -> Wanted:
        """Return what of the export can matter."""
        return Wanted(self.rules())

    def site(self) -> SiteMap:
        """Return how the site's codes and dates are to be read."""
        return SiteMap(self.codes, ZoneInfo(self.time_zone))

    def file(self, number: int) -> DataFile:
        """Return the file that a part is of."""
        return self.export.files[self.parts[number].file]

    def size(self, number: int) -> int:
        """Return how many bytes of lines a part has; none where only the digest is taken."""
        part = self.parts[number]
        if part.digest:
            return 0
        return self.file(number).size if part.end is None else part.end - part.start

    def largest_first(self) -> list[int]:
        """Return all parts so that no process is left alone with a large one at the end."""
        parts = range(len(self.parts))
        return sorted(parts, key=lambda n: (not self.parts[n].digest, -self.size(n)))

    def spill(self, number: int) -> Path:
        """Return where what is kept of one part is laid out."""
        return self.work / f"part-{number:06d}.spill"

    def shard(self, number: int) -> Path:
        """Return where the rows of one shard are."""
        return self.work / f"shard-{number:06d}.parquet"

    def second_spill(self, number: int) -> Path:
        """Return where what was fetched later of one part is laid out, if anything was."""
        return self.work / f"part-{number:06d}-again.spill"


def read_rules(bundles: tuple[BundleFiles, ...]) -> tuple[RuleBundle, ...]:
    """Return rule bundles, ready to decide; each process reads them once."""
    return tuple(_bundle(files) for files in bundles)


@lru_cache(maxsize=8)
def _bundle(files: BundleFiles) -> RuleBundle:
    return read_bundle(dict(files))
