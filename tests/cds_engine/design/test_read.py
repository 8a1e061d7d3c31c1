"""A design that cannot be used is refused with every fault, its place and the cure."""

from typing import Any

import pytest
from builders.designs import RESPONSE, a_design, again, assumed, everybody_again, second

from cds_engine.design import DesignError, read_design

MEANS = {
    "a > responders": 1.0,
    "a > non-responders > c": 0.0,
    "a > non-responders > d": 0.0,
    "b > responders": 0.0,
    "b > non-responders > e": 0.0,
    "b > non-responders > f": 0.0,
}
RATES = {"a": 0.4, "b": 0.4}  # fmt: skip


def faults(document: dict[str, Any]) -> list[str]:
    with pytest.raises(DesignError) as caught:
        read_design(document)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"design": "Two Arms"}, "design: is no name", id="name"),
        pytest.param({"title": None}, "title: must be a text", id="no text"),
        pytest.param({"arms": 2}, "arms: there is no such field here; remove it", id="field"),
        pytest.param({"stages": []}, "stages: holds too little; at least 1", id="no stage"),
        pytest.param({"title": float("nan")}, "holds what is no plain text", id="not a number"),
        pytest.param(
            {"outcome": {"label": "x", "kind": "count"}},
            "outcome.kind: only 'continuous' or 'binary' can stand here", id="kind",
        ),
        pytest.param(
            {"stages": [{"stage": "first", "randomise": [{"arms": {"a": 1}}]}]},
            "stages[0].randomise[0].arms: holds too little; at least 2", id="one arm",
        ),
        pytest.param(
            {"stages": [{"stage": "first", "randomise": [{"arms": {"a": 1, "b": 0}}]}]},
            "stages[0].randomise[0].arms.b: must be more than 0", id="no chance",
        ),
    ],
)  # fmt: skip
def test_a_field_that_is_not_as_it_must_be_is_named(fields: dict[str, Any], said: str) -> None:
    assert said in "\n".join(faults({**a_design(), **fields}))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param(
            a_design(stages=second(again("a", "non-responders", "c", "d"),
                                   again("x", "all", "c", "d"))),
            "stages[1].randomise[1].after: no earlier stage leads to 'x'", id="no such path",
        ),
        pytest.param(
            a_design(stages=second({"arms": {"c": 1, "d": 1}})),
            "stages[1].randomise[0]: after which path? Name it with `after`, such as a", id="after",
        ),
        pytest.param(
            a_design(stages=second(again("a", "all", "c", "d")), response={"a": RESPONSE}),
            "`response` splits those after a, but all are randomised alike", id="split, alike",
        ),
        pytest.param(
            a_design(response={"b": RESPONSE}),
            "stages[1].randomise[0]: who are the non-responders after a? Say it under `response: "
            "{a: ...}`", id="no criterion",
        ),
        pytest.param(
            a_design(stages=second(*[again("a", "non-responders", "c", "d")] * 2)),
            "stages[1].randomise[1]: those on 'a > non-responders' are randomised twice",
            id="twice",
        ),
        pytest.param(
            a_design(stages=second({"after": "a", "who": "non-responders",
                                    "arms": {"c": 0.5, "d": 0.4}})),
            "stages[1].randomise[0].arms: the probabilities add to 0.9", id="chances",
        ),
        pytest.param(
            a_design(stages=second(again("a", "non-responders", "c", "responders"))),
            "stages[1].randomise[0].arms: 'responders' means a group here", id="arm's name",
        ),
        pytest.param(
            a_design(response={"a": RESPONSE, "b": RESPONSE, "bb": RESPONSE}),
            "response.bb: nobody is randomised to this path; did you mean 'b'?", id="response",
        ),
        pytest.param(
            a_design(labels={"aa": "x"}), "labels.aa: there is no such arm; did you mean 'a'?",
            id="label",
        ),
        pytest.param(
            a_design(stages=[
                *second(again("a", "non-responders", "c", "d")),
                {"stage": "first", "randomise": [again("b", "responders", "c", "d")]},
            ]),
            "stages[2].stage: first is named twice", id="stage twice",
        ),
        pytest.param(
            a_design(stages=[{"stage": "first", "column": "outcome",
                              "randomise": [{"arms": {"a": 1, "b": 1}}]}]),
            "stages[0].column: outcome is the outcome's column; give each its own", id="column",
        ),
        pytest.param(
            a_design(stages=[{**second()[0], "column": "x"},
                             {"stage": "second", "column": "x",
                              "randomise": [again("a", "non-responders", "c", "d")]}]),
            "stages[1].column: x is another stage's column too", id="column twice",
        ),
        pytest.param(
            a_design(stages=[{"stage": "first", "randomise": [again("a", "all", "c", "d")]}]),
            "stages[0].randomise[0]: the first stage randomises everybody", id="first stage",
        ),
    ],
)  # fmt: skip
def test_a_tree_that_does_not_hang_together_is_refused(document: dict[str, Any], said: str) -> None:
    assert said in "\n".join(faults(document))


