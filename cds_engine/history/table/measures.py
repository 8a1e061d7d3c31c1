"""What each point says of one variable: a whole number of its last decimal, a label, or a fault."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cds_engine.history.reading import NO_UNIT
from cds_engine.history.table.answer import reason_code
from cds_engine.history.table.clock import Index
from cds_engine.history.table.columns import (
    ANSWER,
    NUMBER,
    Bools,
    Bytes,
    EventTable,
    Floats,
    Longs,
)
from cds_engine.history.table.points import before_each, counted
from cds_engine.history.table.rounding import mean_of, scaled
from cds_engine.history.table.series import Part, Series
from cds_engine.vocabulary.rounding import rounded
from cds_engine.vocabulary.units import SAME, Conversion, StatedUnit, conversion
from cds_engine.vocabulary.variable import Variable

_UNIT = reason_code("unit")
_IMPLAUSIBLE = reason_code("implausible")
_CONFLICTING = reason_code("conflicting")
_UNRESOLVED = reason_code("unresolved")


class Measures:
    """What points say, in their order.

    Args:
        size: a number as whole number of the last decimal, or the place of a label.
        fault: why a point is unusable, as the number of a reason; 0 where it is fine.
        clash: where readings at one time contradict each other.
        unsure: where the scalar history must be asked.
    """

    def __init__(self, size: Longs, fault: Bytes, clash: Bools, unsure: Bools) -> None:
        self.size, self.fault, self.clash, self.unsure = size, fault, clash, unsure

    def of(self, part: Part) -> "Measures":
        """Return what the points of a part say."""
        if part.places is None:
            return self
        index = part.places
        return Measures(self.size[index], self.fault[index], self.clash[index], self.unsure[index])

    @cached_property
    def total(self) -> Longs:
        """The sum of all numbers before each point, and of all at the end."""
        return before_each(self.size)

    @cached_property
    def next_fault(self) -> Index | None:
        """The first unusable point from each on; None if there is none at all."""
        if not self.fault.any():
            return None
        rows = len(self.fault)
        places = np.full(rows + 1, rows, dtype=np.intp)
        places[:-1][self.fault > 0] = np.flatnonzero(self.fault)
        return np.minimum.accumulate(places[::-1])[::-1]

    @cached_property
    def clashes(self) -> Index | None:
        """How many points before each contradict themselves."""
        return counted(self.clash)

    @cached_property
    def doubts(self) -> Index | None:
        """How many points before each the scalar history must be asked about."""
        return counted(self.unsure)


def measured(table: EventTable, series: Series, variable: Variable) -> Measures:
    """Read one variable from the observations of a series."""
    if variable.answers:
        size, fault = _labels(table, series.events, variable)
        unsure = np.zeros(len(size), dtype=np.bool_)
    else:
        size, fault, unsure = _numbers(table, series.events, variable)
    if series.begin is None:
        return Measures(size, fault, np.zeros(len(size), dtype=np.bool_), unsure)
    return _together(variable, series.begin, size, fault, unsure)


def labels_of(variable: Variable) -> tuple[str, ...]:
    """Return a variable's labels in the order in which columns number them."""
    return tuple(sorted(set(variable.answers.values())))


def _labels(table: EventTable, events: Index, variable: Variable) -> tuple[Longs, Bytes]:
    places = {label: place for place, label in enumerate(labels_of(variable))}
    meaning = np.array(
        [_meaning(answer, variable, places) for answer in (*table.answers, "")], dtype=np.int64
    )
    given = table.observations.form[events] == ANSWER
    size = np.where(
        given, meaning[np.where(given, table.observations.answer[events], -1)], _UNKNOWN
    )
    fault = np.zeros(len(size), dtype=np.uint8)
    fault[size == _UNKNOWN] = _UNRESOLVED
    fault[size == _SEVERAL] = _CONFLICTING
    return np.maximum(size, 0), fault


_UNKNOWN, _SEVERAL = -1, -2


def _meaning(answer: str, variable: Variable, places: Mapping[str, int]) -> int:
    """Return the place of an answer's label; an answer may have several codes, one a line."""
    labels = {variable.answers[code] for code in answer.split("\n") if code in variable.answers}
    if len(labels) > 1:
        return _SEVERAL
    return places[labels.pop()] if labels else _UNKNOWN


def _numbers(table: EventTable, events: Index, variable: Variable) -> tuple[Longs, Bytes, Bools]:
    observed = table.observations
    fault = np.where(observed.form[events] == NUMBER, 0, _UNRESOLVED).astype(np.uint8)
    number = observed.number[events]
    usable = fault == 0
    found = [_conversion(unit, variable) for unit in table.units]
    unit = observed.unit[events]
    if any(not isinstance(one, Conversion) for one in found):
        known = np.array([isinstance(one, Conversion) for one in found], dtype=np.bool_)
        fault[usable & ~known[unit]] = _UNIT
        usable = fault == 0
    if not usable.all():
        number[~usable] = 0.0
    size, unsure = _sizes(number, unit, found, variable)
    if variable.plausible is not None:
        value = size / 10.0**variable.decimals
        low, high = variable.plausible
        fault[usable & ~unsure & ~((low <= value) & (value <= high))] = _IMPLAUSIBLE
    size[fault > 0] = 0
    return size, fault, unsure


def _conversion(unit: StatedUnit | None, variable: Variable) -> Conversion | str:
    """Return how the scalar history would convert a unit, or why it would not."""
    stated = unit or NO_UNIT
    bare = variable.unit == "1" and stated == NO_UNIT
    return SAME if bare else conversion(stated, variable.conversions)


def _sizes(
    number: Floats, unit: NDArray[np.int32], found: list[Conversion | str], variable: Variable
) -> tuple[Longs, Bools]:
    """Return the numbers converted and rounded, and where the scalar history must be asked."""
    usable = [one if isinstance(one, Conversion) else SAME for one in found]
    plain = all(one == SAME for one in usable)
    value, largest = number, None
    if not plain:
        factor = np.array([one.factor for one in usable])[unit]
        offset = np.array([one.offset for one in usable])[unit]
        value = number * factor
        largest = np.abs(value) + np.abs(offset)
        value = value + offset
    size, near, wide = scaled(value, variable.decimals, largest)
    scale = 10.0**variable.decimals
    for at in np.flatnonzero(near):
        exact = rounded(usable[unit[at]].apply(float(number[at])), variable.decimals)
        size[at] = round(exact * scale)
    return size, wide


def _together(
    variable: Variable, begin: Index, size: Longs, fault: Bytes, unsure: Bools
) -> Measures:
    """Make one of the readings at one time: equal ones, or numbers that agree, averaged."""
    count = np.diff(np.append(begin, len(size)))
    least, most = np.minimum.reduceat(size, begin), np.maximum.reduceat(size, begin)
    worst = np.maximum.reduceat(fault, begin)
    mildest = np.minimum.reduceat(np.where(fault > 0, fault, 255), begin)
    # which of two different faults speaks depends on the names of their sources
    unclear = (worst > 0) & (mildest != worst)
    unclear |= np.logical_or.reduceat(unsure, begin)
    apart = (least != most) & (worst == 0)
    if variable.answers:
        return Measures(least, worst, apart, unclear)
    clash = apart & ((most - least) / 10.0**variable.decimals > (variable.agree or 0))
    mean = mean_of(np.add.reduceat(size, begin), count)
    return Measures(np.where(apart, mean, least), worst, clash, unclear)
