"""A name that is not there is answered with the names that are there and look like it."""

import difflib
from collections.abc import Iterable

MOST = 3


def did_you_mean(name: str, held: Iterable[object]) -> str:
    """Return ``; did you mean ...?`` with the nearest names, or nothing where none is near.

    Near is what is written alike, or is a part of the name, or has it as a part: of ``outcome``
    it is ``outcome.value``, of ``sbp_three_months`` it is ``sbp``.

    >>> did_you_mean("sbp_six_months", ["age", "sbp", "potassium"])
    '; did you mean `sbp`?'
    >>> did_you_mean("weight", ["age", "sbp"])
    ''
    """
    names = [str(one) for one in held]
    alike = difflib.get_close_matches(name, names, n=MOST)
    parts = [one for one in names if _part(one, name) or _part(name, one)]
    near = list(dict.fromkeys([*alike, *parts]))[:MOST]
    return f"; did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else ""


def _part(one: str, other: str) -> bool:
    """Whether one name is the other with words before or behind it."""
    whole = other.replace(".", "_").replace("@", "_").split("_")
    words = one.replace(".", "_").replace("@", "_").split("_")
    return any(whole[at : at + len(words)] == words for at in range(len(whole)))
