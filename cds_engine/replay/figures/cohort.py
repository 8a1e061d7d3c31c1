"""A patient's decision points, one a stage, are a trajectory; who is left out is counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from cds_engine.bundle.model import Stage
from cds_engine.decide.table import Column, Table, where
from cds_engine.estimate.columns import Bools, Ints, as_column, plain
from cds_engine.estimate.export.decisions import NOT_OFFERED, why_untold
from cds_engine.estimate.stage import HistorySpec, StageData
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.replay.figures.advice import Advice, advice_of
from cds_engine.replay.figures.points import DecisionPoints
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.figures.untold import Reached, StoodFor, stood_for
from cds_engine.vocabulary.units import unit_words

DECEASED = "deceased"
"""The state of an outcome whose patient died before its time."""
NOT_DUE = ("pending", "no-horizon", "no-variable")
"""The states of outcomes that have no time, or whose time had not come."""


LATE = "the records end before its window does"
"""Why a decision point is left out, whether or not its action is told."""
LASTING = ("ever", "present")
"""Aggregates that stay true once something has happened."""


class _Why(NamedTuple):
    """Why a patient is left out, and whether others stand for that action; the stage's number."""

    words: str
    stage: int = -1
    untold: bool = False


class Deaths(NamedTuple):
    """Patients who died before their outcome, of those whose outcome was due, and the share."""

    patients: int
    of: int
    share: float


NO_DEATHS = Deaths(0, 0, 0.0)


class Already(NamedTuple):
    """Patients whose outcome was true at their first decision already, of those of whom it is."""

    patients: int
    of: int


@dataclass(frozen=True)
class Cohort:
    """The trajectories of a replay.

    Attributes:
        trajectories: one for each patient who is counted; None where there is nobody.
        version, against: what the versions said.
        first: the row of each patient's first decision in the table.
        last: the row of the last one, which the outcome is from.
        rows: the row of each stage, -1 where a patient has none there, shape (stages, n).
        eligible: patients with a decision at a stage that offers a choice.
        left_out: reason -> patients, those for whom others stand included.
        repeated: stage -> decision points beyond the first of a patient, which are not used.
        adjusted: stage -> variables that treatment is explained by.
        not_adjusted: stage -> variables that are not, with the reason.
        overridden: safeguards that somebody's treatment went against, in words.
        outcomes: state of the outcome -> patients.
        deaths: of all who are eligible, counted or left out.
        already: of those who are counted; None unless the outcome stays true once it has happened.
        stood_for: those left out for whom the weights of the counted stand; None for nobody.
    """

    trajectories: Trajectories | None
    version: Advice | None = None
    against: Advice | None = None
    first: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    last: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    rows: Ints = field(default_factory=lambda: np.zeros((0, 0), dtype=np.intp))
    eligible: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)
    adjusted: dict[str, list[str]] = field(default_factory=dict)
    not_adjusted: dict[str, dict[str, str]] = field(default_factory=dict)
    overridden: tuple[str, ...] = ()
    outcomes: dict[str, int] = field(default_factory=dict)
    deaths: Deaths = NO_DEATHS
    already: Already | None = None
    stood_for: StoodFor | None = None

    def plain(self) -> dict[str, object]:
        """Return who is counted and who is not, as JSON-ready data."""
        told: dict[str, object] = {
            "eligible": self.eligible,
            "counted": 0 if self.trajectories is None else len(self.trajectories),
            "left_out": dict(sorted(self.left_out.items())), "repeated": self.repeated,
            "adjusted": self.adjusted, "not_adjusted": self.not_adjusted,
            "overridden": list(self.overridden), "outcomes": dict(sorted(self.outcomes.items())),
            "deaths": self.deaths._asdict(),
            "already": None if self.already is None else self.already._asdict(),
            "usual_instead": None if self.version is None else self.version.usual,
            "against_usual_instead": None if self.against is None else self.against.usual,
        }  # fmt: skip
        return told if self.stood_for is None else told | {"stood_for": self.stood_for.plain()}


