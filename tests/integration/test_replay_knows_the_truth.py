"""Through real files: a simulated cohort is replayed, and the value told is the true one."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders.command_line import run
from builders.replay_worlds import REGIME, a_world, intensification, truth

from cds_adapters.fhir.worlds import world_patients, write_ndjson

Json = dict[str, Any]
N = 2000


def replayed(data: Path, out: Path, *more: str) -> Json:
    """Replay an export at the end of every encounter; the outcome counts from the first."""
    said = run("replay", data, "--bundle", f"{REGIME}@1.0.0", "--out", out, "--instant", "end",
               "--horizon-from", "start", "--json", *more)  # fmt: skip
    assert said.code == 0, said.err
    figures: Json = json.loads((out / "figures.json").read_text())
    return figures


def errors(figures: Json, hidden: float = 0.0) -> dict[str, float]:
    wanted = truth(a_world(hidden), intensification())
    rows = {one["key"]: one["robust"] for one in figures["value"]["regimes"]
            if not one["refused"]}  # fmt: skip
    difference = figures["value"]["differences"][0]["robust"]
    told = {"version": rows["version"], "usual": rows["usual"], "difference": difference}
    return {name: (one["estimate"] - getattr(wanted, name)) / one["standard_error"]
            for name, one in told.items()}  # fmt: skip


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
    wanted = truth(a_world(hidden), intensification()).difference
    [curve] = figures["value"]["sensitivity"]
    covers = [at["gamma"] for at in curve["curve"] if at["low"] <= wanted <= at["high"]]
    assert 1.0 < min(covers) <= 2.0
