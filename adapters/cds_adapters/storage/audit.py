"""No answer before its audit record is on disk: a receipt is given only after the commit."""

import asyncio
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from sqlalchemy import Engine

from cds_adapters.storage.ledger import Ledger
from cds_adapters.storage.reader import AuditReader
from cds_adapters.storage.records import AuditRecord
from cds_adapters.storage.rows import Receipt, to_entry
from cds_adapters.storage.writer import AuditError, Waiting, Writer

__all__ = ["AuditError", "AuditStore", "Receipt"]


class AuditStore(AuditReader):
    """The audit of one process: records go in and are acknowledged once they are durable.

    Open it after the process has forked, and after ``migrate``. Several stores, in several
    processes, may share one database.

    Args:
        engine: from ``open_database``.
        patience: seconds after which an asynchronous waiter is told that the database is too slow.
        limit: records that may wait for the database; more are refused at once.
    """

    def __init__(self, engine: Engine, *, patience: float = 1.0, limit: int = 4096) -> None:
        super().__init__(engine)
        self._patience = patience
        self._held: dict[asyncio.AbstractEventLoop, list[Waiting]] = {}
        self._writer = Writer(Ledger(engine), limit)

    def append(self, record: AuditRecord) -> "Future[Receipt]":
        """Queue a record; the future is done after the commit that holds it, or fails.

        The future's error is an ``AuditError``. A future that is cancelled before the writing
        began takes its record with it.
        """
        future: Future[Receipt] = Future()
        try:
            self._writer.put(Waiting(to_entry(record), future))
        except AuditError as error:
            future.set_exception(error)
        return future

    async def append_async(self, record: AuditRecord) -> Receipt:
        """Store a record and return after the commit that holds it.

        Raises:
            AuditError: where that did not happen within the store's patience. The record may yet
                turn up in the audit: as one that was never acknowledged.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._hold(Waiting(to_entry(record), future, loop), loop)
        timer = loop.call_later(self._patience, self._give_up, future)
        try:
            return await future
        finally:
            timer.cancel()

    def healthy(self) -> bool:
        """Return whether a record given now can be expected to be stored in time."""
        return self.trouble() is None

    def trouble(self) -> str | None:
        """Say why the audit cannot be written; None where it can."""
        if not self._writer.alive():
            return "the audit's writer is not running"
        if self._writer.stuck_for() > self._patience:
            return f"the database has not answered for {self._patience:g} seconds"
        return self._writer.trouble

    def close(self, timeout: float = 10.0) -> None:
        """Write what is queued, then end.

        Raises:
            AuditError: if that is not done in time; then some records may not be stored.
        """
        if not self._writer.close(timeout):
            raise AuditError(
                f"the audit could not be closed within {timeout:g} seconds; records that nobody "
                "was told of may not be stored"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _hold(self, waiting: Waiting, loop: asyncio.AbstractEventLoop) -> None:
        """Hand a record over with all others of this turn of the loop.

        Waking the writer costs both threads more than a record does, and a commit that is shared
        costs one fsync.
        """
        held = self._held.get(loop)
        self._writer.require_room(0 if held is None else len(held))
        if held is None:
            self._held[loop] = held = []
            loop.call_soon(self._hand_over, loop)
        held.append(waiting)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        held = self._held.pop(loop)
        try:
            self._writer.put(*held)
        except AuditError as error:
            for waiting in held:
                if not waiting.future.done():
                    waiting.future.set_exception(AuditError(str(error)))

    def _give_up(self, future: "asyncio.Future[Receipt]") -> None:
        if not future.done():
            self._writer.is_late(self._patience)
            future.set_exception(
                AuditError(f"the database took longer than {self._patience:g} seconds")
            )
