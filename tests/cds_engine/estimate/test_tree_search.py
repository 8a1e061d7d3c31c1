"""The tree that is found is the best there is, whichever engine finds it."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from builders.brute_force_trees import Limits, best_value
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_engine.errors import EstimationError
from cds_engine.estimate import tree_search, tree_search_numba
from cds_engine.estimate.tree_search import Cut, Plan, assign, between, search_tree
from cds_engine.estimate.tree_search_numba import kernel, sweep_with
from cds_engine.estimate.tree_search_numpy import Sweep, sweep_numpy

Task = tuple[Any, Any, Any, Any]


@st.composite
def tasks(draw: st.DrawFn, rows: int = 9, features: int = 2) -> Task:
    """Draw features with many ties, whole scores, and a mask of evidence."""
    n = draw(st.integers(1, rows))
    p = draw(st.integers(1, features))
    k = draw(st.integers(2, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.integers(1, 6))
    X = rng.integers(0, levels, size=(n, p)).astype(np.float64)
    scores = rng.integers(-5, 6, size=(n, k)).astype(np.float64)
    return X, scores, rng.random((n, k)) < 0.6, rng


@settings(max_examples=200, deadline=None)
@given(tasks(), st.integers(0, 2))
def test_no_tree_has_a_larger_sum(task: Task, depth: int) -> None:
    X, scores, _, _ = task
    found = search_tree(X, scores, depth=depth, engine="numpy")
    assert found.value == best_value(X, scores, depth, Limits())
    assert found.exact
    assert found.bound == found.value
    assert scores[np.arange(len(X)), assign(found.plan, X)].sum() == found.value


@settings(max_examples=200, deadline=None)
@given(tasks(rows=10), st.integers(1, 4), st.integers(0, 3))
def test_no_tree_with_enough_in_every_leaf_has_a_larger_sum(
    task: Task, min_leaf: int, min_arm: int
) -> None:
    X, scores, taken, _ = task
    limits = Limits(min_leaf, min_arm, [taken, ~taken] if min_arm else [])
    best = best_value(X, scores, 2, limits)
    given_limits: dict[str, Any] = {
        "min_leaf": min_leaf, "min_arm": min_arm, "evidence": [taken, ~taken], "engine": "numpy",
    }  # fmt: skip
    if best == -np.inf:
        with pytest.raises(EstimationError, match="no action has the evidence that is asked for"):
            search_tree(X, scores, **given_limits)
        return
    found = search_tree(X, scores, **given_limits)
    assert found.value == best
    given_actions = assign(found.plan, X)
    for rows in _leaves(found.plan, X):
        assert limits.allow(rows, int(given_actions[rows][0]))


def _leaves(plan: Plan, X: Any) -> list[Any]:
    if isinstance(plan, int):
        return [np.ones(len(X), dtype=np.bool_)]
    above = X[:, plan.feature] >= plan.threshold
    return [
        side & rows
        for side, part in ((above, plan.above), (~above, plan.below))
        for rows in _leaves(part, X)
    ]


def a_sweep(seed: int, n: int, *, levels: int, min_leaf: int = 1, min_arm: int = 0) -> Sweep:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, levels, size=(n, 3)).astype(np.float64)
    seconds = []
    for feature in range(3):
        order = np.argsort(X[:, feature], kind="stable")
        seconds.append((order, np.diff(X[order, feature]) > 0))
    masks = (rng.random((2, n)) < 0.5) if min_arm else np.zeros((0, n), dtype=np.bool_)
    return Sweep(
        order=rng.permutation(n), seconds=seconds, difference=rng.integers(-9, 10, size=n),
        min_leaf=min_leaf, first=tuple(masks[:1]), second=tuple(masks[1:]), min_arm=min_arm,
    )  # fmt: skip


SWEEPS = [
    pytest.param(seed, n, levels, min_leaf, min_arm, id=f"{n}-{levels}-{min_leaf}-{min_arm}")
    for seed, (n, levels, min_leaf, min_arm) in enumerate([
        (1, 2, 1, 0), (2, 2, 1, 0), (7, 3, 1, 0), (33, 50, 1, 0), (40, 4, 1, 0), (65, 999, 1, 0),
        (33, 50, 2, 0), (40, 4, 5, 0), (65, 999, 9, 0), (2, 2, 3, 0), (50, 3, 60, 0),
        (33, 50, 1, 2), (65, 9, 4, 3), (130, 999, 10, 6), (12, 3, 1, 20),
    ])
]  # fmt: skip


@pytest.mark.parametrize(("seed", "n", "levels", "min_leaf", "min_arm"), SWEEPS)
def test_what_numba_compiles_finds_the_same_gains(
    seed: int, n: int, levels: int, min_leaf: int, min_arm: int
) -> None:
    task = a_sweep(seed, n, levels=levels, min_leaf=min_leaf, min_arm=min_arm)
    uncompiled = kernel(lambda function: function)
    assert (_possible(sweep_with(uncompiled, task)) == _possible(sweep_numpy(task))).all()


def _possible(gains: Any) -> Any:
    """Say nothing about how impossible something is."""
    return np.maximum(gains, -(2**60))


@pytest.mark.slow
@pytest.mark.parametrize("limits", [{}, {"min_leaf": 30}, {"min_leaf": 20, "min_arm": 8}])
def test_the_compiled_engine_finds_the_same_tree_to_the_bit(limits: dict[str, int]) -> None:
    """Slow only because it compiles; uncompiled, the same code is held to the same above."""
    pytest.importorskip("numba")
    rng = np.random.default_rng(5)
    X = np.column_stack([rng.normal(size=(600, 3)), rng.integers(0, 4, size=(600, 2))])
    scores = rng.normal(size=(600, 3)) * np.pi
    evidence = [rng.random((600, 3)) < 0.4]
    plain, fast = (
        search_tree(X, scores, evidence=evidence, engine=engine, **limits)
        for engine in ("numpy", "numba")
    )
    assert fast == plain


@settings(max_examples=40, deadline=None)
@given(tasks(rows=40, features=3))
def test_the_order_of_rows_never_matters(task: Task) -> None:
    X, scores, _, rng = task
    scores = scores + rng.normal(size=scores.shape)
    shuffled = rng.permutation(len(X))
    found = search_tree(X, scores, engine="numpy")
    assert search_tree(X[shuffled], scores[shuffled], engine="numpy") == found


@settings(max_examples=40, deadline=None)
@given(tasks(rows=40, features=3))
def test_a_column_that_repeats_another_changes_nothing(task: Task) -> None:
    X, scores, _, _ = task
    found = search_tree(X, scores, engine="numpy")
    assert search_tree(np.hstack([X, X]), scores, engine="numpy") == found


@settings(max_examples=40, deadline=None)
@given(tasks(rows=25, features=2), st.integers(3, 4))
def test_a_deeper_tree_is_never_worse_and_never_above_its_bound(task: Task, depth: int) -> None:
    X, scores, _, _ = task
    found = search_tree(X, scores, depth=depth, engine="numpy")
    assert found.value >= search_tree(X, scores, depth=2, engine="numpy").value
    assert found.value <= found.bound
    assert scores[np.arange(len(X)), assign(found.plan, X)].sum() == found.value
    assert not found.exact or found.bound == found.value


@settings(max_examples=15, deadline=None)
@given(tasks(rows=6, features=2))
def test_the_bound_is_above_every_tree_of_depth_three(task: Task) -> None:
    X, scores, _, _ = task
    if scores.shape[1] == 3:
        scores = scores[:, :2]
    found = search_tree(X, scores, depth=3, engine="numpy")
    assert found.value <= best_value(X, scores, 3, Limits()) <= found.bound


def test_of_equal_trees_the_simpler_one_is_found() -> None:
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert search_tree(X, scores).plan == Cut(0, 1.0, 0, 1)
    assert search_tree(X, np.ones((4, 2))).plan == 0


def test_exclusive_or_is_found_though_no_first_split_gains_anything() -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, size=(200, 3)).astype(np.float64)
    differ = X[:, 1] != X[:, 2]
    scores = np.column_stack([~differ, differ]).astype(np.float64)
    found = search_tree(X, scores)
    assert found.value == 200.0
    assert (assign(found.plan, X) == differ).all()


@pytest.mark.parametrize(
    ("low", "high", "written"),
    [
        pytest.param(8.1, 8.2, 8.2, id="neighbours at the recorded decimal"),
        pytest.param(8.1, 8.4, 8.3, id="the middle, upwards"),
        pytest.param(137.0, 163.0, 150.0, id="a round number"),
        pytest.param(0.0, 1.0, 1.0, id="yes or no"),
        pytest.param(-1.0, 1.0, 0.0, id="across zero"),
        pytest.param(1.23, 1.31, 1.27, id="two decimals where one does not fit"),
        pytest.param(-0.31, -0.3, -0.3, id="below zero"),
    ],
)
def test_a_split_is_written_at_a_short_decimal(low: float, high: float, written: float) -> None:
    assert between(low, high) == written


finite = st.floats(-1e9, 1e9, allow_nan=False)


@given(finite, finite)
def test_a_written_split_always_divides_its_neighbours(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    if low < high:
        assert low < between(low, high) <= high


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6), st.integers(0, 6))
def test_a_written_split_has_no_more_decimals_than_its_neighbours(
    low: int, gap: int, digits: int
) -> None:
    first, second = (float(Decimal(one).scaleb(-digits)) for one in (low, low + gap))
    exponent = Decimal(repr(between(first, second))).normalize().as_tuple().exponent
    assert int(exponent) >= -digits


@pytest.mark.parametrize(
    ("X", "scores", "options", "said"),
    [
        pytest.param([[1.0]], [[1.0], [2.0]], {}, "do not fit", id="rows"),
        pytest.param(np.zeros((0, 1)), np.zeros((0, 2)), {}, "there is no row", id="no rows"),
        pytest.param([[np.nan]], [[1.0]], {}, "1 rows of the features are not finite", id="nan"),
        pytest.param([[1.0]], [[np.inf]], {}, "1 rows of the scores are not finite", id="inf"),
        pytest.param([[1.0]], [[1.0]], {"depth": -1}, "cannot be -1 deep", id="depth"),
        pytest.param([[1.0]], [[1.0]], {"evidence": [np.ones((1, 2), dtype=bool)]},
                     "must have the scores' shape", id="mask"),
        pytest.param([[1.0]], [[1.0]], {"min_leaf": 2}, "2 rows and 0 of each kind, of 1",
                     id="too few"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(X: Any, scores: Any, options: Any, said: str) -> None:
    with pytest.raises(EstimationError, match=said):
        search_tree(np.array(X), np.array(scores), **options)


def test_without_numba_its_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_search_numba, "find_spec", lambda _: None)
    tree_search_numba._compiled.cache_clear()
    with pytest.raises(EstimationError, match=r"install cds-engine\[fast\]"):
        search_tree(np.arange(6.0)[:, None], np.eye(6)[:, :2], engine="numba")
    tree_search_numba._compiled.cache_clear()


def test_without_numba_large_searches_are_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tree_search._sweep
    assert chosen("auto", 100, 3, 2) is sweep_numpy
    monkeypatch.setattr(tree_search, "find_spec", lambda _: None)
    assert chosen("auto", 10_000, 20, 2) is sweep_numpy
    monkeypatch.setattr(tree_search, "find_spec", lambda _: object())
    assert chosen("auto", 10_000, 20, 2) is tree_search_numba.sweep_numba


def test_constant_columns_and_none_at_all_leave_one_action() -> None:
    scores = np.array([[1.0, 2.0], [1.0, -3.0]])
    assert search_tree(np.ones((2, 3)), scores).plan == 0
    assert search_tree(np.zeros((2, 0)), scores).plan == 0
