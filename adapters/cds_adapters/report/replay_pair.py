"""Two replays side by side: the decisions that both made, and where their versions differ."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cds_adapters.report.numbers import count, number, with_interval
from cds_adapters.report.page import page
from cds_adapters.report.replay_apart import differing, why_apart
from cds_adapters.report.replay_charts import WEIGHTED_N, flips_chart
from cds_adapters.report.replay_first import BELOW, doubts_of, first, recoded_words
from cds_adapters.report.replay_groups import (
    ANY,
    FlipRow,
    FlipTable,
    Parted,
    flip_tables,
    row_link,
)
from cds_adapters.report.replay_page import KINDS, LISTED, OTHER, Trail
from cds_adapters.report.sides import better_side, verdict
from cds_engine.replay.figures.flips import Choices, flips, in_words
from cds_engine.vocabulary.units import unit_words

Figures = Mapping[str, Any]
Rows = Mapping[str, Sequence[Any]]
Run = tuple[Figures, Rows]
KEYS = ("key.patient", "key.encounter", "key.as_of")
SAID = ("outcome", "action", "candidates", "stage")
COLUMNS = (*KEYS, *(f"decision.{what}" for what in SAID))
VERSION, AGAINST = "version", "against"
"""Which version of a run is meant: the one that was replayed, or the one set against it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The decisions that two runs both made.

    Attributes:
        rows: ``COLUMNS``, and the second run's as ``against.*``; instants as text.
        places: where each stands in the table of the first run, and of the second.
        alone: how many decisions only the one made, and only the other.
        apart: the keys of all decisions of the one, and of the other.
    """

    rows: dict[str, list[Any]]
    places: tuple[list[int], list[int]]
    alone: tuple[int, int]
    apart: tuple[Rows, Rows]


@dataclass(frozen=True, slots=True)
class Choice:
    """One version of a run that can be looked at: its words in an address, and its name."""

    value: str
    identity: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class PairLinks:
    """Where a service's page leads to.

    Attributes:
        patients: of each version, patient and instant -> address of the patient's page as of
            then, where that version is asked; empty if there is none.
        address: this page's address with what is asked for.
        swapped: the page with the runs the other way round.
        here: this page's address without anything asked for.
        asked: which versions this page's address asks for, to be kept by its forms.
        trail: the pages above it.
        versions: of each run, those that it replayed.
    """

    patients: Sequence[Callable[[str, str], str]]
    address: Callable[..., str]
    swapped: str
    here: str
    trail: Trail = ()
    asked: Mapping[str, str] = field(default_factory=dict)
    versions: tuple[Sequence[Choice], Sequence[Choice]] = ((), ())


def of_version(figures: Figures, which: str) -> Figures:
    """Return the figures of a run as those of one of its versions, see ``VERSION``.

    ``own`` is the version that was replayed: variables and outcome of the run are always its.
    """
    bundle = figures["against"] if which == AGAINST else figures["bundle"]
    return {**figures, "bundle": bundle, "which": which, "own": figures["bundle"]}


def columns_of(which: str) -> tuple[str, ...]:
    """Return the columns of a run's table that tell what one of its versions said."""
    side = "against" if which == AGAINST else "decision"
    return (*KEYS, *(f"{side}.{what}" for what in SAID))


def as_decided(rows: Rows, which: str) -> Rows:
    """Return ``columns_of`` by the names that ``joined`` knows."""
    return dict(zip(COLUMNS, (rows[name] for name in columns_of(which)), strict=True))


def choices(figures: Figures, which: str) -> list[Choice]:
    """Return the versions of a run, of which one is looked at."""
    held = [(VERSION, figures["bundle"])]
    held += [(AGAINST, figures["against"])] if figures["against"] else []
    return [Choice(name, bundle["identity"], name == which) for name, bundle in held]


def joined(one: Rows, other: Rows) -> Joined:
    """Match the decisions of two runs by patient, encounter and instant."""
    where = {key: at for at, key in enumerate(_keys(other))}
    found = [(at, where[key]) for at, key in enumerate(_keys(one)) if key in where]
    rows = {name: [one[name][at] for at, _ in found] for name in COLUMNS}
    rows["key.as_of"] = [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in rows["key.as_of"]]
    for what in SAID:
        rows[f"against.{what}"] = [other[f"decision.{what}"][at] for _, at in found]
    alone = (len(one["key.patient"]) - len(found), len(other["key.patient"]) - len(found))
    places = ([a for a, _ in found], [b for _, b in found])
    return Joined(rows, places, alone, (one, other))


