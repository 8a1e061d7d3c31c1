"""YAML is read as plain data: version 1.2, no tags, no aliases, no duplicate keys, bounded size."""

import datetime as dt
import json
import math
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, DocumentStartEvent, Event, NodeEvent, ScalarEvent
from ruamel.yaml.parser import Parser

from cds_engine.errors import Fault, RuleBundleError

MAX_BYTES = 2_000_000
MAX_DEPTH = 60
MAX_NUMBER = 10**15


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
        content = _loader().load(text)
    except _NotPlainError as error:
        raise _refused(f"{name}:{error.line}", error.problem) from None
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
    loader.Parser = _PlainParser
    return loader


class _NotPlainError(Exception):
    def __init__(self, line: int, problem: str) -> None:
        self.line = line
        self.problem = problem
        super().__init__(problem)


class _PlainParser(Parser):
    """A parser that stops at the first thing that is more than plain data."""

    nesting = 0

    def get_event(self) -> Event:
        """Return the next event, if it may stand in a rule bundle."""
        event: Event = super().get_event()
        kind = type(event).__name__
        self.nesting += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        deep = self.nesting > MAX_DEPTH
        problem = f"is nested more than {MAX_DEPTH} deep" if deep else _not_plain(event)
        if problem:
            raise _NotPlainError(event.start_mark.line + 1, problem)
        return event


def _not_plain(event: Event) -> str | None:
    """Say what about an event is more than plain data, or None."""
    if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
        return "has a % directive, which could change what words mean; remove it"
    if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
        return "uses an anchor or alias; write the value out where it is used"
    if isinstance(event, ScalarEvent) and event.value == "<<" and not event.style:
        return "uses a merge key (<<); write the fields out where they are used"
    tag = getattr(event, "ctag", None) or getattr(event, "tag", None)
    return f"uses the tag {tag}; only plain data is read" if tag else None


def _date_text(value: object) -> str:
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no plain data")


def unsafe_values(content: object, place: str = "") -> Iterator[Fault]:
    """Yield every key, number and text that a strict reader of JSON or a screen would misread."""
    match content:
        case dict():
            for key, value in content.items():
                if isinstance(key, str):
                    yield from unsafe_values(key, place)
                    yield from unsafe_values(value, f"{place}.{key}".lstrip("."))
                else:
                    shown = str(key).lower() if isinstance(key, bool) else str(key)
                    yield Fault(place, f"the key {shown} is no text; put it in quotes")
        case list():
            for at, value in enumerate(content):
                yield from unsafe_values(value, f"{place}[{at}]")
        case bool():
            return
        case int() | float():
            if isinstance(content, float) and not math.isfinite(content):
                yield Fault(place, "is not a finite number")
            elif abs(content) >= MAX_NUMBER:
                yield Fault(place, "is too large a number to be compared; check the unit")
        case str():
            strange = next((c for c in content if _is_unseen(c)), None)
            if strange is not None:
                yield Fault(place, f"holds U+{ord(strange):04X}, which no reader sees; remove it")


def _is_unseen(character: str) -> bool:
    """Say whether a character is a control, a formatting sign or no character at all."""
    return unicodedata.category(character) in {"Cc", "Cf", "Cs"} and character not in "\n\t\u00ad"


def _marked(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}: " if mark else ""
    return f"{where}{error.problem or error.context}"


def _refused(place: str, problem: str) -> RuleBundleError:
    return RuleBundleError("rule bundle", [Fault(place, problem)])
