"""What is kept of one input file is laid out on disk by shard, and read back shard by shard."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import msgspec
import zstandard
from msgspec import Struct

MEDICATIONS = -1
"""Stands for the shard of Medications, which belong to no patient."""

FLUSH = 32 * 2**20
"""Bytes that are held back before they are written."""

_ABOUT = 200
"""Bytes that stand for what is held besides the data itself."""

_LEVEL = 1
"""zstd's fastest level that shrinks JSON well: less is written, in less time than writing takes."""


class Piece(Struct, frozen=True, gc=False, array_like=True):
    """One resource, event or person as it waits for its shard.

    Attributes:
        patient: the id of the patient; the name of a Medication.
        data: the resource's JSON, or the msgpack of an event, a person or what is lost.
        kind: ``r`` a resource, ``d`` one that is known to be damaged, ``e`` an event, ``p`` a
            person, ``g`` the gap that a row leaves which cannot be used.
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


class Laid(Struct, frozen=True, gc=False, array_like=True):
    """What one block holds of one shard.

    Attributes:
        pieces: what needs words of its own.
        text: resources on lines, of which nothing else is to be said.
        patients, numbers: whose each of these lines is, and its number in the file.
    """

    pieces: list[Piece] = []
    text: bytes = b""
    patients: list[str] = []
    numbers: list[int] = []


class _Held:
    """What is held back of one shard."""

    __slots__ = ("lines", "numbers", "patients", "pieces")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.lines: list[bytes] = []
        self.patients: list[str] = []
        self.numbers: list[int] = []

    def laid(self) -> Laid:
        return Laid(self.pieces, b"\n".join(self.lines), self.patients, self.numbers)


Block = tuple[int, int, int]
"""Shard, offset and length of some pieces in a spill file."""


class SpillWriter:
    """Writes the pieces of one input file; nothing stands under its final name before the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_suffix(".part")
        self._stream = self._part.open("wb")
        self._held: defaultdict[int, _Held] = defaultdict(_Held)
        self._size = 0
        self._encode = msgspec.msgpack.Encoder().encode
        self._pack = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.blocks: list[Block] = []

    def add(self, shard: int, piece: Piece) -> None:
        """Add a piece to a shard."""
        self._held[shard].pieces.append(piece)
        self._count(len(piece.data) + _ABOUT)

    def add_lines(
        self,
        shards: Iterable[int],
        patients: Iterable[str],
        numbers: Iterable[int],
        lines: Sequence[bytes],
    ) -> None:
        """Add lines of a file, each to its shard, which say by themselves all there is to say."""
        held = self._held
        for shard, patient, number, line in zip(shards, patients, numbers, lines, strict=True):
            mine = held[shard]
            mine.lines.append(line)
            mine.patients.append(patient)
            mine.numbers.append(number)
        self._count(sum(map(len, lines)) + _ABOUT * len(lines))

    def _count(self, size: int) -> None:
        self._size += size
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
        for shard in sorted(self._held):
            block = self._pack(self._encode(self._held[shard].laid()))
            self.blocks.append((shard, self._stream.tell(), len(block)))
            self._stream.write(block)
        self._held.clear()
        self._size = 0


_laid = msgspec.msgpack.Decoder(Laid)


def read_blocks(path: Path, blocks: Iterable[Block], shard: int) -> Iterator[Laid]:
    """Yield what one spill file holds of one shard."""
    wanted = [block for block in blocks if block[0] == shard]
    if not wanted:
        return
    unpack = zstandard.ZstdDecompressor().decompress
    with path.open("rb") as stream:
        for _, offset, length in wanted:
            stream.seek(offset)
            yield _laid.decode(unpack(stream.read(length)))


def name_hash(name: str) -> int:
    """Return 64 bits that equal names share; different ones seldom do, and may."""
    data = name.encode()
    return zlib.crc32(data) << 32 | zlib.adler32(data)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all, also after a crash."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
