"""A document that is not written as it must be is refused, every fault with its place and cure."""

from typing import Any

import pytest
from builders.records import Json, a_bundle, a_document, files_of
from builders.shipped import RULES

from cds_engine.bundle.read import read_bundle
from cds_engine.errors import RuleBundleError

NAMES = (
    "is not written as it must be; names are lower-case letters, digits and _ starting with a "
    "letter, a regime uses - for _, a version is three numbers such as 1.0.0"
)
VERSION = (
    "is no version; it is three numbers such as 1.0.0, and - with letters for a draft: 1.0.0-draft"
)


def refused(document: Json, cases: Json | None = None) -> list[str]:
    with pytest.raises(RuleBundleError) as caught:
        read_bundle(files_of(document, cases))
    return [str(fault) for fault in caught.value.faults]


def changed(*path: str | int, to: Any) -> Json:
    document = a_document()
    here: Any = document
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = to
    return document


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (["titel"], "x", "titel: there is no field `titel` here; did you mean `title`?"),
        (["zzz"], "x", "zzz: there is no field `zzz` here; remove it"),
        (["version"], 1.1, "version: must be a text; put it in quotes"),
        (["version"], "1.0", 'version: "1.0" is no version; write it as 1.0.0'),
        (["version"], "1.0.0-", f'version: "1.0.0-" {VERSION}'),
        (["version"], "01.0.0", 'version: "01.0.0" is no version; write it as 1.0.0'),
        (["version"], "1.0.\u0663", f'version: "1.0.\\u0663" {VERSION}'),
        (["regime"], "../up", f'regime: "../up" {NAMES}'),
        (["regime"], "Stepped", f'regime: "Stepped" {NAMES}'),
        (["regime"], "a\n", f'regime: "a\\n" {NAMES}'),
        (["title"], "", "title: must not be empty"),
        (["title"], "x" * 4001, "title: is too long; at most 4000 characters are read"),
        (["population"], True, "population: must be a text; put it in quotes"),
        (["variables"], [], "variables: must be a mapping of fields"),
        (["variables"], {}, "variables: holds too little; at least 1 must stand here"),
        (["variables", "Bad Name"], {"from": "course"}, f'variables.Bad Name: "Bad Name" {NAMES}'),
        (["variables", "sbp", "take"], "average",
         ("variables.sbp.take: \"average\" stands where only 'latest', 'earliest', 'mean', 'min', "
         "'max', 'count', 'change', 'slope', 'elapsed', 'adherence', 'present', 'active', 'ever' "
         "or 'latest_action' can")),
        (["variables", "sbp", "digits"], 10, "variables.sbp.digits: must be 9 or less"),
        (["variables", "sbp", "digits"], 1.5,
         "variables.sbp.digits: must be a whole number, without quotes"),
        (["variables", "sbp", "digits"], True,
         "variables.sbp.digits: must be a whole number, without quotes"),
        (["variables", "sbp", "agree"], -1, "variables.sbp.agree: must be 0 or more"),
        (["variables", "sbp", "agree"], "1",
         "variables.sbp.agree: must be a number, without quotes"),
        (["variables", "sbp", "plausible"], [1, 2, 3],
         "variables.sbp.plausible: holds too much; at most 2 may stand here"),
        (["variables", "sbp", "codes"], "loinc|8480-6",
         "variables.sbp.codes: must be a list; write it as [a, b]"),
        (["variables", "sbp", "units"], {"kPa": "7"},
         ("variables.sbp.units.kPa: must be a number, without quotes; or must be a mapping of "
         "fields")),
        (["variables", "sbp", "units"], {"kPa": {"facto": 7}},
         "variables.sbp.units.kPa.facto: there is no field `facto` here; did you mean `factor`?"),
        (["variables", "hypertension", "absent"], True,
         "variables.hypertension.absent: true stands where only false or 'unknown' can"),
        (["actions", "monitor", "change"], "no",
         "actions.monitor.change: must be true or false, without quotes"),
        (["actions", "monitor", "kind"], "x" * 80,
         (f"actions.monitor.kind: \"{'x' * 56}... stands where only 'drug', 'dose', 'procedure', "
         "'lifestyle', 'monitor' or 'referral' can")),
        (["safeguards", 0, "never"], [],
         "safeguards[0].never: holds too little; at least 1 must stand here"),
        (["stages"], {}, "stages: must be a list; write it as [a, b]"),
        (["stages", 0, "rule"], "lifestyle",
         "stages[0].rule: must be a list; write it as [a, b]; or must be a mapping of fields"),
        (["stages", 0, "rule", 0, "wen"], "x",
         "stages[0].rule[0].wen: there is no field `wen` here; did you mean `when`?"),
        (["stages", 0, "rule", 0, "then"], 3,
         ("stages[0].rule[0].then: must be a text; put it in quotes; or must be a list; write it "
         "as [a, b]")),
        (["stages", 0, "rule", 0, "then"], ["lifestyle", 3],
         "stages[0].rule[0].then[1]: must be a text; put it in quotes"),
        (["stages", 0, "rule", 1], {"when": "true", "rule": [{"thn": "x"}]},
         "stages[0].rule[1].rule[0].thn: there is no field `thn` here; did you mean `then`?"),
        (["stages", 0, "rule"], {"scores": {"monitor": {}}},
         "stages[0].rule.scores: holds too little; at least 2 must stand here"),
        (["stages", 0, "rule"],
         {"scores": {"monitor": {}, "lifestyle": {"terms": {"sbp": "1"}}}},
         "stages[0].rule.scores.lifestyle.terms.sbp: must be a number, without quotes"),
        (["aim", "better"], "up", "aim.better: \"up\" stands where only 'lower' or 'higher' can"),
        (["about"], {"cautions": "none"},
         "about.cautions: must be a list; write it as [a, b]"),
    ],
)  # fmt: skip
def test_one_fault_is_named_with_its_place(path: list[str | int], value: Any, fault: str) -> None:
    assert refused(changed(*path, to=value)) == [fault]


