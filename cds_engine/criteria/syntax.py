"""A criterion is true, false or unknown for a history: Kleene's three values, nothing else.

The nodes below are the referee of the whole project. Whatever is faster, or written in another
language, must agree with ``evaluate`` on every history.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from keyword import iskeyword
from math import inf
from typing import Literal, Protocol

from cds_engine.vocabulary.value import Span, State, number_text

Verdict = bool | None
"""True, False, or None for unknown."""

Operator = Literal["<", "<=", ">", ">=", "==", "!="]

OPERATIONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
FLIPPED: Mapping[Operator, Operator] = {
    "<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!=",
}  # fmt: skip


class Criterion(Protocol):
    """What every node can do."""

    def evaluate(self, state: State, trace: "Trace") -> Verdict:
        """Return the verdict for ``state``; append each leaf that was looked at to ``trace``."""

    def children(self) -> "tuple[Criterion, ...]":
        """Return the criteria this one is made of."""

    def names(self) -> frozenset[str]:
        """Return the variables this criterion reads."""


Trace = list[tuple[Criterion, Verdict]]
"""The leaves looked at, in order, with their verdicts."""


class Leaf:
    """A criterion that is not made of others."""

    __slots__ = ()

    def children(self) -> tuple[Criterion, ...]:
        """Return no criteria."""
        return ()


@dataclass(frozen=True, slots=True)
class Always(Leaf):
    """``true`` or ``false``, whoever the patient is."""

    value: bool

    def evaluate(self, state: State, trace: Trace) -> Verdict:  # noqa: ARG002 - the node contract
        """Return the constant."""
        trace.append((self, self.value))
        return self.value

    def names(self) -> frozenset[str]:
        """Return no names."""
        return frozenset()

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Threshold(Leaf):
    """A number compared with a constant: ``sbp >= 140``."""

    name: str
    op: Operator
    bound: float
    holds: Callable[[float, float], bool] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Look the operator up once."""
        object.__setattr__(self, "holds", OPERATIONS[self.op])

    def evaluate(self, state: State, trace: Trace) -> Verdict:
        """Compare; a span must lie wholly on one side, else the verdict is unknown."""
        value = state[self.name]
        verdict: Verdict
        if value is None:
            verdict = None
        elif type(value) is Span:
            verdict = span_holds(value, self.op, self.bound)
        else:
            verdict = self.holds(value, self.bound)  # type: ignore[arg-type]
        trace.append((self, verdict))
        return verdict

    def names(self) -> frozenset[str]:
        """Return the one name compared."""
        return frozenset((self.name,))

    def __str__(self) -> str:
        return f"{self.name} {self.op} {bound_text(self.bound)}"


