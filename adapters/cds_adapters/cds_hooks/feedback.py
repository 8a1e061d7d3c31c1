"""What clinicians did with a card is kept item by item: a bad item does not cost the good ones."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from cds_adapters.cds_hooks.outcomes import JSON, RefusalError, Reply, operation_outcome
from cds_adapters.fhir.duplicate_keys import refuse_duplicate_keys
from cds_adapters.fhir.errors import FHIRError
from cds_adapters.storage.records import Feedback
from cds_engine.vocabulary.time import Instant, instant

MOST_ITEMS = 1_000
LONGEST_COMMENT = 10_000
LONGEST_ID = 200
_is_time = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)").fullmatch


class FeedbackLog(Protocol):
    """Where feedback is kept; an item that is there already is not kept twice."""

    async def store_async(self, items: Sequence[Feedback]) -> object:
        """Return once all items are durable; raise if they cannot be."""
        ...


class _Suggestion(Struct):
    id: str


class _Coding(Struct):
    code: str
    system: str
    display: str | None = None


class _Reason(Struct, rename="camel"):
    reason: _Coding | None = None
    user_comment: str | None = None


class _Item(Struct, rename="camel"):
    card: str
    outcome: str
    outcome_timestamp: str
    accepted_suggestions: list[_Suggestion] | None = None
    override_reason: _Reason | None = None


class _Batch(Struct):
    feedback: list[Raw]


_batch = msgspec.json.Decoder(_Batch)
_item = msgspec.json.Decoder(_Item)


def read_feedback(
    data: bytes, service: str, received: Instant
) -> tuple[list[Feedback], tuple[str, ...]]:
    """Return the usable items of a body, and what is wrong with each of the others.

    Raises:
        RefusalError: 400 if there is no usable item at all.
    """
    items: list[Feedback] = []
    faults: list[str] = []
    for index, raw in enumerate(_raw_items(data)):
        try:
            items.append(_feedback(_item.decode(raw), service, received))
        except msgspec.ValidationError as fault:
            faults.append(f"feedback[{index}]: {str(fault).replace('`$.', '`')}")
        except ValueError as fault:
            faults.append(f"feedback[{index}].{fault}")
    if not items:
        raise RefusalError(
            400, "value", *(faults or ["feedback: holds no item; send at least one"])
        )
    return items, tuple(faults)


def feedback_reply(faults: tuple[str, ...]) -> Reply:
    """Return 200; what was left out is said, though what was stored stays stored."""
    if not faults:
        return Reply(200, b"{}")
    words = (*faults, "the other items are stored; correct these and send them again")
    return Reply(200, operation_outcome("value", words, severity="warning"), JSON)


def _raw_items(data: bytes) -> list[Raw]:
    try:
        batch = _batch.decode(data)
        refuse_duplicate_keys(data)
    except msgspec.ValidationError as fault:
        raise RefusalError(400, "structure", f"the body: {fault}") from None
    except RecursionError:
        raise RefusalError(400, "structure", "the body: the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError, FHIRError) as fault:
        words = "it is not UTF-8" if isinstance(fault, UnicodeDecodeError) else str(fault)
        raise RefusalError(400, "structure", f"the body: {words}") from None
    if len(batch.feedback) > MOST_ITEMS:
        problem = f"holds more than {MOST_ITEMS} items; send them in several posts"
        raise RefusalError(413, "too-long", f"feedback: {problem}")
    return batch.feedback


def _feedback(item: _Item, service: str, received: Instant) -> Feedback:
    _require(bool(item.card) and len(item.card) <= LONGEST_ID, "card: is no uuid of a card")
    _require(
        item.outcome in {"accepted", "overridden"}, "outcome: is neither accepted nor overridden"
    )
    at = _time(item.outcome_timestamp)
    accepted = tuple(suggestion.id for suggestion in item.accepted_suggestions or ())
    if item.outcome == "accepted":
        _require(bool(accepted), "acceptedSuggestions: an accepted card names what was accepted")
    _require(
        all(id_ and len(id_) <= LONGEST_ID for id_ in accepted),
        "acceptedSuggestions: holds an id that is no uuid of a suggestion",
    )
    given = item.override_reason or _Reason()
    comment = given.user_comment or ""
    _require(
        len(comment) <= LONGEST_COMMENT,
        f"overrideReason.userComment: is longer than {LONGEST_COMMENT} characters",
    )
    picked = given.reason
    return Feedback(
        service=service,
        card=item.card,
        outcome=item.outcome,
        at=at,
        accepted=accepted,
        reason=f"{picked.system}|{picked.code}" if picked else "",
        reason_display=(picked.display or "") if picked else "",
        comment=comment,
        received=received,
    )


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)


def _time(text: str) -> Instant:
    problem = "outcomeTimestamp: is no RFC 3339 time; write it as 2026-01-31T12:00:00Z"
    _require(_is_time(text) is not None, problem)
    try:
        return instant(datetime.fromisoformat(text.upper()))
    except ValueError:
        raise ValueError(problem) from None
