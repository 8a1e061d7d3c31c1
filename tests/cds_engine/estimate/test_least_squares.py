"""Least squares agrees with statsmodels, and does not trust a badly conditioned Gram matrix."""

import numpy as np
import pytest
import statsmodels.api as sm

from cds_engine.estimate.least_squares import (
    DependentColumnsError,
    least_squares,
    least_squares_by_rows,
    solve_scaled,
)

RNG = np.random.default_rng(5)
X = np.column_stack([np.ones(200), RNG.standard_normal((200, 4)) * [1, 10, 0.01, 1]])
Y = X @ np.array([1.0, -2, 0.3, 50, 0]) + RNG.standard_normal(200)
W = RNG.uniform(0, 3, 200)


def test_it_is_ordinary_least_squares() -> None:
    assert least_squares(X, Y) == pytest.approx(sm.OLS(Y, X).fit().params, rel=1e-9)


def test_weights_weight() -> None:
    assert least_squares(X, Y, W) == pytest.approx(sm.WLS(Y, X, W).fit().params, rel=1e-9)


def test_several_outcomes_are_solved_at_once() -> None:
    both = least_squares(X, np.column_stack([Y, 2 * Y]))
    assert both[:, 1] == pytest.approx(2 * both[:, 0], rel=1e-12)


def test_a_badly_conditioned_matrix_is_factored_by_rows() -> None:
    near = X.copy()
    near[:, 4] = 1 + 1e-7 * X[:, 4]  # nearly the intercept: the Gram matrix has lost its digits
    truth = np.array([1.0, -2, 0.3, 50, 3])
    y = near @ truth
    assert solve_scaled(near.T @ near, near.T @ y) is None
    assert least_squares(near, y) == pytest.approx(truth, rel=1e-6)
    assert least_squares_by_rows(X, Y) == pytest.approx(least_squares(X, Y), rel=1e-10)


def test_weights_hold_where_rows_are_factored() -> None:
    near = X.copy()
    near[:, 4] = 1 + 1e-6 * X[:, 4]
    root = np.sqrt(W)[:, None]
    direct = np.linalg.lstsq(near * root, Y * root[:, 0], rcond=None)[0]
    assert least_squares(near, Y, W) @ near.T == pytest.approx(direct @ near.T, rel=1e-6)


def test_columns_that_depend_on_others_are_named() -> None:
    dependent = np.column_stack([X, X[:, 1] - 2 * X[:, 2]])
    with pytest.raises(DependentColumnsError) as caught:
        least_squares(dependent, Y)
    assert len(caught.value.dependent) == 1
    assert {*caught.value.dependent, *caught.value.on[0]} == {1, 2, 5}


def test_fewer_rows_than_columns_are_dependent() -> None:
    with pytest.raises(DependentColumnsError):
        least_squares(X[:3], Y[:3])
