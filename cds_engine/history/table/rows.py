"""Decision points in order of person and instant, with what several variables ask about them."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

from cds_engine.history.table.calendar import before
from cds_engine.history.table.columns import Longs
from cds_engine.vocabulary.time import Duration

T = TypeVar("T")


class Memory:
    """Answers that are asked for several times, each worked out once."""

    def __init__(self) -> None:
        self._held: dict[Hashable, object] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` gave when it was first asked for under this key."""
        if key not in self._held:
            self._held[key] = make()
        return self._held[key]  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Rows:
    """Decision points in rising order.

    Attributes:
        person: whose they are.
        as_of: the instants.
        memory: what has been worked out about them.
    """

    person: Longs
    as_of: Longs
    memory: Memory

    def __len__(self) -> int:
        return len(self.person)

    def window_start(self, window: Duration | None) -> Longs | None:
        """Return the first instant that counts in each row; None where all of the past does."""
        if window is None:
            return None
        return self.memory.once(("window", window), lambda: before(window, self.as_of))
