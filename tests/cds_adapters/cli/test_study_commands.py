"""``fit`` and ``value`` tell beside their figures what speaks against them."""

from pathlib import Path

import pytest
from builders.command_line import Said, run
from builders.studies import hypertension
from ruamel.yaml import YAML

FEW = "a replay refuses below 50"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study of a small cohort."""
    found = tmp_path_factory.mktemp("study")
    document = hypertension(
        n=300, method={"learner": "dwols", "bootstrap": 100}, adjusted_for=["All is recorded."]
    )
    YAML().dump(document, found / "study.yaml")
    return found


@pytest.fixture(scope="module")
def fitted(folder: Path) -> Said:
    return run("fit", folder, "--out", folder / "fitted")


def test_fit_says_why_an_assumption_is_doubtful(fitted: Said) -> None:
    assert fitted.code == 0, fitted.err
    said = "sequential exchangeability: doubtful; after weighting the largest standardised"
    assert said in fitted.out
    assert "positivity: doubtful; stage three_months, keep: the " in fitted.out


def test_fit_and_value_mark_what_rests_on_few(folder: Path, fitted: Said) -> None:
    valued = run("value", folder, "--bundle", folder / "fitted")
    assert valued.code == 0, valued.err
    for said in (fitted, valued):
        assert f"note: keep > keep: rests on effective n {effective_n(folder):.1f}; {FEW}" in (
            said.out
        )
        assert "note: usual care: rests on" not in said.out


def effective_n(folder: Path) -> float:
    """The effective n of the followers of a fixed regime, as ``value`` tells it to scripts."""
    rows = {one["label"]: one for one in run("value", folder, "--json").document}
    assert any(FEW in note for note in rows["keep > keep"]["notes"])
    assert not any(FEW in note for note in rows["usual care"]["notes"])
    return float(rows["keep > keep"]["effective_n"])


def test_a_value_of_a_version_on_its_own_study_is_in_sample(folder: Path, fitted: Said) -> None:
    assert fitted.code == 0
    said = run("value", folder, "--bundle", folder / "fitted", "--json").document
    assert [bool(any("in-sample" in note for note in one["notes"])) for one in said] == [
        True, *[False] * (len(said) - 1)
    ]  # fmt: skip


def test_a_version_that_was_learned_elsewhere_is_not(folder: Path) -> None:
    shipped = run("value", folder, "--bundle", "hypertension-intensification", "--json").document
    assert not any("in-sample" in note for one in shipped for note in one["notes"])
