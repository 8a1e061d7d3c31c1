"""The ledger appends audit rows to the chain, a whole batch in one transaction.

Whoever appends holds the one row of ``audit_head`` locked: several processes on one database take
turns, numbers have no gaps, and each hash is made from the one that really comes before.

The statements go straight to the driver. There are five to a batch, always the same, and through
SQLAlchemy's layers they would cost several times what the disk costs a single caller.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    Boolean,
    Engine,
    Integer,
    LargeBinary,
    PoolProxiedConnection,
    Text,
)

from cds_adapters.storage.database import StorageError, check_file
from cds_adapters.storage.rows import COLUMNS, Entry, Receipt, link
from cds_adapters.storage.tables import audit

Rows = Sequence[tuple[Any, ...]]

_STORED = ("seq", *COLUMNS, "chain")
_LIST = ", ".join(f'"{name}"' for name in _STORED)
_MARKS = ", ".join("?" * len(_STORED))
_PG_TYPES = {
    BigInteger: "int8",
    Boolean: "bool",
    Integer: "int4",
    LargeBinary: "bytea",
    Text: "text",
}


class _Driver(Protocol):
    """How one kind of database is spoken to."""

    begin: str
    head: str
    move: str

    def insert(self, cursor: Any, rows: Rows, cards: Rows) -> None: ...

    def settle(self, cursor: Any) -> None: ...


class _Sqlite:
    begin = "BEGIN IMMEDIATE"  # one that only reads at first could be overtaken before it writes
    head = "SELECT seq, chain FROM audit_head"
    move = "UPDATE audit_head SET seq = ?, chain = ?"
    _row = f"INSERT INTO audit ({_LIST}) VALUES ({_MARKS})"  # noqa: S608 - constants only
    _card = "INSERT INTO card (uuid, seq) VALUES (?, ?)"

    def insert(self, cursor: Any, rows: Rows, cards: Rows) -> None:
        cursor.executemany(self._row, rows)
        if cards:
            cursor.executemany(self._card, cards)

    def settle(self, cursor: Any) -> None:
        """Empty the log into the database file, which writes all of its pages once more.

        After a failed fsync the system takes the pages of the log for written although they may
        not be, and what we add behind them would be lost with them when the power fails.
        """
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if cursor.fetchone()[0]:
            raise StorageError(
                "after a failed commit the log must be emptied first, and somebody is reading it; "
                "this is tried again"
            )


class _Postgresql:
    begin = "BEGIN"
    head = "SELECT seq, chain FROM audit_head FOR UPDATE"
    move = "UPDATE audit_head SET seq = %s, chain = %s"
    _row = f"COPY audit ({_LIST}) FROM STDIN (FORMAT BINARY)"
    _card = "COPY card (uuid, seq) FROM STDIN (FORMAT BINARY)"
    _row_types = tuple(_PG_TYPES[type(audit.c[name].type)] for name in _STORED)

    def insert(self, cursor: Any, rows: Rows, cards: Rows) -> None:
        self._copy(cursor, self._row, self._row_types, rows)
        if cards:
            self._copy(cursor, self._card, ("text", "int8"), cards)

    def _copy(self, cursor: Any, statement: str, types: Sequence[str], rows: Rows) -> None:
        """Copy rows in: measured at a third of the CPU of inserting them."""
        with cursor.copy(statement) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def settle(self, cursor: Any) -> None:
        """Do nothing: the server itself never goes on after a failed fsync."""


class Ledger:
    """The one writer of audit rows of a process; used by one thread only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._driver: _Driver = _Sqlite() if engine.dialect.name == "sqlite" else _Postgresql()
        self._connection: PoolProxiedConnection | None = None
        self._in_doubt = False

    def append(self, entries: Sequence[Entry]) -> list[Receipt]:
        """Store the entries in their order; return once the commit that holds them is durable.

        Raises:
            Exception: whatever the database says; then none of the entries is acknowledged.
                They are not stored, except that after a failed commit they may turn up.
        """
        with self._locked() as (cursor, last):
            rows, cards, receipts = [], [], []
            for entry in entries:
                values = entry.values
                seq = last.seq + 1
                chain = link(last.chain, seq, entry.header, values[-2], values[-1])
                last = Receipt(seq, chain)  # noqa: PLW2901 - the chain goes on from here
                rows.append((seq, *values, chain))
                cards += [(uuid, seq) for uuid in entry.cards]
                receipts.append(last)
            self._driver.insert(cursor, rows, cards)
            cursor.execute(self._driver.move, last)
        return receipts

    def probe(self) -> None:
        """Commit a change that changes nothing: what fails here would fail for a record."""
        with self._locked() as (cursor, last):
            cursor.execute(self._driver.move, last)

    def close(self) -> None:
        """Give the connection up, with what it has not committed; the next use takes a new one."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # It may be gone already, which takes everything back as well.
        with suppress(self._engine.dialect.loaded_dbapi.Error):
            connection.rollback()
        connection.invalidate()

    @contextmanager
    def _locked(self) -> Iterator[tuple[Any, Receipt]]:
        """Hold the head of the chain in a transaction that is committed at the end.

        After a failure the connection is given up: its state is not worth guessing.
        """
        try:
            cursor, last = self._begin()
            yield cursor, last
            check_file(self._connected().info)
            self._in_doubt = True
            cursor.execute("COMMIT")
            self._in_doubt = False
        except BaseException:
            self.close()
            raise

    def _begin(self) -> tuple[Any, Receipt]:
        used = self._connection is not None
        try:
            return self._take_head()
        except Exception:
            # A server closes connections when it restarts; nothing was written on this one yet.
            if not (used and getattr(self._connected().driver_connection, "broken", False)):
                raise
        self.close()
        return self._take_head()

    def _take_head(self) -> tuple[Any, Receipt]:
        cursor = self._connected().cursor()
        if self._in_doubt:
            self._driver.settle(cursor)
            self._in_doubt = False
        cursor.execute(self._driver.begin)
        cursor.execute(self._driver.head)
        found = cursor.fetchone()
        if found is None:
            raise StorageError(
                "the audit chain has no head: its row was removed; run `audit verify` and restore "
                "a sound copy of the database"
            )
        return cursor, Receipt(*found)

    def _connected(self) -> PoolProxiedConnection:
        if self._connection is None:
            self._connection = self._engine.raw_connection()
            if self._engine.dialect.name == "postgresql":
                driver: Any = self._connection.driver_connection
                driver.autocommit = True  # the transactions are ours; the driver begins none
        return self._connection
