"""A finding is one line of the requirements with its verdict; a report gathers them in order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import httpx

Verdict = Literal["ok", "warning", "violated", "not applicable"]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen of one requirement.

    Attributes:
        line: its number in the list of requirements.
        verdict: ``warning`` where nothing is violated, but something is worth knowing.
        what: the requirement in words.
        found: what was seen, where it matters.
    """

    line: int
    verdict: Verdict
    what: str
    found: str = ""


class Report:
    """Gathers findings; several checks of one requirement become one finding."""

    def __init__(self) -> None:
        self._faults: dict[tuple[int, str], list[str]] = {}
        self._skipped: dict[tuple[int, str], str] = {}
        self._remarks: dict[tuple[int, str], list[str]] = {}

    def check(self, line: int, what: str, faults: Iterable[str] = ()) -> None:
        """Note that a requirement was looked at, and what was wrong."""
        self._faults.setdefault((line, what), []).extend(faults)

    def remark(self, line: int, what: str, words: Iterable[str]) -> None:
        """Note what violates nothing but is worth knowing."""
        self._remarks.setdefault((line, what), []).extend(words)

    def skip(self, line: int, what: str, why: str) -> None:
        """Note that a requirement could not be looked at."""
        self._skipped[line, what] = why

    def findings(self) -> list[Finding]:
        """Return every finding, in the order of the lines."""
        found = [
            _finding(key, faults, self._remarks.get(key, []))
            for key, faults in self._faults.items()
        ]
        found += [
            Finding(line, "not applicable", what, why)
            for (line, what), why in self._skipped.items()
            if (line, what) not in self._faults
        ]
        return sorted(found, key=lambda finding: (finding.line, finding.what))


def _finding(key: tuple[int, str], faults: list[str], remarks: list[str]) -> Finding:
    line, what = key
    unique = list(dict.fromkeys(faults or remarks))
    more = f"; and {len(unique) - _SHOWN} more" if len(unique) > _SHOWN else ""
    verdict: Verdict = "violated" if faults else "warning" if remarks else "ok"
    return Finding(line, verdict, what, "; ".join(unique[:_SHOWN]) + more)


def json_of(answer: httpx.Response) -> Any:
    """Return the JSON of an answer; None where it is none."""
    try:
        return answer.json()
    except ValueError:
        return None


def status_fault(answer: httpx.Response, wanted: Iterable[int], asked: str) -> Iterator[str]:
    """Say that a status is not one of those wanted."""
    accepted = tuple(wanted)
    if answer.status_code not in accepted:
        names = " or ".join(map(str, accepted))
        yield f"{asked}: {answer.status_code} instead of {names}"


def empty_places(value: Any, place: str) -> Iterator[str]:
    """Yield every place that holds null or something empty."""
    if value is None or value in ("", [], {}):
        yield f"{place} is {value!r}"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from empty_places(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from empty_places(item, f"{place}[{index}]")


def typed(holder: Any, field: str, kind: type, place: str) -> Iterator[str]:
    """Say that a field of an object is missing, empty or of another type."""
    value = holder.get(field) if isinstance(holder, dict) else None
    if not isinstance(value, kind) or value in ("", None):
        yield f"{place}.{field} is missing or no {kind.__name__}"
