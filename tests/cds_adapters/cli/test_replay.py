"""``cohort`` and ``replay`` on the command line: files, answers, findings and complaints."""

import json
import os
import pty
import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from builders.command_line import Said, command, environment, run
from builders.replays import COMPLETE, bundles, export, write

from cds_adapters.storage.shelf import shipped_rules

REGIME = "hypertension-stepped-care"
FOLDER = shipped_rules() / REGIME / "1.0.0"
SCHEDULE = ["--first", "2025-01-01T00:00:00Z", "--last", "2025-06-01T00:00:00Z", "--every", "P1M"]
OTHER = shipped_rules() / "hypertension-fixed-protocol" / "1.0.0"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("data"))


def complete() -> list[str]:
    return [word for kind in COMPLETE for word in ("--complete", kind)]


def cohort(data: Path | str, out: Path, *more: str) -> Said:
    return run("cohort", data, "--bundle", FOLDER, "--out", out, *complete(), *more)


def columns(out: Path) -> Sequence[str]:
    names: Sequence[str] = pq.read_schema(out / "decisions.parquet").names
    return names


def test_cohort_writes_the_table_alone(data: Path, tmp_path: Path) -> None:
    said = cohort(data, tmp_path / "out", "--instant", "end")
    assert said.code == 0
    assert "decision points in" in said.out
    assert "Vocabulary" in said.out
    again = json.loads((tmp_path / "out" / "manifest.json").read_text())["checked_again"]
    assert again["differences"] == 0
    assert f"\n{again['rows']} rows decided again, 0 differences" in said.out
    assert not [name for name in columns(tmp_path / "out") if name.startswith("against")]
    assert "found for no patient: " in said.err


def test_replay_sets_a_second_version_beside_the_first(data: Path, tmp_path: Path) -> None:
    said = run("replay", data, "--bundle", FOLDER, "--against", OTHER, "--out", tmp_path / "out",
               "--json", *complete())  # fmt: skip
    assert said.code == 0
    assert [bundle["regime"] for bundle in said.document["bundles"]] == [
        REGIME, "hypertension-fixed-protocol",
    ]  # fmt: skip
    assert (
        said.document["rows"] == pq.read_metadata(tmp_path / "out" / "decisions.parquet").num_rows
    )
    found = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert said.document == {"out": str(tmp_path / "out"), **found}
    assert {"against.outcome", "against.taken.action"} <= set(columns(tmp_path / "out"))


def test_a_bundle_can_be_a_folder_or_an_address(data: Path, tmp_path: Path) -> None:
    for n, address in enumerate((FOLDER, FOLDER / "bundle.yaml", f"{REGIME}@1.0.0")):
        said = run("cohort", data, "--bundle", address, "--out", tmp_path / str(n), "--json")
        assert said.document["bundles"][0]["regime"] == REGIME


def test_every_setting_is_in_the_manifest(data: Path, tmp_path: Path) -> None:
    said = cohort(
        data, tmp_path / "out", "--json", "--class", "AMB", "--type", "snomed|185349003",
        "--instant", "end", "--offset", "PT1H", "--window", "P14D", "--horizon", "P6M",
        "--horizon-from", "start", "--tolerance", "P60D", "--data-until", "2025-12-31T00:00:00Z",
        "--max-damaged", "0.5", "--accept-cut", "--seed", "7", "--recheck", "0.5",
    )  # fmt: skip
    assert said.document["settings"] == {
        "points": "encounter", "classes": ["act|AMB"], "types": ["snomed|185349003"],
        "instant": "end", "offset": "PT1H", "first": None, "last": None, "every": None,
        "window": "P14D", "horizon": "P6M", "horizon_from": "start", "tolerance": "P60D",
        "data_until": "2025-12-31T00:00:00Z", "recheck": 0.5, "seed": 7, "max_damaged": 0.5,
        "complete": sorted(COMPLETE), "accept_cut": True, "codes": {}, "time_zone": "UTC",
    }  # fmt: skip


def test_a_schedule_takes_the_place_of_encounters(data: Path, tmp_path: Path) -> None:
    first, last = "2025-01-01T00:00:00Z", "2025-06-01T00:00:00Z"
    said = cohort(data, tmp_path / "out", "--json", "--first", first, "--last", last,
                  "--every", "P1M")  # fmt: skip
    found = said.document["settings"]
    assert (found["points"], found["every"], found["first"]) == ("schedule", "P1M", first)
    table = pq.read_table(tmp_path / "out" / "decisions.parquet").to_pydict()
    assert set(table["key.encounter"]) == {""}
    assert {at.day for at in table["key.as_of"]} == {1}


