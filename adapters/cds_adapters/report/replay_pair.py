"""Two replays side by side: the decisions that both made, and where their versions differ."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cds_adapters.report.numbers import count, interval, number
from cds_adapters.report.page import page
from cds_adapters.report.replay_charts import flips_chart
from cds_adapters.report.replay_groups import (
    ANY,
    FlipRow,
    FlipTable,
    Parted,
    flip_tables,
    row_link,
)
from cds_adapters.report.replay_page import LISTED, OTHER, Trail
from cds_engine.replay.figures.flips import flips

Figures = Mapping[str, Any]
Rows = Mapping[str, Sequence[Any]]
Run = tuple[Figures, Rows]
KEYS = ("key.patient", "key.encounter", "key.as_of")
COLUMNS = (*KEYS, "decision.outcome", "decision.action", "decision.stage")


@dataclass(frozen=True, slots=True)
class Joined:
    """The decisions that two runs both made.

    Attributes:
        rows: ``COLUMNS``, and the second run's as ``against.*``; instants as text.
        places: where each stands in the table of the first run, and of the second.
        alone: how many decisions only the one made, and only the other.
    """

    rows: dict[str, list[Any]]
    places: tuple[list[int], list[int]]
    alone: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PairLinks:
    """Where a service's page leads to.

    Attributes:
        patient: patient and instant -> address of the patient's page as of then; None if there
            is none.
        address: this page's address with what is asked for.
        swapped: the page with the runs the other way round.
        trail: the pages above it.
    """

    patient: Callable[[str, str], str] | None
    address: Callable[..., str]
    swapped: str
    trail: Trail = ()


def joined(one: Rows, other: Rows) -> Joined:
    """Match the decisions of two runs by patient, encounter and instant."""
    where = {key: at for at, key in enumerate(_keys(other))}
    found = [(at, where[key]) for at, key in enumerate(_keys(one)) if key in where]
    rows = {name: [one[name][at] for at, _ in found] for name in COLUMNS}
    rows["key.as_of"] = [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in rows["key.as_of"]]
    for what in ("outcome", "action", "stage"):
        rows[f"against.{what}"] = [other[f"decision.{what}"][at] for _, at in found]
    alone = (len(one["key.patient"]) - len(found), len(other["key.patient"]) - len(found))
    return Joined(rows, ([a for a, _ in found], [b for _, b in found]), alone)


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
    smallest = max(one["settings"]["smallest_cell"] for one in runs)
    return flip_tables(found.rows, parts, stages_of(*runs, order), smallest)


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
        runs: their figures.
        found: the decisions that both made.
        tables: their flips by stage and subgroup.
        links: where the page leads to.
        by: the variable that was asked for besides those of the runs.
        only: the row whose flips are listed one by one; all of them where None.
    """
    one, other = runs
    labels = one["bundle"]["actions"] | other["bundle"]["actions"] | OTHER
    rows = found.rows if only is None else _some(found.rows, only.places)
    told = flips(found.rows, listed=0)
    return page(
        "replay_pair.html", names=names, runs=runs, alone=found.alone, labels=labels,
        stages=stages_of(*runs), same=one["run"].get("data") == other["run"].get("data"),
        told=told, chart=flips_chart(told, labels) if told["decisions"] else None,
        tables=tables, any=ANY, by=by, only=only, variables=one["bundle"]["variables"],
        one_by_one=flips(rows, listed=LISTED),
        smallest=max(run["settings"]["smallest_cell"] for run in runs),
        values=[_values(name, run) for name, run in zip(names, runs, strict=True)],
        count=count, link=links.patient or (lambda _patient, _as_of: ""), links=links,
        to_row=row_link(links.address, by), trail=links.trail,
    )  # fmt: skip


def _some(rows: Rows, places: Sequence[int]) -> dict[str, list[Any]]:
    return {name: [values[at] for at in places] for name, values in rows.items()}


def _keys(rows: Rows) -> list[tuple[Any, ...]]:
    return list(zip(*(rows[name] for name in KEYS), strict=True))


def _values(name: str, figures: Figures) -> tuple[str, ...]:
    """Return what a run says of its version's value and of its difference from usual care."""
    value = figures["value"]
    said = next((one for one in value["regimes"] if one["key"] == "version"), None)
    if said is None or said["refused"]:
        why = value["refused"] or (said or {}).get("refused") or "no value"
        return (name, figures["bundle"]["identity"], f"refused: {why}", "", "")
    told, gain = said["robust"], said["minus_usual"]
    return (name, figures["bundle"]["identity"], _ends(told), _ends(gain),
            number(said["weighted"]["effective_n"]))  # fmt: skip


def _ends(told: Figures) -> str:
    return f"{number(told['estimate'])} ({interval(told['low'], told['high'])})"
