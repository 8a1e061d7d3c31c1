"""A flip is a decision that two versions make differently; each can be looked up."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from cds_engine.replay.figures.cells import (
    held_back,
    held_in_lines,
    held_shares,
    held_together,
)

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

_SORTS = ("pair", "kind", "stage", "flipped", "same")
"""What is counted of flips: pairs of what is said, kinds, and of a stage its decisions, those that
flip and those that do not; the last are told by the two before."""
_Sum = tuple[str, Any]
"""One of ``_SORTS``, and which."""

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
        smallest: what tells of fewer patients of a pair, a stage, a kind or a group is None, and
            what would give it away.
    """
    pairs = list(pairs_said(rows))
    differing = [at for at, (one, other) in enumerate(pairs) if one != other]
    stages = [str(one or other or "none") for one, other in
              zip(rows["decision.stage"], rows["against.stage"], strict=True)]  # fmt: skip
    patients = rows["key.patient"]
    kinds = {at: _kind(rows, at, pairs[at], choices) for at in differing}
    counts = Counter(kinds.values())
    by_stage = _shares(stages, differing, (orders or {}).get("Stage", ()))
    held = held_flips(pairs, stages, kinds, patients, smallest)
    whole = [one | {"decisions": None} if (one["from"], one["to"]) in held.pairs else one
             for one in _counted(pairs)]  # fmt: skip
    return {
        "decisions": len(pairs), "flipped": len(differing),
        "patients": len({patients[at] for at in differing}),
        "kinds": {name: None if name in held.kinds else counts[name] for name in KINDS},
        "pairs": [one for one in whole if one["from"] != one["to"]],
        "whole": whole,
        "stages": [_without(one, gone=one["group"] in held.stages, held=one["group"] in
                            held.flipped | held.stages) for one in by_stage],
        "groups": {by: _held_shares(_shares(names, differing, (orders or {}).get(by, ())),
                                        names, differing, patients, smallest)
                   for by, names in (groups or {}).items()},
        "listed": [_one(rows, at, stages[at], pairs[at]) | {"kind": kinds[at]}
                   for at in differing[:listed]],
        "not_listed": max(0, len(differing) - listed),
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeldFlips:
    """What is held back of the flips of all patients.

    Attributes:
        pairs: what the first version says, and what the second does.
        kinds: see ``KINDS``.
        stages: of which not even the decisions are told.
        flipped: the stages of which the flips are not.
    """

    pairs: frozenset[tuple[str, str]] = frozenset()
    kinds: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()
    flipped: frozenset[str] = frozenset()


def held_flips(
    pairs: Sequence[tuple[str, str]], stages: Sequence[str], kinds: Mapping[int, str],
    patients: Sequence[str], smallest: int,
) -> HeldFlips:  # fmt: skip
    """Return what tells of few, or gives that away, of pairs, stages and kinds together.

    Pairs, stages and kinds count the same decisions, so that what is held back of one could be
    worked out from another. Told in any case are all decisions, all flips, and how often each
    version said what, which other figures tell.

    Args:
        pairs: what each of two versions said of every decision.
        stages: the stage of every decision.
        kinds: place of a flip -> its kind, see ``KINDS``.
        patients: whose every decision is.
        smallest: fewer patients are few.
    """
    zeros: list[_Sum] = [("kind", one) for one in KINDS]
    zeros += [("flipped", one) for one in dict.fromkeys(stages)]
    places: dict[_Sum, list[int]] = {key: [] for key in zeros}
    people: dict[_Sum, set[str]] = {key: set() for key in zeros}
    atoms: dict[tuple[tuple[str, str], str, str], int] = {}
    for at, (pair, stage, patient) in enumerate(zip(pairs, stages, patients, strict=True)):
        kind = kinds.get(at, "")
        new = (pair, stage, kind) not in atoms
        place = atoms.setdefault((pair, stage, kind), len(atoms))
        for key in _sums_of(pair, stage, kind):
            people.setdefault(key, set()).add(patient)
            if new:
                places.setdefault(key, []).append(place)
    counts = {key: len(one) for key, one in people.items()}
    small = [key for key, n in counts.items() if 0 < n < smallest]
    if not small:
        return HeldFlips()
    by_sort = {sort: [one for one in counts if one[0] == sort] for sort in _SORTS}
    lines = [*_lines(by_sort["pair"]), *(by_sort[sort] for sort in _SORTS[1:])]
    held = _with_flipped({*held_in_lines(counts, lines, smallest)})
    totals = [[n for (pair, _, _), n in atoms.items() if pair[side] == one]
              for side in (0, 1) for one in sorted({pair[side] for pair in pairs})]  # fmt: skip
    totals.append([n for (_, _, kind), n in atoms.items() if kind])
    held |= held_together(places, counts, totals, held | {*by_sort["same"]}, small)
    return HeldFlips(**{f"{sort}s" if sort != "flipped" else sort: frozenset(
        name for one, name in held if one == sort) for sort in _SORTS[:-1]})  # fmt: skip


def _sums_of(pair: tuple[str, str], stage: str, kind: str) -> Iterator[_Sum]:
    """Yield all that a decision counts for."""
    yield "pair", pair
    yield "stage", stage
    if kind:
        yield "kind", kind
    yield "flipped" if kind else "same", stage


def _lines(pairs: Sequence[_Sum]) -> Iterator[list[_Sum]]:
    """Yield the pairs of which the sum is told: what one version said, and kinds of flips."""
    for side in (0, 1):
        for name in sorted({pair[side] for _, pair in pairs}):
            yield [one for one in pairs if one[1][side] == name]
    flipped = [one for one in pairs if one[1][0] != one[1][1]]
    silent = [one for one in flipped if SILENT & {*one[1]}]
    yield [one for one in pairs if one[1][0] == one[1][1]]
    yield flipped
    yield silent
    yield [one for one in flipped if one not in silent]


def _with_flipped(held: set[_Sum]) -> set[_Sum]:
    """Hold the flips of a stage back with its decisions, or with those who do not flip there."""
    return held | {("flipped", name) for sort, name in held if sort in ("stage", "same")}


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
    return [_without(one, gone=at in gone, held=at in held) for at, one in enumerate(told)]


def _without(one: dict[str, Any], *, gone: bool, held: bool) -> dict[str, Any]:
    return one | {"decisions": None if gone else one["decisions"],
                  "flipped": None if held else one["flipped"]}  # fmt: skip


def _one(rows: Rows, at: int, stage: str, pair: tuple[str, str]) -> dict[str, Any]:
    patient, encounter, as_of = (rows[f"key.{what}"][at] for what in
                                 ("patient", "encounter", "as_of"))  # fmt: skip
    return {"id": decision_id(patient, encounter, as_of), "patient": patient, "as_of": as_of,
            "encounter": encounter, "stage": stage, "from": pair[0], "to": pair[1]}  # fmt: skip
