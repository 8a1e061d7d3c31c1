"""A job says everything that a worker process needs to know, in plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from cds_adapters.bulk.sources import Export
from cds_adapters.bulk.wanted import Wanted
from cds_adapters.fhir.site_map import SiteMap
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.replay.settings import ReplaySettings

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

    def rules(self) -> tuple[RuleBundle, ...]:
        """Return the rule bundles, ready to decide; each process reads them once."""
        return tuple(_bundle(files) for files in self.bundles)

    def wanted(self) -> Wanted:
        """Return what of the export can matter."""
        return Wanted(self.rules())

    def site(self) -> SiteMap:
        """Return how the site's codes and dates are to be read."""
        return SiteMap(self.codes, ZoneInfo(self.time_zone))

    def spill(self, number: int) -> Path:
        """Return where what is kept of one file is laid out."""
        return self.work / f"file-{number:06d}.spill"

    def shard(self, number: int) -> Path:
        """Return where the rows of one shard are."""
        return self.work / f"shard-{number:06d}.parquet"

    def second_spill(self, number: int) -> Path:
        """Return where what was fetched later of one file is laid out, if anything was."""
        return self.work / f"file-{number:06d}-again.spill"


@lru_cache(maxsize=8)
def _bundle(files: BundleFiles) -> RuleBundle:
    return read_bundle(dict(files))
