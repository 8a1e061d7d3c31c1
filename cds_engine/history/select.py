"""Only what the record knew by the instant counts, and only the newest version of it."""

from collections.abc import Iterable, Sequence

from cds_engine.history.event import Event, EventKind, time_of
from cds_engine.vocabulary.time import Duration, Instant

VOID = frozenset({"entered-in-error", "cancelled", "refuted"})
"""Statuses that make a source say nothing, and its earlier versions with it."""

STANDING: frozenset[EventKind] = frozenset({"condition", "allergy"})
"""Kinds that stand on a list: a date in the future is a mistake there, and they are not passed
over for it, else a patient would be taken to be free of what the list names."""


def known_by(events: Iterable[Event], as_of: Instant) -> tuple[list[Event], list[tuple[str, str]]]:
    """Return the events that count at ``as_of``, and the sources left out with the reason.

    An event recorded later does not exist yet and is not mentioned. Of one source only its newest
    known version counts, and of equal versions the one that takes it back, or else the one recorded
    last. What happens after ``as_of`` by its own account is left out, unless it stands on a list.
    """
    known = [event for event in events if event.recorded <= as_of]
    kept: list[Event] = []
    left_out: list[tuple[str, str]] = []
    for event in _newest(known):
        if event.status in VOID:
            left_out.append((event.source, event.status))
        elif event.time is not None and event.time.start > as_of and event.kind not in STANDING:
            left_out.append((event.source, "dated after the instant of the decision"))
        else:
            kept.append(event)
    return kept, left_out


def counts_from(event: Event) -> Instant:
    """Return the first instant at which an event counts: it has begun, and it is recorded."""
    if event.time is None or event.kind in STANDING:
        return event.recorded
    return max(event.recorded, event.time.start)


def _newest(known: list[Event]) -> list[Event]:
    """Return the events of the newest version of each source, each once.

    Of copies of one version, those that take it back win: the others cannot be relied on.
    """
    newest: dict[str, Event] = {}
    plain = True
    for event in known:
        held = newest.setdefault(event.source, event)
        if held is not event:
            mine, best = _rank(event), _rank(held)
            plain = plain and mine == best
            if mine > best:
                newest[event.source] = event
    several = known if plain else [e for e in known if _rank(e) == _rank(newest[e.source])]
    # a source may tell several events, as a panel does, but never the same one twice
    told = {(event.source, event.codes) for event in several}
    return several if len(told) == len(several) else list(dict.fromkeys(several))


def _rank(event: Event) -> tuple[tuple[int, str], bool, Instant]:
    return event.version, event.status in VOID, event.recorded


def window_start(window: Duration | None, end: Instant) -> Instant | None:
    """Return the first instant that counts, or None where all of the past does."""
    return None if window is None else window.before(end)


def split(
    events: Sequence[Event], start: Instant | None
) -> tuple[list[Event], list[Event], list[Event]]:
    """Split events into those inside the window, those before it, and those that may be either.

    A date is inside if its day is not over when the window starts. A month or a year is inside
    only as a whole. What is not dated was before it was recorded.
    """
    if start is None:
        return list(events), [], []
    inside: list[Event] = []
    before: list[Event] = []
    astride: list[Event] = []
    for event in events:
        time = event.time or time_of(event)
        if time.end < start:
            before.append(event)
        elif time.start >= start or time.precision == "day":
            inside.append(event)
        else:
            astride.append(event)
    return inside, before, astride