@pytest.mark.parametrize("field", ["regime", "version", "title", "aim", "population", "variables",
                                   "actions", "stages"])  # fmt: skip
def test_what_must_be_there_is_missed(field: str) -> None:
    document = a_document()
    del document[field]
    assert f"{field}: this field is required" in refused(document)


def test_all_faults_are_gathered_in_one_error() -> None:
    document = a_document(version=1.0, titel="x")
    document["variables"]["sbp"]["take"] = "average"
    document["stages"][0]["rule"][0]["wen"] = "x"
    cases = {"cases": [{"case": "x", "expect": {"outcome": "nothing"}}], "defalts": {}}
    faults = refused(document, cases)
    assert [fault.partition(": ")[0] for fault in faults] == [
        "version", "variables.sbp.take", "stages[0].rule[0].wen", "titel", "cases.yaml",
        "cases.yaml",
    ]  # fmt: skip
    assert faults[-2:] == [
        (
            "cases.yaml: cases[0].expect.outcome: \"nothing\" stands where only 'recommendation', "
            "'equipoise', 'no_change', 'not_applicable' or 'abstention' can"
        ),
        "cases.yaml: defalts: there is no field `defalts` here; did you mean `defaults`?",
    ]


def test_the_error_says_how_many_and_lists_them() -> None:
    with pytest.raises(RuleBundleError) as caught:
        read_bundle(files_of(a_document(version=1.0, titel="x")))
    assert str(caught.value) == (
        "rule bundle (bundle.yaml) cannot be used; 2 faults:\n"
        "  - version: must be a text; put it in quotes\n"
        "  - titel: there is no field `titel` here; did you mean `title`?"
    )


def test_the_faults_of_the_cases_are_named_even_alone() -> None:
    cases = {"cases": [{"case": "x", "given": {"sbp": [1]}, "expect": {"outcome": "no_change"}}]}
    assert refused(a_document(), cases) == [
        (
            "cases.yaml: cases[0].given.sbp: must be true or false, without quotes; or must be a "
            "number, without quotes; or must be a text; put it in quotes"
        )
    ]


def test_a_number_that_is_not_finite_is_no_margin() -> None:
    document = a_document(description="x")
    files = files_of(document)
    files["bundle.yaml"] = files["bundle.yaml"].replace(b'"x"', b".inf")
    with pytest.raises(RuleBundleError) as caught:
        read_bundle(files)
    assert [str(fault) for fault in caught.value.faults] == ["description: is not a finite number"]


def test_dates_are_read_as_they_are_written() -> None:
    files = files_of(a_document())
    files["bundle.yaml"] = files["bundle.yaml"][:-1] + b", effective_from: 2026-01-31}"
    assert read_bundle(files).document.effective_from == "2026-01-31"
    assert a_bundle().document.effective_from is None


def test_cases_that_are_read_later_are_the_same_cases() -> None:
    files = {f.name: f.read_bytes() for f in (RULES / "activity-coaching-gym/1.0.0").iterdir()}
    now, later = read_bundle(files), read_bundle(files, cases_later=True)
    assert later.digest == now.digest
    assert later.cases == now.cases
    assert later.cases is later.cases


def test_a_fault_of_cases_that_are_read_later_is_found_when_they_are_asked_for() -> None:
    files = {f.name: f.read_bytes() for f in (RULES / "activity-coaching-gym/1.0.0").iterdir()}
    files["cases.yaml"] = b"cases: [{case: one, given: {agee: 1}, expect: {outcome: abstention}}]"
    with pytest.raises(RuleBundleError, match="no variable `agee`"):
        read_bundle(files)
    bundle = read_bundle(files, cases_later=True)
    with pytest.raises(RuleBundleError, match="no variable `agee`"):
        _ = bundle.cases
