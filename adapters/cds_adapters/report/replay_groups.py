"""Flips by stage and subgroup: from what to what, how often, and nothing where it tells of few.

A service shows it, so it does without pandas. Its groups are those of
``cds_engine.replay.figures.groups``.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from cds_adapters.report.numbers import count, percent
from cds_engine.bundle.model import RuleBundle
from cds_engine.replay.figures.cells import Cell, held_back, held_in_table
from cds_engine.replay.figures.flips import pairs_said

Rows = Mapping[str, Sequence[Any]]
Pair = tuple[str, str]
HELD = "held back"
STAGE = "Stage"
ANY = "any flip"
UNKNOWN = "not known"
SEX = "person.sex"
"""The column of the sex where no variable of the version reads it."""
NO_AGE = "the version reads no age"
QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Parted:
    """The decisions, parted by one thing: the place of each one's group among the names.

    Attributes:
        why: why there are no groups; empty where there are.
    """

    by: str
    names: tuple[str, ...] = ()
    group: tuple[int, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class FlipRow:
    """The flips of one group, or those of them from one action to one other.

    Attributes:
        pair: what the first and the second version say; None for all flips of the group.
        decisions, patients, share: as shown; ``held back`` where they tell of few.
        places: of the flips in the rows; empty where they are held back.
    """

    group: str
    pair: Pair | None
    decisions: str
    patients: str
    share: str
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FlipGroup:
    """A group, how many decisions are in it, and its flips: all of them, and each kind."""

    name: str
    decisions: str
    rows: tuple[FlipRow, ...]


@dataclass(frozen=True, slots=True)
class FlipTable:
    """The flips, parted by one thing; ``why`` says why they cannot be."""

    by: str
    groups: tuple[FlipGroup, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Reads:
    """What stands where in a run's table.

    Attributes:
        age, sex: the columns; empty where it is not known which it is.
        words: variable -> what a person calls it.
        why: why there is no age.
    """

    age: str
    sex: str
    words: Mapping[str, str]
    why: str = ""

    @classmethod
    def of(cls, bundle: RuleBundle) -> "Reads":
        """Return what the version of a run says of its table."""
        words = {name: one.label or name for name, one in bundle.variables.items()}
        age = _from(bundle, "age")
        return cls(age, _from(bundle, "sex") or SEX, words, "" if age else NO_AGE)

    @classmethod
    def told(cls, words: Mapping[str, str], others: Iterable[RuleBundle], why: str) -> "Reads":
        """Return what is known of a table whose version was not read.

        A variable of another version is taken to be that of the table where name and label agree.

        Args:
            words: the labels of the run's variables, as its figures tell them.
            others: versions that were read.
            why: what to say where none of them tells the age.
        """
        found = dict.fromkeys(("age", "sex"), "")
        for bundle in others:
            for source, name in found.items():
                column = _from(bundle, source)
                if not name and column and words.get(column) == _label(bundle, column):
                    found[source] = column
        return cls(found["age"], found["sex"] or SEX, words, "" if found["age"] else why)


def columns_wanted(reads: Reads, named: Iterable[str]) -> list[str]:
    """Return the columns of a run's table by which its decisions are parted."""
    own = [one for one in (reads.age, reads.sex) if one]
    return list(dict.fromkeys([*own, *(name for name in named if name in reads.words)]))


def parted(
    columns: Rows, reads: Reads, age_bands: Sequence[int], named: Iterable[str]
) -> list[Parted]:
    """Part decisions by age band, sex and named variables.

    Args:
        columns: ``columns_wanted`` of the decisions, those that the table has.
        reads: what stands where.
        age_bands: whole years at which the bands of age begin.
        named: the variables.
    """
    age, sex = columns.get(reads.age), columns.get(reads.sex)
    return [
        Parted("Age", why=reads.why or NO_AGE)
        if age is None
        else _cut("Age", age, age_bands, [f"{a} to {b - 1}" for a, b in pairwise(age_bands)]),
        Parted("Sex", why="neither the version nor the table holds the sex")
        if sex is None
        else _labels("Sex", sex),
        *(_named(columns, reads, name) for name in named),
    ]


def _from(bundle: RuleBundle, source: str) -> str:
    base = bundle.base_variables.items()
    return next((name for name, one in base if one.source == f"patient.{source}"), "")


def _label(bundle: RuleBundle, name: str) -> str:
    return bundle.variables[name].label or name


def _named(columns: Rows, reads: Reads, name: str) -> Parted:
    if name not in reads.words or name not in columns:
        known = ", ".join(reads.words)
        return Parted(name, why=f"the version has no variable {name!r}; it has {known}")
    words = reads.words[name]
    held = [value for value in columns[name] if value is not None]
    if not held:
        return Parted(words, why="it is known of nobody")
    if any(isinstance(value, str | bool) for value in held):
        return _labels(words, columns[name])
    cuts = sorted({float(one) for one in np.quantile(held, QUARTERS)})
    return _cut(words, columns[name], cuts, [f"{a:g} to below {b:g}" for a, b in pairwise(cuts)])


def _cut(
    by: str, values: Sequence[float | None], begins: Sequence[float], bands: Sequence[str]
) -> Parted:
    """Part by where values lie; ``bands`` names what is between two beginnings."""
    first = f"under {begins[0]:g}" if by == "Age" else f"below {begins[0]:g}"
    names = [first, *bands, f"{begins[-1]:g} and over", UNKNOWN]
    group = [len(names) - 1 if value is None else bisect_right(begins, value) for value in values]
    return _kept(by, names, group)