def cohort_of(points: DecisionPoints, settings: FigureSettings) -> Cohort:
    """Return the trajectories: of each patient the first decision point at each stage, in order.

    Stages without a choice say nothing and are left out. A patient is left out, and counted, whose
    stages come in another order than the bundle's, of whom the records end before the window of a
    stage does, whose action at a stage is not one that the stage offers, or whose history there
    lacks a variable that is adjusted for. Of these the ones whose action alone is not known are
    stood for by the others; see ``figures.untold``.
    """
    return _Maker(points, settings).cohort()


class _Maker:
    def __init__(self, points: DecisionPoints, settings: FigureSettings) -> None:
        self.points = points
        self.settings = settings
        self.stages = [stage for stage in points.bundle.stages if len(stage.choose) > 1]
        self.patient = points.frame["key.patient"].to_numpy(dtype=object)
        self.used: list[pd.Series[int]] = []
        self.repeated: dict[str, int] = {}
        self.adjusted: dict[str, list[str]] = {}
        self.not_adjusted: dict[str, dict[str, str]] = {}

    def cohort(self) -> Cohort:
        """Return the whole of it."""
        wrong = self._find_rows()
        everybody = sorted({*wrong, *(one for rows in self.used for one in rows.index)}, key=str)
        reasons = dict.fromkeys(wrong, _Why("stages in another order than the bundle's"))
        for at, rows in enumerate(self.used):
            for name, why in self._unfit(at, rows).items():
                reasons.setdefault(name, why)
        deaths = self._deaths(everybody)
        kept = [name for name in everybody if name not in reasons]
        behind = self._stood_for(kept, reasons)
        self.used = [rows.reindex(pd.Index(kept, dtype=object)) for rows in self.used]
        here = [at for at, rows in enumerate(self.used) if rows.notna().any()]
        self.stages = [self.stages[at] for at in here]
        self.used = [self.used[at] for at in here]
        counted = Cohort(
            None, eligible=len(everybody),
            left_out=dict(Counter(why.words for why in reasons.values())),
            repeated=self.repeated, adjusted=self.adjusted, not_adjusted=self.not_adjusted,
            deaths=deaths, stood_for=behind,
        )  # fmt: skip
        return self._filled(counted, kept) if kept else counted

    def _deaths(self, everybody: Sequence[str]) -> Deaths:
        """Return who died before the outcome of their last decision at a stage with a choice."""
        at_choice = pd.Series(np.flatnonzero(self.points.choice))
        last = at_choice.groupby(self.patient[self.points.choice]).last().loc[list(everybody)]
        state = self.points.frame["outcome.state"].iloc[last.to_numpy(dtype=np.intp)]
        died, due = int((state == DECEASED).sum()), int((~state.isin(NOT_DUE)).sum())
        return Deaths(died, due, died / due if due else 0.0)

    def _find_rows(self) -> set[str]:
        """Find each patient's row at each stage; return whose stages are out of order."""
        at_stage = self.points.stage.to_numpy(dtype=object)
        latest: dict[str, int] = {}
        wrong: set[str] = set()
        for stage in self.stages:
            rows = np.flatnonzero(at_stage == stage.name)
            chosen: dict[str, int] = {}
            for row in rows:
                name = self.patient[row]
                if name not in chosen and row > latest.get(name, -1):
                    chosen[name] = int(row)
            wrong |= set(self.patient[rows]) - set(chosen)
            latest |= chosen
            self.repeated[stage.name] = len(rows) - len(chosen)
            self.used.append(pd.Series(chosen, dtype=np.int64))
        return wrong

    def _stood_for(self, kept: Sequence[str], reasons: Mapping[str, _Why]) -> StoodFor | None:
        """Return those left out for whom others stand; None for nobody."""
        untold = {name: why for name, why in reasons.items() if why.untold}
        if not untold:
            return None
        reached = []
        for at, (stage, rows) in enumerate(zip(self.stages, self.used, strict=True)):
            gone = [name for name, why in reasons.items()
                    if why.stage < at or (why.stage == at and not why.untold)]  # fmt: skip
            here = frozenset(name for name, why in untold.items() if why.stage == at)
            reached.append(Reached(self.points.stage_title(stage.name), self.adjusted[stage.name],
                                   rows[~rows.index.isin(gone)], here))  # fmt: skip
        counts = dict(Counter(why.words for why in untold.values()))
        return stood_for(self.points.frame, reached, kept, counts)

    def _unfit(self, at: int, rows: "pd.Series[int]") -> dict[str, _Why]:
        """Return who cannot be counted at a stage, and why; choose what is adjusted for."""
        stage = self.stages[at]
        ripe = self.points.ripe[rows.to_numpy()]
        title = self.points.stage_title(stage.name)
        found = {str(name): _Why(f"{title}: {LATE}", at) for name in rows.index[~ripe]}
        rows = rows[ripe]
        frame = self.points.frame.iloc[rows.to_numpy()]
        state = frame["taken.state"].to_numpy(dtype=object)
        taken = frame["taken.action"].to_numpy(dtype=object)
        fine = self.points.action_known[rows.to_numpy()]
        for name, one, action, known in zip(rows.index, state, taken, fine, strict=True):
            if not known:
                found[str(name)] = _Why(f"{title}: {why_untold(one)}", at, untold=True)
            elif action not in stage.choose:
                found[str(name)] = _Why(f"{title}: {NOT_OFFERED}", at, untold=True)
        for variable in self._choose_variables(stage, frame):
            gone = frame[variable].isna().to_numpy(dtype=np.bool_)
            for name in rows.index[gone]:
                why = found.get(str(name), _Why(f"{title}: {variable} is not known", at))
                found[str(name)] = why._replace(untold=False)
        return found

    def _choose_variables(self, stage: Stage, frame: "pd.DataFrame") -> list[str]:
        bundle, wish = self.points.bundle, self.settings.adjust_for
        held: list[str] = []
        why: dict[str, str] = {}
        for name in bundle.base_variables:
            known = float(frame[name].notna().mean()) if len(frame) else 0.0
            if wish is not None and name not in wish:
                why[name] = "not asked for"
            elif bundle.kinds[name].type not in ("number", "boolean", "label"):
                why[name] = "neither a number, nor yes or no, nor a label"
            elif known < self.settings.least_known:
                why[name] = f"known in {known:.1%} of the decision points"
            elif frame[name].nunique() < 2:
                why[name] = "the same for everybody"
            else:
                held.append(name)
        self.adjusted[stage.name], self.not_adjusted[stage.name] = held, why
        return held

    def _filled(self, counted: Cohort, kept: Sequence[str]) -> Cohort:
        frame, wide = self.points.frame, pd.DataFrame({"id": pd.Series(kept, dtype=object)})
        matrix: Ints = np.vstack([rows.fillna(-1).to_numpy(dtype=np.intp) for rows in self.used])
        last: Ints = matrix.max(axis=0)
        first: Ints = np.where(matrix < 0, len(frame), matrix).min(axis=0)
        specs = [self._spec(stage, rows, wide) for stage, rows in
                 zip(self.stages, matrix, strict=True)]  # fmt: skip
        state = frame["outcome.state"].iloc[last]
        value = pd.to_numeric(frame["outcome.value"].iloc[last]).astype("float64")
        wide["outcome"] = value.to_numpy()
        counted = replace(
            counted, first=first, last=last, rows=matrix,
            outcomes={str(name): int(n) for name, n in state.value_counts().items()},
            already=self._already(first, wide["outcome"].to_numpy() == 1),
        )  # fmt: skip
        if not np.isfinite(wide["outcome"]).any():
            return counted
        aim = self.points.bundle.document.aim
        found = Trajectories.from_wide(
            wide, specs, outcome="outcome", better=aim.better, missing_outcomes="keep",
            kinds=self.points.bundle.kinds, unit=aim.unit or "",
        )  # fmt: skip
        found = replace(found, outcome_name=_outcome_words(self.points))
        overridden: list[str] = []
        stages = tuple(self._ruled_out(h, rows, overridden)
                       for h, rows in zip(found.stages, matrix, strict=True))  # fmt: skip
        behind = counted.stood_for
        weights = found.weights if behind is None or behind.refused else behind.weights
        found = replace(found, stages=stages, weights=weights)
        return replace(
            counted, trajectories=found, overridden=tuple(overridden),
            version=advice_of(self.points, found, matrix, "decision"),
            against=advice_of(self.points, found, matrix, "against")
            if self.points.against else None,
        )  # fmt: skip

    def _already(self, first: Ints, true: Bools) -> Already | None:
        """Return of how many whose outcome is true it was so when they were first decided on."""
        name = self.points.bundle.document.aim.outcome
        variable = self.points.bundle.base_variables.get(name)
        if variable is None or variable.aggregate not in LASTING:
            return None
        before = plain(self.points.frame[name].iloc[first]) == 1
        return Already(int((before & true).sum()), int(true.sum()))

    def _spec(self, stage: Stage, rows: Ints, wide: "pd.DataFrame") -> HistorySpec:
        """Add a stage's columns to the wide table and return what they are."""
        here = rows >= 0
        held = self.points.frame.iloc[rows[here]]
        taken = set(held["taken.action"])
        columns = {}
        for name in self.adjusted[stage.name]:
            columns[name] = f"{name}@{stage.name}"
            wide[columns[name]] = (
                pd.Series(plain(held[name]), index=wide.index[here], dtype=object)
                .reindex(wide.index)
                .infer_objects()
            )
        action = pd.Series(held["taken.action"].to_numpy(dtype=object), index=wide.index[here])
        wide[f"action@{stage.name}"] = action.reindex(wide.index)
        return HistorySpec(
            stage=stage.name, variables=tuple(columns), columns=columns,
            actions=tuple(one for one in stage.choose if one in taken),
            action=f"action@{stage.name}",
        )  # fmt: skip

    def _ruled_out(self, h: StageData, rows: Ints, overridden: list[str]) -> StageData:
        """Take off the actions that a safeguard rules out, unless somebody took one there."""
        here, bundle = np.flatnonzero(rows >= 0), self.points.bundle
        frame = self.points.frame.iloc[rows[here]]
        feasible = h.feasible.copy()
        why: dict[str, str] = {}
        for place, action in enumerate(h.spec.actions):
            barred, words = np.zeros(len(here), dtype=np.bool_), []
            for safeguard, text in zip(bundle.safeguards, bundle.document.safeguards, strict=True):
                if action in safeguard.never:
                    barred |= _holds(self.points, frame, safeguard.when)
                    words.append(f"not ({text.when})")
            against = barred & (h.action[here] == place)
            if against.any():
                label, title = self.points.label(action), self.points.stage_title(h.spec.stage)
                overridden.append(
                    f"{title}: {int(against.sum())} were given {label!r} though a "
                    "safeguard rules it out, so that it counts as possible for everybody"
                )
            else:
                feasible[here[barred], place] = False
                why |= {action: " and ".join(words)} if barred.any() else {}
        if not feasible[here].any(axis=1).all():
            return h
        return replace(h, feasible=feasible, spec=replace(h.spec, feasible=why))


def _outcome_words(points: DecisionPoints) -> str:
    """Return the outcome with its unit as a person reads it."""
    aim = points.bundle.document.aim
    return f"{aim.outcome} ({unit_words(aim.unit)})" if aim.unit else aim.outcome


def _holds(points: DecisionPoints, frame: "pd.DataFrame", criterion: "object") -> Bools:
    """Return where a criterion of the bundle is not definitely false."""
    names = criterion.names()  # type: ignore[attr-defined]
    columns: dict[str, Column] = {
        name: as_column(plain(frame[name]), points.bundle.kinds[name]) for name in names
    }
    return where(criterion, Table(columns, len(frame)))[1]  # type: ignore[arg-type]
