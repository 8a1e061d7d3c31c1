"""A policy tree is the tree with the largest doubly robust value, and advises what is feasible."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.cohorts import Above, a_cohort, truth
from builders.trials import stage_data
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor

from cds_engine.bundle.document import Branch
from cds_engine.criteria.parse import parse_criterion
from cds_engine.errors import EstimationError
from cds_engine.estimate.action_scores import backward_scores
from cds_engine.estimate.columns import holds
from cds_engine.estimate.doubly_robust import dr_value, dr_value_of_learner, prepare
from cds_engine.estimate.policy_tree import IN_SAMPLE, PolicyTree
from cds_engine.estimate.rule import NO_DECISION, Always, advised
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.tree import Benefit, Leaf, Split, Tree, candidates
from cds_engine.estimate.tree_leaves import LeafChoice
from cds_engine.estimate.tree_search import search_tree
from cds_engine.vocabulary.kind import Kind

THREE = ("usual", "glp1", "sglt2")


def one_stage(n: int = 1500, seed: int = 1, **changes: Any) -> pd.DataFrame:
    """Draw a cohort in which glp1 helps from hba1c 8.2 on, sglt2 the frail below it.

    sglt2 is not feasible for those with egfr below 45. Sicker patients get usual care more often.
    """
    rng = np.random.default_rng(seed)
    hba1c = np.round(rng.normal(8.2, 1.0, size=n), 1)
    frail = rng.random(n) < 0.4
    egfr = np.round(rng.normal(65, 20, size=n))
    odds = np.column_stack([np.exp(0.4 * (hba1c - 8.2)), np.ones(n), egfr >= 45])
    chance = odds / odds.sum(axis=1, keepdims=True)
    taken = (rng.random(n)[:, None] > np.cumsum(chance, axis=1)).sum(axis=1)
    helps = np.where(taken == 1, np.where(hba1c >= 8.2, 2.0, -1.0), 0.0)
    helps += np.where(taken == 2, np.where((hba1c < 8.2) & frail, 2.0, -1.0), 0.0)
    y = -0.8 * (hba1c - 8.2) + helps + rng.normal(scale=0.5, size=n)
    return pd.DataFrame({
        "id": np.arange(n), "hba1c": hba1c, "frail": frail, "egfr": egfr,
        "sex": np.where(rng.random(n) < 0.5, "female", "male"),
        "action_start": np.array(THREE, dtype=object)[taken], "y": y, **changes,
    })  # fmt: skip


SPEC = HistorySpec(
    stage="start", variables=("hba1c", "frail", "egfr", "sex"), actions=THREE,
    feasible={"sglt2": "egfr >= 45"},
)  # fmt: skip
TWO_BARRED = replace(SPEC, feasible={"sglt2": "egfr >= 45", "glp1": "not frail or egfr < 70"})
ONE_BARRED = replace(SPEC, actions=("usual", "sglt2"))


def read(frame: pd.DataFrame, specs: HistorySpec = SPEC, **options: Any) -> Trajectories:
    if specs is TWO_BARRED:
        barred = frame["frail"] & (frame["egfr"] >= 70) & (frame["action_start"] == "glp1")
        frame = frame.assign(action_start=frame["action_start"].mask(barred, "usual"))
    return Trajectories.from_wide(frame, [specs], outcome="y", **options)


@pytest.fixture(scope="module")
def trajectories() -> Trajectories:
    return read(one_stage(), kinds={"hba1c": Kind("number", "HbA1c", "%", digits=1)})


@pytest.fixture(scope="module")
def fitted(trajectories: Trajectories) -> PolicyTree:
    return PolicyTree(outcome=HistGradientBoostingRegressor(max_iter=40)).fit(trajectories)


def test_the_tree_of_the_world_is_found(fitted: PolicyTree) -> None:
    [tree] = fitted.trees_
    root = tree.root
    assert isinstance(root, Split)
    assert (root.variable, root.threshold, root.criterion) == ("hba1c", 8.2, "hba1c >= 8.2")
    assert isinstance(root.above, Leaf)
    assert root.above.action == "glp1"
    assert isinstance(root.below, Split)
    assert (root.below.criterion, root.below.opposite) == ("frail", "not frail")
    assert [leaf.action for leaf in tree.leaves()] == ["glp1", "sglt2", "usual"]
    assert tree.depth == 2


def test_where_an_action_is_not_feasible_the_next_best_is_advised(
    fitted: PolicyTree, trajectories: Trajectories
) -> None:
    [tree], [h] = fitted.trees_, trajectories.stages
    places = advised(tree, h)
    barred = (h.columns["hba1c"] < 8.2) & h.columns["frail"] & (h.columns["egfr"] < 45)
    assert barred.any()
    assert tree.leaves()[1].instead == ("usual",)
    assert (places[barred] == THREE.index("usual")).all()


def a_choice(t: Trajectories, tree: Tree, gamma: Any, **changed: Any) -> float:
    """Return the sum of the scores if the leaf at ``at`` were another one."""
    leaves = list(tree.leaves())
    if changed:
        at = changed.pop("at")
        leaves[at] = replace(leaves[at], **changed)
    places = tree.with_leaves(iter(leaves))(t.stages[0])
    return float(gamma[np.arange(len(t)), places].sum())


def orders(action: str) -> Iterator[tuple[str, ...]]:
    return permutations(one for one in THREE if one != action)


@pytest.mark.parametrize("seed", range(4))
def test_no_leaf_could_do_better_with_another_action_and_order(seed: int) -> None:
    t = read(one_stage(500, seed=seed), specs=TWO_BARRED)
    fitted = PolicyTree(min_leaf=1, min_arm=0, folds=2).fit(t)
    [tree], [gamma] = fitted.trees_, fitted.scores_
    found = a_choice(t, tree, gamma)
    for at in range(len(tree.leaves())):
        for action in THREE:
            for order in orders(action):
                other = a_choice(t, tree, gamma, at=at, action=action, instead=order)
                assert other <= found + 1e-9


def test_a_leaf_keeps_its_action_where_another_lacks_the_evidence() -> None:
    spec = replace(TWO_BARRED, actions=("a", "b", "c"), feasible={"a": "x > 1", "b": "x > 0"})
    x = np.repeat([0.0, 1.0, 2.0], 4)
    h = stage_data(spec, {"x": x}, [2, 2, 2, 2, 1, 2, 2, 2, 0, 1, 2, 2])
    h = replace(h, feasible=np.column_stack([x > 1, x > 0, x > -1]))
    scores = np.where(h.feasible, [1.0, 3.0, 0.0], np.nan)
    choice = LeafChoice(h, scores, np.ones(12), [("c",), ("c",), ()], 1, 2)
    assert choice.settled(Tree("start", Leaf("a", ("c",)))).leaves()[0].action == "b"
    scarce = replace(choice, min_arm=3)
    assert scarce.settled(Tree("start", Leaf("a", ("c",)))).leaves() == (Leaf("a", ("b", "c")),)


def test_leaves_that_come_to_advise_the_same_are_one() -> None:
    h = stage_data(replace(TWO_BARRED, actions=("a", "b"), feasible={"a": "x > 0"}),
                   {"x": np.arange(4.0)}, [1, 0, 1, 0])  # fmt: skip
    h = replace(h, feasible=np.array([[False, True]] + [[True, True]] * 3))
    choice = LeafChoice(h, np.ones((4, 2)), np.ones(4), [("b",), ()], 1, 0)
    split = Tree("start", Split("x", 2.0, Leaf("b"), Leaf("b")))
    assert choice.settled(split).root == Leaf("b")


@pytest.mark.parametrize("seed", range(4))
def test_a_tree_with_an_order_to_choose_says_how_much_a_better_one_could_gain(seed: int) -> None:
    t = read(one_stage(300, seed=seed), specs=TWO_BARRED)
    fitted = PolicyTree(min_leaf=1, min_arm=0, folds=2).fit(t)
    [tree], [gamma], [h] = fitted.trees_, fitted.scores_, t.stages
    assert not tree.exact
    assert f"at most {tree.gap:.3g} a row more" in tree.notes[0]
    assert "searched with one order of what is advised where an action is not feasible" in str(tree)
    every = [Always(one, order)(h) for one in THREE for order in orders(one)]
    worth = np.column_stack([gamma[np.arange(300), places] for places in every])
    best = search_tree(candidates(h, h.spec.variables, {})[1], worth).value
    assert a_choice(t, tree, gamma) <= best + 1e-6
    assert best <= a_choice(t, tree, gamma) + tree.gap * 300 + 1e-6


def test_a_tree_is_exact_where_nobody_lacks_an_action_or_only_one_is_left() -> None:
    frame = one_stage(400)
    free = frame.assign(egfr=frame["egfr"].abs() + 45)
    [tree] = PolicyTree(depth=1).fit(read(free)).trees_
    assert (tree.exact, tree.gap, tree.notes) == (True, 0.0, (IN_SAMPLE,))
    two = frame[frame["action_start"] != "glp1"]
    [tree] = PolicyTree(depth=1).fit(read(two, specs=ONE_BARRED)).trees_
    assert (tree.exact, tree.gap) == (True, 0.0)


def test_the_leaves_count_their_rows_and_compare_their_action(
    fitted: PolicyTree, trajectories: Trajectories
) -> None:
    [tree], [h] = fitted.trees_, trajectories.stages
    [gamma] = fitted.scores_
    for leaf, inside in tree.ends(h):
        taken = [int((h.action[inside] == at).sum()) for at in range(3)]
        assert leaf.n == inside.sum() == sum(taken)
        assert leaf.n_by_action == dict(zip(THREE, taken, strict=True))
        assert leaf.benefit is not None
        at, other = h.spec.place(leaf.action), h.spec.place(leaf.benefit.against)
        both = inside & h.feasible[:, at] & h.feasible[:, other]
        difference = gamma[both, at] - gamma[both, other]
        assert leaf.benefit.estimate == pytest.approx(difference.mean())
        assert leaf.benefit.standard_error == pytest.approx(difference.std() / both.sum() ** 0.5)
        assert leaf.benefit.low < leaf.benefit.estimate < leaf.benefit.high
        advised_here = gamma[inside, tree(h)[inside]]
        assert leaf.value == pytest.approx(advised_here.mean())


def test_the_benefit_of_a_leaf_is_near_the_truth(fitted: PolicyTree) -> None:
    benefits = [leaf.benefit for leaf in fitted.trees_[0].leaves()]
    for one, true in zip(benefits, (2.0, 2.0, 1.0), strict=True):
        assert one is not None
        assert abs(one.estimate - true) < 3 * one.standard_error + 0.02


def test_criteria_of_branches_divide_the_rows_as_the_tree_does(
    fitted: PolicyTree, trajectories: Trajectories
) -> None:
    [tree], [h] = fitted.trees_, trajectories.stages
    for (criteria, _), (_, inside) in zip(tree.branches(), tree.ends(h), strict=True):
        text = " and ".join(criteria)
        assert (holds(text, h.columns, h.rows, trajectories.kinds) == inside).all()


def test_a_tree_is_written_as_a_decision_list(fitted: PolicyTree) -> None:
    [tree] = fitted.trees_
    written = tree.decision_list()
    assert written == (
        {"when": "hba1c >= 8.2", "then": "glp1"},
        {"when": "frail", "then": "sglt2", "instead": ("usual",)},
        {"otherwise": "usual"},
    )
    assert [Branch.model_validate(line) for line in written]


def test_a_tree_that_divides_above_nests_its_list() -> None:
    inner = Split("sex", "not said", Leaf("a"), Leaf("b"))
    tree = Tree("start", Split("age", 65.0, Leaf("c"), inner))
    assert tree.decision_list() == (
        {"when": "age >= 65",
         "rule": ({"when": "sex is 'not said'", "then": "b"}, {"otherwise": "a"})},
        {"otherwise": "c"},
    )  # fmt: skip
    assert tree.branches()[1][0] == ("age >= 65", "sex is not 'not said'")
    kinds = {"age": Kind("number", "age"), "sex": Kind("label", "sex")}
    for criteria, _ in tree.branches():
        for text in criteria:
            parse_criterion(text, kinds)


def test_a_tree_is_printed_for_a_reader(fitted: PolicyTree) -> None:
    text = str(fitted)
    assert text.startswith("stage start\nif hba1c >= 8.2\n  glp1  n=")
    assert "sglt2 (where not feasible: usual)" in text
    assert f"({IN_SAMPLE})" in text
    assert str(PolicyTree()) == "PolicyTree()"


def test_a_label_splits_one_level_from_the_rest() -> None:
    frame = one_stage()
    arm = np.array(["north", "south", "west"], dtype=object)[np.arange(len(frame)) % 3]
    better = np.where(frame["action_start"] == "glp1", np.where(arm == "south", 5.0, -5.0), 0.0)
    frame = frame.assign(sex=arm, y=frame["y"] + better)
    tree = PolicyTree(depth=1, features=["sex"]).fit(read(frame)).trees_[0]
    assert isinstance(tree.root, Split)
    assert tree.root.criterion == "sex is south"
    assert tree.leaves()[0].action == "glp1"


def test_a_cost_turns_the_advice(trajectories: Trajectories) -> None:
    cheap = PolicyTree(depth=1).fit(trajectories)
    dear = PolicyTree(depth=1, cost={"glp1": 100.0, "sglt2": 100.0}).fit(trajectories)
    assert "glp1" in {leaf.action for leaf in cheap.trees_[0].leaves()}
    assert {leaf.action for leaf in dear.trees_[0].leaves()} == {"usual"}
    assert dear.scores_[0][0, 0] == cheap.scores_[0][0, 0]


def test_smaller_outcomes_being_better_turns_values_but_not_the_tree(
    trajectories: Trajectories,
) -> None:
    kinds = trajectories.kinds
    frame = one_stage()
    turned = read(frame.assign(y=-frame["y"]), kinds=kinds, better="lower")
    one, other = PolicyTree().fit(trajectories).trees_[0], PolicyTree().fit(turned).trees_[0]
    for leaf, mirrored in zip(one.leaves(), other.leaves(), strict=True):
        assert mirrored.action == leaf.action
        assert mirrored.value == pytest.approx(-leaf.value)
        assert mirrored.benefit == leaf.benefit


def test_neither_rows_nor_columns_nor_labels_matter() -> None:
    frame = one_stage(600)
    [tree] = PolicyTree().fit(read(frame)).trees_
    shuffled = frame.sample(frac=1, random_state=3)[list(frame.columns)[::-1]]
    [again] = PolicyTree().fit(read(shuffled)).trees_
    assert again.decision_list() == tree.decision_list()
    spec = HistorySpec(
        stage="start", variables=("sex", "egfr", "frail", "hba1c"), actions=THREE[::-1],
        feasible={"sglt2": "egfr >= 45"},
    )  # fmt: skip
    turned = Trajectories.from_wide(frame, [spec], outcome="y")
    assert PolicyTree().fit(turned).trees_[0].decision_list() == tree.decision_list()


def test_fitting_again_gives_the_same_and_a_clone_keeps_the_parameters(
    trajectories: Trajectories,
) -> None:
    one = PolicyTree(depth=1, min_leaf=50, cost={"glp1": 0.1})
    assert clone(one).get_params() == one.get_params()
    assert clone(one).fit(trajectories).trees_ == one.fit(trajectories).trees_


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(0, 12), st.integers(0, 3))
def test_every_leaf_holds_enough_and_advises_what_is_feasible(
    seed: int, min_leaf: int, min_arm: int, depth: int
) -> None:
    t = read(one_stage(250, seed=seed))
    [tree] = PolicyTree(depth=depth, min_leaf=min_leaf, min_arm=min_arm).fit(t).trees_
    [h] = t.stages
    assert (advised(tree, h) >= 0).all()
    for leaf, inside in tree.ends(h):
        assert leaf.n >= min_leaf
        took = h.action[inside] == h.spec.place(leaf.action)
        assert took.sum() >= min_arm
        assert (~took).sum() >= min_arm
    assert tree.exact or tree.gap >= 0.0


def test_two_stages_are_learned_backward_and_their_value_is_the_truth() -> None:
    t = a_cohort(3000, responders=True)
    fitted = PolicyTree(depth=1).fit(t)
    first, second = fitted.trees_
    assert [leaf.action for leaf in first.leaves()] == ["high"]
    assert isinstance(second.root, Split)
    assert second.root.variable == "x2"
    assert abs(float(second.root.threshold or 0) - -0.4) < 0.25
    assert (second(t.stages[1])[~t.stages[1].decided] == NO_DECISION).all()
    value = dr_value_of_learner(t, PolicyTree(depth=1))
    assert abs(value.estimate - truth("high", -0.4, responders=True)) < 3 * value.standard_error


def test_the_mean_score_of_a_regime_is_its_doubly_robust_value() -> None:
    t = a_cohort(600)
    rules = (Always("high"), Above("x2", -0.4))
    prepared = prepare(t)
    inside = prepared.trajectories
    scores = backward_scores(prepared, lambda k, h, _: lambda _: advised(rules[k], h))
    first = advised(rules[0], inside.stages[0])
    mean = scores[0][np.arange(len(t)), first].mean()
    assert mean == pytest.approx(dr_value(t, rules).estimate, rel=1e-10)


def test_scores_by_weighting_and_by_regression_leave_a_part_out() -> None:
    t = a_cohort(600)
    prepared = prepare(t)
    h = prepared.trajectories.stages[1]

    def last(kind: Any) -> Any:
        scores = backward_scores(prepared, lambda _k, h, _: lambda _: Always("high")(h), kind)
        return scores[1]

    rows, y, p = np.arange(len(t)), prepared.trajectories.outcome, prepared.propensities[1]
    q, weighted = last("regression"), last("weighting")
    assert (weighted[rows, 1 - h.action] == 0).all()
    assert weighted[rows, h.action] == pytest.approx(y / p[rows, h.action])
    both = last("doubly_robust")
    residual = (y - q[rows, h.action]) / p[rows, h.action]
    assert both[rows, h.action] == pytest.approx(q[rows, h.action] + residual)
    assert both[rows, 1 - h.action] == pytest.approx(q[rows, 1 - h.action])


def test_rows_without_weight_are_left_out(trajectories: Trajectories) -> None:
    half = np.arange(len(trajectories)) % 2 == 0
    weighted = PolicyTree(depth=1).fit(trajectories, weights=half * 2.0)
    assert weighted.n_ == half.sum()
    assert sum(leaf.n for leaf in weighted.trees_[0].leaves()) == half.sum()


def test_q_says_what_the_tree_advises(fitted: PolicyTree, trajectories: Trajectories) -> None:
    [h] = trajectories.stages
    q = fitted.q("start", h)
    assert (np.isnan(q) == ~h.feasible).all()
    assert (np.nanargmax(q, axis=1) == fitted.rules_[0](h)).all()


def test_a_deeper_tree_says_what_a_better_one_could_gain(trajectories: Trajectories) -> None:
    [tree] = PolicyTree(depth=3, features=["egfr", "sex"]).fit(trajectories).trees_
    assert not tree.exact
    assert tree.gap > 0
    assert f"a better tree could score at most {tree.gap:.3g} a row more" in str(tree)


def test_an_action_that_nobody_there_could_be_compared_with_has_no_benefit() -> None:
    leaf = Leaf("usual", n=5, n_by_action={"usual": 5})
    assert "better than" not in str(Tree("start", leaf))
    compared = Leaf("usual", benefit=Benefit("glp1", 1.0, 0.5, 0.02, 1.98, 40))
    assert "1 [0.02, 1.98] better than glp1" in str(Tree("start", compared))


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        pytest.param({"depth": -1}, "depth is -1; it must be 0 or more", id="depth"),
        pytest.param({"min_leaf": 0}, "min_leaf is 0; it must be 1 or more", id="leaf"),
        pytest.param({"cost": {"insulin": 1.0}}, "for 'insulin'; costs are numbers, for actions",
                     id="cost"),
        pytest.param({"features": ["hba1c", "bmi"]}, "no stage has a variable bmi", id="feature"),
        pytest.param({"features": {"start": ["bmi"]}}, "stage start has no variable bmi",
                     id="feature of a stage"),
        pytest.param({"features": {"later": []}}, "'later', which is no stage", id="stage"),
        pytest.param({"scores": "best"}, "scores 'best' are unknown", id="scores"),
        pytest.param({"min_leaf": 5000}, "stage start: no action has the evidence", id="too few"),
        pytest.param({"folds": 2000}, "2000 folds of 1500 trajectories", id="folds"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_refused(
    trajectories: Trajectories, parameters: Any, said: str
) -> None:
    with pytest.raises(EstimationError, match=said):
        PolicyTree(**parameters).fit(trajectories)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_missing_and_infinite_values_are_counted_and_refused(wrong: float) -> None:
    t = read(one_stage(300))
    [h] = t.stages
    egfr = np.where(np.arange(300) < 3, wrong, h.columns["egfr"])
    broken = replace(t, stages=(replace(h, columns={**h.columns, "egfr": egfr}),))
    with pytest.raises(EstimationError, match="start: egfr is missing or infinite in 3 rows"):
        PolicyTree().fit(broken)


def test_without_cross_fitting_later_stages_continue_with_the_tree_of_all() -> None:
    t = a_cohort(800, responders=True)
    fitted = PolicyTree(depth=1, folds=1).fit(t)
    first = advised(fitted.rules_[0], t.stages[0])
    mean = fitted.scores_[0][np.arange(len(t)), first].mean()
    assert mean == pytest.approx(dr_value(t, fitted.rules_, n_folds=1).estimate, rel=1e-9)


def test_missing_outcomes_are_counted_and_refused() -> None:
    frame = one_stage(300)
    frame.loc[:6, "y"] = np.nan
    with pytest.raises(EstimationError, match="missing in 7 of 300 rows"):
        PolicyTree().fit(read(frame, missing_outcomes="keep"))
