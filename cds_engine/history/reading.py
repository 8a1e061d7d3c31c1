"""A reading is one usable value of a variable at one time, or the reason why it is unusable."""

from dataclasses import dataclass
from math import inf

from cds_engine.history.event import Event, Time
from cds_engine.history.value import Missing, MissingReason, Reading
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.units import Conversion, StatedUnit, conversion
from cds_engine.vocabulary.value import Scalar, Span
from cds_engine.vocabulary.variable import Variable

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
    if event.time is None or (event.value is None and not event.problem):
        return None
    measured = Measured(event.time, event.source)
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
    label = variable.answers.get(str(event.value))
    if label is None:
        measured.fault = ("unresolved", "the answer is not among the variable's `answers`")
    else:
        measured.value = label


def _number(
    value: float | Span, unit: StatedUnit | None, variable: Variable, measured: Measured
) -> None:
    if variable.unit == "1" and (unit is None or unit == StatedUnit()):
        found: Conversion | str = Conversion()
    else:
        found = conversion(unit or StatedUnit(), variable.conversions)
    if isinstance(found, str):
        measured.fault = ("unit", found)
        return
    if isinstance(value, Span):
        _span(value, found, variable, measured)
        return
    number = round(found.apply(value), variable.decimals)
    if _implausible(number, variable):
        measured.fault = ("implausible", "the number is outside the plausible range")
    else:
        measured.value = number + 0.0


def _span(span: Span, unit: Conversion, variable: Variable, measured: Measured) -> None:
    """Convert both ends and keep only the plausible part."""
    low, high = (
        (round(unit.apply(end), variable.decimals) if end not in (inf, -inf) else end)
        for end in (span.low, span.high)
    )
    least, most = variable.plausible or (-inf, inf)
    if high < least or low > most:
        measured.fault = ("implausible", "the number is outside the plausible range")
        return
    low_open, high_open = span.low_open and low >= least, span.high_open and high <= most
    measured.value = Span(max(low, least), min(high, most), low_open, high_open)


def _implausible(number: float, variable: Variable) -> bool:
    if variable.plausible is None:
        return False
    return not variable.plausible[0] <= number <= variable.plausible[1]


def as_reading(measured: Measured) -> Reading:
    """Return where a reading stands and when it was true."""
    return Reading(measured.source, measured.time.start, measured.time.end)


def readings(measured: list[Measured]) -> tuple[Reading, ...]:
    """Return the sources of several readings in order of time, then source."""
    ordered = sorted(measured, key=lambda m: (m.time.start, m.time.end, m.source))
    return tuple(map(as_reading, ordered))


def missing(
    reason: MissingReason, detail: str, used: list[Measured], last: Instant | None = None
) -> Missing:
    """Return a missing value that names the sources it was looked for in."""
    return Missing(reason, detail, readings(used), last)
