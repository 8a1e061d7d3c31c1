"""Decision points of a simulated cohort, made without records, and what would be true of it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from builders.replays import bundle_files

from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.decide.table import Column, Table, decide_table
from cds_engine.decide.table.decisions import TableDecisions
from cds_engine.estimate.columns import as_column, plain
from cds_engine.simulate.hypertension import HypertensionCohort, HypertensionParameters
from cds_engine.simulate.world import Array, Columns, Draw, Rule

WEEKS = {"three_months": 13.0, "six_months": 26.0}
START = pd.Timestamp("2024-03-01T09:00:00Z")
REGIME = "hypertension-intensification"


class Truth(NamedTuple):
    """Mean outcomes of very many patients: under the version, as it was, and the difference."""

    version: float
    usual: float
    difference: float


def intensification(texts: Mapping[str, str] = MappingProxyType({})) -> RuleBundle:
    """Return the bundle that ships, or a version of it in which texts are replaced."""
    text = dict(bundle_files(REGIME))["bundle.yaml"].decode()
    if texts:
        text = text.replace("version: 1.0.0", "version: 1.1.0", 1)
    for old, new in texts.items():
        assert old in text
        text = text.replace(old, new)
    return read_bundle({"bundle.yaml": text.encode()})


def a_world(hidden: float = 0.0) -> HypertensionCohort:
    """Return the world, in which clinicians may see what no record holds."""
    return HypertensionCohort(HypertensionParameters(hidden=hidden))


def decided(bundle: RuleBundle, stage: str, h: Mapping[str, Any]) -> TableDecisions:
    """Return what a bundle says at a stage to the histories of the world."""
    return decide_table(bundle, _table(bundle, stage, h))


def points_of(draw: Draw, bundle: RuleBundle, against: RuleBundle | None = None) -> pd.DataFrame:
    """Return the decision-point table of a draw, as a replay of its records would hold it."""
    parts = []
    for k, stage in enumerate(draw.world.stages):
        h = dict(draw.history(stage.name))
        rows = _keys(draw, k) | _variables(bundle, stage.name, h)
        rows |= _said("decision", decided(bundle, stage.name, h))
        if against is not None:
            rows |= _said("against", decided(against, stage.name, h))
        taken = draw.columns[stage.action]
        rows |= {
            "taken.action": taken, "taken.state": np.where(taken == "keep", "unchanged", "seen"),
            "outcome.value": draw.outcome, "outcome.state": np.full(draw.n, "known", dtype=object),
        }  # fmt: skip
        parts.append(pd.DataFrame(rows))
    return pd.concat(parts, ignore_index=True)


def truth(world: HypertensionCohort, bundle: RuleBundle, n: int = 200_000, seed: int = 1) -> Truth:
    """Return E[Y^d] of the bundle, where it is silent what is usual being done, and E[Y]."""
    draw = world.draw(n, seed)
    under = draw.potential([_rule(draw, bundle, k) for k in range(len(world.stages))])
    values = float(under.mean()), float(draw.outcome.mean())
    return Truth(*values, values[0] - values[1])


def gained(draw: Draw, bundle: RuleBundle, k: int, against: Array) -> Array:
    """Return by how much each patient's outcome is better for what the bundle advises at a stage.

    Before the stage all is as it was, after it as the bundle advises.

    Args:
        draw: the patients.
        bundle: advises.
        k: the stage.
        against: the action that takes the place of the advised one, (n,).
    """
    before: list[Rule] = [_given(draw.columns[one.action]) for one in draw.world.stages[:k]]
    after = [_rule(draw, bundle, at) for at in range(k + 1, len(draw.world.stages))]
    advised = draw.potential([*before, _rule(draw, bundle, k), *after])
    other: Array = draw.potential([*before, _given(against), *after]) - advised
    return other  # lower is better


def _given(actions: Array) -> Rule:
    return lambda _: actions


def _rule(draw: Draw, bundle: RuleBundle, k: int) -> Rule:
    stage = draw.world.stages[k]

    def rule(h: Columns) -> Array:
        said = decided(bundle, stage.name, h)
        names = np.array([*said.actions, None], dtype=object)[said.action]
        shares = draw.world.propensity(k, {**h, "_severity": draw.noise["severity"]})
        usual = np.where(draw.noise[f"choice_{stage.name}"] < shares[:, 0], *stage.actions)
        return np.where(np.isin(names.astype(str), stage.actions), names, usual)

    return rule


def _table(bundle: RuleBundle, stage: str, h: Mapping[str, Any]) -> Table:
    n = len(h["age"])
    values = {
        "age": h["age"], "hypertension": np.ones(n, dtype=bool), "sbp": h["sbp"],
        "potassium": h["potassium"], "step": _step(stage, h, n),
        "weeks_in_care": np.full(n, WEEKS[stage]),
    }  # fmt: skip
    columns: dict[str, Column] = {
        name: as_column(plain(one), bundle.kinds[name]) for name, one in values.items()
    }
    return Table(columns, n)


def _step(stage: str, h: Mapping[str, Any], n: int) -> Any:
    return np.full(n, "none", dtype=object) if stage == "three_months" else h["step"]


def _keys(draw: Draw, k: int) -> dict[str, Any]:
    days = np.arange(draw.n) % 360 + 91 * k
    return {
        "key.patient": draw.ids, "key.encounter": [f"Encounter/{one}-{k}" for one in draw.ids],
        "key.as_of": START + pd.to_timedelta(days, unit="D"),
        "person.sex": np.where(np.arange(draw.n) % 2, "female", "male"),
    }  # fmt: skip


def _variables(bundle: RuleBundle, stage: str, h: Mapping[str, Any]) -> dict[str, Any]:
    n = len(h["age"])
    step = _step(stage, h, n)
    values = {
        "age": h["age"], "hypertension": np.ones(n, dtype=bool), "sbp": h["sbp"],
        "potassium": h["potassium"], "step": step, "weeks_in_care": np.full(n, WEEKS[stage]),
        "step_is_none": step == "none",
    }  # fmt: skip
    assert set(values) == set(bundle.variables)
    return values | {f"{name}.state": np.full(n, "known", dtype=object) for name in values}


def _said(prefix: str, said: TableDecisions) -> dict[str, Any]:
    fates = [said.fates[at] for at in said.fate]
    return {
        f"{prefix}.outcome": [one.outcome for one in fates],
        f"{prefix}.code": [one.code for one in fates],
        f"{prefix}.stage": [one.stage for one in fates],
        f"{prefix}.action": [one.action for one in fates],
        f"{prefix}.candidates": [list(one.candidates) for one in fates],
        f"{prefix}.reasons": [[] if one.code is None else [one.code] for one in fates],
    }
