"""A number is usable only if its unit stands in the variable's own table; nothing is assumed.

No unit library converts here: such libraries ignore annotations (``mL/min/{1.73_m2}``) and know
nothing of molar masses. A table has one row per unit that the variable accepts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from msgspec import Struct

from cds_engine.vocabulary.rounding import linear

UCUM = "http://unitsofmeasure.org"

SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "mmHg": "mm[Hg]",
        "mm Hg": "mm[Hg]",
        "mEq/L": "meq/L",
        "mcg/L": "ug/L",
        "mcg/dL": "ug/dL",
        "mcmol/L": "umol/L",
        "mL/min/1.73m2": "mL/min/{1.73_m2}",
        "mL/min/1.73 m2": "mL/min/{1.73_m2}",
        "percent": "%",
        "years": "a",
        "year": "a",
        "yr": "a",
        "lb": "[lb_av]",
        "lbs": "[lb_av]",
        "in": "[in_i]",
        "inches": "[in_i]",
        "degrees C": "Cel",
        "degrees F": "[degF]",
    }
)
"""Spellings seen in records -> the UCUM code that is meant. Only used to find contradictions
between the ``unit`` a person reads and the ``code`` a machine reads, never to supply a unit."""

_CODES = (
    "g/L", "g/dL", "mg/L", "mg/dL", "ug/L", "ug/dL", "ng/mL", "mol/L", "mmol/L", "umol/L",
    "nmol/L", "pmol/L", "meq/L", "mmol/mol", "mL/min", "L/min", "kg", "g", "mg", "cm", "m", "kPa",
    "/min", "mo", "wk", "d", "h", "kg/m2",
)  # fmt: skip
"""Other codes that a text may name; a text that names none of them contradicts nothing."""

_MEANT: Mapping[str, str] = MappingProxyType(
    {text.casefold(): code for text, code in SPELLINGS.items()}
    | {code.casefold(): code for code in (*SPELLINGS.values(), *_CODES)}
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a number in one unit becomes one in the variable's unit: ``value * factor + offset``."""

    factor: float = 1.0
    offset: float = 0.0

    def apply(self, value: float) -> float:
        """Convert one number."""
        if self.factor == 1.0 and self.offset == 0.0:
            return value
        return linear(value, self.factor, self.offset)


SAME = Conversion()


class StatedUnit(Struct, frozen=True, gc=False):
    """The unit as a record states it.

    Attributes:
        code: the machine-readable code, empty if absent.
        system: its code system, empty if absent.
        text: the human-readable unit, empty if absent.
    """

    code: str = ""
    system: str = ""
    text: str = ""


def conversion(stated: StatedUnit, table: Mapping[str, Conversion]) -> Conversion | str:
    """Return how to convert a stated unit, or the words that say why it cannot be used.

    A code counts only in the UCUM system. Without one, the text counts only if the table lists it
    to the letter. A text that is another unit than the code makes the pair contradictory.
    """
    if not stated.code and not stated.text:
        return "the number has no unit"
    if stated.code and stated.system != UCUM:
        return f"the unit's code system is {stated.system or 'absent'!r}, not UCUM"
    if not stated.code:
        found = table.get(stated.text)
        return found or f"the unit {stated.text!r} has no code and is not in the variable's table"
    found = table.get(stated.code)
    if found is None:
        return f"the unit {stated.code!r} is not in the variable's table"
    return _contradiction(stated, table) or found


def _contradiction(stated: StatedUnit, table: Mapping[str, Conversion]) -> str | None:
    text = stated.text.strip()
    meant = text if text in table else _MEANT.get(text.casefold())
    if meant is None or meant == stated.code:
        return None
    if table.get(meant) != table[stated.code]:
        return f"the unit reads {stated.text!r} but is coded {stated.code!r}"
    return None


_SPOKEN: Mapping[str, str] = {
    "mm[Hg]": "mmHg",
    "a": "years",
    "mo": "months",
    "wk": "weeks",
    "d": "days",
    "h": "hours",
    "1": "",
    "mL/min/{1.73_m2}": "mL/min/1.73 m²",
    "kg/m2": "kg/m²",
    "Cel": "°C",
}


def unit_words(unit: str) -> str:
    """Write a UCUM unit as a clinician reads it; one without a custom stays as it is.

    >>> unit_words("mm[Hg]"), unit_words("{steps}/d"), unit_words("mm[Hg]/wk")
    ('mmHg', 'steps/day', 'mmHg/week')
    """
    if unit in _SPOKEN:
        return _SPOKEN[unit]
    above, bar, below = unit.rpartition("/")
    if bar and below in {"a", "mo", "wk", "d", "h"}:
        period = _SPOKEN[below].removesuffix("s")
        return f"{unit_words(above)}/{period}" if above else f"per {period}"
    return unit.replace("{", "").replace("}", "").replace("_", " ")
