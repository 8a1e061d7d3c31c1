"""The form of a try page: one field for every variable that is read from a record."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import QueryParams

from cds_engine.bundle.model import RuleBundle
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.rounding import rounded
from cds_engine.vocabulary.units import unit_words
from cds_engine.vocabulary.value import NONE, number_text
from cds_engine.vocabulary.variable import Variable

DECEASED = "_deceased"
"""The one field that is no variable; no variable's name can begin with an underscore."""

REST = "_rest"
"""The button that takes what was left blank as not on record, though the record was searched."""

_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?")


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer that can be picked; an empty value means that it is not known."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form, with what was typed into it.

    Attributes:
        type: ``number``, ``boolean`` or ``label``.
        hint: what may be typed.
        choices: empty for numbers.
        text: as typed.
        problem: why it cannot be used; empty where it can.
    """

    name: str
    label: str
    type: str
    unit: str
    hint: str
    choices: tuple[Choice, ...]
    text: str
    problem: str


@dataclass(slots=True)
class Entry:
    """What was typed, read field by field.

    Attributes:
        sent: whether the form was sent at all, empty fields included.
        values: variable -> value; None where it was left blank.
        strange: problems that belong to no field.
    """

    sent: bool
    fields: tuple[Field, ...]
    values: Mapping[str, float | bool | str | None]
    deceased: bool = False
    strange: tuple[str, ...] = ()
    problems: tuple[Field, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Gather the fields that cannot be used."""
        self.problems = tuple(item for item in self.fields if item.problem)

    @property
    def usable(self) -> bool:
        """Whether a decision can be made from it."""
        return self.sent and not self.problems and not self.strange


def read_entry(bundle: RuleBundle, query: QueryParams) -> Entry:
    """Read a query string as the values of one made-up history."""
    fields: list[Field] = []
    values: dict[str, float | bool | str | None] = {}
    for name in bundle.base_variables:
        text = query.get(name, "").strip()
        if not text and query.get(REST) == "absent":
            text = _text_without_record(bundle.base_variables[name])
        value, problem = _read(bundle.kinds[name], text)
        values[name] = value
        fields.append(_field(bundle, name, text, problem))
    deceased = query.get(DECEASED, "")
    return Entry(
        bool(query), tuple(fields), values, deceased == "yes", _strange(bundle, query, deceased)
    )


def query_of(given: Mapping[str, object], *, deceased: bool = False) -> dict[str, str]:
    """Return the query string's fields that lead to these values."""
    fields = {name: _text(value) for name, value in given.items() if value is not None}
    return fields | ({DECEASED: "yes"} if deceased else {})


def _strange(bundle: RuleBundle, query: QueryParams, deceased: str) -> tuple[str, ...]:
    known = {*bundle.base_variables, DECEASED, REST}
    found = [f"There is no input named “{name[:64]}”." for name in query if name not in known]
    found += [
        f"“{bundle.kinds[name].label}” was given more than once; give it once."
        for name in bundle.base_variables
        if len(query.getlist(name)) > 1
    ]
    if deceased not in {"", "yes"} or len(query.getlist(DECEASED)) > 1:
        found.append("Whether the patient has died can only be left out, or be “yes”.")
    return tuple(found)


def _text_without_record(variable: Variable) -> str:
    """Return what a complete search without a result comes to; empty where that is missing."""
    if variable.is_boolean:
        return "no" if variable.absent is False else ""
    if variable.source == "course" and variable.is_label:
        return NONE
    return "0" if variable.aggregate == "count" else ""


def _read(kind: Kind, text: str) -> tuple[float | bool | str | None, str]:
    """Return the value of a field, and what is wrong with it."""
    if not text:
        return None, ""
    if kind.type == "number":
        return _number(kind, text)
    allowed = _choices(kind)
    if text not in allowed:
        return None, f"Choose one of {', '.join(allowed)}, or leave it unknown."
    return (text == "yes" if kind.type == "boolean" else text), ""


def _number(kind: Kind, text: str) -> tuple[float | None, str]:
    if not _NUMBER.fullmatch(text) or not text.isascii():
        return None, "Write a plain number, such as 140 or 5.5, with a point and without a unit."
    value = rounded(float(text), kind.digits)
    if kind.low is not None and kind.high is not None and not kind.low <= value <= kind.high:
        return None, (
            f"Outside the plausible range, {_range(kind)}. "
            "In a record, such a value would count as missing."
        )
    return value, ""


def _choices(kind: Kind) -> list[str]:
    if kind.type == "boolean":
        return ["yes", "no"]
    return sorted(kind.labels or (), key=lambda label: (label != NONE, label))


def _field(bundle: RuleBundle, name: str, text: str, problem: str) -> Field:
    kind = bundle.kinds[name]
    return Field(
        name=name,
        label=kind.label,
        type=kind.type,
        unit=unit_words(kind.unit),
        hint=_hint(kind),
        choices=tuple(_offered(bundle, name, kind)),
        text=text,
        problem=problem,
    )


def _offered(bundle: RuleBundle, name: str, kind: Kind) -> Iterator[Choice]:
    """Yield the answers of a field; not knowing is the first of a list and the last of a pair."""
    unknown = Choice("", "not known")
    if kind.type == "label":
        yield unknown
    if kind.type != "number":
        yield from (Choice(v, _choice_label(bundle, name, v)) for v in _choices(kind))
    if kind.type == "boolean":
        yield unknown


def _choice_label(bundle: RuleBundle, name: str, value: str) -> str:
    if bundle.variables[name].source != "course":
        return value
    if value == NONE:
        return "nothing yet"
    return bundle.actions[value].label if value in bundle.actions else value


def _hint(kind: Kind) -> str:
    if kind.type != "number" or kind.low is None:
        return ""
    return f"Plausible: {_range(kind)}."


def _range(kind: Kind) -> str:
    low, high = (number_text(end) for end in (kind.low or 0.0, kind.high or 0.0))
    return f"{low} to {high} {unit_words(kind.unit)}".strip()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number_text(float(value)) if isinstance(value, int | float) else str(value)
