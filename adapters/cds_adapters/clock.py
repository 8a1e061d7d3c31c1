"""The clock is handed in: the system's own, or one frozen for demonstrations."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from cds_engine.errors import CDSError
from cds_engine.vocabulary.time import Instant, instant

Clock = Callable[[], Instant]


EARLIEST: Instant = instant(datetime(1900, 1, 1, tzinfo=UTC))
LATEST: Instant = instant(datetime(2200, 1, 1, tzinfo=UTC))
"""Instants outside these years are slips of the pen, and calendars end near some of them."""


class InstantError(CDSError):
    """A text that is no instant."""


def system_clock() -> Instant:
    """Return now, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def frozen_clock(at: Instant) -> Clock:
    """Return a clock that always shows ``at``."""
    return lambda: at


def parse_instant(text: str) -> Instant:
    """Read an ISO 8601 instant with its offset.

    >>> parse_instant("1970-01-01T00:00:01+00:00")
    1000000

    Raises:
        InstantError: if it is none, or has no offset.
    """
    cure = "write it with date, time and offset, for example 2025-06-01T12:00:00Z"
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InstantError(f"{text!r} is no instant; {cure}") from error
    if found.tzinfo is None:
        raise InstantError(f"{text!r} has no offset, so it could mean many instants; {cure}")
    at = instant(found)
    if not EARLIEST <= at <= LATEST:
        raise InstantError(f"{text!r} lies outside the years 1900 to 2199; {cure}")
    return at
