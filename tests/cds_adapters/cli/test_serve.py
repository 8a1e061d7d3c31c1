"""The service starts, is found well, keeps to the specification, and stops; so does the demo."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from builders.command_line import run, run_process, started
from builders.live_service import ask, free_port, kept_in

from cds_adapters.fhir.samples import STORIES, sample_patient

if TYPE_CHECKING:
    import subprocess

READY = 20.0


def wait_until_ready(url: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"not ready after {READY} seconds")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The service as a process of its own: its address and its database."""
    folder = tmp_path_factory.mktemp("served")
    database, log = kept_in(folder), folder / "log"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    serve = ("serve", "--port", port, "--database", database, "--allow-as-of")
    with log.open("w") as stderr, started(*serve, stderr=stderr) as process:
        wait_until_ready(url, process)
        with httpx.Client(base_url=url, trust_env=False) as client:
            ask(client)  # at least one, whichever of the tests below run in this worker
        yield url, database
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    err = log.read_text()
    assert out == ""
    assert f"Uvicorn running on {url}" in err
    assert "Traceback" not in err
    assert "Patient/" not in err
    lines = [json.loads(line) for line in err.splitlines()]
    assert all({"time", "level"} <= set(line) for line in lines)
    calls = [line for line in lines if line.get("event") == "decided"]
    assert calls
    assert all({"decision", "service", "outcome", "status", "duration"} <= set(c) for c in calls)
    assert {"uvicorn.error", "alembic.runtime.migration"} <= {line.get("logger") for line in lines}
    assert process.returncode in {0, -signal.SIGTERM}


def test_a_doctor_finds_a_running_service_well(served: tuple[str, str]) -> None:
    url, _ = served
    said = run("doctor", "--url", url, "--json")
    assert said.code == 0
    [examined] = said.document["examined"]
    assert (said.document["fine"], examined["what"], examined["fine"]) == (True, "service", True)
    assert examined["found"].startswith('{"status":"ready",')
    assert "ok" in run("doctor", "--url", f"{url}/").out


def test_a_doctor_finds_out_that_nobody_is_there() -> None:
    said = run("doctor", "--url", f"http://127.0.0.1:{free_port()}", "--json")
    assert said.code == 1
    [examined] = said.document["examined"]
    assert (said.document["fine"], examined["fine"]) == (False, False)
    assert "/health does not answer (ConnectError); is it running there?" in examined["found"]


@pytest.mark.parametrize("url", ["nonsense", "http://[bad", "ftp://127.0.0.1"])
def test_a_doctor_is_not_upset_by_what_is_no_address(url: str) -> None:
    said = run("doctor", "--url", url)
    assert said.code == 1
    assert "NOT OK" in said.out
    assert "does not answer" in said.out


def test_the_service_keeps_to_the_specification(served: tuple[str, str]) -> None:
    url, _ = served
    said = run("conformance", url, "--json")
    found = said.document
    assert set(found) == {"url", "violated", "findings"}
    assert {"line", "verdict", "what", "found"} <= set(found["findings"][0])
    assert [one for one in found["findings"] if one["verdict"] == "violated"] == []
    assert (said.code, found["violated"], found["url"]) == (0, 0, url)
    assert len(found["findings"]) > 30
    plain = run("conformance", url)
    assert plain.code == 0
    assert f"0 of {len(found['findings'])} lines violated" in plain.out


def test_conformance_finds_out_that_nobody_is_there() -> None:
    said = run("conformance", f"http://127.0.0.1:{free_port()}", "--json")
    assert (said.code, said.document["violated"]) == (1, 1)
    assert "Connection refused" in said.document["findings"][0]["found"]


def test_what_was_served_is_in_the_audit(served: tuple[str, str]) -> None:
    url, database = served
    with httpx.Client(base_url=url, trust_env=False) as client:
        answer = ask(client)
    assert answer.status_code == 200
    told = answer.json()["extension"]["org.cds-engine.decision"]
    record = run("audit", "show", told["id"], "--database", database, "--json").document
    assert (record["id"], record["outcome"]) == (told["id"], told["outcome"])
    verified = run("audit", "verify", "--database", database, "--reevaluate", "--json")
    assert (verified.code, verified.document["ok"]) == (0, True)


def test_the_demonstration_shows_every_visit_of_every_story_and_ends_well() -> None:
    said = run_process("demo", "--once", "--port", 0)
    assert said.code == 0
    assert "Traceback" not in said.err
    for story in STORIES:
        for visit in sample_patient(story).visits:
            assert f"{story}, {visit[:10]}: " in said.out
    assert "/decisions/" in said.out
    assert "[info] " in said.out
    assert "        - " in said.out


# --- the doctor at home -----------------------------------------------------------------------


def examined(*arguments: object) -> tuple[int, dict[str, Any]]:
    said = run("doctor", *arguments, "--json")
    assert set(said.document) == {"fine", "examined"}
    assert said.document["fine"] is (said.code == 0)
    return said.code, {
        one["what"]: (one["fine"], one["found"]) for one in said.document["examined"]
    }


def test_a_doctor_looks_at_settings_rules_database_and_clock(tmp_path: Path) -> None:
    code, found = examined("--database", kept_in(tmp_path))
    assert code == 0
    assert set(found) == {"settings", "rules", "database", "clock"}
    assert all(fine for fine, _ in found.values())
    assert found["settings"][1] == "read; time zone UTC"
    assert "hypertension-stepped-care@1.0.0" in found["rules"][1]
    assert "all cases as expected" in found["rules"][1]
    assert not list(tmp_path.iterdir()), "looking makes no database"


def test_a_doctor_verifies_a_database_that_is_there(served: tuple[str, str]) -> None:
    _, found = examined("--database", served[1])
    assert found["database"][0]
    assert "records, chain sound" in found["database"][1]


def test_a_doctor_names_what_does_not_work_and_goes_on(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text('as_of = "yesterday"\ntime_zone = "Mars/Olympus"\n')
    (tmp_path / "no-database").write_text("nothing of the kind, but long enough to be looked at")
    code, found = examined(
        "--site", site, "--rules", tmp_path, "--database", f"sqlite:///{tmp_path}/no-database"
    )
    assert code == 1
    assert not any(fine for fine, _ in found.values())
    assert "'Mars/Olympus' is no IANA time zone" in found["settings"][1]
    assert "holds no rule bundle" in found["rules"][1]
    assert "cannot be opened" in found["database"][1]
    assert "'yesterday' is no instant" in found["clock"][1]


@pytest.mark.parametrize("setting", ["allow_as_of", "allow_plain_http"])
def test_a_doctor_warns_of_what_is_for_development_only(tmp_path: Path, setting: str) -> None:
    site = tmp_path / "site.toml"
    site.write_text(f"{setting} = true\n")
    code, found = examined("--site", site, "--database", kept_in(tmp_path))
    assert code == 1
    assert found[setting][0] is False
    assert "never in production" in found[setting][1]
