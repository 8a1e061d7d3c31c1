"""Whatever contradicts itself in a rule bundle is found when it is read, all of it at once."""

from typing import Any

import pytest
from builders.records import Json, a_document, a_small_bundle, files_of

from cds_engine.bundle.read import read_bundle
from cds_engine.errors import RuleBundleError


def faults(cases: Json | None = None, **overrides: Any) -> list[str]:
    with pytest.raises(RuleBundleError) as caught:
        read_bundle(files_of(a_document(**overrides), cases))
    return [str(fault) for fault in caught.value.faults]


def rule_faults(rule: Any, **given: Any) -> list[str]:
    with pytest.raises(RuleBundleError) as caught:
        a_small_bundle(rule, **given)
    return [str(fault) for fault in caught.value.faults]


def with_variable(name: str, **fields: Any) -> Json:
    declared: Json = a_document()["variables"]
    return declared | {name: fields}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("population", "agee >= 18", "population: no variable `agee`; did you mean `age`?"),
        ("population", "sbp >= 140 and", ("population: 'sbp >= 140 and' is not a criterion "
         "(invalid syntax); write for example `sbp >= 140 and not pregnant`")),
        ("effective_from", "31.1.2026",
         "effective_from: '31.1.2026' is no date; write it as 2026-01-31"),
        ("review_by", "20260131", "review_by: '20260131' is no date; write it as 2026-01-31"),
        ("expires", "2026-02-30", "expires: '2026-02-30' is no date; write it as 2026-01-31"),
        ("expires", "2026-01-31T10:00:00", ("expires: '2026-01-31T10:00:00' is no date; write it "
         "as 2026-01-31")),
        ("aim", {"outcome": "sbp", "at": "9 months", "better": "lower"},
         ("aim.at: '9 months' is not a duration; write it as P30D (days), P2W (weeks), P3M "
         "(calendar months), P1Y (calendar years) or PT12H (hours)")),
        ("safeguards", [{"never": ["surgery"], "when": "true", "because": "x"}],
         "safeguards[0].never: no action `surgery`; there is lifestyle, add_ace, monitor"),
        ("safeguards", [{"never": ["add_acee"], "when": "pregnent", "because": "x"}],
         "safeguards[0].never: no action `add_acee`; did you mean `add_ace`?"),
    ],
)  # fmt: skip
def test_a_fault_in_a_field(field: str, value: Any, expected: str) -> None:
    assert expected in faults(**{field: value})


def test_a_version_that_is_never_in_force_is_refused() -> None:
    found = faults(effective_from="2026-06-01", expires="2026-05-31")
    assert found == ["expires: is before effective_from (2026-06-01), so it is never in force"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"derive": "sbp >="}, ("variables.y.derive: 'sbp >=' is not a criterion (invalid syntax); "
         "write for example `sbp >= 140 and not pregnant`")),
        ({"derive": "sbp - dbp"}, "variables.y.derive: no variable `dbp`; did you mean `sbp`?"),
        ({"derive": "sbp - potassium"}, ("variables.y.derive: `sbp` is in mm[Hg] and `potassium` "
         "in mmol/L; only numbers in one unit can be added")),
        ({"derive": "140"}, "variables.y.derive: names no variable; a constant is no variable"),
        ({"derive": "sbp >= 140", "unit": "a"}, ("variables.y.derive: is yes or no, so `unit` and "
         "`digits` have no meaning here")),
        ({"derive": "missing(sbp)"}, ("variables.y.derive: missing(sbp) stands where an action "
         "follows; more information could then contradict earlier advice, so use it only in a "
         "branch that abstains")),
    ],
)  # fmt: skip
def test_a_fault_in_a_derived_variable(fields: Json, expected: str) -> None:
    assert faults(variables=with_variable("y", **fields)) == [expected]


def test_derived_variables_may_stand_in_any_order_but_not_in_a_circle() -> None:
    first = with_variable("high", derive="uncontrolled and very_high") | {
        "very_high": {"derive": "pulse >= 60"},
        "pulse": {"derive": "sbp - 80"},
    }
    bundle = read_bundle(files_of(a_document(variables=first)))
    assert [derived.name for derived in bundle.derived] == [
        "uncontrolled", "pulse", "very_high", "high",
    ]  # fmt: skip
    circle = with_variable("a", derive="not b") | {"b": {"derive": "not a"}}
    assert faults(variables=circle)[0] == (
        "variables: derived variables read each other in a circle: a -> b -> a"
    )


def test_one_code_recognises_one_action() -> None:
    actions = a_document()["actions"]
    actions["monitor"]["seen_as"] = actions["add_ace"]["seen_as"]
    assert faults(actions=actions) == [
        (
            "actions.monitor.seen_as: rxnorm|314076 already recognises `add_ace`; a code may stand "
            "for one action only"
        )
    ]


