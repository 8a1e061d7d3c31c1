"""``design`` shows, simulates, sizes and analyses a SMART, and says what is wrong with one."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from builders.command_line import run
from builders.designs import Document, a_design, assumed

from cds_engine.simulate import WORLDS

DESIGN = Path(__file__).resolve().parents[3] / "docs" / "examples" / "activity-design.yaml"


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """Write a design to a file; JSON is YAML."""

    def write(document: Document) -> Path:
        path = tmp_path / "design.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


def table_of(n: int, folder: Path) -> Path:
    path = folder / "trial.csv"
    WORLDS["activity-smart"]().draw(n, 3).frame().to_csv(path, index=False)
    return path


def test_show_draws_the_flow_and_lists_the_regimes(tmp_path: Path) -> None:
    out = tmp_path / "flow.svg"
    said = run("design", "show", DESIGN, "--n", 300, "--out", out)
    assert (said.code, said.err) == (0, "")
    assert "├─ digital coaching (0.5), n ~ 150" in said.out
    assert "coaching, interview" in said.out
    assert "It does not identify 4 of the 4 embedded regimes." in said.out
    assert out.read_text("utf-8").startswith("<svg ")


def test_show_counts_a_table(tmp_path: Path) -> None:
    said = run("design", "show", DESIGN, "--table", table_of(400, tmp_path), "--json")
    n = {one["path"]: one["n"] for one in said.document["paths"]}
    assert n[""] == 400
    assert n["coaching"] + n["classes"] == 400
    assert [one["label"] for one in said.document["regimes"]] == [
        "coaching, gym", "coaching, interview", "classes, kit", "classes, trainer",
    ]  # fmt: skip
    assert [one["identified"] for one in said.document["factorial"]["regimes"]] == [False] * 4


def test_the_faults_of_a_design_are_findings(written: Any) -> None:
    path = written(a_design(labels={"q": "Q"}, response={}))
    said = run("design", "show", path)
    assert said.code == 1
    assert "labels.q: there is no such arm" in said.err
    said = run("design", "show", path, "--json")
    assert (said.code, said.document["fine"]) == (1, False)
    assert {fault["place"] for fault in said.document["faults"]} == {
        "stages[1].randomise[0]", "stages[1].randomise[1]", "labels.q",
    }  # fmt: skip
    assert run("design", "power", path).code == 3


def test_a_simulated_trial_is_analysed_as_it_was_simulated(tmp_path: Path) -> None:
    out = tmp_path / "trial.csv"
    said = run("design", "simulate", DESIGN, "--out", out, "--n", 4000, "--seed", 7, "--json")
    assert said.code == 0
    truth = said.document["truth"]
    assert len(pd.read_csv(out)) == said.document["patients"] == 4000
    found = run("design", "embedded", DESIGN, out, "--adjust", "baseline", "--json").document
    for one in found["regimes"]:
        assert abs(one["estimate"] - truth[one["label"]]) < 4 * one["standard_error"]
    assert len(found["contrasts"]) == 6
    assert found["best"]["best"] in found["best"]["kept"]
    again = tmp_path / "again.csv"
    run("design", "simulate", DESIGN, "--out", again, "--n", 4000, "--seed", 7)
    assert again.read_bytes() == out.read_bytes()


def test_embedded_says_values_differences_and_the_best_set(tmp_path: Path) -> None:
    trial = table_of(600, tmp_path)
    said = run("design", "embedded", DESIGN, trial, "--at-once", "--level", "0.9")
    assert (said.code, said.err) == (0, "")
    assert "Steps a day at 24 weeks (/d): mean of all 600 had all followed the regime" in said.out
    assert "Differences, all holding together" in said.out
    assert "Not significantly worse than the best (90 %): " in said.out
    plain = run("design", "embedded", DESIGN, trial, "--json").document["contrasts"]
    wide = run("design", "embedded", DESIGN, trial, "--at-once", "--json").document["contrasts"]
    for one, other in zip(plain, wide, strict=True):
        assert other["low"] < one["low"] < one["high"] < other["high"]


def test_missing_outcomes_are_refused_unless_they_are_to_be_weighted_for(tmp_path: Path) -> None:
    frame = WORLDS["activity-smart"]().draw(400, 3).frame()
    frame.loc[frame.index[::20], "outcome"] = None
    trial = tmp_path / "trial.parquet"
    frame.to_parquet(trial)
    said = run("design", "embedded", DESIGN, trial)
    assert said.code == 3
    assert "missing in 20" in said.err
    said = run("design", "embedded", DESIGN, trial, "--weight-missing", "--json")
    assert "missing in 20 of 400" in said.document["notes"][0]


def test_power_puts_formula_model_and_simulation_side_by_side(written: Any) -> None:
    means = {"a > responders": 0.5, "a > non-responders > c": 0.5}
    path = written(assumed(a_design(), means=means))
    pair = ("--one", "a, c", "--other", "b, e")
    said = run("design", "power", path, *pair, "--simulations", 400, "--json")
    [one] = said.document["comparisons"]
    assert said.code == 0
    assert one["formula"] == one["exact"] == one["simulated"]["n"]
    assert abs(one["simulated"]["power"] - 0.8) < 3 * one["simulated"]["standard_error"]
    shown = run("design", "power", path, *pair, "--n", 60, "--simulations", 50)
    assert shown.code == 0
    assert "N, formula" in shown.out
    assert " 60 " in shown.out
    everything = run("design", "power", path, "--simulations", 5, "--n", 20, "--json")
    assert len(everything.document["comparisons"]) == 6


def test_a_formula_that_promises_too_much_is_a_finding(written: Any) -> None:
    means = {"a > non-responders > c": 1.6, "b > non-responders > e": 1.2}
    path = written(assumed(a_design(), 0.75, sd=0.4, means=means))
    pair = ("--one", "a, c", "--other", "b, e")
    said = run("design", "power", path, *pair, "--simulations", 400)
    assert said.code == 1
    assert "a, c minus b, e: the simulated power falls short of 0.8" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["show", "nowhere.yaml"], 3, "nowhere.yaml cannot be read: No such file",
                     id="no file"),
        pytest.param(["show", DESIGN, "--n", "9", "--table", "x.csv"], 2, "give one of them",
                     id="counted and expected"),
        pytest.param(["show", DESIGN, "--n", "9", "--out", "no/where.svg"], 3,
                     "no/where.svg cannot be written", id="nowhere to draw"),
        pytest.param(["simulate", DESIGN, "--out", "no/where.csv"], 3, "cannot be written",
                     id="nowhere to write"),
        pytest.param(["embedded", DESIGN, "nowhere.csv"], 3, "cannot be read as a table",
                     id="no table"),
        pytest.param(["embedded", DESIGN, "x.csv", "--level", "2"], 2, "2 is no probability",
                     id="level"),
        pytest.param(["power", DESIGN, "--one", "coaching, gym"], 2, "name two embedded regimes",
                     id="half a pair"),
        pytest.param(["power", DESIGN, "--one", "x", "--other", "y"], 2,
                     "no embedded regime is called 'x'", id="no such regime"),
        pytest.param(["power", DESIGN, "--alpha", "0"], 2, "a power of 0.8 at the level 0",
                     id="no level"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_answered_says_why(
    arguments: list[Any], code: int, words: str
) -> None:
    said = run("design", *arguments)
    assert said.code == code
    assert words in said.err


def test_what_is_no_plain_yaml_is_refused_as_a_design(tmp_path: Path) -> None:
    path = tmp_path / "design.yaml"
    path.write_text("design: a\ndesign: b\n", encoding="utf-8")
    said = run("design", "simulate", path, "--out", tmp_path / "x.csv")
    assert said.code == 3
    assert "design (design.yaml) cannot be used" in said.err
    path.write_text("design: .inf\n", encoding="utf-8")
    assert "is not a finite number" in run("design", "show", path).err


def test_a_design_without_assumptions_cannot_be_simulated(written: Any, tmp_path: Path) -> None:
    said = run("design", "simulate", written(a_design()), "--out", tmp_path / "x.csv")
    assert said.code == 3
    assert "two-arms states no outcome model" in said.err
