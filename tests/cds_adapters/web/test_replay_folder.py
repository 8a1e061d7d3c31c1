"""A folder of replays is one: what is none is refused at the start, and no run is left unnamed."""

from pathlib import Path

import pytest
from builders.command_line import run
from builders.html_pages import read_page
from builders.live_service import kept_in, live

from cds_adapters.web.replayfolder import ReplayFolder, ReplayFolderError


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with one run, whose figures another version wrote."""
    folder = tmp_path / "runs"
    (folder / "a-run").mkdir(parents=True)
    (folder / "a-run" / "figures.json").write_text("{}")
    (folder / "a-run" / "manifest.json").write_text("{}")
    return folder


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReplayFolderError) as fault:
        ReplayFolder(tmp_path / "nowhere")
    assert str(fault.value) == (
        f"--replays: {tmp_path / 'nowhere'} is no folder; name the one that holds the folders of "
        "the runs"
    )


@pytest.mark.parametrize("name", ["figures.json", "manifest.json"])
def test_a_run_itself_is_answered_with_the_folder_above_it(runs: Path, name: str) -> None:
    for other in {"figures.json", "manifest.json"} - {name}:
        (runs / "a-run" / other).unlink()
    with pytest.raises(ReplayFolderError) as fault:
        ReplayFolder(runs / "a-run")
    assert str(fault.value) == (
        f"--replays: {runs / 'a-run'} is itself a run, and no folder of runs; name the folder "
        f"above it, {runs}"
    )


def test_the_command_line_says_so_and_does_not_start(runs: Path, tmp_path: Path) -> None:
    for folder, words in ((runs / "a-run", "is itself a run"), (runs / "nowhere", "is no folder")):
        said = run("serve", "--replays", folder, "--database", kept_in(tmp_path))
        assert said.code == 3
        assert words in said.err
        assert "Traceback" not in said.err


def test_a_folder_that_goes_away_while_it_is_served_has_no_runs(runs: Path) -> None:
    folder = ReplayFolder(runs)
    assert folder.names() == ["a-run"]
    runs.rename(runs.with_name("elsewhere"))
    assert (folder.names(), folder.rows()) == ([], [])


def test_folders_that_no_address_can_show_are_named_with_the_cure(
    runs: Path, tmp_path: Path
) -> None:
    for name in ("my run", "_hidden", "a" * 101):
        (runs / name).mkdir()
        (runs / name / "figures.json").write_text("{}")
    (runs / "table").mkdir()
    (runs / "table" / "manifest.json").write_text("{}")
    (runs / "notes").mkdir()
    (runs / "elsewhere").symlink_to(tmp_path)
    (tmp_path / "figures.json").write_text("{}")
    faults = {row.name: row.fault for row in ReplayFolder(runs).rows()}
    assert list(faults) == sorted(["a-run", "my run", "_hidden", "a" * 101, "table"])
    assert all("Rename it" in faults[name] for name in ("my run", "_hidden", "a" * 101))
    assert "Make them with cds-engine figures" in faults["table"]
    with live(database=kept_in(tmp_path), replays=runs) as client:
        page = read_page(client.get("/replays").text)
        assert client.get("/replays/my%20run").status_code == 404
    assert "my run Cannot be shown. No address can name this folder" in page.words()
