"""The questions of a shard stand in columns, and so do the moments of its patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter, itemgetter
from typing import TypeVar

import numpy as np

from cds_engine.history.table.calendar import months_before
from cds_engine.history.table.clock import Clock, Index, Timeline
from cds_engine.history.table.columns import Longs
from cds_engine.replay.engine import Asked
from cds_engine.replay.points import Patient
from cds_engine.replay.settings import LAST
from cds_engine.vocabulary.time import Duration

T = TypeVar("T")

_as_of = attrgetter("as_of")


@dataclass(frozen=True, slots=True)
class Rows:
    """Questions, a row each.

    Attributes:
        patients: everybody who may be asked about.
        asked: the questions; those about one patient stand together, in the order of patients.
        patient, as_of: the same as columns.
    """

    patients: Sequence[Patient]
    asked: Sequence[Asked]
    patient: Longs
    as_of: Longs

    def __len__(self) -> int:
        return len(self.asked)


def rows_of(patients: Sequence[Patient], asked: Sequence[Asked]) -> Rows:
    """Lay questions out as columns."""
    count = len(asked)
    place = np.fromiter(map(itemgetter(0), asked), np.int64, count)
    as_of = np.fromiter(map(_as_of, map(itemgetter(1), asked)), np.int64, count)
    return Rows(patients, asked, place, as_of)


def later_all(at: Longs, by: Duration) -> Longs:
    """Return the instants that much later, as ``later`` does of one."""
    return np.minimum(months_before(at, -by.months) + by.exact, LAST)


def owners(found: Sequence[Sequence[object]]) -> Longs:
    """Return whose each thing is, once the lists of all patients are put together."""
    counts = np.fromiter(map(len, found), np.int64, len(found))
    return np.repeat(np.arange(len(found)), counts)


def together(found: Sequence[Sequence[T]]) -> list[T]:
    """Return the things of all patients in one list."""
    return list(chain.from_iterable(found))


def clock_of(persons: int, moments: Longs) -> Clock:
    """Return a clock that tells all moments apart."""
    if not len(moments):
        return Clock(persons, 0, 0)
    return Clock(persons, int(moments.min()), int(moments.max()))


def timeline(persons: int, patient: Longs, moments: Longs) -> tuple[Timeline, Index]:
    """Return the moments in order of patient and time, and the order that this is."""
    clock = clock_of(persons, moments)
    order = clock.order(patient, moments)
    return Timeline(clock, patient[order], moments[order]), order


def picked(values: Sequence[T], which: Index) -> list[T]:
    """Return the value of each row, of which there are few different ones."""
    return list(map(values.__getitem__, which.tolist()))
