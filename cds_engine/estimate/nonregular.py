"""Near a tie at a later stage an earlier one is not regular; how many are near is measured."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import chi2

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats
from cds_engine.estimate.linear_stage import LinearStage
from cds_engine.estimate.stage import StageData

SIGNIFICANCE: Final = 0.001
"""Level of the test, patient by patient, that two actions differ."""
ALPHA: Final = 0.3
"""How fast m falls with the share of near-ties: m = n^((1 + alpha (1 - share)) / (1 + alpha)).

Chosen by simulation (docs/coverage.md), not tuned to each data set by a second bootstrap: it covers
where everything is near a tie, and lengthens intervals by a few per cent only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nonregularity:
    """How much of a stage's inference rests on patients to whom a later choice hardly matters.

    Attributes:
        stage: the stage whose inference is meant.
        later: stage -> share of those with a choice there whose two best actions cannot be told
            apart at ``significance``.
        share: the largest of these shares; 0 for the last stage, which is regular.
        m: size of the resamples that were drawn for this stage.
        n: trajectories.
        rule: how m was chosen, in words.
    """

    stage: str
    later: dict[str, float]
    share: float
    m: int
    n: int
    rule: str


def near_zero_share(
    stage: LinearStage, h: StageData, covariance: Floats, significance: float = SIGNIFICANCE
) -> float:
    """Return for which share of rows the two best feasible actions cannot be told apart.

    For row i with best action a and runner-up b, c_i = t(h_i)'(psi_a - psi_b) is near zero if
    c_i^2 <= q t'Vt, with q the chi-squared(1) quantile at 1 - ``significance``.

    Args:
        stage: the fitted stage.
        h: its histories; only rows with at least two feasible actions count.
        covariance: of the stage's coefficients.
        significance: level of the test.

    Returns:
        The share; 0 if nobody has a choice.
    """
    rows = np.flatnonzero(h.feasible.sum(axis=1) > 1)
    if not len(rows):
        return 0.0
    design = stage.design
    t = design.basis.matrix(h, rows)[:, design.tailoring]
    psi, V = _blips_of(stage, covariance)
    blips = np.where(h.feasible[rows], t @ psi.T, -np.inf)
    best = np.argsort(-blips, axis=1, kind="stable")[:, :2]
    near = np.zeros(len(rows), dtype=np.bool_)
    limit = chi2.ppf(1 - significance, 1)
    for a, b in {tuple(pair) for pair in np.sort(best, axis=1).tolist()}:
        here = (np.sort(best, axis=1) == (a, b)).all(axis=1)
        spread = V[a][a] + V[b][b] - V[a][b] - V[b][a]
        variance = np.einsum("ij,jk,ik->i", t[here], spread, t[here])
        contrast = t[here] @ (psi[a] - psi[b])
        near[here] = contrast**2 <= limit * variance
    return float(near.mean())


def _blips_of(stage: LinearStage, covariance: Floats) -> tuple[Floats, list[list[Floats]]]:
    """Return psi of each action, zeros for the first, and the blocks of its covariance."""
    design = stage.design
    places = [slice(0, 0), *map(design.blip_places, range(1, len(design.spec.actions)))]
    width = len(design.tailoring)
    none = np.zeros((width, width))
    psi = np.array([stage.coefficients[at] if at.stop else np.zeros(width) for at in places])
    V = [[covariance[p, q] if p.stop and q.stop else none for q in places] for p in places]
    return psi, V


def adaptive_m(n: int, share: float, alpha: float = ALPHA) -> int:
    """Return how many of n trajectories to resample: n if the share of near-ties is 0.

    m = n^((1 + alpha (1 - share)) / (1 + alpha)), rounded up.

    References:
        Chakraborty, Laber & Zhao (2013), Inference for optimal dynamic treatment regimes using an
        adaptive m-out-of-n bootstrap scheme, Biometrics 69.

    Raises:
        EstimationError: if the share or alpha is out of range.
    """
    if not 0 <= share <= 1:
        raise EstimationError(f"a share of near-ties is {share}; it must lie between 0 and 1")
    if not alpha >= 0:
        raise EstimationError(f"alpha is {alpha}; it must be 0 or more")
    return min(n, int(np.ceil(n ** ((1 + alpha * (1 - share)) / (1 + alpha)) - 1e-9)))
