"""``simulate --world`` writes the records of a world's patients beside the table they tell."""

import json
from pathlib import Path

import pandas as pd
import pytest
from builders.command_line import run

from cds_adapters.fhir.files import read_records
from cds_adapters.fhir.worlds import world_patients
from cds_engine.simulate import WORLDS

NAMES = sorted(WORLDS)


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_the_worlds_and_the_records_are_of_its_rows(name: str, tmp_path: Path) -> None:
    said = run("simulate", "--world", name, "--out", tmp_path, "--count", 12, "--seed", 5)
    assert (said.code, said.err) == (0, "")
    files = sorted(file.name for file in tmp_path.iterdir())
    assert said.out == (
        f"12 patients in {len(files)} files in {tmp_path}; the table is table.csv\n"
    )
    table = pd.read_csv(tmp_path / "table.csv", keep_default_na=False, na_values=[""])
    frame = WORLDS[name]().draw(12, 5).frame()
    pd.testing.assert_frame_equal(
        table.astype(object).where(table.notna(), None), frame.astype(object), check_dtype=False
    )
    assert [one for one, _ in read_records(tmp_path)] == frame["id"].to_list()


def test_the_decisions_say_when_each_action_was_chosen(tmp_path: Path) -> None:
    run("simulate", "--world", "activity-smart", "--out", tmp_path, "--count", 8, "--seed", 5)
    decisions = pd.read_csv(tmp_path / "decisions.csv", keep_default_na=False)
    data = WORLDS["activity-smart"]().draw(8, 5)
    expected = [
        (patient.id, stage.name, as_of, data.columns[stage.action][row] or "")
        for row, patient in enumerate(world_patients(data))
        for stage, as_of in zip(data.world.stages, patient.visits, strict=True)
    ]
    assert list(decisions.itertuples(index=False, name=None)) == expected


def test_the_same_seed_writes_the_same_bytes_and_more_patients_only_add(tmp_path: Path) -> None:
    for folder, count, seed in (("a", 5, 1), ("b", 5, 1), ("c", 9, 1), ("d", 5, 2)):
        run("simulate", "--world", "diabetes-cohort", "--out", tmp_path / folder,
            "--count", count, "--seed", seed, "--extra", 3)  # fmt: skip
    a, b, c, d = (
        {file.name: file.read_bytes() for file in (tmp_path / folder).iterdir()}
        for folder in "abcd"
    )
    assert a == b != d
    assert all(c[name].startswith(text) and len(c[name]) > len(text) for name, text in a.items())


def test_transaction_bundles_and_extra_observations_can_be_asked_for(tmp_path: Path) -> None:
    said = run("simulate", "--world", "depression-smart", "--out", tmp_path, "--count", 2,
               "--extra", 7, "--bundles", "--json")  # fmt: skip
    names = [f"depression-smart-{number}.json" for number in (0, 1)]
    assert said.document == {
        "out": str(tmp_path), "world": "depression-smart", "patients": 2,
        "files": [*sorted(["decisions.csv", *names, "table.csv"])],
    }  # fmt: skip
    bundle = json.loads((tmp_path / names[0]).read_text())
    assert bundle["type"] == "transaction"
    ids = [entry["resource"]["id"] for entry in bundle["entry"]]
    assert sum("-x-" in one for one in ids) == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--world", "mars", "--out", "x"], "no world mars; there is activity-smart, ",
                     id="no such world"),
        pytest.param(["--world", "activity-smart"], "name the folder to write into with --out",
                     id="nowhere to write"),
        pytest.param(["--world", "activity-smart", "--out", "x", "--mess", "all"],
                     "leave out --mess", id="a mess in a clean world"),
        pytest.param(["--out", "x", "--extra", "4"], "--extra goes with --world",
                     id="extra without a world"),
    ],
)  # fmt: skip
def test_a_call_that_makes_no_sense_ends_with_2_and_says_why(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("simulate", *arguments)
    assert said.code == 2
    assert words in said.err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = run("simulate", "--world", "activity-smart", "--out", tmp_path / "file" / "x")
    assert said.code == 3
    assert f"{tmp_path / 'file' / 'x'} cannot be written" in said.err


def test_the_worlds_are_listed() -> None:
    found = run("simulate", "--list", "--json").document["worlds"]
    assert found == {name: make().title for name, make in WORLDS.items()}
