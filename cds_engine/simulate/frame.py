"""A draw as a table: one row a patient, and nothing in it that the records do not hold."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from numpy.typing import NDArray


def to_frame(ids: NDArray[Any], columns: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """Return the columns as a pandas table whose first column is ``id``."""
    return pd.DataFrame(
        {
            name: pd.Series(values, dtype=values.dtype)
            for name, values in (("id", ids), *columns.items())
        }
    )
