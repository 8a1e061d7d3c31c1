"""A file is read once, as a stream of bounded size, and its digest is taken on the way."""

import hashlib
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import IO, Protocol

import numpy as np
import zstandard
from numpy.typing import NDArray

from cds_adapters.bulk.sources import BulkError, DataFile, open_file
from cds_adapters.fhir.streams import FREE, MAX_BODY, MAX_RATIO, MAX_UNPACKED

_LINE_FEED = ord("\n")

Places = NDArray[np.intp]
_NOWHERE: Places = np.empty(0, dtype=np.intp)
_CHUNK = 2**20
_PACKED_CHUNK = 2**16
"""Packed bytes read at a time; they may unpack to a thousand times as many."""

_ZSTD_WINDOW = 2**27
"""The largest window, in bytes, that a zstd file may ask for."""


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class FileStream:
    """One file in the course of being read.

    Attributes:
        cut: why it is known to end too early; empty if it is not.
        seen: how many bytes of the file, as it stands, were read so far.
    """

    def __init__(self, address: str, file: DataFile) -> None:
        self._address = address
        self._file = file
        self._hash = hashlib.sha256()
        self.cut = ""
        self.seen = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes read so far, as they stand in the file."""
        return self._hash.hexdigest()

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are not empty, counted from 1."""
        for number, block, _ in self.blocks():
            for at, data in enumerate(block, number):
                if data and not data.isspace():
                    yield at, data

    def blocks(self) -> Iterator[tuple[int, list[bytes], bool]]:
        """Yield the lines, empty ones too, many at a time.

        Each time with the first one's number, and whether they end with a line feed: a last line
        without one comes alone.
        """
        for number, block, _ in self.whole_lines():
            if block.endswith(b"\n"):
                yield number, block[:-1].split(b"\n"), True
            else:
                yield number, [block], False

    def whole_lines(self) -> Iterator[tuple[int, bytes, Places]]:
        """Yield the lines as they stand, many at a time.

        Each time with the first one's number, and with where in the bytes their line feeds are.
        A last line without a line feed comes alone.
        """
        rest, number = b"", 1
        for chunk in self.chunks():
            end = chunk.rfind(b"\n") + 1
            block = rest + chunk[:end] if end else b""
            rest = chunk[end:] if end else rest + chunk
            # bytes.count takes twice as long as all else that is done here
            feeds = np.flatnonzero(np.frombuffer(block, np.uint8) == _LINE_FEED)
            if len(rest) > MAX_BODY:
                raise BulkError(
                    f"{self._file.name}:{number + len(feeds)}: a line is longer than {MAX_BODY} "
                    "bytes, which no resource is; look at the file"
                )
            if block:
                yield number, block, feeds
            number += len(feeds)
        if rest:
            yield number, rest, _NOWHERE

    def body(self) -> bytes:
        """Return the whole content of a file that holds one Bundle."""
        parts, size = [], 0
        for chunk in self.chunks():
            size += len(chunk)
            if size > MAX_BODY:
                raise BulkError(
                    f"{self._file.name}: larger than {MAX_BODY} bytes; split it into several "
                    "Bundles"
                )
            parts.append(chunk)
        return b"".join(parts)

    def chunks(self) -> Iterator[bytes]:
        """Yield the unpacked content piece by piece."""
        with open_file(self._address, self._file) as stream:
            first = True
            for chunk in self._unpacked(stream):
                yield chunk.removeprefix(BOM_UTF8) if first else chunk
                first = False

    def _raw(self, stream: IO[bytes]) -> Iterator[bytes]:
        try:
            while chunk := stream.read(_PACKED_CHUNK if self._file.packing else _CHUNK):
                self._hash.update(chunk)
                self.seen += len(chunk)
                yield chunk
        except OSError as fault:
            raise BulkError(
                f"{self._file.name}: cannot be read to its end ({fault}); fetch it again"
            ) from fault

    def _unpacked(self, stream: IO[bytes]) -> Iterator[bytes]:
        if not self._file.packing:
            yield from self._raw(stream)
            return
        limit = min(MAX_UNPACKED, max(FREE, self._file.size * MAX_RATIO))
        size = 0
        for chunk in self._members(stream):
            size += len(chunk)
            if size > limit:
                raise BulkError(
                    f"{self._file.name}: unpacks to more than {limit} bytes, which no export "
                    "does; unpack and look at it before replaying it"
                )
            yield chunk

    def _members(self, stream: IO[bytes]) -> Iterator[bytes]:
        """Unpack one packed member after the other; note where the last one has no end."""
        unpacker: _Unpacker | None = None
        for raw in self._raw(stream):
            data = raw
            while data:
                unpacker = unpacker or self._unpacker()
                try:
                    found = unpacker.decompress(data)
                except (zlib.error, zstandard.ZstdError) as fault:
                    self.cut = f"it is damaged inside, and unreadable from there on ({fault})"
                    self._drain(stream)
                    return
                if found:
                    yield found
                data = unpacker.unused_data if unpacker.eof else b""
                unpacker = None if unpacker.eof else unpacker
        if unpacker is not None:
            self.cut = f"the {self._file.packing} data ends before it is complete"

    def _drain(self, stream: IO[bytes]) -> None:
        """Read on, so that the digest is one of the whole file."""
        for _ in self._raw(stream):
            pass

    def _unpacker(self) -> _Unpacker:
        if self._file.packing == "gzip":
            return zlib.decompressobj(wbits=31)
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