@dataclass(frozen=True, slots=True)
class Linear:
    """A weighted sum of variables and a constant, with exact decimal weights.

    Attributes:
        terms: ``(name, weight)`` in the order they were written, no name twice, no zero weight.
        constant: what is added.
    """

    terms: tuple[tuple[str, Fraction], ...]
    constant: Fraction = Fraction(0)

    def names(self) -> frozenset[str]:
        """Return the variables that are summed."""
        return frozenset(name for name, _ in self.terms)

    def minus(self, other: "Linear") -> "Linear":
        """Return this sum less another one, like terms collected."""
        weights = dict(self.terms)
        for name, weight in other.terms:
            weights[name] = weights.get(name, Fraction(0)) - weight
        kept = tuple((name, weight) for name, weight in weights.items() if weight)
        return Linear(kept, self.constant - other.constant)

    def __str__(self) -> str:
        parts: list[str] = []
        for name, weight in self.terms:
            size = "" if abs(weight) == 1 else f"{decimal_text(abs(weight))} * "
            parts.append(_signed(weight < 0, f"{size}{name}", first=not parts))
        if self.constant or not parts:
            text = decimal_text(abs(self.constant))
            parts.append(_signed(self.constant < 0, text, first=not parts))
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Comparison(Leaf):
    """Two weighted sums compared: ``steps > 1.1 * steps_before``; exact, without rounding error.

    Attributes:
        digits: the decimals of each variable read, so that values become whole numbers.
    """

    left: Linear
    op: Operator
    right: Linear
    digits: tuple[tuple[str, int], ...]
    form: "IntegerForm" = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Bring everything to one side, in whole numbers."""
        form = IntegerForm.of(self.left.minus(self.right), dict(self.digits))
        object.__setattr__(self, "form", form)

    def evaluate(self, state: State, trace: Trace) -> Verdict:
        """Compare the exact difference of the two sides with zero."""
        verdict = self.form.compare(self.op, state)
        trace.append((self, verdict))
        return verdict

    def names(self) -> frozenset[str]:
        """Return the names on both sides."""
        return self.left.names() | self.right.names()

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


@dataclass(frozen=True, slots=True)
class IntegerForm:
    """A weighted sum of scaled values with whole weights; exact for any input.

    Attributes:
        terms: ``(name, digits, weight)``; a value counts as ``value * 10**digits``.
        constant: whole number added.
        divisor: what the whole sum must be divided by to be in the original unit.
    """

    terms: tuple[tuple[str, int, int], ...]
    constant: int
    divisor: int

    @classmethod
    def of(cls, linear: Linear, digits: Mapping[str, int]) -> "IntegerForm":
        """Scale a weighted sum until every weight is whole."""
        scaled = [(name, digits[name], w / 10 ** digits[name]) for name, w in linear.terms]
        divisor = 1
        for _, _, weight in [*scaled, ("", 0, linear.constant)]:
            divisor = divisor * weight.denominator // _gcd(divisor, weight.denominator)
        terms = tuple((name, places, int(weight * divisor)) for name, places, weight in scaled)
        return cls(terms, int(linear.constant * divisor), divisor)

    def total(self, state: State) -> int | Span | None:
        """Return the exact sum for ``state``; None where a value is missing, a span if one is."""
        low: float = self.constant
        high: float = self.constant
        low_open = high_open = False
        for name, places, weight in self.terms:
            value = state[name]
            if value is None:
                return None
            if isinstance(value, Span):
                ends = [(value.low, value.low_open), (value.high, value.high_open)]
                (start, s_open), (end, e_open) = ends if weight > 0 else ends[::-1]
                low += weight * _whole(start, places)
                high += weight * _whole(end, places)
                low_open, high_open = low_open or s_open, high_open or e_open
            else:
                size = weight * whole(float(value), places)
                low, high = low + size, high + size
        if low == high and not (low_open or high_open):
            return int(low)
        return Span(low, high, low_open, high_open)

    def compare(self, op: Operator, state: State) -> Verdict:
        """Compare the sum with zero."""
        total = self.total(state)
        if total is None:
            return None
        if isinstance(total, Span):
            return span_holds(total, op, 0)
        return OPERATIONS[op](total, 0)


@dataclass(frozen=True, slots=True)
class Flag(Leaf):
    """A yes-or-no variable by itself: ``pregnant``."""

    name: str

    def evaluate(self, state: State, trace: Trace) -> Verdict:
        """Return the variable's value."""
        verdict: Verdict = state[self.name]  # type: ignore[assignment]
        trace.append((self, verdict))
        return verdict

    def names(self) -> frozenset[str]:
        """Return the one name read."""
        return frozenset((self.name,))

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class OneOf(Leaf):
    """A label that is one of several: ``step is lifestyle``, ``sex in [female, other]``."""

    name: str
    labels: tuple[str, ...]

    def evaluate(self, state: State, trace: Trace) -> Verdict:
        """Say whether the value is among the labels."""
        value = state[self.name]
        verdict = None if value is None else value in self.labels
        trace.append((self, verdict))
        return verdict

    def names(self) -> frozenset[str]:
        """Return the one name read."""
        return frozenset((self.name,))

    def text(self, *, negated: bool = False) -> str:
        """Write the criterion or its opposite."""
        if len(self.labels) == 1:
            return f"{self.name} is {'not ' if negated else ''}{label_text(self.labels[0])}"
        listed = ", ".join(map(label_text, self.labels))
        return f"{self.name} {'not ' if negated else ''}in [{listed}]"

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True, slots=True)
class IsMissing(Leaf):
    """``missing(x)``: whether a value is absent; for guards that abstain, never for branches."""

    name: str

    def evaluate(self, state: State, trace: Trace) -> Verdict:
        """Say whether the value is missing; never unknown."""
        verdict = state[self.name] is None
        trace.append((self, verdict))
        return verdict

    def names(self) -> frozenset[str]:
        """Return the one name asked about."""
        return frozenset((self.name,))

    def __str__(self) -> str:
        return f"missing({self.name})"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; the opposite of unknown is unknown."""

    inner: Criterion

    def evaluate(self, state: State, trace: Trace) -> Verdict:
        """Turn the inner verdict round."""
        verdict = self.inner.evaluate(state, trace)
        return None if verdict is None else not verdict

    def children(self) -> tuple[Criterion, ...]:
        """Return the negated criterion."""
        return (self.inner,)

    def names(self) -> frozenset[str]:
        """Return the names of the negated criterion."""
        return self.inner.names()

    def __str__(self) -> str:
        if isinstance(self.inner, OneOf):
            return self.inner.text(negated=True)
        if isinstance(self.inner, All | Any):
            return f"not ({self.inner})"
        return f"not {self.inner}"


@dataclass(frozen=True, slots=True)
class All:
    """Conjunction: false as soon as one part is, else unknown if one part is, else true."""

    parts: tuple[Criterion, ...]
    read: frozenset[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Gather the names once."""
        read = frozenset().union(*(part.names() for part in self.parts))
        object.__setattr__(self, "read", read)

    def evaluate(self, state: State, trace: Trace) -> Verdict:
        """Look at the parts in order up to the first false one."""
        verdict: Verdict = True
        for part in self.parts:
            found = part.evaluate(state, trace)
            if found:
                continue
            if found is False:
                return False
            verdict = None
        return verdict

    def children(self) -> tuple[Criterion, ...]:
        """Return the parts."""
        return self.parts

    def names(self) -> frozenset[str]:
        """Return the names of all parts."""
        return self.read

    def __str__(self) -> str:
        return " and ".join(_bracketed(part, Any, All) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Any:
    """Disjunction: true as soon as one part is, else unknown if one part is, else false."""

    parts: tuple[Criterion, ...]
    read: frozenset[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Gather the names once."""
        read = frozenset().union(*(part.names() for part in self.parts))
        object.__setattr__(self, "read", read)

    def evaluate(self, state: State, trace: Trace) -> Verdict:
        """Look at the parts in order up to the first true one."""
        verdict: Verdict = False
        for part in self.parts:
            found = part.evaluate(state, trace)
            if found is True:
                return True
            if found is None:
                verdict = None
        return verdict

    def children(self) -> tuple[Criterion, ...]:
        """Return the parts."""
        return self.parts

    def names(self) -> frozenset[str]:
        """Return the names of all parts."""
        return self.read

    def __str__(self) -> str:
        return " or ".join(_bracketed(part, Any) for part in self.parts)


def span_holds(span: Span, op: Operator, bound: float) -> Verdict:
    """Say whether every number of a span (True), none (False) or some (None) satisfies ``op``."""
    below = _all_below(span, bound, or_equal=False)
    at_most = _all_below(span, bound, or_equal=True)
    match op:
        case "<":
            return below
        case ">=":
            return None if below is None else not below
        case "<=":
            return at_most
        case ">":
            return None if at_most is None else not at_most
    outside = below is True or at_most is False
    equal = False if outside else (True if span.low == span.high else None)
    return equal if op == "==" or equal is None else not equal


def _all_below(span: Span, bound: float, *, or_equal: bool) -> Verdict:
    """Say whether all of a span is below ``bound``: True, False (none of it is) or None."""
    if or_equal:
        if span.high <= bound:
            return True
        return False if span.low > bound or (span.low == bound and span.low_open) else None
    if span.high < bound or (span.high == bound and span.high_open):
        return True
    return False if span.low >= bound else None


def leaves(criterion: Criterion) -> Iterator[Criterion]:
    """Yield the leaves from left to right."""
    inside = criterion.children()
    if not inside:
        yield criterion
    for part in inside:
        yield from leaves(part)


def signed_leaves(
    criterion: Criterion, *, negated: bool = False
) -> Iterator[tuple[Criterion, bool]]:
    """Yield the leaves from left to right, each with whether its opposite is asked for."""
    if isinstance(criterion, Not):
        yield from signed_leaves(criterion.inner, negated=not negated)
        return
    inside = criterion.children()
    if not inside:
        yield criterion, negated
    for part in inside:
        yield from signed_leaves(part, negated=negated)


def whole(value: float, digits: int) -> int:
    """Return ``value * 10**digits``, exactly, for a value rounded to ``digits`` decimals.

    >>> whole(1.1, 1), whole(0.29, 2)
    (11, 29)
    """
    product: float = value * 10**digits
    if -1e15 < product < 1e15:
        return round(product)
    return int(Decimal(repr(value)).scaleb(digits))


def decimal_text(number: Fraction) -> str:
    """Write an exact decimal in full; one that does not terminate is written as a quotient."""
    size = number.denominator
    places = 0
    while 10**places % size and places < 40:
        places += 1
    if 10**places % size:
        return f"{number.numerator} / {size}"
    return format(Decimal(number.numerator * (10**places // size)).scaleb(-places), "f")


def bound_text(bound: float) -> str:
    """Write a bound as an author could have: as a decimal, or as a quotient.

    >>> bound_text(140.0), bound_text(1 / 3)
    ('140', '1 / 3')
    """
    text = number_text(bound)
    if len(text.partition(".")[2]) <= 12:
        return text
    quotient = Fraction(bound).limit_denominator(10**6)
    return decimal_text(quotient) if float(quotient) == bound else text


def label_text(label: str) -> str:
    """Write a label as a name where it can be one, else in quotes.

    >>> label_text("lifestyle"), label_text("not yet"), label_text("or")
    ('lifestyle', "'not yet'", "'or'")
    """
    plain = label.isidentifier() and label.isascii() and not iskeyword(label)
    return label if plain else repr(label)


def _whole(end: float, digits: int) -> float:
    return end if end in (inf, -inf) else whole(end, digits)


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


def _signed(negative: bool, text: str, *, first: bool) -> str:
    if first:
        return f"-{text}" if negative else text
    return f"{'-' if negative else '+'} {text}"


def _bracketed(part: Criterion, *looser: type) -> str:
    return f"({part})" if isinstance(part, looser) else str(part)
