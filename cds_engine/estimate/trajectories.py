"""Trajectories are a trial or a cohort after its layout was checked: what every estimator reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cds_engine.errors import CriterionError, EstimationError, Fault, TrajectoriesError
from cds_engine.estimate.columns import Bools, Columns, Floats, Ints, holds, missing, plain
from cds_engine.estimate.rule import NO_DECISION
from cds_engine.vocabulary.kind import Kind

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySpec:
    """What is known just before the decision of one stage, and what can be chosen there.

    One such specification serves fitting, valuing and export alike.

    Attributes:
        stage: the stage's name.
        variables: the names of H_k, in order; past actions are variables like any other.
        actions: the treatment options, in the order of the columns of every Q_k(h, a).
        feasible: action -> criterion over the variables; one that is not named is always feasible.
        when: criterion that says who has a decision here; None for everybody who has an action.
        action: the table's column with the action taken; ``action_<stage>`` unless given.
        reward: the table's column with U_k; None where only the final outcome counts.
        columns: variable -> column of a wide table, where the two differ.
        randomised: action -> relative probability by design, shared out over the feasible
            actions of each row; None in a cohort, where propensities are estimated.
    """

    stage: str
    variables: tuple[str, ...]
    actions: tuple[str, ...]
    feasible: Mapping[str, str] = field(default_factory=dict)
    when: str | None = None
    action: str = ""
    reward: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    randomised: Mapping[str, float] | None = None

    @property
    def action_column(self) -> str:
        """The table's column with the action taken."""
        return self.action or f"action_{self.stage}"

    def place(self, action: str) -> int:
        """Return the place of an action among the stage's actions.

        Raises:
            EstimationError: if the stage has no such action.
        """
        if action not in self.actions:
            raise EstimationError(
                f"stage {self.stage} has no action {action!r}; it has {', '.join(self.actions)}"
            )
        return self.actions.index(action)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageData:
    """The histories, feasible sets and actions of one stage, a row for every trajectory.

    Attributes:
        spec: what the columns and the actions are.
        columns: H_k, each of shape (n,).
        decided: who has a decision at this stage, shape (n,); a responder may have none.
        action: place of A_k in ``spec.actions``, shape (n,); ``NO_DECISION`` without a decision.
        feasible: shape (n, n_actions); all False without a decision.
        reward: U_k, shape (n,), larger is better; zeros where only the final outcome counts.
        propensity: P(A_k = a | H_k) where it is known by design, shape (n, n_actions); else None.
    """

    spec: HistorySpec
    columns: Columns
    decided: Bools
    action: Ints
    feasible: Bools
    reward: Floats
    propensity: Floats | None = None

    @property
    def rows(self) -> int:
        """How many trajectories there are."""
        return len(self.decided)

    @property
    def n_actions(self) -> int:
        """How many treatment options the stage has."""
        return len(self.spec.actions)

    def take(self, rows: NDArray[Any]) -> "StageData":
        """Return some of the rows, given as row numbers or as a mask."""
        known = self.propensity
        return replace(
            self,
            columns={name: values[rows] for name, values in self.columns.items()},
            decided=self.decided[rows],
            action=self.action[rows],
            feasible=self.feasible[rows],
            reward=self.reward[rows],
            propensity=None if known is None else known[rows],
        )


