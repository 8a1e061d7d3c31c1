"""The page about replays is true: its commands run, its tables are those of the program."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import click
import pyarrow as pa
import pytest
import typer.main
from builders.command_line import Said, run

import cds_adapters
import cds_engine
from cds_adapters.bulk import eventfiles
from cds_adapters.bulk.run import WORK
from cds_adapters.bulk.vocabulary import MANY as MANY_UNREAD
from cds_adapters.bulk.wanted import KIND_OF_TYPE
from cds_adapters.cli.app import app
from cds_adapters.cli.output import CANNOT_READ, FINDINGS, FINE, USAGE
from cds_adapters.storage.shelf import read_bundle_folder, shipped_rules
from cds_adapters.web.replays import SIDES
from cds_engine.assume.balance import LARGE
from cds_engine.assume.ledger import COMPLETE, WEAK
from cds_engine.assume.positivity import MANY, RARE
from cds_engine.history.value import MissingReason
from cds_engine.replay import outcome
from cds_engine.replay.engine import UNKNOWN
from cds_engine.replay.figures.cohort import Already
from cds_engine.replay.figures.flips import KINDS
from cds_engine.replay.figures.points import KNOWN_ACTION
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.figures.values import Refusal
from cds_engine.replay.settings import ReplaySettings
from cds_engine.replay.shard import replay_shard
from cds_engine.replay.table import Columns
from cds_engine.replay.taken import TakenState
from cds_engine.vocabulary.time import iso

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "replay.md").read_text("utf-8")
BUNDLE = read_bundle_folder(shipped_rules() / "hypertension-intensification" / "1.0.0")
COMMANDS = re.findall(r"^\$ cds-engine (.*)$", PAGE, re.MULTILINE)


def tables(first_cell: str) -> Iterator[list[list[str]]]:
    """The tables whose head begins with a cell, each with its rows."""
    for part in PAGE.split(f"\n| {first_cell} |")[1:]:
        lines = part.split("\n\n", 1)[0].splitlines()[2:]
        yield [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines]


def table(first_cell: str) -> list[list[str]]:
    """The only table whose head begins with a cell."""
    [found] = tables(first_cell)
    return found


def words(cell: str) -> list[str]:
    """What stands between backquotes."""
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Said]]:
    """The folder in which the commands of the page ran, and what they said."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, [run(*shlex.split(command)) for command in COMMANDS]


def figures_of(made: tuple[Path, list[Said]]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made[0] / "run" / "figures.json").read_text("utf-8"))
    return found


def test_the_commands_of_the_page_run_and_tell_a_value(made: tuple[Path, list[Said]]) -> None:
    assert len(made[1]) == 2
    assert [(said.code, said.err) for said in made[1]] == [(FINE, "")] * 2
    assert figures_of(made)["value"]["refused"] is None


def test_the_files_are_those_that_come_out(made: tuple[Path, list[Said]]) -> None:
    assert sorted(name for row in table("file") for name in words(row[0])) == sorted(
        path.name for path in (made[0] / "run").iterdir()
    )


def test_the_codes_are_those_of_the_command_line() -> None:
    assert [int(row[0]) for row in table("code")] == [FINE, FINDINGS, USAGE, CANNOT_READ]


def options_of(command: str) -> dict[str, click.Option]:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {one.opts[0]: one for one in commands[command].params if one.opts[0].startswith("-")}


def test_every_option_is_explained_and_no_other() -> None:
    rows = {words(row[0])[0]: row for row in table("option")}
    assert set(rows) == set(options_of("replay")) - {"--help"}
    shared = {name for name, row in rows.items() if row[3] == "cohort"}
    assert shared == set(options_of("cohort")) - {"--help"}


def test_the_options_of_the_figures_are_those_that_are_named() -> None:
    section = PAGE.split("\n## Other figures of the same run\n", 1)[1].split("\n## ", 1)[0]
    after = section.rpartition("```")[2]
    named = {word for word in words(after) if word.startswith("--")} - {"--seed"}
    assert named == set(options_of("figures")) - {"--help"}
    plain = options_of("replay")
    assert all(one.default == plain[name].default for name, one in options_of("figures").items())


def test_the_page_says_what_holds_without_an_option() -> None:
    plain = ReplaySettings().plain()
    inside = {"--offset": plain["offset"], "--window": plain["window"],
              "--tolerance": plain["tolerance"]}  # fmt: skip
    options = options_of("replay")
    checked = 0
    for row in table("option"):
        [name] = words(row[0])
        default = inside.get(name, options[name].default)
        if isinstance(default, str | float | int) and not isinstance(default, bool):
            said = words(row[1])[0] if words(row[1]) else row[1]
            assert said == (default if isinstance(default, str) else f"{default:g}"), name
            checked += 1
        else:
            assert (row[1] == "must be given") is options[name].required, name
    assert checked >= 11


