"""A flip is a decision that two versions make differently; each can be looked up."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from cds_engine.replay.figures.cells import held_back, held_shares

Rows = Mapping[str, Sequence[Any]]
"""Column -> values, all of one length; None stands for no value."""

COLUMNS = (
    "key.patient", "key.encounter", "key.as_of", "decision.outcome", "decision.action",
    "decision.candidates", "decision.stage", "against.outcome", "against.action",
    "against.candidates", "against.stage",
)  # fmt: skip
"""What of the decision-point table is read."""

SEVERAL = "several equally good"
OTHERWISE = {"equipoise": SEVERAL, "abstention": "no advice",
             "not_applicable": "not applicable"}  # fmt: skip
SILENT = frozenset(OTHERWISE.values()) - {SEVERAL}
KINDS = ("other", "silent", "no_choice")
"""Kinds of flips: both advise, but not the same; one of them advises nothing, or both for other
reasons; at least one version has no choice there."""

Choices = tuple[frozenset[str], frozenset[str]]
"""The stages of each version that offer a choice."""


def decision_id(patient: str, encounter: str, as_of: str) -> str:
    """Return a short name of a decision point, the same in every replay."""
    text = f"{patient} {encounter} {as_of}"
    return blake2b(text.encode(), digest_size=6).hexdigest()


def said(outcome: str, action: str | None, candidates: Sequence[str] | None = None) -> str:
    """Return what a version said in one word: the action, the actions, or why there is none.

    >>> said("recommendation", "add_ace"), said("abstention", None)
    ('add_ace', 'no advice')
    >>> said("equipoise", None, ["keep", "add_ace"])
    'several equally good: add_ace, keep'
    """
    if outcome == "equipoise" and candidates is not None and len(candidates):
        return f"{SEVERAL}: {', '.join(sorted(candidates))}"
    return OTHERWISE.get(outcome) or str(action)


def in_words(one: str, labels: Mapping[str, str]) -> str:
    """Return what ``said`` returned with each action by its label.

    >>> in_words("several equally good: add_ace, keep", {"add_ace": "Add", "keep": "Keep"})
    'Several equally good: Add, Keep'
    """
    kind, _, names = one.partition(": ")
    if kind == SEVERAL and names:
        told = ", ".join(labels.get(name, name) for name in names.split(", "))
        return f"{SEVERAL[0].upper()}{SEVERAL[1:]}: {told}"
    return labels.get(one, one)


def flips(
    rows: Rows, groups: Mapping[str, Sequence[str]] | None = None, listed: int = 10_000, *,
    choices: Choices | None = None, smallest: int = 1,
    orders: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return how often two versions differ, from what to what, where, and for whom.

    Args:
        rows: ``key.*``, ``decision.*`` and ``against.*`` of the decision-point table, with
            ``key.as_of`` as text.
        groups: what the patients are parted by -> the group of each row.
        listed: of how many flips each is told.
        choices: the stages of each version that offer a choice; all where None.
        orders: the order of the groups, by what the patients are parted by, and of the stages
            under ``Stage``; by name where they are not there.
        smallest: what tells of fewer patients of a group is None, and what would give it away.
    """
    pairs = list(pairs_said(rows))
    differing = [at for at, (one, other) in enumerate(pairs) if one != other]
    stages = [str(one or other or "none") for one, other in
              zip(rows["decision.stage"], rows["against.stage"], strict=True)]  # fmt: skip
    patients = rows["key.patient"]
    kinds = {at: _kind(rows, at, pairs[at], choices) for at in differing}
    counts = Counter(kinds.values())
    return {
        "decisions": len(pairs), "flipped": len(differing),
        "patients": len({patients[at] for at in differing}),
        "kinds": {name: counts[name] for name in KINDS},
        "pairs": _counted([pairs[at] for at in differing]),
        "whole": _counted(pairs),
        "stages": _shares(stages, differing, (orders or {}).get("Stage", ())),
        "groups": {by: _held_shares(_shares(names, differing, (orders or {}).get(by, ())),
                                        names, differing, patients, smallest)
                   for by, names in (groups or {}).items()},
        "listed": [_one(rows, at, stages[at], pairs[at]) | {"kind": kinds[at]}
                   for at in differing[:listed]],
        "not_listed": max(0, len(differing) - listed),
    }  # fmt: skip


def pairs_said(rows: Rows) -> Iterator[tuple[str, str]]:
    """Yield what each of two versions said of every row."""
    n = len(rows["decision.outcome"])
    sides = [
        zip(rows[f"{side}.outcome"], rows[f"{side}.action"],
            rows.get(f"{side}.candidates") or [()] * n, strict=True)
        for side in ("decision", "against")
    ]  # fmt: skip
    for one, other in zip(*sides, strict=True):
        yield said(*one), said(*other)


def _kind(rows: Rows, at: int, pair: tuple[str, str], choices: Choices | None) -> str:
    if choices is not None and any(
        rows[f"{side}.stage"][at] and rows[f"{side}.stage"][at] not in open_
        for side, open_ in zip(("decision", "against"), choices, strict=True)
    ):
        return "no_choice"
    return "silent" if SILENT & {*pair} else "other"


def _counted(pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    counts = sorted(Counter(pairs).items())
    return [{"from": one, "to": other, "decisions": n} for (one, other), n in counts]


def _shares(
    names: Sequence[str], differing: Sequence[int], order: Sequence[str]
) -> list[dict[str, Any]]:
    whole, part = Counter(names), Counter(names[at] for at in differing)
    ordered = [name for name in order if name in whole]
    return [{"group": name, "decisions": whole[name], "flipped": part[name]}
            for name in [*ordered, *sorted({*whole} - {*ordered})]]  # fmt: skip


def _held_shares(
    told: list[dict[str, Any]],
    names: Sequence[str],
    differing: Sequence[int],
    patients: Sequence[str],
    smallest: int,
) -> list[dict[str, Any]]:
    """Return the shares of groups of patients; None for what tells of few, or would give it away.

    Counts are of decisions, and are few where fewer than ``smallest`` patients, or decisions, are
    behind them.
    """
    flipped = {*differing}
    people: dict[tuple[str, bool], set[str]] = {}
    for at, (name, patient) in enumerate(zip(names, patients, strict=True)):
        people.setdefault((name, at in flipped), set()).add(patient)
    sides = [[len(people.get((one["group"], flips), ())) for flips in (True, False)]
             for one in told]  # fmt: skip
    everybody = [len(people.get((one["group"], True), set()) | people.get((one["group"], False),
                     set())) for one in told]  # fmt: skip
    gone = held_back(everybody, smallest)
    held = held_shares([a for a, _ in sides], [a + b for a, b in sides], smallest, gone)
    for at, one in enumerate(told):
        one |= {"decisions": None if at in gone else one["decisions"],
                "flipped": None if at in held else one["flipped"]}  # fmt: skip
    return told


def _one(rows: Rows, at: int, stage: str, pair: tuple[str, str]) -> dict[str, Any]:
    patient, encounter, as_of = (rows[f"key.{what}"][at] for what in
                                 ("patient", "encounter", "as_of"))  # fmt: skip
    return {"id": decision_id(patient, encounter, as_of), "patient": patient, "as_of": as_of,
            "encounter": encounter, "stage": stage, "from": pair[0], "to": pair[1]}  # fmt: skip
