"""Counts are told in sentences: one line was, two lines were."""


def count_of(count: int, thing: str, more: str = "") -> str:
    """Write a number of things.

    >>> count_of(1, "damaged line"), count_of(2, "damaged line"), count_of(2, "entry", "entries")
    ('1 damaged line', '2 damaged lines', '2 entries')
    """
    return f"{count} {thing}" if count == 1 else f"{count} {more or thing + 's'}"


def by(count: int, one: str, more: str) -> str:
    """Return the word that goes with a count.

    >>> by(1, "was", "were"), by(0, "was", "were")
    ('was', 'were')
    """
    return one if count == 1 else more