STRUCTS = {"time": eventfiles.EVENTS.field("time").type,
         "unit": eventfiles.EVENTS.field("unit").type,
         "span": eventfiles.EVENTS.field("span").type}  # fmt: skip
TYPES = {**STRUCTS, "text": pa.string(), "texts": pa.list_(pa.string()), "instant": pa.int64(),
         "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}  # fmt: skip


@pytest.mark.parametrize("files", ["events", "persons"])
def test_the_columns_of_event_files_are_those_that_are_read(files: str) -> None:
    rows = table(f"column of {files}")
    schema = {"events": eventfiles.EVENTS, "persons": eventfiles.PERSONS}[files]
    assert [words(row[0])[0] for row in rows] == schema.names
    assert [TYPES[row[1]] for row in rows] == schema.types
    needed = {words(row[0])[0] for row in rows if row[2] == "must be there"}
    assert needed == (set(eventfiles.NEEDED) if files == "events" else {"patient"})
    instants = {words(row[0])[0] for row in rows if row[1] == "instant"}
    assert instants == ({"recorded"} if files == "events" else {"death_known"})


def test_the_parts_of_times_units_and_spans_are_those_that_are_read() -> None:
    found = {words(row[0])[0]: TYPES[row[1]] for row in table("part")}
    assert found == {
        f"{name}.{one.name}": one.type for name, whole in STRUCTS.items() for one in whole
    }


def test_the_kinds_of_events_stand_for_the_types_that_are_named() -> None:
    found = {one: words(row[0])[0] for row in table("kind of event") for one in words(row[1])}
    assert found == KIND_OF_TYPE


def test_instants_of_event_files_are_microseconds() -> None:
    assert "microseconds since 1970 UTC; a column of another type is refused" in PAGE
    row = {"patient": "p", "kind": "condition", "codes": [], "recorded": 1_000_000, "source": "C/1"}
    assert iso(eventfiles.event_of(row).recorded) == "1970-01-01T00:00:01Z"


def the_columns() -> Columns:
    return replay_shard([], [BUNDLE, BUNDLE], ReplaySettings()).columns


def test_the_columns_are_those_of_the_table() -> None:
    variables = set(BUNDLE.variables)
    names = {name for row in table("column") for name in words(row[0])}
    plain = {name for name in the_columns() if name.removesuffix(".state") not in variables}
    assert names == plain | {"x", "x.state"}


def test_the_columns_have_the_types_that_are_named() -> None:
    found = the_columns()
    for row in table("column"):
        for name in words(row[0]):
            said = row[1]
            if said == "as above":
                assert found[name].type == found[counterpart(name)].type
            elif name in found and said != "as the outcome":
                assert found[name].type == said, name


def counterpart(name: str) -> str:
    """The column of the first version that tells what one of the second does."""
    rest = name.removeprefix("against.")
    return rest if rest.startswith("taken.") else f"decision.{rest}"


@pytest.mark.parametrize(
    ("head", "states"),
    [
        pytest.param("variable", {"known", "range", UNKNOWN, *get_args(MissingReason)}, id="of x"),
        pytest.param("action taken", set(get_args(TakenState)), id="of the action"),
        pytest.param(
            "outcome",
            {outcome.KNOWN, outcome.RANGE, outcome.PENDING, "deceased", "no-horizon",
             "no-variable", *get_args(MissingReason)},
            id="of the outcome",
        ),
    ],
)  # fmt: skip
def test_every_state_is_explained_and_no_other(head: str, states: set[str]) -> None:
    assert {name for row in table(head) for name in words(row[0])} == states


def test_the_page_says_which_actions_count() -> None:
    counted = [words(row[0])[0] for row in table("action taken") if row[2] == "counts"]
    assert sorted(counted) == sorted(KNOWN_ACTION)


class _Headings(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "h2"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found.append(data.strip())
            self._inside = False


def test_the_sections_are_those_of_the_report(made: tuple[Path, list[Said]]) -> None:
    read = _Headings()
    read.feed((made[0] / "run" / "report.html").read_text("utf-8"))
    told = [row[0] for row in table("section")]
    told.remove("Where the versions differ")  # there is one version in this run
    inside = {"Read this first", "Assumptions ledger"}
    assert [name for name in read.found if name not in inside] == told


def test_each_section_stands_in_the_figures(made: tuple[Path, list[Said]]) -> None:
    keys = {name for row in table("section") for name in words(row[1])}
    assert keys <= set(figures_of(made))
    about = {"format", "digits", "bundle", "against", "empty"}
    assert set(figures_of(made)) - keys <= about


def at(figures: Any, path: str) -> Any:
    """What stands at a path of the figures; of a list, in its first one."""
    for name in path.split("."):
        figures = figures[name.removesuffix("[]")]
        figures = figures[0] if name.endswith("[]") else figures
    return figures


def test_what_scripts_ask_for_stands_in_the_figures(made: tuple[Path, list[Said]]) -> None:
    figures, rows = figures_of(made), {words(row[0])[0]: words(row[1]) for row in table("key")}
    assert rows.pop("flips.kinds") == list(KINDS)  # there is one version in this run
    assert rows.pop("value.refused_for") == list(get_args(Refusal))
    assert at(figures, "value.refused_for") is None
    assert rows.pop("second") == ["spoken"]
    assert figures["second"] is None
    assert rows.pop("value.cohort.already") == list(Already._fields)
    assert at(figures, "value.cohort.already") is None  # the outcome of this run is a measurement
    assert len(rows) == 5
    for path, named in rows.items():
        held = at(figures, path)
        inside = held[0] if isinstance(held, list) else held
        assert set(named) <= set(inside), path


def test_the_manifest_states_the_limits_that_it_is_said_to(made: tuple[Path, list[Said]]) -> None:
    held = json.loads((made[0] / "run" / "manifest.json").read_text("utf-8"))["figures"].values()
    told = [float(row[1]) for row in table("limit")]
    assert "all but the last six" in PAGE
    assert set(told[:-6]) <= {float(one) for one in held if isinstance(one, int | float)}


def test_the_sides_of_a_pair_are_asked_for_by_their_letters() -> None:
    assert [f"{side}=against" in PAGE for side in SIDES] == [True, True]


def test_the_limits_are_those_of_the_program() -> None:
    plain = FigureSettings()
    limits = [
        plain.least_effective_n, plain.least_observed, plain.most_deaths, plain.least_known,
        plain.smallest_cell, plain.level, plain.folds, RARE, MANY, LARGE, COMPLETE,
        WEAK, MANY_UNREAD,
    ]  # fmt: skip
    assert [float(row[1]) for row in table("limit")] == limits
    for row in table("limit"):
        assert not words(row[2]) or words(row[2])[0] in options_of("replay")


TEXTS_IN = (
    "replay/settings.py", "replay/figures/values.py", "replay/figures/cohort.py",
    "replay/figures/document.py", "vocabulary/time.py", "estimate/export/decisions.py",
    "estimate/ipw.py",
)  # fmt: skip


def spoken() -> list[str]:
    """Every text that the code of a replay can say, with ``…`` for what is put into it."""
    core = [Path(cds_engine.__file__).parent / name for name in TEXTS_IN]
    adapters = Path(cds_adapters.__file__).parent
    files = [
        *core,
        *(adapters / "bulk").glob("*.py"),
        adapters / "clock.py",
        adapters / "cli" / "replaying.py",
    ]
    trees = [ast.parse(path.read_text("utf-8")) for path in files]
    return [" ".join(text.split()) for tree in trees for text in texts(tree)]


def texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def can_be_said(message: str, spoken: list[str]) -> bool:
    """Say whether a message begins as one of the texts does, whatever is put into that.

    What stands before its first colon, such as a stage, may be put there by another text.
    """
    for said in (message.rstrip(" …"), message.strip(" …"), message.strip(" …:")):
        ending = said[-8:]
        for text in (text for text in spoken if ending in text):
            part = text[: text.index(ending) + len(ending)]
            pattern = ".*".join(map(re.escape, part.split("…")))
            if len(part.replace("…", "").strip()) >= 12 and re.fullmatch(pattern, said):
                return True
    return False


def test_every_message_that_is_explained_can_be_said() -> None:
    said = spoken()
    messages = [words(row[0])[0] for rows in tables("message") for row in rows]
    assert len(messages) > 25
    assert [message for message in messages if not can_be_said(message, said)] == []
    assert not can_be_said("the export holds nothing of interest, alas", said)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(("--window", "30"), "is not a duration; write it as P30D", id="window"),
        pytest.param(
            ("--first", "2024-01-01", "--last", "2025-01-01T00:00:00Z", "--every", "P3M"),
            "has no offset, so it could mean many instants", id="no offset",
        ),
        pytest.param(("--every", "P3M"), "give all three", id="half a schedule"),
    ],
)  # fmt: skip
def test_what_the_page_says_is_refused_is_refused(
    made: tuple[Path, list[Said]], options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    said = run("cohort", made[0] / "export", "--bundle", BUNDLE.regime, "--out", tmp_path / "x",
               *options)  # fmt: skip
    assert said.code == USAGE
    assert message in said.err
    assert message in PAGE


def test_the_folders_that_hold_patients_are_named() -> None:
    held = {name for row in table("what") for name in words(row[0])}
    assert held == {"decisions.parquet", "report.html", "figures.json", "rejects.ndjson",
                    "manifest.json", WORK}  # fmt: skip
    assert f"up to {FigureSettings().timelines} patients" in PAGE
    assert f"up to {FigureSettings().listed:_} flips".replace("_", " ") in PAGE
