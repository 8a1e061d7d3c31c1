"""What the manifest of a Bulk Data export lists is there in full, or its type is incomplete.

A file is found again by the name that its URL ends in. Where a downloader named the files anew, as
many files of the type are enough, or all the lines that the manifest counts.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeGuard
from urllib.parse import unquote, urlsplit

from cds_adapters.bulk.scanned import Scanned
from cds_adapters.bulk.sources import PACKINGS, DataFile, Export
from cds_adapters.bulk.streams import FileStream
from cds_adapters.bulk.wanted import KIND_OF_TYPE
from cds_adapters.bulk.words import by, count_of
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.times import read_instant

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


@dataclass(frozen=True, slots=True)
class Manifest:
    """One ``manifest.json`` beside the files of a Bulk Data export.

    Attributes:
        folder: where it is, inside the export.
        body: what it says; empty if it cannot be read.
        at: when the export was taken, as it stands; empty if that cannot be read.
        lists: whether its lists of files can be read.
        faults: what is wrong with it and what is lost by that, in words with the cure.
    """

    folder: str
    body: Mapping[str, Any]
    at: str
    lists: bool
    faults: tuple[str, ...]


def manifests(export: Export) -> Iterator[Manifest]:
    """Yield every ``manifest.json`` of a Bulk Data export; those of something else are not."""
    for file in export.of("manifest"):
        folder = file.name.rpartition("/")[0]
        stream = FileStream(export.address, file)
        try:
            body: Any = json.loads(stream.body())
        except (ValueError, RecursionError) as fault:
            cut = f"it is cut: {stream.cut}" if stream.cut else f"it is no JSON: {fault}"
            words = (
                f"{file.name} cannot be read ({cut}), so that which files the export has, which "
                "types were asked for and when it was taken are not known; fetch it again"
            )
            yield Manifest(folder, {}, "", lists=False, faults=(words,))
            continue
        if isinstance(body, dict) and not body.keys().isdisjoint(("transactionTime", "output")):
            yield _manifest_of(file, folder, body)


def _manifest_of(file: DataFile, folder: str, body: Mapping[str, Any]) -> Manifest:
    of_lists = tuple(_faults_of_lists(file.name, body))
    at = body.get("transactionTime")
    if _is_instant(at):
        return Manifest(folder, body, at, not of_lists, of_lists)
    words = (
        f"{file.name} has no transactionTime that is an instant with an offset, so that when "
        "the export was taken is not known; fetch it again, or say --data-until"
    )
    return Manifest(folder, body, "", not of_lists, (words, *of_lists))


def _faults_of_lists(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    for part in _LISTS:
        entries = body.get(part, None if part == "output" else [])
        if not isinstance(entries, list):
            what = f"has no list `{part}` of files"
        elif unclear := _unclear(entries):
            what = f"has {count_of(len(unclear), 'entry', 'entries')} in `{part}` without a url"
        else:
            continue
        yield f"{name} {what}, so that it is not known whether a file is lacking; fetch it again"


def _is_instant(stated: Any) -> TypeGuard[str]:
    if not isinstance(stated, str):
        return False
    try:
        read_instant(stated)
    except NotUsedError:
        return False
    return True


def _unclear(entries: Sequence[Any]) -> list[Any]:
    """Return the entries of a list of files that name none."""
    return [one for one in entries if not isinstance(one, dict) or not _is_text(one.get("url"))]


def _is_text(stated: Any) -> bool:
    return isinstance(stated, str) and bool(stated)


def listed_in(manifest: Manifest) -> Iterator[Listed]:
    """Yield the files that a manifest lists."""
    folder = manifest.folder
    for part, kind in _LISTS.items():
        entries = manifest.body.get(part)
        for one in entries if isinstance(entries, list) else ():
            if _unclear([one]):
                continue  # see ``Manifest.faults``
            name = PurePosixPath(unquote(urlsplit(one["url"]).path)).name
            count = one.get("count")
            stated = count if isinstance(count, int) and not isinstance(count, bool) else None
            yield Listed(folder, part, name, kind or str(one.get("type", "")), stated)


def said_empty(export: Export) -> frozenset[str]:
    """Return the names, without endings, of the files of which a manifest says that they are."""
    listed = (one for manifest in manifests(export) for one in listed_in(manifest))
    return frozenset(_plain(one.name) for one in listed if one.count == 0)


def is_said_empty(file: DataFile, names: Collection[str]) -> bool:
    """Say whether a file is among those; see ``said_empty``."""
    return _plain(file.name) in names


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
    for manifest in manifests(export):
        listed, folder = list(listed_in(manifest)), manifest.folder
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
