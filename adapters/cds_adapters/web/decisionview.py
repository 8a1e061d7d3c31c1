"""A stored decision is shown as it was stored; it is explained only where it can be made again.

Where the rule bundle has gone from the shelf, or comes to another result, the stored record is
shown without an explanation, and the page says so.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cds_adapters.storage.records import AuditRecord, Feedback
from cds_adapters.storage.shelf import Shelf
from cds_adapters.web.account import Account, Told, account, headline
from cds_adapters.web.errors import PageError
from cds_adapters.web.words import GAPS, REASONS, Calendar
from cds_engine import SEMANTICS_VERSION
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.record import canonical, decide_again, plain_to_history
from cds_engine.history.value import Finding, History, Missing
from cds_engine.vocabulary.value import value_text

Standing = Literal["identical", "different", "no-bundle", "no-decision"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of the decision that came out differently."""

    name: str
    stored: str
    now: str


@dataclass(frozen=True, slots=True)
class Again:
    """What became of making a stored decision again."""

    standing: Standing
    bundle: RuleBundle | None = None
    account: Account | None = None
    differences: tuple[Difference, ...] = ()
    other_engine: bool = False


@dataclass(frozen=True, slots=True)
class StoredValue:
    """One variable as stored; a derived one has no sources of its own."""

    name: str
    value: str
    when: str
    detail: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """The decision as the record holds it, without the rule bundle's words."""

    headline: str
    reasons: tuple[Told, ...]
    values: tuple[StoredValue, ...]
    path: tuple[tuple[str, str, bool | None], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """What a clinician did with the card; a comment is never shown here."""

    outcome: str
    at: int
    reason: str
    code: str
    has_comment: bool


def evaluate_again(record: AuditRecord, shelf: Shelf, calendar: Calendar) -> Again:
    """Make a stored decision again and compare it with what was stored, byte for byte."""
    if not record.decision:
        return Again("no-decision")
    bundle = shelf.by_digest(record.digest)
    if bundle is None:
        return Again("no-bundle")
    stored, history = _read(record.decision), _read(record.history)
    decision, plain = decide_again(bundle, history)
    if canonical(plain) == record.decision:
        told = account(bundle, decision, plain_to_history(history), calendar)
        return Again("identical", bundle, told)
    other = record.semantics != SEMANTICS_VERSION
    return Again("different", bundle, None, _differences(_flat(stored), _flat(plain)), other)


def stored_view(record: AuditRecord, calendar: Calendar) -> Stored | None:
    """Return the decision as stored; None for a call that ended before there was one."""
    if not record.decision:
        return None
    plain = _read(record.decision)
    reasons = tuple(
        Told(REASONS.get(code, code), code, text, tuple(names))
        for code, text, names, _ in plain["reasons"]
    )
    return Stored(
        headline(plain["outcome"], tuple(plain["candidates"]), reasons),
        reasons,
        tuple(_stored_values(plain, plain_to_history(_read(record.history)), calendar)),
        tuple((role, place, verdict) for role, place, verdict in plain["path"]),
        tuple(plain["notes"]),
    )


def _stored_values(
    plain: Mapping[str, Any], history: History, calendar: Calendar
) -> Iterator[StoredValue]:
    for name, value in sorted(plain["state"].items()):
        finding = history.findings.get(name)
        if finding is None:
            yield StoredValue(name, _value(value), "", "computed from the others", ())
            continue
        if isinstance(finding, Missing):
            detail = f"{GAPS[finding.reason]}: {finding.detail}"
        else:
            detail = finding.note
        sources = tuple(reading.source for reading in finding.readings)
        yield StoredValue(name, _value(value), _newest(finding, calendar), detail, sources)


def _newest(finding: Finding, calendar: Calendar) -> str:
    ends = [(r.start, r.end) for r in finding.readings if r.start is not None and r.end is not None]
    return calendar.span(*max(ends)) if ends else ""


def feedback_rows(found: Sequence[Feedback]) -> tuple[FeedbackRow, ...]:
    """Return the feedback on a decision's cards, without free text."""
    return tuple(
        FeedbackRow(
            item.outcome, item.at, item.reason_display or item.reason, item.reason,
            bool(item.comment),
        )
        for item in found
    )  # fmt: skip


def _read(data: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(data)
    except ValueError as error:
        raise _unreadable() from error
    if not isinstance(plain, dict):
        raise _unreadable()
    return plain


def _unreadable() -> PageError:
    return PageError(
        500,
        "The record of this decision cannot be read",
        "What is stored is not what the service writes; it may have been changed or damaged.",
        "Tell the people who run the service; `cds-engine audit verify` finds such records.",
    )


def _differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Difference, ...]:
    names = sorted({*stored, *now})
    return tuple(
        Difference(name, _text(stored, name), _text(now, name))
        for name in names
        if name not in stored or name not in now or stored[name] != now[name]
    )


def _flat(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with each variable of the state as a field of its own."""
    state = plain.get("state")
    values = {f"state: {n}": v for n, v in state.items()} if isinstance(state, dict) else {}
    return {name: value for name, value in plain.items() if name != "state"} | values


def _text(plain: Mapping[str, Any], name: str) -> str:
    if name not in plain:
        return "not there"
    return json.dumps(plain[name], indent=1, ensure_ascii=False, sort_keys=True)


def _value(value: object) -> str:
    if isinstance(value, dict):
        low, high = value.get("low"), value.get("high")
        return f"between {value_text(low)} and {value_text(high)}"
    return value_text(value) if isinstance(value, bool | int | float | str | None) else str(value)
