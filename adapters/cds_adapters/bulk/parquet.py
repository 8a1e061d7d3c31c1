"""Rows become Parquet with the same bytes, however they were divided before."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
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


def join_shards(paths: Sequence[Path], target: Path) -> int:
    """Write the rows of all shards, in their order, as one file; return how many there are."""
    rows = 0
    part = target.with_suffix(".part")
    schema = pq.read_schema(paths[0])
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for group in _groups(_batches(paths), schema):
            writer.write_table(group, row_group_size=ROW_GROUP)
            rows += group.num_rows
    part.replace(target)
    return rows


def _batches(paths: Iterable[Path]) -> Iterator[pa.Table]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROW_GROUP):
                yield pa.Table.from_batches([batch])


def _groups(tables: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Cut tables anew; each is one chunk, for the pages of a file follow the chunks."""
    held = pa.Table.from_batches([], schema=schema)
    for table in tables:
        held = pa.concat_tables([held, table])
        while held.num_rows >= ROW_GROUP:
            yield held.slice(0, ROW_GROUP).combine_chunks()
            held = held.slice(ROW_GROUP)
    if held.num_rows:
        yield held.combine_chunks()


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
