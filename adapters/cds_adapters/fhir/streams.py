"""Files are read as a stream of bounded size, packed or not; a bomb is refused before it bursts.

A gzip file of a few kilobytes can hold gigabytes. Real exports shrink ten- to fortyfold.
"""

import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cds_adapters.fhir.errors import FHIRError

MAX_UNPACKED = 8 * 2**30
"""How many bytes one packed file may hold."""

MAX_RATIO = 250
"""How many times larger than the packed file its content may be, beyond ``FREE`` bytes."""

FREE = 16 * 2**20
"""Below this size the ratio is not looked at: small files of equal lines pack very well."""

MAX_BODY = 512 * 2**20
"""How many bytes one Bundle, or one line of NDJSON, may have."""

_CHUNK = 2**20


def read_body(path: Path) -> bytes:
    """Return the whole content of a file that holds one Bundle."""
    chunks: list[bytes] = []
    size = 0
    for chunk in _chunks(path):
        size += len(chunk)
        if size > MAX_BODY:
            raise FHIRError(f"{path}: larger than {MAX_BODY} bytes; split it into several Bundles")
        chunks.append(chunk)
    return b"".join(chunks)


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Return the lines of a file that are not empty, counted from 1."""
    rest, number = b"", 0
    for chunk in _chunks(path):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_BODY:
            raise FHIRError(f"{path}:{number + 1}: a line is longer than {MAX_BODY} bytes")
        for line in lines:
            number += 1
            if not line.isspace() and line:
                yield number, line
    if rest and not rest.isspace():
        yield number + 1, rest


def _chunks(path: Path) -> Iterator[bytes]:
    packed = path.suffix == ".gz"
    limit = min(MAX_UNPACKED, max(FREE, path.stat().st_size * MAX_RATIO))
    size = 0
    try:
        with _opened(path, packed=packed) as stream:
            while chunk := stream.read(_CHUNK):
                chunk = chunk if size else chunk.removeprefix(BOM_UTF8)
                size += len(chunk)
                if packed and size > limit:
                    raise FHIRError(
                        f"{path}: unpacks to more than {limit} bytes, which no export does; unpack "
                        "and look at it before importing it"
                    )
                yield chunk
    except (OSError, EOFError, zlib.error) as fault:
        raise FHIRError(f"{path}: cannot be read to its end ({fault}); fetch it again") from fault


def _opened(path: Path, *, packed: bool) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if packed else path.open("rb")
