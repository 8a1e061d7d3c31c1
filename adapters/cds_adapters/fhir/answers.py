"""An observation's value is a number with its stated unit, a span, a code, a truth value or none.

Whatever the engine cannot compare is kept as a problem in words, never as a guess.
"""

from collections.abc import Callable
from math import inf, isfinite

from cds_adapters.fhir.codesets import shown
from cds_adapters.fhir.context import Context
from cds_adapters.fhir.elements import CodeableConcept, Quantity, Range
from cds_adapters.fhir.resources import Component, Observation
from cds_engine.vocabulary.units import StatedUnit
from cds_engine.vocabulary.value import Span

Answer = tuple[float | Span | str | bool | None, StatedUnit | None, str]
"""Value, unit, and why there is no value though the record has one."""

NOTHING: Answer = (None, None, "")
"""There is no answer; compared by identity."""

LIMIT = 1e15
"""No measurement is this large; such a number is a mistake or an attack."""

_TOO_LARGE = "the number is too large to be a measurement"
_SPANS: dict[str, Callable[[float], Span]] = {
    "<": lambda bound: Span(high=bound, high_open=True),
    "<=": lambda bound: Span(high=bound),
    ">": lambda bound: Span(low=bound, low_open=True),
    ">=": lambda bound: Span(low=bound),
}


def read_answer(part: Observation | Component, context: Context) -> Answer:
    """Return the answer that an observation or one of its components gives."""
    quantity = part.value_quantity
    # Written out, and before all else: most of a record's observations pass here.
    if (
        part.value_codeable_concept is None
        and part.value_string is None
        and part.value_boolean is None
        and part.value_integer is None
        and part.value_range is None
        and part.value_ratio is None
        and part.value_sampled_data is None
        and part.value_time is None
        and part.value_date_time is None
        and part.value_period is None
    ):
        if quantity is None:
            return NOTHING
        if part.data_absent_reason is None:
            return _quantity(quantity, context)
    return _any_answer(part, context)


def _any_answer(part: Observation | Component, context: Context) -> Answer:
    stated = (
        part.value_quantity,
        part.value_codeable_concept,
        part.value_string,
        part.value_boolean,
        part.value_integer,
        part.value_range,
        part.value_ratio,
        part.value_sampled_data,
        part.value_time,
        part.value_date_time,
        part.value_period,
    )
    if stated.count(None) < len(stated) - 1:
        return _problem("the record gives two values where FHIR allows one")
    if part.data_absent_reason is not None:
        return _problem("the record gives both a value and a reason why it is absent")
    return _other(part, context)


def _other(part: Observation | Component, context: Context) -> Answer:
    if part.value_codeable_concept is not None:
        return _coded(part.value_codeable_concept, context)
    if part.value_boolean is not None:
        return part.value_boolean, None, ""
    if part.value_integer is not None:
        return _integer(part.value_integer)
    if part.value_range is not None:
        return _range(part.value_range, context)
    if part.value_string is not None:
        return _problem("text answers cannot be compared")
    if part.value_ratio is not None or part.value_sampled_data is not None:
        return _problem("ratios and series of samples cannot be compared")
    return _problem("times and periods as answers cannot be compared")


def _problem(words: str) -> Answer:
    return None, None, words


def _integer(number: int) -> Answer:
    return (float(number), None, "") if -LIMIT < number < LIMIT else _problem(_TOO_LARGE)


def _quantity(quantity: Quantity, context: Context) -> Answer:
    stated = quantity.value
    if stated is None:
        return NOTHING
    if not -LIMIT < stated < LIMIT:
        return _problem(_TOO_LARGE)
    value, unit = stated + 0.0, context.unit(quantity)  # turns -0.0 into 0.0
    if quantity.comparator is None:
        return value, unit, ""
    span = _SPANS.get(quantity.comparator)
    if span is None:
        known = ", ".join(_SPANS)
        return _problem(f"comparator {shown(quantity.comparator)} is not one of {known}")
    return span(value), unit, ""


def _range(stated: Range, context: Context) -> Answer:
    ends = [end for end in (stated.low, stated.high) if end is not None and end.value is not None]
    if not ends:
        return NOTHING
    if any(end.comparator for end in ends):
        return _problem("a range's ends must not be bounds themselves")
    units = {context.unit(end) for end in ends}
    if len(units) > 1:
        return _problem("the two ends of the range have different units")
    low, high = _end(stated.low, -inf), _end(stated.high, inf)
    if not all(abs(end) < LIMIT for end in (low, high) if isfinite(end)):
        return _problem(_TOO_LARGE)
    if low > high:
        return _problem("the range's low end is above its high end")
    return Span(low, high), units.pop(), ""


def _end(quantity: Quantity | None, unbounded: float) -> float:
    return unbounded if quantity is None or quantity.value is None else quantity.value + 0.0


def _coded(concept: CodeableConcept, context: Context) -> Answer:
    """Return every code of the answer, a line each: which of them a variable names is its own."""
    codes = context.codes(concept)
    if codes:
        return "\n".join(sorted(codes)), None, ""
    return _problem("the answer has no code in a code system; text answers cannot be compared")
