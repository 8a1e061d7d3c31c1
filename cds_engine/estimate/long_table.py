"""A long table becomes a wide one: a column for each stage, under ``<column>@<stage>``."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from cds_engine.errors import Fault, TrajectoriesError
from cds_engine.estimate.column_roles import counted_twice, not_before
from cds_engine.estimate.near_names import did_you_mean
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.study import STAGE


class Widened(NamedTuple):
    """A long table as a wide one.

    Attributes:
        frame: one row a patient.
        specs: the specifications with its columns.
        present: stage -> column that says who has a row of the stage.
    """

    frame: "pd.DataFrame"
    specs: list[HistorySpec]
    present: dict[str, str]


def widened(
    frame: "pd.DataFrame", specs: Sequence[HistorySpec], *, outcome: str, stage: str,
    identifier: str, action: str, weights: str | None = None,
) -> Widened:  # fmt: skip
    """Return one row a patient, and the specifications with the wide table's columns.

    Raises:
        TrajectoriesError: if a column is not there, counts twice or holds what comes later, or
            rows are of no stage, twice of one, or of nobody.
    """
    rewards = [(spec.stage, spec.reward) for spec in specs if spec.reward is not None]
    wanted = [("", name) for name in (identifier, stage, action, outcome, weights) if name]
    # what an earlier stage held, <column>@<stage>, is looked for in the wide table
    wanted += [
        (spec.stage, column)
        for spec in specs
        for variable in spec.variables
        if "@" not in (column := spec.columns.get(variable, variable))
    ]
    faults = [
        Fault(f"{at}.{name}" if at else name,
              _lacks(stage, at, name, rewards) + did_you_mean(name, frame.columns))
        for at, name in wanted + rewards if name not in frame
    ]  # fmt: skip
    faults += counted_twice(specs, outcome, long=True)
    faults += _foreseen(specs, action, weights)
    if faults:
        raise TrajectoriesError("the table", faults)
    at = _places(frame, specs, stage, identifier)
    tidy = frame.assign(**{_AT: at.astype(int)}).sort_values(_AT, kind="stable")
    groups = tidy.groupby(identifier, sort=False)
    wide = pd.DataFrame(index=pd.Index(pd.unique(frame[identifier]), name=identifier))
    # of the last row as it stands: what an earlier stage held is no outcome where this is missing
    latest = tidy.drop_duplicates(identifier, keep="last").set_index(identifier)
    wide[outcome] = latest[outcome].reindex(wide.index)
    if weights is not None:
        wide[weights] = _constant(groups[weights], weights)
    known = [name for name in frame.columns if name not in {identifier, stage, action, outcome}]
    renamed, present = [], {}
    for place, spec in enumerate(specs):
        upto = tidy[tidy[_AT] <= place].groupby(identifier, sort=False)[known].last()
        here = tidy[tidy[_AT] == place].set_index(identifier)
        for column in known:
            wide[f"{column}@{spec.stage}"] = upto[column].reindex(wide.index)
        present[spec.stage] = f"{_ROW}@{spec.stage}"
        wide[present[spec.stage]] = wide.index.isin(here.index)
        wide[f"{action}@{spec.stage}"] = here[action].reindex(wide.index)
        if spec.reward is not None:
            # who has no row at a stage had nothing to gain there; who has one must say what
            absent = ~wide.index.isin(here.index)
            gained = here[spec.reward].reindex(wide.index)
            wide[f"{spec.reward}@{spec.stage}"] = gained.mask(absent, 0.0)
        renamed.append(_renamed(spec, set(known), action))
    return Widened(wide.reset_index(), renamed, present)


def _lacks(stage: str, at: str, name: str, rewards: Sequence[tuple[str, str]]) -> str:
    """Say that a table has no such column; of a replay's table, how it comes to have one."""
    if stage != STAGE:
        return "the long table has no such column; name the one that it has"
    if not at or (at, name) in rewards:
        return "the table of decisions has no such column; name the one that it has"
    return (
        "the table of decisions has no such column, as the rule bundle that it was made with "
        "declares no variable of this name; declare it there and run cohort again, or name a "
        "column that it has"
    )


_AT = "place of the stage"
_ROW = "has a row"


def _foreseen(specs: Sequence[HistorySpec], action: str, weights: str | None) -> Iterator[Fault]:
    """Yield faults that the columns' new names would hide."""
    for at, spec in enumerate(specs):
        later = [one.stage for one in specs[at + 1 :]]
        for variable in spec.variables:
            column = spec.columns.get(variable, variable)
            name, _, stage = column.partition("@")
            if column == action:
                yield not_before(spec.stage, column, f"the action of stage {spec.stage}")
            elif weights is not None and name == weights:
                yield not_before(spec.stage, column, "the sample weights")
            elif stage in later and name != action:
                yield not_before(spec.stage, column, f"of the later stage {stage}")


def _renamed(spec: HistorySpec, known: set[str], action: str) -> HistorySpec:
    named = {variable: spec.columns.get(variable, variable) for variable in spec.variables}
    columns = {
        variable: f"{column}@{spec.stage}" if column in known else column
        for variable, column in named.items()
    }
    reward = None if spec.reward is None else f"{spec.reward}@{spec.stage}"
    return replace(spec, columns=columns, action=f"{action}@{spec.stage}", reward=reward)


def _places(
    frame: "pd.DataFrame", specs: Sequence[HistorySpec], stage: str, identifier: str
) -> "pd.Series[float]":
    order = {spec.stage: at for at, spec in enumerate(specs)}
    at = frame[stage].map(lambda one: order.get(str(one), _number(one, len(specs))))
    faults = []
    if unknown := int(at.isna().sum()):
        names = ", ".join(order)
        faults.append(Fault(stage, f"{unknown} rows are of no declared stage ({names})"))
    known = frame.assign(**{_AT: at})[at.notna()]
    if double := int(known.duplicated([identifier, _AT]).sum()):
        faults.append(Fault(stage, f"{double} rows repeat a patient's stage; keep one of each"))
    if gone := int(frame[identifier].isna().sum()):
        faults.append(Fault(identifier, f"{gone} rows have no identifier; give each patient one"))
    if faults:
        raise TrajectoriesError("the table", faults)
    return at.astype(float)


def _number(value: object, count: int) -> float:
    number = pd.to_numeric(str(value), errors="coerce")
    return float(number) - 1 if number in range(1, count + 1) else float("nan")


def _constant(groups: Any, name: str) -> Any:
    if varying := int((groups.nunique() > 1).sum()):
        raise TrajectoriesError("the table", [Fault(
            name, f"{varying} patients have rows with different weights; give each patient one"
        )])  # fmt: skip
    return groups.last()
