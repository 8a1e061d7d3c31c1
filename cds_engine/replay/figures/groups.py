"""Subgroups part the patients by age band, by sex and by any variable that is named."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from cds_engine.estimate.columns import Bools
from cds_engine.replay.figures.points import DecisionPoints
from cds_engine.replay.figures.settings import FigureSettings

UNKNOWN = "not known"
QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Partition:
    """The decision points, parted by one variable.

    Attributes:
        by: what they are parted by, in words.
        names: of the groups, in order.
        group: the place of each row's group, shape (rows of the table,).
        why: why there are no groups; empty where there are.
    """

    by: str
    names: tuple[str, ...] = ()
    group: "np.ndarray[tuple[int, ...], np.dtype[np.intp]] | None" = None
    why: str = ""

    def rows(self, at: int) -> Bools:
        """Return the rows of one group."""
        if self.group is None:
            return np.zeros(0, dtype=np.bool_)
        return np.asarray(self.group == at)


def partitions(points: DecisionPoints, settings: FigureSettings) -> list[Partition]:
    """Return the partitions by age band and sex, and by every variable that was named.

    Age and sex are those variables of the bundle that come from ``patient.age`` and
    ``patient.sex``; without the latter, the sex is the table's ``person.sex``.
    """
    found = [_age(points, settings.age_bands), _sex(points)]
    return found + [_named(points, name) for name in settings.subgroups]


def _from(points: DecisionPoints, source: str) -> str | None:
    for name, variable in points.bundle.base_variables.items():
        if variable.source == f"patient.{source}":
            return name
    return f"person.{source}" if f"person.{source}" in points.frame else None


def _age(points: DecisionPoints, begins: Sequence[int]) -> Partition:
    column = _from(points, "age")
    if column is None:
        return Partition("Age", why="the version reads no age")
    edges = [-np.inf, *begins, np.inf]
    bands = [f"{a} to {b - 1}" for a, b in pairwise(begins)]
    names = [f"under {begins[0]}", *bands, f"{begins[-1]} and over"]
    return _cut("Age", points.frame[column], edges, names)


def _sex(points: DecisionPoints) -> Partition:
    column = _from(points, "sex")
    if column is None:
        return Partition("Sex", why="neither the version nor the table holds the sex")
    return _labels("Sex", points.frame[column])


def _named(points: DecisionPoints, name: str) -> Partition:
    bundle = points.bundle
    if name not in bundle.variables:
        known = ", ".join(bundle.variables)
        return Partition(name, why=f"the version has no variable {name!r}; it has {known}")
    words = bundle.variables[name].label or name
    if bundle.kinds[name].type != "number":
        return _labels(words, points.frame[name])
    cuts = sorted(set(points.frame[name].quantile(list(QUARTERS)).dropna()))
    if not cuts:
        return Partition(words, why="it is known of nobody")
    bands = [f"{a:g} to below {b:g}" for a, b in pairwise(cuts)]
    names = [f"below {cuts[0]:g}", *bands, f"{cuts[-1]:g} and over"]
    return _cut(words, points.frame[name], [-np.inf, *cuts, np.inf], names)


def _cut(
    by: str, values: "pd.Series[float]", edges: Sequence[float], names: Sequence[str]
) -> Partition:
    held = values.to_numpy(dtype=np.float64)
    group = np.searchsorted(np.asarray(edges[1:-1], dtype=np.float64), held, side="right")
    return _kept(by, np.where(np.isnan(held), len(names), group), [*names, UNKNOWN])


def _labels(by: str, values: "pd.Series[str]") -> Partition:
    text = ["" if pd.isna(one) else _word(one) for one in values]
    names = sorted({*text} - {""})
    places = {name: at for at, name in enumerate(names)} | {"": len(names)}
    group = np.array([places[one] for one in text], dtype=np.intp)
    return _kept(by, group, [*names, UNKNOWN])


def _word(value: object) -> str:
    return {"True": "yes", "False": "no"}.get(str(value), str(value))


def _kept(
    by: str, group: "np.ndarray[tuple[int, ...], np.dtype[np.intp]]", names: Sequence[str]
) -> Partition:
    """Leave the groups out that hold no row at all."""
    held = [at for at in range(len(names)) if (group == at).any()]
    places = np.full(len(names), -1, dtype=np.intp)
    places[held] = np.arange(len(held))
    return Partition(by, tuple(names[at] for at in held), places[group])
