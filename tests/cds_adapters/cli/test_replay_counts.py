"""What a replay met is told by kind, each number under the thing it counts."""

from pathlib import Path

from builders.command_line import run
from builders.replays import COMPLETE, export

from cds_adapters.cli.replaying import by_kind
from cds_adapters.storage.shelf import shipped_rules

FOLDER = shipped_rules() / "hypertension-stepped-care" / "1.0.0"


def test_counts_are_grouped_by_kind_and_none_is_lost() -> None:
    counts = {
        "points": 9, "patients": 4, "patients with a decision point": 3, "encounters": 12,
        "encounters without an end": 2, "action seen": 5, "action none": 4, "outcome known": 9,
        "something new": 1,
    }  # fmt: skip
    groups = by_kind(counts)
    assert groups == {
        "Patients": {"all": 4, "with a decision point": 3},
        "Encounters": {"all": 12, "without an end": 2},
        "Decision points": {"all": 9, "something new": 1},
        "Actions taken": {"seen": 5, "none": 4},
        "Outcomes": {"known": 9},
    }
    assert sum(len(held) for held in groups.values()) == len(counts)


def test_a_kind_that_was_not_met_is_not_named() -> None:
    assert list(by_kind({"points": 1, "patients": 1})) == ["Patients", "Decision points"]


def test_the_terminal_shows_a_table_for_each_kind_and_units_in_words(tmp_path: Path) -> None:
    said = run("replay", export(tmp_path / "data"), "--bundle", FOLDER, "--out", tmp_path / "out",
               *(word for kind in COMPLETE for word in ("--complete", kind)))  # fmt: skip
    lines = [line.strip() for line in said.out.splitlines()]
    for title in ("Patients", "Encounters", "Decision points", "Actions taken", "Outcomes"):
        assert title in lines
    assert "Value of The" not in said.out
