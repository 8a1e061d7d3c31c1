"""Rows become Parquet with the same bytes, however they were divided before."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cds_adapters.bulk.arrow import TYPES, array_of
from cds_engine.replay.table import Columns

ROW_GROUP = 16_384
"""Rows of a row group; the last one has what is left."""


def to_arrow(columns: Columns) -> pa.Table:
    """Return columns as an Arrow table."""
    schema = pa.schema([(name, TYPES[column.type]) for name, column in columns.items()])
    return pa.Table.from_arrays([array_of(column) for column in columns.values()], schema=schema)


def write_shard(path: Path, columns: Columns) -> None:
    """Write the rows of one shard; the file is there as a whole or not at all."""
    part = path.with_suffix(".part")
    pq.write_table(to_arrow(columns), part, compression="lz4")
    part.replace(path)


class JoinedShards:
    """One file of the rows of all shards, in their order; each is added as soon as it can be.

    Joining goes on while other processes still decide, and leaves little for the end.
    """

    def __init__(self, paths: Sequence[Path], part: Path) -> None:
        """Begin a file.

        Args:
            paths: of the shards, in their order; a file need not be there before it is added.
            part: where the file grows until it has its name.
        """
        self._left = list(enumerate(paths))[::-1]
        self._part = part
        self._there: set[int] = set()
        self._written: _Groups | None = None

    def add(self, shards: Iterable[int]) -> None:
        """Add shards that are there; those that come after one that is not, wait for it."""
        self._there.update(shards)
        while self._left and self._left[-1][0] in self._there:
            _, path = self._left.pop()
            with pq.ParquetFile(path) as file:
                if self._written is None:
                    self._written = _Groups(self._part, file.schema_arrow)
                for batch in file.iter_batches(ROW_GROUP):
                    self._written.add(batch)

    def finish(self, target: Path) -> int:
        """Write the rest, and give the file its name; return how many rows it has."""
        if self._left or self._written is None:
            raise ValueError(f"{len(self._left)} shards are not there yet")
        rows = self._written.close()
        self._part.replace(target)
        return rows


class _Groups:
    """A Parquet file in row groups of one size, each of them one chunk.

    The pages of a file follow the chunks, and they must not tell how the rows came.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        # Schema.empty_table would import pandas, which takes half a second
        self._held = pa.Table.from_batches([], schema=schema)
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        held = pa.concat_tables([self._held, pa.Table.from_batches([batch])])
        while held.num_rows >= ROW_GROUP:
            self._write(held.slice(0, ROW_GROUP))
            held = held.slice(ROW_GROUP)
        self._held = held

    def close(self) -> int:
        """Write the rest; return how many rows there are."""
        if self._held.num_rows:
            self._write(self._held)
        self._writer.close()
        return self._rows

    def _write(self, rows: pa.Table) -> None:
        self._writer.write_table(rows.combine_chunks(), row_group_size=ROW_GROUP)
        self._rows += rows.num_rows


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