@dataclass(frozen=True)
class Trajectories:
    """A trial or cohort, one row for each patient.

    Attributes:
        ids: identifiers, each once, shape (n,).
        stages: the stages in order of time.
        outcome: Y, shape (n,), turned so that larger is better; the sum of all rewards where
            stages have rewards. NaN where it is missing and ``observed`` is False.
        better: how the outcome was declared; results are turned back on the way out.
        weights: sample weights, shape (n,); ones unless given.
        kinds: how variables are declared, where they are.
        outcome_name: what the outcome is called, with its unit where it has one.
    """

    ids: NDArray[Any]
    stages: tuple[StageData, ...]
    outcome: Floats
    better: Better = "higher"
    weights: Floats = field(default_factory=lambda: np.ones(0))
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    outcome_name: str = "outcome"

    def __len__(self) -> int:
        """Return n."""
        return len(self.ids)

    @property
    def sign(self) -> int:
        """1 where larger was declared better, -1 where smaller was: multiply to turn back."""
        return 1 if self.better == "higher" else -1

    @cached_property
    def observed(self) -> Bools:
        """Where the outcome is not missing."""
        return ~np.isnan(self.outcome)

    def take(self, rows: NDArray[Any]) -> "Trajectories":
        """Return some of the trajectories, given as row numbers or as a mask."""
        return replace(
            self,
            ids=self.ids[rows],
            stages=tuple(stage.take(rows) for stage in self.stages),
            outcome=self.outcome[rows],
            weights=self.weights[rows],
        )

    def complete(self) -> "Trajectories":
        """Return these trajectories if every outcome is there.

        Raises:
            EstimationError: with the number of those that are not.
        """
        gone = int(np.count_nonzero(~self.observed))
        if gone:
            raise EstimationError(
                f"{self.outcome_name} is missing in {gone} of {len(self)} rows; give weights for "
                "those that are observed (`missing='weight'`) or complete the table"
            )
        return self

    def layout(self) -> "pd.DataFrame":
        """Return n, mean outcome and missing outcomes for every path of actions.

        One row a path, such as ``coaching > gym``; a stage without a decision is written ``-``.
        """
        labels = [np.append(np.array(s.spec.actions, dtype=object), "-")[s.action]
                  for s in self.stages]  # fmt: skip
        frame = pd.DataFrame(
            {s.spec.stage: label for s, label in zip(self.stages, labels, strict=True)}
        )
        frame["outcome"] = self.outcome * self.sign
        frame["missing"] = ~self.observed
        names = [stage.spec.stage for stage in self.stages]
        grouped = frame.groupby(names, sort=True)
        return grouped.agg(
            n=("missing", "size"), mean_outcome=("outcome", "mean"), missing=("missing", "sum")
        ).reset_index()

    @classmethod
    def from_wide(  # noqa: PLR0913 - one argument for each role a column can have
        cls,
        frame: "pd.DataFrame",
        specs: Sequence[HistorySpec],
        *,
        outcome: str,
        better: Better = "higher",
        identifier: str = "id",
        weights: str | None = None,
        missing_outcomes: Literal["refuse", "keep"] = "refuse",
        kinds: Mapping[str, Kind] | None = None,
        unit: str = "",
    ) -> "Trajectories":
        """Read a table with one row for each patient.

        Args:
            frame: the table.
            specs: one for each stage, in order of time.
            outcome: the column with Y. Where stages have rewards, Y is the last reward, and what
                is optimised is the sum of the stages' rewards and Y.
            better: whether larger or smaller outcomes are better.
            identifier: the column that identifies patients.
            weights: the column with sample weights.
            missing_outcomes: ``keep`` leaves NaN where the outcome is missing, for estimators that
                weight; ``refuse`` counts and refuses them.
            kinds: how variables are declared, for feasible sets; else taken from the columns.
            unit: of the outcome, for reading.

        Raises:
            TrajectoriesError: with every fault: stage, column and count.
        """
        return _Reader(frame, kinds or {}, better).read(
            specs, outcome, identifier, weights, keep=missing_outcomes == "keep", unit=unit
        )

    @classmethod
    def from_long(
        cls,
        frame: "pd.DataFrame",
        specs: Sequence[HistorySpec],
        *,
        outcome: str,
        stage: str = "stage",
        identifier: str = "id",
        action: str = "action",
        **options: Any,
    ) -> "Trajectories":
        """Read a table with one row for each patient and stage.

        A patient who has no decision at a stage may have no row there. The outcome is read from
        the patient's last row. Variables are taken from the row of their stage, or, if its column
        is empty there, from the patient's latest row before it.

        Args:
            frame: the table.
            specs: one for each stage; their names are what stands in the ``stage`` column.
            outcome: the column with Y.
            stage: the column with the stage's name, or its number 1..K.
            identifier: the column that identifies patients.
            action: the column with the action taken.
            **options: those of ``from_wide``.

        Raises:
            TrajectoriesError: with every fault: stage, column and count.
        """
        wide, renamed = _widened(frame, specs, outcome, stage, identifier, action)
        return cls.from_wide(wide, renamed, outcome=outcome, identifier=identifier, **options)


