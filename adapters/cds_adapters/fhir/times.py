"""A FHIR date or dateTime becomes the first and last instant that it can mean.

A clock time needs an offset. A date, a month or a year covers its days in the site's time zone.
Whatever is later than the calendar's last instant (some records write 9999-12-31 for "open")
becomes that last instant.
"""

import re
from datetime import MAXYEAR, UTC, date, datetime, timedelta, tzinfo

from cds_adapters.fhir.errors import NotUsedError
from cds_engine.history.event import Time
from cds_engine.vocabulary.time import DAY, SECOND, Instant, Precision, moment

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Instant = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST: Instant = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_EPOCH_DAY = _EPOCH.toordinal()

_is_date = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?").fullmatch
_is_clock = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
    r"(Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))?"
).fullmatch
_PRECISIONS: dict[int, Precision] = {4: "year", 7: "month", 10: "day"}


class UnreadableTimeError(NotUsedError):
    """A date or time that is not written as FHIR writes them."""


def read_time(text: str, zone: tzinfo = UTC) -> Time:
    """Read a FHIR date, dateTime or instant.

    >>> read_time("1970-01-02T01:00:00+01:00")
    Time(start=86400000000, end=86400000000, precision='instant')
    >>> read_time("1970-01-02")
    Time(start=86400000000, end=172799999999, precision='day')
    """
    if len(text) > 10:
        at = read_instant(text)
        return Time(at, at)
    if _is_date(text) is None:
        raise UnreadableTimeError(
            "a date is not written as YYYY, YYYY-MM or YYYY-MM-DD; correct it in the record"
        )
    first, after = _days(text)
    start = _midnight(first, zone)
    end = _LAST if after is None else max(start, _midnight(after, zone) - 1)
    return Time(start, end, _PRECISIONS[len(text)])


def read_instant(text: str) -> Instant:
    """Read a FHIR dateTime that has a clock time and an offset, to the microsecond.

    Digits beyond the microsecond are cut off. A leap second counts as the second after it.
    """
    # records hold few different days, and few different times of day, each of them many times
    day, clock = _seen_days.get(text[:10]), _seen_clocks.get(text[10:])
    at = _read_anew(text) if day is None or clock is None else day + clock
    return at if _FIRST <= at <= _LAST else _clamped(at)


def _read_anew(text: str) -> Instant:
    """Read a time, not yet clamped, and remember its day, and its clock time with its offset."""
    found = _is_clock(text)
    if found is None:
        raise UnreadableTimeError(
            "a time is not written as YYYY-MM-DDThh:mm:ss with an offset; correct it in the record"
        )
    if found[1] is None:
        raise UnreadableTimeError(
            "a clock time without an offset is no instant; the record must state Z or +hh:mm"
        )
    leap = text[17:19] == "60"
    try:
        moment = datetime.fromisoformat(f"{text[:17]}59{text[19:]}" if leap else text)
    except ValueError:
        raise UnreadableTimeError(_NO_SUCH_DAY) from None
    since = moment - _EPOCH
    at = since.days * DAY + since.seconds * SECOND + since.microseconds
    if leap:
        at += SECOND
    day = (date.fromisoformat(text[:10]).toordinal() - _EPOCH_DAY) * DAY
    for seen, part, means in ((_seen_days, text[:10], day), (_seen_clocks, text[10:], at - day)):
        if len(seen) >= _MOST_SEEN:
            seen.clear()
        seen[part] = means
    return at


_MOST_SEEN = 100_000
_seen_days: dict[str, Instant] = {}
_seen_clocks: dict[str, Instant] = {}


_NO_SUCH_DAY = "a date names a year, month or day that does not exist; correct it in the record"


def sortable(text: str) -> str:
    """Write a time so that text compares as instants do: UTC, six digits after the second.

    >>> sortable("2024-01-01T02:00:00.5+02:00")
    '2024-01-01T00:00:00.500000'
    """
    plain = len(text) == 20 and text[10] == "T" and text[19] == "Z" and text[17:19] != "60"
    if plain and text.isprintable():
        return f"{text[:19]}.000000"
    zone = 1 if text[19:].endswith("Z") else 6 if text[19:].endswith("+00:00") else 0
    shaped = zone and text[10] == "T" and text[19] in ".Z+"
    if not shaped or text[17:19] == "60" or not text.isprintable():
        return moment(read_time(text).end).isoformat(timespec="microseconds")[:26]
    # Servers write all their times like this; it saves reading times that nothing rests on.
    return f"{text[:19]}.{text[20:-zone]:0<6.6}"


def _days(text: str) -> tuple[date, date | None]:
    """Return the first day of a date, month or year, and the day after its last."""
    year, month, day = int(text[:4]), int(text[5:7] or 1), int(text[8:10] or 1)
    try:
        first = date(year, month, day)
    except ValueError:
        raise UnreadableTimeError(_NO_SUCH_DAY) from None
    if len(text) == 10:
        return first, (first + timedelta(days=1) if first < date.max else None)
    if len(text) == 7 and month < 12:
        return first, date(year, month + 1, 1)
    return first, (date(year + 1, 1, 1) if year < MAXYEAR else None)


def _midnight(day: date, zone: tzinfo) -> Instant:
    if zone is UTC:
        return (day.toordinal() - _EPOCH_DAY) * DAY
    since = datetime(day.year, day.month, day.day, tzinfo=zone) - _EPOCH
    return _clamped(since.days * DAY + since.seconds * SECOND + since.microseconds)


def _clamped(at: Instant) -> Instant:
    return min(max(at, _FIRST), _LAST)
