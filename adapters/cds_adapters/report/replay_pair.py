"""Two replays side by side: the decisions that both made, and where their versions differ."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cds_adapters.report.numbers import count, interval, number
from cds_adapters.report.page import page
from cds_adapters.report.replay_page import LISTED, OTHER, flips_view
from cds_engine.replay.figures.flips import flips

Figures = Mapping[str, Any]
Rows = Mapping[str, Sequence[Any]]
Run = tuple[Figures, Rows]
KEYS = ("key.patient", "key.encounter", "key.as_of")
COLUMNS = (*KEYS, "decision.outcome", "decision.action", "decision.stage")


def pair_page(
    names: tuple[str, str], one: Run, other: Run, service: Callable[[str, str], str] | None = None
) -> str:
    """Return the page that compares two runs.

    Args:
        names: what the runs are called.
        one: the figures of the first run, and ``COLUMNS`` of its decision-point table.
        other: those of the second.
        service: patient and instant -> address of the patient's page as of then, if there is one.
    """
    rows, alone = joined(one[1], other[1])
    labels = one[0]["bundle"]["actions"] | other[0]["bundle"]["actions"] | OTHER
    stages = other[0]["bundle"]["stages"] | one[0]["bundle"]["stages"]
    told = flips(rows)
    data = [figures["run"].get("data") for figures, _ in (one, other)]
    return page(
        "replay_pair.html", names=names, runs=(one[0], other[0]), alone=alone, labels=labels,
        stages=stages, same=data[0] == data[1],
        flips=flips_view(told, labels, stages) if rows["key.patient"] else None,
        values=[_values(name, run[0]) for name, run in zip(names, (one, other), strict=True)],
        listed=LISTED, count=count, link=service or (lambda _patient, _as_of: ""),
    )  # fmt: skip


def joined(one: Rows, other: Rows) -> tuple[dict[str, list[Any]], tuple[int, int]]:
    """Return the decisions that both runs made, and how many only either of them did."""
    where = {key: at for at, key in enumerate(_keys(other))}
    found = [(at, where[key]) for at, key in enumerate(_keys(one)) if key in where]
    rows = {name: [one[name][at] for at, _ in found] for name in COLUMNS}
    rows["key.as_of"] = [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in rows["key.as_of"]]
    for what in ("outcome", "action", "stage"):
        rows[f"against.{what}"] = [other[f"decision.{what}"][at] for _, at in found]
    alone = (len(one["key.patient"]) - len(found), len(other["key.patient"]) - len(found))
    return rows, alone


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
