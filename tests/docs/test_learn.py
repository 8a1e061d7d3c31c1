"""The tutorial runs, and prints what it says."""

import doctest
import json
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from builders.command_line import run
from ruamel.yaml import YAML

from cds_adapters.storage.shelf import read_bundle_folder
from cds_engine.estimate import study

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "learn.md"
TEXT = PAGE.read_text("utf-8")
EXAMPLE = ROOT / "docs" / "examples" / "intensification"
COMMANDS = re.findall(r"^\$ (.*)$", TEXT, re.MULTILINE)


def test_the_tutorial_prints_what_it_says() -> None:
    found = doctest.testfile(
        str(PAGE), module_relative=False,
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )  # fmt: skip
    assert found.attempted > 40
    assert found.failed == 0


def test_records_become_a_rule_bundle_by_the_commands_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    for command in COMMANDS:
        program, *words = shlex.split(command)
        if program == "cp":
            shutil.copy(*words)
            continue
        said = run(*words)
        assert (program, said.code) == ("cds-engine", 0), (command, said.err)
    learned = read_bundle_folder(tmp_path / "fitted")
    assert learned.regime == "hypertension-from-records"
    assert [stage.name for stage in learned.stages if stage.estimates] == [
        "three_months", "six_months",
    ]  # fmt: skip
    frame = pd.read_parquet("points/decisions.parquet")
    assert (frame.groupby("key.patient")["outcome.at"].nunique() == 1).all()
    assert frame["diabetes"].notna().all()
    assert "diabetes" not in learned.variables
    figures = json.loads(Path("pair/figures.json").read_text("utf-8"))
    assert figures["value"]["differences"][2]["robust"] is not None


def test_the_question_and_the_study_speak_of_the_same() -> None:
    question, study = (
        YAML(typ="safe", pure=True).load((EXAMPLE / name).read_text("utf-8"))
        for name in ("bundle.yaml", "study.yaml")
    )
    for part in ("variables", "safeguards", "aim", "population"):
        assert question[part] == study[part], part
    assert [one["stage"] for one in question["stages"]] == [one["stage"] for one in study["stages"]]
    for name, action in question["actions"].items():
        assert action.items() <= study["actions"][name].items()


def test_what_the_page_shows_of_the_study_stands_in_it() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 2
    study = (EXAMPLE / "study.yaml").read_text("utf-8")
    assert [block for block in blocks if block not in study] == []


def test_every_field_of_a_study_is_explained() -> None:
    models = (
        study.StudyDocument, study.LearnedStage, study.Split, study.TableData, study.WorldData,
        study.OutcomeColumn, study.Method,
    )  # fmt: skip
    fields = {name for model in models for name in model.model_fields}
    told = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", TEXT))))
    assert sorted(fields - told) == []


def test_the_names_that_the_page_says_may_be_left_out_may() -> None:
    written = (EXAMPLE / "study.yaml").read_text("utf-8")
    short = written
    for said in ("id: key.patient\n", "column: outcome.value, ", "    taken: taken.action\n"):
        assert said in short
        short = short.replace(said, "")
    assert study.read_study("study.yaml", short.encode()) == study.read_study(
        "study.yaml", written.encode()
    )
