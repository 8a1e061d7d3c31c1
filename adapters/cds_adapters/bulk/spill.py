"""What is kept of one input file is laid out on disk by shard, and read back shard by shard."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

import msgspec
import zstandard
from msgspec import Struct

MEDICATIONS = -1
"""Stands for the shard of Medications, which belong to no patient."""

FLUSH = 32 * 2**20
"""Bytes that are held back before they are written."""

_LEVEL = 1
"""zstd's fastest level that shrinks JSON well: less is written, in less time than writing takes."""


class Piece(Struct, frozen=True, gc=False, array_like=True):
    """One resource, event or person as it waits for its shard.

    Attributes:
        patient: the id of the patient; the name of a Medication.
        data: the resource's JSON, or the msgpack of an event or person.
        kind: ``r`` a resource, ``d`` one that is known to be damaged, ``e`` an event, ``p`` a
            person.
        line, entry: where it stands in its file; the entry is -1 outside Bundles.
        full_url: the address of its entry in a Bundle.
        urls: what the addresses in its Bundle stand for; only on a patient's first piece of it.
        encounter: source of the encounter of an event.
    """

    patient: str
    data: bytes
    kind: str = "r"
    line: int = 0
    entry: int = -1
    full_url: str | None = None
    urls: Mapping[str, str] | None = None
    encounter: str = ""


Block = tuple[int, int, int]
"""Shard, offset and length of some pieces in a spill file."""


class SpillWriter:
    """Writes the pieces of one input file; nothing stands under its final name before the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_suffix(".part")
        self._stream = self._part.open("wb")
        self._held: dict[int, list[Piece]] = {}
        self._size = 0
        self._encode = msgspec.msgpack.Encoder().encode
        self._pack = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.blocks: list[Block] = []

    def add(self, shard: int, piece: Piece) -> None:
        """Add a piece to a shard."""
        self._held.setdefault(shard, []).append(piece)
        self._size += len(piece.data) + 200
        if self._size > FLUSH:
            self._flush()

    def close(self) -> None:
        """Write the rest, and give the file its name."""
        self._flush()
        self._stream.close()
        self._part.replace(self._path)

    def __enter__(self) -> "SpillWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._stream.close()
            self._part.unlink(missing_ok=True)

    def _flush(self) -> None:
        for shard, pieces in sorted(self._held.items()):
            block = self._pack(self._encode(pieces))
            self.blocks.append((shard, self._stream.tell(), len(block)))
            self._stream.write(block)
        self._held, self._size = {}, 0


_pieces = msgspec.msgpack.Decoder(list[Piece])


def read_blocks(path: Path, blocks: Iterable[Block], shard: int) -> Iterator[Piece]:
    """Yield the pieces of one shard from one spill file."""
    wanted = [block for block in blocks if block[0] == shard]
    if not wanted:
        return
    unpack = zstandard.ZstdDecompressor().decompress
    with path.open("rb") as stream:
        for _, offset, length in wanted:
            stream.seek(offset)
            yield from _pieces.decode(unpack(stream.read(length)))


def name_hash(name: str) -> int:
    """Return 64 bits that equal names share; different ones seldom do, and may."""
    data = name.encode()
    return zlib.crc32(data) << 32 | zlib.adler32(data)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all, also after a crash."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
