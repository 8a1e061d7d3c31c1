"""A wide table has the layout it is said to have, or is refused with every fault it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cds_engine.errors import CriterionError, Fault, TrajectoriesError
from cds_engine.estimate.column_roles import counted_twice, foreseen
from cds_engine.estimate.columns import (
    Bools,
    Columns,
    Floats,
    Ints,
    judged,
    missing,
    plain,
)
from cds_engine.estimate.declared_columns import as_declared
from cds_engine.estimate.rule import NO_DECISION
from cds_engine.estimate.stage import HistorySpec, StageData
from cds_engine.vocabulary.kind import Kind

if TYPE_CHECKING:
    import pandas as pd

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Roles:
    """Which column of a wide table is what.

    Attributes:
        outcome, identifier, weights: the columns that hold them.
        better: whether larger or smaller outcomes are.
        keep_missing_outcomes: whether outcomes may be missing.
        kinds: how variables are declared.
        present: stage -> yes-or-no column that says who was there; who was not has no decision,
            whatever the stage's criterion. Everybody was at a stage that is not named.
    """

    outcome: str
    identifier: str
    weights: str | None
    better: Better
    keep_missing_outcomes: bool
    kinds: Mapping[str, Kind]
    present: Mapping[str, str] = field(default_factory=dict)


class Layout(NamedTuple):
    """What a wide table holds, a row for each patient; larger outcomes are better."""

    ids: NDArray[Any]
    stages: tuple[StageData, ...]
    outcome: Floats
    weights: Floats


def read_wide(frame: "pd.DataFrame", specs: Sequence[HistorySpec], roles: Roles) -> Layout:
    """Return what the table holds.

    Raises:
        TrajectoriesError: with every fault: stage, column and count.
    """
    return _Reader(frame, roles).read(specs)


class _Reader:
    """One reading of one wide table; all faults are gathered before it gives up."""

    def __init__(self, frame: "pd.DataFrame", roles: Roles) -> None:
        self.frame = frame
        self.roles = roles
        self.sign = 1.0 if roles.better == "higher" else -1.0
        self.faults: list[Fault] = []

    def read(self, specs: Sequence[HistorySpec]) -> Layout:
        self._check_roles()
        self._check_specs(specs)
        self._check_names(specs)
        self.faults += counted_twice(specs, self.roles.outcome, long=False)
        self.faults += foreseen(specs, self.roles.outcome, self.roles.weights)
        if not len(self.frame):
            self._fault("", "the table has no row")
        self._stop()
        ids = self._ids()
        final = self._outcome()
        weights = self._weights()
        stages = [stage for spec in specs if (stage := self._stage(spec)) is not None]
        self._stop()
        total = final + sum(stage.reward for stage in stages)
        return Layout(ids, tuple(stages), total, weights)

    def _fault(self, place: str, problem: str) -> None:
        self.faults.append(Fault(place, problem))

    def _stop(self) -> None:
        if self.faults:
            raise TrajectoriesError("the table", self.faults)

    def _check_roles(self) -> None:
        if self.roles.better not in ("higher", "lower"):
            self._fault("better", f"is {self.roles.better!r}; say 'higher' or 'lower'")

    def _check_specs(self, specs: Sequence[HistorySpec]) -> None:
        if not specs:
            self._fault("", "no stage is declared; give one HistorySpec for each")
        for name in _repeated([spec.stage for spec in specs]):
            self._fault(name, "two stages have this name; stages must differ")
        for spec in specs:
            if len(spec.actions) < 1 or _repeated(spec.actions):
                self._fault(spec.stage, "its actions must be named, each once")
            for name in _repeated(spec.variables):
                self._fault(f"{spec.stage}.{name}", "the variable is named twice; name it once")
            for name in sorted({*spec.feasible, *(spec.randomised or {})} - {*spec.actions}):
                self._fault(spec.stage, f"{name!r} is none of its actions; they are "
                            + ", ".join(spec.actions))  # fmt: skip

    def _check_names(self, specs: Sequence[HistorySpec]) -> None:
        named = [self.roles.outcome, self.roles.identifier, *filter(None, [self.roles.weights])]
        wanted = {name: name for name in named}
        for spec in specs:
            columns = [spec.columns.get(variable, variable) for variable in spec.variables]
            for name in (*columns, spec.action_column, *filter(None, [spec.reward])):
                wanted[f"{spec.stage}.{name}"] = name
        held = [str(name) for name in self.frame.columns]
        for name in _repeated([one for one in held if one in set(wanted.values())]):
            self._fault(name, f"{held.count(name)} columns have this name; keep one of them")
        some = ", ".join(held[:12]) + (" ..." if len(held) > 12 else "")
        for place, name in wanted.items():
            if name not in self.frame:
                self._fault(place, f"the table has no such column; it has {some}")

    def _ids(self) -> NDArray[Any]:
        values = self.frame[self.roles.identifier]
        if gone := int(values.isna().sum()):
            self._fault(
                self.roles.identifier, f"{gone} rows have no identifier; give each patient one"
            )
        # as text, since 1 and "1" are one patient wherever identifiers are sorted or written
        if double := int(values.dropna().astype(str).duplicated().sum()):
            self._fault(
                self.roles.identifier,
                f"{double} rows repeat an identifier, compared as text; a wide table has one row "
                "for each patient (is it a long one?)",
            )
        return values.to_numpy(dtype=object)

    def _plain(self, name: str, place: str) -> NDArray[Any] | None:
        if np.issubdtype(getattr(self.frame[name].dtype, "type", object), np.complexfloating):
            self._fault(place, "holds complex numbers; give real ones")
            return None
        return plain(self.frame[name])

    def _numbers(self, name: str, place: str) -> Floats | None:
        values = self._plain(name, place)
        if values is None:
            return None
        if values.dtype == object:
            self._fault(place, "must hold numbers, holds text")
            return None
        numbers = values.astype(np.float64)
        if wild := int(np.isinf(numbers).sum()):
            self._fault(place, f"{wild} values are infinite; correct them or mark them missing")
        return numbers

    def _outcome(self) -> Floats:
        name = self.roles.outcome
        numbers = self._numbers(name, name)
        if numbers is None:
            return np.zeros(len(self.frame))
        gone = int(np.isnan(numbers).sum())
        if gone == len(numbers):
            self._fault(name, f"the outcome is missing in every one of {gone} rows")
        elif gone and not self.roles.keep_missing_outcomes:
            self._fault(
                name,
                f"the outcome is missing in {gone} of {len(numbers)} rows; complete it, or keep "
                "them (missing_outcomes='keep') to weight",
            )
        return self.sign * numbers + 0.0

    def _weights(self) -> Floats:
        name = self.roles.weights
        numbers = None if name is None else self._numbers(name, name)
        if name is None or numbers is None:
            return np.ones(len(self.frame))
        if bad := int(np.count_nonzero(~(numbers >= 0))):
            self._fault(name, f"{bad} sample weights are missing or negative; correct them")
        elif not (numbers > 0).any():
            self._fault(name, f"all {len(numbers)} sample weights are 0; somebody must count")
        return numbers

    def _stage(self, spec: HistorySpec) -> StageData | None:
        before = len(self.faults)
        columns = self._columns(spec)
        action = self._actions(spec)
        if columns is None:
            return None
        decided = self._decided(spec, columns, action)
        self._check_columns(spec, columns, decided)
        feasible = self._feasible(spec, columns, decided)
        reward = self._reward(spec)
        if len(self.faults) > before or decided is None or feasible is None:
            return None
        places = np.where(decided, action, NO_DECISION).astype(np.intp)
        self._check_actions(spec, places, decided, feasible)
        known = None if spec.randomised is None else self._shares(spec, feasible)
        return StageData(
            spec=spec, columns=columns, decided=decided, action=places, feasible=feasible,
            reward=reward, propensity=known,
        )  # fmt: skip

    def _columns(self, spec: HistorySpec) -> Columns | None:
        """Return the history as it is declared; None, with faults, where it is not."""
        before = len(self.faults)
        held: dict[str, NDArray[Any]] = {}
        for name in spec.variables:
            column = spec.columns.get(name, name)
            values = self._plain(column, f"{spec.stage}.{column}")
            if values is not None and name in self.roles.kinds:
                values, problem = as_declared(
                    values, self.roles.kinds[name], examples=column != self.roles.identifier
                )
                if problem:
                    self._fault(f"{spec.stage}.{column}", problem)
            if values is not None:
                held[name] = values
        return held if len(self.faults) == before else None

    def _actions(self, spec: HistorySpec) -> Ints:
        labels = self.frame[spec.action_column].astype(object)
        places = labels.map({name: at for at, name in enumerate(spec.actions)})
        strange = labels[labels.notna() & places.isna()]
        if len(strange):
            found = ", ".join(sorted({repr(one) for one in strange})[:5])
            self._fault(
                f"{spec.stage}.{spec.action_column}",
                f"{len(strange)} rows hold an action that the stage does not have ({found}); it "
                f"has {', '.join(spec.actions)}",
            )
        return places.fillna(NO_DECISION).to_numpy(dtype=np.int64).astype(np.intp)

    def _decided(self, spec: HistorySpec, columns: Columns, action: Ints) -> Bools | None:
        if spec.when is None:
            taken: Bools = action != NO_DECISION
            return taken
        found = self._judged(spec, "when", spec.when, columns)
        if found is None:
            return None
        decided, unknown = found
        if spec.stage in self.roles.present:
            unknown = unknown & self.frame[self.roles.present[spec.stage]].to_numpy(dtype=np.bool_)
        if doubtful := int(np.count_nonzero(unknown)):
            self._fault(
                f"{spec.stage}.when",
                f"in {doubtful} rows a missing value leaves open whether there is a decision "
                f"({spec.when}); complete it",
            )
        place = f"{spec.stage}.{spec.action_column}"
        known = self.frame[spec.action_column].notna().to_numpy(dtype=np.bool_)
        if gone := int(np.count_nonzero(decided & ~known)):
            self._fault(place, f"{gone} rows have a decision here ({spec.when}) but no action")
        if extra := int(np.count_nonzero(~decided & ~unknown & known)):
            self._fault(place, f"{extra} rows hold an action but have no decision ({spec.when})")
        return decided

    def _check_columns(self, spec: HistorySpec, columns: Columns, decided: Bools | None) -> None:
        here = np.ones(len(self.frame), dtype=np.bool_) if decided is None else decided
        for name, values in columns.items():
            if gone := int(np.count_nonzero(missing(values) & here)):
                self._fault(
                    f"{spec.stage}.{name}",
                    f"missing in {gone} of {int(here.sum())} rows that have a decision; complete "
                    "it, or leave the variable out",
                )
            if values.dtype == np.float64 and (wild := int(np.isinf(values).sum())):
                self._fault(f"{spec.stage}.{name}", f"{wild} values are infinite; correct them")

    def _feasible(self, spec: HistorySpec, columns: Columns, decided: Bools | None) -> Bools | None:
        if decided is None:
            return None
        feasible = np.repeat(decided[:, None], len(spec.actions), axis=1)
        for name, text in spec.feasible.items():
            found = self._judged(spec, f"feasible.{name}", text, columns)
            if found is None:
                return None
            feasible[:, spec.place(name)] &= found[0]
        if none := int(np.count_nonzero(decided & ~feasible.any(axis=1))):
            self._fault(spec.stage, f"no action is feasible in {none} rows that have a decision; "
                        "correct the criteria of its actions")  # fmt: skip
        return feasible

    def _check_actions(
        self, spec: HistorySpec, action: Ints, decided: Bools, feasible: Bools
    ) -> None:
        place = f"{spec.stage}.{spec.action_column}"
        rows = np.flatnonzero(decided & (action != NO_DECISION))
        if not decided.any():
            self._fault(spec.stage, "nobody has a decision at this stage; leave the stage out")
            return
        outside = ~feasible[rows, action[rows]]
        if outside.any():
            names = sorted({spec.actions[at] for at in action[rows][outside]})
            self._fault(place, f"{int(outside.sum())} rows hold an action that is not feasible for "
                        f"them ({', '.join(names)}); correct the criterion or rows")  # fmt: skip
        for at, name in enumerate(spec.actions):
            if not (action == at).any():
                self._fault(place, f"none of {len(rows)} rows took {name!r}, so nothing can be "
                            "learned of it; leave the action out")  # fmt: skip

    def _shares(self, spec: HistorySpec, feasible: Bools) -> Floats:
        odds = np.array([float((spec.randomised or {}).get(name, 0)) for name in spec.actions])
        if not ((odds > 0) & np.isfinite(odds)).all():
            self._fault(spec.stage, "every action needs a probability above 0 by design")
            return np.zeros(feasible.shape)
        shares = feasible * odds
        total = shares.sum(axis=1, keepdims=True)
        known: Floats = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
        return known

    def _reward(self, spec: HistorySpec) -> Floats:
        if spec.reward is None:
            return np.zeros(len(self.frame))
        place = f"{spec.stage}.{spec.reward}"
        numbers = self._numbers(spec.reward, place)
        if numbers is None:
            return np.zeros(len(self.frame))
        if gone := int(np.isnan(numbers).sum()):
            self._fault(place, f"the reward is missing in {gone} rows; complete it")
        return self.sign * numbers + 0.0

    def _judged(
        self, spec: HistorySpec, what: str, text: str, columns: Columns
    ) -> tuple[Bools, Bools] | None:
        try:
            return judged(text, columns, len(self.frame), self.roles.kinds)
        except CriterionError as error:
            self._fault(f"{spec.stage}.{what}", str(error))
            return None


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
