"""Pieces of work are shared between this process and others; whoever is free takes the next one.

This process works too: it is there already, where another takes about a second to start.
"""

import atexit
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cds_adapters.bulk.job import Job
from cds_adapters.bulk.sources import BulkError

if TYPE_CHECKING:
    from concurrent.futures import Future

_Told = TypeVar("_Told")
_AHEAD = 2
"""Pieces that each other process has before it, so that it need not wait for the next one."""


def shared_out(
    jobs: int, work: Callable[[Job, int], _Told], job: Job, numbers: Sequence[int]
) -> Iterator[_Told]:
    """Do every piece of work; yield what each tells, in the order in which they end.

    Args:
        jobs: how many processes, this one included.
        work: is called with the job and the number of a piece.
        job: what all pieces are of.
        numbers: the pieces.

    Raises:
        BulkError: if one of the other processes was ended from outside.
    """
    if jobs == 1 or len(numbers) < 2:
        for number in numbers:
            yield work(job, number)
        return
    yield from _Shared(jobs - 1, work, job, numbers).done()


def start_others(jobs: int, get_ready: Callable[[], object]) -> None:
    """Start the other processes, so that they get ready while this one prepares the work."""
    if jobs > 1:
        others = _others(jobs - 1)
        for _ in range(jobs - 1):
            others.submit(get_ready)


_IDLE = 10
"""Seconds after which a process that has nothing to do ends."""

_held: dict[int, Any] = {}


@atexit.register
def _end_others() -> None:
    """End the other processes while there still is everything that they are ended with."""
    while _held:
        _, others = _held.popitem()
        others.shutdown()


def _others(count: int) -> Any:
    """Return the other processes; they are kept for the next work of this one."""
    if count not in _held:
        # the part of joblib that runs processes: a Parallel of one would run none, and the
        # executor that all Parallels share is theirs
        from joblib.externals.loky import ProcessPoolExecutor  # noqa: PLC0415 - costs time

        _held[count] = ProcessPoolExecutor(max_workers=count, timeout=_IDLE)
    return _held[count]


class _Shared(Generic[_Told]):
    """Work that other processes help with."""

    def __init__(
        self, others: int, work: Callable[[Job, int], _Told], job: Job, numbers: Sequence[int]
    ) -> None:
        self._count_of_others = others
        self._others = _others(others)
        self._ahead = _AHEAD * others
        self._work = work
        self._job = job
        self._count = len(numbers)
        self._left = iter(numbers)
        self._lock = Lock()
        self._ended: SimpleQueue[Future[_Told]] = SimpleQueue()

    def done(self) -> Iterator[_Told]:
        """Yield what the pieces tell; this process takes one whenever nobody else told anything."""
        for _ in range(self._ahead):
            self._hand_out()
        told = 0
        try:
            while told < self._count:
                while not self._ended.empty():
                    yield self._ended.get().result()
                    told += 1
                number = self._next()
                if number is not None:
                    yield self._work(self._job, number)
                    told += 1
                elif told < self._count:
                    yield self._ended.get().result()
                    told += 1
        except BrokenExecutor as fault:
            self._stop()
            raise BulkError(
                "a process of this run was ended from outside, most likely for want of memory; "
                "run it again, perhaps with fewer --jobs: it goes on from what is done"
            ) from fault
        except BaseException:
            self._stop()
            self._others.shutdown(wait=False)
            raise

    def _next(self) -> int | None:
        with self._lock:
            return next(self._left, None)

    def _stop(self) -> None:
        """Hand nothing out any more; these processes are of no further use."""
        with self._lock:
            self._left = iter(())
        _held.pop(self._count_of_others, None)

    def _hand_out(self) -> None:
        # under one lock with ``_stop``: what is shut down takes nothing more
        with self._lock:
            number = next(self._left, None)
            if number is None:
                return
            future = self._others.submit(self._work, self._job, number)
        future.add_done_callback(self._end)

    def _end(self, future: Any) -> None:
        self._ended.put(future)
        # after a failure the run ends, and a process that died takes nothing more
        if not future.cancelled() and future.exception() is None:
            self._hand_out()
