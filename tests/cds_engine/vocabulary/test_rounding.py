"""Numbers are rounded as the decimals they were recorded as, half away from zero."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.vocabulary.rounding import linear, rounded, rounded_mean
from cds_engine.vocabulary.units import Conversion

DIGITS = st.integers(0, 9)


def by_decimal(text: str, digits: int) -> float:
    """Round the written number itself."""
    return float(Decimal(text).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        pytest.param(5.55, 1, 5.6, id="the float lies below the half it was recorded as"),
        pytest.param(2.675, 2, 2.68, id="the same with two decimals"),
        pytest.param(0.125, 2, 0.13, id="a half that a float holds exactly is not made even"),
        pytest.param(-5.55, 1, -5.6, id="below zero it goes away from zero too"),
        pytest.param(139.95, 1, 140.0, id="onto a threshold"),
        pytest.param(139.949999, 1, 139.9, id="just below the half"),
        pytest.param(0.5, 0, 1.0, id="no decimals"),
        pytest.param(0.49999999999999994, 0, 0.0, id="the float just below a half"),
        pytest.param(2.0**50 + 0.5, 0, 2.0**50 + 1, id="a half in a large number"),
        pytest.param(1e300, 2, 1e300, id="too large to have decimals"),
        pytest.param(inf, 1, inf, id="an infinity stays one"),
    ],
)
def test_a_number_is_rounded_as_it_was_recorded(value: float, digits: int, expected: float) -> None:
    assert rounded(value, digits) == expected


def test_no_zero_is_negative_and_nothing_becomes_of_nan() -> None:
    assert str(rounded(-0.04, 1)) == "0.0"
    assert isnan(rounded(nan, 1))


@given(st.integers(-(10**12), 10**12), st.integers(0, 8), DIGITS)
def test_every_decimal_is_rounded_as_written(units: int, places: int, digits: int) -> None:
    text = str(Decimal(units).scaleb(-places))
    assert rounded(float(text), digits) == by_decimal(text, digits)


@given(st.floats(-1e12, 1e12), DIGITS)
def test_every_float_is_rounded_as_its_shortest_decimal(value: float, digits: int) -> None:
    assert rounded(value, digits) == by_decimal(repr(value), digits)


@given(st.lists(st.integers(-(10**8), 10**8), min_size=1, max_size=9), st.integers(0, 4), DIGITS)
def test_a_mean_is_rounded_once_from_the_exact_mean(
    units: list[int], places: int, digits: int
) -> None:
    values = [float(Decimal(unit).scaleb(-places)) for unit in units]
    exact = Fraction(sum(units), len(units) * 10**places) * 10**digits
    away = int(abs(exact) + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    assert rounded_mean(values, digits) == away / 10**digits


def test_a_mean_of_decimals_has_no_binary_error() -> None:
    assert rounded_mean([0.1, 0.2], 1) == 0.2
    assert rounded_mean([5.5, 5.6, 5.55, 5.55], 1) == 5.6
    assert rounded_mean([1.0, inf], 1) == inf


def test_a_conversion_multiplies_decimals() -> None:
    assert linear(0.35, 3.0, 0.0) == 1.05
    assert rounded(Conversion(3.0).apply(0.35), 1) == 1.1
    assert Conversion(1.0, 0.2).apply(0.1) == 0.3
    assert Conversion(0.1).apply(inf) == inf
