"""Person and time together are one whole number, so that one sort puts all persons' times in order.

The number keeps as much of the time as fits beside the person. Times that it cannot tell apart are
told apart afterwards by the times themselves, so that nothing rests on how much fits.
"""

import numpy as np
from numpy.typing import NDArray

from cds_engine.history.table.columns import Longs

Index = NDArray[np.intp]


class Clock:
    """Turns (person, instant) into a number that sorts by person and then, coarsely, by time.

    Args:
        persons: how many persons there are.
        low, high: the first and the last instant that it has to tell from others.
    """

    def __init__(self, persons: int, low: int, high: int) -> None:
        self.persons = persons
        self.bits = 62 - persons.bit_length()
        self.shift = max(0, (high - low).bit_length() + 1 - self.bits)
        # whatever is later has a number of its own, and is not searched through
        self.low, self.high = low, high + (1 << self.shift)

    def number(self, person: Longs, at: Longs) -> Longs:
        """Return the numbers; instants outside the range count as its ends."""
        number = np.clip(at, self.low, self.high)
        number -= self.low
        number >>= self.shift
        number |= person << self.bits
        return number

    def order(self, person: Longs, *times: Longs) -> Index:
        """Return the order by person, then by the times; of equal ones any."""
        number = self.number(person, times[0])
        if (number[1:] > number[:-1]).all():
            return np.arange(len(number))
        order = np.argsort(number)
        number = number[order]
        same = number[1:] == number[:-1]
        if same.any():
            tied = np.zeros(len(order), dtype=np.bool_)
            tied[1:] |= same
            tied[:-1] |= same
            at = np.flatnonzero(tied)
            some = order[at]
            finer = np.lexsort((*(time[some] for time in reversed(times)), number[at]))
            order[at] = some[finer]
        return order


class Timeline:
    """Times of persons in order, to count how many of a person's come before an instant.

    Args:
        clock: of all persons.
        person: whose each time is, in rising order.
        time: instants, in rising order for each person.
    """

    def __init__(self, clock: Clock, person: Longs, time: Longs) -> None:
        self.clock = clock
        self.time = time
        self.number = clock.number(person, time)
        every = np.arange(clock.persons + 1, dtype=np.int64) << clock.bits
        self.first: Index = np.searchsorted(self.number, every)
        """Person -> where the person's times begin; one more stands for the end."""

    def upto(self, person: Longs, at: Longs) -> Index:
        """Return the place after the person's last time that is not after ``at``."""
        place = np.searchsorted(self.number, self.clock.number(person, at), side="right")
        first = self.first[person]
        while len(self.time):
            beyond = self.time[np.maximum(place, 1) - 1] > at
            beyond &= place > first
            if not beyond.any():
                break
            place -= beyond
        return place

    def below(self, person: Longs, at: Longs) -> Index:
        """Return the place of the person's first time that is not before ``at``."""
        place = np.searchsorted(self.number, self.clock.number(person, at), side="left")
        last = self.first[person + 1]
        while len(self.time):
            short = self.time[np.minimum(place, len(self.time) - 1)] < at
            short &= place < last
            if not short.any():
                break
            place += short
        return place
