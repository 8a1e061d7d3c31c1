"""The same key draws the same numbers on every machine and every Python version."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """Whole numbers and choices drawn from a key such as ``(seed, story, number)``.

    Python promises that a seed's sequence of ``random()`` stays the same from version to
    version, and promises it of nothing else; so everything here is made from ``random()``.

    >>> [Draw(2026, "a story", number).between(1, 6) for number in range(5)]
    [6, 5, 6, 3, 6]
    """

    def __init__(self, *key: str | int) -> None:
        self._random = random.Random("/".join(map(str, key)))  # noqa: S311  # samples, not secrets

    def between(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included, all equally likely."""
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """Return one of ``options``, all equally likely."""
        return options[self.between(0, len(options) - 1)]

    def around(self, mean: int, spread: int, count: int) -> tuple[int, ...]:
        """Return ``count`` numbers within ``spread`` of ``mean`` whose mean is ``mean`` exactly.

        Deviations come in pairs that cancel; an odd ``count`` gets ``mean`` itself once.
        """
        numbers = [mean] * (count % 2)
        for _ in range(count // 2):
            deviation = self.between(1, spread)
            numbers += [mean + deviation, mean - deviation]
        return tuple(numbers)
