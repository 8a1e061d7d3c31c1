"""Every row of a SMART's table is on exactly one path of its design, or the table is refused.

A design says who is randomised to what; here it is held against what was done.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cds_engine.design.regimes import EmbeddedRegime
from cds_engine.design.smart import NON_RESPONDERS, RESPONDERS, Design, Path, written
from cds_engine.errors import CriterionError, EstimationError, Fault, TrajectoriesError
from cds_engine.estimate.columns import Bools, Floats, Ints, holds, kind_of, missing, plain
from cds_engine.estimate.rule import NO_DECISION, Rules
from cds_engine.estimate.stage import HistorySpec, StageData
from cds_engine.estimate.trajectories import Trajectories

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SmartRows:
    """A trial whose rows were found to be on the paths of its design.

    Attributes:
        design: the trial's.
        trajectories: the rows; propensities are those of the design.
        end: place of each row's end in ``design.ends``, shape (n,).
        paths: for each stage, who was randomised where: path -> shape (n,).
    """

    design: Design
    trajectories: Trajectories
    end: Ints
    paths: tuple[Mapping[Path, Bools], ...]

    def counts(self) -> dict[Path, int]:
        """Return the number of rows on every path."""
        each = np.bincount(self.end, minlength=len(self.design.ends)).tolist()
        found = dict(zip(self.design.ends, each, strict=True))
        return {
            path: sum(n for end, n in found.items() if end[: len(path)] == path)
            for path in self.design.nodes
        }

    def weights(self, regimes: Sequence[EmbeddedRegime]) -> Floats:
        """Return 1 / probability of the row's path where it follows a regime, else 0.

        Returns:
            Shape (regimes, n): with all probabilities 1/2, 2 for a responder who was randomised
            once and 4 for a non-responder who was randomised twice.
        """
        return end_weights(self.design, regimes)[:, self.end]

    def rules(self, regime: EmbeddedRegime) -> Rules:
        """Return a regime as stage rules for these very trajectories.

        Whoever left the regime before a stage is advised the first arm of their own randomisation
        there, which no value depends on.
        """
        return tuple(
            _ByRow(self._advised(regime, stage)) for stage in range(len(self.design.stages))
        )

    def _advised(self, regime: EmbeddedRegime, stage: int) -> Ints:
        spec = self.trajectories.stages[stage].spec
        places = np.full(len(self.trajectories), NO_DECISION, dtype=np.intp)
        for at, rows in self.paths[stage].items():
            arm = regime.arm(at) or next(iter(self.design.randomisations[at].arms))
            places[rows] = spec.place(arm)
        return places


@dataclass(frozen=True)
class _ByRow:
    """A rule that was written out for the rows that it is asked about."""

    places: Ints

    def __call__(self, h: StageData) -> Ints:
        if h.rows != len(self.places):
            raise EstimationError(
                f"stage {h.spec.stage}: the rule was written for {len(self.places)} rows, there "
                f"are {h.rows}; ask for the rules of these"
            )
        return self.places


def end_weights(design: Design, regimes: Sequence[EmbeddedRegime]) -> Floats:
    """Return each regime's weight at each end, shape (regimes, ends); 0 where it never leads."""
    inverse = np.array([1 / design.end_probability[end] for end in design.ends])
    follows = np.array([[end in one.ends for end in design.ends] for one in regimes])
    return np.asarray(inverse * follows, dtype=np.float64)


def read_smart(
    frame: "pd.DataFrame",
    design: Design,
    *,
    covariates: Sequence[str] = (),
    missing_outcomes: bool = False,
    weights: str | None = None,
) -> SmartRows:
    """Read the table of a SMART, one row for each patient, and hold it against the design.

    Args:
        frame: the table, with the columns that the design names: identifier, the arm of each stage
            (empty for whoever was not randomised), each response, the outcome.
        design: the trial's.
        covariates: further columns, known before the first randomisation.
        missing_outcomes: whether outcomes may be missing, for an analysis that weights for them.
        weights: column with sample weights.

    Raises:
        TrajectoriesError: with every fault: place, column and count.
    """
    frame, faults = _with_responses(frame, design)
    document = design.document
    try:
        found = Trajectories.from_wide(
            frame, _specs(design, covariates), outcome=document.outcome.column,
            better=document.outcome.better, identifier=document.identifier, weights=weights,
            missing_outcomes="keep" if missing_outcomes else "refuse", unit=document.outcome.unit,
        )  # fmt: skip
    except TrajectoriesError as error:
        raise TrajectoriesError("the table", [*error.faults, *faults]) from error
    if faults:
        raise TrajectoriesError("the table", faults)
    answers = {
        one.column: plain(frame[one.column]) for one in design.responses.values()
    }  # fmt: skip
    return _Walk(design, found, answers).rows()


