"""A-learning and dWOLS find the blip if either of two models is right, and not if neither is."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from builders.trials import SMART_MAIN, SMART_TAILORING, stage_data, the_smart, trajectories

from cds_engine.errors import EstimationError
from cds_engine.estimate.a_learning import ALearning
from cds_engine.estimate.dwols import DWOLS
from cds_engine.estimate.propensity import fit_propensity
from cds_engine.estimate.q_learning import QLearning
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.trajectories import Trajectories

PSI = np.array([[0.5, -1.0], [1.0, 0.5]])
"""Of ``b`` and of ``c`` on (1, x)."""


def confounded(n: int, seed: int, *, sets: bool = False) -> Trajectories:
    """Return one stage with three actions whose probabilities depend on x and z, and are known.

    E[Y | H, A] = exp(x) + 2 z + A's blip. With sets, ``c`` is not feasible where z > 0.5.
    """
    rng = np.random.default_rng(seed)
    x, z = rng.uniform(-1.5, 1.5, n), rng.standard_normal(n)
    feasible = np.ones((n, 3), dtype=np.bool_)
    if sets:
        feasible[:, 2] = z <= 0.5
    odds = np.exp(np.column_stack([np.zeros(n), 0.8 * x + 0.5 * z, -0.6 * x])) * feasible
    pi = odds / odds.sum(axis=1, keepdims=True)
    action = (rng.random(n)[:, None] > pi.cumsum(axis=1)).sum(axis=1)
    blip = np.vstack([np.zeros(2), PSI])[action]
    y = np.exp(x) + 2 * z + blip[:, 0] + blip[:, 1] * x + 0.5 * rng.standard_normal(n)
    spec = HistorySpec(stage="only", variables=("x", "z", "ex"), actions=("a", "b", "c"))
    columns = {"x": x, "z": z, "ex": np.exp(x)}
    return trajectories(
        stage_data(spec, columns, action, feasible=feasible, propensity=pi), outcome=y
    )


RIGHT, WRONG = ("x", "z", "ex"), ("x",)
LEARNERS = pytest.mark.parametrize("kind", [ALearning, DWOLS])


def psi_of(learner: Any, t: Trajectories) -> Any:
    return learner.fit(t).stages_[0].coefficients[-4:].reshape(2, 2)


def without_choice_model(t: Trajectories) -> Trajectories:
    """Return the trajectories with wrong propensities: equal shares of what is feasible."""
    h = t.stages[0]
    share = h.feasible / h.feasible.sum(axis=1, keepdims=True)
    return replace(t, stages=(replace(h, propensity=share),))


@LEARNERS
@pytest.mark.parametrize("sets", [False, True], ids=["all feasible", "feasible sets"])
@pytest.mark.parametrize("right", ["propensity", "treatment-free"])
def test_one_right_model_is_enough(kind: Any, sets: bool, right: str) -> None:
    t = confounded(40_000, 1, sets=sets)
    if right == "treatment-free":
        found = psi_of(kind(main=RIGHT, tailoring=("x",)), without_choice_model(t))
    else:
        found = psi_of(kind(main=WRONG, tailoring=("x",)), t)
    # 4 standard errors: residuals spread by 2.2 where z is left out, 1 / sqrt(n of an arm) = 0.01
    assert found == pytest.approx(PSI, abs=0.1 if right == "propensity" else 0.03)


@LEARNERS
def test_two_wrong_models_are_not(kind: Any) -> None:
    t = without_choice_model(confounded(40_000, 1))
    found = psi_of(kind(main=WRONG, tailoring=("x",)), t)
    assert np.abs(found - PSI).max() > 0.3


def test_q_learning_with_the_wrong_model_is_not_enough_either() -> None:
    found = psi_of(QLearning(main=WRONG, tailoring=("x",)), confounded(40_000, 1))
    assert np.abs(found - PSI).max() > 0.3


@LEARNERS
def test_propensities_are_estimated_where_they_are_not_known(kind: Any) -> None:
    t = confounded(40_000, 2)
    h = replace(t.stages[0], propensity=None)
    cohort = replace(t, stages=(h,))
    learner = kind(main=WRONG, tailoring=("x",))
    assert psi_of(learner, cohort) == pytest.approx(PSI, abs=0.1)
    assert learner.propensities_[0] == pytest.approx(fit_propensity(h), abs=1e-9)


def two_actions(n: int = 400) -> Trajectories:
    t = confounded(n * 2, 3)
    t = t.take(t.stages[0].action < 2)
    h = t.stages[0]
    pi = h.propensity[:, :2] / h.propensity[:, :2].sum(axis=1, keepdims=True)  # type: ignore[index]
    spec = replace(h.spec, actions=("a", "b"))
    return replace(t, stages=(replace(h, spec=spec, feasible=h.feasible[:, :2], propensity=pi),))


def test_for_two_actions_dwols_is_weighted_least_squares() -> None:
    t = two_actions()
    h = t.stages[0]
    assert h.propensity is not None
    A, pi, x, z = h.action, h.propensity[:, 1], h.columns["x"], h.columns["z"]
    X = np.column_stack([np.ones(len(t)), x, z, A, A * x])
    direct = sm.WLS(t.outcome, X, np.abs(A - pi)).fit().params
    found = DWOLS(main=("x", "z"), tailoring=("x",)).fit(t)
    assert found.stages_[0].coefficients == pytest.approx(direct, rel=1e-6)


def test_for_two_actions_a_learning_solves_its_estimating_equations() -> None:
    t = two_actions()
    h = t.stages[0]
    assert h.propensity is not None
    A, pi, x, z = h.action, h.propensity[:, 1], h.columns["x"], h.columns["z"]
    one = np.ones(len(t))
    X = np.column_stack([one, x, z, A, A * x])
    Z = np.column_stack([one, x, z, A - pi, (A - pi) * x])
    direct = np.linalg.solve(Z.T @ X, Z.T @ t.outcome)
    found = ALearning(main=("x", "z"), tailoring=("x",)).fit(t)
    assert found.stages_[0].coefficients == pytest.approx(direct, rel=1e-6)


@LEARNERS
def test_a_weight_is_a_number_of_copies(kind: Any) -> None:
    t = the_smart(400, 4)
    counts = np.random.default_rng(1).integers(0, 3, 400)
    weighted = kind(main=SMART_MAIN, tailoring=SMART_TAILORING).fit(t, counts.astype(float))
    copies = t.take(np.repeat(np.arange(400), counts))
    repeated = kind(main=SMART_MAIN, tailoring=SMART_TAILORING).fit(copies)
    for one, other in zip(weighted.stages_, repeated.stages_, strict=True):
        assert one.coefficients == pytest.approx(other.coefficients, rel=1e-8)


@LEARNERS
def test_regret_is_carried_back_over_feasible_actions_and_past_responders(kind: Any) -> None:
    t = the_smart(500, 5)
    start, later = t.stages
    found = kind(main=SMART_MAIN, tailoring=SMART_TAILORING).fit(t)
    blips = found.blips("later", later)
    d, rows = later.decided, np.arange(500)
    regret = np.nanmax(blips[d], axis=1) - blips[rows[d], later.action[d]]
    carried = t.outcome.copy()
    carried[d] += regret
    alone = kind(main=SMART_MAIN, tailoring=SMART_TAILORING).fit(
        replace(t, stages=(start,), outcome=carried))  # fmt: skip
    assert found.stages_[0].coefficients == pytest.approx(alone.stages_[0].coefficients, rel=1e-8)
    assert (regret >= 0).all()


@LEARNERS
def test_in_a_smart_it_finds_the_truth(kind: Any) -> None:
    found = kind(main=SMART_MAIN, tailoring=SMART_TAILORING).fit(the_smart(20_000, 6))
    later = dict(zip(found.stages_[1].names, found.stages_[1].coefficients, strict=True))
    truth = {"more": -0.3, "more:x2": 1.0, "intense": 0.4, "intense:x2": -0.5}
    assert {name: later[name] for name in truth} == pytest.approx(truth, abs=4 / np.sqrt(3600))


def test_dwols_without_the_blips_terms_is_refused() -> None:
    with pytest.raises(EstimationError, match=r"stage only: 1 tailoring terms are not in the treat"
                       r"ment-free model \(x\), without which dWOLS"):  # fmt: skip
        DWOLS(main=("z",), tailoring=("x",)).fit(confounded(200, 7))
    assert ALearning(main=("z",), tailoring=("x",)).fit(confounded(200, 7)).n_ == 200


@LEARNERS
def test_a_constant_is_refused_by_name(kind: Any) -> None:
    t = confounded(200, 8)
    h = t.stages[0]
    flat = replace(h, columns={**h.columns, "z": np.ones(200)})
    with pytest.raises(EstimationError, match="stage only: z is constant in all 200 rows"):
        kind(main=("x", "z"), tailoring=("x",)).fit(replace(t, stages=(flat,)))


@LEARNERS
def test_a_missing_value_is_refused_by_name(kind: Any) -> None:
    t = confounded(200, 8)
    h = t.stages[0]
    gone = replace(h, columns={**h.columns, "x": np.where(np.arange(200) < 3, np.nan, 0.1)})
    with pytest.raises(
        EstimationError, match="stage only: x, b:x, c:x are missing or infinite in 3"
    ):
        kind(main=("x",), tailoring=("x",)).fit(replace(t, stages=(gone,)))


@LEARNERS
def test_without_a_choice_nothing_is_learned(kind: Any) -> None:
    t = confounded(200, 9)
    h = t.stages[0]
    only = np.eye(3, dtype=np.bool_)[h.action]
    forced = replace(h, feasible=only, propensity=only.astype(float))
    with pytest.raises(
        EstimationError, match=r"unidentified \(0 of 200 rows had a choice, 7 coeff"
    ):
        kind(
            main=("x", "z"), tailoring=("x",)).fit(replace(t, stages=(forced,)))  # fmt: skip
