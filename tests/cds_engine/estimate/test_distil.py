"""A regime written as trees loses a stated amount of value, or is refused."""

from typing import Any

import numpy as np
import pytest
from builders.cohorts import a_cohort, a_table
from sklearn.ensemble import RandomForestRegressor

from cds_engine.errors import EstimationError
from cds_engine.estimate.bellman import DecisionProblem, ProblemStage
from cds_engine.estimate.distil import Distilled, LossError, contrasts, distil
from cds_engine.estimate.doubly_robust import dr_value
from cds_engine.estimate.policy_tree import PolicyTree
from cds_engine.estimate.q_learning import QLearning
from cds_engine.estimate.rule import Always, advised
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.tree import Split


class Fixed:
    """Learns nothing: the regime it is given."""

    def __init__(self, *rules: Any) -> None:
        self.rules = rules

    def fit(self, _: Trajectories) -> "Fixed":
        self.rules_ = self.rules
        return self


@pytest.fixture(scope="module")
def found() -> Distilled:
    return distil(QLearning(compare=False), a_cohort(2000, responders=True), most_loss=0.2)


def test_a_rule_that_is_a_threshold_becomes_that_threshold(found: Distilled) -> None:
    t = a_cohort(1500)
    spec_of_second = {"first": ["x1"], "second": ["x2"]}
    learner = QLearning(compare=False)
    distilled = distil(learner, t, most_loss=1.0, depth=1, features=spec_of_second)
    [root] = [tree.root for tree in distilled.trees[1:]]
    assert isinstance(root, Split)
    assert root.variable == "x2"
    assert found.agreement["second"] > 0.9


def test_a_tree_is_distilled_to_itself() -> None:
    t = a_cohort(500, responders=True)
    learner = PolicyTree(depth=2, folds=2)
    distilled = distil(learner, t, most_loss=0.0, folds=3)
    assert distilled.agreement == {"first": 1.0, "second": 1.0}
    assert distilled.loss.estimate == 0.0
    assert distilled.loss.standard_error == 0.0


def test_the_loss_is_paired_and_out_of_fold(found: Distilled) -> None:
    loss = found.loss
    assert loss.estimate == pytest.approx(found.learned.estimate - found.distilled.estimate)
    assert loss.influence is not None
    assert found.learned.influence is not None
    assert found.distilled.influence is not None
    difference = found.learned.influence - found.distilled.influence
    assert loss.influence == pytest.approx(difference)
    assert loss.standard_error < 0.5 * found.learned.standard_error
    assert found.rules_ == found.trees


def test_the_leaves_say_what_the_data_say_of_them(found: Distilled) -> None:
    t = a_cohort(2000, responders=True)
    for tree, h in zip(found.trees, t.stages, strict=True):
        assert sum(leaf.n for leaf in tree.leaves()) == h.decided.sum()
    first = dr_value(t, found.trees).estimate
    leaves = found.trees[0].leaves()
    weighted = sum(leaf.n * leaf.value for leaf in leaves) / len(t)
    assert weighted == pytest.approx(first, rel=1e-9)


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_too_great_a_loss_is_refused_with_what_was_found(better: Any) -> None:
    """Depth 0 cannot write a rule whose advice depends on the history."""
    turned = 1 if better == "higher" else -1
    y = a_table(2000, responders=True)["y"]
    t = a_cohort(2000, responders=True, better=better, y=turned * y)
    learner = QLearning(compare=False)
    with pytest.raises(LossError, match=r"more than the 0\.02 allowed; allow more") as caught:
        distil(learner, t, most_loss=0.02, depth=0)
    distilled = caught.value.distilled
    assert distilled.loss.estimate > 0
    lost = distilled.learned.estimate - distilled.distilled.estimate
    assert distilled.loss.estimate == pytest.approx(turned * lost)
    allowed = distil(learner, t, most_loss=1.0, depth=0)
    assert allowed.loss.estimate == distilled.loss.estimate


def test_any_learner_can_be_distilled() -> None:
    forest = RandomForestRegressor(n_estimators=15, min_samples_leaf=20, random_state=0)
    t = a_cohort(1000)
    learner = QLearning(model=forest, separate=True, compare=False)
    distilled = distil(learner, t, most_loss=2.0, folds=2)
    assert min(distilled.agreement.values()) > 0.7


def test_a_learner_without_q_functions_is_distilled_by_what_it_advises() -> None:
    t = a_cohort(600)
    distilled = distil(Fixed(Always("high"), Always("low")), t, most_loss=0.0)
    assert [leaf.action for tree in distilled.trees for leaf in tree.leaves()] == ["high", "low"]
    assert distilled.loss.estimate == 0.0


def test_a_fitted_learner_is_distilled_as_it_is() -> None:
    t = a_cohort(900)
    learner = QLearning(compare=False).fit(t.take(np.arange(300)))
    rules = learner.rules_
    distilled = distil(learner, t, most_loss=2.0)
    assert learner.rules_ is rules
    same = advised(rules[1], t.stages[1]) == advised(distilled.trees[1], t.stages[1])
    assert distilled.agreement["second"] == same.mean()


def test_contrasts_leave_what_is_not_feasible_out() -> None:
    allowed = np.array([[True, True, True], [True, False, True]])
    problem = DecisionProblem(
        (ProblemStage("only", ("u", "v"), ("p", "q", "r"), np.array([[0.0, 3, 1], [2, 9, 5]]),
                      feasible=allowed),), np.array([0.5, 0.5]),
    )  # fmt: skip
    t = problem.draw(300, noise=0.1)
    [h] = t.stages
    fitted = Fixed(*problem.solve().rules).fit(t)
    found = contrasts(fitted, 0, h)
    assert (np.isnan(found) == ~h.feasible).all()
    best = np.where(h.columns["state_only"] == "u", 1, 2)
    assert (np.nanargmax(found, axis=1) == best).all()
    assert (np.nanmax(found, axis=1) == 0).all()


def test_features_that_no_stage_has_are_refused() -> None:
    with pytest.raises(EstimationError, match="no stage has a variable bmi"):
        distil(QLearning(), a_cohort(100), most_loss=1.0, features=["bmi"])
