"""Events of many persons stand in columns, one row an event; nothing is interpreted yet.

What recurs (a group of codes, a unit, a status, a coded answer) stands once in a list and is
referred to by its place there. Whatever the columns cannot hold is marked ``untidy`` and told by
the records themselves, through the scalar history.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cds_engine.errors import TableError
from cds_engine.history.event import BEGINNING, EventKind
from cds_engine.vocabulary.time import Instant, Precision
from cds_engine.vocabulary.units import StatedUnit

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Bytes = NDArray[np.uint8]

NEVER: Final = int(np.iinfo(np.int64).max)
"""An instant that does not come: no end, never untidy."""

KINDS: tuple[EventKind, ...] = (
    "observation", "condition", "allergy", "request", "statement", "dispense", "administration",
    "procedure", "service", "encounter",
)  # fmt: skip
"""What a number in a ``kind`` column means."""

PRECISIONS: tuple[Precision, ...] = ("instant", "day", "month", "year")
"""What a number in a ``precision`` column means; one more stands for no time at all."""
DAY_PRECISION: Final = 1
UNDATED: Final = len(PRECISIONS)

NOTHING, NUMBER, ANSWER, OTHER = range(4)
"""What a number in a ``form`` column means: no value at all; a number; a coded answer; a value
that is there and can be neither, or that cannot be read."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What every event has, a row each; the columns may be of any integer type.

    Attributes:
        person: whose it is, as the row in ``Persons``.
        codes: place of its group of codes in ``EventTable.code_groups``.
        start, end: first and last instant at which it may have been; where the record gives no
            time, ``BEGINNING`` and ``recorded``.
        precision: see ``PRECISIONS``.
        recorded: when the record came to know it.
        source: any number that two events of one person share where they are of one source record.
            A number shared by chance costs time and no more.
        version: a number that two events of one source share where they are of one version, and
            only there.
        status: place in ``EventTable.statuses``.
        untidy: True where the columns do not tell all that the event does.
    """

    person: Longs
    codes: NDArray[np.int32]
    start: Longs
    end: Longs
    precision: Bytes
    recorded: Longs
    source: Longs
    version: Longs
    status: NDArray[np.uint16]
    untidy: Bools

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True, slots=True)
class Observations(Columns):
    """Observations.

    Attributes:
        form: see ``NOTHING`` and what follows it.
        number: the number as recorded; NaN where the value is none.
        unit: place in ``EventTable.units``.
        answer: place in ``EventTable.answers``; counts only where the form is ``ANSWER``.
    """

    form: Bytes
    number: Floats
    unit: NDArray[np.int32]
    answer: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Occurrences(Columns):
    """Every event that is no observation.

    Attributes:
        kind: see ``KINDS``.
        until_start, until_end: when it ended; ``NEVER`` where that is open or not known.
        ended: True where the record says that it is over.
        doubt: True where the record itself calls it unconfirmed.
        days: days of supply; NaN where none are stated.
    """

    kind: Bytes
    until_start: Longs
    until_end: Longs
    ended: Bools
    doubt: Bools
    days: Floats

    @classmethod
    def none(cls) -> "Occurrences":
        """Return columns without a row."""
        longs = np.zeros(0, dtype=np.int64)
        floats = np.zeros(0)
        bytes_ = np.zeros(0, dtype=np.uint8)
        bools = np.zeros(0, dtype=np.bool_)
        return cls(
            person=longs, codes=longs.astype(np.int32), start=longs, end=longs, precision=bytes_,
            recorded=longs, source=longs, version=longs, status=longs.astype(np.uint16),
            untidy=bools, kind=bytes_, until_start=longs, until_end=longs, ended=bools,
            doubt=bools, days=floats,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Persons:
    """The facts about persons that do not change, a row each.

    Attributes:
        born_start, born_end: first and last instant of the date of birth.
        born_precision: see ``PRECISIONS``; ``UNDATED`` where no birth is on record.
        sex: place in ``sexes``; -1 where none is on record.
        died: the instant from which the person is known to be dead, see
            ``cds_engine.history.person.dead_from``; ``NEVER`` where that is not known.
        deceased: True where the record says that the person is dead; counts where it is not known
            since when.
        gaps: person -> key of a gap, as in ``Record.gaps`` -> the first instant at which it holds.
    """

    born_start: Longs
    born_end: Longs
    born_precision: Bytes
    sex: NDArray[np.int32]
    died: Longs
    deceased: Bools
    sexes: tuple[str, ...] = ()
    gaps: Mapping[int, Mapping[str, Instant]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.born_start)

    @classmethod
    def of_nothing_known(cls, count: int) -> "Persons":
        """Return so many persons of whom neither birth, sex nor death is on record."""
        return cls(
            born_start=np.zeros(count, dtype=np.int64),
            born_end=np.zeros(count, dtype=np.int64),
            born_precision=np.full(count, UNDATED, dtype=np.uint8),
            sex=np.full(count, -1, dtype=np.int32),
            died=np.full(count, NEVER, dtype=np.int64),
            deceased=np.zeros(count, dtype=np.bool_),
        )


@dataclass(frozen=True, slots=True)
class EventTable:
    """The events of a number of persons; see ``EventTableBuilder`` for the easy way to one."""

    persons: Persons
    observations: Observations
    occurrences: Occurrences
    code_groups: tuple[tuple[str, ...], ...]
    units: tuple[StatedUnit | None, ...]
    statuses: tuple[str, ...]
    answers: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse columns that do not fit together.

        Raises:
            TableError: names every column that does not fit, and why.
        """
        problems = [
            f"{name}.{problem}"
            for name in ("persons", "observations", "occurrences")
            for problem in _length_problems(getattr(self, name))
        ]
        if not problems:
            problems = [
                f"{name}.{problem}"
                for name in ("observations", "occurrences")
                for problem in self._place_problems(getattr(self, name))
            ]
        if problems:
            raise TableError("the events cannot be used: " + "; ".join(problems))

    def _place_problems(self, columns: Columns) -> Iterator[str]:
        sizes = {
            "person": len(self.persons),
            "codes": len(self.code_groups),
            "status": len(self.statuses),
            "precision": len(PRECISIONS) + 1,
            "unit": len(self.units),
            "kind": len(KINDS),
            "form": OTHER + 1,
        }
        for name, size in sizes.items():
            places = getattr(columns, name, None)
            if places is not None and len(places) and not 0 <= places.min() <= places.max() < size:
                yield f"{name} refers to places outside its list of {size}"
        if (columns.start > columns.end).any():
            yield "start lies after end in some rows; swap the two columns"
        undated = columns.precision == UNDATED
        if (columns.start[undated] != BEGINNING).any():
            yield "start of what has no time must be BEGINNING"


def _length_problems(columns: Any) -> Iterator[str]:
    for one in fields(columns):
        values = getattr(columns, one.name)
        if isinstance(values, np.ndarray) and values.shape != (len(columns),):
            yield f"{one.name} must have {len(columns)} rows, has the shape {values.shape}"
