"""Section C: what a prefetch template may say."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from cds_adapters.cds_hooks.conformance.report import Report
from cds_adapters.cds_hooks.hooks import HOOKS, USER_TOKENS

_tokens = re.compile(r"\{\{(.*?)\}\}")
_is_path = re.compile(r"[A-Z][A-Za-z]+(/[^/?]+)?").fullmatch
_COMMON = {
    "patient", "category", "code", "status", "clinical-status", "date", "_count", "_sort", "_id",
}  # fmt: skip
_SUBSET = "nothing outside the recommended subset"
_INCLUDE = "_include"
_OUTSIDE = ("_include:", "_revinclude", "_has", "_summary", "_elements", "$")
_PREFIXES = ("ne", "sa", "eb", "ap")
_DATES = {"date", "authored", "authoredon", "onset-date", "recorded-date", "period"}


def check_templates(report: Report, service: dict[str, Any]) -> None:
    """Look at every template of a service."""
    prefetch = service.get("prefetch")
    for key, text in (prefetch if isinstance(prefetch, dict) else {}).items():
        if isinstance(text, str):
            _Template(report, f"{service.get('id', '?')}.{key}", text, service).check()


class _Template:
    """One template under the lines of section C."""

    def __init__(self, report: Report, place: str, text: str, service: dict[str, Any]) -> None:
        self.report = report
        self.place = place
        self.text = text
        self.hook = HOOKS.get(str(service.get("hook")))
        self.path, _, query = text.partition("?")
        parts = [part.partition("=") for part in query.split("&") if part]
        self.parameters = [(name, value) for name, _, value in parts]

    def check(self) -> None:
        """Check every line."""
        self.note(24, "tokens are delimited by {{ and }}", self.delimiters())
        self.note(25, "tokens are first-level context fields or user ids", self.tokens())
        self.note(27, "context tokens are those that the hook allows", self.allowed())
        self.note(28, "a template is a read or a search by type", self.kind())
        self.note(30, "parameters have no modifier but :in", self.modifiers())
        self.note(31, "dates have the prefixes eq, lt, gt, ge and le only", self.prefixes())
        self.note(32, _SUBSET, self.outside())
        self.report.remark(32, _SUBSET, self.includes())
        self.note(33, "only common search parameters", self.common())
        self.note(40, "no parameter stands twice", self.twice())

    def note(self, line: int, what: str, faults: Iterator[str]) -> None:
        self.report.check(line, what, (f"{self.place}: {fault}" for fault in faults))

    def delimiters(self) -> Iterator[str]:
        if "{" in _tokens.sub("", self.text) or "}" in _tokens.sub("", self.text):
            yield "a brace stands outside a token"

    def tokens(self) -> Iterator[str]:
        for token in _tokens.findall(self.text):
            if token not in USER_TOKENS and re.fullmatch(r"context\.[A-Za-z]+", token) is None:
                yield f"{{{{{token}}}}} cannot be resolved by a 2.0 client"

    def allowed(self) -> Iterator[str]:
        if self.hook is None:
            return
        fields = {f"context.{field.name}" for field in self.hook.fields if field.token}
        for token in _tokens.findall(self.text):
            if token.startswith("context.") and token not in fields:
                yield f"{{{{{token}}}}} is no token of {self.hook.name}"

    def kind(self) -> Iterator[str]:
        if _is_path(self.path) is None:
            yield f"{self.path!r} is neither Type/id nor Type?search"

    def modifiers(self) -> Iterator[str]:
        for name, _ in self.parameters:
            if ":" in name and not name.endswith(":in"):
                yield f"{name} has a modifier"

    def prefixes(self) -> Iterator[str]:
        for name, value in self.parameters:
            if name in _DATES and value.startswith(_PREFIXES):
                yield f"{name}={value[:2]}"

    def outside(self) -> Iterator[str]:
        for name, _ in self.parameters:
            if name.startswith(_OUTSIDE) or "." in name:
                yield f"{name} is outside the subset"
        if "$" in self.path:
            yield "an operation is outside the subset"

    def includes(self) -> Iterator[str]:
        # The specification's own example uses it, though the recommended subset does not hold it.
        for name, _ in self.parameters:
            if name == _INCLUDE:
                yield f"{self.place}: {name} is outside the subset; some clients ignore it"

    def common(self) -> Iterator[str]:
        for name, _ in self.parameters:
            if name.partition(":")[0] not in _COMMON and name != _INCLUDE:
                yield f"{name} is not common among servers"

    def twice(self) -> Iterator[str]:
        for name, count in Counter(name for name, _ in self.parameters).items():
            if count > 1:
                yield f"{name} stands {count} times; some clients merge the values"