def stages_of(one: Figures, other: Figures, order: Sequence[str] = ()) -> dict[str, str]:
    """Return the titles of both versions' stages; those whose order is known in that order."""
    titles: dict[str, str] = other["bundle"]["stages"] | one["bundle"]["stages"]
    return {name: titles[name] for name in dict.fromkeys([*order, *titles]) if name in titles}


def pair_tables(
    found: Joined,
    runs: tuple[Figures, Figures],
    parts: Sequence[Parted],
    order: Sequence[str] = (),
) -> list[FlipTable]:
    """Return the flips by stage and subgroup; the larger of the runs' smallest cells holds.

    Args:
        found: the decisions that both runs made.
        runs: their figures.
        parts: the subgroups.
        order: of the stages, as far as it is known; figures do not tell it.
    """
    return flip_tables(found.rows, parts, stages_of(*runs, order), smallest_cell(runs))


def smallest_cell(runs: tuple[Figures, Figures]) -> int:
    """Return below how many patients a count is held back: the larger of two runs' numbers."""
    return max(int(one["settings"]["smallest_cell"]) for one in runs)


def pair_page(
    names: tuple[str, str],
    runs: tuple[Figures, Figures],
    found: Joined,
    tables: Sequence[FlipTable],
    links: PairLinks,
    *,
    by: str = "",
    only: FlipRow | None = None,
) -> str:
    """Return the page that compares two runs.

    Args:
        names: what the runs are called.
        runs: their figures, ``of_version`` that is looked at.
        found: the decisions that both made.
        tables: their flips by stage and subgroup.
        links: where the page leads to.
        by: the variable that was asked for besides those of the runs.
        only: the row whose flips are listed one by one; all of them where None.
    """
    one, other = runs
    labels = one["bundle"]["actions"] | other["bundle"]["actions"] | OTHER
    rows = found.rows if only is None else _some(found.rows, only.places)
    choices = _choices(runs)
    told = flips(found.rows, listed=0, choices=choices)
    return page(
        "replay_pair.html", names=names, runs=runs, alone=found.alone,
        word=lambda one: in_words(one, labels), kinds=KINDS,
        stages=stages_of(*runs), same=one["run"].get("data") == other["run"].get("data"),
        differing=differing(one, other), versions=links.versions, heads=heads(names, runs),
        apart="" if told["decisions"] else why_apart(*found.apart, runs),
        told=told, chart=flips_chart(told, labels) if told["decisions"] else None,
        tables=tables, any=ANY, by=by, only=only, variables=one["own"]["variables"],
        one_by_one=flips(rows, listed=LISTED, choices=choices),
        recoded=recoded_words(one) if names[0] == names[1] else [],
        smallest=smallest_cell(runs),
        values=[_values(name, run) for name, run in zip(names, runs, strict=True)],
        weighted_n=WEIGHTED_N, least=max(run["settings"]["least_effective_n"] for run in runs),
        paired=paired(names, runs), doubts=_doubts(names, runs), state=_state(runs),
        alike=one["bundle"]["digest"] == other["bundle"]["digest"],
        count=count, number=number, told_to=links.patients or (_nowhere, _nowhere), links=links,
        to_row=row_link(links.address, by), trail=links.trail,
    )  # fmt: skip


def heads(names: tuple[str, str], runs: tuple[Figures, Figures]) -> list[str]:
    """Return by what the two are told apart: their runs, or within one run their versions."""
    if names[0] != names[1]:
        return list(names)
    return [run["bundle"]["identity"] for run in runs]


def _nowhere(_patient: str, _as_of: str) -> str:
    return ""


def _choices(runs: tuple[Figures, Figures]) -> Choices:
    return _with_choice(runs[0]), _with_choice(runs[1])


def _with_choice(figures: Figures) -> frozenset[str]:
    return frozenset(
        one["stage"] for one in figures["concordance"] if one["stage"] and one["choice"]
    )