STAY: Json = {"otherwise": "stay"}
ENDS = "needs exactly one of `then`, `rule` and `abstain` after `when`; found "
SHAPE = "needs either `when` (with then, rule or abstain) or `otherwise`"
LAST = "the last branch must hold for everybody; add `- otherwise: <action>` after it"
CHOICE = "cannot be chosen at this stage; add it to the stage's `choose`, which holds a, stay"
ONLY = "stages[0].rule"
UNUSED = "can be chosen but no branch does"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ([], [f"{ONLY}: has no branch; end it with `otherwise: <action>`"]),
        ([{"when": "p", "then": "a"}], [f"{ONLY}[0]: {LAST}"]),
        ([{"then": "a"}, STAY], [f"{ONLY}[0]: {SHAPE}"]),
        ([{"when": "p", "otherwise": "a"}, STAY],
         [f"{ONLY}[0]: {SHAPE}",
          f"{ONLY}[0]: `otherwise` holds for everybody, so nothing after it can be reached"]),
        ([{"otherwise": "a"}, STAY],
         [f"{ONLY}[0]: `otherwise` holds for everybody, so nothing after it can be reached"]),
        ([{"when": "p"}, STAY], [f"{ONLY}[0]: {ENDS}none"]),
        ([{"when": "p", "then": "a", "abstain": "no"}, STAY], [f"{ONLY}[0]: {ENDS}then, abstain"]),
        ([{"when": "p", "then": "a"}, {"otherwise": "stay", "abstain": "no"}],
         [f"{ONLY}[1]: {ENDS}otherwise, abstain"]),
        ([{"when": "p", "then": []}, STAY], [f"{ONLY}[0]: {ENDS}none"]),
        ([{"when": "p", "then": "a"}, {"when": "q", "rule": [{"when": "p", "then": "a"}]}, STAY],
         [f"{ONLY}[1].rule[0]: {LAST}"]),
        ([{"when": "p", "rule": []}, STAY],
         [f"{ONLY}[0]: {ENDS}none",
          f"{ONLY}[0].rule: has no branch; end it with `otherwise: <action>`"]),
        ([{"when": "p", "abstain": "no", "instead": "a"}, STAY],
         [f"{ONLY}[0].instead: has a meaning only beside `then` or `otherwise`"]),
        ([{"when": "p", "then": ["a", "a"]}, STAY],
         [f"{ONLY}[0]: `a` stands twice; each may stand once"]),
        ([{"when": "p", "then": "a", "instead": ["stay", "stay"]}, STAY],
         [f"{ONLY}[0].instead: `stay` stands twice; each may stand once"]),
        ([{"when": "p", "then": "zzz"}, {"when": "q", "then": "a"}, STAY],
         [f"{ONLY}[0]: no action `zzz`; there is a, b, c, stay"]),
        ([{"when": "p", "then": "b"}, {"when": "q", "then": "a"}, STAY],
         [f"{ONLY}[0]: `b` {CHOICE}"]),
        ([{"when": "p", "then": "a", "instead": "b"}, STAY], [f"{ONLY}[0]: `b` {CHOICE}"]),
        ([{"when": "p", "then": "stay"}, STAY],
         [f"{ONLY}: `a` can be chosen but no branch does; remove it from `choose`"]),
        ([{"when": "missing(x)", "then": "a"}, STAY],
         [(f"{ONLY}[0].when: missing(x) stands where an action follows; more information could "
          "then contradict earlier advice, so use it only in a branch that abstains")]),
        ([{"when": "missing(x)", "rule": [{"when": "p", "then": "a"}, STAY]}, STAY],
         [(f"{ONLY}[0].when: missing(x) stands where an action follows; more information could "
          "then contradict earlier advice, so use it only in a branch that abstains")]),
    ],
)  # fmt: skip
def test_a_fault_in_a_list(rule: Any, expected: list[str]) -> None:
    found = rule_faults(rule, choose=["a", "stay"])
    assert [fault for fault in found if fault in expected or UNUSED not in fault] == expected


def nested(depth: int) -> list[Json]:
    inner: list[Json] = [STAY]
    for _ in range(depth - 1):
        inner = [{"when": "p", "rule": inner}, STAY]
    return inner


def test_se_14_a_list_is_not_nested_without_end() -> None:
    assert a_small_bundle(nested(12)).stages
    assert [fault.partition(": ")[2] for fault in rule_faults(nested(13))] == [
        "is longer than 2000 or deeper than 12; split it"
    ]


def test_a_guard_that_abstains_may_ask_whether_something_is_missing() -> None:
    rule = [{"when": "missing(x)", "abstain": "Measure x first."}, STAY]
    assert a_small_bundle(rule).stages[0].choose == ("stay",)


