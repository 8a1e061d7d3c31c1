"""A row of weight w counts as w rows of weight one would."""

from collections.abc import Sequence

import numpy as np
from statsmodels.stats.weightstats import DescrStatsW

from cds_engine.estimate.columns import Floats


def quantiles(values: Floats, at: Sequence[float] | Floats, weights: Floats) -> Floats:
    """Return where the distribution function of weighted values reaches some shares.

    Where a share is reached exactly between two values, their mean. What all weights are
    multiplied by has no effect.

    Args:
        values: shape (n,); where nothing counts, every quantile is NaN.
        at: shares from 0 to 1.
        weights: shape (n,); zero leaves a value out.

    >>> quantiles(np.array([1.0, 4.0]), (0.25, 0.5, 0.9), np.array([2.0, 2.0])).tolist()
    [1.0, 2.5, 4.0]
    """
    here = weights > 0
    if not here.any():
        return np.full(len(at), np.nan)
    found = DescrStatsW(values[here], weights=weights[here]).quantile(
        np.asarray(at), return_pandas=False
    )
    return np.asarray(found, dtype=np.float64)
