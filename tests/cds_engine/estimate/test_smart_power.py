"""Simulated power and the formula agree where its assumptions hold, and part where they do not."""

import numpy as np
import pytest
from builders.designs import Document, a_design, a_model, everybody_again, one_arm_again

from cds_engine.design import asymptotic_power, regime_named, size_of
from cds_engine.errors import EstimationError
from cds_engine.estimate.smart_power import simulated_power


@pytest.mark.parametrize(
    ("document", "pair", "means", "rho"),
    [
        pytest.param(everybody_again(), ("a, c", "b, c"), {"a > c": 0.4}, 0.0, id="all again"),
        pytest.param(a_design(), ("a, c", "b, e"),
                     {"a > responders": 0.4, "a > non-responders > c": 0.4}, 0.0, id="both arms"),
        pytest.param(a_design(), ("a, c", "b, e"),
                     {"a > responders": 0.4, "a > non-responders > c": 0.4}, 0.6, id="adjusted"),
        pytest.param(one_arm_again(), ("a, c", "b"),
                     {"a > responders": 0.4, "a > non-responders > c": 0.4}, 0.0, id="one arm"),
    ],
)  # fmt: skip
def test_with_the_formulas_size_the_simulated_power_is_what_was_asked_for(
    document: Document, pair: tuple[str, str], means: dict[str, float], rho: float
) -> None:
    model = a_model(document, 0.4, means=means, rho=rho)
    one, other = (regime_named(model.design, label) for label in pair)
    size = size_of(model, one, other)
    assert size.formula is not None
    found = simulated_power(model, one, other, size.formula, simulations=1000, seed=2)
    assert abs(found.power - 0.8) < 3 * found.standard_error
    assert abs(found.coverage - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 1000)
    assert found.mean == pytest.approx(0.4, abs=0.02)
    assert found.truth == pytest.approx(0.4)
    assert found.empty == 0
    assert found.adjusted == bool(rho)


def test_where_non_responders_vary_more_the_formula_promises_too_much_and_the_model_does_not() -> (
    None
):
    means = {"a > responders": 0.0, "a > non-responders > c": 1.6, "b > responders": 0.0,
             "b > non-responders > e": 1.2}  # fmt: skip
    model = a_model(a_design(), 0.75, means=means, sd=0.4)
    one, other = (regime_named(model.design, label) for label in ("a, c", "b, e"))
    size = size_of(model, one, other)
    assert size.formula is not None
    assert size.exact is not None
    assert size.exact > 1.25 * size.formula
    short = simulated_power(model, one, other, size.formula, simulations=400)
    enough = simulated_power(model, one, other, size.exact, simulations=400)
    assert short.power < 0.8 - 4 * short.standard_error
    assert abs(enough.power - 0.8) < 3 * enough.standard_error + 0.01
    assert short.power == pytest.approx(
        asymptotic_power(model, one, other, size.formula), abs=3 * short.standard_error
    )


def test_without_a_difference_the_test_keeps_its_level() -> None:
    model = a_model(a_design(), 0.4)
    one, other = (regime_named(model.design, label) for label in ("a, c", "a, d"))
    found = simulated_power(model, one, other, 300, simulations=1500, seed=3)
    assert found.power == pytest.approx(0.05, abs=3 * np.sqrt(0.05 * 0.95 / 1500))


def test_a_trial_is_the_same_however_many_are_simulated_and_progress_is_told() -> None:
    model = a_model(a_design(), 0.4, means={"a > responders": 1.0})
    one, other = (regime_named(model.design, label) for label in ("a, c", "b, e"))
    told: list[tuple[int, int]] = []
    few = simulated_power(model, one, other, 80, simulations=20, seed=1,
                          told=lambda done, of: told.append((done, of)))  # fmt: skip
    again = simulated_power(model, one, other, 80, simulations=20, seed=1)
    assert few == again
    assert told == [(at, 20) for at in range(1, 21)]


def test_trials_in_which_nobody_followed_a_regime_count_as_not_significant() -> None:
    model = a_model(a_design(), 0.4, means={"a > responders": 5.0})
    one, other = (regime_named(model.design, label) for label in ("a, c", "b, e"))
    found = simulated_power(model, one, other, 3, simulations=200)
    assert 0 < found.empty < 200
    assert found.power <= 1 - found.empty / 200


@pytest.mark.parametrize(
    ("n", "simulations", "alpha"), [(1, 10, 0.05), (10, 0, 0.05), (10, 10, 0.0)]
)
def test_what_cannot_be_simulated_is_refused(n: int, simulations: int, alpha: float) -> None:
    model = a_model(a_design())
    one, other = (regime_named(model.design, label) for label in ("a, c", "b, e"))
    with pytest.raises(EstimationError, match=f"{simulations} trials of {n} patients at the level"):
        simulated_power(model, one, other, n, simulations=simulations, alpha=alpha)
