"""A column of a trial or cohort table holds numbers, yes or no, or labels; never a mixture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cds_engine.criteria.parse import parse_criterion
from cds_engine.decide.table import Column, Table, where
from cds_engine.vocabulary.kind import Kind

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]
Columns = Mapping[str, NDArray[Any]]
"""Variable -> values, all of one length: float64 (NaN is missing), bool, or object for labels
(None is missing)."""


def plain(values: "pd.Series[Any] | NDArray[Any]") -> NDArray[Any]:
    """Return a column as float64, bool or object, whatever pandas calls it."""
    series = pd.Series(values)
    if pd.api.types.is_bool_dtype(series.dtype) and not series.isna().any():
        return series.to_numpy(dtype=np.bool_)
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    held = series.dropna()
    if len(held) and held.map(lambda one: isinstance(one, bool | np.bool_)).all():
        if len(held) == len(series):
            return series.to_numpy(dtype=np.bool_)
        return series.astype("float64").to_numpy()
    labels = series.astype(object)
    return labels.where(series.notna(), None).to_numpy(dtype=object)


def missing(values: NDArray[Any]) -> Bools:
    """Return where a column has no value."""
    if values.dtype == np.bool_:
        return np.zeros(len(values), dtype=np.bool_)
    return np.asarray(pd.isna(values), dtype=np.bool_)


def kind_of(values: NDArray[Any], name: str) -> Kind:
    """Return the kind that a column is of; numbers compare with six decimals."""
    if values.dtype == np.bool_:
        return Kind("boolean", name)
    if values.dtype == np.float64:
        return Kind("number", name, digits=6)
    return Kind("label", name)


def holds(text: str, columns: Columns, rows: int, kinds: Mapping[str, Kind] | None = None) -> Bools:
    """Return where a criterion definitely holds; see ``judged``.

    Raises:
        CriterionError: if the criterion cannot be read or names something that is not there.
    """
    return judged(text, columns, rows, kinds)[0]


def judged(
    text: str, columns: Columns, rows: int, kinds: Mapping[str, Kind] | None = None
) -> tuple[Bools, Bools]:
    """Return where a criterion definitely holds, and where a missing value leaves it unknown.

    Args:
        text: a criterion over the columns' names, such as ``not responder and egfr >= 45``.
        columns: the values.
        rows: how many there are.
        kinds: how the variables are declared where they are; else taken from the columns.

    Raises:
        CriterionError: if the criterion cannot be read or names something that is not there.
    """
    known = {name: (kinds or {}).get(name) or kind_of(v, name) for name, v in columns.items()}
    criterion = parse_criterion(text, known)
    wanted = {name: as_column(columns[name], known[name]) for name in criterion.names()}
    true, possible = where(criterion, Table(wanted, rows))
    return true, possible & ~true


def listed(names: Sequence[str], most: int = 5, *, separator: str = ", ") -> str:
    """Return names for a message; of many the first and how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = len(names) - most
    return separator.join(names[:most]) + (f" and {more} more" if more > 0 else "")


def as_column(values: NDArray[Any], kind: Kind) -> Column:
    """Return a column as the table evaluator holds it."""
    gone = missing(values)
    mask = gone if gone.any() else None
    if kind.type == "label":
        places, labels = pd.factorize(pd.Series(values, dtype=object))
        names = tuple(map(str, labels)) or ("none",)
        return Column(np.maximum(places, 0).astype(np.int64), mask, names)
    if kind.type == "boolean":
        return Column(np.where(gone, 0, values).astype(np.bool_), mask)
    return Column(np.where(gone, 0.0, values.astype(np.float64)), mask)
