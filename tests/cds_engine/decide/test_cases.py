"""The cases of a rule bundle are decided like patients and compared with what is expected."""

from typing import Any

import pytest
from builders.records import AS_OF, Json, a_small_bundle

from cds_engine.decide.cases import branches_without_case, given_history, run_cases
from cds_engine.history.value import Known, Missing

RULE = [
    {"when": "missing(x)", "abstain": "Measure x."},
    {"when": "x >= 140", "rule": [{"when": "p", "then": "a"}, {"otherwise": ["b", "c"]}]},
    {"otherwise": "stay"},
]


def run(*cases: Json, defaults: Json | None = None) -> list[tuple[str, ...]]:
    bundle = a_small_bundle(RULE, cases={"defaults": defaults or {}, "cases": list(cases)})
    return [result.differences for result in run_cases(bundle, AS_OF)]


def case(given: Json, **expect: Any) -> Json:
    return {"case": "one", "given": given, "expect": expect}


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        ({"x": 150, "p": True}, {"outcome": "recommendation", "stage": "only", "action": "a"}),
        ({"x": 150, "p": False}, {"outcome": "equipoise", "candidates": ["c", "b"]}),
        ({"x": 120}, {"outcome": "no_change", "action": "stay"}),
        ({}, {"outcome": "abstention", "reason": "rule-abstains"}),
        ({"x": None}, {"outcome": "abstention", "reason": "rule-abstains", "missing": ["x"]}),
        (
            {"x": 150},
            {"outcome": "abstention", "reason": "missing", "missing": ["p"],
             "candidates": ["a", "b", "c"]},
        ),
        ({"x": 139.995, "p": True}, {"outcome": "recommendation"}),
        ({"x": 139.994, "p": True}, {"outcome": "no_change"}),
    ],
)  # fmt: skip
def test_a_case_that_comes_out_as_expected_has_no_difference(given: Json, expect: Json) -> None:
    assert run(case(given, **expect)) == [()]


@pytest.mark.parametrize(
    ("expect", "difference"),
    [
        ({"outcome": "no_change"}, "outcome: expected no_change, found recommendation"),
        ({"outcome": "recommendation", "action": "b"}, "action: expected b, found a"),
        (
            {"outcome": "recommendation", "candidates": ["b"]},
            "candidates: expected ['b'], found ['a']",
        ),
        (
            {"outcome": "recommendation", "reason": "stale"},
            "reason: expected stale, found none",
        ),
        (
            {"outcome": "recommendation", "missing": ["x"]},
            "missing: expected ['x'], found []",
        ),
    ],
)
def test_a_case_that_does_not_says_what_differs(expect: Json, difference: str) -> None:
    assert run(case({"x": 150, "p": True}, **expect)) == [(difference,)]


def test_a_case_may_be_of_somebody_who_died() -> None:
    dead = case({"x": 150}, outcome="not_applicable", reason="deceased") | {"deceased": True}
    assert run(dead) == [()]


def test_defaults_are_what_every_case_starts_from() -> None:
    cases = [
        case({}, outcome="recommendation"),
        case({"x": 120}, outcome="no_change"),
        case({"p": None}, outcome="abstention", missing=["p"]),
    ]
    assert run(*cases, defaults={"x": 150, "p": True}) == [(), (), ()]


def test_a_given_value_is_rounded_like_one_from_a_record() -> None:
    bundle = a_small_bundle(RULE)
    history = given_history(bundle, {"x": 0.126, "p": True}, AS_OF)
    assert history.findings["x"] == Known(0.13)
    assert history.findings["p"] == Known(value=True)
    assert history.findings["y"] == Missing("absent", "it was not given")
    assert str(given_history(bundle, {"x": -0.001}, AS_OF).state()["x"]) == "0.0"


def test_a_branch_that_no_case_reaches_is_named() -> None:
    bundle = a_small_bundle(
        RULE,
        cases={"cases": [case({"x": 120}, outcome="no_change"), case({}, outcome="abstention")]},
    )
    assert branches_without_case(bundle, run_cases(bundle, AS_OF)) == (
        "stages[0].rule[1].rule[0]", "stages[0].rule[1].rule[1]",
    )  # fmt: skip


def test_a_bundle_without_cases_has_no_results() -> None:
    assert run_cases(a_small_bundle(RULE), AS_OF) == ()
