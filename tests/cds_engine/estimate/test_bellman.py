"""The oracle is right by enumeration, and a saturated learner agrees with it."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from cds_engine.errors import EstimationError
from cds_engine.estimate.bellman import DecisionProblem, ProblemStage, StateRule
from cds_engine.estimate.doubly_robust import dr_value
from cds_engine.estimate.q_learning import QLearning
from cds_engine.estimate.rule import NO_DECISION, advised


def by_hand() -> DecisionProblem:
    """Two stages small enough for a pencil.

    From ``well``, ``wait`` stays well (0.9) and ``act`` costs 1 but is sure to; from ``ill``,
    ``wait`` stays ill and ``act`` costs 2 and cures in half of all cases. At the end well is worth
    10 with ``stop`` and 8 with ``go``, ill 2 and 4.
    """
    return DecisionProblem(
        (
            ProblemStage(
                "first", ("well", "ill"), ("wait", "act"), np.array([[0.0, -1.0], [0.0, -2.0]]),
                np.array([[[0.9, 0.1], [1.0, 0.0]], [[0.0, 1.0], [0.5, 0.5]]]),
            ),
            ProblemStage("last", ("well", "ill"), ("stop", "go"), np.array([[10.0, 8], [2, 4]])),
        ),
        np.array([0.5, 0.5]),
    )  # fmt: skip


def with_limits(seed: int = 3, *, feasible: bool = True) -> DecisionProblem:
    """Three actions, of which one is not feasible in a state, and a state without a decision."""
    rng = np.random.default_rng(seed)
    allowed = np.array([[1, 1, 1], [1, 0 if feasible else 1, 1], [0, 0, 0]], dtype=np.bool_)
    return DecisionProblem(
        (
            ProblemStage("first", ("a", "b"), ("x", "y"), rng.normal(size=(2, 2)),
                         rng.dirichlet(np.ones(3), size=(2, 2))),
            ProblemStage("last", ("u", "v", "w"), ("p", "q", "r"), rng.normal(size=(3, 3)),
                         feasible=allowed, ending=np.array([0.0, 0.0, 0.7])),
        ),
        np.array([0.4, 0.6]),
    )  # fmt: skip


def test_the_recursion_gives_what_a_pencil_gives() -> None:
    solution = by_hand().solve()
    assert solution.v[1].tolist() == [10.0, 4.0]
    assert solution.q[0] == pytest.approx(np.array([[9.4, 9.0], [4.0, 5.0]]))
    assert solution.value == pytest.approx(0.5 * 9.4 + 0.5 * 5.0)
    assert solution.rules[0].action_of == {"well": "wait", "ill": "act"}
    assert solution.rules[1].action_of == {"well": "stop", "ill": "go"}


def every_regime(problem: DecisionProblem) -> list[tuple[StateRule, ...]]:
    stages = []
    for one in problem.stages:
        options: list[list[str | None]] = [
            [a for a, there in zip(one.actions, allowed, strict=True) if there] or [None]
            for allowed in one.allowed
        ]
        stages.append([
            StateRule(f"state_{one.stage}", dict(zip(one.states, chosen, strict=True)))
            for chosen in product(*options)
        ])  # fmt: skip
    return list(product(*stages))


@pytest.mark.parametrize("seed", range(5))
def test_no_regime_is_better_than_the_one_found(seed: int) -> None:
    problem = with_limits(seed)
    solution = problem.solve()
    assert problem.value_of(solution.rules) == pytest.approx(solution.value)
    assert solution.value == pytest.approx(max(map(problem.value_of, every_regime(problem))))


def test_the_value_of_a_regime_is_the_mean_of_what_is_drawn() -> None:
    problem = with_limits()
    t = problem.draw(20_000, noise=0.5, random_state=1)
    rules = every_regime(problem)[7]
    value = dr_value(t, rules)
    assert abs(value.estimate - problem.value_of(rules)) < 3 * value.standard_error
    assert value.standard_error < 0.03


def test_who_has_no_decision_is_drawn_without_an_action() -> None:
    t = with_limits().draw(500, random_state=2)
    last = t.stages[1]
    assert (last.decided == (last.columns["state_last"] != "w")).all()
    assert (last.action[~last.decided] == NO_DECISION).all()
    barred = last.columns["state_last"] == "v"
    assert (last.action[barred] != 1).all()
    assert (~last.feasible[barred, 1]).all()


def test_behaviour_is_followed_among_what_is_feasible() -> None:
    odds = [np.array([[9.0, 1.0], [1.0, 1.0]]), np.ones((3, 3))]
    t = with_limits().draw(20_000, behaviour=odds, random_state=4)
    first = t.stages[0]
    share = (first.action[first.columns["state_first"] == "a"] == 0).mean()
    assert share == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("seed", [3, 4])
def test_saturated_linear_q_learning_finds_the_rules_of_the_oracle(seed: int) -> None:
    problem = with_limits(seed, feasible=False)
    agrees(problem, QLearning(), seed)


def test_q_learning_by_action_finds_the_rules_of_the_oracle_where_not_all_is_feasible() -> None:
    learner = QLearning(model=LinearRegression(), separate=True, compare=False)
    agrees(with_limits(3), learner, 3)


def agrees(problem: DecisionProblem, learner: QLearning, seed: int) -> None:
    solution = problem.solve()
    t = problem.draw(20_000, noise=0.3, random_state=seed)
    learner.fit(t)
    for k, h in enumerate(t.stages):
        assert (advised(learner.rules_[k], h) == advised(solution.rules[k], h)).all()
        states = {label: at for at, label in enumerate(problem.stages[k].states)}
        places = [states[one] for one in h.columns[f"state_{h.spec.stage}"][h.decided]]
        difference = learner.q(k, h)[h.decided] - solution.q[k][places]
        assert np.nanmax(np.abs(difference)) < 0.05


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"start": np.array([0.5, 0.6])}, "start must hold one probability", id="sum"),
        pytest.param({"stages": ()}, "at least one stage", id="none"),
        pytest.param({"stages": (by_hand().stages[1], by_hand().stages[1])},
                     "stage last: every stage but the last needs transitions", id="transitions"),
        pytest.param({"stages": (by_hand().stages[0],)}, "stage first: .* the last none", id="end"),
    ],
)  # fmt: skip
def test_a_problem_that_does_not_fit_is_refused(change: Any, said: str) -> None:
    with pytest.raises(EstimationError, match=said):
        replace(by_hand(), **change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"reward": np.ones((2, 3))}, "reward and feasible must have", id="reward"),
        pytest.param({"ending": np.ones(3)}, "ending must hold one number", id="ending"),
        pytest.param({"transition": np.ones((2, 2, 3)) / 3}, "transitions must have", id="shape"),
        pytest.param({"transition": np.ones((2, 2, 2))}, "transitions must sum to 1", id="odds"),
    ],
)
def test_a_stage_that_does_not_fit_is_refused(change: Any, said: str) -> None:
    first, last = by_hand().stages
    with pytest.raises(EstimationError, match=f"stage first: {said}"):
        DecisionProblem((replace(first, **change), last), np.array([0.5, 0.5]))


def test_a_regime_that_does_not_fit_is_refused() -> None:
    problem = with_limits()
    first, last = problem.solve().rules
    wrong = StateRule(last.variable, {**last.action_of, "v": "q"})
    with pytest.raises(EstimationError, match="stage last: the rule advises 'q' in state 'v'"):
        problem.value_of((first, wrong))
    with pytest.raises(EstimationError, match="has 1 rules, the problem 2 stages"):
        problem.value_of((first,))
