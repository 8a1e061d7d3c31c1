"""What cannot be read ends with 3 and one message that says what, why and what to do."""

import gzip
import logging
import subprocess
from pathlib import Path

import pytest
from builders.command_line import Said, command, environment, run, run_process
from builders.shipped import RULES

REGIME = "hypertension-stepped-care"
KNOWN = ", ".join(sorted(folder.name for folder in RULES.iterdir()))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a few things that are not what they are taken for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "cut.ndjson.gz").write_bytes(gzip.compress(b'{"resourceType":"Patient"}\n')[:-9])
    (tmp_path / "site.toml").write_text("colour = 'blue'\nport = -1\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "bundle.yaml").write_text("regime: [")
    assert run("simulate", "--out", "patients", "--count", 2).code == 0
    return tmp_path


def refused(said: Said) -> str:
    """Check that a command ended as one that cannot read, and return its only message."""
    assert said.code == 3
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err.startswith("cds-engine: ")
    assert said.err.count("cds-engine: ") == 1
    return said.err.removeprefix("cds-engine: ")


@pytest.mark.parametrize("name", ["decide", "explain", "history", "vocab check"])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["", "json"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([REGIME, "--records", "nowhere"],
                     "nowhere does not exist; pass a folder of .ndjson files", id="no records"),
        pytest.param([REGIME, "--records", "file"], "file is no FHIR file; pass a folder",
                     id="another kind of file"),
        pytest.param([REGIME, "--records", "empty"],
                     "empty holds no .ndjson and no .json file, packed or not; pass another",
                     id="an empty folder"),
        pytest.param([REGIME, "--records", "broken.json"],
                     "broken.json: is no Bundle that can be read (", id="broken JSON"),
        pytest.param([REGIME, "--records", "cut.ndjson.gz"],
                     "cut.ndjson.gz: cannot be read to its end (", id="a packed file cut short"),
        pytest.param(["nope", "--records", "patients"],
                     f"there is no folder nope, and no regime 'nope' in {{rules}}, which has "
                     f"{KNOWN}; name one of them, or the folder that holds bundle.yaml\n",
                     id="no such regime"),
        pytest.param([f"{REGIME}s@1.0.0", "--records", "patients"],
                     f"holds bundle.yaml; did you mean `{REGIME}`", id="a slip in the name"),
        pytest.param([f"{REGIME}@9.9.9", "--records", "patients"],
                     f"no version '9.9.9' of {REGIME}; there is 1.0.0\n", id="no such version"),
        pytest.param(["empty", "--records", "patients"],
                     "rule bundle in empty cannot be used; 1 fault:\n  - there is no bundle.yaml",
                     id="a folder without a bundle"),
        pytest.param(["file", "--records", "patients"],
                     "file is no folder; name the folder that holds bundle.yaml", id="a file"),
        pytest.param(["mine", "--records", "patients"], "in mine cannot be used; 1 fault:\n  - "
                     "bundle.yaml: line ", id="broken YAML"),
        pytest.param([REGIME, "--records", "patients", "--rules", "empty"],
                     "empty holds no rule bundle; expected empty/<regime>/<version>/bundle.yaml",
                     id="no rules"),
        pytest.param([REGIME, "--records", "patients", "--site", "none.toml"],
                     "the settings in none.toml cannot be used; 1 fault:\n  - cannot be read: ",
                     id="no settings"),
        pytest.param([REGIME, "--records", "patients", "--site", "site.toml"],
                     "the settings in site.toml cannot be used; 2 faults:\n", id="bad settings"),
    ],
)  # fmt: skip
def test_reading_what_is_not_there(
    place: Path, name: str, more: list[str], arguments: list[str], words: str
) -> None:
    said = refused(run(*name.split(), *arguments, *more))
    assert words.format(rules=RULES) in said
    assert place.is_dir()


@pytest.mark.parametrize("name", ["decide", "explain", "history"])
@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--as-of", "yesterday"], "'yesterday' is no instant; write it with date, time and"),
        (["--as-of", "2025-06-01T12:00:00"], "has no offset, so it could mean many instants"),
        (["--as-of", "1066-10-14T09:00:00Z"], "lies outside the years 1900 to 2199"),
        (["--patient", "nobody"], "patients: holds nothing about patient 'nobody'; check the id"),
    ],
)
@pytest.mark.usefixtures("place")
def test_asking_for_what_there_is_not(name: str, option: list[str], words: str) -> None:
    assert words in refused(run(name, REGIME, "--records", "patients", *option))


