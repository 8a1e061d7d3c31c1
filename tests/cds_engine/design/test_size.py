"""The size of a SMART by formula, by the model's own variance, and derived by hand."""

import math

import pytest
from builders.designs import (
    Document,
    a_design,
    a_model,
    eight_sequences,
    everybody_again,
    one_arm_again,
    three_arms,
)
from scipy.stats import norm

from cds_engine.design import (
    DesignQuestionError,
    OutcomeModel,
    asymptotic_power,
    design_factor,
    formula_size,
    read_design,
    regime_named,
    size_of,
    sizes,
)

Z = (norm.ppf(0.975) + norm.ppf(0.8)) ** 2
R = 0.35


@pytest.mark.parametrize(
    ("document", "pair", "factor"),
    [
        pytest.param(everybody_again(), ("a, c", "b, d"), 2.0, id="all again: 2"),
        pytest.param(a_design(), ("a, c", "b, f"), 2 - R, id="both arms: 2 - r"),
        pytest.param(one_arm_again(), ("a, d", "b"), (3 - R) / 2, id="one arm: (3 - r)/2"),
        pytest.param(
            eight_sequences(), ("a, stop if response else c", "b, keep if response else d"), 2.0,
            id="responders too: 2",
        ),
        pytest.param(
            three_arms(), ("a, c", "b, e"), (2 * R + 8 * 0.65 + 4 * R + 12 * 0.65) / 4,
            id="unequal chances: the mean weight over 2",
        ),
    ],
)  # fmt: skip
def test_the_factor_of_the_formula_follows_from_the_design(
    document: Document, pair: tuple[str, str], factor: float
) -> None:
    model = a_model(document, R)
    one, other = (regime_named(model.design, label) for label in pair)
    assert design_factor(model, one, other) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("delta", "factor", "rho", "wanted"),
    [
        # a two-arm trial of delta 0.3 and power 0.8 needs 349 (D = 1); a SMART D times as many
        pytest.param(0.3, 1.0, 0.0, 349, id="two arms"),
        pytest.param(0.3, 1.6, 0.0, 559, id="2 - r at r = 0.4"),
        pytest.param(0.3, 1.6, 0.3, 508, id="and a correlation of 0.3"),
        pytest.param(0.3, 1.6, 0.6, 358, id="and a correlation of 0.6"),
        pytest.param(0.5, 2.0, 0.0, 252, id="all again, a medium effect"),
        pytest.param(-0.3, 1.6, -0.3, 508, id="signs do not matter"),
    ],
)
def test_the_formula(delta: float, factor: float, rho: float, wanted: int) -> None:
    assert formula_size(delta, factor, rho=rho) == wanted
    assert wanted == math.ceil(4 * Z / delta**2 * factor * (1 - rho**2))


def test_where_its_assumptions_hold_the_formula_is_the_models_own_size() -> None:
    # equal means for responders and non-responders, so that the variance around the regime's mean
    # is the same for both
    means = {"a > responders": 0.3, "a > non-responders > c": 0.3}
    model = a_model(a_design(), R, means=means, rho=0.4)
    one, other = (regime_named(model.design, label) for label in ("a, c", "b, e"))
    size = size_of(model, one, other)
    assert (size.difference, size.delta) == pytest.approx((0.3, 0.3))
    assert size.formula is not None
    assert size.exact is not None
    assert size.formula == size.exact == math.ceil(4 * Z / 0.09 * (2 - R) * (1 - 0.16))
    assert asymptotic_power(model, one, other, size.exact) == pytest.approx(0.8, abs=0.001)


def test_the_models_variance_is_the_sum_over_ends_done_by_hand() -> None:
    means = {"a > responders": 2.0, "a > non-responders > c": 1.0, "b > responders": 0.5}
    model = a_model(a_design(), 0.5, means=means, sd=3.0)
    one, other = (regime_named(model.design, label) for label in ("a, c", "b, e"))
    # E[W (Y - m)^2] of each: 2 for responders, 4 for the others; values 1.5 and 0.25
    a = 0.5 * 2 * (9 + 0.25) + 0.5 * 4 * (9 + 0.25)
    b = 0.5 * 2 * (9 + 0.0625) + 0.5 * 4 * (9 + 0.0625)
    assert (model.value(one), model.value(other)) == (1.5, 0.25)
    assert model.asymptotic_variance(one, other) == pytest.approx(a + b)
    assert model.spread(one) == pytest.approx(9.25)


def test_regimes_with_the_same_first_arm_share_responders_and_have_no_formula() -> None:
    means = {"a > non-responders > c": 0.5}
    model = a_model(a_design(), 0.5, means=means)
    one, other = (regime_named(model.design, label) for label in ("a, c", "a, d"))
    size = size_of(model, one, other)
    assert (size.formula, size.factor) == (None, None)
    [note] = size.notes
    assert note == "the formula is for regimes with different first arms; these share followers"
    # responders weigh 2 and enter with the difference of the means, 0.25; the others 4 each
    variance = 0.5 * 2 * 0.25**2 + 0.5 * 4 * ((1 + 0.25**2) + 1)
    assert size.exact == size.n == math.ceil(Z * variance / 0.25**2)


def test_every_pair_is_sized() -> None:
    model = a_model(eight_sequences(), means={"a > responders > stop": 1.0})
    assert len(sizes(model)) == 8 * 7 / 2


def test_equal_means_have_no_size() -> None:
    model = a_model(a_design())
    [size, *_] = sizes(model)
    assert (size.n, size.exact, size.formula) == (None, None, None)
    assert (
        size.notes[0] == "the means are equal under the model, so that no size finds a difference"
    )


def test_a_covariate_that_tells_of_response_has_no_closed_form() -> None:
    model = a_model(a_design(), means={"a > responders": 1.0}, rho=0.4, response_rho=0.3)
    one, other = (regime_named(model.design, label) for label in ("a, c", "b, e"))
    size = size_of(model, one, other)
    assert size.exact is None
    [note] = size.notes
    assert note == "the covariate tells of response too, so that the model has no closed form"
    with pytest.raises(DesignQuestionError, match="has no closed form; simulate"):
        asymptotic_power(model, one, other, 100)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delta": 0.0, "factor": 1.0}, "no size follows from a difference of 0"),
        ({"delta": 0.3, "factor": 0.0}, "a factor of 0"),
        ({"delta": 0.3, "factor": 1.0, "rho": 1.0}, "a correlation of 1"),
        ({"delta": 0.3, "factor": 1.0, "alpha": 0.0}, "a power of 0.8 at the level 0 cannot"),
        ({"delta": 0.3, "factor": 1.0, "power": 1.0}, "give 0 < alpha < power < 1"),
        ({"delta": 0.3, "factor": 1.0, "power": 0.01}, "a power of 0.01 at the level 0.05"),
    ],
)
def test_a_size_that_cannot_be_asked_for_is_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(DesignQuestionError, match=said):
        formula_size(**options)


def test_without_assumptions_there_is_no_model() -> None:
    with pytest.raises(DesignQuestionError, match="two-arms states no outcome model"):
        OutcomeModel.of(read_design(a_design()))
