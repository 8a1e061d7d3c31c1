"""One run at a time works in a folder, and a folder that takes no more is told of in words."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cds_adapters.bulk.sources import BulkError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EINVAL})
"""What a file system answers that knows no locks."""


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Hold a folder, which is made if need be, against other runs; a dead one holds nothing.

    A folder that was made for a run that left nothing in it goes with the run.

    Raises:
        BulkError: if another run is at work there, or the folder cannot be made or written to.
    """
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        held = os.open(out, os.O_RDONLY)
    except OSError as fault:
        raise BulkError(
            f"{out} cannot be written ({fault.strerror}); name another folder"
        ) from fault
    try:
        _lock(held, out)
        yield
    except OSError as fault:
        if fault.errno not in _FULL:
            raise
        raise BulkError(
            f"{out} takes no more ({os.strerror(fault.errno)}); make room and give the same "
            "command again, which goes on from what is done, or name another folder"
        ) from fault
    finally:
        os.close(held)
        if new and not any(out.iterdir()):
            out.rmdir()


def _lock(held: int, out: Path) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BulkError(
            f"another run is at work in {out}; wait until it has ended, or name another folder"
        ) from None
    except OSError as fault:
        # without locks there is no way to tell, and no reason to refuse
        if fault.errno not in _NO_LOCKS:
            raise
