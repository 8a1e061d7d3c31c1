"""The answers outlive a kill, and are made anew from a finished run without its data."""

import json
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest
from builders.command_line import Said, run
from builders.replays import COMPLETE, export

from cds_adapters.bulk import run as bulk_run
from cds_adapters.bulk.run import WORK
from cds_adapters.report import answers
from cds_adapters.storage.shelf import shipped_rules

FOLDER = shipped_rules() / "hypertension-stepped-care" / "1.0.0"
OTHER = shipped_rules() / "hypertension-fixed-protocol" / "1.0.0"
KINDS = tuple(word for kind in COMPLETE for word in ("--complete", kind))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("data"))


def replay(data: Path, out: Path, *more: object) -> Said:
    return run("replay", data, "--bundle", FOLDER, "--out", out, *KINDS, *more)


def files(out: Path) -> dict[str, bytes]:
    """The bytes of every file; a folder in there fails the test."""
    return {path.name: path.read_bytes() for path in out.iterdir()}


class Killed(BaseException):
    """Ends a run where nothing can be tidied up."""


@pytest.mark.parametrize("step", ["replay_page", "digest_of_file"])
def test_killed_before_the_answers_it_reads_and_decides_nothing_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    assert replay(data, tmp_path / "whole").code == 0

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(answers, step, killed)
        with pytest.raises(Killed):
            replay(data, tmp_path / "out")
    assert (tmp_path / "out" / WORK).is_dir()

    def refused(*_: object) -> None:
        pytest.fail("what is done was done again")

    monkeypatch.setattr(bulk_run, "scan_part", refused)
    monkeypatch.setattr(bulk_run, "replay_one", refused)
    assert replay(data, tmp_path / "out").code == 0
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def figures(out: Path, *more: object, bundle: Path = FOLDER) -> Said:
    return run("figures", out, "--bundle", bundle, *more)


