"""A decision point is an instant of a patient's past at which the regime would have been asked."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from cds_engine.history.course import COURSE_KINDS
from cds_engine.history.event import Event, EventKind, Record, time_of
from cds_engine.history.select import VOID, known_by
from cds_engine.replay.settings import ReplayError, ReplaySettings, later
from cds_engine.vocabulary.time import Instant

EVER: Instant = 2**62
"""After everything: what is known by then is all that the record came to hold."""

ORDERS: frozenset[EventKind] = frozenset({"request", "service"})
"""What is written in an encounter is what was decided there, whatever it orders."""

ACTS: frozenset[EventKind] = COURSE_KINDS - {"statement"}
"""What may be a catalogue action; what a patient says to be taking is history, not an action."""

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient's record, and which of its sources were written in which encounter.

    Attributes:
        encounters: source of an event -> source of its encounter, ``Encounter/1``; a source that
            names no encounter is not in it.
    """

    record: Record
    encounters: Mapping[str, str] = field(default_factory=lambda: _NONE)

    @property
    def key(self) -> str:
        """The patient's opaque identifier."""
        return self.record.person.key


@dataclass(frozen=True, slots=True)
class Point:
    """One decision point.

    Attributes:
        encounter: source of the encounter; empty on a schedule.
        as_of: the instant of the decision.
        withheld: sources that this very encounter wrote by then. They are what was decided
            here, so the history does not hold them.
    """

    encounter: str
    as_of: Instant
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Points:
    """A patient's decision points in order of time, and what became none, counted by reason."""

    points: tuple[Point, ...]
    counts: Counter[str]


def settled(record: Record) -> list[Event]:
    """Return what the record came to hold in the end: the newest version of every source."""
    events = record.events
    if len({event.source for event in events}) == len(events):
        # nothing has two versions, and nothing is recorded or dated after everything
        return [event for event in events if event.status not in VOID]
    return known_by(events, EVER)[0]


def decision_points(
    patient: Patient,
    settings: ReplaySettings,
    seen_as: Collection[str],
    held: Sequence[Event] | None = None,
) -> Points:
    """Return a patient's decision points.

    Args:
        patient: the record and its encounters.
        settings: where the points are.
        seen_as: every code by which an action of a catalogue is recognised.
        held: what ``settled`` says of the record, if that is known already.
    """
    if settings.points == "schedule":
        found = tuple(_scheduled(patient.record, settings))
        return Points(found, Counter(points=len(found)))
    counts: Counter[str] = Counter()
    acts = _acts(patient.record, seen_as)
    events = settled(patient.record) if held is None else held
    found = tuple(_at_encounters(patient, events, settings, acts, counts))
    counts["points"] = len(found)
    return Points(tuple(sorted(found, key=lambda p: (p.as_of, p.encounter))), counts)


def record_at(record: Record, point: Point) -> Record:
    """Return the record without what the point's own encounter wrote."""
    if not point.withheld:
        return record
    kept = tuple(event for event in record.events if event.source not in point.withheld)
    return replace(record, events=kept)


def _scheduled(record: Record, settings: ReplaySettings) -> Iterator[Point]:
    """Yield the instants of the schedule from the first entry of the record on.

    Nothing that is recorded later than an instant has a say in whether there is a point at it.
    """
    begun = min((event.recorded for event in record.events), default=None)
    for at in schedule(settings):
        if begun is not None and at >= begun:
            yield Point("", at)


def schedule(settings: ReplaySettings) -> list[Instant]:
    """Return the instants of the schedule, in order."""
    at, last, every = settings.first, settings.last, settings.every
    if at is None or last is None or every is None:
        raise ReplayError("a schedule needs its first instant, its last and the step")
    found = []
    while at <= last:
        found.append(at)
        at = later(at, every)
    return found


def _at_encounters(
    patient: Patient,
    events: Sequence[Event],
    settings: ReplaySettings,
    acts: list[Event],
    counts: Counter[str],
) -> Iterator[Point]:
    wanted = [frozenset(codes) for codes in (settings.classes, settings.types) if codes]
    for event in events:
        if event.kind != "encounter":
            continue
        counts["encounters"] += 1
        if not all(codes.intersection(event.codes) for codes in wanted):
            counts["encounters of another class or type"] += 1
        elif event.time is None or event.time.precision not in ("instant", "day"):
            counts["encounters without a day of their start"] += 1
        elif settings.end and event.until is None:
            counts["encounters without an end"] += 1
        else:
            start = event.time.start
            base = event.until.end if settings.end and event.until else start
            as_of = later(base, settings.offset)
            withheld = _written_here(patient, event.source, start, as_of, acts)
            yield Point(event.source, as_of, withheld)


def _acts(record: Record, seen_as: Collection[str]) -> list[Event]:
    """Return the orders, and whatever else shows a catalogue action."""
    return [
        event
        for event in record.events
        if event.kind in ORDERS
        or (event.kind in ACTS and any(code in seen_as for code in event.codes))
    ]


def _written_here(
    patient: Patient, encounter: str, start: Instant, as_of: Instant, acts: list[Event]
) -> frozenset[str]:
    """Return the sources that an encounter wrote by ``as_of``.

    A source that names its encounter is of that one. One that names none is of this one if it
    may have been written between the start and ``as_of``.
    """
    found = set()
    for event in acts:
        if event.recorded > as_of:
            continue
        named = patient.encounters.get(event.source)
        if named is None:
            time = time_of(event)
            here = time.start <= as_of and time.end >= start and event.time is not None
        else:
            here = named == encounter
        if here:
            found.add(event.source)
    return frozenset(found)
