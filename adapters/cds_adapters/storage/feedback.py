"""Feedback is kept beside the audit: each item once, all in order, none lost for another."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, distinct, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from cds_adapters.storage.database import StorageError, cause, check_file, immediate
from cds_adapters.storage.reader import reading
from cds_adapters.storage.records import Feedback
from cds_adapters.storage.rows import keepable
from cds_adapters.storage.tables import audit, card, feedback


class FeedbackError(StorageError):
    """Feedback that is not known to be stored."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch of feedback.

    Attributes:
        new: items that were not known before.
        repeated: items that were, word for word.
        unmatched: those of the new ones whose card this service never sent.
    """

    new: int
    repeated: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class FeedbackCounts:
    """What clinicians did with the cards of one version.

    A card that nobody answered counts nowhere: silence is no rejection.

    Attributes:
        accepted, overridden: items with that outcome.
        cards: different cards that got any.
        reasons: ``system|code`` of an override's reason -> how often; empty where none was given.
    """

    accepted: int
    overridden: int
    cards: int
    reasons: Mapping[str, int]


class FeedbackStore:
    """The feedback of one database; shares it with the audit."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def store(self, items: Sequence[Feedback]) -> Stored:
        """Store a batch in one transaction and return after its commit.

        An item that is already stored is not stored again. The decision of each item is found by
        its card; what the item says of it is not believed.

        Raises:
            FeedbackError: where the batch is not stored; then none of it is.
        """
        try:
            with immediate(self._engine).begin() as connection:
                stored = _store_all(connection, [_cleaned(item) for item in items])
                check_file(connection.info)
        except (SQLAlchemyError, StorageError) as error:
            raise FeedbackError(
                f"the feedback could not be stored: {cause(error)}; send it again later"
            ) from None
        return stored

    async def store_async(self, items: Sequence[Feedback]) -> Stored:
        """Store a batch without keeping the event loop waiting for the disk."""
        return await asyncio.to_thread(self.store, items)

    def counts(self, regime: str, version: str | None = None) -> FeedbackCounts:
        """Count the feedback on one regime, or on one version of it."""
        about = audit.c.regime == regime
        if version is not None:
            about &= audit.c.version == version
        joined = feedback.join(audit, audit.c.id == feedback.c.decision_id)
        grouped = (
            select(feedback.c.outcome, feedback.c.reason, func.count())
            .select_from(joined)
            .where(about)
            .group_by(feedback.c.outcome, feedback.c.reason)
        )
        answered = select(func.count(distinct(feedback.c.card))).select_from(joined).where(about)
        outcomes: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        with reading(self._engine) as connection:
            for outcome, reason, count in connection.execute(grouped):
                outcomes[outcome] += count
                if outcome == "overridden":
                    reasons[reason] += count
            cards = connection.execute(answered).scalar_one()
        ordered = dict(sorted(reasons.items()))
        return FeedbackCounts(outcomes["accepted"], outcomes["overridden"], cards, ordered)

    def unmatched(self) -> int:
        """Return how many items are about a card that this service never sent."""
        query = select(func.count()).where(feedback.c.decision_id.is_(None))
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one()


def _store_all(connection: Connection, items: Sequence[Feedback]) -> Stored:
    decisions = _decisions(connection, sorted({item.card for item in items}))
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    unless_known = insert(feedback).on_conflict_do_nothing(index_elements=["item"])
    once = unless_known.returning(feedback.c.seq)
    new = unmatched = 0
    for item in items:
        decision = decisions.get(item.card)
        if connection.execute(once, _values(item, decision)).first() is not None:
            new += 1
            unmatched += decision is None
    return Stored(new, len(items) - new, unmatched)


def _decisions(connection: Connection, cards: Sequence[str]) -> dict[str, str]:
    """Return card -> the id of its decision, for those cards that were sent."""
    found: dict[str, str] = {}
    for start in range(0, len(cards), 500):
        some = card.c.uuid.in_(cards[start : start + 500])
        query = select(card.c.uuid, audit.c.id).join(audit, audit.c.seq == card.c.seq).where(some)
        found.update((uuid, decision) for uuid, decision in connection.execute(query))
    return found


def _values(item: Feedback, decision: str | None) -> dict[str, Any]:
    return {
        "item": item_key(item),
        "service": item.service,
        "card": item.card,
        "outcome": item.outcome,
        "at": item.at,
        "accepted": json.dumps(item.accepted),
        "reason": item.reason,
        "reason_display": item.reason_display,
        "comment": item.comment,
        "received": item.received,
        "decision_id": decision,
    }


def item_key(item: Feedback) -> bytes:
    """Return what makes two items one; when it was received is no part of it."""
    comment = sha256(item.comment.encode()).hexdigest()
    parts = [item.service, item.card, item.outcome, item.at, item.accepted, item.reason, comment]
    return sha256(json.dumps(parts).encode()).digest()


def _cleaned(item: Feedback) -> Feedback:
    return Feedback(
        service=keepable(item.service),
        card=keepable(item.card),
        outcome=item.outcome,
        at=item.at,
        accepted=tuple(keepable(uuid) for uuid in item.accepted),
        reason=keepable(item.reason),
        reason_display=keepable(item.reason_display),
        comment=keepable(item.comment),
        received=item.received,
    )
