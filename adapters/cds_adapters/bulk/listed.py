"""What the manifest of a Bulk Data export lists is there in full, or its type is incomplete.

A file is found again by the name that its URL ends in. Where a downloader named the files anew, as
many files of the type are enough, or all the lines that the manifest counts.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from cds_adapters.bulk.scanned import Scanned
from cds_adapters.bulk.sources import PACKINGS, DataFile, Export, open_file
from cds_adapters.bulk.wanted import KIND_OF_TYPE
from cds_adapters.bulk.words import by, count_of

_LISTS = {"output": "", "error": "OperationOutcome", "deleted": "Bundle"}
"""Name of a list in a manifest -> what its files hold, where they do not say so themselves."""

_ENDINGS = (*PACKINGS, ".ndjson", ".jsonl")


@dataclass(frozen=True, slots=True)
class Listed:
    """One file that a manifest lists.

    Attributes:
        folder: where the manifest is, inside the export.
        part: the list that it is in: ``output``, ``error`` or ``deleted``.
        kind: the type of its resources.
        count: how many they are; None if the manifest does not say.
    """

    folder: str
    part: str
    name: str
    kind: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Short:
    """What is less, or more, than a manifest says.

    Attributes:
        kind: the type of resource that is incomplete; empty if none is.
        gap: what is wrong, for a gap.
        words: the same for a warning, with what follows and the cure.
    """

    kind: str
    gap: str
    words: str


def manifests(export: Export) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every ``manifest.json`` of a Bulk Data export, with its folder; others say nothing."""
    for file in export.of("manifest"):
        with open_file(export.address, file) as stream:
            try:
                found: Any = json.load(stream)
            except ValueError:
                continue
        if isinstance(found, dict) and isinstance(found.get("transactionTime"), str):
            yield file.name.rpartition("/")[0], found


def listed_in(folder: str, manifest: Mapping[str, Any]) -> Iterator[Listed]:
    """Yield the files that a manifest lists."""
    for part, kind in _LISTS.items():
        entries = manifest.get(part)
        for one in entries if isinstance(entries, list) else ():
            if not isinstance(one, dict) or not isinstance(one.get("url"), str):
                continue
            name = PurePosixPath(unquote(urlsplit(one["url"]).path)).name
            count = one.get("count")
            stated = count if isinstance(count, int) and not isinstance(count, bool) else None
            yield Listed(folder, part, name, kind or str(one.get("type", "")), stated)


def shortcomings(
    export: Export, scans: Sequence[Scanned], types: Collection[str]
) -> Iterator[Short]:
    """Yield what is not as the manifests of an export say.

    Args:
        export: its files.
        scans: what each of them came to.
        types: the types of resources that are read.
    """
    read = {*types, "Patient", "Medication"}
    files = [
        (file, scan)
        for file, scan in zip(export.files, scans, strict=True)
        if file.kind == "ndjson"
    ]
    for folder, manifest in manifests(export):
        listed = list(listed_in(folder, manifest))
        near = [(f, s) for f, s in files if not folder or f.name.startswith(f"{folder}/")]
        for kind in dict.fromkeys(one.kind for one in listed):
            if kind in read or kind in _LISTS.values():
                yield from _compared([one for one in listed if one.kind == kind], near)


_Files = list[tuple[DataFile, Scanned]]


def _compared(listed: Sequence[Listed], files: _Files) -> Iterator[Short]:
    """Yield what is wrong with the files of one type."""
    left, absent, found = list(files), list[Listed](), list[tuple[Listed, Scanned]]()
    for one in listed:
        same = [pair for pair in left if _plain(pair[0].name) == _plain(one.name)]
        if same:
            left.remove(same[0])
            found.append((one, same[0][1]))
        else:
            absent.append(one)
    of_kind = [pair for pair in left if _holds(*pair, listed[0])]
    if len(absent) > len(of_kind) and not _all_counted(listed, files):
        for one in absent:
            yield _absent(one)
    for one, scan in found:
        if one.count is not None and one.part != "deleted" and not scan.cut:
            yield from _miscounted(one, scan.lines)


def _holds(file: DataFile, scan: Scanned, one: Listed) -> bool:
    if one.part == "deleted":
        return bool(scan.deleted or scan.deleted_unclear)
    return scan.types[one.kind] > 0 or one.kind in PurePosixPath(file.name).name


def _all_counted(listed: Sequence[Listed], files: _Files) -> bool:
    """Say whether there are as many resources of a type as all its files were to have."""
    counts = [one.count for one in listed if one.count is not None]
    held = sum(scan.types[listed[0].kind] for _, scan in files)
    return len(counts) == len(listed) and 0 < sum(counts) <= held


def _plain(name: str) -> str:
    path = PurePosixPath(name)
    while path.suffix in _ENDINGS:
        path = PurePosixPath(path.stem)
    return path.name


def _absent(one: Listed) -> Short:
    gap = f"manifest.json lists {one.name}, and it is not there"
    if one.part == "error":
        return Short("", gap, f"{gap}: what the server could not export is not known; fetch it")
    if one.part == "deleted":
        return Short("", gap, f"{gap}: what the server deleted may still count; fetch it")
    return Short(one.kind, gap, f"{gap}, so {_harm(one.kind)}; {_cure('fetch it')}")


def _miscounted(one: Listed, lines: int) -> Iterator[Short]:
    if one.count is None or lines == one.count:
        return
    gap = f"{one.name} has {count_of(lines, 'line')}, and manifest.json says {one.count}"
    if lines > one.count:
        yield Short("", gap, f"{gap}; look whether it is of this export")
    elif one.part == "output":
        yield Short(one.kind, gap, f"{gap}, so {_harm(one.kind)}; {_cure('fetch it again')}")
    else:
        yield Short("", gap, f"{gap}: {by(one.count - lines, 'a failure is', 'failures are')} "
                             "not known; fetch it again")  # fmt: skip


def _harm(kind: str) -> str:
    if kind in KIND_OF_TYPE:
        return f"{kind} is incomplete for every patient"
    return f"some {kind}s may not be known"


def _cure(fetch: str) -> str:
    return f"{fetch}, or say --accept-cut to go on without it"
