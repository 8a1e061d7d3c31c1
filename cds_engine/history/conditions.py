"""A condition is present, or not on the list, or recorded in a way that leaves it open."""

from collections.abc import Sequence

from cds_engine.history.event import Event
from cds_engine.history.observations import elapsed_units
from cds_engine.history.reading import Measured
from cds_engine.history.value import Finding, Known, Missing, Reading
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.variable import Variable


def listed(variable: Variable, events: Sequence[Event], as_of: Instant) -> Finding:
    """Return whether a condition or allergy is present, was ever, or since when.

    A record that is over says nothing about now: without an open one, the variable's ``absent``
    speaks. A record that the chart itself calls unconfirmed leaves the variable unresolved,
    unless a confirmed one stands beside it.
    """
    wanted = list(events) if variable.aggregate == "ever" else _open(events, as_of)
    sure = [e for e in wanted if not e.doubt and not _unclear(e, as_of)]
    if sure:
        return _present(variable, sure, as_of)
    if wanted:
        return Missing("unresolved", "it is recorded as unconfirmed", event_readings(wanted))
    return not_found(variable, "not on the list")


def not_found(variable: Variable, words: str) -> Finding:
    """Return what a complete search without a result means for this variable."""
    if variable.aggregate == "elapsed":
        return Missing("absent", f"{words}, so no time has elapsed since")
    if variable.absent is False:
        return Known(value=False, note=words)
    return Missing("absent", f"{words}, and its absence does not mean no")


def _open(events: Sequence[Event], as_of: Instant) -> list[Event]:
    """Return what was not over at ``as_of``."""
    return [
        event for event in events if not (event.until.end <= as_of if event.until else event.ended)
    ]


def _unclear(event: Event, as_of: Instant) -> bool:
    """Say whether it may have ended already: its end is vague and holds the instant."""
    return event.until is not None and event.until.start <= as_of < event.until.end


def _present(variable: Variable, sure: list[Event], as_of: Instant) -> Finding:
    if variable.aggregate != "elapsed":
        return Known(value=True, readings=event_readings(sure))
    timed = [e for e in sure if e.time]
    if not timed:
        return Missing("unresolved", "the record does not say since when", event_readings(sure))
    first = min(timed, key=lambda e: (e.time.start, e.source) if e.time else (0, ""))
    since = Measured(first.time, first.source)  # type: ignore[arg-type]
    return Known(elapsed_units(variable.unit or "a", since, as_of), event_readings([first]))


def event_readings(events: Sequence[Event]) -> tuple[Reading, ...]:
    """Return the sources of events in order of time."""
    ordered = sorted(events, key=lambda e: (e.time.start if e.time else 0, e.source))
    return tuple(
        Reading(e.source, e.time.start if e.time else None, e.time.end if e.time else None)
        for e in ordered
    )