def _widened(
    frame: "pd.DataFrame", specs: Sequence[HistorySpec], outcome: str, stage: str, identifier: str,
    action: str,
) -> "tuple[pd.DataFrame, list[HistorySpec]]":  # fmt: skip
    """Return one row a patient, with the columns of each stage under ``<column>@<stage>``."""
    faults = [Fault(name, "the long table has no such column; name the one that it has")
              for name in (identifier, stage, action, outcome) if name not in frame]  # fmt: skip
    if faults:
        raise TrajectoriesError("the table", faults)
    order = {spec.stage: at for at, spec in enumerate(specs)}
    at = frame[stage].map(lambda one: order.get(str(one), _number(one, len(specs))))
    unknown = int(at.isna().sum())
    double = int(frame.assign(at=at).duplicated([identifier, "at"]).sum())
    if unknown:
        faults.append(Fault(stage, f"{unknown} rows are of no declared stage ({', '.join(order)})"))
    if double:
        faults.append(Fault(stage, f"{double} rows repeat a patient's stage; keep one of each"))
    if faults:
        raise TrajectoriesError("the table", faults)
    tidy = frame.assign(at=at.astype(int)).sort_values("at", kind="stable")
    wide = pd.DataFrame(index=pd.Index(pd.unique(frame[identifier]), name=identifier))
    wide[outcome] = tidy.groupby(identifier)[outcome].last()
    renamed = []
    filled = tidy.copy()
    others = [name for name in frame.columns if name not in {identifier, stage, action, outcome}]
    filled[others] = tidy.groupby(identifier)[others].ffill()
    for place, spec in enumerate(specs):
        upto = filled[filled["at"] <= place].groupby(identifier)[others].last()
        here = tidy[tidy["at"] == place].set_index(identifier)
        columns = {}
        for variable in spec.variables:
            column = spec.columns.get(variable, variable)
            if column in others:
                wide[f"{column}@{spec.stage}"] = upto[column].reindex(wide.index)
                columns[variable] = f"{column}@{spec.stage}"
        wide[f"{action}@{spec.stage}"] = here[action].reindex(wide.index)
        reward = None
        if spec.reward is not None:
            reward = f"{spec.reward}@{spec.stage}"
            wide[reward] = here[spec.reward].reindex(wide.index)
        renamed.append(replace(spec, columns={**spec.columns, **columns},
                               action=f"{action}@{spec.stage}", reward=reward))  # fmt: skip
    return wide.reset_index(), renamed


def _number(value: object, count: int) -> float:
    text = str(value)
    return int(text) - 1 if text.isdigit() and 1 <= int(text) <= count else float("nan")


