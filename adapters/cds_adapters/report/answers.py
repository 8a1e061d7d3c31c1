"""The table of a replay is answered: ``figures.json`` and ``report.html`` stand beside it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from cds_adapters.bulk.job import BundleFiles
from cds_adapters.bulk.learned import not_known
from cds_adapters.bulk.parquet import digest_of_file
from cds_adapters.bulk.request import canonical
from cds_adapters.bulk.spill import write_whole
from cds_adapters.report.numbers import with_interval
from cds_adapters.report.replay_first import sided
from cds_adapters.report.replay_made import listed_vocabulary
from cds_adapters.report.replay_page import replay_page
from cds_adapters.report.ways_out import ways_out
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.points import LISTS, columns_of
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.vocabulary.units import unit_words

FIGURES, REPORT, DECISIONS, MANIFEST, VOCABULARY = (
    "figures.json", "report.html", "decisions.parquet", "manifest.json", "vocabulary.json",
)  # fmt: skip
BATCH = 65_536
"""Rows of which the sequences of texts are looked at at once."""
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
    run["learned"] = list(not_known(bundles, run["data"]))
    if (out / VOCABULARY).exists():
        run["vocabulary"] = listed_vocabulary(json.loads((out / VOCABULARY).read_bytes()))
    against = rules[1] if len(rules) > 1 else None
    figures = figures_of(read_decisions(out, rules[0], against), rules[0], against, settings, run)
    written = {FIGURES: as_json(figures), REPORT: replay_page(figures).encode()}
    _take_back(out, manifest)
    for name, data in written.items():
        write_whole(out / name, data)
    manifest["figures"] = settings.plain()
    manifest["outputs"] |= {name: f"sha256:{digest_of_file(out / name)}" for name in written}
    write_whole(out / MANIFEST, canonical(manifest))
    return Answered(figures, manifest, tuple(answer_lines(figures, out)))


def _take_back(out: Path, manifest: dict[str, Any]) -> None:
    """Let the manifest name no earlier answers, for these may be the last that are written."""
    if manifest.pop("figures", None) is None:
        return
    for name in (FIGURES, REPORT):
        manifest["outputs"].pop(name, None)
    write_whole(out / MANIFEST, canonical(manifest))


def read_decisions(
    out: Path, bundle: RuleBundle, against: RuleBundle | None = None
) -> "pd.DataFrame":
    """Return of the table in a folder what the figures read, with little memory.

    Each sequence of texts is held once, however many rows have it, and so is each state of a
    variable.
    """
    path = out / DECISIONS
    names = columns_of(bundle, against, pq.read_schema(path).names)
    plain = [name for name in names if name not in LISTS]
    states = [f"{name}.state" for name in bundle.variables]
    table = pq.read_table(path, columns=plain, read_dictionary=states)
    frame = table.to_pandas(split_blocks=True, self_destruct=True)
    del table
    for name in LISTS:
        if name in names:
            frame[name] = pd.Series(_shared(path, name), index=frame.index, dtype=object)
    return frame


def _shared(path: Path, name: str) -> list[tuple[str, ...]]:
    met: dict[tuple[str, ...], tuple[str, ...]] = {}
    held: list[tuple[str, ...]] = []
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH, columns=[name]):
            for row in batch.column(0).to_pylist():
                texts = tuple(row or ())
                held.append(met.setdefault(texts, texts))
    return held


def as_json(figures: dict[str, Any]) -> bytes:
    """Write figures in one way only: sorted names, a line for each value.

    What has an order of its own, such as stages, has it in a list.
    """
    text = json.dumps(figures, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def answer_lines(figures: dict[str, Any], out: Path) -> list[str]:
    """Return the answer in a few lines, for whoever waits at the terminal."""
    value = figures["value"]
    if figures["empty"]:
        return [figures["empty"]]
    said = [f"Value: refused. {value['refused']}"] if value["refused"] else [
        _said(one, figures) for one in value["differences"][:1]]  # fmt: skip
    if ways := ways_out(figures):
        said.append("These options of replay may help:")
        said += [f"  {option}: {words}" for option, words in ways]
    return [*said, f"The answers are in {out / REPORT}"]


def _said(one: dict[str, Any], figures: dict[str, Any]) -> str:
    if one["refused"]:
        return f"{one['label']}: no value, for {one['refused']}"
    told, unit = one["robust"], unit_words(figures["bundle"]["aim"]["unit"] or "")
    estimate, ends = with_interval(told["estimate"], told["low"], told["high"], unit)
    return f"{one['label']}: {estimate} ({ends}), doubly robust. {sided(figures, one)}"
