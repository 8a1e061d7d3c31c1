"""One thread writes what many wait for: whoever comes during a commit shares the next one.

The event loop never touches the disk. A waiter hears nothing until its record is committed, and
is told the error when it was not; no record is written again on the guess that it was lost.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from cds_adapters.storage.database import StorageError, cause
from cds_adapters.storage.ledger import Ledger
from cds_adapters.storage.rows import Entry, Receipt

log = logging.getLogger(__name__)

LARGEST_BATCH = 256
SICK_PAUSE = 0.5  # seconds between attempts to find the database well again
IDLE_PAUSE = 10.0  # seconds without work after which the database is asked whether it is there

_REFUSALS = {"IntegrityError", "DataError", "OverflowError", "TypeError", "ValueError"}


class AuditError(StorageError):
    """A record that is not known to be stored; the answer it belongs to must not be sent."""


class Waiting:
    """An entry, and who waits for it: a thread's future, or a future of an event loop."""

    __slots__ = ("entry", "future", "loop")

    def __init__(
        self,
        entry: Entry,
        future: "Future[Receipt] | asyncio.Future[Receipt]",
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.entry = entry
        self.future = future
        self.loop = loop

    def still_wanted(self) -> bool:
        """Return False where the waiter gave up before the writing began."""
        if isinstance(self.future, Future):
            return self.future.set_running_or_notify_cancel()
        return not self.future.done()


Result = Receipt | str
"""A receipt, or why there is none; every waiter gets an error of its own."""


class Writer:
    """The thread, its queue, and whether the database is well."""

    def __init__(self, ledger: Ledger, limit: int) -> None:
        self._ledger = ledger
        self._limit = limit
        self._queue: SimpleQueue[list[Waiting] | None] = SimpleQueue()
        self._queued = 0
        self._gate = threading.Lock()
        self._open = True
        self._began: float | None = None
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    def require_room(self, held: int = 0) -> None:
        """Refuse an entry that will not be written, at once.

        Args:
            held: entries that are about to be queued before it.

        Raises:
            AuditError: says why.
        """
        if not self._open:
            raise AuditError("the audit is closed; the service is stopping")
        if self._queued + held >= self._limit:
            raise AuditError(
                f"{self._limit} records already wait for the database; try again later"
            )
        if not self._thread.is_alive():
            raise AuditError(
                "the audit's writer is not running in this process; open the audit after the "
                "process has forked, not before"
            )

    def put(self, *together: Waiting) -> None:
        """Queue entries; their waiters hear of it after the commit, which they share.

        Raises:
            AuditError: at once, when the entries will not be written.
        """
        with self._gate:
            self.require_room(len(together) - 1)
            self._queued += len(together)
            self._queue.put(list(together))

    def is_late(self, seconds: float) -> None:
        """Note that a waiter gave up; the next commit, or the next probe, clears it."""
        self._is_sick(f"the database took longer than {seconds:g} seconds")

    def stuck_for(self) -> float:
        """Return for how many seconds the batch under way has been taking."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def alive(self) -> bool:
        """Return whether the thread runs in this process."""
        return self._thread.is_alive()

    def close(self, timeout: float) -> bool:
        """Write what is queued and end; False where that took too long."""
        with self._gate:
            if self._open:
                self._open = False
                self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=SICK_PAUSE if self.trouble else IDLE_PAUSE)
            except Empty:
                self._probe()
                continue
            batch, last = self._collect(first)
            with self._gate:
                self._queued -= len(batch)
            wanted = [item for item in batch if item.still_wanted()]
            for start in range(0, len(wanted), LARGEST_BATCH):
                self._write(wanted[start : start + LARGEST_BATCH])
            if last:
                self._ledger.close()
                return

    def _collect(self, first: list[Waiting] | None) -> tuple[list[Waiting], bool]:
        """Take what else is waiting; nothing is put after the None that ends the work."""
        batch: list[Waiting] = []
        try:
            while first is not None:
                batch += first
                if len(batch) >= LARGEST_BATCH:
                    break
                first = self._queue.get_nowait()
        except Empty:
            pass
        return batch, first is None

    def _write(self, batch: Sequence[Waiting]) -> None:
        if not batch:
            return
        self._began = time.monotonic()
        try:
            receipts = self._ledger.append([waiting.entry for waiting in batch])
        except Exception as error:  # noqa: BLE001 - the writer lives on, each waiter gets the error
            self._failed(batch, error)
        else:
            self._is_well()
            _answer(zip(batch, receipts, strict=True))
        finally:
            self._began = None

    def _failed(self, batch: Sequence[Waiting], error: Exception) -> None:
        """Tell the waiters; where only some record is at fault, the others get their turn."""
        refused = _is_refusal(error)
        if refused and len(batch) > 1:
            for waiting in batch:
                self._write([waiting])
            return
        if refused:
            problem = f"the database refuses the record: {cause(error)}"
        else:
            problem = f"the audit could not be written: {cause(error)}"
            self._is_sick(problem)
        _answer((waiting, problem) for waiting in batch)

    def _probe(self) -> None:
        self._began = time.monotonic()
        try:
            self._ledger.probe()
        except Exception as error:  # noqa: BLE001 - it is what the probe is for; shown by healthy()
            self._is_sick(f"the audit could not be written: {cause(error)}")
        else:
            self._is_well()
        finally:
            self._began = None

    def _is_sick(self, trouble: str) -> None:
        if self.trouble is None:
            log.error("%s; no recommendation is sent until it can", trouble)
        self.trouble = trouble

    def _is_well(self) -> None:
        if self.trouble is not None:
            log.warning("the audit can be written again")
        self.trouble = None


def _is_refusal(error: Exception) -> bool:
    """Return whether the database is well and only dislikes what it was given."""
    driver = getattr(error, "orig", None) or error
    return any(kind.__name__ in _REFUSALS for kind in type(driver).__mro__)


def _answer(results: Iterable[tuple[Waiting, Result]]) -> None:
    """Wake every waiter; an event loop is called once, however many of its futures are done."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Receipt], Result]]] = {}
    for waiting, result in results:
        if isinstance(waiting.future, Future):
            _settle(waiting.future, result)
        elif waiting.loop is not None:
            by_loop.setdefault(waiting.loop, []).append((waiting.future, result))
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, settled)
        except RuntimeError:
            # The loop is closed: nobody waits there any more, and what is committed stays.
            log.warning("%d audit records were written for a loop that has ended", len(settled))


def _settle_all(settled: list[tuple["asyncio.Future[Receipt]", Result]]) -> None:
    for future, result in settled:
        if not future.done():
            _settle(future, result)


def _settle(future: "Future[Receipt] | asyncio.Future[Receipt]", result: Result) -> None:
    if isinstance(result, str):
        future.set_exception(AuditError(result))
    else:
        future.set_result(result)
