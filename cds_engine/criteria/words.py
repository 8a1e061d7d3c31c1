"""A criterion in words that a clinician reads without knowing the language."""

from collections.abc import Mapping
from fractions import Fraction

from cds_engine.criteria.syntax import (
    All,
    Always,
    Any,
    Comparison,
    Criterion,
    Flag,
    IntegerForm,
    IsMissing,
    Linear,
    Not,
    OneOf,
    Threshold,
    decimal_text,
)
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.units import unit_words
from cds_engine.vocabulary.value import NONE, number_text

_PHRASES: Mapping[str, str] = {
    "<": "is below {}",
    "<=": "is {} or lower",
    ">": "is above {}",
    ">=": "is {} or higher",
    "==": "is exactly {}",
    "!=": "is not {}",
}
_OPPOSITE: Mapping[str, str] = {
    "<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "==",
}  # fmt: skip


def criterion_words(
    criterion: Criterion, kinds: Mapping[str, Kind], *, negated: bool = False
) -> str:
    """Say a criterion: ``systolic blood pressure is 140 mmHg or higher``."""
    match criterion:
        case Not(inner):
            return criterion_words(inner, kinds, negated=not negated)
        case All(parts) | Any(parts):
            conjunction = isinstance(criterion, All) is not negated
            return _joined(parts, kinds, "and" if conjunction else "or", negated=negated)
        case Always(value):
            return "always" if value is not negated else "never"
        case Threshold(name, op, bound):
            phrase = _PHRASES[_OPPOSITE[op] if negated else op]
            amount = f"{number_text(bound)} {unit_words(kinds[name].unit)}".strip()
            return f"{kinds[name].label} {phrase.format(amount)}"
        case Comparison(left, op, right):
            phrase = _PHRASES[_OPPOSITE[op] if negated else op]
            return f"{_linear_words(left, kinds)} {phrase.format(_linear_words(right, kinds))}"
        case Flag(name):
            return f"{kinds[name].label}: {'no' if negated else 'yes'}"
        case OneOf(name, labels):
            return f"{kinds[name].label} is {_labels_words(labels, kinds[name], negated=negated)}"
        case IsMissing(name):
            return f"{kinds[name].label} is {'known' if negated else 'not known'}"
    raise TypeError(f"no words for {type(criterion).__name__}")


def _joined(
    parts: tuple[Criterion, ...], kinds: Mapping[str, Kind], word: str, *, negated: bool
) -> str:
    said = []
    for part in parts:
        text = criterion_words(part, kinds, negated=negated)
        inner = part
        while isinstance(inner, Not):
            inner = inner.inner
        said.append(f"({text})" if isinstance(inner, All | Any) else text)
    return f" {word} ".join(said)


def _labels_words(labels: tuple[str, ...], kind: Kind, *, negated: bool) -> str:
    spoken = {NONE: "nothing yet", **dict(kind.spoken)}
    said = [spoken.get(label, _quoted(label)) for label in labels]
    if not negated:
        return " or ".join(said)
    return f"not {said[0]}" if len(said) == 1 else f"neither {' nor '.join(said)}"


def _quoted(label: str) -> str:
    """Set a label of several words off, so that its ``not`` is not taken for the sentence's."""
    return f"“{label.replace('_', ' ')}”" if "_" in label or " " in label else label


def sum_words(form: IntegerForm, kinds: Mapping[str, Kind]) -> str:
    """Say a weighted sum: ``2 times Systolic blood pressure minus 300``."""
    terms = tuple((name, Fraction(w * 10**d, form.divisor)) for name, d, w in form.terms)
    return _linear_words(Linear(terms, Fraction(form.constant, form.divisor)), kinds)


def _linear_words(linear: Linear, kinds: Mapping[str, Kind]) -> str:
    parts: list[str] = []
    for name, weight in linear.terms:
        size = "" if abs(weight) == 1 else f"{decimal_text(abs(weight))} times "
        sign = "minus " if weight < 0 else ("plus " if parts else "")
        parts.append(f"{sign}{size}{kinds[name].label}")
    if linear.constant or not parts:
        sign = "minus " if linear.constant < 0 else ("plus " if parts else "")
        parts.append(f"{sign}{decimal_text(abs(linear.constant))}")
    return " ".join(parts)
