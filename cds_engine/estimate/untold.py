"""Whether an action is told may rest on the history, never on the action itself.

The probability that an action is told, with which those told stand for the others, and the decision
points that come too late for all to be told alike, are found in one way for fits and replays.
"""

from typing import TYPE_CHECKING

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools, Floats
from cds_engine.estimate.feasible_logit import FeasibleLogit, SeparationError

if TYPE_CHECKING:
    import pandas as pd

CUT = "pending"
"""The state of an action that the records may end too early for, for which nobody can stand."""
SURE = 1 - 1e-6
"""A fitted probability above it is certainty."""
FEW = 0.05
"""Of a smaller share untold, a perfect foretelling may be chance; see ``shares_told``."""


def cut_short(as_of: "pd.Series[int]", state: "pd.Series[str]") -> Bools:
    """Return the decision points whose window for an action the records may cut, shape (n,).

    Within such a window only what was done at once is on record. Who did nothing yet is
    ``pending``, so that those told are the ones treated: none of them may count, told or untold.
    All windows are of one length. So the first decision that is pending tells where they begin to
    be cut, but for those treated between the true instant and this one.

    Args:
        as_of: when each decision was due.
        state: of its action.
    """
    pending = state == CUT
    late = as_of >= as_of[pending].min() if pending.any() else pending
    return late.to_numpy(dtype=np.bool_)


def shares_told(
    history: Floats, untold: Bools, stage: str, weights: Floats | None = None
) -> tuple[Floats, str]:
    """Return P(told | history), shape (n,), and what must be said of it.

    That some are foretold to be told is no harm: they stand for themselves. That somebody untold is
    foretold means that nobody can stand for him. But through as many points as there are columns a
    plane can always be laid: so few may be foretold by chance, and if they are ``FEW`` as well, all
    with the decision stand for them alike.

    Args:
        history: up to the decision, shape (n, p).
        untold: whose action is not told.
        stage: its name, for messages.
        weights: sample weights; all alike unless given.

    Raises:
        EstimationError: if nobody is told, or the history foretells who is not.
    """
    lost, n = int(untold.sum()), len(untold)
    if lost == n:
        raise EstimationError(f"stage {stage}: of none of {n} patients the action is known, so "
                              "that nobody can stand for them")  # fmt: skip
    both, logit = np.ones((n, 2), dtype=np.bool_), FeasibleLogit()
    try:
        logit.fit(history, untold.astype(np.intp), both, weights)
    except SeparationError as error:
        foretold = int((logit.predict_proba(history, both)[untold, 1] > SURE).sum())
        if foretold and lost <= min(history.shape[1], FEW * n):
            alike = 1 - float(np.average(untold, weights=weights))
            return np.full(n, alike), (
                f"stage {stage}: the {lost} of {n} patients whose action is not known are too few "
                "to say what it depends on, so that all with the decision stand for them alike"
            )
        if foretold:
            raise EstimationError(
                f"stage {stage}: the action is not known of {lost} of {n} patients, and the "
                f"history foretells it perfectly of {foretold}, so that nobody can stand for them"
            ) from error
    return np.asarray(logit.predict_proba(history, both)[:, 0], dtype=np.float64), ""
