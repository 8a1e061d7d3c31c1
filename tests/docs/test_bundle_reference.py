"""The page about rule bundles is true: its blocks are read, its tables are checked."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
from ruamel.yaml import YAML

from cds_engine.bundle import document
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import FILES, read_bundle
from cds_engine.criteria.parse import parse_criterion
from cds_engine.criteria.syntax import All, Flag, Not
from cds_engine.criteria.syntax import Any as AnyOf
from cds_engine.decide.cases import branches_without_case, run_cases
from cds_engine.decide.decision import ReasonCode
from cds_engine.errors import RuleBundleError
from cds_engine.history.value import MissingReason
from cds_engine.vocabulary.action import Action, Order
from cds_engine.vocabulary.code import SYSTEMS
from cds_engine.vocabulary.time import instant
from cds_engine.vocabulary.variable import SOURCES, Variable

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bundle.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(# [^\n]*)\n(.*?)```", PAGE, re.DOTALL)
NOW = instant(datetime(2026, 6, 1, tzinfo=UTC))


def blocks(kind: str) -> list[tuple[str, str]]:
    return [(head, text) for head, text in BLOCKS if head.startswith(f"# {kind}")]


def plain(text: str) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return content


def written(content: Mapping[str, Any]) -> bytes:
    out = StringIO()
    YAML(typ="safe", pure=True).dump(dict(content), out)
    return out.getvalue().encode()


def laid_over(text: str) -> dict[str, bytes]:
    """The whole bundle of the page, with the parts of a block in the place of its own."""
    [(_, whole)] = blocks("bundle.yaml")
    content, part = plain(whole), plain(text)
    for name, value in part.items():
        more = {**content[name], **value} if name in ("variables", "actions") else value
        content[name] = more
    return {"bundle.yaml": written(content)}


def whole_bundle() -> RuleBundle:
    [(_, whole)] = blocks("bundle.yaml")
    [(_, cases)] = blocks("cases.yaml")
    return read_bundle({"bundle.yaml": whole.encode(), "cases.yaml": cases.encode()})


def test_every_block_says_what_it_is() -> None:
    kinds = ("bundle.yaml", "part of bundle.yaml", "cases.yaml", "refused: ")
    assert PAGE.count("```yaml") == len(BLOCKS) == sum(len(blocks(kind)) for kind in kinds)


def test_the_whole_bundle_is_read_and_its_cases_come_out() -> None:
    bundle = whole_bundle()
    results = run_cases(bundle, NOW)
    assert [(r.case.case, r.differences) for r in results if r.differences] == []
    assert branches_without_case(bundle, results) == ()


@pytest.mark.parametrize("text", [text for _, text in blocks("part of bundle.yaml")])
def test_a_part_is_read_in_its_place(text: str) -> None:
    assert read_bundle(laid_over(text)).regime == "lower-pressure"


@pytest.mark.parametrize(("head", "text"), blocks("refused"))
def test_what_is_refused_is_refused_in_these_words(head: str, text: str) -> None:
    with pytest.raises(RuleBundleError) as caught:
        read_bundle(laid_over(text))
    assert head.removeprefix("# refused: ") in str(caught.value)
    assert len(caught.value.faults) == 1


def table(first_cell: str) -> list[list[str]]:
    """The rows of the table whose head begins with a cell."""
    lines = PAGE.split(f"| {first_cell} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize("text", [row[0].strip("`") for row in table("write")])
def test_each_criterion_of_the_page_is_one(text: str) -> None:
    parse_criterion(text, whole_bundle().kinds, allow_missing=True)


def test_the_table_of_three_values_is_the_evaluators() -> None:
    verdicts = {"true": True, "false": False, "unknown": None}
    a, b = Flag("a"), Flag("b")
    rows = [[verdicts[cell] for cell in row] for row in table("a")]
    assert len({(row[0], row[1]) for row in rows}) == 9
    for first, second, both, either, opposite in rows:
        state = {"a": first, "b": second}
        assert All((a, b)).evaluate(state, []) is both
        assert AnyOf((a, b)).evaluate(state, []) is either
        assert Not(a).evaluate(state, []) is opposite


def test_every_field_is_explained() -> None:
    models = (
        document.BundleDocument, document.Aim, document.About, document.Safeguard, document.Stage,
        document.Branch, document.Scores, document.Score, document.Support,
        document.Estimates, document.Group, document.Benefit, document.Contrasts,
        document.CasesDocument, document.Case, document.Expectation, Variable, Action, Order,
    )  # fmt: skip
    fields = {f.alias or name for model in models for name, f in model.model_fields.items()}
    assert sorted(field for field in fields if f"`{field}`" not in PAGE) == []


def test_every_source_lists_its_aggregates_with_the_default_first() -> None:
    rows = {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in table("source")}
    assert rows == {name: list(source.takes) for name, source in SOURCES.items() if source.takes}


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(get_args(ReasonCode), id="reason codes"),
        pytest.param(get_args(MissingReason), id="reasons for missing values"),
        pytest.param(get_args(document.Outcome), id="outcomes"),
        pytest.param(tuple(SYSTEMS), id="code systems"),
        pytest.param(tuple(SOURCES), id="sources"),
        pytest.param(tuple(FILES), id="files"),
    ],
)
def test_every_word_is_there(names: tuple[str, ...]) -> None:
    assert [name for name in names if f"`{name}`" not in PAGE] == []
