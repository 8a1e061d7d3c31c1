"""A rule bundle of a simulated world: its vocabulary, catalogue, stages, and the plainest rules."""

from typing import Any

from builders.records import files_of

from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.simulate import Stage, World

Json = dict[str, Any]


def can(stage: str, action: str) -> str:
    """Name the derived variable that says whether an action is feasible at a stage."""
    return f"can_{stage}_{action}"


def decides(stage: str) -> str:
    """Name the derived variable that says who has a decision at a stage."""
    return f"decides_{stage}"


def a_world_bundle(world: World) -> RuleBundle:
    """Return the regime that takes the first feasible action of each stage."""
    variables: Json = dict(world.variables)
    for stage in world.stages:
        variables[decides(stage.name)] = {"derive": stage.decides or "age >= 0"}
        for action, criterion in stage.feasible.items():
            variables[can(stage.name, action)] = {"derive": criterion}
    document = {
        "regime": world.name,
        "version": "1.0.0",
        "title": world.title,
        "population": world.population,
        "aim": {name: getattr(world.aim, name) for name in ("outcome", "at", "unit", "better")},
        "variables": variables,
        "actions": dict(world.actions),
        "stages": [_stage(stage) for stage in world.stages],
    }  # fmt: skip
    return read_bundle(files_of(document))


def _stage(stage: Stage) -> Json:
    first = next((a for a in stage.actions if a not in stage.feasible), stage.actions[-1])
    restricted = [action for action in stage.actions if action in stage.feasible]
    return {
        "stage": stage.name,
        "when": f"({stage.when}) and {decides(stage.name)}",
        "choose": list(dict.fromkeys([*restricted, first])),
        "rule": [
            *({"when": can(stage.name, action), "then": action, "because": "It is feasible."}
              for action in restricted if action != first),
            {"otherwise": first, "because": "Nothing else is feasible."},
        ],
    }  # fmt: skip
