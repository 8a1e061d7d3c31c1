"""Through real files: a simulated cohort is replayed, and the value told is the true one.

With what clinicians decided on withheld it is not, whether the records hold it or nobody's do.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.command_line import run
from builders.replay_worlds import REGIME, Truth, a_world, intensification, truth
from builders.replays import bundle_files

from cds_adapters.fhir.worlds import world_patients, write_ndjson
from cds_engine.bundle.read import read_bundle
from cds_engine.decide.table import Table, decide_table
from cds_engine.estimate.columns import as_column, plain
from cds_engine.simulate.diabetes import DiabetesCohort, DiabetesParameters
from cds_engine.simulate.world import Array, Columns

Json = dict[str, Any]
N = 2000

SECOND_LINE = "diabetes-second-line"
MANY = 8000
BUT_THE_CONFOUNDERS = ("age", "bmi", "egfr")
"""All but HbA1c and heart failure. The SGLT2 inhibitor goes to those who have the most of either,
and either makes for a higher HbA1c at six months. The version gives that drug to most patients,
so that whoever followed it was worse off from the start: unadjusted, it looks worse than it is."""
AS_STRONG_AS = float(np.exp(0.9))
"""The factor on the odds of that drug for one standard deviation, 0.9 %, of HbA1c more."""


def replayed(data: Path, out: Path, *more: str, regime: str = REGIME) -> Json:
    """Replay an export at the end of every encounter; the outcome counts from the first."""
    said = run("replay", data, "--bundle", f"{regime}@1.0.0", "--out", out, "--instant", "end",
               "--horizon-from", "start", "--json", *more)  # fmt: skip
    assert said.code == 0, said.err
    figures: Json = json.loads((out / "figures.json").read_text())
    return figures


def off(figures: Json, wanted: Truth) -> dict[str, float]:
    """Return by how many standard errors each doubly robust value is off the truth."""
    rows = {one["key"]: one["robust"] for one in figures["value"]["regimes"]
            if not one["refused"]}  # fmt: skip
    difference = figures["value"]["differences"][0]
    assert (difference["of"], difference["minus"]) == ("version", "usual")
    told = {"version": rows["version"], "usual": rows["usual"], "difference": difference["robust"]}
    return {name: (one["estimate"] - getattr(wanted, name)) / one["standard_error"]
            for name, one in told.items()}  # fmt: skip


def errors(figures: Json, hidden: float = 0.0) -> dict[str, float]:
    return off(figures, truth(a_world(hidden), intensification()))


def enough(figures: Json, wanted: float) -> float:
    """Return the least strength of hidden confounding, of those tried, that allows a difference."""
    [curve] = figures["value"]["sensitivity"]
    allow: list[float] = [at["gamma"] for at in curve["curve"] if at["low"] <= wanted <= at["high"]]
    return min(allow)


@pytest.mark.slow
def test_the_value_from_a_fhir_export_is_the_true_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run("simulate", "--world", "hypertension-cohort", "--count", N, "--seed", 7,
               "--out", data).code == 0  # fmt: skip
    figures = replayed(data, tmp_path / "out")
    assert figures["value"]["cohort"]["counted"] == N
    assert figures["value"]["cohort"]["left_out"] == {}
    assert max(map(abs, errors(figures).values())) < 3
    again = replayed(data, tmp_path / "again", "--jobs", "2")
    assert again == figures
    for name in ("figures.json", "report.html", "manifest.json"):
        one, other = ((tmp_path / out / name).read_bytes() for out in ("out", "again"))
        assert one == other


@pytest.mark.slow
def test_what_clinicians_saw_and_no_record_holds_makes_it_wrong(tmp_path: Path) -> None:
    hidden = 1.0
    write_ndjson(world_patients(a_world(hidden).draw(2 * N, 7)), tmp_path / "data")
    figures = replayed(tmp_path / "data", tmp_path / "out")
    found = errors(figures, hidden)
    assert abs(found["difference"]) > 3
    assert abs(found["usual"]) < 3
    assert 1.0 < enough(figures, truth(a_world(hidden), intensification()).difference) <= 2.0


@cache
def diabetes_truth(confounding: float, n: int = 200_000) -> Truth:
    """Return the means of very many patients: of the version, of usual care, the difference."""
    world = DiabetesCohort(DiabetesParameters(confounding=confounding))
    bundle = read_bundle({"bundle.yaml": dict(bundle_files(SECOND_LINE))["bundle.yaml"]})
    draw = world.draw(n, seed=1)
    [stage] = world.stages

    def rule(h: Columns) -> Array:
        values: Json = {
            **{name: h[name] for name in stage.variables},
            "diabetes": np.ones(n, dtype=bool), "step": np.full(n, "none", dtype=object),
        }  # fmt: skip
        columns = {name: as_column(plain(one), bundle.kinds[name]) for name, one in values.items()}
        said = decide_table(bundle, Table(columns, n))
        names = np.array([*said.actions, None], dtype=object)[said.action]
        # where it is silent, what is usual is done
        return np.where(
            np.isin(names.astype(str), stage.actions), names, draw.columns[stage.action]
        )

    version, usual = float(draw.potential([rule]).mean()), float(draw.outcome.mean())
    return Truth(version, usual, version - usual)


def second_line(folder: Path, confounding: float, *but: tuple[str, ...]) -> list[Json]:
    """Write a diabetes cohort, and replay it adjusting for all, or for these variables."""
    world = DiabetesCohort(DiabetesParameters(confounding=confounding))
    write_ndjson(world_patients(world.draw(MANY, 7)), folder / "data")
    told: list[Json] = []
    for adjust_for in but:
        options = [word for name in adjust_for for word in ("--adjust-for", name)]
        out = folder / f"out{len(told)}"
        told.append(replayed(folder / "data", out, *options, regime=SECOND_LINE))
        assert told[-1]["value"]["cohort"]["counted"] == MANY
    return told


@pytest.fixture(scope="module")
def fair_and_bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[Json, Json]:
    """The same files replayed with everything adjusted for, and with the confounders withheld."""
    fair, bare = second_line(tmp_path_factory.mktemp("diabetes"), 1, (), BUT_THE_CONFOUNDERS)
    return fair, bare


@pytest.mark.slow
def test_with_the_recorded_confounders_withheld_the_value_of_the_regime_is_wrong(
    fair_and_bare: tuple[Json, Json],
) -> None:
    right, wrong = (off(figures, diabetes_truth(1)) for figures in fair_and_bare)
    assert max(map(abs, right.values())) < 3
    assert wrong["version"] > 3
    assert wrong["difference"] > 3
    # usual care is the mean of what happened: nothing is adjusted for, so nothing can be withheld
    assert wrong["usual"] == right["usual"]


@pytest.mark.slow
def test_the_sensitivity_analysis_shows_how_little_confounding_does_it(
    fair_and_bare: tuple[Json, Json],
) -> None:
    wanted = diabetes_truth(1).difference
    fair, bare = (figures["value"]["sensitivity"][0] for figures in fair_and_bare)
    assert 1 < bare["flips_at"] < fair["flips_at"] < AS_STRONG_AS
    least = [enough(figures, wanted) for figures in fair_and_bare]
    assert 1 < least[0] < least[1] < AS_STRONG_AS


@pytest.mark.slow
def test_where_clinicians_do_not_decide_on_them_withholding_them_does_no_harm(
    tmp_path: Path,
) -> None:
    [bare] = second_line(tmp_path, 0, BUT_THE_CONFOUNDERS)
    assert max(map(abs, off(bare, diabetes_truth(0)).values())) < 3
