"""Events and persons become columns one after the other, as they are read."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cds_engine.history.event import BEGINNING, Event, Person, Record, Time
from cds_engine.history.gaps import gap_starts
from cds_engine.history.person import dead_from
from cds_engine.history.table.columns import (
    ANSWER,
    KINDS,
    NEVER,
    NOTHING,
    NUMBER,
    OTHER,
    PRECISIONS,
    UNDATED,
    EventTable,
    Observations,
    Occurrences,
    Persons,
)
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.value import Span

if TYPE_CHECKING:
    from cds_engine.vocabulary.units import StatedUnit

_PRECISION = {name: place for place, name in enumerate(PRECISIONS)}
_KIND = {name: place for place, name in enumerate(KINDS)}
_NAN = float("nan")
_LONG, _INT, _SHORT, _BYTE = np.int64, np.int32, np.uint16, np.uint8
_FLOAT, _BOOL = np.float64, np.bool_
_AT_ONCE = 4_096
"""Rows that become columns together."""

_Types = dict[str, type[np.generic]]
_COMMON: _Types = {
    "person": _LONG, "codes": _INT, "start": _LONG, "end": _LONG, "precision": _BYTE,
    "recorded": _LONG, "source": _LONG, "version": _LONG, "status": _SHORT, "untidy": _BOOL,
}  # fmt: skip
_OBSERVED: _Types = _COMMON | {"form": _BYTE, "number": _FLOAT, "unit": _INT, "answer": _INT}
_OCCURRED: _Types = _COMMON | {
    "kind": _BYTE, "until_start": _LONG, "until_end": _LONG, "ended": _BOOL, "doubt": _BOOL,
    "days": _FLOAT,
}  # fmt: skip
_PERSON: _Types = {
    "born_start": _LONG, "born_end": _LONG, "born_precision": _BYTE, "sex": _INT, "died": _LONG,
    "deceased": _BOOL,
}  # fmt: skip

T = TypeVar("T")


class _Growing:
    """Columns in the making: rows at first, and a few thousand of them at a time columns."""

    def __init__(self, types: Mapping[str, type[np.generic]]) -> None:
        self.types = types
        self.rows: list[tuple[Any, ...]] = []
        self.parts: list[list[NDArray[Any]]] = []

    def settle(self, least: int = 1) -> None:
        """Make columns of the rows, if there are at least so many."""
        if len(self.rows) >= least:
            values = zip(*self.rows, strict=True)
            kinds = self.types.values()
            self.parts.append([np.array(v, dtype=t) for v, t in zip(values, kinds, strict=True)])
            self.rows.clear()

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name."""
        self.settle()
        parts = self.parts or [[np.empty(0, dtype=kind) for kind in self.types.values()]]
        together = map(np.concatenate, zip(*parts, strict=True))
        return dict(zip(self.types, together, strict=True))


class EventTableBuilder:
    """Collects persons and their events; in any order, but a person before the events."""

    def __init__(self) -> None:
        self._persons = _Growing(_PERSON)
        self._observed = _Growing(_OBSERVED)
        self._occurred = _Growing(_OCCURRED)
        self._gaps: dict[int, Mapping[str, Instant]] = {}
        self._codes: dict[tuple[str, ...], int] = {}
        self._units: dict[StatedUnit | None, int] = {}
        self._statuses: dict[str, int] = {}
        self._answers: dict[str, int] = {}
        self._sexes: dict[str, int] = {}
        self._count = 0

    def add_record(self, record: Record) -> int:
        """Add a person with all events and gaps; return the person's row."""
        row = self.add_person(record.person, gap_starts(record))
        for event in record.events:
            self.add_event(row, event)
        for growing in (self._observed, self._occurred):
            growing.settle(_AT_ONCE)
        return row

    def add_person(self, person: Person, gaps: Mapping[str, Instant] | None = None) -> int:
        """Add a person; return the row, by which events and decision points refer to it.

        Args:
            person: the facts.
            gaps: key of a gap -> the first instant at which it holds.
        """
        born, dead = person.born, dead_from(person)
        self._persons.rows.append(
            (
                0 if born is None else born.start,
                0 if born is None else born.end,
                UNDATED if born is None else _PRECISION[born.precision],
                -1 if person.sex is None else _place(self._sexes, person.sex),
                NEVER if dead is None else dead,
                person.deceased,
            )
        )
        if gaps:
            self._gaps[self._count] = dict(gaps)
        self._count += 1
        return self._count - 1

    def add_event(self, person: int, event: Event) -> None:
        """Add an event of a person."""
        if event.kind == "observation":
            self._observe(person, event)
        else:
            self._occur(person, event)

    def build(self) -> EventTable:
        """Return the table of all that was added so far."""
        return EventTable(
            Persons(**self._persons.columns(), sexes=tuple(self._sexes), gaps=dict(self._gaps)),
            Observations(**self._observed.columns()),
            Occurrences(**self._occurred.columns()),
            tuple(self._codes),
            tuple(self._units),
            tuple(self._statuses),
            tuple(self._answers),
        )

    def _common(self, person: int, event: Event, *, untidy: bool) -> tuple[Any, ...]:
        time = event.time
        start, end, precision = (
            (BEGINNING, event.recorded, UNDATED)
            if time is None
            else (time.start, time.end, _PRECISION[time.precision])
        )
        return (
            person,
            _place(self._codes, event.codes),
            start,
            end,
            precision,
            event.recorded,
            hash(event.source),
            hash(event.version),
            _place(self._statuses, event.status),
            untidy,
        )

    def _observe(self, person: int, event: Event) -> None:
        value = event.value
        form, number, answer = OTHER, _NAN, 0
        if event.problem:
            pass
        elif value is None:
            form = NOTHING
        elif isinstance(value, str):
            form, answer = ANSWER, _place(self._answers, value)
        elif isinstance(value, float):
            form, number = NUMBER, value
        # a span is no number, and what lasted some time has an end that no column holds; of
        # several codes of one answer each may be the one that a variable names
        several = isinstance(value, str) and "\n" in value
        untidy = isinstance(value, Span) or event.until is not None or several
        common = self._common(person, event, untidy=untidy)
        self._observed.rows.append((*common, form, number, _place(self._units, event.unit), answer))

    def _occur(self, person: int, event: Event) -> None:
        until: Time | None = event.until
        common = self._common(person, event, untidy=False)
        self._occurred.rows.append(
            (
                *common,
                _KIND[event.kind],
                NEVER if until is None else until.start,
                NEVER if until is None else until.end,
                event.ended,
                event.doubt,
                _NAN if event.days is None else event.days,
            )
        )


def table_of(records: Iterable[Record]) -> EventTable:
    """Lay records out as columns; the first record is person 0."""
    builder = EventTableBuilder()
    for record in records:
        builder.add_record(record)
    return builder.build()


def _place(places: dict[T, int], thing: T) -> int:
    place = places.get(thing)
    if place is None:
        place = places[thing] = len(places)
    return place
