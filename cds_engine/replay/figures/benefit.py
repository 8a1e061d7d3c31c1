"""The version's own predicted benefit is held against the benefit that was observed here.

The benefit observed at one decision point is a doubly robust score, not an outcome: how much
better the advised action does there than the one it is compared with, each followed by what the
version advises at later stages, and by what is usual where it says nothing. Single scores are
noise; their means, and their regression on what was predicted, are estimates. Patients count with
their weight, as in the values: they stand for those as well of whom an action is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import statsmodels.api as sm

from cds_engine.assume.positivity import MANY, RARE
from cds_engine.bundle.model import Stage
from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats, Ints
from cds_engine.estimate.doubly_robust import Prepared
from cds_engine.estimate.rule import NO_DECISION, USUAL
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.weighted import quantiles
from cds_engine.estimate.weights import cumulative_weights, effective_n
from cds_engine.replay.figures.advice import Advice
from cds_engine.replay.figures.calibration import FEW, TENTHS
from cds_engine.replay.figures.cohort import Cohort
from cds_engine.replay.figures.gains import predicted
from cds_engine.replay.figures.points import DecisionPoints
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.figures.values import Valued, trajectories_of
from cds_engine.vocabulary.units import unit_words

UNTOLD = "no gain is predicted"
UNTAKEN = "what it is compared with was not possible, or nobody took it"
SAME = 1e-9
"""A smaller spread of predictions, beside their size, is none."""


@dataclass(frozen=True)
class Compared:
    """Decision points at which a gain was predicted and can be observed, a row each.

    Attributes:
        patient: the place of the patient among the trajectories; rows of one go together.
        gain, low, high: what was predicted, with its interval.
        observed: the doubly robust score, above 0 where the advised action did better.
        weight: of the patient, above 0; counts are of the patients themselves.
        took, otherwise: whether the advised action was taken, or the one compared with.
        left_out: reason -> decision points with advice that could not be compared.
    """

    patient: Ints
    gain: Floats
    low: Floats
    high: Floats
    observed: Floats
    weight: Floats
    took: Bools
    otherwise: Bools
    left_out: dict[str, int]

    def __len__(self) -> int:
        """Return how many decision points there are."""
        return len(self.gain)

    def patients(self, rows: Bools) -> int:
        """Return how many patients some rows are of."""
        return len(np.unique(self.patient[rows]))

    def among(self, rows: Bools | Ints) -> "Compared":
        """Return some of the rows, given as a mask or by their places."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in COLUMNS}
        return Compared(**columns, left_out={})

    def mean(self, values: Floats) -> float:
        """Return the weighted mean of something that each row has."""
        return float(np.average(values, weights=self.weight))


COLUMNS = tuple(one.name for one in fields(Compared) if one.name != "left_out")
"""What each row of ``Compared`` has."""


def benefit(points: DecisionPoints, found: Valued, settings: FigureSettings) -> dict[str, Any]:
    """Return how well the gains that the version predicts held here, in all stages and in each.

    Groups are tenths of the predicted gain, fewer where one would hold too few patients of either
    action. Intercept and slope are those of the regression of the observed gain on the predicted
    one by weighted least squares, 0 and 1 if calibrated; standard errors take rows of one patient
    together. The predicted interval of a group is the mean of its rows' intervals, which is never
    too narrow for the mean.
    """
    version, prepared = found.cohort.version, found.prepared
    stages = [one for one in points.bundle.stages if one.estimates and len(one.choose) > 1]
    if not stages:
        return _refused("The version carries no estimates of benefit, so that none can be checked.")
    if found.refused or version is None or prepared is None:
        return _refused(found.refused or "Nothing is known of what the version said.")
    held: list[Compared] = []
    told: list[dict[str, Any]] = []
    for stage in stages:
        try:
            one = _compared(points, found.cohort, found.shares, prepared, stage, settings)
        except EstimationError as fault:
            told.append({"stage": stage.name, "refused": str(fault)})
            continue
        held.append(one)
        told.append({"stage": stage.name, "refused": None, "left_out": one.left_out,
                     **agreement(one, settings.level)})  # fmt: skip
    if not held:
        whys = "; ".join(f"{points.stage_title(one['stage'])}: {one['refused']}" for one in told)
        return _refused(f"No stage can be checked. {whys}.") | {"stages": told}
    whole = _joined(held)
    groups = tenths(whole, settings)
    if not groups:
        return _refused(f"Fewer than {settings.smallest_cell} patients took one of the actions "
                        "that are compared.") | {"stages": told}  # fmt: skip
    return {"refused": None, "stages": told, **agreement(whole, settings.level), "groups": groups}


