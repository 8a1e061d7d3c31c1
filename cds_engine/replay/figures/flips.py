"""A flip is a decision that two versions make differently; each can be looked up."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

Rows = Mapping[str, Sequence[Any]]
"""Column -> values, all of one length; None stands for no value."""

COLUMNS = (
    "key.patient", "key.encounter", "key.as_of", "decision.outcome", "decision.action",
    "decision.stage", "against.outcome", "against.action", "against.stage",
)  # fmt: skip
"""What of the decision-point table is read."""

OTHERWISE = {"equipoise": "several equally good", "abstention": "no advice",
             "not_applicable": "not applicable"}  # fmt: skip


def decision_id(patient: str, encounter: str, as_of: str) -> str:
    """Return a short name of a decision point, the same in every replay."""
    text = f"{patient} {encounter} {as_of}"
    return blake2b(text.encode(), digest_size=6).hexdigest()


def said(outcome: str, action: str | None) -> str:
    """Return what a version said in one word: the action, or why there is none.

    >>> said("recommendation", "add_ace"), said("abstention", None)
    ('add_ace', 'no advice')
    """
    return OTHERWISE.get(outcome) or str(action)


def flips(
    rows: Rows, groups: Mapping[str, Sequence[str]] | None = None, listed: int = 10_000
) -> dict[str, Any]:
    """Return how often two versions differ, from what to what, where, and for whom.

    Args:
        rows: ``key.*``, ``decision.*`` and ``against.*`` of the decision-point table, with
            ``key.as_of`` as text.
        groups: what the patients are parted by -> the group of each row.
        listed: of how many flips each is told.
    """
    pairs = list(_pairs(rows))
    differing = [at for at, (one, other) in enumerate(pairs) if one != other]
    stages = [str(one or other or "none") for one, other in
              zip(rows["decision.stage"], rows["against.stage"], strict=True)]  # fmt: skip
    patients = rows["key.patient"]
    return {
        "decisions": len(pairs), "flipped": len(differing),
        "patients": len({patients[at] for at in differing}),
        "pairs": _counted([pairs[at] for at in differing]),
        "whole": _counted(pairs),
        "stages": _shares(stages, differing),
        "groups": {by: _shares(names, differing) for by, names in (groups or {}).items()},
        "listed": [_one(rows, at, stages[at], pairs[at]) for at in differing[:listed]],
        "not_listed": max(0, len(differing) - listed),
    }  # fmt: skip


def _pairs(rows: Rows) -> Iterator[tuple[str, str]]:
    columns = [rows[f"{side}.{what}"] for side in ("decision", "against")
               for what in ("outcome", "action")]  # fmt: skip
    for outcome, action, other_outcome, other_action in zip(*columns, strict=True):
        yield said(outcome, action), said(other_outcome, other_action)


def _counted(pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    counts = sorted(Counter(pairs).items())
    return [{"from": one, "to": other, "decisions": n} for (one, other), n in counts]


def _shares(names: Sequence[str], differing: Sequence[int]) -> list[dict[str, Any]]:
    whole, part = Counter(names), Counter(names[at] for at in differing)
    return [{"group": name, "decisions": whole[name], "flipped": part[name]}
            for name in sorted(whole)]  # fmt: skip


def _one(rows: Rows, at: int, stage: str, pair: tuple[str, str]) -> dict[str, Any]:
    patient, encounter, as_of = (rows[f"key.{what}"][at] for what in
                                 ("patient", "encounter", "as_of"))  # fmt: skip
    return {"id": decision_id(patient, encounter, as_of), "patient": patient, "as_of": as_of,
            "encounter": encounter, "stage": stage, "from": pair[0], "to": pair[1]}  # fmt: skip
