"""Beside an advice stand its benefit with an interval, and how many patients were alike."""

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np
import pytest
from builders.bundles import a_document, a_stage, bundle_of

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.benefit import Benefit, benefit_of
from cds_engine.decide.cases import given_history
from cds_engine.decide.decide import decide
from cds_engine.errors import RuleBundleError

SCORES = {
    "scores": {
        "a0": {"constant": 1, "terms": {"n0": 0.5, "b0": 2}},
        "a1": {"constant": 0.25},
        "a2": {"constant": -3, "terms": {"n0": 1}},
    }
}
CONTRASTS = {
    "reference": "a1",
    "coefficients": [["a0", "constant"], ["a0", "n0"], ["a0", "b0"], ["a2", "constant"],
                     ["a2", "n0"]],
    "covariance": [[0.5], [0.1, 0.2], [0.0, 0.05, 0.3], [0.1, 0.0, 0.0, 0.4],
                   [0.02, 0.01, 0.0, 0.1, 0.25]],
}  # fmt: skip


def fitted(rule: Any, estimates: Mapping[str, Any]) -> RuleBundle:
    stage = {**a_stage(rule), "estimates": {"outcome": "steps", "unit": "/d",
                                            "method": "by hand", **estimates}}  # fmt: skip
    return bundle_of(a_document(stages=[stage]))


def of(bundle: RuleBundle, **given: Any) -> Benefit | None:
    return benefit_of(bundle, decide(bundle, given_history(bundle, given, 0)))


def test_the_benefit_of_scores_is_the_difference_to_the_best_other() -> None:
    found = of(fitted(SCORES, {"contrasts": CONTRASTS}), n0=2, b0=True)
    assert found is not None
    assert (found.action, found.against) == ("a0", "a1")
    x = np.array([1.0, 2.0, 1.0, 0.0, 0.0])
    lower = CONTRASTS["covariance"]
    full = np.array([[lower[max(i, j)][min(i, j)] for j in range(5)] for i in range(5)])
    half = 1.959963984540054 * sqrt(x @ full @ x)
    assert found.estimate == pytest.approx(4 - 0.25)
    assert (found.low, found.high) == pytest.approx((3.75 - half, 3.75 + half))


def test_between_two_that_are_not_the_reference_both_coefficients_count() -> None:
    found = of(fitted(SCORES, {"contrasts": CONTRASTS}), n0=20, b0=False)
    assert found is not None
    assert (found.action, found.against) == ("a2", "a0")
    x = np.array([-1.0, -20.0, 0.0, 1.0, 20.0])
    lower = CONTRASTS["covariance"]
    full = np.array([[lower[max(i, j)][min(i, j)] for j in range(5)] for i in range(5)])
    assert found.high is not None
    assert found.estimate is not None
    assert found.high - found.estimate == pytest.approx(1.959963984540054 * sqrt(x @ full @ x))


def test_a_benefit_is_positive_where_lower_scores_are_better_too() -> None:
    lower = {"scores": {"a0": {"constant": 5}, "a1": {"constant": 9}}, "better": "lower"}
    contrasts = {"reference": "a1", "coefficients": [["a0", "constant"]], "covariance": [[0]]}
    found = of(fitted(lower, {"contrasts": contrasts}))
    assert found is not None
    assert (found.action, found.estimate, found.low) == ("a0", 4.0, 4.0)


LIST = [{"when": "n0 >= 3", "then": "a0"}, {"otherwise": "a1"}]
GROUPS = {
    "groups": [
        {"when": "n0 >= 3", "n": {"a0": 40, "a1": 38},
         "benefit": {"action": "a0", "against": "a1", "estimate": 2, "low": 1, "high": 3}},
        {"when": "n0 < 3 and not b0", "n": {"a0": 12, "a1": 15}},
    ]
}  # fmt: skip


def test_a_group_says_how_many_were_alike_and_what_they_gained() -> None:
    found = of(fitted(LIST, GROUPS), n0=3, b0=True)
    assert found is not None
    assert found.similar == {"a0": 40, "a1": 38}
    assert (found.estimate, found.low, found.high) == (2.0, 1.0, 3.0)


def test_a_group_without_a_benefit_still_says_how_many() -> None:
    found = of(fitted(LIST, GROUPS), n0=2, b0=False)
    assert found is not None
    assert (found.similar, found.against, found.estimate) == ({"a0": 12, "a1": 15}, None, None)


