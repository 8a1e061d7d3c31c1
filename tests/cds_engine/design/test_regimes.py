"""The embedded regimes of a SMART, counted and named by hand."""

import pytest
from builders.designs import (
    Document,
    a_design,
    eight_sequences,
    ends_of,
    everybody_again,
    one_arm_again,
    three_arms,
    three_stages,
)

from cds_engine.design import DesignQuestionError, embedded_regimes, read_design, regime_named

EIGHT = [f"{first}, {r} if response else {n}" for first in "ab" for r in ("stop", "keep")
         for n in "cd"]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "labels"),
    [
        pytest.param(a_design(), ["a, c", "a, d", "b, e", "b, f"], id="non-responders of both"),
        pytest.param(everybody_again(), ["a, c", "a, d", "b, c", "b, d"], id="all again"),
        pytest.param(one_arm_again(), ["a, c", "a, d", "b"], id="one arm"),
        pytest.param(eight_sequences(), EIGHT, id="responders too"),
        pytest.param(three_arms(), ["a, c", "a, d", "b, c", "b, d", "b, e", "z"], id="three arms"),
        pytest.param(three_stages(), ["a, c, g", "a, c, h", "a, d", "b"], id="three stages"),
    ],
)
def test_the_regimes_are_those_found_by_hand(document: Document, labels: list[str]) -> None:
    assert [one.label for one in embedded_regimes(read_design(document))] == labels


@pytest.mark.parametrize("document", [a_design(), eight_sequences(), three_arms(), three_stages()])
def test_the_regimes_can_be_counted_without_listing_them(document: Document) -> None:
    design = read_design(document)
    assert design.regimes() == len(embedded_regimes(design))


def test_a_regime_is_said_in_words_and_as_rules() -> None:
    design = read_design({**a_design(), "labels": {"a": "an app", "c": "a coach"}})
    one = regime_named(design, "a, c")
    assert one.words == "Start with an app; responders go on as before; non-responders get a coach."
    assert [(r.stage, r.when, r.then) for r in one.rules] == [
        ("first", None, "a"),
        ("second", "action_first is a and not responder", "c"),
    ]
    assert one.ends == (("a", "responders"), ("a", "non-responders", "c"))
    assert one.arm(()) == "a"
    assert one.arm(("b", "non-responders")) is None


def test_a_regime_of_three_stages_names_whose_response_it_waits_for() -> None:
    one = regime_named(read_design(three_stages()), "a, c, g")
    assert one.words == (
        "Start with a; responders go on as before; non-responders get c; "
        "responders to c go on as before; non-responders to c get g."
    )
    assert one.rules[-1].when == (
        "action_first is a and not responder and action_second is c and not late_responder"
    )


def test_all_who_are_randomised_again_need_no_response() -> None:
    one = regime_named(read_design(everybody_again()), "b, d")
    assert one.words == "Start with b; then all after b get d."
    assert one.rules[-1].when == "action_first is b"


def test_a_regime_that_is_not_embedded_is_refused_with_those_that_are() -> None:
    with pytest.raises(DesignQuestionError, match=r"'a, e'; there is a, c; a, d; b, e; b, f"):
        regime_named(read_design(a_design()), "a, e")


@pytest.mark.parametrize(
    ("document", "inverse"),
    [
        pytest.param(a_design(), [2, 4, 4, 2, 4, 4], id="2 for responders, 4 for the others"),
        pytest.param(everybody_again(), [4, 4, 4, 4], id="4 for all"),
        pytest.param(one_arm_again(), [2, 4, 4, 2], id="one arm"),
        pytest.param(eight_sequences(), [4] * 8, id="responders too"),
        pytest.param(three_arms(), [2, 8, 8 / 3, 4, 12, 12, 12, 4], id="unequal chances"),
        pytest.param(three_stages(), [2, 4, 8, 8, 4, 2], id="three stages"),
    ],
)
def test_an_end_weighs_one_over_the_product_of_its_chances(
    document: Document, inverse: list[float]
) -> None:
    design = read_design(document)
    found = [1 / design.end_probability[end] for end in design.ends]
    assert dict(zip(ends_of(design), found, strict=True)) == pytest.approx(
        dict(zip(ends_of(design), inverse, strict=True))
    )


def test_every_end_belongs_to_a_regime_and_each_regime_reaches_every_answer() -> None:
    for document in (a_design(), eight_sequences(), three_arms(), three_stages()):
        design = read_design(document)
        regimes = embedded_regimes(design)
        assert {end for one in regimes for end in one.ends} == set(design.ends)
        for one in regimes:
            answers = [sum(word.endswith("responders") for word in end) for end in one.ends]
            assert sum(0.5**depth for depth in answers) == 1
