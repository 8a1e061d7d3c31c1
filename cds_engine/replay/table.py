"""The decision-point table: one row for each decision, one column for each thing said of it.

Variables stand under their own names. All other names have a dot, which no variable's name can
have. The state of a variable ``x`` is ``x.state``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cds_engine.bundle.model import RuleBundle
from cds_engine.replay.engine import Decided
from cds_engine.vocabulary.kind import Kind

ColumnType = Literal["number", "boolean", "text", "texts", "instant"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; None stands for no value. Instants are microseconds since 1970 UTC."""

    type: ColumnType
    values: Sequence[Any]


Columns = dict[str, Column]


def column_type(kind: Kind | None) -> ColumnType:
    """Return the type of the column for a variable of this kind."""
    if kind is None:
        return "number"
    return "text" if kind.type == "label" else kind.type


def variable_columns(bundle: RuleBundle, decided: Decided) -> Columns:
    """Return a column for every variable, and one for its state."""
    columns: Columns = {}
    for name in bundle.variables:
        columns[name] = Column(column_type(bundle.kinds[name]), decided.values[name])
        columns[f"{name}.state"] = Column("text", decided.states[name])
    return columns


def decision_columns(prefix: str, decided: Decided) -> Columns:
    """Return the columns of the decisions, named ``prefix.outcome`` and so on."""
    return {
        f"{prefix}.outcome": Column("text", decided.outcome),
        f"{prefix}.stage": Column("text", decided.stage),
        f"{prefix}.action": Column("text", decided.action),
        f"{prefix}.candidates": Column("texts", decided.candidates),
        f"{prefix}.code": Column("text", decided.code),
        f"{prefix}.reasons": Column("texts", decided.reasons),
    }
