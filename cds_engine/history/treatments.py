"""Treatments given: whether, when, how often, and what share of days was covered."""

from collections.abc import Sequence

from cds_engine.history.conditions import not_found
from cds_engine.history.elapsed import elapsed_units, is_vague, last_of
from cds_engine.history.event import Event, time_of
from cds_engine.history.reading import event_readings
from cds_engine.history.select import split, window_start
from cds_engine.history.value import Finding, Known, Missing
from cds_engine.vocabulary.rounding import rounded
from cds_engine.vocabulary.time import DAY, Instant
from cds_engine.vocabulary.value import Span
from cds_engine.vocabulary.variable import Variable


def treated(variable: Variable, events: Sequence[Event], as_of: Instant) -> Finding:
    """Return a medication, procedure or encounter variable from the events with its codes."""
    if variable.aggregate == "active":
        return _active(variable, events, as_of)
    if variable.aggregate == "adherence":
        return adherence(variable, events, as_of)
    within, before, astride = split(events, window_start(variable.window, as_of))
    inside = [event for event in within if not event.doubt]
    doubtful = [event for event in within if event.doubt]
    if variable.aggregate == "count":
        return _count(inside, doubtful + astride)
    if inside:
        if variable.aggregate == "ever":
            return Known(value=True, readings=event_readings(inside))
        return _elapsed(variable, inside + astride, doubtful, as_of)
    if doubtful or astride:
        detail = "a record leaves open whether it happened, or is dated too vaguely to count"
        return Missing("unresolved", detail, event_readings(doubtful + astride))
    words = "only older records" if before else "nothing on record"
    return not_found(variable, words)


def _active(variable: Variable, events: Sequence[Event], as_of: Instant) -> Finding:
    """A prescription or statement that is in force at ``as_of``.

    One that is called active though its end has passed contradicts itself.
    """
    in_force = [e for e in events if e.kind in {"request", "statement"} and not _over(e, as_of)]
    sure = [e for e in in_force if not e.doubt and _holds(e, as_of)]
    if sure:
        return Known(value=True, readings=event_readings(sure))
    if in_force:
        detail = "it is recorded as on hold or unconfirmed, or as active past its own end"
        return Missing("unresolved", detail, event_readings(in_force))
    return not_found(variable, "no prescription in force")


def _over(event: Event, as_of: Instant) -> bool:
    if event.until is None:
        return event.ended
    return event.until.end <= as_of and event.status != "active"


def _holds(event: Event, as_of: Instant) -> bool:
    if event.until is not None and event.until.end <= as_of:
        return False
    return event.status == "active" or (event.ended and event.until is not None)


def _count(inside: list[Event], astride: list[Event]) -> Finding:
    sure, most = (float(len({e.source for e in part})) for part in (inside, inside + astride))
    return Known(sure if sure == most else Span(sure, most), event_readings(inside + astride))


def _elapsed(
    variable: Variable, events: list[Event], doubtful: list[Event], as_of: Instant
) -> Finding:
    since = last_of([time_of(e) for e in events])
    later = [e for e in doubtful if time_of(e).end > since.start]
    if later:
        detail = "a later record leaves open whether it happened"
        return Missing("unresolved", detail, event_readings(later))
    used = [e for e in events if time_of(e).end >= since.start]
    return Known(elapsed_units(variable.unit or "d", since, as_of), event_readings(used))


def adherence(variable: Variable, events: Sequence[Event], as_of: Instant) -> Finding:
    """Return the proportion of days covered (PDC), from 0 to 1.

    The period runs from the first fill inside the window to ``as_of``, in whole days. Each fill
    covers its days of supply; supply left over from an earlier fill is used up first, so that
    overlapping fills extend each other. Dispenses count; where there is none, prescriptions with
    a stated supply do.
    """
    supplied = _fills(events, "dispense") or _fills(events, "request")
    inside, _, astride = split(supplied, window_start(variable.window, as_of))
    if any(e.doubt for e in inside):
        detail = "a fill is in status unknown, so that it is open whether it was handed over"
        return Missing("unresolved", detail, event_readings(inside))
    if astride or any(is_vague(time_of(e)) for e in inside):
        detail = "a fill is dated too vaguely, or not at all, to tell which days it covers"
        return Missing("unresolved", detail, event_readings(inside + astride))
    timed = sorted((time_of(e).start, e.days or 0.0, e.source) for e in inside)
    if not timed:
        return Missing("absent", "no fill with days of supply inside the window")
    first = timed[0][0]
    days = (as_of - first) // DAY
    if days < 1:
        return Missing("absent", "the first fill was less than a day ago", event_readings(inside))
    covered, free_from = 0.0, 0.0
    for start, supply, _ in timed:
        begin = max((start - first) / DAY, free_from)
        free_from = begin + supply
        covered += max(0.0, min(free_from, days) - min(begin, days))
    share = rounded(covered / days, variable.decimals)
    fills = "1 fill" if len(timed) == 1 else f"{len(timed)} fills"
    return Known(share, event_readings(inside), f"{fills} over {days} days")


def _fills(events: Sequence[Event], kind: str) -> list[Event]:
    return [e for e in events if e.kind == kind and e.days is not None and e.days > 0]
