"""The main cards read as they were reviewed; see ``builders.golden_cards`` to renew them."""

import json

import pytest
from builders.golden_cards import CASES, FOLDER, golden


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_card_reads_as_it_was_reviewed(name: str) -> None:
    reviewed = (FOLDER / f"{name}.json").read_text("utf-8")
    assert json.loads(golden(name)) == json.loads(reviewed)
    assert golden(name) == reviewed


def test_there_is_no_golden_card_without_its_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CASES)
