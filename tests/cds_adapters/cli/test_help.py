"""The command line says what it can do, at once, and what was wrong with a call."""

import json
import subprocess
import sys

import pytest
from builders.command_line import environment, run, run_process
from typer.main import get_command

import cds_engine
from cds_adapters.cli.app import app

COMMANDS = [
    "demo", "serve", "doctor", "conformance", "schema", "check", "test", "show", "diff", "decide",
    "explain", "history", "prefetch", "simulate", "cohort", "replay", "figures", "fit", "assume",
    "value",
    "vocab check", "audit show", "audit verify", "design show", "design simulate", "design power",
    "design embedded",
]  # fmt: skip
HEAVY = ["fastapi", "uvicorn", "sqlalchemy", "httpx", "numpy", "rich.table", "msgspec",
         "cds_adapters.compose", "cds_engine.bundle"]  # fmt: skip


def test_the_version_is_that_of_the_package() -> None:
    said = run("--version")
    assert (said.code, said.out, said.err) == (0, f"{cds_engine.__version__}\n", "")


def test_help_names_every_command() -> None:
    said = run("--help")
    assert said.code == 0
    assert all(f"  {command.split()[0]} " in said.out for command in COMMANDS)


def test_no_command_is_left_out_here() -> None:
    found = []
    for name, group in get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(group, "commands", None)
        found += [f"{name} {each}" for each in inner] if inner else [name]
    assert sorted(found) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_does_and_what_its_options_mean(command: str) -> None:
    said = run(*command.split(), "--help")
    assert said.code == 0
    words = said.out.split("\n\n")
    assert words[1].strip().endswith(".")
    options = [line for line in said.out.splitlines() if line.strip().startswith("--")]
    assert options
    assert all(len(line.split("  ")) > 1 for line in options if "--help" not in line)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in {"serve", "schema"}])
def test_each_command_that_answers_can_answer_in_json(command: str) -> None:
    assert "--json" in run(*command.split(), "--help").out


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], [*HEAVY, "pydantic"]),
        # typer itself reads the options of a command with pydantic
        (["decide", "--help"], HEAVY),
        (["--version"], HEAVY),
        (["nope"], HEAVY),
    ],
)
def test_help_waits_for_nothing_heavy(arguments: list[str], heavy: list[str]) -> None:
    script = (
        "import json, sys\n"
        "from cds_adapters.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(json.dumps([name for name in {heavy!r} if name in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        env=environment(), capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_python_can_run_it_as_a_module() -> None:
    said = run_process("--version")
    assert (said.code, said.out, said.err) == (0, f"{cds_engine.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([], "Usage: ", id="nothing"),
        pytest.param(["nope"], "No such command 'nope'", id="a command that there is not"),
        pytest.param(["audit"], "Usage: ", id="half a command"),
        pytest.param(["check"], "Missing argument 'BUNDLE'", id="no bundle"),
        pytest.param(["check", "x", "--nope"], "No such option: --nope", id="no such option"),
        pytest.param(["decide", "hypertension-stepped-care"], "Missing option '--records'",
                     id="no records"),
        pytest.param(["simulate", "--out", "x", "--count", "0"],
                     "'--count': Input should be greater than or equal to 1", id="nobody"),
        pytest.param(["simulate", "--out", "x", "--count", "few"],
                     "'--count': Input should be a valid integer", id="a number in words"),
        pytest.param(["simulate"], "name the folder to write into with --out, or ask for --list",
                     id="nowhere to write"),
        pytest.param(["simulate", "--out", "x", "--mess", "chaos"], "no mess chaos; there is ",
                     id="no such mess"),
        pytest.param(["serve", "--port", "http"], "'--port': Input should be a valid integer",
                     id="no port"),
    ],
)  # fmt: skip
def test_a_call_that_is_not_understood_ends_with_2_and_says_why(
    arguments: list[str], words: str
) -> None:
    said = run(*arguments)
    assert said.code == 2
    assert words.casefold() in (said.err + said.out).casefold()
    assert "Traceback" not in said.err
