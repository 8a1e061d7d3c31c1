"""Events and persons become columns one after the other, as they are read."""

from array import array
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
_TYPES: Mapping[str, type[np.generic]] = {
    "q": np.int64, "i": np.int32, "H": np.uint16, "B": np.uint8, "d": np.float64, "?": np.bool_,
}  # fmt: skip

_COMMON = {
    "person": "q", "codes": "i", "start": "q", "end": "q", "precision": "B", "recorded": "q",
    "source": "q", "version": "q", "status": "H", "untidy": "?",
}  # fmt: skip
_OBSERVED = _COMMON | {"form": "B", "number": "d", "unit": "i", "answer": "i"}
_OCCURRED = _COMMON | {
    "kind": "B", "until_start": "q", "until_end": "q", "ended": "?", "doubt": "?", "days": "d",
}  # fmt: skip
_PERSON = {
    "born_start": "q", "born_end": "q", "born_precision": "B", "sex": "i", "died": "q",
    "deceased": "?",
}  # fmt: skip

T = TypeVar("T")


class _Growing:
    """Columns in the making: one compact array each."""

    def __init__(self, types: Mapping[str, str]) -> None:
        self.types = types
        self.arrays = [array("B" if kind == "?" else kind) for kind in types.values()]
        self.append = [column.append for column in self.arrays]

    def add(self, *values: Any) -> None:
        for append, value in zip(self.append, values, strict=True):
            append(value)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name, as copies: an array that lent its memory cannot grow."""
        return {
            name: np.array(np.frombuffer(column, dtype=_TYPES[kind]))
            for (name, kind), column in zip(self.types.items(), self.arrays, strict=True)
        }


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
        return row

    def add_person(self, person: Person, gaps: Mapping[str, Instant] | None = None) -> int:
        """Add a person; return the row, by which events and decision points refer to it.

        Args:
            person: the facts.
            gaps: key of a gap -> the first instant at which it holds.
        """
        born, dead = person.born, dead_from(person)
        self._persons.add(
            0 if born is None else born.start,
            0 if born is None else born.end,
            UNDATED if born is None else _PRECISION[born.precision],
            -1 if person.sex is None else _place(self._sexes, person.sex),
            NEVER if dead is None else dead,
            person.deceased,
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
        self._observed.add(
            *self._common(person, event, untidy=untidy),
            form,
            number,
            _place(self._units, event.unit),
            answer,
        )

    def _occur(self, person: int, event: Event) -> None:
        until: Time | None = event.until
        self._occurred.add(
            *self._common(person, event, untidy=False),
            _KIND[event.kind],
            NEVER if until is None else until.start,
            NEVER if until is None else until.end,
            event.ended,
            event.doubt,
            _NAN if event.days is None else event.days,
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
