"""An instant is a whole number of microseconds since 1970 in UTC; durations are exact.

Days and weeks count 24-hour days. Months and years go by the calendar, in UTC: one month before
31 March is the last day of February. A date without a clock time stands for its whole day, and is
compared and counted by the calendar day. A month or a year alone stands for all of it.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cds_engine.errors import DurationError

Instant = int
"""Microseconds since 1970-01-01T00:00:00Z."""

Precision = Literal["instant", "day", "month", "year"]

SECOND: int = 1_000_000
MINUTE: int = 60 * SECOND
HOUR: int = 60 * MINUTE
DAY: int = 24 * HOUR
WEEK: int = 7 * DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PATTERN = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(\d{1,6})H)?", re.ASCII
)


def instant(moment: datetime) -> Instant:
    """Return the instant of an aware datetime; a naive one is refused."""
    if moment.tzinfo is None:
        raise ValueError("a time without an offset is no instant; give it a time zone")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(at: Instant) -> datetime:
    """Return the UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=at)


def iso(at: Instant) -> str:
    """Write an instant the way FHIR reads it: 2025-01-06T09:00:00Z.

    >>> iso(instant(datetime(2025, 1, 6, 9, tzinfo=UTC)))
    '2025-01-06T09:00:00Z'
    """
    return moment(at).isoformat().replace("+00:00", "Z")


def iso_date(at: Instant) -> str:
    """Write the UTC calendar day of an instant: 2025-01-06."""
    return moment(at).date().isoformat()


def day_start(at: Instant) -> Instant:
    """Return the first instant of the UTC day that holds ``at``."""
    return at - at % DAY


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: calendar months, then an exact rest.

    Attributes:
        months: calendar months (a year is twelve).
        exact: microseconds.
    """

    months: int = 0
    exact: int = 0

    def before(self, at: Instant) -> Instant:
        """Return the instant this long before ``at``."""
        return months_before(at, self.months) - self.exact

    def __str__(self) -> str:
        days, rest = divmod(self.exact, DAY)
        date_part = "".join(f"{n}{unit}" for n, unit in ((self.months, "M"), (days, "D")) if n)
        time_part = f"T{rest // HOUR}H" if rest else ""
        return f"P{date_part}{time_part}" if date_part or time_part else "P0D"

    def words(self) -> str:
        """Say the duration to a person: ``30 days``, ``3 months``."""
        days, rest = divmod(self.exact, DAY)
        weeks = days // 7 if days and days % 7 == 0 and days >= 14 else 0
        years = self.months // 12 if self.months % 12 == 0 else 0
        parts = [
            (years, "year") if years else (self.months, "month"),
            (weeks, "week") if weeks else (days, "day"),
            (rest // HOUR, "hour"),
        ]
        said = [f"{n} {unit}{'s' if n > 1 else ''}" for n, unit in parts if n]
        return " and ".join(said) or "0 days"


def parse_duration(text: str) -> Duration:
    """Read an ISO 8601 duration in whole years, months, weeks, days and hours.

    >>> parse_duration("P30D").words(), parse_duration("P3M").words()
    ('30 days', '3 months')
    """
    found = _PATTERN.fullmatch(text)
    if found is None or text in ("P", "PT"):
        raise DurationError(
            f"{text!r} is not a duration; write it as P30D (days), P2W (weeks), P3M (calendar "
            "months), P1Y (calendar years) or PT12H (hours)"
        )
    years, months, weeks, days, hours = (int(part or 0) for part in found.groups())
    return Duration(12 * years + months, weeks * WEEK + days * DAY + hours * HOUR)


def months_before(at: Instant, months: int) -> Instant:
    """Return the same clock time ``months`` calendar months earlier.

    A day that the earlier month does not have becomes that month's last day.
    """
    if months == 0:
        return at
    now = moment(at)
    count = now.year * 12 + now.month - 1 - months
    year, month = divmod(count, 12)
    if year < 1:
        return instant(datetime(1, 1, 1, tzinfo=UTC))
    day = min(now.day, calendar.monthrange(year, month + 1)[1])
    return instant(now.replace(year=year, month=month + 1, day=day))


def completed(unit: str, start: Instant, end: Instant) -> int:
    """Count the whole units (``d``, ``wk``, ``mo``, ``a``, ``h``) from ``start`` to ``end``.

    A month is over when the same day and clock time are reached; where the month has no such
    day, when the next one begins: who was born on 29 February turns 18 on 1 March.

    >>> born, now = (instant(datetime(y, 3, 1, tzinfo=UTC)) for y in (1980, 2020))
    >>> completed("a", born, now), completed("a", born, now - DAY)
    (40, 39)
    """
    exact = {"h": HOUR, "d": DAY, "wk": WEEK}
    if unit in exact:
        return (end - start) // exact[unit]
    first, last = moment(start), moment(end)
    months = (last.year - first.year) * 12 + last.month - first.month
    if (last.day, last.timetz()) < (first.day, first.timetz()):
        months -= 1
    return months if unit == "mo" else months // 12
