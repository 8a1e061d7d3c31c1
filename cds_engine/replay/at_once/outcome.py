"""The outcomes of all points of a shard: most rest on one reading, or there is none in time.

Rows that rest on several readings, or on one that is no plain number, are asked of
``OutcomeFinder``, and so is every row if the outcome is no measurement.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cds_engine.history.event import Event, time_of
from cds_engine.history.person import deceased
from cds_engine.history.reading import NO_UNIT
from cds_engine.history.table.calendar import before
from cds_engine.history.table.clock import Index, Timeline
from cds_engine.history.table.columns import NEVER, Bools, Floats, Longs
from cds_engine.history.table.rounding import rounded_all
from cds_engine.replay.at_once.rows import Rows, later_all, owners, picked, timeline, together
from cds_engine.replay.outcome import (
    KNOWN,
    LONGEST_DAY,
    PENDING,
    Measured,
    OutcomeFinder,
    Readings,
)
from cds_engine.vocabulary.time import DAY, Instant
from cds_engine.vocabulary.units import SAME, Conversion, StatedUnit, conversion
from cds_engine.vocabulary.value import Scalar
from cds_engine.vocabulary.variable import Variable

_OF_ONE = frozenset({"latest", "earliest", "mean", "min", "max"})
"""Aggregates that give back the one reading there is."""

_WITHOUT = ("absent", "deceased", PENDING, "incomplete")
"""States of a row without a reading."""
_ABSENT, _DECEASED, _PENDING, _INCOMPLETE = range(len(_WITHOUT))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcome of every row; see ``Measured``."""

    values: list[Scalar | None]
    states: list[str]
    at: list[Instant | None]


def outcomes_at_once(
    finder: OutcomeFinder, rows: Rows, events: Sequence[Sequence[Event]], start: Longs
) -> Outcomes:
    """Return the outcomes.

    Args:
        finder: the referee; knows variable, horizon and tolerance.
        rows: the questions.
        events: what the record of each patient came to hold, newest versions only.
        start: where the horizon of each row counts from.
    """
    return _Finding(finder, rows, events, start).found()


@dataclass(frozen=True, slots=True)
class _Flat:
    """The readings of all patients in order of patient and time.

    Attributes:
        line: whose they are, and their first instants.
        end: their last instants.
        value: the number in the variable's unit; NaN where the referee has to look.
        vague: patients of whom some reading is not dated to the day, or lasted.
        daily: whether any reading is dated to the day.
    """

    line: Timeline
    end: Longs
    value: Floats
    vague: Bools
    daily: bool


