"""The table of a replay is answered: ``figures.json`` and ``report.html`` stand beside it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cds_adapters.bulk.job import BundleFiles
from cds_adapters.bulk.parquet import digest_of_file
from cds_adapters.bulk.request import canonical
from cds_adapters.bulk.spill import write_whole
from cds_adapters.report.numbers import interval, number
from cds_adapters.report.replay_page import replay_page
from cds_engine.bundle.read import read_bundle
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.settings import FigureSettings

FIGURES, REPORT, DECISIONS, MANIFEST = (
    "figures.json", "report.html", "decisions.parquet", "manifest.json",
)  # fmt: skip
_OF_THE_RUN = ("cds_engine", "semantics", "settings", "counts", "warnings", "gaps", "checked_again")


@dataclass(frozen=True)
class Answered:
    """What was written.

    Attributes:
        figures: what ``figures.json`` says.
        manifest: what ``manifest.json`` says now, the new files and their settings included.
        lines: the answer in a few lines, for whoever waits at the terminal.
    """

    figures: dict[str, Any]
    manifest: dict[str, Any]
    lines: tuple[str, ...]


def write_answers(
    out: Path, bundles: tuple[BundleFiles, ...], settings: FigureSettings | None = None
) -> Answered:
    """Write figures and report from the table and the manifest in a folder.

    The same table and settings give the same bytes.

    Args:
        out: the folder with ``decisions.parquet`` and ``manifest.json``.
        bundles: the files of the version that was replayed, and of the one beside it, if any.
        settings: what counts as too little, and what is looked at.

    Raises:
        CDSError: if the table was not made with these versions.
    """
    settings = settings or FigureSettings()
    manifest = json.loads((out / MANIFEST).read_bytes())
    rules = [read_bundle(dict(files)) for files in bundles]
    run = {name: manifest[name] for name in _OF_THE_RUN}
    run["data"] = manifest["data"]["digest"]
    frame = pd.read_parquet(out / DECISIONS)
    figures = figures_of(frame, rules[0], rules[1] if len(rules) > 1 else None, settings, run)
    write_whole(out / FIGURES, as_json(figures))
    write_whole(out / REPORT, replay_page(figures).encode())
    manifest["figures"] = settings.plain()
    manifest["outputs"] |= {
        name: f"sha256:{digest_of_file(out / name)}" for name in (FIGURES, REPORT)
    }
    write_whole(out / MANIFEST, canonical(manifest))
    return Answered(figures, manifest, tuple(_lines(figures, out)))


def as_json(figures: dict[str, Any]) -> bytes:
    """Write figures in one way only: sorted names, a line for each value."""
    text = json.dumps(figures, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _lines(figures: dict[str, Any], out: Path) -> list[str]:
    value = figures["value"]
    if figures["empty"]:
        return [figures["empty"]]
    said = [f"Value: refused. {value['refused']}"] if value["refused"] else [
        _said(one, figures) for one in value["differences"][:1]]  # fmt: skip
    return [*said, f"The answers are in {out / REPORT}"]


def _said(one: dict[str, Any], figures: dict[str, Any]) -> str:
    if one["refused"]:
        return f"Value of {one['label']}: refused. {one['refused']}"
    told, unit = one["robust"], figures["bundle"]["aim"]["unit"] or ""
    ends = interval(told["low"], told["high"])
    return f"{one['label']}: {number(told['estimate'])} {unit} ({ends}), doubly robust"
