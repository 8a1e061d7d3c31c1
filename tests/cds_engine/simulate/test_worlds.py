"""Every world keeps the same promises: known noise, known lots, feasible actions, one table."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.worlds import a_world_bundle, can, decides

from cds_engine.decide.scalar import complete
from cds_engine.simulate import WORLDS, SimulationError, World
from cds_engine.simulate.noise import BLOCK, Floats
from cds_engine.simulate.world import Array, Columns, Rule

NAMES = sorted(WORLDS)
N = 20_000


@pytest.fixture(params=NAMES)
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]()


def fixed_regimes(world: World) -> list[tuple[str, ...]]:
    """All sequences of actions, of those that can follow each other."""
    named = list(product(*[stage.actions for stage in world.stages]))
    if world.name == "activity-smart":
        named = [("coaching", "gym"), ("coaching", "interview"), ("classes", "kit"),
                 ("classes", "trainer")]  # fmt: skip
    return named


def test_a_patient_does_not_depend_on_how_many_are_drawn(world: World) -> None:
    few, many = world.draw(10, 7), world.draw(BLOCK + 50, 7)
    for name, values in few.columns.items():
        np.testing.assert_array_equal(values, many.columns[name][:10])


def test_a_part_of_the_patients_can_be_drawn_alone(world: World) -> None:
    whole, part = world.draw(BLOCK + 20, 7), world.draw(30, 7, first=BLOCK - 10)
    assert part.ids.tolist() == whole.ids[BLOCK - 10 :].tolist()
    for name, values in part.columns.items():
        np.testing.assert_array_equal(values, whole.columns[name][BLOCK - 10 :])


def test_the_parts_are_the_whole(world: World) -> None:
    together = pd.concat([part.frame() for part in world.parts(250, 3, size=100)])
    pd.testing.assert_frame_equal(together.reset_index(drop=True), world.draw(250, 3).frame())


def test_the_seed_makes_the_patients(world: World) -> None:
    assert world.draw(50, 1).frame().equals(world.draw(50, 1).frame())
    assert not world.draw(50, 1).frame().equals(world.draw(50, 2).frame())


def test_worlds_share_no_noise() -> None:
    first = [WORLDS[name]().draw(5, 1).noise["age"].tolist() for name in NAMES]
    assert len({tuple(values) for values in first}) == len(NAMES)


def test_the_table_has_the_columns_that_the_stages_name(world: World) -> None:
    frame = world.draw(40, 1).frame()
    assert frame.columns[0] == "id"
    assert frame["id"].is_unique
    assert frame.columns[-1] == "outcome"
    for stage in world.stages:
        assert set(stage.columns) == set(stage.variables)
        assert {*stage.columns.values(), stage.action} <= set(frame.columns)
    assert not frame.drop(columns=[s.action for s in world.stages]).isna().any(axis=None)


def test_an_action_is_none_exactly_where_there_is_no_decision(world: World) -> None:
    data = world.draw(500, 2)
    frame = data.frame()
    for stage in world.stages:
        decided = world.feasible(stage.name, data.history(stage.name)).any(axis=1)
        taken = frame[stage.action].to_list()
        assert [one is not None for one in taken] == decided.tolist()
        assert {one for one in taken if one is not None} == set(stage.actions)


def test_numbers_are_rounded_as_the_vocabulary_declares(world: World) -> None:
    frame = world.draw(300, 2).frame()
    for visit in world.visits:
        for variable, column in visit.readings.items():
            document = world.variables[variable]
            low, high = document["plausible"]
            values = frame[column]
            assert (values == values.round(document["digits"])).all()
            assert values.between(low, high).all()


def test_a_stage_knows_nothing_that_comes_later(world: World) -> None:
    data = world.draw(5, 1)
    for stage in world.stages:
        known = data.history(stage.name)
        assert set(stage.variables) <= set(known)
        assert "outcome" not in known
        assert stage.action not in known


def test_the_actions_taken_are_feasible(world: World) -> None:
    data = world.draw(N, 5)
    for stage in world.stages:
        possible = world.feasible(stage.name, data.history(stage.name))
        for place, action in enumerate(stage.actions):
            assert possible[data.columns[stage.action] == action, place].all()


def test_feasible_and_decided_are_what_the_criteria_say(world: World) -> None:
    """The words that a rule bundle will use and the arrays that the world uses agree."""
    bundle = a_world_bundle(world)
    data = world.draw(300, 6)
    for stage in world.stages:
        known = data.history(stage.name)
        possible = world.feasible(stage.name, known)
        for row in range(data.n):
            state = dict.fromkeys(bundle.base_variables) | {
                name: known[name][row] for name in stage.variables
                if name in bundle.base_variables
            }  # fmt: skip
            values = complete(bundle, {k: _plain(v) for k, v in state.items()})
            decided = values[decides(stage.name)]
            assert possible[row].any() == decided
            for place, action in enumerate(stage.actions):
                allowed = action not in stage.feasible or values[can(stage.name, action)]
                assert possible[row, place] == (decided and allowed)


def _plain(value: object) -> float | str | bool | None:
    if isinstance(value, str | None):
        return value
    return bool(value) if isinstance(value, np.bool_) else float(value)  # type: ignore[arg-type]


def test_the_criteria_bite(world: World) -> None:
    """Somebody can have each action, and somebody cannot have each restricted one."""
    data = world.draw(N, 6)
    for stage in world.stages:
        possible = world.feasible(stage.name, data.history(stage.name))
        decided = possible.any(axis=1)
        for place, action in enumerate(stage.actions):
            assert possible[:, place].any()
            assert (possible[decided, place].all()) == (action not in stage.feasible)


def test_the_propensities_are_those_of_the_lots(world: World) -> None:
    data = world.draw(N, 8)
    for stage in world.stages:
        known = data.history(stage.name)
        share = world.propensity(stage.name, known)
        possible = world.feasible(stage.name, known)
        decided = possible.any(axis=1)
        np.testing.assert_allclose(share.sum(axis=1), decided, atol=1e-12)
        assert not share[~possible].any()
        for place, action in enumerate(stage.actions):
            surprise = (data.columns[stage.action] == action) - share[:, place]
            for weight in (np.ones(N), *(_standard(known[v]) for v in stage.variables)):
                error = np.std(surprise * weight) / np.sqrt(N)
                assert abs(np.mean(surprise * weight)) < 4 * error + 1e-12


def _standard(values: Array) -> Floats:
    if values.dtype == object:
        return np.asarray(values == values[0], dtype=np.float64)
    numbers = values.astype(float)
    return np.asarray((numbers - numbers.mean()) / numbers.std())


def test_whoever_followed_a_regime_has_its_potential_outcome(world: World) -> None:
    data = world.draw(2000, 9)
    for actions in fixed_regimes(world):
        under = data.under(world.fixed(*actions))
        followed = np.all([under[s.action] == data.columns[s.action] for s in world.stages], axis=0)
        assert 20 < followed.sum() < data.n
        outcomes = data.potential(world.fixed(*actions))
        np.testing.assert_array_equal(outcomes[followed], data.outcome[followed])
        assert (outcomes != data.outcome).any()


def test_the_value_of_every_fixed_regime_is_the_closed_form(world: World) -> None:
    for number, actions in enumerate(fixed_regimes(world)):
        value, error = world.value(world.fixed(*actions), n=60_000, seed=100 + number)
        assert abs(value - world.exact(*actions)) < 3 * error
        assert error < 0.01 * abs(value)


def test_the_true_propensities_weigh_usual_care_into_every_fixed_regime(world: World) -> None:
    """Inverse probability weighting by hand; the closed form is the truth."""
    data = world.draw(60_000, 11)
    for actions in fixed_regimes(world):
        weights = np.ones(data.n)
        for stage, rule in zip(world.stages, world.fixed(*actions), strict=True):
            known = data.history(stage.name)
            share = world.propensity(stage.name, known)
            named = np.asarray(rule(known))
            chance = sum(share[:, k] * (named == a) for k, a in enumerate(stage.actions))
            taken = data.columns[stage.action]
            free = np.array([one is None for one in taken])
            weights *= np.where(free, 1.0, (taken == named) / np.where(chance > 0, chance, 1.0))
        mean = np.sum(weights * data.outcome) / weights.sum()
        error = np.std(weights * (data.outcome - mean)) / np.sqrt(data.n)
        assert abs(mean - world.exact(*actions)) < 3 * error


def test_the_optimal_regime_beats_the_best_fixed_one_and_usual_care(world: World) -> None:
    data = world.draw(50_000, 12)
    sign = 1 if world.aim.better == "higher" else -1
    best = data.potential(world.optimal(n=10).regime)
    others = [data.potential(world.fixed(*actions)) for actions in fixed_regimes(world)]
    for other in [*others, data.outcome]:
        gain = sign * (best - other)
        assert gain.mean() > 5 * gain.std() / np.sqrt(data.n)


def test_no_other_action_does_better_where_the_optimal_regime_chose(world: World) -> None:
    """At each stage, for whoever gets a from d*, a then d* is better than b then d*."""
    data = world.draw(50_000, 13)
    sign = 1 if world.aim.better == "higher" else -1
    best = world.optimal(n=10).regime
    under = data.under(best)
    for k, stage in enumerate(world.stages):
        for other in stage.actions:
            instead = list(best)
            instead[k] = _where_possible(world, k, best, other)
            changed = data.under(instead)
            for action in stage.actions:
                rows = (under[stage.action] == action) & (changed[stage.action] == other)
                gain = sign * (under["outcome"] - changed["outcome"])[rows]
                if action != other and rows.sum() > 100:
                    assert gain.mean() > -2 * gain.std() / np.sqrt(len(gain))


def _where_possible(world: World, k: int, best: tuple[Rule, ...], other: str) -> Rule:
    place = world.stages[k].actions.index(other)

    def rule(h: Columns) -> Array:
        return np.where(world.feasible(k, h)[:, place], other, best[k](h))

    return rule


def test_the_optimal_value_is_that_of_its_regime(world: World) -> None:
    regime, value, error = world.optimal(n=4000, seed=3)
    assert (value, error) == world.value(regime, n=4000, seed=3)


def test_usual_care_is_the_mean_of_what_happened(world: World) -> None:
    value, error = world.usual_care(n=1000, seed=4)
    outcome = world.draw(1000, 4).outcome
    assert value == outcome.mean()
    assert error == pytest.approx(outcome.std(ddof=1) / np.sqrt(1000))


def test_rules_go_by_the_names_of_the_stages_too(world: World) -> None:
    data = world.draw(100, 1)
    regime = world.optimal(n=10).regime
    named = dict(zip([s.name for s in world.stages], regime, strict=True))
    np.testing.assert_array_equal(data.potential(named), data.potential(regime))


def test_every_code_has_a_display(world: World) -> None:
    used = {code for one in world.variables.values() for code in one.get("codes", ())}
    used |= {code for one in world.actions.values() for code in one.get("seen_as", ())}
    used |= {one["order"]["code"] for one in world.actions.values() if "order" in one}
    assert used == set(world.codes)
    assert all(world.codes.values())


def test_the_stages_and_visits_fit_each_other(world: World) -> None:
    weeks = {visit.stage: visit.week for visit in world.visits if visit.stage}
    assert weeks == {stage.name: stage.week for stage in world.stages}
    assert world.visits[-1].readings == {world.aim.outcome: "outcome"}


def test_a_rule_that_gives_what_is_not_feasible_is_refused_with_stage_and_count() -> None:
    world = WORLDS["diabetes-cohort"]()
    data = world.draw(500, 1)
    wrong = int((data.columns["egfr"] < 30).sum())
    assert wrong
    words = f"stage second_line gives {wrong} of 500 patients no feasible action; choose among"
    with pytest.raises(SimulationError, match=words):
        data.potential([lambda h: np.full(len(h["age"]), "sglt2i")])


@pytest.mark.parametrize(
    ("regime", "words"),
    [
        pytest.param([lambda _: "keep", lambda _: "keep"], r"returned shape \(\) for 20 patients",
                     id="no array"),
        pytest.param([lambda h: h["sbp"]], "has 1 rules for 2 stages; give one for each of "
                     "three_months, six_months", id="too few"),
        pytest.param({"three_months": None, "end": None},
                     "has rules for three_months, end, but the stages are three_months, six_months",
                     id="a stage that there is not"),
        pytest.param([lambda _: np.full(20, None)] * 2, "gives 20 of 20 patients no feasible",
                     id="no action at all"),
    ],
)  # fmt: skip
def test_a_regime_that_does_not_fit_is_refused(regime: Any, words: str) -> None:
    data = WORLDS["hypertension-cohort"]().draw(20, 1)
    with pytest.raises(SimulationError, match=words):
        data.potential(regime)


def test_what_a_world_does_not_hold_is_refused_by_name() -> None:
    world = WORLDS["hypertension-cohort"]()
    with pytest.raises(SimulationError, match="0 patients from number 0 cannot be drawn"):
        world.draw(0)
    with pytest.raises(SimulationError, match="1 actions were given for 2 stages; give one for"):
        world.fixed("keep")
    with pytest.raises(SimulationError, match="three_months has no action 'gym'; it has add_ace"):
        world.fixed("gym", "keep")
    with pytest.raises(SimulationError, match="there is no stage 'later'; there are three_months"):
        world.propensity("later", {})
    with pytest.raises(SimulationError, match="trainer does not follow coaching; use gym or"):
        WORLDS["activity-smart"]().exact("coaching", "trainer")
