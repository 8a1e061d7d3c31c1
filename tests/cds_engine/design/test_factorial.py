"""What a factorial trial of the same options cannot identify."""

import pytest
from builders.designs import (
    Document,
    a_design,
    eight_sequences,
    everybody_again,
    one_arm_again,
)

from cds_engine.design import compare_with_factorial, read_design


@pytest.mark.parametrize(
    ("document", "identified"),
    [
        pytest.param(a_design(), [False] * 4, id="responders would get an option too"),
        pytest.param(everybody_again(), [True] * 4, id="nothing waits for a response"),
        pytest.param(one_arm_again(), [False] * 3, id="one arm stops early"),
        pytest.param(eight_sequences(), [False] * 8, id="what is given depends on response"),
    ],
)
def test_a_regime_is_identified_only_if_all_get_the_same(
    document: Document, identified: list[bool]
) -> None:
    compared = compare_with_factorial(read_design(document))
    assert [row.identified for row in compared.rows] == identified
    said = f"It does not identify {identified.count(False)} of the {len(identified)} "
    assert said + "embedded regimes." in compared.words


def test_responders_and_others_with_one_option_in_common_are_in_a_cell() -> None:
    document = eight_sequences()
    for one in document["stages"][1]["randomise"]:
        one["arms"] = {"c": 1, "d": 1}
    rows = {row.regime.label: row for row in compare_with_factorial(read_design(document)).rows}
    assert rows["a, c if response else c"].identified
    assert not rows["a, c if response else d"].identified
    assert rows["a, c if response else d"].reason == (
        "what is given depends on response; in a cell everybody gets the same"
    )


def test_the_sequences_that_have_no_cell_and_the_cells_that_the_smart_never_gives() -> None:
    compared = compare_with_factorial(read_design(a_design()))
    assert compared.factors == (("a", "b"), ("c", "d", "e", "f"))
    assert compared.lost == (("a", "responders"), ("b", "responders"))
    assert compared.foreign == (("a", "e"), ("a", "f"), ("b", "c"), ("b", "d"))
    assert compared.words[0] == (
        "The 2 x 4 factorial trial has 8 cells; it randomises all at baseline."
    )
    assert "It has no cell for: a > responders; b > responders." in compared.words
    assert compared.rows[0].cell == "a + c"
    assert compared.rows[0].reason == (
        "responders get nothing more; in every cell they would get a further option"
    )


def test_without_response_nothing_is_said_of_it() -> None:
    compared = compare_with_factorial(read_design(everybody_again()))
    assert compared.lost == compared.foreign == ()
    assert len(compared.words) == 2