def test_two_processes_give_the_bytes_of_one(data: Path, tmp_path: Path) -> None:
    one = cohort(data, tmp_path / "1", "--json").document["outputs"]
    two = cohort(data, tmp_path / "2", "--json", "--jobs", "2").document["outputs"]
    assert one == two


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([".", "--window", "30"], "--window: '30' is not a duration; write it as P30D"),
        ([".", "--instant", "middle"], "--instant is 'middle'; say start or end"),
        ([".", "--horizon-from", "birth"], "--horizon-from is 'birth'; say decision or start"),
        ([".", "--data-until", "soon"], "--data-until: 'soon' is no instant; write it with date"),
        ([".", "--first", "2024-01-01"], "--first: '2024-01-01' has no offset, so it could mean"),
        ([".", "--every", "P1M"], "a schedule of decision points needs its first instant"),
        ([".", "--recheck", "2"], "the share to check again is 2.0; give one from 0 to 1"),
        (
            [".", "--instant", "end", *SCHEDULE],
            "--instant end means nothing beside --first, --last, --every: the instants of a",
        ),
        ([".", "--class", "AMB", "--every", "P1M"], "--class means nothing beside --every"),
        ([".", "--type", "nosuch|1"], "--type: 'nosuch|1' names no known system; use one of"),
        ([".", "--complete", "Foo"], "--complete: FHIR R4 has no resource type `Foo`; write it"),
        (
            [".", "--complete", "Observations"],
            "no resource type `Observations`; did you mean `Observation`",
        ),
        ([".", "--master", "local"], "--master is Spark's; say --engine spark with it"),
    ],
)
def test_what_makes_no_sense_is_said_with_the_cure_before_any_data_is_read(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    said = run("cohort", "nowhere", *arguments[1:], "--bundle", FOLDER, "--out", tmp_path / "out")
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert said.err.count("cds-engine: ") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--by", "potasium"], ["--by: no variable `potasium`; did you mean `potassium`"]),
        (["--adjust-for", "potasium"], ["--adjust-for: no variable `potasium`; did you mean"]),
        (["--by", "qqq"], [f"--by: no variable `qqq`; {REGIME}@1.0.0 has age, sex, "]),
        (["--adjust-for", "uncontrolled"], ["`uncontrolled` is derived, and only what is read"]),
        (["--adjust-for", "agee", "--by", "sbpp"], ["variable `agee`", "variable `sbpp`"]),
    ],
)
def test_a_name_of_no_variable_is_answered_with_the_nearest(
    tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    said = run("replay", "nowhere", *arguments, "--bundle", FOLDER, "--out", tmp_path / "out")
    assert (said.code, said.out) == (2, "")
    assert all(one in said.err for one in words)
    assert not (tmp_path / "out").exists()


def test_data_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    said = cohort("nowhere", tmp_path / "out")
    assert said.code == 3
    assert "nowhere does not exist; pass a folder of .ndjson files" in said.err


def test_a_difference_found_by_the_second_check_is_a_finding(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cds_adapters.bulk.shards as module  # noqa: PLC0415
    from cds_engine.replay.engine import ScalarEngine  # noqa: PLC0415

    class Lying(ScalarEngine):
        def decide(self, *arguments):  # type: ignore[no-untyped-def]
            decided = super().decide(*arguments)
            decided.outcome = ["no_change"] * len(decided.outcome)
            return decided

    monkeypatch.setattr(module, "ENGINES", dict.fromkeys(module.ENGINES, Lying))
    said = cohort(data, tmp_path / "out", "--recheck", "1")
    assert said.code == 1
    assert "rows are decided otherwise by the scalar evaluator: report this fault" in said.err


def test_without_its_extra_it_says_what_to_install(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_adapters.cli.extras.find_spec", lambda name: name != "pyarrow" or None)
    said = cohort(data, tmp_path / "out")
    assert said.code == 3
    assert "this needs pyarrow, which is not installed; install the extra: pip install" in said.err


def test_replay_answers_beside_the_table_and_says_where(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = run("replay", data, "--bundle", FOLDER, "--out", out, *complete())
    assert f"The answers are in {out / 'report.html'}" in " ".join(said.out.split())
    manifest = json.loads((out / "manifest.json").read_text())
    assert {"figures.json", "report.html", "decisions.parquet"} <= set(manifest["outputs"])
    for name, digest in manifest["outputs"].items():
        assert digest == f"sha256:{sha256((out / name).read_bytes()).hexdigest()}", name


def _in_a_terminal(arguments: list[str]) -> str:
    master, slave = pty.openpty()
    done = subprocess.run(
        command(*arguments), env={**environment(), "TERM": "xterm", "COLUMNS": "100"}, stderr=slave,
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    os.close(slave)
    said = b""
    while done.returncode == 0:
        try:
            said += os.read(master, 65_536)
        except OSError:
            break
    os.close(master)
    return said.decode()


def test_progress_is_shown_on_a_terminal_with_rate_and_time_left(
    data: Path, tmp_path: Path
) -> None:
    arguments = ["cohort", str(data), "--bundle", str(FOLDER), "--out", str(tmp_path / "out")]
    said = _in_a_terminal(arguments)
    assert "reading" in said
    assert "MB/s" in said
    assert "shards, " in said
    assert "left" in said


def test_a_restart_says_on_a_terminal_what_it_takes_up(data: Path, tmp_path: Path) -> None:
    damaged = write(tmp_path / "data", {file.name: file.read_bytes() for file in data.iterdir()})
    write(damaged, {"Condition.ndjson": (data / "Condition.ndjson").read_text() + "{\n" * 10})
    assert cohort(damaged, tmp_path / "out").code == 3
    arguments = ["cohort", str(damaged), "--bundle", str(FOLDER), "--out", str(tmp_path / "out")]
    said = " ".join(_in_a_terminal([*arguments, *complete(), "--max-damaged", "0.5"]).split())
    assert "8 of 8 parts read, 0 of 1 shards decided" in said


def test_a_restart_says_in_a_pipe_too_what_it_takes_up_or_throws_away(
    data: Path, tmp_path: Path
) -> None:
    damaged = write(tmp_path / "data", {file.name: file.read_bytes() for file in data.iterdir()})
    write(damaged, {"Condition.ndjson": (data / "Condition.ndjson").read_text() + "{\n" * 10})
    assert cohort(damaged, tmp_path / "out").code == 3
    said = cohort(damaged, tmp_path / "out", "--max-damaged", "0.5")
    work = tmp_path / "out" / ".cds-engine-work"
    first, *rest = said.err.splitlines()
    assert first == (
        f"cds-engine: taking up what {work} holds: 8 of 8 parts read, 0 of 1 shards decided"
    )
    assert not [line for line in rest if "taking up" in line]
    assert cohort(damaged, tmp_path / "other").code == 3
    again = cohort(damaged, tmp_path / "other", "--max-damaged", "0.5", "--instant", "end")
    [thrown] = [line for line in again.err.splitlines() if "thrown away" in line]
    assert thrown.startswith(f"cds-engine: what {tmp_path / 'other'}")
    assert cohort(damaged, tmp_path / "third").code == 3
    quiet = cohort(damaged, tmp_path / "third", "--max-damaged", "0.5", "--json")
    assert (quiet.code, quiet.err) == (0, "")


def test_a_cohort_takes_no_report_away(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("replay", data, "--bundle", FOLDER, "--out", out, *complete())
    assert run(*asked).code == 0
    held = {file.name: file.read_bytes() for file in out.iterdir()}
    said = cohort(data, out)
    assert said.code == 3
    assert "with its figures.json and report.html, which a cohort does not make" in said.err
    assert {file.name: file.read_bytes() for file in out.iterdir()} == held
    assert run(*asked).code == 0
    assert {file.name: file.read_bytes() for file in out.iterdir()} == held
    assert cohort(data, out, "--overwrite").code == 0
    assert run(*asked).code == 0, "a replay makes answers beside the table of a cohort"


def test_another_replay_is_written_over_only_when_that_is_asked(data: Path, tmp_path: Path) -> None:
    assert cohort(data, tmp_path / "out").code == 0
    said = cohort(data, tmp_path / "out", "--instant", "end")
    assert said.code == 3
    assert "holds a finished replay of other settings; name another folder, or say" in said.err
    assert cohort(data, tmp_path / "out", "--instant", "end", "--overwrite").code == 0


def test_the_folder_of_the_data_is_no_place_for_answers(data: Path) -> None:
    said = cohort(data, data / "out")
    assert said.code == 3
    assert "so that the next replay would read what this one writes as data" in said.err
    assert not (data / "out").exists()


def test_a_pipe_stays_quiet(data: Path, tmp_path: Path) -> None:
    said = cohort(data, tmp_path / "out", "--json")
    assert said.err == ""


@pytest.mark.parametrize("form", ["zst", "nested", "bundles"])
def test_history_and_vocab_check_read_every_form_of_export(
    data: Path, tmp_path: Path, form: str
) -> None:
    if form == "bundles":
        folder = bundles(tmp_path / "data")
    elif form == "zst":
        packed = {f"{file.name}.zst": file.read_bytes() for file in data.iterdir()}
        folder = write(tmp_path / "data", packed)
    else:
        nested = {f"a/b/{file.name}": file.read_bytes() for file in data.iterdir()}
        folder = write(tmp_path / "data", nested)
    asked = ["history", FOLDER, "--patient", "htn-uncontrolled-0", "--as-of",
             "2025-06-01T00:00:00Z", "--json", "--records"]  # fmt: skip
    assert run(*asked, folder).document == run(*asked, data).document
    check = ["vocab", "check", FOLDER, "--json", "--records"]
    assert run(*check, folder).document == run(*check, data).document
