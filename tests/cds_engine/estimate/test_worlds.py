"""Values on the simulated worlds, whose truth is known from potential outcomes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from cds_engine.estimate.crude import crude_difference
from cds_engine.estimate.doubly_robust import dr_value
from cds_engine.estimate.g_formula import g_formula_value
from cds_engine.estimate.ipw import ipw_value
from cds_engine.estimate.layout import Better
from cds_engine.estimate.rule import Always, ByLabel, Rules
from cds_engine.estimate.stage import HistorySpec
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.simulate import WORLDS, World

PRODUCTS = make_pipeline(PolynomialFeatures(2), LinearRegression())
"""What a drug does depends on the step before; plain sums of the history do not carry that."""


def drawn(world: World, n: int, seed: int = 5) -> Trajectories:
    specs = [
        HistorySpec(stage=s.name, variables=s.variables, actions=s.actions, columns=dict(s.columns),
                    feasible=dict(s.feasible), when=s.decides, randomised=s.randomised)
        for s in world.stages
    ]  # fmt: skip
    return Trajectories.from_wide(
        world.draw(n, seed).frame(), specs, outcome="outcome", better=better(world),
        unit=world.aim.unit,
    )  # fmt: skip


def better(world: World) -> Better:
    return "lower" if world.aim.better == "lower" else "higher"


def same_rule(world: World, *actions: str) -> Rules:
    """Return the world's fixed regime as stage rules."""
    return [Always(action, (s.otherwise,) if s.otherwise else s.actions)
            for action, s in zip(actions, world.stages, strict=True)]  # fmt: skip


@pytest.mark.parametrize("actions", [("add_ace", "add_ccb"), ("keep", "keep"), ("add_ace", "keep")])
def test_hypertension_values_are_right_where_the_crude_difference_is_not(
    actions: tuple[str, str],
) -> None:
    world = WORLDS["hypertension-cohort"]()
    t = drawn(world, 6000)
    rules = same_rule(world, *actions)
    wanted = world.exact(*actions)
    for value in (
        ipw_value(t, rules), dr_value(t, rules),
        g_formula_value(t, rules, outcome=PRODUCTS, n_bootstrap=15),
        g_formula_value(t, rules, method="monte_carlo", n_bootstrap=10),
    ):  # fmt: skip
        assert abs(value.estimate - wanted) < 3 * value.standard_error, value.method


def test_intensifying_looks_harmful_and_is_not() -> None:
    world = WORLDS["hypertension-cohort"]()
    t = drawn(world, 6000)
    more, none = (dr_value(t, same_rule(world, *a)) for a in (("add_ace", "add_ccb"),
                                                              ("keep", "keep")))  # fmt: skip
    effect = more.minus(none)
    wanted = world.exact("add_ace", "add_ccb") - world.exact("keep", "keep")
    assert wanted < 0
    assert abs(effect.estimate - wanted) < 3 * effect.standard_error
    crude = crude_difference(t, "three_months", "add_ace", "keep")
    assert crude.low > wanted + 1


def test_a_tailored_rule_has_the_value_of_its_potential_outcomes() -> None:
    world = WORLDS["hypertension-cohort"]()

    def first(h: Mapping[str, Any]) -> np.ndarray:
        return np.where((h["sbp"] >= 140) & (h["potassium"] <= 5.5), "add_ace", "keep")

    def second(h: Mapping[str, Any]) -> np.ndarray:
        return np.where(h["sbp"] >= 140, "add_ccb", "keep")

    truth = world.value((first, second))
    value = dr_value(drawn(world, 8000), (ByLabel(first), ByLabel(second)))
    apart = np.hypot(value.standard_error, truth.standard_error)
    assert abs(value.estimate - truth.value) < 3 * apart


@pytest.mark.parametrize("action", ["sglt2i", "dpp4i", "sulfonylurea"])
def test_three_actions_with_contraindications(action: str) -> None:
    world = WORLDS["diabetes-cohort"]()
    t = drawn(world, 8000)
    for value in (dr_value(t, same_rule(world, action)), ipw_value(t, same_rule(world, action))):
        assert abs(value.estimate - world.exact(action)) < 3 * value.standard_error


@pytest.mark.parametrize("name", ["activity-smart", "depression-smart"])
def test_embedded_regimes_of_a_trial_use_its_known_probabilities(name: str) -> None:
    world = WORLDS[name]()
    t = drawn(world, 4000)
    actions = (world.stages[0].actions[0], world.stages[1].actions[0])
    wanted = world.value(world.fixed(*actions))
    for value in (
        dr_value(t, same_rule(world, *actions)),
        ipw_value(t, same_rule(world, *actions)),
    ):
        apart = np.hypot(value.standard_error, wanted.standard_error)
        assert abs(value.estimate - wanted.value) < 3 * apart
    assert value.weights is not None
    assert value.weights.largest == pytest.approx(4)
