"""The assumptions drawn: who could have had which action, and who looks like whom once weighted."""

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from cds_adapters.report.charts import (
    BalanceRow,
    Chart,
    Curve,
    Histogram,
    Line,
    curves,
    histograms,
    love,
)
from cds_adapters.report.numbers import count, number, percent
from cds_adapters.report.words import Words
from cds_engine.assume.balance import LARGE, Difference
from cds_engine.assume.consistency import Mapped
from cds_engine.assume.positivity import RARE, ActionOverlap
from cds_engine.estimate.columns import Bools, Floats
from cds_engine.estimate.rule import Rules
from cds_engine.estimate.sensitivity import SensitivityModel
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.weights import advice, cumulative_weights, follows_so_far

BINS = 20
OVERLAP_HEAD = ("Stage, action", "Could have it", "Took it", "Ruled out", "Feasible for",
                "Median chance", "1 % to 99 %", "Chance below 5 %", "Effective n",
                "Largest weight")  # fmt: skip
MAPPED_HEAD = ("Stage", "One action", "None", "Several", "Share with exactly one")


def overlap_chart(trajectories: Trajectories, shares: Sequence[Floats]) -> Chart:
    """Return for each stage and action how the chance of it was spread, by who took it.

    Args:
        trajectories: the data.
        shares: P(A_k = a | H_k) of each stage, (n, n_actions).
    """
    edges: Floats = np.linspace(0, 1, BINS + 1)
    panels = []
    for h, p in zip(trajectories.stages, shares, strict=True):
        choice = h.decided & (h.feasible.sum(axis=1) > 1)
        for place, action in enumerate(h.spec.actions):
            could = choice & h.feasible[:, place]
            took: Bools = could & (h.action == place)
            panels.append(
                Histogram(f"{h.spec.stage}: {action}", _binned(p[took, place], edges),
                          _binned(p[could & ~took, place], edges))
            )  # fmt: skip
    return histograms(
        "overlap", "Overlap: the chance of each action, among those who could have it",
        tuple(edges), panels, "Chance of the action given the history, P(A = a | H)",
        names=("took it", "took another"), at=[Line(RARE, "")],
    )  # fmt: skip


def overlap_rows(overlaps: Sequence[ActionOverlap]) -> list[tuple[str, ...]]:
    """Return the figures of overlap."""
    return [
        (f"{one.stage}, {one.action}", count(one.could), count(one.took), count(one.ruled_out),
         one.why or "everybody", number(one.quantiles[2], 3),
         f"{number(one.quantiles[0], 3)} to {number(one.quantiles[4], 3)}", percent(one.rare),
         number(one.effective_n), number(one.largest_weight))
        for one in overlaps
    ]  # fmt: skip


def weights_chart(
    trajectories: Trajectories, shares: Sequence[Floats], rules: Rules | None = None
) -> Chart:
    """Return how weights are spread: at each stage, and of a regime over all of them.

    Args:
        trajectories: the data.
        shares: P(A_k = a | H_k) of each stage, (n, n_actions).
        rules: the regime whose followers' weights are shown as well.
    """
    panels = []
    for h, p in zip(trajectories.stages, shares, strict=True):
        rows = np.flatnonzero(h.decided)
        panels.append((f"{h.spec.stage}: 1 / chance of the action taken",
                       1.0 / p[rows, h.action[rows]]))  # fmt: skip
    if rules is not None:
        places = advice(trajectories, rules)
        followers = follows_so_far(trajectories, places)[-1]
        whole = cumulative_weights(trajectories, places, shares)[-1][followers]
        panels.append((f"The regime as it is served: {count(len(whole))} followers", whole))
    most = max((float(values.max(initial=1.0)) for _, values in panels), default=1.0)
    edges = np.asarray(MaxNLocator(30).tick_values(0, most * 1.001), dtype=np.float64)
    return histograms(
        "weights", "Weights: for how many each patient stands", tuple(edges),
        [Histogram(name, _binned(values, edges)) for name, values in panels], "Weight",
    )  # fmt: skip


def love_chart(differences: Sequence[Difference]) -> Chart:
    """Return balance before and after weighting."""
    rows = [BalanceRow(one.column, one.before, one.after, f"{one.stage}: {one.action}")
            for one in differences]  # fmt: skip
    title = "Balance: how those who took an action differ from all who could have it"
    return love("balance", title, rows, limit=LARGE)


def sensitivity_chart(model: SensitivityModel, flips_at: float | None, words: Words) -> Chart:
    """Return the bounds of a difference as unmeasured confounding grows."""
    flip = flips_at if flips_at is not None and np.isfinite(flips_at) else None
    most = 3.0 if flip is None else max(1.5, 1 + 1.6 * (flip - 1))
    gammas = np.asarray(MaxNLocator(16).tick_values(1.0, most), dtype=np.float64)
    gammas = np.round(gammas[gammas >= 1.0], 9)
    drawn = model.curve(tuple(map(float, gammas)))
    x, low, high = (tuple(map(float, drawn[name])) for name in ("gamma", "low", "high"))
    label = " minus ".join(model.labels)
    estimate = model.bounds(1.0)[0]
    return curves(
        "sensitivity", f"Sensitivity: {label}, under unmeasured confounding",
        [Curve(f"estimate {number(estimate, 3)}", x, (estimate,) * len(x), low,
               high)],
        "Gamma: factor by which an unmeasured cause shifts the odds of treatment",
        f"Weighted difference{words.unit}", level=Line(0.0, ""), band="Bounds",
        at=[] if flip is None else [Line(flip, f"flips at {number(flip, 3)}")],
    )  # fmt: skip


def mapped_rows(rows: Sequence[Mapped]) -> list[tuple[str, ...]]:
    """Return how rows map to actions."""
    return [(one.stage, count(one.one), count(one.none), count(one.several), percent(one.share))
            for one in rows]  # fmt: skip


def _binned(values: Floats, edges: Floats) -> tuple[float, ...]:
    return tuple(map(float, np.histogram(values, bins=edges)[0]))
