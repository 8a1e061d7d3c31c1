"""The doubly robust value of a fixed two-stage regime: n = 1e5, ten features, linear nuisances.

Run as ``python -m benchmarks.values``. The peer is the same estimator as one would write it with
scikit-learn: five folds, logistic and linear regressions, the same formula.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression

from benchmarks.report import Line, in_turn, show
from cds_engine.estimate.doubly_robust import dr_value
from cds_engine.estimate.folds import folds_of
from cds_engine.estimate.rule import Always
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.trajectories import Trajectories

ROWS = 100_000
FEATURES = 10
LIMIT_S = 1.0


def main() -> None:
    """Measure and print."""
    t = a_cohort()
    rules = (Always("high"), Always("high"))
    ours, theirs = dr_value(t, rules).estimate, by_scikit_learn(t)
    assert abs(ours - theirs) < 1e-4, "the two disagree"
    seconds, peer = in_turn([lambda: dr_value(t, rules), lambda: by_scikit_learn(t)], 5)
    show(f"Doubly robust value of a two-stage regime, {ROWS:,} rows, {FEATURES} features", [
        Line("five folds, linear nuisances", f"{seconds:.2f} s", f"under {LIMIT_S:.0f} s",
             seconds < LIMIT_S),
        Line("against scikit-learn by hand", f"{peer / seconds:.1f} times as fast",
             f"{peer:.2f} s"),
    ])  # fmt: skip


def a_cohort() -> Trajectories:
    """Draw a confounded cohort; always the same one."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS, FEATURES - 1))
    a1 = rng.random(ROWS) < 1 / (1 + np.exp(-0.7 * x[:, 0]))
    s = 0.5 * x[:, 0] - 0.8 * a1 + rng.normal(size=ROWS)
    a2 = rng.random(ROWS) < 1 / (1 + np.exp(-0.7 * s))
    frame = pd.DataFrame({f"x{at}": x[:, at] for at in range(FEATURES - 1)})
    frame["id"], frame["s"] = np.arange(ROWS), s
    frame["action_first"], frame["action_second"] = (np.where(a, "high", "low") for a in (a1, a2))
    frame["y"] = -x[:, 0] - s + 0.3 * a1 + a2 * (0.2 + 0.5 * s) + rng.normal(size=ROWS)
    known = tuple(f"x{at}" for at in range(FEATURES - 1))
    specs = [
        HistorySpec(stage="first", variables=known, actions=("low", "high")),
        HistorySpec(stage="second", variables=(*known, "s"), actions=("low", "high")),
    ]
    return Trajectories.from_wide(frame, specs, outcome="y")


def by_scikit_learn(t: Trajectories) -> float:
    """Return the same value, as one would write it."""
    folds = folds_of(t, 5, 0)
    x = [np.column_stack(list(h.columns.values())) for h in t.stages]
    a = [h.action for h in t.stages]
    terms = np.empty(len(t))
    for fold in range(5):
        rest, inside = folds != fold, folds == fold
        p = [_logistic(x[k][rest], a[k][rest], x[k][inside]) for k in (0, 1)]
        two = LinearRegression().fit(x[1][rest & (a[1] == 1)], t.outcome[rest & (a[1] == 1)])
        q2 = two.predict(x[1])
        one = LinearRegression().fit(x[0][rest & (a[0] == 1)], q2[rest & (a[0] == 1)])
        q1, q2 = one.predict(x[0][inside]), q2[inside]
        w1 = a[0][inside] / p[0]
        w2 = w1 * a[1][inside] / p[1]
        terms[inside] = q1 + w1 * (q2 - q1) + w2 * (t.outcome[inside] - q2)
    return float(terms.mean())


def _logistic(x: Any, a: Any, at: Any) -> Any:
    return LogisticRegression(C=np.inf, tol=1e-6, max_iter=200).fit(x, a).predict_proba(at)[:, 1]


if __name__ == "__main__":
    main()
