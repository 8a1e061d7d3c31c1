"""The JSON Schema that editors use accepts what the engine accepts."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
from builders.records import Json, a_document
from ruamel.yaml import YAML

from cds_engine.bundle.read import bundle_schema
from cds_engine.bundle.yaml import as_json, read_yaml

RULES = Path(__file__).parents[3] / "rules"
SHIPPED = sorted(RULES.glob("*/*/bundle.yaml"))
VALIDATOR = jsonschema_rs.Draft202012Validator(json.loads(bundle_schema()))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.parent.name)
def test_a_shipped_bundle_fits_the_schema(path: Path) -> None:
    VALIDATOR.validate(json.loads(as_json(read_yaml(path.name, path.read_bytes()))))


def test_there_are_shipped_bundles() -> None:
    assert SHIPPED


SCORES: Json = {"scores": {"add_ace": {"constant": 1, "terms": {"sbp": 0.1}}, "monitor": {}}}


def changed(**stage: object) -> Json:
    document = a_document()
    document["stages"][1] |= stage
    return document


@pytest.mark.parametrize(
    "document",
    [
        a_document(),
        a_document(effective_from="2026-01-01", about={"cautions": ["Not for emergencies."]}),
        a_document(evidence={"estimand": {"anything": [1, 2]}}),
        a_document(aim=a_document()["aim"] | {"from": "start"}),
        changed(
            rule=SCORES | {"margin": 0.5, "support": [{"actions": ["add_ace"], "when": "true"}]}
        ),
        changed(rule=[{"when": "pregnant", "abstain": "x"}, {"otherwise": ["add_ace", "monitor"]}]),
    ],
)
def test_what_the_engine_accepts_fits_the_schema(document: Json) -> None:
    VALIDATOR.validate(document)


@pytest.mark.parametrize(
    "document",
    [
        a_document(version=1.0),
        a_document(regime="Bad Name"),
        a_document(titel="x"),
        a_document(aim=a_document()["aim"] | {"from": "birth"}),
        changed(rule="always"),
        changed(rule=[{"when": True, "then": "add_ace"}]),
        changed(choose=[]),
        {name: value for name, value in a_document().items() if name != "population"},
    ],
)
def test_what_is_not_written_as_it_must_be_does_not(document: Json) -> None:
    assert not VALIDATOR.is_valid(document)


def test_the_schema_names_its_draft_and_describes_its_fields() -> None:
    schema = json.loads(bundle_schema())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "cds-engine rule bundle"
    stage = schema["$defs"]["Stage"]["properties"]
    assert stage["when"]["description"] == "Who is at this stage; stages must exclude each other."
    assert "from" in schema["$defs"]["Variable"]["properties"]
    assert bundle_schema() == bundle_schema()


def test_an_ordinary_yaml_reader_sees_the_same_in_the_shipped_bundles() -> None:
    for path in SHIPPED:
        ours = read_yaml(path.name, path.read_bytes())
        assert ours == YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
