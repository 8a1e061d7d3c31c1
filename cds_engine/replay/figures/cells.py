"""A small count is held back, and so is whatever would let it be worked out from a total."""

from collections.abc import Sequence


def held_back(counts: Sequence[int], smallest: int) -> frozenset[int]:
    """Return the places of the counts to hold back, where the total of all is told.

    One count that is held back alone is the total less the others, and several that come to less
    than ``smallest`` are small together; so the next smallest are held back as well until neither
    is so. Zeros tell of nobody and are held back last of all.

    >>> sorted(held_back([40, 3, 25], 10)), sorted(held_back([40, 25], 10))
    ([1, 2], [])
    """
    held = {at for at, count in enumerate(counts) if 0 < count < smallest}
    if not held:
        return frozenset()
    rest = sorted(set(range(len(counts))) - held, key=lambda at: (counts[at] == 0, counts[at], at))
    while rest and (len(held) < 2 or sum(counts[at] for at in held) < smallest):
        held.add(rest.pop(0))
    return frozenset(held)


def shown(counts: Sequence[int], smallest: int) -> list[int | None]:
    """Return the counts, None in the place of those that are held back."""
    held = held_back(counts, smallest)
    return [None if at in held else count for at, count in enumerate(counts)]
