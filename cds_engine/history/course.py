"""The course is the sequence of catalogue actions begun so far, as the record shows them.

An action is begun when it is first seen: a later refill or repetition of an earlier step does not
take the patient back to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cds_engine.history.event import Event, EventKind, Time
from cds_engine.history.observations import elapsed_units
from cds_engine.history.reading import Measured
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
    """An action and when it was first seen."""

    action: str
    time: Time
    source: str


def course_of(events: Sequence[Event], seen_as: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the steps in the order in which they began.

    Args:
        events: known events, in any order.
        seen_as: code -> the action it recognises.
    """
    first: dict[str, Step] = {}
    for event in events:
        if event.kind not in COURSE_KINDS or event.time is None:
            continue
        for code in event.codes:
            action = seen_as.get(code)
            if action is None:
                continue
            step = Step(action, event.time, event.source)
            if action not in first or _order(step) < _order(first[action]):
                first[action] = step
    return tuple(sorted(first.values(), key=_order))


def from_course(variable: Variable, steps: Sequence[Step], as_of: Instant) -> Finding:
    """Return a course variable: the latest action, the time on it, or how many were begun."""
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
    since = Measured(latest[0].time, latest[0].source)
    return Known(elapsed_units(variable.unit or "wk", since, as_of), _readings(latest))


def _order(step: Step) -> tuple[Instant, Instant, str, str]:
    return (step.time.start, step.time.end, step.action, step.source)


def _readings(steps: Sequence[Step]) -> tuple[Reading, ...]:
    return tuple(Reading(step.source, step.time.start, step.time.end) for step in steps)
