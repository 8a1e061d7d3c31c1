"""A record is a patient's facts and events, and what is known to be missing from it.

Adapters make records; nothing here knows where they came from. Everything has two times: when it
was true of the patient, and when the record came to know it.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol

from msgspec import Struct

from cds_engine.vocabulary.time import Instant, Precision, instant
from cds_engine.vocabulary.units import StatedUnit
from cds_engine.vocabulary.value import Span

EventKind = Literal[
    "observation",
    "condition",
    "allergy",
    "request",        # a prescription
    "statement",      # a medication that somebody says is taken
    "dispense",
    "administration",
    "procedure",
    "service",        # an order for something that is no drug; a care plan
    "encounter",
]  # fmt: skip


class Time(Struct, frozen=True, gc=False):
    """When something was: the first and last instant that the record allows for.

    ``start == end`` for an instant. A date covers its UTC day up to the last microsecond, a month
    or a year all of it.
    """

    start: Instant
    end: Instant
    precision: Precision = "instant"


class Event(Struct, frozen=True, gc=False):
    """One thing that happened, as one version of one source record tells it.

    Attributes:
        kind: what it is.
        codes: every code it carries, ``system|code``; of a panel's component, the component's.
            Empty for an entry of a list (STANDING kinds) that is written in words alone.
        time: when it was true of the patient; None if the record does not say.
        recorded: when the record came to know it.
        source: reference to the source record, ``Observation/123``.
        version: orders the versions of one source; larger is newer.
        status: the status as recorded, normalised to FHIR's codes.
        value: a number (not yet converted), a span, a coded answer (``system|code``, several codes
            of one answer on lines of their own) or a truth value; None where there is none.
        unit: the unit as stated, for numbers.
        problem: why the value cannot be read though the record has one, in words; else empty.
        until: when it ended (a condition's abatement, a period's end); None if open or unknown.
        ended: True where the record says that it is over, whether or not it says since when. An
            ``until`` that has passed without it leaves open which of the two is right.
        doubt: True where the record itself calls it unconfirmed.
        days: days of supply, for prescriptions and dispenses.
    """

    kind: EventKind
    codes: tuple[str, ...]
    time: Time | None
    recorded: Instant
    source: str
    version: tuple[int, str] = (0, "")
    status: str = ""
    value: float | Span | str | bool | None = None
    unit: StatedUnit | None = None
    problem: str = ""
    until: Time | None = None
    ended: bool = False
    doubt: bool = False
    days: float | None = None


BEGINNING: Instant = instant(datetime(1, 1, 1, tzinfo=UTC))
"""Before everything."""


UNCODED = "there is no code in a code system, at most text"
"""Why an entry is set aside that no variable can be read from."""


def time_of(event: Event) -> Time:
    """Return when an event was; without a time of its own, some time before it was recorded."""
    return event.time or Time(BEGINNING, event.recorded, "year")


@dataclass(frozen=True, slots=True)
class SetAside:
    """A source record that was not used, and why; nothing is lost without a word."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Person:
    """The facts about a patient that do not change between decisions.

    Attributes:
        key: an opaque identifier; never a name.
        born: date of birth, as precise as recorded.
        sex: administrative sex.
        died: when the patient died; ``deceased`` alone may be known.
        deceased: whether the record says that the patient is dead.
        death_known: when the record came to know of the death, if it says so.
    """

    key: str
    born: Time | None = None
    sex: str | None = None
    died: Time | None = None
    deceased: bool = False
    death_known: Instant | None = None


class Gap(Struct, frozen=True, gc=False):
    """What is known to be missing under one key of ``Record.gaps``, from an instant on.

    Attributes:
        since: the first instant at which what is missing could have counted.
        words: all that is missing by then.
    """

    since: Instant
    words: str


class Earlier(Protocol):
    """Observations known at an instant, from before the windows of all variables."""

    def readings(self, codes: Set[str]) -> list[Event]:
        """Return those that carry one of the codes."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """All that an adapter could find out about one patient.

    Attributes:
        person: the facts that do not change.
        events: in any order, duplicates allowed.
        set_aside: source records that could not be read as events.
        gaps: key -> words, for what is missing: searches that failed or were cut short, resources
            that cannot be read. What the keys mean is in ``cds_engine.history.gaps``.
        gap_times: key -> how the gap grew, in order of time, where that is known. A gap that is not
            here holds from the beginning.
        earlier: further observations, which only tell that a value is stale; None where all are
            among the events.
    """

    person: Person
    events: tuple[Event, ...]
    set_aside: tuple[SetAside, ...] = ()
    gaps: Mapping[str, str] = field(default_factory=dict)
    earlier: Earlier | None = None
    gap_times: Mapping[str, tuple[Gap, ...]] = field(default_factory=dict)
