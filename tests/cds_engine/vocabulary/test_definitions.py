"""Every fault of a variable's or an action's definition is named with its place and its cure."""

import json
from typing import Any

import pytest
from builders.records import an_action

from cds_engine.vocabulary.action import Action, action_faults
from cds_engine.vocabulary.variable import Variable, variable_faults

ACTIONS = frozenset({"add_ace", "lifestyle"})


def faults(name: str = "x", **fields: Any) -> list[str]:
    variable = Variable.model_validate_json(json.dumps(fields))
    return [str(fault) for fault in variable_faults(name, variable, ACTIONS)]


OBSERVATION = {"from": "observation", "codes": ["loinc|1"], "unit": "kg"}


@pytest.mark.parametrize(
    "fields",
    [
        {"derive": "a >= 1"},
        {"derive": "a + b", "unit": "kg", "digits": 1},
        {"from": "patient.age", "unit": "a", "plausible": [0, 120]},
        {"from": "patient.sex"},
        OBSERVATION,
        OBSERVATION | {"unit": "1"},
        OBSERVATION | {"take": "slope", "within": "P6M", "per": "mo"},
        OBSERVATION | {"take": "mean", "within": "P3M", "before": "add_ace", "agree": 0},
        OBSERVATION | {"units": {"g": 0.001, "[lb_av]": {"factor": 0.4536, "offset": 0}}},
        {"from": "observation", "codes": ["loinc|1"], "answers": {"loinc|2": "yes"}},
        {"from": "observation", "codes": ["loinc|1"], "take": "count", "within": "P1Y"},
        {"from": "observation", "codes": ["loinc|1"], "take": "elapsed", "unit": "d"},
        {"from": "condition", "codes": ["snomed|1"], "absent": False, "take": "ever"},
        {"from": "allergy", "codes": ["snomed|1"], "absent": "unknown"},
        {"from": "medication", "codes": ["rxnorm|1"], "take": "adherence", "within": "P6M"},
        {"from": "procedure", "codes": ["snomed|1"], "take": "ever", "within": "P1Y"},
        {"from": "encounter", "take": "count", "within": "P1Y"},
        {"from": "course", "take": "count"},
        {"from": "course", "take": "elapsed", "unit": "wk"},
    ],
)
def test_a_definition_that_says_all_it_must_has_no_fault(fields: dict[str, Any]) -> None:
    assert faults(**fields) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["variables.x: needs exactly one of `from` (a record) and `derive` (an expression)"]),
        (
            {"from": "course", "derive": "a > 1"},
            ["variables.x: needs exactly one of `from` (a record) and `derive` (an expression)"],
        ),
        (
            {"derive": "a > 1", "codes": ["loinc|1"], "within": "P1D"},
            [
                "variables.x.codes: has no meaning on a derived variable; remove it",
                "variables.x.within: has no meaning on a derived variable; remove it",
            ],
        ),
        (
            {"from": "patient.sex", "unit": "a"},
            ["variables.x.unit: has no meaning for `from: patient.sex`, which takes nothing more"],
        ),
        (
            {"from": "course", "codes": ["loinc|1"]},
            ["variables.x.codes: has no meaning for `from: course`, which takes take, unit"],
        ),
        ({"from": "condition"}, ["variables.x: `from: condition` needs `codes`"]),
        (
            {"from": "patient.age"},
            [
                "variables.x: `from: patient.age` needs `unit`",
                "variables.x.unit: an age is in a (years), mo, wk or d",
            ],
        ),
        (
            {"from": "patient.age", "unit": "h"},
            ["variables.x.unit: an age is in a (years), mo, wk or d"],
        ),
        (
            {"from": "allergy", "codes": ["snomed|1"], "take": "ever"},
            ["variables.x.take: 'ever' cannot be taken from allergy; use present"],
        ),
        (
            OBSERVATION | {"codes": ["1"], "panels": ["2"]},
            [
                ("variables.x.codes: '1' is no code; write it as system|code, for example "
                "loinc|8480-6"),
                ("variables.x.panels: '2' is no code; write it as system|code, for example "
                "loinc|8480-6"),
            ],
        ),
        (
            {"from": "observation", "codes": ["loinc|1"], "answers": {"yes": "yes"}},
            [
                ("variables.x.answers: 'yes' is no code; write it as system|code, for example "
                "loinc|8480-6")
            ],
        ),
        (
            OBSERVATION | {"within": "30 days"},
            [
                ("variables.x.within: '30 days' is not a duration; write it as P30D (days), P2W "
                "(weeks), P3M (calendar months), P1Y (calendar years) or PT12H (hours)")
            ],
        ),
        (OBSERVATION | {"before": "surgery"}, ["variables.x.before: no action `surgery`"]),
        (
            OBSERVATION | {"take": "mean"},
            ["variables.x: `take: mean` needs `within`, else values from decades ago count"],
        ),
        (
            {"from": "medication", "codes": ["rxnorm|1"], "take": "adherence"},
            ["variables.x: `take: adherence` needs `within`, else values from decades ago count"],
        ),
        (
            {"from": "course", "take": "elapsed"},
            ["variables.x.unit: an elapsed time needs one of the units h, d, wk, mo and a (years)"],
        ),
        (
            {"from": "observation", "codes": ["loinc|1"]},
            [
                ("variables.x: needs `unit` (numbers), or `answers` (coded answers); `unit: \"1\"` "
                "is a bare number")
            ],
        ),
        (
            OBSERVATION | {"plausible": [9, 9]},
            ["variables.x.plausible: the lower bound must be below the upper one"],
        ),
        (
            OBSERVATION | {"units": {"kg": 2.0}},
            ["variables.x.units: 'kg' is the variable's own unit; list only others"],
        ),
        (
            OBSERVATION | {"units": {"g": 0, "[lb_av]": {"factor": -1}}},
            [
                "variables.x.units.g: the factor must be above zero",
                "variables.x.units.[lb_av]: the factor must be above zero",
            ],
        ),
        (
            OBSERVATION | {"per": "d"},
            ["variables.x.per: has a meaning only for `take: slope`; remove it"],
        ),
        (
            {
                "from": "observation", "codes": ["loinc|1"], "answers": {"loinc|2": "yes"},
                "take": "mean", "within": "P1Y",
            },
            [
                ("variables.x.take: 'mean' needs numbers, but `answers` gives labels; use earliest "
                "or latest, or remove `answers`")
            ],
        ),
        (
            {"from": "condition", "codes": ["snomed|1"], "take": "elapsed", "unit": "a",
             "absent": False},
            ["variables.x.absent: has a meaning only for yes or no, not for 'elapsed'"],
        ),
        (
            OBSERVATION | {"absent": False},
            [
                ("variables.x.absent: has no meaning for `from: observation`, which takes agree, "
                "answers, before, codes, digits, panels, per, plausible, status, take, unit, "
                "units, within")
            ],
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_place_and_cure(
    fields: dict[str, Any], expected: list[str]
) -> None:
    assert faults(**fields) == expected


@pytest.mark.parametrize("name", ["in", "or", "class", "none", "true", "missing"])
def test_a_word_of_the_language_is_no_name(name: str) -> None:
    assert faults(name, **OBSERVATION) == [
        f"variables.{name}: `{name}` is a word of the criterion language; choose another name"
    ]


ORDER = {"resource": "MedicationRequest", "code": "rxnorm|1"}


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("a", {}, []),
        ("a", {"order": ORDER | {"dosage": "daily"}, "seen_as": ["rxnorm|1"]}, []),
        (
            "none",
            {},
            ["actions.none: `none` is the empty course and cannot be an action's name"],
        ),
        (
            "a",
            {"seen_as": ["1"], "order": {"resource": "ServiceRequest", "code": "2"}},
            [
                (
                    "actions.a.seen_as: '1' is no code; write it as system|code, for example "
                    "loinc|8480-6"
                ),
                (
                    "actions.a.order.code: '2' is no code; write it as system|code, for example "
                    "loinc|8480-6"
                ),
            ],
        ),
        (
            "a",
            {"order": {"resource": "ServiceRequest", "code": "snomed|1", "dosage": "daily"}},
            ["actions.a.order.dosage: only a MedicationRequest has a dosage"],
        ),
        (
            "a",
            {"order": ORDER, "change": False},
            ["actions.a.order: an action that changes nothing orders nothing; remove it"],
        ),
    ],
)
def test_an_action_is_checked_alike(name: str, fields: dict[str, Any], expected: list[str]) -> None:
    assert [str(fault) for fault in action_faults(name, an_action(**fields))] == expected


def test_codes_are_compared_in_one_form_however_a_bundle_writes_them() -> None:
    variable = Variable.model_validate(
        {"from": "observation", "codes": ("http://loinc.org|1", "urn:oid:2.16.840.1.113883.6.96|2"),
         "answers": {"http://snomed.info/sct|3": "yes"}}
    )  # fmt: skip
    assert variable.codes == ("loinc|1", "snomed|2")
    assert variable.answers == {"snomed|3": "yes"}
    action = Action.model_validate({"label": "x", "seen_as": ("http://snomed.info/sct|4",)})
    assert action.seen_as == ("snomed|4",)