def scores(**fields: Any) -> Json:
    both: Json = {"a": {"constant": 1, "terms": {"x": 0.5}}, "b": {}}
    return {"scores": both, **fields}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"scores": {"a": {}, "stay": {}}},
         [("stages[0].rule.scores: `stay` cannot be chosen at this stage; add it to the stage's "
          "`choose`, which holds a, b"),
          "stages[0].rule.scores: `b` can be chosen but has no score"]),
        ({"scores": {"a": {"terms": {"zzz": 1}}, "b": {}}},
         ["stages[0].rule.scores.a.terms: no variable `zzz`"]),
        ({"scores": {"a": {"terms": {"risk": 1}}, "b": {}}},
         ["stages[0].rule.scores.a.terms: a label, not a number or yes-or-no: `risk`"]),
        (scores(support=[{"actions": ["stay"], "when": "xx > 1"}]),
         [("stages[0].rule.support[0].actions: `stay` cannot be chosen at this stage; add it to "
          "the stage's `choose`, which holds a, b"),
          "stages[0].rule.support[0].when: no variable `xx`; did you mean `x`?"]),
        (scores(support=[{"actions": ["a"], "when": "missing(x)"}]),
         [("stages[0].rule.support[0].when: missing(x) stands where an action follows; more "
          "information could then contradict earlier advice, so use it only in a branch that "
          "abstains")]),
    ],
)  # fmt: skip
def test_a_fault_in_scores(rule: Json, expected: list[str]) -> None:
    assert rule_faults(rule, choose=["a", "b"]) == expected


def test_stages_and_choices_stand_once() -> None:
    stages = a_document()["stages"]
    stages[1]["stage"] = "baseline"
    stages[0]["choose"] = ["lifestyle", "monitor", "monitor"]
    assert faults(stages=stages) == [
        "stages[0].choose: `monitor` stands twice; each may stand once",
        "stages: `baseline` stands twice; each may stand once",
    ]


def test_every_fault_is_found_in_one_reading() -> None:
    document = a_document(population="agee >= 18", review_by="soon")
    document["variables"]["sbp"]["within"] = "a month"
    document["actions"]["monitor"]["seen_as"] = ["x"]
    document["safeguards"][0]["when"] = "pregnent"
    document["stages"][1]["rule"][0]["then"] = "add_arb"
    document["stages"][1]["choose"] = ["add_ace", "monitor", "add_cbb"]
    cases = {"cases": [{"case": "x", "given": {"sbpp": 1}, "expect": {"outcome": "no_change"}}]}
    with pytest.raises(RuleBundleError) as caught:
        read_bundle(files_of(document, cases))
    assert [fault.place for fault in caught.value.faults] == [
        "variables.sbp.within", "actions.monitor.seen_as", "review_by", "population",
        "safeguards[0].when", "stages[1].choose", "stages[1].rule[0]", "stages[1].rule",
        "cases.yaml: cases[0].given",
    ]  # fmt: skip


CASE: Json = {"case": "x", "expect": {"outcome": "no_change"}}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"given": {"sbpp": 1}}, ("cases.yaml: cases[0].given: no variable `sbpp`; did you mean "
         "`sbp`?")),
        ({"given": {"uncontrolled": True}},
         "cases.yaml: cases[0].given: `uncontrolled` is derived; give the variables that it reads"),
        ({"given": {"pregnant": 1}}, "cases.yaml: cases[0].given.pregnant: must be true or false"),
        ({"given": {"sbp": True}}, "cases.yaml: cases[0].given.sbp: must be a number"),
        ({"given": {"sbp": "high"}}, "cases.yaml: cases[0].given.sbp: must be a number"),
        ({"given": {"sbp": 281}}, ("cases.yaml: cases[0].given.sbp: must be from 60 to 280, the "
         "plausible range; a value outside it counts as missing")),
        ({"given": {"step": 1}}, ("cases.yaml: cases[0].given.step: must be a label, in quotes if "
         "it looks like something else")),
        ({"given": {"step": "gym"}}, ("cases.yaml: cases[0].given.step: 'gym' is never the case; "
         "it can be add_ace, lifestyle, monitor, none")),
        ({"expect": {"outcome": "recommendation", "stage": "later"}},
         "cases.yaml: cases[0].expect.stage: no stage `later`"),
        ({"expect": {"outcome": "recommendation", "action": "add_acee"}},
         "cases.yaml: cases[0].expect: no action `add_acee`; did you mean `add_ace`?"),
        ({"expect": {"outcome": "abstention", "candidates": ["monitor", "gym"]}},
         ("cases.yaml: cases[0].expect: no action `gym`; there is lifestyle, add_ace, "
          "monitor")),
    ],
)  # fmt: skip
def test_a_case_speaks_of_declared_things(case: Json, expected: str) -> None:
    assert faults({"cases": [CASE | case]}) == [expected]


def test_the_defaults_of_cases_are_checked_alike() -> None:
    assert faults({"defaults": {"sbp": "high"}, "cases": []}) == [
        "cases.yaml: defaults.sbp: must be a number"
    ]


@pytest.mark.parametrize("value", [60, 280, 139.5, None])
def test_a_plausible_value_or_none_at_all_may_be_given(value: float | None) -> None:
    case = CASE | {"given": {"sbp": value}}
    assert read_bundle(files_of(a_document(), {"cases": [case]})).cases is not None


def test_what_nothing_reads_is_worth_a_note() -> None:
    bundle = read_bundle(
        files_of(a_document(variables=with_variable("sex", **{"from": "patient.sex"})))
    )
    assert bundle.notes == ("variables.sex: nothing reads it",)
