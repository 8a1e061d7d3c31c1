"""Each row enters once for every regime it followed; the sandwich counts it as one patient."""

from typing import NamedTuple

import numpy as np

from cds_engine.estimate.columns import Floats


class Fitted(NamedTuple):
    """Weighted means of all regimes, estimated together.

    Attributes:
        means: shape (regimes,).
        influence: shape (regimes, n), each of mean zero.
    """

    means: Floats
    influence: Floats


def replicated_means(
    y: Floats, w: Floats, X: Floats | None = None, sample: Floats | None = None
) -> Fitted:
    """Return the mean outcome of each regime by weighted least squares on the replicated rows.

    Without covariates it is sum(w y) / sum(w) for each regime. With covariates the model is y =
    b_regime + c'(x - mean of x), with c in common to all regimes; a regime's mean is b_regime,
    for the randomisation makes covariates and regimes independent, so that the model need not be
    right. The influence functions are those of clustered M-estimation, patients being clusters:
    bread x the sum of a patient's scores over its copies. They have no small-sample factor, and
    take the mean of the covariates as estimated.

    Args:
        y: outcomes, shape (n,); 0 where the weight is 0 because the outcome is missing.
        w: weights, shape (regimes, n); 0 where a row did not follow a regime.
        X: covariates, shape (n, p), each of (sample-weighted) mean zero.
        sample: sample weights, shape (n,), which are part of ``w``; None where all are equal.

    References:
        Nahum-Shani et al. (2012), Psychological Methods 17.
    """
    n = len(y)
    total = w.sum(axis=1)
    means = w @ y / total
    if X is None:
        return Fitted(means, n * w * (y - means[:, None]) / total[:, None])
    centre = (w @ X) / total[:, None]
    gram = np.zeros((X.shape[1], X.shape[1]))
    moment = np.zeros(X.shape[1])
    for at in range(len(w)):  # deviations within each regime, so that b drops out
        deviation = X - centre[at]
        gram += (w[at][:, None] * deviation).T @ deviation
        moment += deviation.T @ (w[at] * (y - means[at]))
    slope = np.linalg.solve(gram, moment)
    means = means - centre @ slope
    residual = y - X @ slope - means[:, None]
    own = n * w * residual / total[:, None]
    score = sum((w[at] * residual[at])[:, None] * (X - centre[at]) for at in range(len(w)))
    relative = 1.0 if sample is None else sample * (n / sample.sum())
    of_slope = n * np.linalg.solve(gram, np.asarray(score).T)
    return Fitted(means, own - centre @ of_slope + relative * (X @ slope))
