"""A variable is defined once: the same definition is fitted on, served with and replayed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from keyword import iskeyword
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cds_engine.errors import DurationError, Fault
from cds_engine.vocabulary.code import code_fault, plain_code
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.time import Duration, parse_duration
from cds_engine.vocabulary.units import SAME, Conversion

NAME = r"^[a-z][a-z0-9_]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]

SourceName = Literal[
    "patient.age",
    "patient.sex",
    "observation",
    "condition",
    "allergy",
    "medication",
    "procedure",
    "encounter",
    "course",
]
Take = Literal[
    "latest", "earliest", "mean", "min", "max", "count", "change", "slope", "elapsed",
    "adherence", "present", "active", "ever", "latest_action",
]  # fmt: skip
AgeUnit = Literal["a", "mo", "wk", "d"]

SEXES = frozenset({"female", "male", "other", "unknown"})


@dataclass(frozen=True, slots=True)
class Source:
    """What one source can give: its aggregates (the first is the default) and its fields."""

    takes: tuple[Take, ...]
    fields: frozenset[str]
    required: frozenset[str] = frozenset()


_SEARCH = frozenset({"codes", "take", "within", "unit", "digits", "status"})
_NUMERIC = frozenset({"units", "plausible", "agree", "panels", "answers", "per", "before"})

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "patient.age": Source((), frozenset({"unit", "plausible"}), frozenset({"unit"})),
        "patient.sex": Source((), frozenset()),
        "observation": Source(
            ("latest", "earliest", "mean", "min", "max", "count", "change", "slope", "elapsed"),
            _SEARCH | _NUMERIC,
            frozenset({"codes"}),
        ),
        "condition": Source(
            ("present", "ever", "elapsed"),
            frozenset({"codes", "absent", "take", "unit"}),
            frozenset({"codes"}),
        ),
        "allergy": Source(
            ("present",), frozenset({"codes", "absent", "take"}), frozenset({"codes"})
        ),
        "medication": Source(
            ("active", "ever", "elapsed", "count", "adherence"),
            frozenset({"codes", "absent", "take", "unit", "within", "digits"}),
            frozenset({"codes"}),
        ),
        "procedure": Source(
            ("ever", "elapsed", "count"),
            frozenset({"codes", "absent", "take", "unit", "within"}),
            frozenset({"codes"}),
        ),
        "encounter": Source(("count", "elapsed"), frozenset({"codes", "take", "unit", "within"})),
        "course": Source(("latest_action", "elapsed", "count"), frozenset({"take", "unit"})),
    }
)

_BOOLEAN_TAKES = frozenset({"present", "active", "ever"})
_LABEL_TAKES = frozenset({"latest", "earliest"})
_SAME_RANGE = frozenset({None, "latest", "earliest", "mean", "min", "max"})
_LANGUAGE = frozenset({"true", "false", "none", "missing"})


class UnitRow(BaseModel):
    """One accepted unit that needs more than a factor."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    factor: float = 1.0
    offset: float = 0.0


