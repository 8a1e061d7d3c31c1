"""A change is one difference between two versions: its place, its kind, what was and what is."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, TypeVar

from pydantic import BaseModel

from cds_engine.vocabulary.value import number_text

ChangeKind = Literal["added", "removed", "changed", "moved"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two versions.

    Attributes:
        place: where it stands, in the new version; in the old one for what was removed.
        kind: what happened to it.
        what: the part, in words.
        before, after: what it said; empty where it was not there.
    """

    place: str
    kind: ChangeKind
    what: str
    before: str
    after: str


def shown(value: object) -> str:
    """Write a value of a document for a reader; nothing for None.

    >>> shown(("sbp", "dbp")), shown({"age": 60.0, "pregnant": False})
    ('sbp, dbp', 'age: 60, pregnant: no')
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return number_text(float(value))
        case str():
            return value
        case Mapping():
            return ", ".join(f"{key}: {shown(item)}" for key, item in value.items())
        case BaseModel():
            return shown(value.model_dump(by_alias=True, exclude_defaults=True))
        case Sequence():
            return ", ".join(map(shown, value))
    raise TypeError(f"no words for {type(value).__name__} in a document")


def field_changes(place: str, what: str, before: object, after: object) -> Iterator[Change]:
    """Compare one field; of a list, say only what came and what went."""
    if before == after:
        return
    nothing: tuple[object, ...] = (None, "", (), {})
    if before in nothing or after in nothing:
        if before not in nothing:
            yield Change(place, "removed", what, shown(before), "")
        elif after not in nothing:
            yield Change(place, "added", what, "", shown(after))
    elif isinstance(before, tuple) and isinstance(after, tuple):
        gone = tuple(item for item in before if item not in after)
        come = tuple(item for item in after if item not in before)
        if gone or come:
            yield Change(place, "changed", what, shown(gone), shown(come))
        else:
            yield Change(place, "moved", f"{what}, order", shown(before), shown(after))
    else:
        yield Change(place, "changed", what, shown(before), shown(after))


_Part = TypeVar("_Part")
Key = Callable[[_Part], Hashable]


def paired(
    before: Sequence[_Part], after: Sequence[_Part], same: Key[_Part], like: Sequence[Key[_Part]]
) -> list[tuple[_Part | None, _Part | None]]:
    """Return which part of one list became which of the other; None where there is none.

    Parts that are the same and in the same order belong together. The others are matched, first
    come first, by each of the ``like`` keys in turn. What is new stands in its place; what is gone
    comes last.
    """
    olds, news = list(map(same, before)), list(map(same, after))
    partner: dict[int, int] = {}
    for block in SequenceMatcher(a=olds, b=news, autojunk=False).get_matching_blocks():
        partner.update((block.b + at, block.a + at) for at in range(block.size))
    for key in (same, *like):
        taken = set(partner.values())
        free: dict[Hashable, list[int]] = {}
        for old, part in enumerate(before):
            if old not in taken:
                free.setdefault(key(part), []).append(old)
        for new, part in enumerate(after):
            if new not in partner and free.get(key(part)):
                partner[new] = free[key(part)].pop(0)
    kept: list[tuple[_Part | None, _Part | None]] = [
        (before[partner[new]] if new in partner else None, part) for new, part in enumerate(after)
    ]
    taken = set(partner.values())
    return kept + [(part, None) for old, part in enumerate(before) if old not in taken]


def out_of_order(pairs: Sequence[tuple[_Part | None, _Part | None]], olds: Sequence[_Part]) -> bool:
    """Say whether parts that both versions have stand in another order than before."""
    places = {id(part): at for at, part in enumerate(olds)}
    order = [places[id(old)] for old, new in pairs if old is not None and new is not None]
    return order != sorted(order)
