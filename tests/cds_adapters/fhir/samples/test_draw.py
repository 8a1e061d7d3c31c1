"""What is drawn depends on the key alone."""

import doctest
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.fhir.samples import draw, exports, stories
from cds_adapters.fhir.samples.draw import Draw


@pytest.mark.parametrize("module", [draw, exports, stories])
def test_the_examples_in_the_docstrings_hold(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert results.attempted > 0
    assert results.failed == 0


@given(st.integers(), st.integers(-50, 50), st.integers(0, 100))
def test_a_number_between_two_bounds_stays_between_them(key: int, low: int, width: int) -> None:
    assert low <= Draw(key).between(low, low + width) <= low + width


def test_both_bounds_are_drawn() -> None:
    dice = Draw("dice")
    assert {dice.between(1, 6) for _ in range(200)} == {1, 2, 3, 4, 5, 6}


@given(st.integers(), st.integers(100, 9000), st.integers(1, 20))
def test_numbers_around_a_mean_have_exactly_that_mean(key: int, centre: int, count: int) -> None:
    numbers = Draw(key).around(centre, 50, count)
    assert len(numbers) == count
    assert mean(numbers) == centre
    assert all(abs(number - centre) <= 50 for number in numbers)


def test_another_key_draws_other_numbers() -> None:
    assert len({Draw(2026, name).between(0, 10**9) for name in "abcdefgh"}) == 8
