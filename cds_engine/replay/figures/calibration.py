"""Calibration: what was predicted of those who followed the version, and what became of them."""

from typing import Any

import numpy as np
import statsmodels.api as sm
from scipy.stats import norm

from cds_engine.estimate.columns import Floats
from cds_engine.estimate.weights import advice
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.figures.values import VERSION, Valued

TENTHS = 10
FEW = 50
"""Fewer followers than this say nothing of calibration."""


def calibration(found: Valued, settings: FigureSettings) -> dict[str, Any]:
    """Return predicted and observed outcomes of those who did as advised at their last stage.

    The prediction is that of the doubly robust value's own outcome model for the last stage given
    the history and the advised action, fitted without the fold of the patient. Groups are tenths of
    the predictions, fewer where they would hold too few. Intercept and slope are those of the
    regression of the observed outcome on the predicted one: 0 and 1 if calibrated.
    """
    predicted, observed = _pairs(found)
    n = len(observed)
    if found.refused or n < FEW:
        why = found.refused or f"only {n} with an observed outcome did as advised"
        return {"refused": why, "n": n, "groups": []}
    fitted = sm.OLS(observed, sm.add_constant(predicted, has_constant="add")).fit()
    ends = fitted.conf_int(alpha=1 - settings.level)
    return {
        "refused": None, "n": n, "mean_predicted": float(predicted.mean()),
        "mean_observed": float(observed.mean()),
        "intercept": float(fitted.params[0]), "slope": float(fitted.params[1]),
        "slope_low": float(ends[1][0]), "slope_high": float(ends[1][1]),
        "groups": _groups(predicted, observed, settings),
    }  # fmt: skip


def _pairs(found: Valued) -> tuple[Floats, Floats]:
    """Return predictions and outcomes in the declared direction."""
    prepared = found.prepared
    version = found.regimes.get(VERSION)
    if prepared is None or version is None or found.cohort.version is None:
        return np.zeros(0), np.zeros(0)
    t = prepared.trajectories
    places = advice(t, found.cohort.version.rules(prepared.order))[-1]
    did = (places >= 0) & (places == t.stages[-1].action) & t.observed
    predicted = np.full(len(t), np.nan)
    for fold in range(int(prepared.folds.max()) + 1):
        inside = did & (prepared.folds == fold)
        if inside.any():
            model = prepared.arms[-1].predict(fold, prepared.outcome_at(fold), places)
            predicted[inside] = model[inside]
    return t.sign * predicted[did], t.sign * t.outcome[did]


def _groups(
    predicted: Floats, observed: Floats, settings: FigureSettings
) -> list[dict[str, float]]:
    most = max(1, min(TENTHS, len(observed) // max(2, settings.smallest_cell)))
    half = float(norm.ppf(0.5 + settings.level / 2))
    told = []
    for part in np.array_split(np.argsort(predicted, kind="stable"), most):
        y = observed[part]
        error = half * float(y.std(ddof=1)) / np.sqrt(len(y))
        told.append({"predicted": float(predicted[part].mean()), "observed": float(y.mean()),
                     "low": float(y.mean() - error), "high": float(y.mean() + error),
                     "n": len(part)})  # fmt: skip
    return told
