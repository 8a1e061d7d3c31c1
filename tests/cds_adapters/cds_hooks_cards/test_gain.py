"""A card of a fitted regime says how large the benefit is, how sure, and on how many it rests."""

from typing import Any

import pytest
from builders.cards import a_card, rendered
from builders.shipped import shipped

from cds_adapters.gain import figure_text, gain_words
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.benefit import benefit_of
from cds_engine.decide.cases import given_history
from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision

NOW = 1_770_000_000_000_000
HYPERTENSION: dict[str, Any] = {
    "age": 60, "hypertension": True, "weeks_in_care": 13, "step": "none", "potassium": 4.4,
    "sbp": 165,
}  # fmt: skip


def decided(bundle: RuleBundle, **given: Any) -> Decision:
    return decide(bundle, given_history(bundle, given, NOW))


def test_the_benefit_stands_with_its_interval_and_the_patients_behind_it() -> None:
    bundle = shipped("hypertension-intensification")
    decision = decided(bundle, **HYPERTENSION)
    found = benefit_of(bundle, decision)
    assert found is not None
    assert found.estimate is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.estimate < found.high
    first, second, third = gain_words(bundle, decision)
    assert first.startswith(
        f"Systolic blood pressure at nine months: expected {figure_text(found.estimate)} mmHg "
        "lower than with “Keep the treatment as it is” (better by "
    )
    assert f"95% interval {figure_text(found.low)} to {figure_text(found.high)})." in first
    counts = [f"{n} “{bundle.actions[a].label}”" for a, n in found.similar.items()]
    assert second == f"Similar patients in the data: {', '.join(counts)}."
    assert third == "dWOLS; intervals from 1000 resamples in which every stage was refitted."


def test_the_card_carries_the_section() -> None:
    bundle = shipped("hypertension-intensification")
    detail = a_card(bundle, **HYPERTENSION)["detail"]
    assert "**What the data said of such patients**" in detail
    assert "mmHg lower than with" in detail


def test_a_tree_gives_the_benefit_of_its_leaf() -> None:
    bundle = shipped("diabetes-second-line")
    given = {"age": 60, "diabetes": True, "step": "none", "heart_failure": False, "bmi": 31.0,
             "egfr": 82, "hba1c": 8.4}  # fmt: skip
    decision = decided(bundle, **given)
    assert decision.outcome == "recommendation"
    first, second, _ = gain_words(bundle, decision)
    assert "HbA1c at six months: expected " in first
    assert "% lower than with" in first
    assert second.startswith("Similar patients in the data: ")


def test_where_the_interval_holds_zero_it_is_said() -> None:
    bundle = shipped("depression-augmentation")
    said = set()
    for gad7 in range(3, 18):
        given = {"age": 45, "depression": True, "step": "none", "gad7": gad7, "phq9": 17,
                 "phq9_before": 17}  # fmt: skip
        decision = decided(bundle, **given)
        found = benefit_of(bundle, decision)
        if found is None or found.low is None or found.high is None:
            continue
        line = next(gain_words(bundle, decision))
        zero = found.low <= 0 <= found.high
        assert line.endswith("The interval holds no difference, too.") is zero
        said.add(zero)
    assert said == {True, False}


def test_outside_the_support_nothing_is_promised() -> None:
    bundle = shipped("hypertension-intensification")
    decision = decided(bundle, **{**HYPERTENSION, "sbp": 240})
    assert decision.reasons[0].code == "positivity-unsupported"
    assert list(gain_words(bundle, decision)) == []
    card = rendered(bundle, **{**HYPERTENSION, "sbp": 240})
    assert "What the data said" not in str(card)


def test_a_written_rule_says_nothing_of_data() -> None:
    bundle = shipped("hypertension-stepped-care")
    assert "What the data said" not in str(a_card(bundle))


@pytest.mark.parametrize(
    ("value", "text"), [(153.24, "153"), (0.4219, "0.422"), (-5.0, "-5"), (0.0001234, "0.000123")]
)
def test_figures_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert figure_text(value) == text
