"""Every command on a page is one, with options that it has; every link leads somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from cds_adapters.cli.app import app
from cds_adapters.site import Site

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^(?: {4}|\$ )?(?:\.venv/bin/)?(cds-engine (?:.*\\\n)*.*)$", re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """The commands in the blocks of a page, without the words after a # or in a column beside."""
    text = page.read_text("utf-8")
    fenced = "\n".join(re.findall(r"^```[a-z]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    indented = "\n".join(re.findall(r"^ {4}[^\n]*(?:\\\n[^\n]*)*", text, re.MULTILINE))
    found = COMMAND.findall(f"{fenced}\n{indented}")
    plain = [re.split(r" {2,}#| # | {3,}(?=[a-z])", one.replace("\\\n", " "))[0] for one in found]
    return [shlex.split(one)[1:] for one in plain]


def parsed(words: list[str]) -> tuple[set[str], set[str]]:
    """Return the options of a command line and those that its command has."""
    group = typer.main.get_command(app)
    at = 0
    while hasattr(group, "commands"):
        group = group.commands[words[at]]
        at += 1
    known = {name for one in group.params for name in one.opts}
    return {one.partition("=")[0] for one in words[at:] if one.startswith("-")}, known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_has_the_options_that_are_given(page: Path) -> None:
    for words in commands(page):
        given, known = parsed(words)
        assert given <= known, (words, given - known)


def test_the_commands_are_found() -> None:
    counts = {page.name: len(commands(page)) for page in PAGES}
    assert counts["README.md"] >= 20
    assert counts["replay.md"] == 5
    assert counts["learn.md"] >= 10


def test_what_can_be_copied_from_the_readme_is_whole() -> None:
    text = PAGES[0].read_text("utf-8")
    blocks = re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert "make setup" in blocks[0]
    assert [line for block in blocks for line in block.splitlines()
            if line.startswith(".venv") and "…" in line] == []  # fmt: skip


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        to = (page.parent / path) if path else page
        assert to.exists(), target
        if anchor:
            assert anchor in anchors(to), target


def test_every_setting_is_in_the_table_and_no_other() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    rows = text.split("| setting |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(Site.model_fields)