def _some(rows: Rows, places: Sequence[int]) -> dict[str, list[Any]]:
    return {name: [values[at] for at in places] for name, values in rows.items()}


def _keys(rows: Rows) -> list[tuple[Any, ...]]:
    return list(zip(*(rows[name] for name in KEYS), strict=True))


def _values(name: str, figures: Figures) -> tuple[str, ...]:
    """Return what a run says of its version's value and of its difference from usual care."""
    value = figures["value"]
    which = figures["which"]
    said = next((one for one in value["regimes"] if one["key"] == which), None)
    doubts = ", ".join(one["assumption"] for one in doubts_of(figures)) or "none"
    if said is None or said["refused"]:
        why = value["refused"] or (said or {}).get("refused") or "no value"
        return (name, figures["bundle"]["identity"], f"refused: {why}", "", "", "", doubts)
    told, gain, aim = said["robust"], said["minus_usual"], figures["own"]["aim"]
    unit, better = unit_words(aim["unit"] or ""), aim["better"]
    return (name, figures["bundle"]["identity"], _ends(told, unit), _ends(gain, unit),
            f"{_side(better)} is better. {verdict(gain['low'], gain['high'], better)}",
            number(said["weighted"]["effective_n"]), doubts)  # fmt: skip


def _side(better: str) -> str:
    return better_side(better).capitalize()


def paired(names: tuple[str, str], runs: tuple[Figures, Figures]) -> dict[str, str] | None:
    """Return the paired difference of the versions that are looked at, where a run has it.

    A run has it that replayed both; it is turned round where the run's first version is the second
    one here.

    Args:
        names: what the runs are called.
        runs: their figures, ``of_version`` that is looked at.
    """
    wanted = [run["bundle"]["digest"] for run in runs]
    for name, run in zip(names, runs, strict=True):
        held = [one and one["digest"] for one in (run["own"], run["against"])]
        if wanted[0] == wanted[1] or wanted not in (held, held[::-1]):
            continue
        for one in run["value"]["differences"]:
            if (one["of"], one["minus"]) == (VERSION, AGAINST):
                return {"run": name, **_turned(run, one, turn=wanted != held)}
    return None


def _turned(run: Figures, one: Figures, *, turn: bool) -> dict[str, str]:
    if one["refused"]:
        return {"refused": one["refused"], "said": "", "side": ""}
    aim, told = run["own"]["aim"], one["robust"]
    estimate, low, high = told["estimate"], told["low"], told["high"]
    if turn:
        estimate, low, high = -estimate, -high, -low
    said = _ends({"estimate": estimate, "low": low, "high": high}, unit_words(aim["unit"] or ""))
    side = f"{_side(aim['better'])} the first is better. {verdict(low, high, aim['better'])}"
    return {"refused": "", "said": said, "side": side}


def _state(runs: tuple[Figures, Figures]) -> str:
    """Return the graver of the colours that the reports of two runs have."""
    states = [first(_own(run))["state"] for run in runs]
    return next((one for one in ("problem", "doubt") if one in states), "")


def _doubts(
    names: tuple[str, str], runs: tuple[Figures, Figures]
) -> list[tuple[str, Sequence[str]]]:
    """Return of each run what its report says before any number, in the same words."""
    found: dict[str, list[str]] = {}
    for name, run in zip(names, runs, strict=True):
        figures = _own(run)
        told, elsewhere = first(figures), {BELOW, *recoded_words(figures)}
        said = [*told["said"], *told["warned"], *figures["run"].get("warnings", ())]
        found[name] = [one for one in said if one not in elsewhere]
    told_of = [(name, lines) for name, lines in found.items() if lines]
    if len(told_of) > 1 and told_of[0][1] == told_of[1][1]:
        return [("both runs", told_of[0][1])]
    return [(f"the run {name}", lines) for name, lines in told_of]


def _own(run: Figures) -> Figures:
    """Return the figures as the run's own report shows them, see ``of_version``."""
    return {**run, "bundle": run["own"]}


def _ends(told: Figures, unit: str) -> str:
    value, ends = with_interval(told["estimate"], told["low"], told["high"], unit)
    return f"{value} ({ends})"
