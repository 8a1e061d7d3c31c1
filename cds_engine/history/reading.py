"""A reading is one usable value of a variable at one time, or the reason why it is unusable."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from cds_engine.history.event import BEGINNING, Event, Time, time_of
from cds_engine.history.value import Missing, MissingReason, Reading
from cds_engine.vocabulary.rounding import rounded
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.units import SAME, Conversion, StatedUnit, conversion
from cds_engine.vocabulary.value import Scalar, Span
from cds_engine.vocabulary.variable import Variable

NO_UNIT = StatedUnit()
USUAL_STATUSES = frozenset({"final", "amended", "corrected"})


@dataclass(slots=True)
class Measured:
    """A value in the variable's unit with its time and source; or the fault that spoils it."""

    time: Time
    source: str
    value: Scalar | None = None
    fault: tuple[MissingReason, str] | None = None


def measure(event: Event, variable: Variable) -> Measured | None:
    """Return the reading that an event gives for a variable; None if it holds no value at all."""
    if event.value is None and not event.problem:
        return None
    measured = Measured(event.time or time_of(event), event.source)
    if event.problem:
        measured.fault = ("unresolved", event.problem)
    elif variable.answers:
        _answer(event, variable, measured)
    elif isinstance(event.value, bool | str) or event.value is None:
        measured.fault = ("unresolved", "the record holds an answer where a number is expected")
    else:
        _number(event.value, event.unit, variable, measured)
    return measured


def _answer(event: Event, variable: Variable, measured: Measured) -> None:
    codes = str(event.value).split("\n")
    labels = {variable.answers[code] for code in codes if code in variable.answers}
    if not labels:
        measured.fault = ("unresolved", "the answer is not among the variable's `answers`")
    elif len(labels) > 1:
        measured.fault = ("conflicting", "the codes of one answer contradict each other")
    else:
        measured.value = labels.pop()


def _number(
    value: float | Span, unit: StatedUnit | None, variable: Variable, measured: Measured
) -> None:
    stated = unit or NO_UNIT
    bare = variable.unit == "1" and stated == NO_UNIT
    found = SAME if bare else conversion(stated, variable.conversions)
    if isinstance(found, str):
        measured.fault = ("unit", found)
        return
    if isinstance(value, Span):
        _span(value, found, variable, measured)
        return
    number = rounded(found.apply(value), variable.decimals)
    if _implausible(number, variable):
        measured.fault = ("implausible", "the number is outside the plausible range")
    else:
        measured.value = number


def _span(span: Span, unit: Conversion, variable: Variable, measured: Measured) -> None:
    """Convert both ends and keep only the plausible part."""
    low, low_open = _end(unit.apply(span.low), span.low_open, variable)
    high, high_open = _end(unit.apply(span.high), span.high_open, variable)
    least, most = variable.plausible or (-inf, inf)
    within = (high > least or (high == least and not high_open)) and (
        low < most or (low == most and not low_open)
    )
    if not within:
        measured.fault = ("implausible", "the number is outside the plausible range")
        return
    low_open, high_open = low_open and low >= least, high_open and high <= most
    measured.value = Span(max(low, least), min(high, most), low_open, high_open)


def _end(end: float, is_open: bool, variable: Variable) -> tuple[float, bool]:
    """Round an end. One that moves is reached: below 5.4 is 5 or less once rounded to 0 digits."""
    kept = rounded(end, variable.decimals)
    return kept, is_open and kept == end


def _implausible(number: float, variable: Variable) -> bool:
    if variable.plausible is None:
        return False
    return not variable.plausible[0] <= number <= variable.plausible[1]


def source_readings(found: Iterable[tuple[str, Time]]) -> tuple[Reading, ...]:
    """Return sources with their times, each once, in order of time."""
    ordered = sorted({(time.start, time.end, source) for source, time in found})
    return tuple([_reading(*each) for each in ordered])


def _reading(start: Instant, end: Instant, source: str) -> Reading:
    return Reading(source, None, None) if start == BEGINNING else Reading(source, start, end)


def readings(measured: Iterable[Measured]) -> tuple[Reading, ...]:
    """Return the sources of several readings, each once, in order of time."""
    return source_readings([(m.source, m.time) for m in measured])


def event_readings(events: Iterable[Event]) -> tuple[Reading, ...]:
    """Return the sources of events, each once, in order of time."""
    return source_readings([(event.source, time_of(event)) for event in events])


def missing(
    reason: MissingReason, detail: str, used: Sequence[Measured], last: Instant | None = None
) -> Missing:
    """Return a missing value that names the sources it was looked for in."""
    return Missing(reason, detail, readings(used), last)
