"""Exports written to disk, and replays of them, with good defaults."""

import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import zstandard
from builders.records import a_bundle, a_document, a_person, files_of

from cds_adapters.bulk.request import ReplayRequest
from cds_adapters.bulk.run import Progress, ReplayResult, in_silence, replay, unheard
from cds_adapters.fhir.samples import sample_patients, to_json, to_ndjson, to_transaction_bundle
from cds_engine.bundle.read import FILES
from cds_engine.history.event import Event, Record
from cds_engine.replay.points import Named, Patient
from cds_engine.replay.settings import ReplaySettings

Json = dict[str, Any]
RULES = Path(__file__).resolve().parents[2] / "rules"
AT_END = ReplaySettings(end=True)
COMPLETE = ("AllergyIntolerance", "Procedure", "MedicationRequest", "Observation", "Condition")


def bundle_files(regime: str = "hypertension-stepped-care") -> tuple[tuple[str, bytes], ...]:
    """Return the files of a rule bundle that ships."""
    folder = RULES / regime / "1.0.0"
    return tuple(sorted((name, (folder / name).read_bytes()) for name in FILES
                        if (folder / name).exists()))  # fmt: skip


def example_files(**overrides: Any) -> tuple[tuple[str, bytes], ...]:
    """Return the files of the example regime of ``builders.records``."""
    return tuple(files_of(a_document(**overrides)).items())


def export(folder: Path, count: int = 14, messes: tuple[str, ...] = ()) -> Path:
    """Write a Bulk Data export of sample patients."""
    return write(folder, to_ndjson(sample_patients(count, 2026, messes)))


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files into a folder; .gz and .zst are packed."""
    for name, text in files.items():
        data = text.encode() if isinstance(text, str) else text
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".gz"):
            data = gzip.compress(data, mtime=0)
        elif name.endswith(".zst"):
            data = zstandard.compress(data)
        target.write_bytes(data)
    return folder


def bundles(folder: Path, count: int = 14) -> Path:
    """Write the same patients as one transaction Bundle each."""
    patients = sample_patients(count, 2026)
    return write(folder, {f"{p.id}.json": to_json(to_transaction_bundle(p)) for p in patients})


def run(
    data: Path | str,
    out: Path,
    progress: Progress = in_silence,
    tell: Callable[[str], None] = unheard,
    **given: Any,
) -> ReplayResult:
    """Replay an export by the stepped care that ships, at the end of each encounter."""
    given.setdefault("bundles", (bundle_files(),))
    given.setdefault("settings", AT_END)
    given.setdefault("complete", COMPLETE)
    return replay(ReplayRequest(data=str(data), out=out, **given), progress, tell)


def rows_of(out: Path) -> list[Json]:
    """Return the rows of a replay, a dict each."""
    found: list[Json] = pq.read_table(out / "decisions.parquet").to_pylist()
    return found


def decisions(out: Path) -> bytes:
    """Return the bytes of the table."""
    return (out / "decisions.parquet").read_bytes()


def lines(resources: Iterable[Json]) -> str:
    """Write resources as NDJSON."""
    return "".join(json.dumps(one) + "\n" for one in resources)


def a_patient(*events: Event, encounters: Mapping[str, str] | None = None) -> Patient:
    """Return a patient with these events; which were written in which encounter, all versions."""
    return Patient(Record(a_person(), tuple(events)), named_in(encounters or {}, *events))


def named_in(encounters: Mapping[str, str], *events: Event) -> dict[Named, str]:
    """Return the encounter that every version of a source names."""
    named = {(event.source, event.version): encounters.get(event.source) for event in events}
    return {version: encounter for version, encounter in named.items() if encounter is not None}


EXAMPLE = a_bundle()
