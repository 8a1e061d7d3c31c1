"""YAML is read as plain data: version 1.2, no tags, no aliases, no duplicate keys, bounded size."""

import datetime as dt
import json
import math
from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, NodeEvent

from cds_engine.errors import Fault, RuleBundleError

MAX_BYTES = 2_000_000
MAX_DEPTH = 60


def read_yaml(name: str, data: bytes) -> Mapping[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        RuleBundleError: with the line, for anything but one plain mapping.
    """
    if len(data) > MAX_BYTES:
        raise _refused(name, f"has {len(data)} bytes, at most {MAX_BYTES} are read")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(name, f"is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    try:
        _refuse_aliases_and_tags(name, text)
        content = _loader().load(text)
    except DuplicateKeyError as error:
        raise _refused(name, _marked(error) + "; each key may stand only once") from error
    except MarkedYAMLError as error:
        raise _refused(name, _marked(error)) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise _refused(name, f"is not readable YAML: {error}") from error
    if not isinstance(content, dict):
        raise _refused(name, "must hold a mapping of fields at the top")
    return content


def as_json(content: Mapping[str, Any]) -> bytes:
    """Write plain data as JSON, so that documents are validated by JSON's strict types."""
    return json.dumps(content, default=_date_text, allow_nan=False).encode()


def _loader() -> YAML:
    loader = YAML(typ="safe", pure=True)
    loader.version = (1, 2)
    loader.allow_duplicate_keys = False
    return loader


def _refuse_aliases_and_tags(name: str, text: str) -> None:
    depth = 0
    for event in _loader().parse(StringIO(text)):
        kind = type(event).__name__
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        line = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise _refused(f"{name}:{line}", f"is nested more than {MAX_DEPTH} deep")
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
            raise _refused(
                f"{name}:{line}", "uses an anchor or alias; write the value out where it is used"
            )
        tag = getattr(event, "ctag", None) or getattr(event, "tag", None)
        if tag:
            raise _refused(f"{name}:{line}", f"uses the tag {tag}; only plain data is read")


def _date_text(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no plain data")


def unsafe_number(content: object, place: str = "") -> Fault | None:
    """Return the first number that is not finite, if any."""
    if isinstance(content, float) and not math.isfinite(content):
        return Fault(place, "is not a finite number")
    if isinstance(content, dict):
        items = [(f"{place}.{key}".lstrip("."), value) for key, value in content.items()]
    elif isinstance(content, list):
        items = [(f"{place}[{at}]", value) for at, value in enumerate(content)]
    else:
        return None
    return next((f for key, value in items if (f := unsafe_number(value, key))), None)


def _marked(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}: " if mark else ""
    return f"{where}{error.problem or error.context}"


def _refused(place: str, problem: str) -> RuleBundleError:
    return RuleBundleError("rule bundle", [Fault(place, problem)])
