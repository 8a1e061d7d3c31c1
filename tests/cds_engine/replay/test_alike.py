"""Rows share their reasons only where every criterion says the same of them."""

from itertools import product
from typing import Any

import pytest
from builders.records import AS_OF, a_bundle, a_condition, a_reading, a_record, days_ago, ucum

from cds_engine.bundle.model import RuleBundle
from cds_engine.history.event import Event, Record
from cds_engine.replay.columnar import ColumnarEngine
from cds_engine.replay.engine import Asked, ScalarEngine
from cds_engine.replay.points import Patient, Point
from cds_engine.vocabulary.value import Span

CODES = {"a": "loinc|1-8", "b": "loinc|2-6", "c": "loinc|3-4", "d": "loinc|4-2"}


def ruled(*branches: dict[str, Any], derived: str = "a > 1 and b > 2") -> RuleBundle:
    variables: dict[str, Any] = {
        name: {"from": "observation", "codes": [code], "unit": "1", "within": "P1Y"}
        for name, code in CODES.items()
    }
    return a_bundle(
        population="true",
        variables=variables
        | {
            "sbp": {"from": "observation", "codes": ["loinc|8480-6"], "unit": "mm[Hg]"},
            "both": {"derive": derived},
        },
        safeguards=[],
        stages=[{
            "stage": "only", "when": "true", "choose": ["lifestyle", "monitor"],
            "rule": [*branches, {"otherwise": "monitor"}],
        }],
    )  # fmt: skip


def a_number(name: str, value: float | Span) -> Event:
    event = a_reading(sbp=150.0, at=days_ago(3))
    return type(event)(
        "observation", (CODES[name],), event.time, event.recorded, f"Observation/{name}",
        event.version, event.status, value, ucum("1"),
    )  # fmt: skip


RULES = {
    "two branches": ruled(
        {"when": "a > 5 and b > 0", "then": "lifestyle"}, {"when": "c > 0", "then": "lifestyle"}
    ),
    "a derived variable": ruled({"when": "both or c > 0", "then": "lifestyle"}),
    "a range": ruled({"when": "a > 5 or c > 0", "then": "lifestyle"}),
    "missing as a reason": ruled(
        {"when": "missing(a) and b > 0", "abstain": "a is needed"},
        {"when": "c > 0 and a > 5", "then": "lifestyle"},
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_reasons_are_those_of_each_row_by_itself(name: str) -> None:
    choices: list[float | Span | None] = [None, 0.0, 2.0, 9.0, Span(0.0, 9.0), Span(6.0, 9.0)]
    records: list[Record] = []
    for values in product(choices, [None, 3.0], [None, 1.0, Span(-1.0, 1.0)]):
        given = zip("abc", values, strict=True)
        events = [a_number(one, value) for one, value in given if value is not None]
        records.append(a_record(a_condition(), *events))
    patients = [Patient(record) for record in records]
    asked = [Asked(place, Point("", AS_OF)) for place in range(len(records))]
    told = ColumnarEngine().decide(RULES[name], patients, asked)
    expected = ScalarEngine().decide(RULES[name], patients, asked)
    assert told.reasons == expected.reasons
    assert len(set(told.reasons)) > 3
