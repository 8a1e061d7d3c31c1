"""What is asked of a replay, all of it; a manifest tells it back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import cds_engine
from cds_adapters.bulk.job import BundleFiles
from cds_adapters.bulk.parts import SIZE
from cds_adapters.bulk.sources import Export
from cds_engine.replay.settings import ReplaySettings

TARGET = 32 * 2**20
"""Bytes of an export, unpacked, that a shard is meant to stand for."""

_SHRUNK = {"gzip": 10, "zstd": 12, "": 1}
"""About how many times larger the content of a packed file is."""


@dataclass(frozen=True)
class ReplayRequest:
    """One replay as it is asked for.

    Attributes:
        data: a folder, a file or a URL.
        bundles: the files of the version to replay, and of at most one more.
        out: the folder for what comes out.
        jobs: how many processes; has no say in what comes out, nor have ``shards``.
        master: of the Spark that does the work; None for this machine. It has no say either.
        max_damaged: the share of damaged lines above which nothing is made of the rest.
        complete: types of resources of which there is none though the export is complete.
        accept_cut: go on without what a file that ends too early may have held.
        overwrite: take the place of what another replay left in ``out``.
    """

    data: str
    bundles: tuple[BundleFiles, ...]
    out: Path
    settings: ReplaySettings = field(default_factory=ReplaySettings)
    jobs: int = 1
    shards: int | None = None
    max_damaged: float = 0.01
    complete: tuple[str, ...] = ()
    accept_cut: bool = False
    overwrite: bool = False
    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    time_zone: str = "UTC"
    engine: str = "columnar"
    master: str | None = None

    def shards_for(self, export: Export) -> int:
        """Return into how many shards the patients are divided: as few as memory allows."""
        if self.shards is not None:
            return self.shards
        size = sum(file.size * _SHRUNK[file.packing] for file in export.files)
        return max(1, min(4_096, -(-size // TARGET)))

    def plain_settings(self) -> dict[str, Any]:
        """Return every setting that has a say in what comes out, as JSON-ready data."""
        return {
            **self.settings.plain(),
            "max_damaged": self.max_damaged,
            "complete": sorted(self.complete),
            "accept_cut": self.accept_cut,
            "codes": {code: list(to) for code, to in sorted(self.codes.items())},
            "time_zone": self.time_zone,
        }

    def plan(self, export: Export) -> bytes:
        """Return what work that was left behind must agree with to be taken up again.

        How much damage is allowed is judged anew each time.
        """
        settings = self.plain_settings()
        del settings["max_damaged"]
        return canonical(
            {
                "engine": [cds_engine.__version__, cds_engine.SEMANTICS_VERSION, self.engine],
                "parts": SIZE,
                "files": [[f.name, f.url, f.size, f.kind, f.stamp] for f in export.files],
                "bundles": [[[n, sha256(b).hexdigest()] for n, b in fs] for fs in self.bundles],
                "settings": settings,
                "shards": self.shards_for(export),
                "spark": self.master is not None,
            }
        )


def canonical(plain: Any) -> bytes:
    """Write plain data as JSON in one way only, to be read by people too."""
    return (json.dumps(plain, ensure_ascii=False, indent=1) + "\n").encode()
