"""A study file names its data; here both are read, and it is written down which they were."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from cds_engine.errors import CDSError
from cds_engine.estimate.study import StudyDocument, TableData, WorldData, read_study
from cds_engine.fit.evidence import Source
from cds_engine.simulate import WORLDS


class StudyDataError(CDSError):
    """Data of a study that are not there or cannot be read."""


def load_study(path: Path) -> tuple[StudyDocument, pd.DataFrame, Source]:
    """Return a study, its table, and where the table came from.

    Raises:
        StudyError: if the study file has faults.
        StudyDataError: if the study file or its data cannot be read.
    """
    if path.is_dir():
        path = path / "study.yaml"
    try:
        written = path.read_bytes()
    except OSError as error:
        raise StudyDataError(
            f"{path} cannot be read: {error.strerror}; name a study file"
        ) from None
    study = read_study(path.name, written)
    if isinstance(study.data, WorldData):
        frame, what = _drawn(study.data)
        digest, records = _sha(frame.to_csv(index=False).encode()), ""
    else:
        frame, what, digest = _table(study.data, path.parent)
        records = _records_behind(path.parent / study.data.file, digest)
    return study, frame, Source(what, digest, _sha(written), records)


def _drawn(data: WorldData) -> tuple[pd.DataFrame, str]:
    if data.world not in WORLDS:
        raise StudyDataError(
            f"data.world: there is no world {data.world!r}; there are {', '.join(sorted(WORLDS))}"
        )
    frame = WORLDS[data.world]().draw(data.n, data.seed).frame()
    return frame, f"{data.n} simulated patients of the world {data.world}, seed {data.seed}"


def _table(data: TableData, folder: Path) -> tuple[pd.DataFrame, str, str]:
    path = folder / data.file
    try:
        written = path.read_bytes()
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except OSError as error:
        raise StudyDataError(
            f"data.file: {path} cannot be read: {error.strerror}; put the table there, or correct "
            "data.file"
        ) from None
    except (ValueError, pd.errors.ParserError) as error:
        raise StudyDataError(f"data.file: {path} is no table: {error}") from None
    return frame, f"{data.file}, {len(frame)} rows", _sha(written)


def _records_behind(table: Path, digest: str) -> str:
    """Return the digest of the records that a replay made a table from; empty if it is not known.

    The manifest beside the table tells, if it names this very table among what came out.
    """
    try:
        held = json.loads((table.parent / "manifest.json").read_bytes())
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StudyDataError(
            f"{table.parent / 'manifest.json'} cannot be read: {error.strerror}; it says from "
            "which records the table was made"
        ) from None
    except ValueError:
        return ""  # none of a replay
    outputs, data = _part(held, "outputs"), _part(held, "data")
    told = data.get("digest")
    return told if digest in outputs.values() and isinstance(told, str) else ""


def _part(held: Any, name: str) -> dict[str, Any]:
    part = held.get(name) if isinstance(held, dict) else None
    return part if isinstance(part, dict) else {}


def _sha(written: bytes) -> str:
    return "sha256:" + hashlib.sha256(written).hexdigest()