class Variable(BaseModel):
    """The definition of one variable: where it comes from and how it is taken from there."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)

    source: SourceName | None = Field(None, alias="from", description="Where it is read from.")
    derive: str | None = Field(
        None, description="A criterion (yes or no) or a weighted sum of other variables."
    )
    label: str | None = Field(None, description="What a clinician calls it.")
    definition: str | None = Field(None, description="The definition in words, with its source.")
    codes: tuple[str, ...] = Field((), description="Codes that count, as system|code.")
    panels: tuple[str, ...] = Field(
        (), description="Codes of panels that hold the codes as components; used when searching."
    )
    unit: str | None = Field(None, description="UCUM code of the variable's own unit.")
    units: dict[str, float | UnitRow] = Field(
        default_factory=dict, description="Other accepted units: factor, or factor and offset."
    )
    take: Take | None = Field(None, description="How several records become one value.")
    within: str | None = Field(None, description="How far back records count, as P30D, P3M, P1Y.")
    before: str | None = Field(
        None, description="An action: the window ends where that action first began."
    )
    per: AgeUnit | None = Field(None, description="Unit of time of a slope; weeks by default.")
    plausible: tuple[float, float] | None = Field(
        None, description="Smallest and largest believable value, both included."
    )
    digits: Annotated[int, Field(ge=0, le=9)] | None = Field(
        None, description="Decimals kept before any comparison; 2 by default."
    )
    agree: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Readings at one instant this close together are averaged."
    )
    status: tuple[str, ...] = Field((), description="Accepted statuses, if not the usual ones.")
    answers: dict[str, str] = Field(
        default_factory=dict, description="Coded answers: system|code -> label."
    )
    absent: Literal[False, "unknown"] | None = Field(
        None,
        description="What no record means once the search was complete; `false` or `unknown`.",
    )

    @field_validator("codes", "panels")
    @classmethod
    def _codes_are_comparable(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(plain_code, codes))

    @field_validator("answers")
    @classmethod
    def _answers_are_comparable(cls, answers: dict[str, str]) -> dict[str, str]:
        return {plain_code(code): label for code, label in answers.items()}

    @cached_property
    def aggregate(self) -> Take | None:
        """How records become one value: ``take``, or the source's default."""
        if self.take or self.source is None:
            return self.take
        takes = SOURCES[self.source].takes
        return takes[0] if takes else None

    @cached_property
    def decimals(self) -> int:
        """Decimals kept before comparing; counted and elapsed units are whole."""
        if self.aggregate in {"count", "elapsed"} or self.source == "patient.age":
            return 0
        return 2 if self.digits is None else self.digits

    @property
    def is_boolean(self) -> bool:
        """Whether it is read as yes or no."""
        return self.aggregate in _BOOLEAN_TAKES

    @property
    def is_label(self) -> bool:
        """Whether it is read as a label."""
        if self.source == "course":
            return self.aggregate == "latest_action"
        return self.source == "patient.sex" or bool(self.answers)

    @cached_property
    def window(self) -> Duration | None:
        """How far back records count; None for ever."""
        return parse_duration(self.within) if self.within else None

    @property
    def range_read(self) -> tuple[float | None, float | None]:
        """The plausible range of the value itself; that of the records says nothing of a count."""
        if self.plausible is None or self.aggregate not in _SAME_RANGE:
            return None, None
        return self.plausible

    @cached_property
    def conversions(self) -> Mapping[str, Conversion]:
        """Unit as stated in a record -> conversion into the variable's unit."""
        table = {self.unit: SAME} if self.unit else {}
        for unit, row in self.units.items():
            table[unit] = (
                Conversion(row.factor, row.offset)
                if isinstance(row, UnitRow)
                else Conversion(float(row))
            )
        return MappingProxyType(table)

    def kind(self, name: str, actions: frozenset[str]) -> Kind:
        """Return the type that criteria see; of a derived variable the caller knows better."""
        label = self.label or name.replace("_", " ")
        if self.is_boolean:
            return Kind("boolean", label)
        if self.source == "patient.sex":
            return Kind("label", label, labels=SEXES)
        if self.is_label:
            known = frozenset(self.answers.values()) or actions | {"none"}
            return Kind("label", label, labels=known)
        low, high = self.range_read
        return Kind("number", label, self.unit_read, self.decimals, None, low, high)

    @property
    def unit_read(self) -> str:
        """The unit of the value itself, which for a count or a slope is not the records' unit."""
        match self.aggregate:
            case "count":
                return ""
            case "adherence":
                return ""
            case "slope":
                return f"{self.unit}/{self.per or 'wk'}"
            case _:
                return self.unit or ""


def variable_faults(name: str, variable: Variable, actions: frozenset[str]) -> Iterator[Fault]:
    """Yield everything wrong with a definition, each with its place."""
    place = f"variables.{name}"
    if iskeyword(name) or name in _LANGUAGE:
        yield Fault(place, f"`{name}` is a word of the criterion language; choose another name")
    if (variable.source is None) == (variable.derive is None):
        yield Fault(place, "needs exactly one of `from` (a record) and `derive` (an expression)")
        return
    given = {field for field in variable.model_fields_set if field not in _ALWAYS}
    if variable.source is None:
        for field in sorted(given - {"digits", "unit"}):
            yield Fault(f"{place}.{field}", "has no meaning on a derived variable; remove it")
        return
    source = SOURCES[variable.source]
    for field in sorted(given - source.fields):
        allowed = ", ".join(sorted(source.fields)) or "nothing more"
        yield Fault(
            f"{place}.{field}",
            f"has no meaning for `from: {variable.source}`, which takes {allowed}",
        )
    for field in sorted(source.required - given):
        yield Fault(place, f"`from: {variable.source}` needs `{field}`")
    if variable.take and variable.take not in source.takes:
        yield Fault(
            f"{place}.take",
            f"{variable.take!r} cannot be taken from {variable.source}; "
            f"use {', '.join(source.takes) or 'no take at all'}",
        )
    yield from _detail_faults(place, variable, actions)


