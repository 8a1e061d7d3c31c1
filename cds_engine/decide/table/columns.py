"""A table holds one column per variable and one row per history; a value is there or is missing.

Numbers arrive rounded to their variable's digits, as they are in a history.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cds_engine.bundle.model import RuleBundle
from cds_engine.errors import TableError
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.rounding import NEAR_HALF, WIDE, rounded
from cds_engine.vocabulary.value import NONE, Scalar, Span, State

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one variable, a row each.

    Attributes:
        values: float64 for a number, bool for yes or no, whole numbers for a label: the place of
            each row's label in ``categories``. What stands in a missing row does not count.
        missing: True where there is no value; None where nothing is missing.
        categories: the labels; empty for numbers and for yes or no.
        spans: row -> the span that its number is known to lie in, for the few rows where no
            exact value is known. What stands in such a row of ``values`` does not count.
    """

    values: NDArray[Any]
    missing: Bools | None = None
    categories: tuple[str, ...] = ()
    spans: Mapping[int, Span] = field(default_factory=dict)

    def at(self, row: int) -> Scalar | None:
        """Return one value as a history holds it."""
        if row in self.spans:
            return self.spans[row]
        if self.missing is not None and self.missing[row]:
            return None
        if self.categories:
            return self.categories[int(self.values[row])]
        value: Scalar = self.values[row].item()
        return value


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one length; a variable without a column is missing in every row.

    Attributes:
        columns: variable -> column; only variables that are not derived.
        deceased: True where the patient had died; None where nobody had.
    """

    columns: Mapping[str, Column]
    rows: int
    deceased: Bools | None = None

    @classmethod
    def from_states(
        cls, bundle: RuleBundle, states: Sequence[State], deceased: Sequence[bool] | None = None
    ) -> "Table":
        """Lay histories out as columns."""
        columns = {
            name: _column(bundle.kinds[name], [state.get(name) for state in states])
            for name in bundle.base_variables
        }
        died = None if deceased is None else np.array(deceased, dtype=np.bool_)
        return cls(columns, len(states), died)

    def state(self, row: int) -> dict[str, Scalar | None]:
        """Return one row as a history holds it."""
        return {name: column.at(row) for name, column in self.columns.items()}

    def check(self, bundle: RuleBundle) -> None:
        """Refuse columns that do not fit the rule bundle.

        Raises:
            TableError: names every column that does not fit, and why.
        """
        known = bundle.base_variables
        problems = [f"{name}: the rule bundle reads no such variable from a record"
                    for name in self.columns if name not in known]  # fmt: skip
        for name in known:
            if name in self.columns:
                found = _column_problems(bundle.kinds[name], self.columns[name], self.rows)
                problems += [f"{name}: {problem}" for problem in found]
        if self.deceased is not None and not _is_mask(self.deceased, self.rows):
            problems.append(f"deceased: must be {self.rows} truth values (dtype bool)")
        if problems:
            raise TableError(f"the table does not fit {bundle.identity}: " + "; ".join(problems))


def quantise(values: Floats, digits: int) -> Floats:
    """Round every number to ``digits`` decimals exactly as ``rounding.rounded`` does.

    ``values * 10**digits`` is off by less than one part in 2**52. Unless that could carry it over
    a half, its nearest whole number is the right one, and dividing gives the float nearest to the
    rounded decimal. The few numbers that lie so near to a half are rounded one by one.

    >>> quantise(np.array([2.675, 0.125, -0.5]), 2).tolist()
    [2.68, 0.13, -0.5]
    """
    scale = 10.0**digits
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * scale
        nearest = np.rint(scaled)
        from_half = np.abs(np.abs(scaled - nearest) - 0.5)
        if digits == 0:  # a half is a float itself, so what lies beside one is beside it
            return np.where(from_half == 0.0, scaled + np.copysign(0.5, scaled), nearest) + 0.0
        size = np.abs(scaled)
        doubtful = ~(from_half > size * NEAR_HALF) | ~(size < WIDE)
    result: Floats = nearest / scale + 0.0
    for at in np.flatnonzero(doubtful):
        result[at] = rounded(float(values[at]), digits)
    return result


def _column(kind: Kind, values: Sequence[Scalar | None]) -> Column:
    missing = np.array([value is None for value in values], dtype=np.bool_)
    mask = missing if missing.any() else None
    if kind.type == "boolean":
        return Column(np.array([bool(value) for value in values], dtype=np.bool_), mask)
    if kind.type == "label":
        labels = sorted({str(v) for v in values if v is not None} | (kind.labels or {NONE}))
        place = {label: at for at, label in enumerate(labels)}
        codes = [0 if value is None else place[str(value)] for value in values]
        size = np.min_scalar_type(len(labels))
        return Column(np.array(codes, dtype=size), mask, tuple(labels))
    spans = {row: value for row, value in enumerate(values) if isinstance(value, Span)}
    numbers = [0.0 if v is None or isinstance(v, Span) else float(v) for v in values]
    return Column(np.array(numbers, dtype=np.float64), mask, spans=spans)


def _column_problems(kind: Kind, column: Column, rows: int) -> Iterator[str]:
    values, missing = column.values, column.missing
    if values.shape != (rows,):
        yield f"must have {rows} rows, has the shape {values.shape}"
        return
    if missing is not None and not _is_mask(missing, rows):
        yield f"`missing` must be {rows} truth values (dtype bool)"
        return
    if any(not 0 <= row < rows for row in column.spans):
        yield "a span stands in a row that the table does not have"
    wanted = {"number": "f", "boolean": "b", "label": "iu"}[kind.type]
    if values.dtype.kind not in wanted or (kind.type == "number" and values.dtype.itemsize != 8):
        words = {"number": "float64", "boolean": "bool", "label": "whole numbers (codes)"}
        yield f"is a {kind.type}, so its values must be {words[kind.type]}, not {values.dtype}"
    elif kind.type == "label":
        yield from _code_problems(column)
    elif kind.type == "number" and not _there(column, np.isfinite(values)).all():
        yield "holds NaN or an infinity in a row that is not marked missing; mark it"
    if column.spans and kind.type != "number":
        yield "has spans, but only a number can be known as a span"
    if column.categories and kind.type != "label":
        yield f"has categories, but is a {kind.type}"


def _code_problems(column: Column) -> Iterator[str]:
    if not column.categories:
        yield "is a label, so it needs `categories`"
    inside = (column.values >= 0) & (column.values < len(column.categories))
    if not _there(column, inside).all():
        yield f"holds codes outside its {len(column.categories)} categories"


def _there(column: Column, fine: Bools) -> Bools:
    """Return the mask with missing rows and spans excused."""
    found = fine if column.missing is None else fine | column.missing
    if column.spans and not found.all():
        found = found.copy()
        found[list(column.spans)] = True
    return found


def _is_mask(mask: NDArray[Any], rows: int) -> bool:
    return bool(mask.dtype == np.bool_ and mask.shape == (rows,))