def _refused(why: str) -> dict[str, Any]:
    return {"refused": why, "stages": [], "groups": []}


def _compared(
    points: DecisionPoints, cohort: Cohort, shares: Sequence[Floats], prepared: Prepared,
    stage: Stage, settings: FigureSettings,
) -> Compared:  # fmt: skip
    """Return a stage's rows; raises EstimationError with the reason where it cannot be checked."""
    t, version = trajectories_of(cohort), cohort.version
    names = [h.spec.stage for h in t.stages]
    if stage.name not in names or version is None:
        raise EstimationError("nobody who is counted had a decision there")
    _same_unit(points, stage)
    k = names.index(stage.name)
    h, places = t.stages[k], version.places[k]
    advised = np.flatnonzero(h.decided & (places >= 0))
    actions = np.array(h.spec.actions, dtype=object)
    gains = predicted(points, stage, cohort.rows[k][advised], actions[places[advised]])
    other = np.full(len(advised), -1, dtype=np.intp)
    for at, name in enumerate(h.spec.actions):
        other[(gains.against == name) & h.feasible[advised, at]] = at
    told = ~np.isnan(gains.estimate)
    fine = told & (other >= 0)
    if int(fine.sum()) < FEW:
        raise EstimationError(f"only {int(fine.sum())} decision points have a predicted gain that "
                              f"can be compared, fewer than {FEW}")  # fmt: skip
    rows, rivals = advised[fine], other[fine]
    sides = [_regime(version, t.stages, k, rows, side) for side in (places[rows], rivals)]
    _overlapping(cohort, shares, k, rows, sides, settings)
    scores = [_scores(prepared, side, t.sign)[rows] for side in sides]
    took = h.action[rows]
    return Compared(
        rows, gains.estimate[fine], gains.low[fine], gains.high[fine], scores[0] - scores[1],
        t.weights[rows], took == places[rows], took == rivals,
        {why: n for why, n in ((UNTOLD, int((~told).sum())),
                               (UNTAKEN, int((told & ~fine).sum()))) if n},
    )  # fmt: skip


def _same_unit(points: DecisionPoints, stage: Stage) -> None:
    said = "" if stage.estimates is None else stage.estimates.document.unit
    unit = points.bundle.document.aim.unit or ""
    if said != unit:
        raise EstimationError(
            f"its gain is predicted in {unit_words(said) or 'no unit'}, the outcome is in "
            f"{unit_words(unit) or 'no unit'}"
        )


def _regime(
    version: Advice, stages: Sequence[StageData], k: int, rows: Ints, side: Ints
) -> tuple[Ints, ...]:
    """Return what is usual before a stage and for all others at it, then what the version says."""
    places = [np.where(h.decided, USUAL, NO_DECISION).astype(np.intp) for h in stages[: k + 1]]
    places[k][rows] = side
    return (*places, *version.places[k + 1 :])