def on_paths(trajectories: Trajectories, design: Design) -> SmartRows:
    """Hold trajectories against a design: which row is on which of its paths.

    Stages must be the design's, by name. A response is taken from the variable that is called as
    the design's column; where there is none and only one of the groups is randomised again, from
    who was.

    Raises:
        TrajectoriesError: with every fault: place and count.
    """
    names = [stage.stage for stage in design.stages]
    held = [h.spec.stage for h in trajectories.stages]
    if names != held:
        raise TrajectoriesError("the trial", [Fault("", f"its stages are {', '.join(held)}, those "
                                f"of the design {', '.join(names)}; they must agree")])  # fmt: skip
    answers: dict[str, NDArray[Any]] = {}
    for h in trajectories.stages:
        answers |= {name: values for name, values in h.columns.items()
                    if name in {one.column for one in design.responses.values()}}  # fmt: skip
    return _Walk(design, trajectories, answers).rows()


def _specs(design: Design, covariates: Sequence[str]) -> list[HistorySpec]:
    return [
        HistorySpec(
            stage=stage.stage, actions=design.arms(at), action=design.column(at),
            variables=tuple(dict.fromkeys(covariates)) if at == 0 else (),
        )
        for at, stage in enumerate(design.stages)
    ]  # fmt: skip


def _with_responses(frame: "pd.DataFrame", design: Design) -> tuple["pd.DataFrame", list[Fault]]:
    """Return the table with every response column, made by its criterion where there is none."""
    faults: list[Fault] = []
    made: dict[str, Bools] = {}
    for path, one in design.responses.items():
        place = f"response.{written(path)}"
        said = None if one.when is None else _criterion(frame, one.when)
        if isinstance(said, str):
            if one.column not in frame:
                faults.append(Fault(place, f"the table has no column {one.column}, and its "
                                    f"criterion cannot be used: {said}"))  # fmt: skip
            continue
        if one.column not in frame:
            if said is None:
                faults.append(Fault(place, f"the table has no column {one.column}; add it, or say "
                                    "`when` somebody responds"))  # fmt: skip
            else:
                here = _there(frame, design, path)
                made[one.column] = np.where(here, said, made.get(one.column, np.zeros(len(frame),
                                            dtype=np.bool_)))  # fmt: skip
        elif said is not None:
            faults += _disagreements(frame, design, path, said)
    return frame.assign(**made) if made else frame, faults


def _criterion(frame: "pd.DataFrame", text: str) -> Bools | str:
    """Return where a criterion holds in a table, or why it cannot be used."""
    columns = {str(name): plain(frame[name]) for name in frame.columns
               if str(name).isidentifier()}  # fmt: skip
    kinds = {name: kind_of(values, name) for name, values in columns.items()}
    try:
        return holds(text, columns, len(frame), kinds)
    except CriterionError as error:
        return str(error)


def _there(frame: "pd.DataFrame", design: Design, path: Path) -> Bools:
    """Return which rows were given the last arm of a path."""
    stage = design.randomisations[path[:-1]].stage
    given: Bools = (frame[design.column(stage)] == path[-1]).to_numpy(dtype=np.bool_)
    return given


def _disagreements(
    frame: "pd.DataFrame", design: Design, path: Path, said: Bools
) -> Iterator[Fault]:
    one = design.responses[path]
    held = plain(frame[one.column])
    if held.dtype not in (np.bool_, np.float64):
        return
    known = _there(frame, design, path) & ~missing(held)
    if wrong := int(np.count_nonzero(known & (held.astype(np.float64) != said))):
        yield Fault(f"response.{written(path)}", f"in {wrong} of {int(known.sum())} rows the "
                    f"column {one.column} is not what `{one.when}` says; correct one")  # fmt: skip