@pytest.mark.parametrize("name", ["test", "show", "prefetch", "diff", "check"])
@pytest.mark.usefixtures("place")
def test_a_bundle_that_is_not_there(name: str) -> None:
    other = [REGIME] if name == "diff" else []
    assert "no regime 'nope'" in refused(run(name, "nope", *other))
    if name != "check":
        assert "1 fault" in refused(run(name, "empty", *other))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--port", "65536"], "  - port: Input should be less than or equal to 65535",
                     id="port"),
        pytest.param(["--as-of", "now"], "'now' is no instant", id="clock"),
        pytest.param(["--rules", "empty"], "empty holds no rule bundle", id="rules"),
        pytest.param(["--database", "mysql://x/y"], "names 'mysql', which is not supported",
                     id="database"),
        pytest.param(["--database", "sqlite:///none/x.sqlite"], "there is no folder none; make",
                     id="no folder for the database"),
        pytest.param(["--database", "sqlite:///mine/bundle.yaml"], "cannot be opened: Data",
                     id="another kind of file for a database"),
        pytest.param(["--fhir-server", "http://ehr.example/fhir"], "which is not https",
                     id="a FHIR server without TLS"),
        pytest.param(["--cors-origin", "ehr.example"], "is no absolute http(s) URL", id="origin"),
        pytest.param(["--site", "site.toml"], "  - colour: there is no such setting; there is",
                     id="settings"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("place")
def test_serve_does_not_start_on_what_cannot_be_used(arguments: list[str], words: str) -> None:
    own = [] if "--database" in arguments else ["--database", "sqlite:///audit.sqlite"]
    assert words in refused(run("serve", *own, *arguments))


@pytest.mark.usefixtures("place")
def test_serve_leaves_the_logging_of_these_tests_alone() -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    run("serve", "--database", "sqlite:///none/x.sqlite")
    assert (root.level, root.handlers) == before
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)


@pytest.mark.parametrize("asked", [["show", "some-id"], ["verify"], ["verify", "--reevaluate"]])
@pytest.mark.parametrize(
    ("database", "words"),
    [
        ("sqlite:///none.sqlite", "there is no database file none.sqlite; name the one that"),
        ("sqlite:///mine/bundle.yaml", "cannot be opened: DatabaseError"),
        ("sqlite://", "names a database in memory, which keeps no audit"),
        ("x", "is no database URL; write sqlite:///FILE or postgresql://"),
    ],
)
def test_an_audit_that_is_not_there(
    place: Path, asked: list[str], database: str, words: str
) -> None:
    assert words in refused(run("audit", *asked, "--database", database))
    assert not (place / "none.sqlite").exists(), "looking for an audit makes none"


@pytest.mark.parametrize("out", ["file", "file/deeper"])
@pytest.mark.usefixtures("place")
def test_simulate_says_where_it_cannot_write(out: str) -> None:
    assert f"{out} cannot be written: " in refused(run("simulate", "--out", out))


@pytest.mark.usefixtures("place")
def test_a_process_ends_alike() -> None:
    said = run_process("decide", REGIME, "--records", "nowhere", cwd=Path.cwd())
    assert "nowhere does not exist" in refused(said)


def test_a_reader_that_has_seen_enough_is_no_error(place: Path) -> None:
    arguments = command("history", REGIME, "--records", place / "patients", "--json")
    with subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in {0, 1}
