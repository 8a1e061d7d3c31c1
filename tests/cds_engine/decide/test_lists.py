"""Missing data never falls through a list: what may be meant stays possible."""

from itertools import product
from typing import Any

import pytest
from builders.records import Json, a_history, a_small_bundle, a_small_history
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision
from cds_engine.decide.table import Table, decide_table
from cds_engine.vocabulary.value import Span

STAY: Json = {"otherwise": "stay"}


def decided(rule: Any, **values: Any) -> Decision:
    bundle = a_small_bundle(rule)
    return decide(bundle, a_small_history(**values))


TWO = [{"when": "x > 10", "then": "a"}, {"when": "y > 10", "then": "b"}, STAY]


@pytest.mark.parametrize(
    ("x", "y", "outcome", "candidates", "missing"),
    [
        pytest.param(11, None, "recommendation", ("a",), (), id="the first that is true speaks"),
        pytest.param(9, 11, "recommendation", ("b",), (), id="the second where the first is false"),
        pytest.param(9, 9, "no_change", ("stay",), (), id="nobody is left out"),
        pytest.param(None, 11, "abstention", ("a", "b"), ("x",), id="up to the first true one"),
        pytest.param(None, 9, "abstention", ("a", "stay"), ("x",), id="false ones are out"),
        pytest.param(9, None, "abstention", ("b", "stay"), ("y",), id="unknown ones stay"),
        pytest.param(None, None, "abstention", ("a", "b", "stay"), ("x", "y"), id="all unknown"),
        pytest.param(Span(11, 12), None, "recommendation", ("a",), (), id="a span above"),
        pytest.param(Span(9, 12), 9, "abstention", ("a", "stay"), ("x",), id="a span astride"),
    ],
)
def test_the_possible_set(
    x: Any, y: Any, outcome: str, candidates: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    decision = decided(TWO, x=x, y=y)
    assert (decision.outcome, decision.candidates) == (outcome, candidates)
    assert decision.judgement.undecided == missing


def test_branches_that_come_to_the_same_need_no_more_data() -> None:
    rule = [{"when": "x > 10", "then": "a"}, {"when": "y > 10", "then": "a"}, STAY]
    assert decided(rule, y=11).outcome == "recommendation"
    assert decided(rule, y=9).outcome == "abstention"


def test_candidates_stand_in_the_order_of_the_choice() -> None:
    rule = [{"when": "x > 1", "then": "b"}, {"when": "y > 1", "then": "a"}, STAY]
    assert decided(rule).candidates == ("a", "b", "stay")


NESTED = [
    {
        "when": "p",
        "rule": [{"when": "x > 10", "then": "a"}, {"otherwise": "b"}],
    },
    {"when": "q", "then": "c"},
    STAY,
]


@pytest.mark.parametrize(
    ("values", "candidates"),
    [
        ({"p": True, "x": 11}, ("a",)),
        ({"p": True, "x": 9}, ("b",)),
        ({"p": True}, ("a", "b")),
        ({"p": False, "q": True}, ("c",)),
        ({"p": False, "q": False}, ("stay",)),
        ({"x": 11, "q": True}, ("a", "c")),
        ({"x": 11, "q": False}, ("a", "stay")),
        ({"x": 11}, ("a", "c", "stay")),
        ({}, ("a", "b", "c", "stay")),
    ],
)
def test_a_nested_list_is_walked_where_it_may_be_meant(
    values: dict[str, Any], candidates: tuple[str, ...]
) -> None:
    decision = decided(NESTED, **values)
    assert decision.candidates == candidates
    assert (decision.outcome == "abstention") is (len(candidates) > 1)


def test_a_tree_is_a_list_of_lists() -> None:
    deep: list[Json] = [{"when": "x > 3", "then": "c"}, STAY]
    deep = [{"when": "x > 2", "rule": deep}, {"otherwise": "b"}]
    deep = [{"when": "x > 1", "rule": deep}, {"otherwise": "a"}]
    for x, action in ((1, "a"), (2, "b"), (3, "stay"), (4, "c")):
        assert decided(deep, x=x).action == action
    assert decided(deep).candidates == ("a", "b", "c", "stay")


GUARD = [
    {"when": "missing(x)", "abstain": "Measure x first."},
    {"when": "x > 10", "then": "a"},
    STAY,
]


def test_a_guard_speaks_only_where_the_value_is_missing() -> None:
    decision = decided(GUARD)
    assert decision.reasons[0].text == "Measure x first."
    assert decision.reasons[0].code == "rule-abstains"
    assert decided(GUARD, x=11).action == "a"
    assert decided(GUARD, x=Span(9, 12)).outcome == "abstention"


@pytest.mark.parametrize(
    ("guard", "given", "asked_for"),
    [
        pytest.param("missing(x)", {}, ["x"], id="what is missing"),
        pytest.param("missing(x) and missing(y)", {}, ["x", "y"], id="both"),
        pytest.param("missing(x) or missing(y)", {"x": 1}, ["y"], id="the one of two"),
        pytest.param("p or missing(x)", {"p": True}, [], id="not what does not matter"),
        pytest.param("p and missing(x)", {"p": True}, ["x"], id="not what is known"),
        pytest.param("p or (not missing(x) and x > 5)", {"p": True}, [],
                     id="not what was only asked in case it is there"),
        pytest.param("(not missing(x) and x > 5) or p", {"p": True}, [],
                     id="not that either, where it was asked first"),
        pytest.param("not (not missing(x))", {}, ["x"], id="what is missing, said twice over"),
    ],
)  # fmt: skip
def test_a_guard_names_what_it_asks_for(
    guard: str, given: dict[str, Any], asked_for: list[str]
) -> None:
    decision = decided([{"when": guard, "abstain": "Measure first."}, STAY], **given)
    named = [(reason.code, *reason.variables) for reason in decision.reasons]
    assert named == [("rule-abstains",), *(("missing", name) for name in asked_for)]


@pytest.mark.parametrize("p", [True, False, None])
@pytest.mark.parametrize("q", [True, False, None])
def test_equally_good_options_have_no_order(p: bool | None, q: bool | None) -> None:
    rule = [{"when": "p", "then": ["b", "c"]}, {"when": "q", "then": ["c", "b"]},
            {"otherwise": ["c", "b"]}]  # fmt: skip
    bundle = a_small_bundle(rule)
    decision = decide(bundle, a_small_history(p=p, q=q))
    assert (decision.outcome, decision.candidates) == ("equipoise", ("b", "c"))
    table = decide_table(bundle, Table.from_states(bundle, [{"p": p, "q": q}]))
    fate = table.decode(0)
    assert (fate.outcome, fate.candidates) == ("equipoise", ("b", "c"))


def test_a_guard_that_may_be_meant_keeps_the_rest_open() -> None:
    rule = [{"when": "x > 10", "abstain": "Ask."}, {"otherwise": "a"}]
    decision = decided(rule)
    assert (decision.outcome, decision.candidates) == ("abstention", ("a",))
    assert [reason.code for reason in decision.reasons] == ["missing"]


def test_labels_decide_like_numbers() -> None:
    rule = [{"when": "risk is high", "then": "a"}, {"when": "risk in [low]", "then": "b"}, STAY]
    assert decided(rule, risk="high").action == "a"
    assert decided(rule, risk="low").action == "b"
    assert decided(rule).candidates == ("a", "b", "stay")


def test_a_constant_rule_is_a_static_regime() -> None:
    bundle = a_small_bundle([{"otherwise": "a"}])
    assert decide(bundle, a_history()).action == "a"
    bundle = a_small_bundle([{"when": "true", "then": "a"}])
    assert decide(bundle, a_history()).action == "a"


def test_a_derived_number_is_compared_like_any_other() -> None:
    variables = {
        "x": {"from": "observation", "codes": ["loinc|1"], "unit": "kg"},
        "y": {"from": "observation", "codes": ["loinc|2"], "unit": "kg"},
        "gain": {"derive": "x - y", "digits": 1},
        "double": {"derive": "2 * gain", "digits": 0},
        "fast": {"derive": "double >= 1"},
    }
    rule = [{"when": "fast and gain > 0.4", "then": "a"}, STAY]
    bundle = a_small_bundle(rule, variables=variables)
    assert decide(bundle, a_history(x=70.45, y=70.0)).state["gain"] == 0.5
    assert decide(bundle, a_history(x=70.5, y=70.0)).action == "a"
    assert decide(bundle, a_history(x=70.4, y=70.0)).action == "stay"
    missing = decide(bundle, a_history(x=70.4, y=None))
    assert missing.judgement.undecided == ("y",)
    assert missing.state == {"x": 70.4, "y": None, "gain": None, "double": None, "fast": None}


def test_rl_17_a_derived_number_that_is_rounded_reaches_its_end() -> None:
    variables = {
        "x": {"from": "observation", "codes": ["loinc|1"], "unit": "kg", "digits": 1},
        "whole_x": {"derive": "1 * x", "digits": 0},
    }
    rule = [{"when": "whole_x < 5", "then": "a"}, STAY]
    bundle = a_small_bundle(rule, variables=variables)
    assert decide(bundle, a_history(x=5.3)).action == "stay"
    assert decide(bundle, a_history(x=Span(high=5.4, high_open=True))).outcome == "abstention"
    assert decide(bundle, a_history(x=Span(high=4.4, high_open=True))).action == "a"


CRITERIA = st.sampled_from(["x > 1", "x > 2", "y > 1", "p", "not q", "p or y > 2", "q and x <= 1"])
ACTIONS = st.sampled_from(["a", "b", "c", "stay"])


def lists(depth: int) -> st.SearchStrategy[list[Json]]:
    end = st.builds(lambda w, t: {"when": w, "then": t}, CRITERIA, ACTIONS)
    if depth:
        nested = st.builds(lambda w, r: {"when": w, "rule": r}, CRITERIA, lists(depth - 1))
        end = st.one_of(end, end, nested)
    return st.builds(
        lambda branches, last: [*branches, {"otherwise": last}], st.lists(end, max_size=4), ACTIONS
    )


def meant(rule: list[Json], **values: Any) -> str:
    """The obvious interpreter of a list for somebody about whom everything is known."""
    x, y, p, q = (values[name] for name in "xypq")
    holds = {
        "x > 1": x > 1, "x > 2": x > 2, "y > 1": y > 1, "p": p, "not q": not q,
        "p or y > 2": p or y > 2, "q and x <= 1": q and x <= 1,
    }  # fmt: skip
    for branch in rule:
        if "otherwise" in branch:
            return str(branch["otherwise"])
        if holds[branch["when"]]:
            return str(branch["then"]) if "then" in branch else meant(branch["rule"], **values)
    raise AssertionError(rule)


FULL = [
    {"x": x, "y": y, "p": p, "q": q}
    for x, y, p, q in product((1, 2, 3), (1, 2, 3), (True, False), (True, False))
]
PARTIAL = st.fixed_dictionaries(
    {
        "x": st.sampled_from([None, 1, 2, 3]), "y": st.sampled_from([None, 1, 2, 3]),
        "p": st.sampled_from([None, True, False]), "q": st.sampled_from([None, True, False]),
    }
)  # fmt: skip


def bundle_for(rule: list[Json]) -> RuleBundle:
    return a_small_bundle(rule)


@settings(max_examples=60)
@given(lists(2), PARTIAL)
def test_more_information_never_contradicts_advice(rule: list[Json], known: dict[str, Any]) -> None:
    bundle = bundle_for(rule)
    decision = decide(bundle, a_history(**known, risk=None))
    fitting = [f for f in FULL if all(v is None or f[n] == v for n, v in known.items())]
    actions = {meant(rule, **values) for values in fitting}
    if decision.action is not None:
        assert actions == {decision.action}
    else:
        assert decision.outcome == "abstention"
        assert actions <= set(decision.candidates)
        assert decision.judgement.undecided


@settings(max_examples=40)
@given(lists(2), st.sampled_from(FULL))
def test_whoever_is_fully_known_gets_what_the_list_says(
    rule: list[Json], values: dict[str, Any]
) -> None:
    decision = decide(bundle_for(rule), a_history(**values, risk=None))
    assert decision.action == meant(rule, **values)
    assert (decision.outcome == "no_change") is (decision.action == "stay")