@pytest.fixture(scope="module")
def plain(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished replay; whoever changes it copies it."""
    out = tmp_path_factory.mktemp("plain") / "out"
    assert replay(data, out, "--seed", 3).code == 0
    return out


@pytest.fixture
def again(plain: Path, tmp_path: Path) -> Path:
    return copytree(plain, tmp_path / "again")


OPTIONS = (
    "--by", "potassium", "--adjust-for", "sbp", "--adjust-for", "age", "--least-n", 20,
    "--small-cell", 5, "--most-deaths", 0.25,
)  # fmt: skip
ASKED = {
    "subgroups": ["potassium"], "adjust_for": ["sbp", "age"], "least_effective_n": 20.0,
    "smallest_cell": 5, "most_deaths": 0.25, "seed": 3,
}  # fmt: skip


def test_made_anew_the_answers_have_the_bytes_of_a_replay_with_these_options(
    data: Path, again: Path, tmp_path: Path
) -> None:
    before = files(again)
    assert replay(data, tmp_path / "whole", "--seed", 3, *OPTIONS).code == 0
    rmtree(tmp_path / "whole" / WORK, ignore_errors=True)
    said = figures(again, *OPTIONS)
    assert (said.code, said.err) == (0, "")
    assert f"The answers are in {again / 'report.html'}" in " ".join(said.out.split())
    assert files(again) == files(tmp_path / "whole")
    assert {name for name in before if before[name] != files(again)[name]} == {
        "figures.json", "report.html", "manifest.json",
    }  # fmt: skip
    told = json.loads((again / "manifest.json").read_text())["figures"]
    assert {name: told[name] for name in ASKED} == ASKED
    assert figures(again).code == 0
    assert files(again) == before


def test_a_cohort_is_answered_as_if_it_had_been_replayed(
    data: Path, plain: Path, tmp_path: Path
) -> None:
    made = run("cohort", data, "--bundle", FOLDER, "--out", tmp_path, *KINDS, "--seed", 3)
    assert made.code == 0
    said = figures(tmp_path, "--json")
    assert files(tmp_path) == files(plain)
    assert said.document == {
        "out": str(tmp_path), **json.loads((plain / "manifest.json").read_text())
    }  # fmt: skip


def test_two_versions_are_answered_anew_together(data: Path, tmp_path: Path) -> None:
    assert replay(data, tmp_path, "--against", OTHER).code == 0
    before = files(tmp_path)
    said = figures(tmp_path)
    assert (said.code, said.out) == (3, "")
    assert "is a replay of two versions; name the second one, hypertension-fixed" in said.err
    assert "with --against" in said.err
    other = figures(tmp_path, "--against", FOLDER)
    assert "and --against is hypertension-stepped-care@1.0.0 with the digest sha256:" in other.err
    assert files(tmp_path) == before
    assert figures(tmp_path, "--against", OTHER).code == 0
    assert files(tmp_path) == before


def test_another_version_than_the_replayed_one_is_refused_with_both_digests(plain: Path) -> None:
    before = files(plain)
    [told] = json.loads(before["manifest.json"])["bundles"]
    said = figures(plain, bundle=OTHER)
    assert (said.code, said.out) == (3, "")
    words = " ".join(said.err.split())
    own = run("check", OTHER, "--json").document["digest"]
    assert (
        f"is a replay of hypertension-stepped-care@1.0.0 with the digest {told['digest']}" in words
    )
    assert f"and --bundle is hypertension-fixed-protocol@1.0.0 with the digest {own}" in words
    assert "name the version that was replayed, or replay this one" in words
    assert files(plain) == before


def test_a_second_version_that_was_not_replayed_is_refused(plain: Path) -> None:
    said = figures(plain, "--against", OTHER)
    assert said.code == 3
    assert "is a replay of one version, so that nothing is known of what --against" in said.err


@pytest.mark.parametrize("name", ["decisions.parquet", "vocabulary.json", "rejects.ndjson"])
def test_a_file_that_was_changed_or_lost_since_is_refused(again: Path, name: str) -> None:
    with (again / name).open("ab") as file:
        file.write(b" ")
    said = figures(again)
    assert said.code == 3
    assert f"{name} is not what the replay wrote, as its digest differs" in said.err
    (again / name).unlink()
    assert f"{name} is not there, though the manifest names it; replay again" in figures(again).err


def changed(out: Path, **values: Any) -> None:
    held = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(held | values))


def test_a_run_of_another_cds_engine_is_refused(again: Path) -> None:
    changed(again, cds_engine="0.0.1")
    said = figures(again)
    assert said.code == 3
    assert "was made by cds-engine 0.0.1 (semantics " in said.err
    assert "its manifest would name one for what the other computed; replay again" in said.err


@pytest.mark.parametrize("held", ["{}", "[]", "{", '{"bundles": [], "outputs": {}}'])
def test_a_manifest_of_something_else_is_refused(tmp_path: Path, held: str) -> None:
    (tmp_path / "manifest.json").write_text(held)
    said = figures(tmp_path)
    assert said.code == 3
    assert "is none of a replay; name the folder that a replay wrote" in said.err


def test_a_folder_without_a_finished_replay_is_refused(tmp_path: Path) -> None:
    said = figures(tmp_path)
    assert said.code == 3
    assert "holds no finished replay, as there is no manifest.json; name the folder" in said.err


@pytest.mark.parametrize("file", ["manifest.json"])
def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / file).mkdir()
    said = figures(tmp_path)
    assert said.code == 3
    assert "manifest.json cannot be read (Is a directory)" in said.err


def test_a_name_of_no_variable_is_answered_before_anything_is_written(plain: Path) -> None:
    before = files(plain)
    said = figures(plain, "--by", "potasium")
    assert (said.code, said.out) == (2, "")
    assert "--by: no variable `potasium`; did you mean `potassium`" in said.err
    assert files(plain) == before


def test_killed_while_it_writes_no_manifest_names_answers_that_are_others(
    again: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(again)

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(answers, "digest_of_file", killed)
        with pytest.raises(Killed):
            figures(again, *OPTIONS)
    held = json.loads((again / "manifest.json").read_text())
    assert "figures" not in held
    assert not {"figures.json", "report.html"} & set(held["outputs"])
    assert figures(again).code == 0
    assert files(again) == before
