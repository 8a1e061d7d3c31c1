"""What pydantic found wrong with a document, said in the words of this project."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from cds_engine.bundle import document
from cds_engine.errors import Fault
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.variable import Variable

_WORDS: Mapping[str, str] = {
    "missing": "this field is required",
    "string_type": "must be a text; put it in quotes",
    "dict_type": "must be a mapping of fields",
    "tuple_type": "must be a list; write it as [a, b]",
    "bool_type": "must be true or false, without quotes",
    "float_type": "must be a number, without quotes",
    "int_type": "must be a whole number, without quotes",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}
_MODELS: Sequence[type[BaseModel]] = (
    document.BundleDocument, document.Stage, document.Branch, document.Scores, document.Safeguard,
    document.Aim, document.About, document.Support, document.Score, Variable, Action,
    document.CasesDocument, document.Case, document.Expectation,
)  # fmt: skip
_FIELDS = sorted({f.alias or name for model in _MODELS for name, f in model.model_fields.items()})


def document_faults(error: ValidationError, content: Mapping[str, Any]) -> list[Fault]:
    """Return every fault once, with its place in the document and the cure where one is known."""
    found: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False):
        place = _place(detail["loc"], content)
        words = _say(detail["type"], detail["loc"], detail["msg"])
        found.setdefault(place, [])
        if words not in found[place]:
            found[place].append(words)
    return [Fault(place, _most_useful(words)) for place, words in found.items()]


def _say(kind: str, loc: tuple[int | str, ...], message: str) -> str:
    if kind == "extra_forbidden":
        field = str(loc[-1])
        close = difflib.get_close_matches(field, _FIELDS, n=1)
        hint = f"; did you mean `{close[0]}`?" if close else "; remove it"
        return f"there is no field `{field}` here{hint}"
    if kind == "string_pattern_mismatch":
        return (
            "is not written as it must be; names are lower-case letters, digits and _ starting "
            "with a letter, a regime uses - for _, a version is three numbers such as 1.0.0"
        )
    if kind in _WORDS:
        return _WORDS[kind]
    return message[:1].lower() + message[1:]


def _most_useful(words: Sequence[str]) -> str:
    """Join what several readings of one field object to; an alternative is said as one."""
    return "; or ".join(words)


def _place(loc: tuple[int | str, ...], content: Any) -> str:
    """Write a location as a path; drop the parts that pydantic adds for alternatives."""
    text, here = "", content
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
            here = here[part] if isinstance(here, list) and part < len(here) else None
        elif isinstance(here, dict) and part in here:
            text += f".{part}" if text else part
            here = here[part]
        elif part == loc[-1] and isinstance(here, dict) and part not in _ALTERNATIVES:
            text += f".{part}" if text else str(part)
    return text


_ALTERNATIVES = frozenset({"Scores", "str", "constrained-str"})
