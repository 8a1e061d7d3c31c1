"""A manifest says what a replay was made from, how, and what came out; never when or where.

The same data, rule bundles, settings and code give the same bytes, whatever the number of
processes or shards.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import cds_engine
from cds_adapters.bulk.job import Job
from cds_adapters.bulk.parquet import digest_of_file
from cds_adapters.bulk.rejects import Reject
from cds_adapters.bulk.request import ReplayRequest
from cds_adapters.bulk.scanned import Scanned
from cds_adapters.bulk.shards import ShardReport
from cds_adapters.bulk.vocabulary import commonest
from cds_engine.vocabulary.time import iso

_SHOWN = 20


def manifest_of(  # one argument for each thing that it tells of
    request: ReplayRequest,
    job: Job,
    scans: Sequence[Scanned],
    reports: Sequence[ShardReport],
    rejects: Sequence[Reject],
    outputs: Sequence[Path],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return the manifest as JSON-ready data."""
    until = job.settings.data_until
    settings = {**request.plain_settings(), "data_until": None if until is None else iso(until)}
    return {
        "cds_engine": cds_engine.__version__,
        "semantics": cds_engine.SEMANTICS_VERSION,
        "bundles": [
            {"regime": b.regime, "version": b.version, "digest": b.digest} for b in job.rules()
        ],
        "settings": settings,
        "data": _data(job, scans),
        "rows": sum(report.rows for report in reports),
        "counts": _sum(report.counts for report in reports),
        "decisions": _sum(report.decisions for report in reports),
        "damaged": {
            "lines_read": sum(scan.lines for scan in scans),
            "set_aside": len(rejects),
            "naming_no_patient": sum(not one.attributed for one in rejects),
        },
        "gaps": dict(job.gaps),
        "checked_again": _checked(reports),
        "warnings": list(warnings),
        "outputs": {path.name: f"sha256:{digest_of_file(path)}" for path in outputs},
    }


def data_digest(scans: Sequence[Scanned]) -> str:
    """Return the digest of all files together, whatever their names and their order."""
    whole = "\n".join(sorted(scan.sha256 for scan in scans))
    return f"sha256:{sha256(whole.encode()).hexdigest()}"


def _data(job: Job, scans: Sequence[Scanned]) -> dict[str, Any]:
    files = [
        {"name": file.name, "sha256": scan.sha256, "lines": scan.lines}
        for file, scan in zip(job.export.files, scans, strict=True)
    ]
    return {
        "digest": data_digest(scans),
        "files": files,
        "ignored": list(job.export.ignored),
        "resources": _sum(scan.types for scan in scans),
        "kept": _sum(scan.kept for scan in scans),
        "deleted": len(job.deleted),
    }


def _checked(reports: Sequence[ShardReport]) -> dict[str, Any]:
    differing = [name for report in reports for name in report.differences]
    return {
        "rows": sum(report.checked for report in reports),
        "differences": len(differing),
        "differing": differing[:_SHOWN],
    }


def _sum(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return commonest(total)
