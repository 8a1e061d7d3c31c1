"""Medications belong to no patient: they lie in one file, and an index finds them by their name."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from cds_adapters.bulk.spill import MEDICATIONS, Block, Piece, name_hash, read_blocks

_INDEX = np.dtype([("name", np.uint64), ("offset", np.uint64), ("length", np.uint64)])

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Piece).decode


def lay_out(spills: Iterable[tuple[Path, list[Block]]], work: Path) -> None:
    """Write all Medications of an export into one file, with an index beside it."""
    rows: list[tuple[int, int, int]] = []
    part = work / "medications.part"
    with part.open("wb") as stream:
        for path, blocks in spills:
            for laid in read_blocks(path, blocks, MEDICATIONS):
                for piece in laid.pieces:
                    data = _encode(piece)
                    rows.append((name_hash(piece.patient), stream.tell(), len(data)))
                    stream.write(data)
    with (work / "medications.index").open("wb") as target:
        np.save(target, np.sort(np.array(rows, dtype=_INDEX), order="name"))
    part.replace(work / "medications")


class Medications:
    """Finds Medications by name; memory holds what is asked for and no more."""

    def __init__(self, work: Path) -> None:
        self._path = work / "medications"
        index = work / "medications.index"
        # an empty file cannot be mapped
        mode = "r" if index.stat().st_size > 4096 else None
        self._index = np.load(index, mmap_mode=mode, allow_pickle=False)  # type: ignore[arg-type]

    def find(self, names: Iterable[str]) -> Iterator[Piece]:
        """Yield every copy of the Medications of these names (``Medication/1``)."""
        if not self._index.size:
            return
        with self._path.open("rb") as stream:
            for name in names:
                wanted = np.uint64(name_hash(name))
                first, last = (
                    int(np.searchsorted(self._index["name"], wanted, side))
                    for side in ("left", "right")
                )
                for row in self._index[first:last]:
                    stream.seek(int(row["offset"]))
                    piece = _decode(stream.read(int(row["length"])))
                    if piece.patient == name:
                        yield piece
