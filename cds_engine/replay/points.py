"""A decision point is an instant of a patient's past at which the regime would have been asked."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from cds_engine.history.course import COURSE_KINDS
from cds_engine.history.elapsed import is_vague
from cds_engine.history.event import Event, EventKind, Record, time_of
from cds_engine.history.select import VOID, known_by
from cds_engine.replay.settings import ReplayError, ReplaySettings, later
from cds_engine.vocabulary.time import Duration, Instant

EVER: Instant = 2**62
"""After everything: what is known by then is all that the record came to hold."""

ORDERS: frozenset[EventKind] = frozenset({"request", "service"})
"""What is written in an encounter is what was decided there, whatever it orders."""

ACTS: frozenset[EventKind] = COURSE_KINDS - {"statement"}
"""What may be a catalogue action; what a patient says to be taking is history, not an action."""

LATE_ON_SCHEDULE = "instants of the schedule after the end of the records"

Named = tuple[str, tuple[int, str]]
"""One version of one source."""

_NONE: Mapping[Named, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Patient:
    """A patient's record, and which of its sources were written in which encounter.

    Attributes:
        encounters: version of a source -> source of the encounter that it names, ``Encounter/1``;
            of an encounter, the one that it is part of. What names none is not in it.
    """

    record: Record
    encounters: Mapping[Named, str] = field(default_factory=lambda: _NONE)

    @property
    def key(self) -> str:
        """The patient's opaque identifier."""
        return self.record.person.key

    def encounter_of(self, event: Event) -> str | None:
        """Return the source of the encounter that an event names, in this version of it."""
        return self.encounters.get((event.source, event.version))


@dataclass(frozen=True, slots=True)
class Point:
    """One decision point of one catalogue of actions.

    Attributes:
        encounter: source of the encounter; empty on a schedule.
        as_of: the instant of the decision.
        withheld: sources that this very encounter wrote by then. They are what was decided
            here, so the history does not hold them.
        began: when the encounter did; None on a schedule.
    """

    encounter: str
    as_of: Instant
    withheld: frozenset[str] = frozenset()
    began: Instant | None = None


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
        scheduled = tuple(_scheduled(patient.record, settings))
        found = tuple(point for point in scheduled if not is_after_all(point.as_of, settings))
        late = len(scheduled) - len(found)
        return Points(found, Counter({"points": len(found), LATE_ON_SCHEDULE: late}))
    counts: Counter[str] = Counter()
    acts = _Writings(patient, seen_as)
    events = settled(patient.record) if held is None else held
    found = tuple(_at_encounters(events, settings, acts, counts))
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
    """Return the instants of the schedule, in order: the first, and every step counted from it.

    Counted from the one before, steps of a month would stay on the day that the shortest has.
    """
    first, last, every = settings.first, settings.last, settings.every
    if first is None or last is None or every is None:
        raise ReplayError("a schedule needs its first instant, its last and the step")
    found: list[Instant] = []
    at = first
    while at <= last and (not found or at > found[-1]):
        found.append(at)
        steps = len(found)
        at = later(first, Duration(every.months * steps, every.exact * steps))
    return found


def is_after_all(as_of: Instant, settings: ReplaySettings) -> bool:
    """Say whether an instant is after the end of the records, where nobody can have decided."""
    return settings.data_until is not None and as_of > settings.data_until


def _at_encounters(
    events: Sequence[Event],
    settings: ReplaySettings,
    acts: "_Writings",
    counts: Counter[str],
) -> Iterator[Point]:
    wanted = [frozenset(codes) for codes in (settings.classes, settings.types) if codes]
    for event in events:
        if event.kind != "encounter":
            continue
        counts["encounters"] += 1
        if not all(codes.intersection(event.codes) for codes in wanted):
            counts["encounters of another class or type"] += 1
        elif reason := _no_point(event, settings):
            counts[reason] += 1
        else:
            start = time_of(event).start
            base = event.until.end if settings.end and event.until else start
            as_of = later(base, settings.offset)
            withheld = acts.of(event.source, start, as_of)
            yield Point(event.source, as_of, withheld, start)


def _no_point(encounter: Event, settings: ReplaySettings) -> str:
    """Return why an encounter of the right class and type is no decision point; else nothing."""
    time, until = encounter.time, encounter.until
    if time is None or is_vague(time):
        return "encounters without a day of their start"
    if settings.end and until is None:
        return "encounters without an end"
    if settings.end and until is not None and is_vague(until):
        return "encounters without a day of their end"
    if settings.end and until is not None and until.end < time.start:
        return "encounters that end before they start"
    # a day that is not over when the records end is not after them
    begun = until.start if settings.end and until is not None else time.start
    if is_after_all(later(begun, settings.offset), settings):
        return "encounters after the end of the records"
    return ""


class _Writings:
    """What a patient's encounters may have written: orders, and what else shows an action."""

    def __init__(self, patient: Patient, seen_as: Collection[str]) -> None:
        events = patient.record.events
        self._patient = patient
        self._acts = [
            event
            for event in events
            if event.kind in ORDERS
            or (event.kind in ACTS and any(code in seen_as for code in event.codes))
        ]
        self._plain = len({event.source for event in self._acts}) == len(self._acts)
        visits = [e for e in events if e.kind == "encounter"] if patient.encounters else []
        self._visits = visits if any(map(patient.encounter_of, visits)) else []

    def of(self, encounter: str, start: Instant, as_of: Instant) -> frozenset[str]:
        """Return the sources that an encounter wrote by ``as_of``, by what was known then.

        A source that names an encounter is of that one, and of those that it is part of, unless
        it was both dated and recorded before the start: then it was written earlier. One that
        names none is of this one if it may have been written between the start and ``as_of``.
        """
        known = self._known(as_of)
        visits = known_by(self._visits, as_of)[0] if known and self._visits else ()
        whole = enclosing(self._patient, visits)
        found = set()
        for event in known:
            named = self._patient.encounter_of(event)
            time = time_of(event)
            if named is None:
                here = time.start <= as_of and time.end >= start and event.time is not None
            else:
                here = time.end >= start or event.recorded >= start
                here = here and encounter in within(named, whole)
            if here:
                found.add(event.source)
        return frozenset(found)

    def _known(self, as_of: Instant) -> list[Event]:
        if not self._plain:
            return known_by(self._acts, as_of)[0]
        return [e for e in self._acts if e.recorded <= as_of and e.status not in VOID]


def enclosing(patient: Patient, events: Iterable[Event]) -> dict[str, str]:
    """Return encounter -> the encounter that it is part of, as some events tell."""
    if not patient.encounters:
        return {}
    told = ((e.source, patient.encounter_of(e)) for e in events if e.kind == "encounter")
    return {source: whole for source, whole in told if whole is not None}


def within(encounter: str, whole: Mapping[str, str]) -> frozenset[str]:
    """Return an encounter and all that it is part of; one that is part of itself ends that.

    >>> sorted(within("Encounter/ward", {"Encounter/ward": "Encounter/stay"}))
    ['Encounter/stay', 'Encounter/ward']
    """
    found = {encounter}
    while (name := whole.get(encounter)) is not None and name not in found:
        found.add(name)
        encounter = name
    return frozenset(found)
