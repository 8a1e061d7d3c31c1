"""A JSON object that gives one key twice is refused: two readers would see two patients in it.

Fast decoders keep the last of two equal keys without a word, and none of them can be told not to.
So this check is a pass of its own. It costs several times as much as the typed decoding itself
(measured: six times); ``whole.lost_nothing`` tells the bodies that do not need it.
"""

import json
from typing import Any, NoReturn

from cds_adapters.fhir.errors import FHIRError


def refuse_duplicate_keys(data: bytes) -> None:
    """Raise FHIRError if any object in ``data`` has a key twice, or if it is not JSON.

    >>> refuse_duplicate_keys(b'{"subject": 1, "code": {"subject": 2}}')
    """
    try:
        # Python's own scanner is the only one that shows all pairs of an object. Values are not
        # looked at, so numbers are left as text.
        json.loads(
            data,
            object_pairs_hook=_checked,
            parse_float=_ignored,
            parse_int=_ignored,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise FHIRError("the JSON is nested too deeply to be a FHIR body; send it flat") from None
    except ValueError as fault:
        raise FHIRError(f"the body is not JSON: {_without_value(fault)}") from None


def _checked(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise FHIRError(
            f"the key {twice[:40]!r} stands twice in one JSON object, so that it is not clear "
            "which of the two is meant; send each key once"
        )


def _ignored(_: str) -> None:
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise FHIRError(f"{name} is no JSON number; leave the value out or state dataAbsentReason")


def _without_value(fault: ValueError) -> str:
    if isinstance(fault, json.JSONDecodeError):
        return f"{fault.msg} (byte {fault.pos})"
    return "it is not UTF-8"
