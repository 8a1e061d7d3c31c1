"""A condition is present, or not on the list, or recorded in a way that leaves it open."""

from collections.abc import Sequence

from cds_engine.history.elapsed import elapsed_units, first_of
from cds_engine.history.event import Event, time_of
from cds_engine.history.reading import event_readings
from cds_engine.history.value import Finding, Known, Missing
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.variable import Variable


def listed(
    variable: Variable, events: Sequence[Event], uncoded: Sequence[Event], as_of: Instant
) -> Finding:
    """Return whether a condition or allergy is present, was ever, or since when.

    A record that is over says nothing about now: without an open one, the variable's ``absent``
    speaks. A record that the chart itself calls unconfirmed, or whose dates contradict each
    other, leaves the variable unresolved, unless a sure one stands beside it. So does an entry in
    words alone: words are not guessed at, and what they name may be what is looked for.

    Args:
        variable: its definition.
        events: known entries with one of its codes, in any order.
        uncoded: known entries of the same list without any code.
        as_of: the instant of the decision.
    """
    ever = variable.aggregate == "ever"
    wanted = list(events) if ever else [e for e in events if not _over(e, as_of)]
    sure = [e for e in wanted if not e.doubt and not _future(e, as_of)]
    if not ever:
        sure = [e for e in sure if not _unclear(e, as_of)]
    if sure:
        return _present(variable, sure, as_of)
    if wanted:
        detail = "it is recorded as unconfirmed, or with dates that leave open whether it holds"
        return Missing("unresolved", detail, event_readings(wanted))
    open_entries = [e for e in uncoded if ever or not _over(e, as_of)]
    if open_entries:
        detail = _in_words(variable, open_entries)
        return Missing("unresolved", detail, event_readings(open_entries))
    return not_found(variable, "not on the list")


def _in_words(variable: Variable, entries: Sequence[Event]) -> str:
    name = "allergy list" if variable.source == "allergy" else "problem list"
    count = len({entry.source for entry in entries})
    if count == 1:
        return f"1 entry of the {name} has no code that can be read and may be this; give it a code"
    return (
        f"{count} entries of the {name} have no code that can be read and may be this; "
        "give them codes"
    )


def not_found(variable: Variable, words: str) -> Finding:
    """Return what a complete search without a result means for this variable."""
    if variable.aggregate == "elapsed":
        return Missing("absent", f"{words}, so no time has elapsed since")
    if variable.absent is False:
        return Known(value=False, note=words)
    return Missing("absent", f"{words}, and its absence does not mean no")


def _over(event: Event, as_of: Instant) -> bool:
    """Say whether it was over: the record says so, and since when does not contradict it."""
    if not event.ended or _backwards(event):
        return False
    return event.until is None or event.until.end <= as_of


def _unclear(event: Event, as_of: Instant) -> bool:
    """Say whether it may have ended: its end has begun, and yet it is not plainly over."""
    return event.until is not None and (event.until.start <= as_of or _backwards(event))


def _backwards(event: Event) -> bool:
    """Say whether it ended before it began, so that one of the two dates is wrong."""
    return bool(event.until and event.time and event.until.end < event.time.start)


def _future(event: Event, as_of: Instant) -> bool:
    return event.time is not None and event.time.start > as_of


def _present(variable: Variable, sure: list[Event], as_of: Instant) -> Finding:
    if variable.aggregate != "elapsed":
        return Known(value=True, readings=event_readings(sure))
    since = first_of([time_of(e) for e in sure])
    used = [e for e in sure if time_of(e).start <= since.end]
    return Known(elapsed_units(variable.unit or "a", since, as_of), event_readings(used))
