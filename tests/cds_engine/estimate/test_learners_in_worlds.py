"""In worlds whose truth is known, a learned regime is worth nearly as much as the best one."""

from typing import Any

import numpy as np
import pytest

from cds_engine.estimate.a_learning import ALearning
from cds_engine.estimate.columns import plain
from cds_engine.estimate.dwols import DWOLS
from cds_engine.estimate.q_learning import QLearning
from cds_engine.estimate.stage import HistorySpec, StageData
from cds_engine.estimate.trajectories import Better, Trajectories
from cds_engine.simulate import WORLDS, Stage, World

N = 20_000
FIXED = {"depression-smart": ("sertraline", "augment"), "hypertension-cohort": ("add_ace", "keep")}
"""World -> a fixed regime that is not a bad one."""


def the_specs(world: World) -> list[HistorySpec]:
    """Return the world's stages as they are fitted."""
    return [
        HistorySpec(
            stage=stage.name, variables=tuple(stage.variables), actions=stage.actions,
            feasible=dict(stage.feasible), when=stage.decides, columns=dict(stage.columns),
            randomised=stage.randomised,
        )
        for stage in world.stages
    ]  # fmt: skip


def as_rule(world: World, stage: Stage, spec: HistorySpec, rule: Any) -> Any:
    """Return a learned rule as the world takes rules: from columns to labels."""

    def labels(columns: Any) -> Any:
        held = {name: plain(np.asarray(columns[name])) for name in spec.variables}
        n = len(next(iter(held.values())))
        feasible = world.feasible(stage.name, columns)
        decided = np.asarray(feasible.any(axis=1), dtype=np.bool_)
        h = StageData(spec=spec, columns=held, decided=decided, reward=np.zeros(n),
                      action=np.where(decided, 0, -1), feasible=feasible)  # fmt: skip
        return np.array([*spec.actions, None], dtype=object)[rule(h)]

    return labels


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("kind", [QLearning, ALearning, DWOLS])
def test_a_learned_regime_comes_close_to_the_best(name: str, kind: Any) -> None:
    world = WORLDS[name]()
    specs = the_specs(world)
    better: Better = "lower" if world.aim.better == "lower" else "higher"
    t = Trajectories.from_wide(world.draw(N, 3).frame(), specs, outcome="outcome", better=better)
    learner = kind(warn_above=1) if kind is QLearning else kind()
    rules = learner.fit(t).rules_
    regime = [as_rule(world, *parts) for parts in zip(world.stages, specs, rules, strict=True)]
    found, best = world.value(regime, 50_000), world.optimal(50_000)
    fixed = world.value(world.fixed(*FIXED[name]), 50_000)
    gain, most = t.sign * (found.value - fixed.value), t.sign * (best.value - fixed.value)
    assert most > 0, "else there would be nothing to learn"
    assert 0.9 * most <= gain <= most + 1e-6
