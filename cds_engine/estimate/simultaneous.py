"""Many intervals hold together when the largest of their errors is what is bounded."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Floats
from cds_engine.estimate.value import ValueEstimate

DRAWS = 100_000


def simultaneous(
    estimates: Sequence[ValueEstimate], *, level: float = 0.95, random_state: int = 0
) -> tuple[ValueEstimate, ...]:
    """Return the estimates with intervals that all hold at once with the stated probability.

    The critical value is the quantile of the largest |t| under the joint normal distribution of
    the estimates, whose correlation comes from their influence functions (max-t); never wider than
    Bonferroni's but for simulation noise.

    Args:
        estimates: values or differences on the same trajectories.
        level: of all intervals together.
        random_state: seed of the 100,000 draws.

    Raises:
        EstimationError: if one of them has no influence function, or they rest on different
            trajectories.
    """
    critical = critical_value(estimates, level=level, random_state=random_state)
    note = f"interval holds together with those of {len(estimates) - 1} others (max-t)"
    return tuple(
        replace(
            one, level=level, notes=(*one.notes, note),
            interval=(one.estimate - critical * one.standard_error,
                      one.estimate + critical * one.standard_error),
        )
        for one in estimates
    )  # fmt: skip


def critical_value(
    estimates: Sequence[ValueEstimate], *, level: float = 0.95, random_state: int = 0
) -> float:
    """Return how many standard errors each interval must reach so that all hold at once.

    Raises:
        EstimationError: as ``simultaneous`` does.
    """
    covariance = joint_covariance(estimates)
    scale = np.sqrt(np.diag(covariance))
    sure = scale > 0
    if not sure.any():
        return 0.0
    correlation = covariance[np.ix_(sure, sure)] / np.outer(scale[sure], scale[sure])
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = np.random.default_rng(random_state).normal(size=(DRAWS, len(root))) @ root.T
    return float(np.quantile(np.abs(drawn).max(axis=1), level))


def joint_covariance(estimates: Sequence[ValueEstimate]) -> Floats:
    """Return the covariance matrix of estimates, from their influence functions.

    Raises:
        EstimationError: as ``simultaneous`` does.
    """
    held = []
    for one in estimates:
        if one.influence is None:
            raise EstimationError(
                f"{one.label} has no influence function, so that nothing is known of its "
                "correlation with the others; leave it out, or use a doubly robust value"
            )
        if not _same(one, estimates[0]):
            raise EstimationError(
                f"{one.label} and {estimates[0].label} rest on different trajectories; estimate "
                "all on the same"
            )
        held.append(one.influence)
    if not held:
        raise EstimationError("there is no estimate to give an interval to")
    F = np.vstack(held)
    return np.asarray(F @ F.T / F.shape[1] ** 2, dtype=np.float64)


def _same(one: ValueEstimate, other: ValueEstimate) -> bool:
    return one.ids is not None and other.ids is not None and np.array_equal(one.ids, other.ids)