def _labels(by: str, values: Sequence[object]) -> Parted:
    words = {True: "yes", False: "no"}
    text = [words.get(one, str(one)) if isinstance(one, bool) else one for one in values]
    names = [*sorted({str(one) for one in text if one is not None}), UNKNOWN]
    place = {name: at for at, name in enumerate(names)}
    return _kept(by, names, [place[UNKNOWN if one is None else str(one)] for one in text])


def _kept(by: str, names: Sequence[str], group: Sequence[int]) -> Parted:
    """Leave the groups out that hold no decision at all."""
    held = sorted(set(group))
    place = {old: new for new, old in enumerate(held)}
    return Parted(by, tuple(names[at] for at in held), tuple(place[at] for at in group))


def flip_tables(
    rows: Rows, parts: Iterable[Parted], stages: Mapping[str, str], smallest: int
) -> list[FlipTable]:
    """Return the flips by stage and by every partition.

    Args:
        rows: as for ``cds_engine.replay.figures.flips.flips``.
        parts: what the rows are parted by.
        stages: name -> title.
        smallest: fewer patients of a subgroup are held back, and what would tell of them.
    """
    pairs = list(pairs_said(rows))
    patients = rows["key.patient"]
    # the flips are listed with their stages beside it, so that nothing of them is to be guarded
    whole = _table(_by_stage(rows, stages), patients, pairs, 1)
    return [whole, *(_table(part, patients, pairs, smallest) for part in parts)]


def _by_stage(rows: Rows, stages: Mapping[str, str]) -> Parted:
    both = zip(rows["decision.stage"], rows["against.stage"], strict=True)
    found = [str(one or other or "none") for one, other in both]
    names = [*stages, *sorted({*found} - {*stages})]
    place = {name: at for at, name in enumerate(names)}
    return _kept(STAGE, [stages.get(name, name) for name in names], [place[one] for one in found])


def _table(
    part: Parted, patients: Sequence[str], pairs: Sequence[Pair], smallest: int
) -> FlipTable:
    """Count a partition's flips; the last column of the counts is of those who do not flip."""
    if part.why:
        return FlipTable(part.by, why=part.why)
    group = part.group
    kinds = sorted({pair for pair in pairs if pair[0] != pair[1]})
    place = {pair: at for at, pair in enumerate(kinds)}
    cells: dict[Cell, list[int]] = {}
    for at, (g, pair) in enumerate(zip(group, pairs, strict=True)):
        cells.setdefault((g, place.get(pair, len(kinds))), []).append(at)
    wide, high = len(kinds) + 1, len(part.names)

    def people(places: Iterable[int]) -> int:
        return len({patients[at] for at in places})

    counts = [[people(cells.get((g, p), ())) for p in range(wide)] for g in range(high)]
    whole = Counter(group)
    few = held_back([people(_both(cells, g, range(wide))) for g in range(high)], smallest)
    held = _held(counts, few, smallest)

    def row(g: int, pair: Pair | None, which: Sequence[int], *, hide: bool) -> FlipRow:
        places = tuple(_both(cells, g, which))
        if hide:
            return FlipRow(part.names[g], pair, HELD, HELD, HELD, ())
        share = percent(len(places) / whole[g])
        return FlipRow(
            part.names[g], pair, count(len(places)), count(people(places)), share, places
        )

    groups = []
    for g in range(high):
        told = [
            row(g, kinds[p], [p], hide=(g, p) in held)
            for p in range(wide - 1)
            if counts[g][p] or (g, p) in held
        ]
        if len(told) != 1:
            told.insert(0, row(g, None, range(wide - 1), hide=(g, wide - 1) in held))
        groups.append(FlipGroup(part.names[g], HELD if g in few else count(whole[g]), tuple(told)))
    return FlipTable(part.by, tuple(groups))


def _held(counts: Sequence[Sequence[int]], few: frozenset[int], smallest: int) -> frozenset[Cell]:
    """Return the cells to hold back; of the groups of few only their sums can be worked out."""
    kept = [g for g in range(len(counts)) if g not in few]
    rows = [list(counts[g]) for g in kept]
    if few:
        rows.append([sum(counts[g][p] for g in few) for p in range(len(counts[0]))])
    held = {(kept[g], p) for g, p in held_in_table(rows, smallest) if g < len(kept)}
    return frozenset(held | {(g, p) for g in few for p in range(len(counts[0]))})


def _both(cells: Mapping[Cell, Sequence[int]], g: int, which: Iterable[int]) -> list[int]:
    return sorted(at for p in which for at in cells.get((g, p), ()))


def find_row(tables: Iterable[FlipTable], query: Mapping[str, str]) -> FlipRow | None:
    """Return the row that an address asks for, see ``row_query``; None if there is none."""
    for table in tables:
        for group in table.groups:
            for row in group.rows:
                if row.places and row_query(table, row) == dict(query):
                    return row
    return None


def row_query(table: FlipTable, row: FlipRow) -> dict[str, str]:
    """Return by what an address names a row."""
    pair = {} if row.pair is None else {"from": row.pair[0], "to": row.pair[1]}
    return {"in": table.by, "group": row.group, **pair}


def row_link(address: Callable[..., str], by: str) -> Callable[[FlipTable, FlipRow], str]:
    """Return where the flips of a row are listed; ``by`` is the variable that was asked for."""
    more = {"by": by} if by else {}
    return lambda table, row: f"{address(**more, **row_query(table, row))}#listed"
