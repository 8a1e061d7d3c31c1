"""Two-stage linear Q-learning against bare NumPy, and its bootstrap against scikit-learn.

Run as ``python -m benchmarks.estimate`` with ``OMP_NUM_THREADS=1``, so that CPU time is one
thread's. Every peer must find the same numbers.
"""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LinearRegression

from benchmarks.report import Line, in_turn, show
from cds_engine.estimate.bootstrap import bootstrap
from cds_engine.estimate.q_learning import QLearning
from cds_engine.estimate.stage import HistorySpec, StageData
from cds_engine.estimate.trajectories import Trajectories

ROWS = 1_000_000
FEATURES = 20
TIMES_BARE = 2.0
GIGABYTE = 1e9

PATIENTS = 10_000
RESAMPLES = 1_000
LOOP = 25
"""Resamples that scikit-learn is timed on; its loop takes the same time for each."""
TIMES_LOOP = 10.0


def main() -> None:
    """Measure and print."""
    # first of all: a process starts out with the peak of the one that started it
    peaks = {tailoring: _peak(tailoring) for tailoring in (3, FEATURES)}
    for tailoring, peak in peaks.items():
        title = f"Two-stage linear Q-learning, n = {ROWS:,}, {FEATURES} features"
        show(f"{title}, {tailoring} of them tailoring", one_fit(tailoring, peak))
    show(
        f"{RESAMPLES:,} bootstrap refits of two stages, n = {PATIENTS:,}, {FEATURES} features",
        refits(),
    )


def trial(n: int) -> Trajectories:
    """Return two stages with two actions; all of stage 2 matters to the outcome."""
    rng = np.random.default_rng(1)
    first = {f"x{at}": rng.standard_normal(n) for at in range(FEATURES)}
    action = rng.integers(0, 2, (2, n))
    second = {name: first[name] for name in list(first)[: FEATURES - 1]}
    second["past"] = action[0].astype(np.float64)
    effects = action[0] * (0.3 - first["x1"]), action[1] * (0.2 + first["x2"])
    y = first["x0"] + effects[0] + effects[1] + rng.standard_normal(n)
    stages = tuple(
        StageData(
            spec=HistorySpec(stage=name, variables=tuple(columns), actions=("wait", "treat")),
            columns=columns, decided=np.ones(n, dtype=np.bool_), action=action[at],
            feasible=np.ones((n, 2), dtype=np.bool_), reward=np.zeros(n),
        )
        for at, (name, columns) in enumerate((("one", first), ("two", second)))
    )  # fmt: skip
    return Trajectories(np.arange(n), stages, y, weights=np.ones(n))


def learner(tailoring: int, *, compare: bool = True) -> QLearning:
    """Return a Q-learning with so many tailoring terms."""
    some = tuple(f"x{at}" for at in range(min(tailoring, FEATURES - 1)))
    more = {"one": ("x19",), "two": ("past",)} if tailoring == FEATURES else {"one": (), "two": ()}
    terms = {stage: (*some, *more[stage]) for stage in ("one", "two")}
    return QLearning(tailoring=terms, compare=compare, warn_above=1)


def one_fit(tailoring: int, peak: float) -> list[Line]:
    """Fit once, against the normal equations of the same two designs, already laid out."""
    t = trial(ROWS)
    ours = learner(tailoring)
    ours.fit(t)
    designs = [
        np.ascontiguousarray(stage.design.matrix(h, np.arange(ROWS)))
        for stage, h in zip(ours.stages_, t.stages, strict=True)
    ]

    def bare() -> None:
        for columns in designs:
            np.linalg.solve(columns.T @ columns, columns.T @ t.outcome)

    direct = np.linalg.solve(designs[1].T @ designs[1], designs[1].T @ t.outcome)
    assert np.allclose(direct, ours.stages_[1].coefficients, rtol=1e-6), "the solvers disagree"
    alone = learner(tailoring, compare=False)
    fit, plain, limit = in_turn([lambda: ours.fit(t), lambda: alone.fit(t), bare])
    return [
        Line("fit, with the other pseudo-outcome compared", f"{fit:.2f} s, {fit / limit:.1f} x",
             f"{TIMES_BARE:.0f} x the bare solves ({limit:.2f} s)", fit <= TIMES_BARE * limit),
        Line("fit, compare=False", f"{plain:.2f} s, {plain / limit:.1f} x",
             f"{TIMES_BARE:.0f} x the bare solves", plain <= TIMES_BARE * limit),
        Line("peak memory of a process that makes the data and fits", f"{peak / 1e6:.0f} MB",
             "under 1 GB", peak < GIGABYTE),
    ]  # fmt: skip


def refits() -> list[Line]:
    """Refit both stages in weighted resamples, against LinearRegression on laid-out designs."""
    t = trial(PATIENTS)
    lines = []
    for tailoring in (3, FEATURES):
        ours = learner(tailoring, compare=False)
        many = _refitted(ours, t, RESAMPLES)
        loop = _scikit_learn_loop(ours.fit(t), t)
        fast, slow = in_turn([many, loop], runs=3)
        times = slow * RESAMPLES / LOOP / fast
        lines.append(Line(
            f"{tailoring} tailoring terms", f"{fast:.2f} s, {times:.0f} x faster",
            f"{TIMES_LOOP:.0f} x faster than scikit-learn ({slow * RESAMPLES / LOOP:.1f} s)",
            times >= TIMES_LOOP,
        ))  # fmt: skip
    return lines


def _refitted(ours: QLearning, t: Trajectories, resamples: int) -> Callable[[], object]:
    return lambda: bootstrap(ours, t, resamples=resamples, m="n", random_state=1)


def _scikit_learn_loop(fitted: QLearning, t: Trajectories) -> Callable[[], object]:
    """Return a loop over weighted LinearRegression fits of both stages."""
    rows = np.arange(PATIENTS)
    first, second = (
        stage.design.matrix(h, rows) for stage, h in zip(fitted.stages_, t.stages, strict=True)
    )
    design, h = fitted.stages_[1].design, t.stages[1]
    wait, treat = (
        design.matrix(StageData(spec=h.spec, columns=h.columns, decided=h.decided, reward=h.reward,
                                action=np.full(PATIENTS, a), feasible=h.feasible), rows)
        for a in (0, 1)
    )  # fmt: skip

    def loop() -> None:
        rng = np.random.default_rng(2)
        for _ in range(LOOP):
            w = np.bincount(rng.integers(PATIENTS, size=PATIENTS), minlength=PATIENTS)
            later = LinearRegression(fit_intercept=False).fit(second, t.outcome, sample_weight=w)
            best = np.maximum(later.predict(wait), later.predict(treat))
            LinearRegression(fit_intercept=False).fit(first, best, sample_weight=w)

    return loop


def _peak(tailoring: int) -> float:
    """Return the peak memory, in bytes, of a fresh process that draws the trial and fits."""
    code = (
        "import resource; from benchmarks.estimate import ROWS, learner, trial; "
        f"learner({tailoring}).fit(trial(ROWS)); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    unit = 1 if sys.platform == "darwin" else 1024
    return float(done.stdout) * unit


if __name__ == "__main__":
    main()
