"""Only what the record knew by the instant counts, and only the newest version of it."""

from collections.abc import Iterable, Sequence

from cds_engine.history.event import Event, Time
from cds_engine.vocabulary.time import Duration, Instant

VOID = frozenset({"entered-in-error", "cancelled", "refuted"})
"""Statuses that make a source say nothing, and its earlier versions with it."""


def known_by(events: Iterable[Event], as_of: Instant) -> tuple[list[Event], list[tuple[str, str]]]:
    """Return the events that count at ``as_of``, and the sources left out with the reason.

    An event recorded later does not exist yet and is not mentioned. Of one source only its newest
    known version counts. What happens after ``as_of`` by its own account is left out.
    """
    newest: dict[str, tuple[int, str]] = {}
    known = [event for event in events if event.recorded <= as_of]
    for event in known:
        held = newest.get(event.source)
        if held is None or event.version > held:
            newest[event.source] = event.version
    kept: list[Event] = []
    left_out: list[tuple[str, str]] = []
    for event in known:
        if event.version != newest[event.source]:
            continue
        if event.status in VOID:
            left_out.append((event.source, event.status))
        elif event.time is not None and event.time.start > as_of:
            left_out.append((event.source, "dated after the instant of the decision"))
        else:
            kept.append(event)
    return kept, left_out


def started_by(time: Time, limit: Instant) -> bool:
    """Say whether something had begun by ``limit``, a day counting from its first instant."""
    return time.start <= limit


def window_start(window: Duration | None, end: Instant) -> Instant | None:
    """Return the first instant that counts, or None where all of the past does."""
    return None if window is None else window.before(end)


def split(
    events: Sequence[Event], start: Instant | None
) -> tuple[list[Event], list[Event], list[Event]]:
    """Split timed events into those inside the window, those before it, and those astride it.

    A date is inside if its day is not over when the window starts. A month or a year is inside
    only as a whole.
    """
    if start is None:
        return list(events), [], []
    inside: list[Event] = []
    before: list[Event] = []
    astride: list[Event] = []
    for event in events:
        time = event.time
        if time is None or time.end < start:
            before.append(event)
        elif time.start >= start or time.precision == "day":
            inside.append(event)
        else:
            astride.append(event)
    return inside, before, astride
