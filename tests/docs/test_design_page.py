"""The page about designs is true: its files are read, its commands run, its output comes out."""

import doctest
import re
import shlex
from pathlib import Path

import pytest
from builders.command_line import run
from ruamel.yaml import YAML

from cds_engine.design import embedded_regimes, read_design
from cds_engine.design.document import AssumptionsDocument

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "design.md").read_text("utf-8")
COMMANDS = re.findall(r"```console\n\$ cds-engine ([^\n]*)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def beside_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)


def flat(text: str) -> str:
    """Return lines without the blanks at their ends."""
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


@pytest.mark.usefixtures("beside_docs")
def test_the_commands_say_what_the_page_says() -> None:
    assert len(COMMANDS) == PAGE.count("```console") == 4
    checker = doctest.OutputChecker()
    for command, wanted in COMMANDS:
        said = run(*shlex.split(command))
        assert (said.code, said.err) == (0, ""), command
        found = flat(said.out)
        assert checker.check_output(flat(wanted), found, doctest.ELLIPSIS), (command, found)


@pytest.mark.usefixtures("beside_docs")
def test_the_python_of_the_page_runs() -> None:
    run("design", "simulate", "docs/examples/activity-design.yaml", "--n", 1200, "--seed", 1,
        "--out", "trial.csv")  # fmt: skip
    [block] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    example = doctest.DocTestParser().get_doctest(block, {}, "design.md", "design.md", 0)
    assert len(example.examples) >= 8
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_file_of_the_page_is_read() -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    design = read_design(YAML(typ="safe", pure=True).load(text))
    assert [one.label for one in embedded_regimes(design)] == [
        "a, c", "a, d", "a, e", "b, keep if response else c", "b, keep if response else d",
        "b, stop if response else c", "b, stop if response else d",
    ]  # fmt: skip


def test_every_field_that_the_page_explains_is_one() -> None:

    rows = re.findall(r"^\| `(\w+)` \| [^|]*\|$", PAGE, re.MULTILINE)
    assert set(AssumptionsDocument.model_fields) <= set(rows)
