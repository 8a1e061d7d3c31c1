"""Section E: what a card must look like."""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cds_adapters.cds_hooks.conformance.report import Report, typed

_is_html = re.compile(r"<[a-zA-Z!/]").search
_INDICATORS = {"info", "warning", "critical"}
_SUMMARY = "a summary is one sentence of fewer than 140 characters"
_ACTIONS = {"create", "update", "delete"}


def check_cards(report: Report, place: str, cards: list[Any]) -> None:
    """Look at every card of one answer."""
    if not cards:
        report.skip(70, _SUMMARY, "no card was sent about a patient of whom nothing is known")
    for index, card in enumerate(cards):
        if isinstance(card, dict):
            _Card(report, f"{place} cards[{index}]", card).check()
        else:
            report.check(66, "a card is an object", [f"{place} cards[{index}] is none"])


class _Card:
    """One card under the lines of section E."""

    def __init__(self, report: Report, place: str, card: dict[str, Any]) -> None:
        self.report = report
        self.place = place
        self.card = card
        self.suggestions = _objects(card.get("suggestions"))

    def check(self) -> None:
        """Check every line."""
        note = self.note
        note(69, "a card has a uuid, so that feedback can be given", self.uuids([self.card]))
        note(70, _SUMMARY, self.summary())
        note(71, "a detail holds no HTML", self.detail())
        note(72, "an indicator is info, warning or critical", self.indicator())
        note(73, "a source has a label, and absolute URLs", self.source())
        note(75, "suggestions come with a selectionBehavior", self.behavior())
        note(76, "at most one suggestion is recommended", self.recommended())
        note(77, "override reasons have code, system and display", self.reasons())
        note(79, "a suggestion has a label", self.labels(self.suggestions, "suggestions"))
        note(80, "a suggestion has a uuid", self.uuids(self.suggestions))
        note(84, "an action is create, update or delete, and described", self.actions())
        note(90, "a link has a label", self.labels(_objects(self.card.get("links")), "links"))
        note(92, "a link is absolute or smart, with an absolute URL", self.links())

    def note(self, line: int, what: str, faults: Iterator[str]) -> None:
        self.report.check(line, what, faults)

    def uuids(self, holders: list[dict[str, Any]]) -> Iterator[str]:
        for holder in holders:
            try:
                uuid.UUID(str(holder.get("uuid")))
            except ValueError:
                yield f"{self.place}: no uuid"

    def summary(self) -> Iterator[str]:
        yield from typed(self.card, "summary", str, self.place)
        if len(str(self.card.get("summary", ""))) >= 140:
            yield f"{self.place}: 140 characters or more"

    def detail(self) -> Iterator[str]:
        if _is_html(str(self.card.get("detail", ""))):
            yield f"{self.place}: HTML in detail"

    def indicator(self) -> Iterator[str]:
        if self.card.get("indicator") not in _INDICATORS:
            yield f"{self.place}: {self.card.get('indicator')!r}"

    def source(self) -> Iterator[str]:
        source = self.card.get("source")
        yield from typed(source, "label", str, f"{self.place}.source")
        for field in ("url", "icon"):
            url = source.get(field) if isinstance(source, dict) else None
            if url is not None and not _is_absolute(url):
                yield f"{self.place}.source.{field} is not absolute"

    def behavior(self) -> Iterator[str]:
        if self.suggestions and self.card.get("selectionBehavior") not in {"at-most-one", "any"}:
            yield f"{self.place}: {self.card.get('selectionBehavior')!r}"

    def recommended(self) -> Iterator[str]:
        number = sum(s.get("isRecommended") is True for s in self.suggestions)
        if self.card.get("selectionBehavior") == "at-most-one" and number > 1:
            yield f"{self.place}: {number} are"

    def reasons(self) -> Iterator[str]:
        for reason in _objects(self.card.get("overrideReasons")):
            for field in ("code", "system", "display"):
                yield from typed(reason, field, str, f"{self.place}.overrideReasons")

    def labels(self, holders: list[dict[str, Any]], name: str) -> Iterator[str]:
        for holder in holders:
            yield from typed(holder, "label", str, f"{self.place}.{name}")

    def actions(self) -> Iterator[str]:
        for suggestion in self.suggestions:
            for action in _objects(suggestion.get("actions")):
                if action.get("type") not in _ACTIONS:
                    yield f"{self.place}: type {action.get('type')!r}"
                yield from typed(action, "description", str, f"{self.place}.action")
                if action.get("type") == "create":
                    yield from typed(action, "resource", dict, f"{self.place}.action")
                if action.get("type") == "delete":
                    yield from typed(action, "resourceId", str, f"{self.place}.action")

    def links(self) -> Iterator[str]:
        for link in _objects(self.card.get("links")):
            if link.get("type") not in {"absolute", "smart"}:
                yield f"{self.place}: type {link.get('type')!r}"
            if not _is_absolute(link.get("url")):
                yield f"{self.place}: a link's URL is not absolute"
            if "appContext" in link and link.get("type") != "smart":
                yield f"{self.place}: appContext on a link that is not smart"


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_absolute(url: Any) -> bool:
    parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
    return bool(parts.scheme and parts.netloc)