_ALWAYS = frozenset({"source", "derive", "label", "definition"})
_ELAPSED_UNITS = frozenset({"a", "mo", "wk", "d", "h"})


def _detail_faults(place: str, variable: Variable, actions: frozenset[str]) -> Iterator[Fault]:
    for field in ("codes", "panels", "answers"):
        for code in getattr(variable, field):
            problem = code_fault(code)
            if problem:
                yield Fault(f"{place}.{field}", problem)
    yield from _window_faults(place, variable, actions)
    yield from _number_faults(place, variable)
    yield from _unit_faults(place, variable)
    yield from _answer_faults(place, variable)


def _window_faults(place: str, variable: Variable, actions: frozenset[str]) -> Iterator[Fault]:
    try:
        _ = variable.window
    except DurationError as error:
        yield Fault(f"{place}.within", str(error))
    if variable.before is not None and variable.before not in actions:
        yield Fault(f"{place}.before", f"no action `{variable.before}`")
    needs_window = {"mean", "min", "max", "count", "change", "slope", "adherence"}
    windowed = "within" in SOURCES[variable.source or ""].fields
    if windowed and variable.aggregate in needs_window and not variable.within:
        yield Fault(
            place,
            f"`take: {variable.aggregate}` needs `within`, else values from decades ago count",
        )


def _number_faults(place: str, variable: Variable) -> Iterator[Fault]:
    numeric = not variable.is_boolean and not variable.is_label
    if variable.aggregate == "elapsed" and variable.unit not in _ELAPSED_UNITS:
        yield Fault(
            f"{place}.unit", "an elapsed time needs one of the units h, d, wk, mo and a (years)"
        )
    reads_quantity = variable.source == "observation" and variable.aggregate not in {
        "count", "elapsed",
    }  # fmt: skip
    if reads_quantity and numeric and not variable.unit:
        yield Fault(
            place,
            'needs `unit` (numbers), or `answers` (coded answers); `unit: "1"` is a bare number',
        )
    if variable.plausible and variable.plausible[0] >= variable.plausible[1]:
        yield Fault(f"{place}.plausible", "the lower bound must be below the upper one")
    if variable.source == "patient.age" and variable.unit not in {"a", "mo", "wk", "d"}:
        yield Fault(f"{place}.unit", "an age is in a (years), mo, wk or d")


def _unit_faults(place: str, variable: Variable) -> Iterator[Fault]:
    if variable.unit in variable.units:
        yield Fault(
            f"{place}.units", f"{variable.unit!r} is the variable's own unit; list only others"
        )
    for unit, row in variable.conversions.items():
        if not row.factor > 0:
            yield Fault(f"{place}.units.{unit}", "the factor must be above zero")
    if variable.per is not None and variable.source == "observation" and variable.take != "slope":
        yield Fault(f"{place}.per", "has a meaning only for `take: slope`; remove it")


def _answer_faults(place: str, variable: Variable) -> Iterator[Fault]:
    if variable.answers and variable.aggregate not in _LABEL_TAKES:
        yield Fault(
            f"{place}.take",
            f"{variable.aggregate!r} needs numbers, but `answers` gives labels; "
            f"use {' or '.join(sorted(_LABEL_TAKES))}, or remove `answers`",
        )
    takes_absent = "absent" in SOURCES[variable.source or "observation"].fields
    if variable.absent is not None and takes_absent and not variable.is_boolean:
        yield Fault(
            f"{place}.absent", f"has a meaning only for yes or no, not for {variable.aggregate!r}"
        )
