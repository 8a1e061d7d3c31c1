"""What a replay writes never lies among its data, nor takes another one's place unasked."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from cds_adapters.bulk.job import Job
from cds_adapters.bulk.request import ReplayRequest
from cds_adapters.bulk.sources import BulkError, Export
from cds_engine.bundle.model import RuleBundle
from cds_engine.vocabulary.time import iso

MANIFEST = "manifest.json"
ANSWERS = ("figures.json", "report.html")
"""What ``cds_adapters.report.answers`` makes of the table."""


def refuse_own_data(request: ReplayRequest) -> None:
    """Refuse a folder that the next replay would read as data.

    Raises:
        BulkError: if ``out`` is the folder of the data or inside it.
    """
    system, root = url_to_fs(request.data)
    names = [system.protocol] if isinstance(system.protocol, str) else system.protocol
    if not {"file", "local"}.isdisjoint(names) and Path(root).is_dir():
        data, out = Path(root).resolve(), request.out.resolve()
        if out.is_relative_to(data):
            where = "is the folder of the data" if out == data else f"lies inside {request.data}"
            raise BulkError(
                f"--out {request.out} {where}, so that the next replay would read what this one "
                "writes as data; name a folder outside it"
            )


def refuse_another(request: ReplayRequest, rules: Sequence[RuleBundle], export: Export) -> None:
    """Refuse to take the place of a finished replay, as far as can be told before reading.

    Raises:
        BulkError: if ``out`` holds answers to something else.
    """
    settings = request.plain_settings()
    if request.settings.data_until is None:
        # it is known when everything was read
        del settings["data_until"]
    _refuse(request, {
        "rule bundles": [bundle.digest for bundle in rules],
        "settings": settings,
        "data": sorted(file.name for file in export.files),
    })  # fmt: skip


def refuse_other_data(request: ReplayRequest, job: Job, digest: str) -> None:
    """Refuse the same once everything was read.

    Args:
        request: what is asked for.
        job: the same, with when the records end.
        digest: of all the data, as a manifest has it.

    Raises:
        BulkError: if ``out`` holds answers to something else.
    """
    until = job.settings.data_until
    settings = {**request.plain_settings(), "data_until": None if until is None else iso(until)}
    stays = f". What was read stays in {job.work} for that; it holds patients' data"
    _refuse(request, {"settings": settings, "data": digest}, stays)


def refuse_answered(request: ReplayRequest) -> None:
    """Refuse to take answers away, for a run of the same question that makes none.

    Raises:
        BulkError: if ``out`` holds a finished replay with its figures and its report.
    """
    path = request.out / MANIFEST
    if request.overwrite or not path.exists():
        return
    outputs = json.loads(path.read_bytes()).get("outputs", ())
    if held := [name for name in ANSWERS if name in outputs]:
        raise BulkError(
            f"{request.out} holds a finished replay of the same question with its "
            f"{' and '.join(held)}, which a cohort does not make, so that they would be lost; use "
            "its decisions.parquet as it is, name another folder, or say --overwrite to lose them"
        )


def _refuse(request: ReplayRequest, asked: Mapping[str, Any], stays: str = "") -> None:
    path = request.out / MANIFEST
    if request.overwrite or not path.exists():
        return
    try:
        held = json.loads(path.read_bytes())
        told = {name: _as_held(held, name, like) for name, like in asked.items()}
    except (OSError, ValueError, KeyError, TypeError):
        raise BulkError(
            f"{path} is none of a replay, and would be written over; name another folder, or say "
            "--overwrite to lose it"
        ) from None
    other = [name for name, like in asked.items() if told[name] != like]
    if other:
        raise BulkError(
            f"{request.out} holds a finished replay of other {' and other '.join(other)}; name "
            f"another folder, or say --overwrite to lose that one{stays}"
        )


def _as_held(held: Mapping[str, Any], name: str, like: Any) -> Any:
    """Return what a manifest says of one thing, in the form of what it is compared with."""
    if name == "rule bundles":
        return [bundle["digest"] for bundle in held["bundles"]]
    if name == "settings":
        return {key: held["settings"].get(key) for key in like}
    if isinstance(like, str):
        return held["data"]["digest"]
    return sorted(file["name"] for file in held["data"]["files"])
