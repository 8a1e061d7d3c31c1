"""Worlds with known truth: the value of every regime is known, and the records tell the table.

>>> world = WORLDS["hypertension-cohort"]()
>>> data = world.draw(100, seed=1)
>>> sorted(data.columns)[:3]
['action_six_months', 'action_three_months', 'age']
>>> data.potential(world.fixed("add_ace", "keep")).shape
(100,)
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from cds_engine.simulate.activity import ActivityParameters, ActivitySmart
from cds_engine.simulate.depression import DepressionParameters, DepressionSmart
from cds_engine.simulate.diabetes import DiabetesCohort, DiabetesParameters
from cds_engine.simulate.hypertension import HypertensionCohort, HypertensionParameters
from cds_engine.simulate.stage import Aim, Stage, Visit
from cds_engine.simulate.world import (
    Draw,
    Optimal,
    Regime,
    Rule,
    SimulationError,
    Value,
    World,
)

__all__ = [
    "WORLDS",
    "ActivityParameters",
    "ActivitySmart",
    "Aim",
    "DepressionParameters",
    "DepressionSmart",
    "DiabetesCohort",
    "DiabetesParameters",
    "Draw",
    "HypertensionCohort",
    "HypertensionParameters",
    "Optimal",
    "Regime",
    "Rule",
    "SimulationError",
    "Stage",
    "Value",
    "Visit",
    "World",
]

WORLDS: Mapping[str, Callable[[], World]] = MappingProxyType(
    {
        ActivitySmart.name: ActivitySmart,
        DepressionSmart.name: DepressionSmart,
        DiabetesCohort.name: DiabetesCohort,
        HypertensionCohort.name: HypertensionCohort,
    }
)
"""Name of a world -> how to make it with its own parameters."""
