"""The files of an export, wherever they are; what is not read is named, not passed over."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import IO, Any, Literal

import fsspec

from cds_engine.errors import CDSError

FileKind = Literal["ndjson", "bundle", "events", "persons", "manifest"]

PACKINGS = {".gz": "gzip", ".zst": "zstd"}
_KINDS: dict[str, FileKind] = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "bundle"}


class BulkError(CDSError):
    """An export that cannot be read as it is asked for."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of an export.

    Attributes:
        name: its path inside the export.
        url: where it is, for the file system of the export.
        packing: ``gzip``, ``zstd`` or empty.
        stamp: whatever the file system says by which a change of the file is noticed.
    """

    name: str
    url: str
    size: int
    kind: FileKind
    packing: str = ""
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of work at one file.

    Attributes:
        file: the number of the file in its export.
        start, end: it is the lines that begin at these bytes or between them; the whole file if
            the end is None.
        digest: nothing is read but the digest of the file is taken.
    """

    file: int
    start: int = 0
    end: int | None = None
    digest: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """The files of an export, by name.

    Attributes:
        address: the folder or file, a path or any URL that fsspec opens.
        ignored: names of files that are not read.
    """

    address: str
    files: tuple[DataFile, ...]
    ignored: tuple[str, ...] = ()

    def of(self, *kinds: FileKind) -> tuple[DataFile, ...]:
        """Return the files of some kinds."""
        return tuple(file for file in self.files if file.kind in kinds)


def open_file(address: str, file: DataFile) -> IO[bytes]:
    """Open a file of an export as it stands, packed or not."""
    stream: IO[bytes] = _system(address)[0].open(file.url, "rb")
    return stream


def can_be_entered(address: str) -> bool:
    """Say whether files can surely be read from any place on, as those of this machine can."""
    names = _system(address)[0].protocol
    return not {"file", "local", "memory"}.isdisjoint([names] if isinstance(names, str) else names)


def find_export(address: str) -> Export:
    """Find the files of an export.

    Args:
        address: a folder (searched to its depth) or one file; a path or an fsspec URL.

    Raises:
        BulkError: if there is nothing there that can be read.
    """
    system, root = _system(address)
    try:
        if not system.exists(root):
            raise BulkError(f"{address} does not exist; {_CURE}")
        found = {root: system.info(root)} if system.isfile(root) else _walk(system, root)
    except (OSError, ValueError) as fault:
        raise BulkError(f"{address} cannot be read ({fault}); {_CURE}") from fault
    base = str(PurePosixPath(root).parent) if root in found else root
    files: list[DataFile] = []
    ignored: list[str] = []
    for url, info in sorted(found.items()):
        name = url.removeprefix(base).lstrip("/")
        file = _classified(name, url, int(info.get("size") or 0))
        if file is None:
            ignored.append(name)
        else:
            files.append(replace(file, stamp=_stamp(info)))
    if not any(file.kind != "manifest" for file in files):
        raise BulkError(f"{address} holds nothing that can be read; {_CURE}")
    return Export(address, tuple(_told_apart(files)), tuple(ignored))


_CURE = (
    "pass a folder of .ndjson files (a Bulk Data export), of Bundle .json files or of "
    "events.parquet files, or one such file; .ndjson and .json may be packed as .gz or .zst"
)


def _system(address: str) -> tuple[Any, str]:
    try:
        system, root = fsspec.core.url_to_fs(address)
    except (ValueError, ImportError, OSError) as fault:
        raise BulkError(f"{address} cannot be opened ({fault}); {_CURE}") from fault
    return system, str(root).rstrip("/") or "/"


def _walk(system: Any, root: str) -> dict[str, Any]:
    found = system.find(root, detail=True)
    return {
        url: info
        for url, info in found.items()
        if not any(part.startswith(".") for part in url.removeprefix(root).split("/") if part)
    }


def _stamp(info: Any) -> str:
    names = ("ETag", "etag", "md5Hash", "checksum", "mtime", "LastModified", "last_modified")
    return next((str(info[name]) for name in names if info.get(name)), "")


def _classified(name: str, url: str, size: int) -> DataFile | None:
    path = PurePosixPath(name)
    packing = PACKINGS.get(path.suffix, "")
    plain = PurePosixPath(path.stem) if packing else path
    if plain.name == "manifest.json":
        return DataFile(name, url, size, "manifest", packing)
    if path.suffix == ".parquet":
        for kind in ("events", "persons"):
            if path.name.startswith(kind):
                return DataFile(name, url, size, kind)
        return None
    kind_found = _KINDS.get(plain.suffix)
    return None if kind_found is None else DataFile(name, url, size, kind_found, packing)


def _told_apart(files: Sequence[DataFile]) -> list[DataFile]:
    """A ``manifest.json`` is one of a Bulk Data export only where that has NDJSON files."""
    if any(file.kind == "ndjson" for file in files):
        return list(files)
    return [replace(f, kind="bundle") if f.kind == "manifest" else f for f in files]
