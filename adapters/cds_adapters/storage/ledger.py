"""The ledger appends audit rows to the chain, a whole batch in one transaction.

Whoever appends holds the one row of ``audit_head`` locked: several processes on one database take
turns, numbers have no gaps, and each hash is made from the one that really comes before.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    Text,
    Transaction,
    bindparam,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from cds_adapters.storage.database import StorageError, check_file, immediate
from cds_adapters.storage.rows import COLUMNS, Entry, Receipt, link
from cds_adapters.storage.tables import audit, audit_head, card

_HEAD = select(audit_head.c.seq, audit_head.c.chain)
_LOCKED_HEAD = _HEAD.with_for_update()
_MOVE = update(audit_head).values(seq=bindparam("last"), chain=bindparam("hash"))
_STORED = ("seq", *COLUMNS, "chain")
_LIST = ", ".join(f'"{name}"' for name in _STORED)
_MARKS = ", ".join("?" * len(_STORED))
_INSERT = f"INSERT INTO audit ({_LIST}) VALUES ({_MARKS})"  # noqa: S608 - constants only
_COPY = f"COPY audit ({_LIST}) FROM STDIN (FORMAT BINARY)"
_TYPES = {
    BigInteger: "int8",
    Boolean: "bool",
    Integer: "int4",
    LargeBinary: "bytea",
    Text: "text",
}
_COPIED = [_TYPES[type(audit.c[name].type)] for name in _STORED]


class Ledger:
    """The one writer of audit rows of a process; used by one thread only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = immediate(engine)
        self._connection: Connection | None = None

    def append(self, entries: Sequence[Entry]) -> list[Receipt]:
        """Store the entries in their order; return once the commit that holds them is durable.

        Raises:
            Exception: whatever the database says; then none of the entries is acknowledged, and
                unless the failure was the commit's own, none is stored.
        """
        with self._locked() as (connection, last):
            seq, chain = last
            rows, receipts = [], []
            for entry in entries:
                seq += 1
                values = entry.values
                chain = link(chain, seq, entry.header, values[-2], values[-1])
                rows.append((seq, *values, chain))
                receipts.append(Receipt(seq, chain))
            _insert(connection, rows)
            cards = [
                {"uuid": uuid, "seq": receipt.seq}
                for entry, receipt in zip(entries, receipts, strict=True)
                for uuid in entry.cards
            ]
            if cards:
                connection.execute(card.insert(), cards)
            connection.execute(_MOVE, {"last": seq, "hash": chain})
            check_file(connection)
        return receipts

    def probe(self) -> None:
        """Commit a change that changes nothing: what fails here would fail for a record."""
        with self._locked() as (connection, last):
            connection.execute(_MOVE, {"last": last.seq, "hash": last.chain})
            check_file(connection)

    def close(self) -> None:
        """Give the connection up; the next use takes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    @contextmanager
    def _locked(self) -> Iterator[tuple[Connection, Receipt]]:
        """Hold the head of the chain in a transaction that is committed at the end."""
        try:
            connection, transaction, last = self._begin()
            with transaction:
                yield connection, last
        except BaseException:
            # What state a connection is in after a failure is not worth guessing.
            self.close()
            raise

    def _begin(self) -> tuple[Connection, Transaction, Receipt]:
        used = self._connection is not None
        try:
            return self._take_head()
        except DBAPIError as error:
            # The server may have closed an idle connection; nothing was written on it yet.
            if not (used and error.connection_invalidated):
                raise
        self.close()
        return self._take_head()

    def _take_head(self) -> tuple[Connection, Transaction, Receipt]:
        if self._connection is None:
            self._connection = self._engine.connect()
        transaction = self._connection.begin()
        head = self._connection.execute(_LOCKED_HEAD).one_or_none()
        if head is None:
            transaction.rollback()
            raise StorageError(
                "the audit chain has no head: its row was removed; run `audit verify` and restore "
                "a sound copy of the database"
            )
        return self._connection, transaction, Receipt(head.seq, head.chain)


def _insert(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_INSERT, rows)
        return
    # COPY costs a third of the CPU of INSERT (12 us a row against 36).
    driver: Any = connection.connection.driver_connection
    with driver.cursor().copy(_COPY) as copy:
        copy.set_types(_COPIED)
        for row in rows:
            copy.write_row(row)
