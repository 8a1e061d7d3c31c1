"""Runs are found by their names in the one folder that the site names; nothing else is read."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cds_adapters.report.numbers import with_interval
from cds_adapters.report.replay_apart import horizon_words, instant_words, short_digest
from cds_adapters.web.errors import PageError
from cds_engine.errors import CDSError
from cds_engine.vocabulary.units import unit_words

Figures = Mapping[str, Any]
FIGURES, DECISIONS = "figures.json", "decisions.parquet"
FORMAT = 1
MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")

_NO_ADDRESS = (
    "No address can name this folder: a name has letters without accents, digits and . _ @ - "
    "only, begins with a letter or a digit, and has at most 100 of them. Rename it."
)
_NO_FIGURES = (
    f"There is no {FIGURES}: it is a cohort, or a replay that is not finished. Make them with "
    "cds-engine figures, or give the replay again."
)


@dataclass(frozen=True, slots=True)
class Version:
    """A version that was replayed."""

    regime: str
    version: str
    identity: str
    digest: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """What the list says of a run.

    Attributes:
        decisions, patients: how many rows its table has, and of how many patients.
        until: when the records ended that were replayed, as ISO text; empty if it is not told.
        data: the beginning of the digest of the data.
        instant: when it decided, in words.
        horizon: when the outcome was measured, and from what on that is counted.
        value: what its version is worth, and between which ends; empty where a value is refused.
        warnings: how many it was written with.
        fault: why nothing can be said of it; empty where something can.
    """

    name: str
    bundle: Version | None = None
    against: Version | None = None
    decisions: int = 0
    patients: int = 0
    until: str = ""
    data: str = ""
    instant: str = ""
    horizon: tuple[str, str] = ("", "")
    value: tuple[str, str] = ("", "")
    warnings: int = 0
    fault: str = ""


class ReplayFolderError(CDSError):
    """A folder of replays that is none."""


class ReplayFolder:
    """Finds runs by their names in one folder.

    Raises:
        ReplayFolderError: if there is no such folder, or it is that of one run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            raise ReplayFolderError(
                f"--replays: {path} is no folder; name the one that holds the folders of the runs"
            )
        if (path / FIGURES).is_file() or (path / MANIFEST).is_file():
            raise ReplayFolderError(
                f"--replays: {path} is itself a run, and no folder of runs; name the folder above "
                f"it, {path.resolve().parent}"
            )

    def names(self) -> list[str]:
        """Return the names of all runs that have figures; none where the folder has gone since."""
        if not self.path.is_dir():
            return []
        return sorted(one.name for one in self.path.iterdir() if self._is_run(one.name))

    def find(self, name: str) -> Path:
        """Return the folder of a run.

        Raises:
            PageError: 404, if there is no such run; a name that leads elsewhere is none.
        """
        if not self._is_run(name):
            raise PageError(
                404,
                "There is no such replay",
                "No run of this name is in the folder of replays.",
                "Start from the list of replays, at /replays.",
            )
        return self.path / name

    def rows(self) -> list[RunRow]:
        """Return what the list says of every run, and of every folder of a run that is none."""
        rows = [_row(self.find(name), *stamp(self.path / name)) for name in self.names()]
        return sorted([*rows, *self._skipped()], key=lambda row: row.name)

    def _skipped(self) -> Iterator[RunRow]:
        """Yield the folders that a replay or a cohort wrote and that no address can show."""
        for one in self.path.iterdir() if self.path.is_dir() else ():
            if one.is_symlink() or not one.is_dir() or self._is_run(one.name):
                continue
            if (one / FIGURES).is_file():
                yield RunRow(one.name, fault=_NO_ADDRESS)
            elif (one / MANIFEST).is_file():
                yield RunRow(one.name, fault=_NO_FIGURES)

    def _is_run(self, name: str) -> bool:
        if not _NAME.fullmatch(name):
            return False
        folder = (self.path / name).resolve()
        return folder.parent == self.path.resolve() and (folder / FIGURES).is_file()


def why_no_pair(sound: Mapping[str, RunRow], one: str, other: str) -> str:
    """Return why two runs cannot be set side by side; empty where they can.

    A run can stand beside itself where it replayed two versions.
    """
    if one not in sound or other not in sound:
        return "It takes two runs: choose one as the first and one as the second."
    if one == other and sound[one].against is None:
        return f"{one} was chosen twice, and it replayed one version only: choose another run."
    return ""


def figures_in(path: Path) -> Figures:
    """Return the figures of a run.

    Raises:
        PageError: 500, if they cannot be read or another version of cds-engine wrote them.
    """
    try:
        told = json.loads((path / FIGURES).read_bytes())
    except (OSError, ValueError):
        told = None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise PageError(
            500,
            "The figures of this replay cannot be read",
            f"{FIGURES} is damaged, or was written by another version of cds-engine.",
            "Run the replay again into the same folder.",
        )
    return told


def stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a run's figures do: their time of change and their size."""
    found = (path / FIGURES).stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1000)
def _row(path: Path, _changed: int, _size: int) -> RunRow:
    try:
        figures = figures_in(path)
    except PageError as error:
        return RunRow(path.name, fault=error.text)
    run, whole = figures["run"], figures["funnel"][0]
    settings = run.get("settings", {})
    return RunRow(
        path.name,
        _version(figures["bundle"]),
        _version(figures["against"]) if figures["against"] else None,
        whole["decisions"],
        whole["patients"],
        settings.get("data_until") or "",
        short_digest(run.get("data") or ""),
        instant_words(settings),
        horizon_words(figures),
        _value(figures),
        len(run.get("warnings", ())),
    )


def _value(figures: Figures) -> tuple[str, str]:
    regimes = figures["value"]["regimes"]
    said = next((one for one in regimes if one["key"] == "version" and not one["refused"]), None)
    if said is None:
        return "", ""
    told, unit = said["robust"], unit_words(figures["bundle"]["aim"].get("unit") or "")
    return with_interval(told["estimate"], told["low"], told["high"], unit)


def _version(told: Figures) -> Version:
    return Version(*(told[name] for name in ("regime", "version", "identity", "digest")))