def test_two_stages_may_not_share_a_response_column() -> None:
    stages = second(again("a", "non-responders", "c", "d"))
    late = again("a > non-responders > c", "non-responders", "g", "h")
    stages.append({"stage": "third", "randomise": [late]})
    response = {"a": RESPONSE, "a > non-responders > c": RESPONSE}
    [said] = faults(a_design(stages=stages, response=response))
    assert said == (
        "response.a > non-responders > c: the column responder tells the response at another "
        "stage; give each stage its own"
    )


@pytest.mark.parametrize(
    ("assume", "said"),
    [
        ({"response": RATES, "mean": MEANS}, "assume.sd: a continuous outcome needs its standard"),
        ({"response": {"a": 0.4}, "mean": MEANS, "sd": 1.0},
         "assume.response: nothing is assumed for 'b'; add it"),
        ({"response": RATES, "mean": {**MEANS, "a > responder": 1}, "sd": 1.0},
         "assume.mean.a > responder: there is no such path; did you mean 'a > responders'?"),
        ({"response": {**RATES, "b": 1.0}, "mean": MEANS, "sd": 1.0},
         "assume.response.b: must be less than 1"),
        ({"response": RATES, "mean": MEANS, "sd": -1.0}, "assume.sd: must be more than 0"),
        ({"response": RATES, "mean": MEANS, "sd": 1.0, "rho": 1.0}, "assume.rho: must be less"),
    ],
)  # fmt: skip
def test_assumptions_that_do_not_fit_the_tree_are_refused(
    assume: dict[str, Any], said: str
) -> None:
    assert said in "\n".join(faults(a_design(assume=assume)))


def test_a_binary_outcome_has_probabilities_and_no_standard_deviation() -> None:
    document = assumed({**a_design(), "outcome": {"label": "Remission"}}, rho=0.2)
    document["outcome"] = {"label": "Remission", "kind": "binary"}
    said = faults(document)
    assert "assume.sd: is for continuous outcomes; leave it out" in said
    assert "assume.rho: is for continuous outcomes; leave it out" in said
    assert (
        "assume.mean.a > responders: 0 is no probability of a binary outcome; give one between 0 "
        "and 1" in said
    )


def test_all_faults_are_told_at_once() -> None:
    document = a_design(
        stages=second(again("x", "all", "c", "d"), again("y", "all", "c", "d")), labels={"q": "Q"}
    )
    assert len(faults(document)) == 3


def test_more_regimes_than_can_be_compared_are_refused_without_listing_them() -> None:
    groups = ["responders", "non-responders"]
    stages, paths = second(), ["a", "b"]
    response: dict[str, Any] = {}
    for number in range(1, 7):
        response |= {path: {**RESPONSE, "column": f"responder_{number}"} for path in paths}
        made = [again(path, who, "c", "d") for path in paths for who in groups]
        stages[number:] = [{"stage": f"stage_{number}", "randomise": made}]
        paths = [f"{one['after']} > {one['who']} > c" for one in made]
    [said] = faults(a_design(stages=stages, response=response))
    assert "embedded regimes are more than can be compared; at most 256" in said


def test_a_ratio_is_shared_out_and_a_design_without_response_is_read() -> None:
    stages = second(again("a", "all", "c", "d", "e"))
    design = read_design(a_design(stages=stages, response={}))
    assert design.randomisations["a",].arms == pytest.approx({"c": 1 / 3, "d": 1 / 3, "e": 1 / 3})
    assert read_design(everybody_again()).responses == {}
