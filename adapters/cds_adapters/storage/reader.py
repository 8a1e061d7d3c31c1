"""What the audit holds, read back: one record, the newest, the counts, or all in order."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select
from sqlalchemy.exc import DBAPIError

from cds_adapters.storage.database import StorageError, cause, shown
from cds_adapters.storage.records import AuditRecord, Feedback
from cds_adapters.storage.rows import COLUMNS, Receipt, to_record
from cds_adapters.storage.tables import audit, audit_head, card, feedback

_RECORD = [audit.c[name] for name in COLUMNS]
_ROW = [audit.c.seq, *_RECORD, audit.c.chain]


class AuditReader:
    """Reads the audit of one database; needs no writer and changes nothing."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def get(self, decision_id: str) -> AuditRecord | None:
        """Return the record of one decision, or None where there is none."""
        with reading(self.engine) as connection:
            row = connection.execute(
                select(*_RECORD).where(audit.c.id == decision_id)
            ).one_or_none()
        return None if row is None else to_record(row)

    def receipt(self, decision_id: str) -> Receipt | None:
        """Return the number and the hash of one decision's row."""
        found = select(audit.c.seq, audit.c.chain).where(audit.c.id == decision_id)
        with reading(self.engine) as connection:
            row = connection.execute(found).one_or_none()
        return None if row is None else Receipt(row.seq, bytes(row.chain))

    def head(self) -> Receipt | None:
        """Return the end of the chain as the writer left it; None where that row is gone."""
        with reading(self.engine) as connection:
            row = connection.execute(select(audit_head.c.seq, audit_head.c.chain)).one_or_none()
        return None if row is None else Receipt(row.seq, bytes(row.chain))

    def recent(
        self, limit: int, regime: str | None = None, outcome: str | None = None
    ) -> tuple[AuditRecord, ...]:
        """Return the newest records, newest first."""
        query = select(*_RECORD).order_by(audit.c.seq.desc()).limit(limit)
        if regime is not None:
            query = query.where(audit.c.regime == regime)
        if outcome is not None:
            query = query.where(audit.c.outcome == outcome)
        with reading(self.engine) as connection:
            return tuple(to_record(row) for row in connection.execute(query))

    def outcome_counts(
        self, regime: str | None = None, version: str | None = None
    ) -> Mapping[str, int]:
        """Return outcome -> how many records, of one regime or version or of all."""
        query = select(audit.c.outcome, func.count()).group_by(audit.c.outcome)
        if regime is not None:
            query = query.where(audit.c.regime == regime)
        if version is not None:
            query = query.where(audit.c.version == version)
        with reading(self.engine) as connection:
            return dict(connection.execute(query.order_by(audit.c.outcome)).all())

    def iterate(self, batch: int = 500) -> Iterator[AuditRecord]:
        """Read every record in the order of its number, a batch in memory at a time."""
        for row in self.rows(batch=batch):
            yield to_record(row[1:-1])

    def rows(self, after: int = 0, batch: int = 500) -> Iterator[Row[Any]]:
        """Read the raw rows after a number: number, the columns of a record, hash."""
        while True:
            query = select(*_ROW).where(audit.c.seq > after).order_by(audit.c.seq).limit(batch)
            with reading(self.engine) as connection:
                found = connection.execute(query).all()
            yield from found
            if len(found) < batch:
                return
            after = found[-1][0]

    def decision_of(self, card_uuid: str) -> str | None:
        """Return the id of the decision that a card showed."""
        joined = select(audit.c.id).join(card, card.c.seq == audit.c.seq)
        query = joined.where(card.c.uuid == card_uuid)
        with reading(self.engine) as connection:
            return connection.execute(query).scalar_one_or_none()

    def feedback_for(self, decision_id: str) -> tuple[Feedback, ...]:
        """Return what clinicians did with the cards of a decision, in the order of time."""
        query = (
            select(feedback)
            .where(feedback.c.decision_id == decision_id)
            .order_by(feedback.c.at, feedback.c.seq)
        )
        with reading(self.engine) as connection:
            return tuple(to_feedback(row) for row in connection.execute(query))


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Read in one transaction; what goes wrong is a ``StorageError`` that says what to do."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise StorageError(
            f"the audit in {shown(engine.url)} cannot be read: {cause(error)}; check that the "
            "database is running and sound, and that `migrate` made its tables"
        ) from None


def to_feedback(row: Row[Any]) -> Feedback:
    """Return the feedback item that a row holds."""
    kept = dict(row._mapping)
    del kept["seq"], kept["item"]
    kept["accepted"] = tuple(json.loads(kept["accepted"]))
    return Feedback(**kept)
