"""The intervals that are on by default cover what they say: 400 simulations at n = 300.

Writes its results to ``docs/coverage.md``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.nonregular import HALF, REGULAR, SEVERE

from cds_engine.estimate.bootstrap import bootstrap
from cds_engine.estimate.intervals import IntervalKind
from cds_engine.estimate.nonregular import ALPHA

PAGE = Path(__file__).parents[3] / "docs" / "coverage.md"
SIMULATIONS, N, RESAMPLES = 400, 300, 500
LEAST = {"regular": 0.92, "half-degenerate": 0.92, "severe": 0.90}
WAYS: dict[str, tuple[dict[str, Any], IntervalKind]] = {
    "default: hybrid, adaptive m": ({}, "hybrid"),
    "hybrid, n out of n": ({"m": "n"}, "hybrid"),
    "percentile, n out of n": ({"m": "n"}, "percentile"),
}
TRIALS = (REGULAR, HALF, SEVERE)
Row = tuple[str, str, str, float, float, float, float]


def coverage_of(trial: Any) -> list[Row]:
    """Return trial, interval, coefficient, coverage, width, mean m and mean share for each."""
    truth = trial.truth()
    held: dict[tuple[str, str], list[tuple[bool, float]]] = {}
    sizes: dict[str, list[tuple[int, float]]] = {way: [] for way in WAYS}
    for seed in range(SIMULATIONS):
        t = trial.draw(N, seed)
        drawn = {
            m: bootstrap(trial.learner(), t, resamples=RESAMPLES, random_state=seed, m=m)
            for m in ("adaptive", "n")
        }
        for way, (options, kind) in WAYS.items():
            found = drawn[options.get("m", "adaptive")]
            interval = found.interval(0, kind=kind)
            sizes[way].append((found.nonregularity[0].m, found.nonregularity[0].share))
            for name, value in truth.items():
                at = interval.names.index(name)
                low, high = interval.low[at], interval.high[at]
                held.setdefault((way, name), []).append((bool(low <= value <= high), high - low))
    return [
        (trial.name, way, name, *np.mean(rows, axis=0), *np.mean(sizes[way], axis=0))
        for (way, name), rows in held.items()
    ]


def page(rows: list[Row]) -> str:
    """Return the page that is written into the documentation."""
    lines = [
        f"| {trial} | {way} | `{name}` | {share:.3f} | {width:.3f} | {m:.0f} | {near:.2f} |"
        for trial, way, name, share, width, m, near in rows
    ]
    return "\n".join(
        [
            "# Coverage of the intervals",
            "",
            f"95 % intervals of the stage-1 effect of linear Q-learning: {SIMULATIONS} simulated",
            f"trials of {N} patients, {RESAMPLES} resamples each, all stages refitted in every",
            "resample. Written by `make test-slow` (`test_coverage.py`; the trials and their truth",
            "in closed form are in `tests/builders/nonregular.py`). The standard error of a share",
            f"near 0.95 is {np.sqrt(0.95 * 0.05 / SIMULATIONS):.3f}.",
            "",
            "The default is the hybrid (basic) interval from m out of n trajectories, with",
            f"m = n^((1 + a (1 - p)) / (1 + a)), a = {ALPHA:g}, p the share of patients whose two",
            "best actions at a later stage cannot be told apart (Chakraborty, Laber & Zhao 2013),",
            "and m at least 8 for each coefficient. The percentile interval is here to show why it",
            "must be asked for by name.",
            "",
            "| trial | interval | coefficient | coverage | mean width | mean m | mean p |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *lines,
            "",
        ]
    )


@pytest.mark.slow
def test_default_intervals_cover_what_they_say() -> None:
    rows = [row for trial in TRIALS for row in coverage_of(trial)]
    PAGE.write_text(page(rows), encoding="utf-8")
    low = [row for row in rows if row[1].startswith("default") and row[3] < LEAST[row[0]]]
    assert not low
    worst = min(row[3] for row in rows if row[1].startswith("percentile"))
    assert worst < 0.8, "else the severe trial is not severe, and proves nothing"


def test_the_page_says_what_was_found() -> None:
    text = page([("regular", "default", "b", 0.9475, 0.51, 180.0, 0.4)])
    assert "| regular | default | `b` | 0.948 | 0.510 | 180 | 0.40 |" in text
