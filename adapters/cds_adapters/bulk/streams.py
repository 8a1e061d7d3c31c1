"""A file is read once, as a stream of bounded size, and its digest is taken on the way."""

import hashlib
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import IO, Protocol

import numpy as np
import zstandard
from numpy.typing import NDArray

from cds_adapters.bulk.sources import BulkError, DataFile, Part, open_file
from cds_adapters.fhir.streams import FREE, MAX_BODY, MAX_RATIO, MAX_UNPACKED

_LINE_FEED = ord("\n")

Places = NDArray[np.intp]
_NOWHERE: Places = np.empty(0, dtype=np.intp)
_CHUNK = 2**17
"""Bytes read at a time; the system keeps handing out the same memory for as much."""

WHOLE = Part(0)

_BLOCK = 2**20
"""Bytes of lines that are told together."""

_PACKED_CHUNK = 2**16
"""Packed bytes read at a time; they may unpack to a thousand times as many."""

_ZSTD_WINDOW = 2**27
"""The largest window, in bytes, that a zstd file may ask for."""


def lines_of(block: memoryview) -> tuple[list[bytes], bool]:
    """Return the lines of a block, and whether they end with a line feed."""
    text = bytes(block)
    return (text[:-1].split(b"\n"), True) if text.endswith(b"\n") else ([text], False)


class _HeldLines:
    """Bytes that were read and are not told yet, in one place that is used again and again.

    A megabyte that is new each time costs more than all else that is done with it.
    """

    def __init__(self) -> None:
        self._bytes = bytearray(_BLOCK + _CHUNK)
        self.used = 0
        self.number = 1

    def add(self, chunk: bytes) -> None:
        after = self.used + len(chunk)
        if after > len(self._bytes):
            self._bytes = self._bytes[: self.used] + bytearray(len(chunk) + _BLOCK)
        self._bytes[self.used : after] = chunk
        self.used = after

    def end(self) -> int:
        """Return where the last whole line ends."""
        return self._bytes.rfind(b"\n", 0, self.used) + 1

    def view(self, end: int) -> memoryview:
        return memoryview(self._bytes)[:end]

    def pass_over(self, end: int, lines: int) -> None:
        rest = self._bytes[end : self.used]
        self._bytes[: len(rest)] = rest
        self.used = len(rest)
        self.number += lines


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

    def __init__(self, address: str, file: DataFile, part: Part = WHOLE) -> None:
        self._address = address
        self._file = file
        self._part = part
        self._hash = hashlib.sha256() if part.end is None else None
        self.cut = ""
        self.seen = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes read so far, as they stand in the file; empty of a part alone."""
        return "" if self._hash is None else self._hash.hexdigest()

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
            yield number, *lines_of(block)

    def whole_lines(self) -> Iterator[tuple[int, memoryview, Places]]:
        """Yield the lines as they stand, many at a time.

        Each time with the first one's number, and with where in the bytes their line feeds are.
        A last line without a line feed comes alone. The bytes hold until the next ones are asked
        for.
        """
        held = _HeldLines()
        for chunk in self.chunks():
            held.add(chunk)
            if held.used >= _BLOCK:
                yield from self._told(held)
        yield from self._told(held)
        if held.used:
            yield held.number, held.view(held.used), _NOWHERE

    def _told(self, held: "_HeldLines") -> Iterator[tuple[int, memoryview, Places]]:
        """Yield the whole lines that are held, if there are any, and go on to what is after."""
        end = held.end()
        block = held.view(end)
        # bytes.count takes twice as long as all else that is done here
        feeds = np.flatnonzero(np.frombuffer(block, np.uint8) == _LINE_FEED)
        if held.used - end > MAX_BODY:
            raise BulkError(
                f"{self._file.name}:{held.number + len(feeds)}: a line is longer than {MAX_BODY} "
                "bytes, which no resource is; look at the file"
            )
        if end:
            yield held.number, block, feeds
            held.pass_over(end, len(feeds))

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
            if self._part.end is not None:
                yield from self._between(stream, self._part.start, self._part.end)
                return
            first = True
            for chunk in self._unpacked(stream):
                yield chunk.removeprefix(BOM_UTF8) if first else chunk
                first = False

    def _between(self, stream: IO[bytes], start: int, end: int) -> Iterator[bytes]:
        """Yield the lines that begin between two bytes, the first of them included."""
        # the byte before tells whether a line begins at the first one
        at = max(start - 1, 0)
        stream.seek(at)
        inside = start == 0
        for chunk in self._raw(stream):
            first = 0 if inside else chunk.find(b"\n") + 1
            inside = inside or first > 0
            if at + first >= end:
                return
            last = chunk.find(b"\n", max(first, end - 1 - at)) if inside else -1
            if last >= 0:
                yield chunk[first : last + 1]
                return
            if inside:
                yield chunk[first:].removeprefix(BOM_UTF8 if at == 0 else b"")
            at += len(chunk)

    def _raw(self, stream: IO[bytes]) -> Iterator[bytes]:
        try:
            while chunk := stream.read(_PACKED_CHUNK if self._file.packing else _CHUNK):
                if self._hash is not None:
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
        """Unpack one packed member after the other; note where the last one has no end.

        What comes from a tape or a block device is filled up with zeros after the last member.
        """
        unpacker: _Unpacker | None = None
        whole = False
        for raw in self._raw(stream):
            data = raw
            while data := data.lstrip(b"\0") if whole and unpacker is None else data:
                unpacker = unpacker or self._unpacker()
                try:
                    found = unpacker.decompress(data)
                except (zlib.error, zstandard.ZstdError) as fault:
                    self.cut = f"it is damaged inside, and unreadable from there on ({fault})"
                    self._drain(stream)
                    return
                if found:
                    yield found
                whole = whole or unpacker.eof
                data = unpacker.unused_data if unpacker.eof else b""
                unpacker = None if unpacker.eof else unpacker
        if unpacker is not None:
            self.cut = f"the {self._file.packing} data ends before it is complete"
        elif not whole:
            self.cut = (
                f"it has 0 bytes, and {self._file.packing} data has some even of an empty file"
            )

    def _drain(self, stream: IO[bytes]) -> None:
        """Read on, so that the digest is one of the whole file."""
        for _ in self._raw(stream):
            pass

    def _unpacker(self) -> _Unpacker:
        if self._file.packing == "gzip":
            return zlib.decompressobj(wbits=31)
        return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
