"""What pydantic found wrong with a document, said in the words of this project."""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cds_engine.bundle import document
from cds_engine.errors import Fault
from cds_engine.vocabulary.action import Action, Order
from cds_engine.vocabulary.variable import UnitRow, Variable

_WORDS: Mapping[str, str] = {
    "missing": "this field is required",
    "string_type": "must be a text; put it in quotes",
    "dict_type": "must be a mapping of fields",
    "model_type": "must be a mapping of fields",
    "tuple_type": "must be a list; write it as [a, b]",
    "bool_type": "must be true or false, without quotes",
    "float_type": "must be a number, without quotes",
    "int_type": "must be a whole number, without quotes",
    "too_short": "holds too little; at least {min_length} must stand here",
    "too_long": "holds too much; at most {max_length} may stand here",
    "string_too_short": "must not be empty",
    "string_too_long": "is too long; at most {max_length} characters are read",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than_equal": "must be {le:g} or less",
}
_MODELS: Sequence[type[BaseModel]] = (
    document.BundleDocument, document.Stage, document.Branch, document.Scores, document.Safeguard,
    document.Aim, document.About, document.Support, document.Score, Variable, Action,
    document.CasesDocument, document.Case, document.Expectation, Order, UnitRow,
)  # fmt: skip
_FIELDS = sorted({f.alias or name for model in _MODELS for name, f in model.model_fields.items()})


def document_faults(error: ValidationError, content: Mapping[str, Any]) -> list[Fault]:
    """Return every fault once, with its place in the document and the cure where one is known."""
    found: dict[str, list[str]] = {}
    unmeant: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False):
        place, is_meant = _place(detail["loc"], content)
        if not _is_echo(detail):
            (found if is_meant else unmeant).setdefault(place, []).append(_say(detail))
    for place, words in unmeant.items():
        if not any(other.startswith(place) for other in found):
            found[place] = words
    return [Fault(place, _joined(words)) for place, words in found.items()]


def _joined(words: Sequence[str]) -> str:
    """Join what the alternatives of one field object to, each once."""
    said = dict.fromkeys(words)
    if _WORDS["float_type"] in said:
        said.pop(_WORDS["int_type"], None)
    return "; or ".join(said)


def _is_echo(detail: ErrorDetails) -> bool:
    """Say whether a list is called short only because what stands in it has faults."""
    if detail["type"] != "too_short":
        return False
    return bool(len(detail["input"]) >= detail["ctx"]["min_length"])


def _say(detail: ErrorDetails) -> str:
    kind, field = detail["type"], str(detail["loc"][-1])
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(field, _FIELDS, n=1)
        hint = f"; did you mean `{close[0]}`?" if close else "; remove it"
        return f"there is no field `{field}` here{hint}"
    if kind == "string_pattern_mismatch" and field == "version":
        return f"{_shown(detail['input'])} is no version; {_version_cure(detail['input'])}"
    if kind == "string_pattern_mismatch":
        return (
            f"{_shown(detail['input'])} is not written as it must be; names are lower-case "
            "letters, digits and _ starting with a letter, a regime uses - for _, a version is "
            "three numbers such as 1.0.0"
        )
    if kind == "literal_error":
        known = detail["ctx"]["expected"].replace("False", "false")
        return f"{_shown(detail['input'])} stands where only {known} can"
    if kind in _WORDS:
        return _WORDS[kind].format(**detail.get("ctx", {}))
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _version_cure(text: str) -> str:
    """Complete a version that lacks numbers: ``1.0`` is meant as ``1.0.0``."""
    parts = text.removeprefix("v").split(".")
    if len(parts) <= 3 and all(part.isascii() and part.isdigit() for part in parts):
        numbers = [str(int(part)) for part in parts] + ["0"] * (3 - len(parts))
        return f"write it as {'.'.join(numbers)}"
    return "it is three numbers such as 1.0.0, and - with letters for a draft: 1.0.0-draft"


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _place(loc: tuple[int | str, ...], content: Any) -> tuple[str, bool]:
    """Write a location as a path, and say whether it is of an alternative that was meant.

    Where a field may be written in several ways, pydantic tries each and names it in the location.
    """
    text, here, is_meant = "", content, True
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
            here = here[part] if isinstance(here, list) and part < len(here) else None
        elif isinstance(here, dict) and part in here:
            text += f".{part}" if text else part
            here = here[part]
        elif part == "[key]":
            continue
        elif part in _SCALARS:
            is_meant = is_meant and not isinstance(here, dict | list)
        elif part in _MAPPINGS:
            is_meant = is_meant and not isinstance(here, list)
        elif part.startswith("tuple["):
            is_meant = is_meant and not isinstance(here, dict)
        else:
            text += f".{part}" if text else part
    return text, is_meant


_SCALARS = frozenset({"float", "int", "bool", "str", "constrained-str"})
_MAPPINGS = frozenset({"Scores", "UnitRow"})