class _Reader:
    """One reading of one wide table; all faults are gathered before it gives up."""

    def __init__(self, frame: "pd.DataFrame", kinds: Mapping[str, Kind], better: Better) -> None:
        self.frame = frame
        self.kinds = kinds
        self.sign = 1.0 if better == "higher" else -1.0
        self.better = better
        self.faults: list[Fault] = []

    def read(
        self, specs: Sequence[HistorySpec], outcome: str, identifier: str, weights: str | None, *,
        keep: bool, unit: str,
    ) -> Trajectories:  # fmt: skip
        self._check_specs(specs)
        names = [outcome, identifier, *([weights] if weights else [])]
        for spec in specs:
            names += [spec.columns.get(v, v) for v in spec.variables]
            names += [spec.action_column, *([spec.reward] if spec.reward else [])]
        for name in dict.fromkeys(names):
            if name not in self.frame:
                self._fault(name, "the table has no such column; it has "
                            + ", ".join(map(str, list(self.frame.columns)[:12])))  # fmt: skip
        if not len(self.frame):
            self._fault("", "the table has no row")
        self._stop()
        ids = self._ids(identifier)
        final = self._outcome(outcome, keep=keep)
        sample = self._weights(weights)
        stages = [stage for spec in specs if (stage := self._stage(spec)) is not None]
        self._stop()
        total = final + sum(stage.reward for stage in stages)
        name = f"{outcome} ({unit})" if unit else outcome
        return Trajectories(ids, tuple(stages), total, self.better, sample, dict(self.kinds), name)

    def _fault(self, place: str, problem: str) -> None:
        self.faults.append(Fault(place, problem))

    def _stop(self) -> None:
        if self.faults:
            raise TrajectoriesError("the table", self.faults)

    def _check_specs(self, specs: Sequence[HistorySpec]) -> None:
        if not specs:
            self._fault("", "no stage is declared; give one HistorySpec for each")
        for name in _repeated([spec.stage for spec in specs]):
            self._fault(name, "two stages have this name; stages must differ")
        for spec in specs:
            if len(spec.actions) < 1 or _repeated(spec.actions):
                self._fault(spec.stage, "its actions must be named, each once")
            for name in {*spec.feasible, *(spec.randomised or {})} - {*spec.actions}:
                self._fault(spec.stage, f"{name!r} is none of its actions; they are "
                            + ", ".join(spec.actions))  # fmt: skip

    def _ids(self, identifier: str) -> NDArray[Any]:
        values = self.frame[identifier]
        if gone := int(values.isna().sum()):
            self._fault(identifier, f"{gone} rows have no identifier; give each patient one")
        if double := int(values.dropna().duplicated().sum()):
            self._fault(identifier, f"{double} rows repeat an identifier; a wide table has one row "
                        "for each patient (is it a long one?)")  # fmt: skip
        return values.to_numpy(dtype=object)

    def _numbers(self, name: str) -> Floats | None:
        values = plain(self.frame[name])
        if values.dtype == object:
            self._fault(name, "must hold numbers, holds text")
            return None
        numbers = values.astype(np.float64)
        if wild := int(np.isinf(numbers).sum()):
            self._fault(name, f"{wild} values are infinite; correct them or mark them missing")
        return numbers

    def _outcome(self, name: str, *, keep: bool) -> Floats:
        numbers = self._numbers(name)
        if numbers is None:
            return np.zeros(len(self.frame))
        gone = int(np.isnan(numbers).sum())
        if gone == len(numbers):
            self._fault(name, "the outcome is missing in every row")
        elif gone and not keep:
            self._fault(name, f"the outcome is missing in {gone} of {len(numbers)} rows; complete "
                        "it, or keep them (missing_outcomes='keep') to weight")  # fmt: skip
        return self.sign * numbers + 0.0

    def _weights(self, name: str | None) -> Floats:
        if name is None:
            return np.ones(len(self.frame))
        numbers = self._numbers(name)
        if numbers is None:
            return np.ones(len(self.frame))
        if bad := int(np.count_nonzero(~(numbers >= 0))):
            self._fault(name, f"{bad} sample weights are missing or negative")
        return numbers

    def _stage(self, spec: HistorySpec) -> StageData | None:
        columns = {name: plain(self.frame[spec.columns.get(name, name)]) for name in spec.variables}
        action = self._actions(spec)
        decided = self._decided(spec, columns, action)
        before = len(self.faults)
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

    def _actions(self, spec: HistorySpec) -> Ints:
        labels = self.frame[spec.action_column]
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
        decided = self._holds(spec, "when", spec.when, columns)
        if decided is None:
            return None
        place = f"{spec.stage}.{spec.action_column}"
        if gone := int(np.count_nonzero(decided & (action == NO_DECISION))):
            self._fault(place, f"{gone} rows have a decision here ({spec.when}) but no action")
        if extra := int(np.count_nonzero(~decided & (action != NO_DECISION))):
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
            mask = self._holds(spec, f"feasible.{name}", text, columns)
            if mask is None:
                return None
            feasible[:, spec.place(name)] &= mask
        if none := int(np.count_nonzero(decided & ~feasible.any(axis=1))):
            self._fault(spec.stage, f"no action is feasible in {none} rows that have a decision")
        return feasible

    def _check_actions(
        self, spec: HistorySpec, action: Ints, decided: Bools, feasible: Bools
    ) -> None:
        place = f"{spec.stage}.{spec.action_column}"
        rows = np.flatnonzero(decided)
        if not len(rows):
            self._fault(spec.stage, "nobody has a decision at this stage; leave the stage out")
            return
        outside = ~feasible[rows, action[rows]]
        if outside.any():
            names = sorted({spec.actions[at] for at in action[rows][outside]})
            self._fault(place, f"{int(outside.sum())} rows hold an action that is not feasible for "
                        f"them ({', '.join(names)}); correct the criterion or rows")  # fmt: skip
        for at, name in enumerate(spec.actions):
            if not (action == at).any():
                self._fault(place, f"nobody took {name!r}, so nothing can be learned of it; leave "
                            "the action out")  # fmt: skip

    def _shares(self, spec: HistorySpec, feasible: Bools) -> Floats:
        odds = np.array([float((spec.randomised or {}).get(name, 0)) for name in spec.actions])
        if not (odds > 0).all():
            self._fault(spec.stage, "every action needs a probability above 0 by design")
            return np.zeros(feasible.shape)
        shares = feasible * odds
        total = shares.sum(axis=1, keepdims=True)
        known: Floats = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
        return known

    def _reward(self, spec: HistorySpec) -> Floats:
        if spec.reward is None:
            return np.zeros(len(self.frame))
        numbers = self._numbers(spec.reward)
        if numbers is None:
            return np.zeros(len(self.frame))
        if gone := int(np.isnan(numbers).sum()):
            self._fault(f"{spec.stage}.{spec.reward}", f"the reward is missing in {gone} rows")
        return self.sign * numbers + 0.0

    def _holds(self, spec: HistorySpec, what: str, text: str, columns: Columns) -> Bools | None:
        try:
            return holds(text, columns, len(self.frame), self.kinds)
        except CriterionError as error:
            self._fault(f"{spec.stage}.{what}", str(error))
            return None


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
