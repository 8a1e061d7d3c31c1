"""The course is the sequence of catalogue actions begun so far, as the record shows them.

An action is begun when it is first seen: a later refill or repetition of an earlier step does not
take the patient back to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cds_engine.history.elapsed import elapsed_units, first_of
from cds_engine.history.event import Event, EventKind, Time, time_of
from cds_engine.history.reading import source_readings
from cds_engine.history.value import Finding, Known, Missing, Reading
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.value import NONE
from cds_engine.vocabulary.variable import Variable

COURSE_KINDS: frozenset[EventKind] = frozenset(
    {"request", "dispense", "statement", "administration", "procedure", "service"}
)
"""The kinds of events by which an action is recognised."""


@dataclass(frozen=True, slots=True)
class Step:
    """An action and when it was first seen: the first instant it may have been, and the last.

    Attributes:
        action: its name in the catalogue.
        time: when it was first seen.
        sources: the records that show it, with their times.
        doubt: True where it rests on a record that leaves open whether it happened at all.
    """

    action: str
    time: Time
    sources: tuple[tuple[str, Time], ...]
    doubt: bool = False


def course_of(events: Sequence[Event], seen_as: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the steps in the order in which they began.

    Args:
        events: known events, in any order.
        seen_as: code -> the action it recognises.
    """
    seen: dict[str, list[Event]] = {}
    for event in events:
        if event.kind in COURSE_KINDS:
            for action in {seen_as[code] for code in event.codes if code in seen_as}:
                seen.setdefault(action, []).append(event)
    steps = [_step(action, found) for action, found in seen.items()]
    return tuple(sorted(steps, key=lambda step: (step.time.start, step.time.end, step.action)))


def _step(action: str, found: list[Event]) -> Step:
    timed = [(event.source, time_of(event)) for event in found]
    first = first_of([time for _, time in timed])
    # a procedure that is under way or was stopped is in doubt as done, but it has begun
    sure = [time_of(event) for event in found if event.status != "unknown"]
    doubt = len(sure) < len(found) and (not sure or first_of(sure) != first)
    return Step(action, first, tuple(item for item in timed if item[1].start <= first.end), doubt)


def from_course(variable: Variable, steps: Sequence[Step], as_of: Instant) -> Finding:
    """Return a course variable: the latest action, the time on it, or how many were begun."""
    doubtful = [step for step in steps if step.doubt]
    if doubtful:
        detail = "a record in status unknown leaves open whether or when an action began"
        return Missing("unresolved", detail, _readings(doubtful))
    if variable.aggregate == "count":
        return Known(float(len(steps)), _readings(steps))
    if not steps:
        if variable.aggregate == "latest_action":
            return Known(NONE, note="no action of the regime is on record")
        return Missing("absent", "no action of the regime is on record")
    start = max(step.time.start for step in steps)
    latest = [step for step in steps if step.time.end >= start]
    if len(latest) > 1:
        detail = "several actions began at one time, so the latest cannot be told"
        return Missing("conflicting", detail, _readings(latest))
    if variable.aggregate == "latest_action":
        return Known(latest[0].action, _readings(latest))
    value = elapsed_units(variable.unit or "wk", latest[0].time, as_of)
    return Known(value, _readings(latest))


def _readings(steps: Sequence[Step]) -> tuple[Reading, ...]:
    return source_readings(found for step in steps for found in step.sources)