class _Walk:
    """One walk of all rows along the design; faults are gathered before it gives up."""

    def __init__(
        self, design: Design, trajectories: Trajectories, answers: Mapping[str, NDArray[Any]]
    ) -> None:
        self.design = design
        self.trajectories = trajectories
        self.answers = answers
        self.faults: list[Fault] = []
        n = len(trajectories)
        self.end = np.full(n, -1, dtype=np.intp)
        self.paths: tuple[dict[Path, Bools], ...] = tuple({} for _ in design.stages)
        self.randomised = np.zeros((len(design.stages), n), dtype=np.bool_)

    def rows(self) -> SmartRows:
        """Return the rows on their paths.

        Raises:
            TrajectoriesError: with every fault.
        """
        self._follow((), np.ones(len(self.trajectories), dtype=np.bool_))
        for stage, h in enumerate(self.trajectories.stages):
            extra = int(np.count_nonzero(h.decided & ~self.randomised[stage] & (self.end >= 0)))
            if extra:
                self._fault(f"{h.spec.stage}.{h.spec.action_column}", f"{extra} rows hold an arm, "
                            "but by the design they are not randomised here; correct the rows or "
                            "the design")  # fmt: skip
        if self.faults:
            raise TrajectoriesError("the trial", self.faults)
        stages = tuple(self._stage(at) for at in range(len(self.design.stages)))
        return SmartRows(
            self.design, replace(self.trajectories, stages=stages), self.end, self.paths
        )

    def _fault(self, place: str, problem: str) -> None:
        self.faults.append(Fault(place, problem))

    def _stage(self, stage: int) -> StageData:
        """Return a stage's data with the design's probabilities and feasible sets."""
        h = self.trajectories.stages[stage]
        p = np.zeros((h.rows, h.n_actions))
        for at, rows in self.paths[stage].items():
            for arm, chance in self.design.randomisations[at].arms.items():
                p[rows, h.spec.place(arm)] = chance
        columns = {**h.columns, **self._known(stage)}
        spec = replace(h.spec, variables=tuple(columns))
        return replace(h, spec=spec, columns=columns, feasible=p > 0, propensity=p)

    def _known(self, stage: int) -> dict[str, Bools]:
        """Return who responded before a stage, where its histories do not say so already."""
        said: dict[str, Bools] = {}
        for path, one in self.design.responses.items():
            known = self.design.randomisations[path[:-1]].stage < stage
            if known and one.column not in self.trajectories.stages[stage].columns:
                responds = np.array(
                    [end[: len(path) + 1] == (*path, RESPONDERS) for end in self.design.ends]
                )[self.end]
                said[one.column] = said.get(one.column, np.zeros_like(responds)) | responds
        return said

    def _follow(self, path: Path, rows: Bools) -> None:
        if path in self.design.responses:
            responds = self._responds(path, rows)
            if responds is not None:
                self._follow((*path, RESPONDERS), rows & responds)
                self._follow((*path, NON_RESPONDERS), rows & ~responds)
        elif path in self.design.randomisations:
            self._randomised(path, rows)
        else:
            self.end[rows] = self.design.ends.index(path)

    def _randomised(self, path: Path, rows: Bools) -> None:
        one = self.design.randomisations[path]
        h = self.trajectories.stages[one.stage]
        place = f"{h.spec.stage}.{h.spec.action_column}"
        who = f"on {written(path)!r}" if path else "enrolled"
        self.paths[one.stage][path] = rows
        self.randomised[one.stage] |= rows
        if gone := int(np.count_nonzero(rows & ~h.decided)):
            self._fault(place, f"{gone} rows {who} hold no arm, but are randomised here by the "
                        "design; complete them, or correct the design")  # fmt: skip
        known = [arm for arm in one.arms if arm in h.spec.actions]
        taken = {arm: rows & (h.action == h.spec.place(arm)) for arm in known}
        inside = np.any(list(taken.values()), axis=0) if taken else np.zeros_like(rows)
        if strange := int(np.count_nonzero(rows & h.decided & ~inside)):
            self._fault(place, f"{strange} rows {who} hold an arm that they are not randomised to; "
                        f"there is {', '.join(one.arms)}")  # fmt: skip
        for arm in one.arms:
            if arm not in taken or not taken[arm].any():
                self._fault(place, f"no row {who} holds {arm!r}, so that nothing is known of it; "
                            "correct the rows, or leave the arm out")  # fmt: skip
            else:
                self._follow((*path, arm), taken[arm])

    def _responds(self, path: Path, rows: Bools) -> Bools | None:
        """Return who responds, where that can be known."""
        column = self.design.responses[path].column
        if column not in self.answers:
            return self._by_decision(path, rows, column)
        values = self.answers[column]
        unknown = int(np.count_nonzero(missing(values) & rows))
        if unknown:
            self._fault(column, f"it is not known of {unknown} of {int(rows.sum())} rows on "
                        f"{written(path)!r} whether they responded; complete it")  # fmt: skip
            return None
        if values.dtype == np.bool_:
            return values
        if values.dtype == np.float64 and np.isin(values[rows], (0.0, 1.0)).all():
            return np.asarray(values == 1.0, dtype=np.bool_)
        self._fault(column, "is no column of yes or no; write true and false, or 1 and 0")
        return None

    def _by_decision(self, path: Path, rows: Bools, column: str) -> Bools | None:
        again = {group: self.design.randomisations.get((*path, group))
                 for group in (RESPONDERS, NON_RESPONDERS)}  # fmt: skip
        stages = {one.stage for one in again.values() if one is not None}
        if len([one for one in again.values() if one is not None]) != 1:
            self._fault(column, "there is no such variable, and nothing else tells who responded "
                        f"after {written(path)!r}; add it to a stage's variables")  # fmt: skip
            return None
        decided = self.trajectories.stages[stages.pop()].decided
        return decided if again[RESPONDERS] is not None else rows & ~decided