def _overlapping(
    cohort: Cohort, shares: Sequence[Floats], k: int, rows: Ints,
    sides: Sequence[tuple[Ints, ...]], settings: FigureSettings,
) -> None:  # fmt: skip
    """Raise EstimationError where too little was seen of one of the actions compared."""
    t = trajectories_of(cohort)
    for side, name in zip(sides, ("advised", "compared with"), strict=True):
        chances = shares[k][rows, side[k][rows]]
        rare = float(np.average(chances < RARE, weights=t.weights[rows]))
        if rare > MANY:
            raise EstimationError(f"{rare:.0%} of the decision points had a chance below "
                                  f"{RARE:.0%} of the action {name}")  # fmt: skip
        followed = cumulative_weights(t, side, shares)[-1] * t.observed * t.weights
        effective = effective_n(followed[rows])
        if effective < settings.least_effective_n:
            raise EstimationError(
                f"those who took the action {name} and went on as the version advises weigh as "
                f"much as {effective:.1f}, fewer than the {settings.least_effective_n:g} that this "
                "report demands"
            )


def _scores(prepared: Prepared, places: tuple[Ints, ...], sign: int) -> Floats:
    """Return the doubly robust score of each trajectory; larger is better."""
    value = prepared.value(Advice(places, {}).rules(prepared.order), "one side")
    influence: Floats = np.asarray(value.influence, dtype=np.float64)
    return sign * (value.estimate + influence)


def _joined(held: Sequence[Compared]) -> Compared:
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in held]) for name in COLUMNS
    }
    return Compared(**columns, left_out={})


def agreement(one: Compared, level: float) -> dict[str, Any]:
    """Return means, intercept and slope; no slope where the same is predicted for everybody.

    Standard errors are sandwich estimates with the patient as the cluster, weights taken as known.
    """
    everybody = np.ones(len(one), dtype=np.bool_)
    mean, low, high = _mean(one, level)
    told: dict[str, Any] = {
        "n": len(one), "patients": one.patients(everybody),
        "mean_predicted": one.mean(one.gain), "mean_observed": mean,
        "mean_observed_low": low, "mean_observed_high": high,
    }  # fmt: skip
    if np.ptp(one.gain) <= SAME * float(np.abs(one.gain).max()):
        return told | {"slope": None, "why_no_slope": "the same gain is predicted for everybody"}
    fitted = _fitted(one, sm.add_constant(one.gain))
    ends = fitted.conf_int(alpha=1 - level)
    for at, name in enumerate(("intercept", "slope")):
        told |= {
            name: float(fitted.params[at]), f"{name}_error": float(fitted.bse[at]),
            f"{name}_low": float(ends[at][0]), f"{name}_high": float(ends[at][1]),
        }  # fmt: skip
    return told


def _mean(one: Compared, level: float) -> tuple[float, float, float]:
    fitted = _fitted(one, np.ones(len(one)))
    low, high = fitted.conf_int(alpha=1 - level)[0]
    return float(fitted.params[0]), float(low), float(high)


def _fitted(one: Compared, columns: Floats) -> Any:
    """Return the weighted regression of the observed gains on some columns."""
    return sm.WLS(one.observed, columns, weights=one.weight).fit(
        cov_type="cluster", cov_kwds={"groups": one.patient}
    )


def tenths(one: Compared, settings: FigureSettings) -> list[dict[str, Any]]:
    """Return as many groups as all hold enough patients of both actions; empty if none does.

    They are tenths by weight, or fewer parts; decision points with the same predicted gain stay
    together.
    """
    for most in range(TENTHS, 0, -1):
        edges = np.unique(quantiles(one.gain, np.arange(1, most) / most, one.weight))
        place = np.searchsorted(edges, one.gain, side="right")
        parts = [place == at for at in np.unique(place)]
        if all(min(one.patients(rows & one.took), one.patients(rows & one.otherwise))
               >= max(2, settings.smallest_cell) for rows in parts):  # fmt: skip
            return [_group(one.among(rows), settings.level) for rows in parts]
    return []


def _group(one: Compared, level: float) -> dict[str, Any]:
    mean, low, high = _mean(one, level)
    return {
        "predicted": one.mean(one.gain), "predicted_low": one.mean(one.low),
        "predicted_high": one.mean(one.high), "observed": mean, "low": low, "high": high,
        "n": len(one), "patients": len(np.unique(one.patient)),
    }  # fmt: skip
