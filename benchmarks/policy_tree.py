"""The exact depth-2 policy tree against what it may take, and against trying every tree."""

import numpy as np

from benchmarks.report import Line, in_turn, seconds, show
from cds_engine.estimate.tree_search import Engine, search_tree

ROWS, FEATURES = 10_000, 10
LIMITS: dict[Engine, float] = {"numpy": 4.0, "numba": 0.3}


def main() -> None:
    features, scores, taken = a_task(ROWS, FEATURES, 2)
    lines = []
    for engine, limit in LIMITS.items():
        work = [
            lambda engine=engine: search_tree(features, scores, engine=engine),
            lambda engine=engine: search_tree(features, scores, engine=engine, min_leaf=50),
            lambda engine=engine: search_tree(
                features, scores, engine=engine, min_leaf=50, min_arm=20, evidence=[taken, ~taken]
            ),
        ]
        plain, leaves, arms = in_turn(work, runs=3)
        lines += [
            Line(f"{engine}: n=1e4, p=10, two actions", f"{plain:.2f} s",
                 f"limit {limit} s: {plain / limit:.2f} of it", plain < limit),
            Line(f"{engine}: 50 rows in every leaf", f"{leaves:.2f} s", f"{leaves / plain:.1f} x"),
            Line(f"{engine}: and 20 of each arm", f"{arms:.2f} s", f"{arms / plain:.1f} x"),
        ]  # fmt: skip
    lines += [three_actions(), against_every_tree()]
    show("exact policy tree of depth two", lines)


def three_actions() -> Line:
    features, scores, _ = a_task(ROWS // 4, FEATURES, 3)
    two, three = in_turn(
        [lambda: search_tree(features, scores[:, :2], engine="numpy"),
         lambda: search_tree(features, scores, engine="numpy")], runs=3,
    )  # fmt: skip
    return Line("numpy: n=2500, three actions", f"{three:.2f} s", f"{three / two:.1f} x two")


def against_every_tree() -> Line:
    """Try every first split with the best second one, which is O(p^2 n^2)."""
    features, scores, _ = a_task(400, 4, 2)
    ours = seconds(lambda: search_tree(features, scores, engine="numpy"), 3)
    theirs = seconds(lambda: every_split(features, scores), 3)
    grown = theirs * (ROWS / 400) ** 2 * (FEATURES / 4) ** 2
    said = f"every split {theirs / ours:.0f} x; at n=1e4, p=10 about {grown:.0f} s"
    return Line("numpy: n=400, p=4", f"{ours * 1000:.0f} ms", said)


def every_split(features: "np.ndarray", scores: "np.ndarray") -> float:
    best = -np.inf
    for column in range(features.shape[1]):
        for bound in np.unique(features[:, column])[1:]:
            above = features[:, column] >= bound
            both = [one_split(features[side], scores[side]) for side in (above, ~above)]
            best = max(best, sum(both))
    return best


def one_split(features: "np.ndarray", scores: "np.ndarray") -> float:
    order = np.argsort(features, axis=0)
    below = np.cumsum(scores[order], axis=0)
    above = scores.sum(axis=0) - below
    return float((below.max(axis=2) + above.max(axis=2)).max())


def a_task(n: int, p: int, k: int) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, p))
    scores = rng.normal(size=(n, k))
    scores[:, 1] += 0.3 * np.sign(features[:, 0] - 0.3) * (features[:, 2] > 0)
    return features, scores, np.eye(k, dtype=np.bool_)[rng.integers(0, k, n)]


if __name__ == "__main__":
    main()
