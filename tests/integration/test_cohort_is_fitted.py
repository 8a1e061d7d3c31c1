"""A hospital's decision points are fitted as they are: records in, a rule bundle out."""

from pathlib import Path
from typing import Any

from builders.command_line import run
from builders.studies import hypertension
from ruamel.yaml import YAML

from cds_adapters.storage.shelf import read_bundle_folder
from cds_adapters.studies import load_study
from cds_engine.estimate.export.data import study_trajectories
from cds_engine.estimate.export.skeleton import skeleton
from cds_engine.simulate import WORLDS

COUNT = 250


def the_study() -> dict[str, Any]:
    """The study of the world, told to read a replay's table."""
    document = hypertension(method={"learner": "dwols", "bootstrap": 100})
    document["data"] = {"file": "run/decisions.parquet", "layout": "decisions"}
    # which columns are the patient, the action and the outcome is the same in every run
    del document["outcome"]["column"]
    for stage in document["stages"]:
        stage["history"] = [name for name in stage["history"] if name != "diabetes"]
        del stage["taken"]
    return document


def test_the_table_of_a_replay_is_fitted_unchanged(tmp_path: Path) -> None:
    world = "hypertension-cohort"
    run("simulate", "--world", world, "--out", tmp_path / "x", "--count", COUNT, "--seed", 3)
    run("cohort", tmp_path / "x", "--bundle", "hypertension-intensification", "--out",
        tmp_path / "run", "--instant", "end")  # fmt: skip
    YAML().dump(the_study(), tmp_path / "study.yaml")
    study, frame, _ = load_study(tmp_path / "study.yaml")
    found, notes = study_trajectories(study, frame, skeleton(study))
    truth = WORLDS[world]().draw(COUNT, 3).frame().set_index("id").loc[list(found.ids)]
    assert (found.outcome * found.sign == truth["outcome"]).all()
    for h, column in zip(found.stages, ("sbp_three_months", "sbp_six_months"), strict=True):
        assert (h.columns["sbp"] == truth[column]).all()
        taken = [h.spec.actions[place] for place in h.action]
        assert taken == list(truth[f"action_{h.spec.stage}"])
    assert notes == (f"{2 * COUNT} decision points are at no learned stage",)
    run("fit", tmp_path / "study.yaml", "--out", tmp_path / "fitted")
    assert read_bundle_folder(tmp_path / "fitted").regime == study.study
