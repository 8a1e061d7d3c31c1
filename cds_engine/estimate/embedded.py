"""The embedded regimes of a SMART are estimated together, compared in pairs, and the best kept.

Weighted and replicated: a row that is consistent with several regimes enters once for each, with
one over the probability of its arms as weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from cds_engine.design.regimes import EmbeddedRegime, embedded_regimes
from cds_engine.design.smart import Design, written
from cds_engine.errors import EstimationError
from cds_engine.estimate.best_set import BestSet, best_set
from cds_engine.estimate.columns import Floats, missing
from cds_engine.estimate.embedded_rows import SmartRows, on_paths, read_smart
from cds_engine.estimate.missing_outcomes import Missing, checked, probability_observed
from cds_engine.estimate.replicated import replicated_means
from cds_engine.estimate.simultaneous import simultaneous
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.value import ValueEstimate, standard_error
from cds_engine.estimate.weights import effective_n, sample_weights, truncated

if TYPE_CHECKING:
    import pandas as pd


MOST_AT_ONCE = 500


@dataclass(frozen=True)
class EmbeddedValues:
    """The values of all embedded regimes of a trial.

    Attributes:
        rows: the trial.
        regimes: its embedded regimes.
        values: one for each, with influence functions.
    """

    rows: SmartRows
    regimes: tuple[EmbeddedRegime, ...]
    values: tuple[ValueEstimate, ...]

    @property
    def better(self) -> str:
        """The direction in which the outcome was declared."""
        return self.rows.trajectories.better

    def value(self, label: str) -> ValueEstimate:
        """Return the value of one regime by its label.

        Raises:
            EstimationError: if there is none.
        """
        for one in self.values:
            if one.label == label:
                return one
        labels = "; ".join(one.label for one in self.values)
        raise EstimationError(f"there is no embedded regime {label!r}; there is {labels}")

    def contrasts(
        self, *, at_once: bool = False, random_state: int = 0
    ) -> tuple[ValueEstimate, ...]:
        """Return the paired difference of every two regimes.

        Args:
            at_once: whether the intervals are to hold all together (max-t).
            random_state: seed of that.

        Raises:
            EstimationError: if there are more of them than can be made to hold at once.
        """
        pairs = tuple(one.minus(other) for one, other in combinations(self.values, 2))
        if not at_once or not pairs:
            return pairs
        if len(pairs) > MOST_AT_ONCE:
            raise EstimationError(
                f"{len(pairs)} differences are too many to hold all at once (at most "
                f"{MOST_AT_ONCE}); take those of the best set, or compare named regimes"
            )
        return simultaneous(pairs, level=self.values[0].level, random_state=random_state)

    def best(self, *, level: float = 0.95, random_state: int = 0) -> BestSet:
        """Return the regimes that are not significantly worse than the best; see ``best_set``."""
        return best_set(self.values, better=self.better, level=level, random_state=random_state)

    def frame(self) -> "pd.DataFrame":
        """Return one row a regime: estimate, interval, followers, and whether it may be best."""
        import pandas as pd  # noqa: PLC0415 - only for those who want a table

        kept = set(self.best(level=self.values[0].level).kept)
        return pd.DataFrame(
            [
                {
                    "label": one.label, "estimate": one.estimate,
                    "standard_error": one.standard_error, "low": one.low, "high": one.high,
                    "followers": one.followers, "effective_n": one.effective_n, "n": one.n,
                    "may_be_best": one.label in kept, "words": regime.words,
                }
                for one, regime in zip(self.values, self.regimes, strict=True)
            ]
        )  # fmt: skip


def embedded_values(
    data: "pd.DataFrame | Trajectories | SmartRows",
    design: Design,
    *,
    covariates: Sequence[str] = (),
    missing: Missing = "refuse",
    observation: Any = None,
    level: float = 0.95,
) -> EmbeddedValues:
    """Return E[Y^d] of every embedded regime d, weighted and replicated.

    The weight of a row is one over the product of its randomisation probabilities, which the
    design knows: with coins at both stages, 2 for responders and 4 for non-responders who were
    randomised again. Without covariates each estimate and its influence function are those of
    ``ipw_value`` (Hajek).

    Conventions: standard errors are the sandwich clustered by patient, sqrt(sum(influence**2)) / n,
    with divisor n and without the factor G/(G-1) (N-1)/(N-p); weights are taken as known.

    Args:
        data: the trial's table, its trajectories, or its rows.
        design: the trial's.
        covariates: numbers or yes and no known before the first randomisation, adjusted for by a
            slope that all regimes have in common; of trajectories, variables of the first stage.
        missing: ``weight`` to weight for missing outcomes, ``refuse`` to refuse them.
        observation: classifier for P(observed | whole history). Unless given, it is the share that
            was observed on the same path; with covariates, a logistic regression.
        level: of the intervals.

    Raises:
        TrajectoriesError: if the table does not fit the design, with every fault.
        EstimationError: if a covariate is no number, or all outcomes of a path are missing.

    References:
        Nahum-Shani et al. (2012), Psychological Methods 17; Murphy (2005), Statistics in Medicine
        24.
    """
    if isinstance(data, SmartRows):
        rows = data
    elif isinstance(data, Trajectories):
        rows = on_paths(data, design)
    else:
        rows = read_smart(data, design, covariates=covariates, missing_outcomes=missing == "weight")
    t = rows.trajectories
    regimes = embedded_regimes(design)
    notes = checked(t, missing)
    w = rows.weights(regimes)
    w = w * t.observed
    followers = (w > 0).sum(axis=1)
    _refuse_lost_ends(rows)
    w = w / _observed_shares(rows, observation, covariates)
    X = _covariates(t, covariates) if covariates else None
    fitted = replicated_means(np.nan_to_num(t.outcome), w * t.weights, X, t.weights)
    values = tuple(
        ValueEstimate(
            label=one.label, estimate=t.sign * float(fitted.means[at]),
            standard_error=standard_error(fitted.influence[at]), followers=int(followers[at]),
            effective_n=effective_n(w[at] * t.weights), influence=t.sign * fitted.influence[at],
            estimand=f"mean {t.outcome_name} had all {len(t)} followed {one.label}",
            weights=truncated(w[at], None)[1], n=len(t), level=level, ids=t.ids, notes=notes,
            method=_method(covariates), sample_weights=sample_weights(t),
        )
        for at, one in enumerate(regimes)
    )  # fmt: skip
    return EmbeddedValues(replace(rows, design=design), regimes, values)


def _refuse_lost_ends(rows: SmartRows) -> None:
    """Refuse a path whose outcomes are all missing: nobody on it can stand for the others."""
    t = rows.trajectories
    seen = np.bincount(rows.end[t.observed & (t.weights > 0)], minlength=len(rows.design.ends))
    lost = [written(end) for end, n in zip(rows.design.ends, seen, strict=True) if not n]
    if lost:
        raise EstimationError(
            f"every outcome is missing on {'; '.join(lost)}, so that the regimes which lead there "
            "have no weighted mean; leave the arm out of the design, or use a model-based estimate"
        )


def _observed_shares(rows: SmartRows, model: Any, covariates: Sequence[str]) -> Floats:
    """Return P(outcome observed | whole history), shape (n,)."""
    t = rows.trajectories
    if t.observed.all() or covariates or model is not None:
        return probability_observed(t, model)
    everybody = np.bincount(rows.end, t.weights, minlength=len(rows.design.ends))
    seen = np.bincount(rows.end, t.weights * t.observed, minlength=len(rows.design.ends))
    return np.asarray((seen / np.maximum(everybody, seen))[rows.end], dtype=np.float64)


def _covariates(t: Trajectories, names: Sequence[str]) -> Floats:
    """Return the covariates as a matrix, each of mean zero over the sample."""
    h = t.stages[0]
    columns = []
    for name in dict.fromkeys(names):
        if name not in h.columns:
            raise EstimationError(
                f"there is no variable {name} at stage {h.spec.stage}; covariates are known "
                f"before the first randomisation: {', '.join(h.columns) or 'there is none'}"
            )
        values = h.columns[name]
        if values.dtype == object:
            raise EstimationError(f"{name} holds labels; adjust for numbers or yes and no")
        if gone := int(np.count_nonzero(missing(values))):
            raise EstimationError(f"{name} is missing in {gone} of {len(t)} rows; complete it")
        columns.append(values.astype(np.float64))
    X = np.column_stack(columns)
    X = X - np.average(X, axis=0, weights=t.weights)
    if np.linalg.matrix_rank(X) < X.shape[1]:
        raise EstimationError(
            f"the covariates {', '.join(dict.fromkeys(names))} are constant or add nothing to one "
            "another; leave some out"
        )
    return X


def _method(covariates: Sequence[str]) -> str:
    adjusted = f", adjusted for {', '.join(covariates)}" if covariates else ""
    return (
        f"weighted and replicated{adjusted}; sandwich clustered by patient, divisor n, without "
        "small-sample factor; weights known by design"
    )
