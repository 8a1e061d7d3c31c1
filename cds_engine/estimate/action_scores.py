"""A score says, for one patient and one action, what the outcome would be: unbiased, but noisy.

The mean over patients of the doubly robust scores of the actions that a regime advises is its
doubly robust value, so that a regime can be found by maximising a sum of scores.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats, Ints
from cds_engine.estimate.doubly_robust import Prepared
from cds_engine.estimate.stage import StageData

Kind = Literal["doubly_robust", "weighting", "regression"]
KINDS: tuple[Kind, ...] = ("doubly_robust", "weighting", "regression")

Continue = Callable[[int], Ints]
"""Fold -> places advised to every row by a rule that was learned without the fold."""
Decide = Callable[[int, StageData, Floats], Continue]
"""Given a stage's place, histories and scores, settles its rule and says how it continues."""


def backward_scores(
    prepared: Prepared, decide: Decide, kind: Kind = "doubly_robust"
) -> list[Floats]:
    """Return the scores of every stage, each of shape (n, n_actions), backward over the stages.

    With Z_{K+1} = Y, and Z_{k+1} the score at stage k + 1 of what the later rules advise,

        Gamma_k(a) = Q_k(H_k, a) + I(A_k = a) / P(a | H_k) (Z_{k+1} - Q_k(H_k, a)),

    where Q_k regresses, within each arm, what the models expect of the later rules. Whoever has no
    decision at a stage passes on what comes after it. A row's scores rest on nuisance models, and
    on later rules, that were learned without the row's fold. NaN marks what is not feasible.

    Args:
        prepared: nuisance models and folds; rows are in its order.
        decide: called for the last stage first.
        kind: ``weighting`` leaves the outcome models out, ``regression`` the weights.

    Raises:
        EstimationError: for an unknown kind, or a propensity of 0 of an action that was taken.

    References:
        Zhang & Zhang (2018), C-learning; Zhou, Athey & Wager (2023), offline multi-action policy
        learning; Nordland & Holst (2023), polle.
    """
    if kind not in KINDS:
        raise EstimationError(
            f"scores {kind!r} are unknown; they are {', '.join(map(repr, KINDS))}"
        )
    t = prepared.trajectories
    folds = np.unique(prepared.folds)
    ahead = {int(fold): np.array(prepared.outcome_at(_without(prepared, int(fold))))
             for fold in folds}  # fmt: skip
    z = np.empty(len(t))
    for fold, y in ahead.items():
        z[prepared.folds == fold] = y[prepared.folds == fold]
    held: list[Floats] = []
    for k in range(len(t.stages) - 1, -1, -1):
        h = t.stages[k]
        models = {fold: _expected(prepared, k, fold, y) for fold, y in ahead.items()}
        q = np.empty(h.feasible.shape)
        for fold, expected in models.items():
            q[prepared.folds == fold] = expected[prepared.folds == fold]
        gamma = _scores(h, q, prepared.propensities[k], z, kind)
        held.insert(0, gamma)
        carry_on = decide(k, h, gamma)
        if k:
            _carry(prepared, h, models, gamma, carry_on, ahead, z)
    return held


def _without(prepared: Prepared, fold: int) -> int:
    return fold if prepared.crossed else -1


def _expected(prepared: Prepared, k: int, fold: int, target: Floats) -> Floats:
    """Return Q_k(H_k, a) of models without a fold, for every row and feasible action."""
    feasible = prepared.trajectories.stages[k].feasible
    columns = [
        prepared.arms[k].predict(
            _without(prepared, fold), target, np.where(feasible[:, a], a, -1).astype(np.intp)
        )
        for a in range(feasible.shape[1])
    ]
    return np.column_stack(columns)


def _scores(h: StageData, q: Floats, p: Floats, z: Floats, kind: Kind) -> Floats:
    base = np.where(h.feasible, 0.0, np.nan) if kind == "weighting" else q.copy()
    if kind == "regression":
        return base
    rows = np.flatnonzero(h.decided)
    taken = h.action[rows]
    share = p[rows, taken]
    if impossible := int(np.count_nonzero(~(share > 0))):
        raise EstimationError(
            f"stage {h.spec.stage}: {impossible} rows took an action whose propensity is 0; "
            "correct the propensities, or declare the action infeasible there"
        )
    base[rows, taken] += (z[rows] - base[rows, taken]) / share
    return base


def _carry(
    prepared: Prepared, h: StageData, models: dict[int, Floats], gamma: Floats,
    carry_on: Continue, ahead: dict[int, Floats], z: Floats,
) -> None:  # fmt: skip
    """Put into ``ahead`` and ``z`` what comes of the rule of this stage."""
    for fold, expected in models.items():
        places = carry_on(fold)
        rows = np.flatnonzero(h.decided & (places >= 0))
        ahead[fold][rows] = expected[rows, places[rows]]
        inside = rows[prepared.folds[rows] == fold]
        z[inside] = gamma[inside, places[inside]]
