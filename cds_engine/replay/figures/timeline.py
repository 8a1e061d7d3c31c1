"""A timeline tells one patient's decisions in order: what was known, said by whom, and done."""

from collections.abc import Iterable, Sequence
from typing import Any

from cds_engine.replay.figures.flips import Rows, decision_id, said


def timelines(
    rows: Rows, variables: Sequence[str], patients: Iterable[str]
) -> list[dict[str, Any]]:
    """Return the timelines of some patients, in the order in which they are named.

    Args:
        rows: the decision-point table in order of time, with ``key.as_of`` as text.
        variables: the variables whose values are told.
        patients: keys; those without a row are left out.
    """
    places: dict[str, list[int]] = {name: [] for name in dict.fromkeys(patients)}
    for at, name in enumerate(rows["key.patient"]):
        if name in places:
            places[name].append(at)
    return [
        {"patient": name, "decisions": [_decision(rows, variables, at) for at in held]}
        for name, held in places.items()
        if held
    ]


def _decision(rows: Rows, variables: Sequence[str], at: int) -> dict[str, Any]:
    encounter, as_of = rows["key.encounter"][at], rows["key.as_of"][at]
    told = {
        "id": decision_id(rows["key.patient"][at], encounter, as_of),
        "as_of": as_of, "encounter": encounter, "stage": rows["decision.stage"][at],
        "values": {name: rows[name][at] for name in variables},
        "missing": {name: rows[f"{name}.state"][at] for name in variables
                    if rows[name][at] is None},
        "version": _said(rows, "decision", at),
        "code": rows["decision.code"][at],
        "taken": rows["taken.action"][at], "taken_state": rows["taken.state"][at],
        "outcome": rows["outcome.value"][at], "outcome_state": rows["outcome.state"][at],
    }  # fmt: skip
    if "against.outcome" in rows:
        told["against"] = _said(rows, "against", at)
        told["flipped"] = told["against"] != told["version"]
    return told


def _said(rows: Rows, side: str, at: int) -> str:
    names = rows.get(f"{side}.candidates")
    return said(
        rows[f"{side}.outcome"][at],
        rows[f"{side}.action"][at],
        None if names is None else names[at],
    )