def test_where_no_group_surely_holds_nobody_is_called_similar() -> None:
    bundle = fitted(LIST, GROUPS)
    unknown, outside = of(bundle, n0=2), of(bundle, n0=2, b0=True)
    assert unknown is not None
    assert outside is not None
    assert (unknown.similar, outside.similar) == ({}, {})


def test_a_group_of_another_action_states_no_benefit_of_this_one() -> None:
    guarded = a_document(
        safeguards=[{"never": ["a0"], "when": "b1", "because": "harm"}],
        stages=[{**a_stage([{"when": "n0 >= 3", "then": "a0", "instead": "a1"},
                            {"otherwise": "a1"}]),
                 "estimates": {"outcome": "steps", "method": "by hand", **GROUPS}}],
    )  # fmt: skip
    found = of(bundle_of(guarded), n0=4, b1=True)
    assert found is not None
    assert (found.action, found.estimate) == ("a1", None)


def test_a_rule_that_was_not_fitted_has_no_benefit() -> None:
    assert of(bundle_of(a_document()), b0=True) is None


def test_an_abstention_has_no_benefit() -> None:
    assert of(fitted(LIST, GROUPS)) is None


@pytest.mark.parametrize(
    ("rule", "estimates", "problem"),
    [
        pytest.param(LIST, {"contrasts": CONTRASTS}, "only beside a rule by scores", id="list"),
        pytest.param(SCORES, {"contrasts": {**CONTRASTS, "reference": "a3"}}, "a3",
                     id="reference without a score"),
        pytest.param(SCORES, {"contrasts": {**CONTRASTS, "covariance": [[1]]}},
                     "must be a lower triangle of 5 rows", id="triangle"),
        pytest.param(SCORES, {"contrasts": {"reference": "a1", "coefficients": [["a0", "n9"]],
                                            "covariance": [[1]]}},
                     "`n9` is no term of the scores", id="term"),
        pytest.param(SCORES, {"contrasts": {"reference": "a1", "coefficients": [["a1", "n0"]],
                                            "covariance": [[1]]}},
                     "`a1` has no contrast with `a1`", id="reference with itself"),
        pytest.param(SCORES, {"contrasts": {"reference": "a1", "coefficients":
                                            [["a0", "n0"], ["a0", "n0"]],
                                            "covariance": [[1], [1, 1]]}},
                     "a coefficient stands twice", id="twice"),
        pytest.param(SCORES, {"contrasts": {"reference": "a1", "coefficients": [["a0", "n0"]],
                                            "covariance": [[-1]]}},
                     "a variance is negative", id="negative variance"),
        pytest.param(LIST, {"groups": [{"when": "n0 > 1", "n": {"a9": 1}}]}, "a9",
                     id="action that is not there"),
        pytest.param(LIST, {"groups": [{"when": "n0 > 1", "n": {"a0": 1}, "benefit":
                                        {"action": "a0", "against": "a1", "estimate": 5, "low": 1,
                                         "high": 2}}]},
                     "must lie between", id="estimate outside its interval"),
    ],
)  # fmt: skip
def test_estimates_that_do_not_fit_are_refused(
    rule: Any, estimates: Mapping[str, Any], problem: str
) -> None:
    with pytest.raises(RuleBundleError, match=problem):
        fitted(rule, estimates)


def test_terms_are_centred_before_their_covariance_counts() -> None:
    rule = {"scores": {"a0": {"constant": 1, "terms": {"n0": 0.5}}, "a1": {"constant": 0}}}
    contrasts = {"reference": "a1", "coefficients": [["a0", "constant"], ["a0", "n0"]],
                 "centres": {"n0": 10}, "covariance": [[0.25], [0.0, 0.01]]}  # fmt: skip
    found = of(fitted(rule, {"contrasts": contrasts}), n0=13)
    assert found is not None
    assert found.estimate is not None
    assert found.high is not None
    assert found.high - found.estimate == pytest.approx(1.959963984540054 * sqrt(0.25 + 0.09))


def test_an_interval_that_no_coefficients_could_give_is_not_shown() -> None:
    rule = {"scores": {"a0": {"constant": 1, "terms": {"n0": 1, "m0": 1}}, "a1": {"constant": 0}}}
    third = [-0.9, -0.9, 1]  # three that each vary against the others cannot be
    contrasts = {"reference": "a1",
                 "coefficients": [["a0", "constant"], ["a0", "n0"], ["a0", "m0"]],
                 "covariance": [[1], [-0.9, 1], third]}  # fmt: skip
    found = of(fitted(rule, {"contrasts": contrasts}), n0=1, m0=1)
    assert found is not None
    assert (found.estimate, found.low, found.high) == (None, None, None)