class _Finding:
    def __init__(
        self,
        finder: OutcomeFinder,
        rows: Rows,
        events: Sequence[Sequence[Event]],
        start: Longs,
    ) -> None:
        self.finder, self.rows, self.events, self.start = finder, rows, events, start
        self.readings: dict[int, Readings] = {}
        self.which = np.full(len(rows), _ABSENT, dtype=np.intp)

    def found(self) -> Outcomes:
        """Say of each row which reading it is, or why there is none; ask about the rest."""
        variable, horizon = self.finder.variable, self.finder.horizon
        if variable is None or horizon is None:
            return self._alike()
        if variable.source != "observation":
            return self._told(None, np.arange(len(self.rows)))
        self.target = later_all(self.start, horizon)
        self.last = later_all(self.target, self.finder.settings.tolerance)
        readings = _flat(self.finder, variable, self.events)
        self._tell_without()
        hard = self._tell_known(variable, readings)
        return self._told(readings, np.flatnonzero(hard & ~self._tell_incomplete()))

    def _tell_without(self) -> None:
        """Say why there is no reading, as if there was none in any row."""
        until = self.finder.settings.data_until
        if until is not None:
            self.which[self.last > until] = _PENDING
        dated = np.array([p.record.person.died is not None for p in self.rows.patients], np.bool_)
        for row in np.flatnonzero(dated[self.rows.patient]).tolist():
            person = self.rows.patients[self.rows.asked[row].patient].record.person
            if deceased(person, int(self.last[row])):
                self.which[row] = _DECEASED

    def _tell_incomplete(self) -> Bools:
        """Return the rows of patients in whom the search for readings was not complete."""
        name = self.finder.name
        gaps = [self.finder.gap(name, patient.record.gaps) for patient in self.rows.patients]
        incomplete: Bools = np.array(gaps, dtype=np.bool_)[self.rows.patient]
        self.which[incomplete] = _INCOMPLETE
        return incomplete

    def _tell_known(self, variable: Variable, readings: _Flat) -> Bools:
        """Name the reading of each row that rests on one; return the rows that rest on several."""
        line = readings.line
        after = line.upto(self.rows.patient, self.rows.as_of)
        tolerance = self.finder.settings.tolerance
        low = before(tolerance, self.target)
        first = np.maximum(line.below(self.rows.patient, low), after)
        stop = line.upto(self.rows.patient, self.last)
        some = np.flatnonzero(first < stop)
        nearest = self._nearest(line, some, first[some], stop[some])
        single = self._rests_on_one(variable, readings, some, after[some], nearest)
        self.which[some[single]] = nearest[single] + len(_WITHOUT)
        hard = np.zeros(len(self.rows), dtype=np.bool_)
        hard[some[~single]] = True
        if readings.daily:
            # a reading of the day on which the tolerance begins may count
            hard |= np.maximum(line.below(self.rows.patient, low - LONGEST_DAY), after) < first
        return hard

    def _nearest(self, line: Timeline, some: Index, first: Index, stop: Index) -> Index:
        """Return which reading from ``first`` to before ``stop`` is nearest to the horizon.

        Of two that are equally near it is the earlier one. Of several at one instant it may be
        any: no row rests on one of them alone.
        """
        target = self.target[some]
        later = np.clip(line.below(self.rows.patient[some], target), first, stop - 1)
        earlier = np.maximum(later - 1, first)
        nearer = np.abs(line.time[earlier] - target) <= np.abs(line.time[later] - target)
        return np.where(nearer, earlier, later)

    def _rests_on_one(
        self, variable: Variable, readings: _Flat, some: Index, after: Index, nearest: Index
    ) -> Bools:
        """Say whether no other reading counts when the variable is taken as of the nearest one.

        What lies between the decision and the nearest reading counts if it is not over when the
        window begins. Of what is left the latest value takes only the newest.
        """
        if variable.aggregate not in _OF_ONE:
            return np.zeros(len(some), dtype=np.bool_)
        line, person = readings.line, self.rows.patient[some]
        end = readings.end[nearest]
        oldest = line.time[nearest] if variable.aggregate == "latest" else np.full_like(end, -NEVER)
        if variable.window is not None:
            oldest = np.maximum(oldest, before(variable.window, end))
        # no reading that is dated to the day is longer than one
        is_first = (nearest == after) | (line.time[nearest - 1] + DAY <= oldest)
        is_last = line.upto(person, end) == nearest + 1
        plain = ~np.isnan(readings.value[nearest]) & ~readings.vague[person]
        found: Bools = is_first & is_last & plain
        return found

    def _told(self, readings: _Flat | None, hard: Index) -> Outcomes:
        """Write the outcomes down, those of some rows by asking the referee."""
        values: list[Scalar | None] = [None] * len(_WITHOUT)
        states: list[str] = list(_WITHOUT)
        at: list[Instant | None] = [None] * len(_WITHOUT)
        if readings is not None:
            values += readings.value.tolist()
            states += [KNOWN] * len(readings.value)
            at += readings.line.time.tolist()
        self.which[hard] = np.arange(len(hard)) + len(values)
        asked = [self._of(row) for row in hard.tolist()]
        return Outcomes(
            picked(values + [measured.value for measured in asked], self.which),
            picked(states + [measured.state for measured in asked], self.which),
            picked(at + [measured.at for measured in asked], self.which),
        )

    def _alike(self) -> Outcomes:
        """Return the outcomes where the aim lacks something: what is said of one row is of all."""
        count = len(self.rows)
        one = [self._of(row) for row in range(min(count, 1))]
        return Outcomes(
            [measured.value for measured in one] * count,
            [measured.state for measured in one] * count,
            [measured.at for measured in one] * count,
        )

    def _of(self, row: int) -> Measured:
        place, point = self.rows.asked[row]
        record = self.rows.patients[place].record
        readings = self.readings.get(place)
        if readings is None:
            readings = self.readings[place] = self.finder.readings(record, self.events[place])
        return self.finder.find(record, readings, point.as_of, int(self.start[row]))


def _flat(finder: OutcomeFinder, variable: Variable, events: Sequence[Sequence[Event]]) -> _Flat:
    found = [finder.counting(variable, some) for some in events]
    flat = together(found)
    times = [time_of(event) for event in flat]
    start = np.array([time.start for time in times], dtype=np.int64)
    end = np.array([time.end for time in times], dtype=np.int64)
    daily = np.array([time.precision == "day" for time in times], dtype=np.bool_)
    patient = owners(found)
    vague = np.zeros(len(events), dtype=np.bool_)
    vague[patient[(end != start) & ~daily]] = True
    line, order = timeline(len(events), patient, start)
    return _Flat(line, end[order], _values(variable, flat)[order], vague, bool(daily.any()))


def _values(variable: Variable, events: Sequence[Event]) -> Floats:
    """Return the plain numbers in the variable's unit; NaN for everything else."""
    if variable.answers:
        return np.full(len(events), np.nan)
    known: dict[StatedUnit | None, Conversion | str] = {}
    numbers = [_number(variable, event, known) for event in events]
    values = rounded_all(np.array(numbers, dtype=np.float64), variable.decimals)
    if variable.plausible is not None:
        low, high = variable.plausible
        values[~((low <= values) & (values <= high))] = np.nan
    return values


def _number(
    variable: Variable, event: Event, known: dict[StatedUnit | None, Conversion | str]
) -> float:
    """Return a number converted and not yet rounded, as ``measure`` does; NaN for what is none."""
    value, unit = event.value, event.unit
    if type(value) is not float or event.problem:
        return np.nan
    found = known.get(unit)
    if found is None:
        stated = unit or NO_UNIT
        bare = variable.unit == "1" and stated == NO_UNIT
        found = known[unit] = SAME if bare else conversion(stated, variable.conversions)
    return np.nan if isinstance(found, str) else found.apply(value)
