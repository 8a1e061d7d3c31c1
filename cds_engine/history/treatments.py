"""Treatments given: whether, when, how often, and what share of days was covered."""

from collections.abc import Sequence

from cds_engine.history.conditions import event_readings, not_found
from cds_engine.history.event import Event
from cds_engine.history.observations import elapsed_units
from cds_engine.history.reading import Measured
from cds_engine.history.select import split, window_start
from cds_engine.history.value import Finding, Known, Missing
from cds_engine.vocabulary.time import DAY, Instant
from cds_engine.vocabulary.value import Span
from cds_engine.vocabulary.variable import Variable


def treated(variable: Variable, events: Sequence[Event], as_of: Instant) -> Finding:
    """Return a medication, procedure or encounter variable from the events with its codes."""
    if variable.aggregate == "active":
        return _active(variable, events, as_of)
    if variable.aggregate == "adherence":
        return adherence(variable, events, as_of)
    inside, before, astride = split(events, window_start(variable.window, as_of))
    if variable.aggregate == "count":
        return _count(inside, astride)
    if inside:
        if variable.aggregate == "ever":
            return Known(value=True, readings=event_readings(inside))
        return _elapsed(variable, inside, as_of)
    if astride:
        detail = "a record is dated too vaguely to tell whether it counts"
        return Missing("unresolved", detail, event_readings(astride))
    words = "only older records" if before else "nothing on record"
    return not_found(variable, words)


def _active(variable: Variable, events: Sequence[Event], as_of: Instant) -> Finding:
    """A prescription or statement that is in force at ``as_of``."""
    in_force = [
        e
        for e in events
        if e.kind in {"request", "statement"} and not (e.until.end <= as_of if e.until else e.ended)
    ]
    sure = [e for e in in_force if not e.doubt and e.status == "active"]
    if sure:
        return Known(value=True, readings=event_readings(sure))
    if in_force:
        detail = "it is recorded as on hold, intended or unconfirmed"
        return Missing("unresolved", detail, event_readings(in_force))
    return not_found(variable, "no prescription in force")


def _count(inside: list[Event], astride: list[Event]) -> Finding:
    sure, most = (float(len({e.source for e in part})) for part in (inside, inside + astride))
    return Known(sure if sure == most else Span(sure, most), event_readings(inside + astride))


def _elapsed(variable: Variable, inside: list[Event], as_of: Instant) -> Finding:
    last = max(inside, key=lambda e: (e.time.start, e.source) if e.time else (0, ""))
    if last.time is None:
        return Missing("unresolved", "the record does not say when", event_readings(inside))
    since = Measured(last.time, last.source)
    return Known(elapsed_units(variable.unit or "d", since, as_of), event_readings([last]))


def adherence(variable: Variable, events: Sequence[Event], as_of: Instant) -> Finding:
    """Return the proportion of days covered (PDC), from 0 to 1.

    The period runs from the first fill inside the window to ``as_of``, in whole days. Each fill
    covers its days of supply; supply left over from an earlier fill is used up first, so that
    overlapping fills extend each other. Dispenses count; where there is none, prescriptions with
    a stated supply do.
    """
    fills = _fills(events, "dispense") or _fills(events, "request")
    inside, _, _ = split(fills, window_start(variable.window, as_of))
    timed = sorted((e.time.start, e.days or 0.0, e.source) for e in inside if e.time)
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
    share = round(covered / days, variable.decimals) + 0.0
    return Known(share, event_readings(inside), f"{len(timed)} fills over {days} days")


def _fills(events: Sequence[Event], kind: str) -> list[Event]:
    return [e for e in events if e.kind == kind and e.days is not None and e.time]
