"""An array that is made of bytes is the one that Arrow makes of the objects."""

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest
from builders.command_line import environment
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.bulk.arrow import TYPES, array_of
from cds_engine.replay.table import Column, ColumnType

_TEXT = st.text(max_size=5)
_VALUES: dict[ColumnType, st.SearchStrategy[Any]] = {
    "number": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "text": _TEXT,
    "texts": st.lists(_TEXT, max_size=3) | st.lists(_TEXT, max_size=3).map(tuple),
    "instant": st.integers(-(2**60), 2**60),
}


@pytest.mark.parametrize("kind", _VALUES)
@given(data=st.data())
def test_an_array_is_what_arrow_makes_of_the_values(kind: ColumnType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | _VALUES[kind], max_size=20))
    made = array_of(Column(kind, values))
    made.validate(full=True)
    assert made.equals(pa.array(values, type=TYPES[kind]))


_IMPORTED = """
import sys
from pathlib import Path
from cds_adapters.bulk.parquet import JoinedShards, write_shard
from cds_engine.replay.table import Column
write_shard(Path(sys.argv[1], "a.parquet"), {"x": Column("text", ["a", None])})
joined = JoinedShards([Path(sys.argv[1], "a.parquet")], Path(sys.argv[1], "b.part"))
joined.add([0])
joined.finish(Path(sys.argv[1], "b.parquet"))
print("pandas" in sys.modules)
"""


def test_no_process_of_a_replay_imports_pandas_to_write_rows(tmp_path: Any) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _IMPORTED, str(tmp_path)],
        check=True, capture_output=True, text=True, env=environment(),
    )  # fmt: skip
    assert found.stdout.strip() == "False"
