"""The records of an export end with its last encounter; a slip of the pen is none.

One finished visit that somebody dated 2052 would else make every patient look followed until then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cds_adapters.bulk.scanned import Day, Scanned, add_days
from cds_adapters.bulk.words import by, count_of
from cds_engine.vocabulary.time import Instant, iso_date

_STRAYS = 1_000
"""One encounter in so many may be a stray, and always one."""

_SILENCE = 366
"""Days without any encounter, after which a few more do not show that records were kept."""

_DUE, _ODD = 20.0, 3.0
"""Encounters that were due in a silence: so many are no chance, and so few are worth a word."""

_FEW = 10
"""Encounters below which there is no rate."""

_DOUBTED = 100
"""Where more than one encounter in so many (or more than one at all) lies after it was stored,
dates were shifted, and the times of storing say nothing."""

Days = Mapping[int, Day]


@dataclass(frozen=True, slots=True)
class Ends:
    """Where records end.

    Attributes:
        at: the last instant at which they are known to be kept; None if there is no encounter.
        warnings: what was passed over, or what is odd about it, in words.
    """

    at: Instant | None
    warnings: tuple[str, ...] = ()


def records_end(scans: Sequence[Scanned]) -> Ends:
    """Find where the records end by the encounters alone.

    Two kinds of encounters are passed over. Some lie after their own ``meta.lastUpdated``: nobody
    can have known of them. Others come after a silence of more than a year in which, at the usual
    rate, twenty encounters or more were due, and are at most one in a thousand. The usual rate is
    that of the middle half of all encounters, which no stray at either end changes. (A quantile
    alone finds nothing in a small export; a gap alone would take the last year from patients who
    come once a year.)
    """
    days = _added(scan.days for scan in scans)
    beyond = _added(scan.days_beyond for scan in scans)
    if not days or _count(beyond) > max(1, _count(days) // _DOUBTED):
        days, beyond = _added((days, beyond)), {}
    warnings = [_beyond_words(beyond)] if beyond else []
    silence = _silence(days)
    if silence is not None:
        strays = {day: told for day, told in days.items() if day > silence.last}
        warnings.append(_stray_words(days[silence.last][1], strays, sure=silence.sure))
        if silence.sure:
            days = {day: told for day, told in days.items() if day <= silence.last}
    return Ends(_last(days), tuple(warnings))


@dataclass(frozen=True, slots=True)
class _Silence:
    """The day before a long silence, and whether it is sure that it is no chance."""

    last: int
    sure: bool


def _silence(days: Days) -> _Silence | None:
    """Return the first long silence after which there are only a few encounters."""
    ordered = sorted(days)
    total = _count(days)
    few = max(1, total // _STRAYS)
    found: _Silence | None = None
    after = 0
    for before, day in zip(ordered[-2::-1], ordered[:0:-1], strict=True):
        after += days[day][0]
        if after > few:
            break
        if day - before <= _SILENCE:
            continue
        due = (day - before) * _rate(days, ordered)
        enough = total - after >= _FEW
        sure = enough and due >= _DUE
        if sure or (found is None and (not enough or due >= _ODD)):
            found = _Silence(before, sure)
    return found


def _rate(days: Days, ordered: Sequence[int]) -> float:
    """Return encounters a day in the time that holds the middle half of them."""
    total, seen = _count(days), 0
    first: int | None = None
    for day in ordered:
        seen += days[day][0]
        if first is None and 4 * seen >= total:
            first = day
        if 4 * seen >= 3 * total:
            return total / 2 / max(1, day - (day if first is None else first))
    return 0.0


def _beyond_words(beyond: Days) -> str:
    count = _count(beyond)
    return (
        f"{count_of(count, 'encounter')} {by(count, 'lies', 'lie')} after the time when the server "
        f"stored {by(count, 'it', 'them')} (the last on {_date(beyond)}), and so "
        f"{by(count, 'does', 'do')} not count for where the records end"
    )


def _stray_words(last: Instant, strays: Days, *, sure: bool) -> str:
    count = _count(strays)
    what = f"{count_of(count, 'encounter')} {by(count, 'lies', 'lie')} more than a year after all "
    told = f"{what}others (the others end on {iso_date(last)}, and it ends on {_date(strays)})"
    if count > 1:
        told = told.replace("and it ends", "and the last of these is")
    if sure:
        return (
            f"{told}, and so {by(count, 'does', 'do')} not count for where the records end; if "
            f"{by(count, 'it is', 'they are')} right, say when they end with --data-until"
        )
    return (
        f"{told}, and the records are taken to end there; if that is a slip, say when they end "
        "with --data-until"
    )


def _added(parts: Iterable[Days]) -> dict[int, Day]:
    found: dict[int, Day] = {}
    for part in parts:
        add_days(found, part)
    return found


def _count(days: Days) -> int:
    return sum(count for count, _ in days.values())


def _last(days: Days) -> Instant | None:
    return max((at for _, at in days.values()), default=None)


def _date(days: Days) -> str:
    last = _last(days)
    return "" if last is None else iso_date(last)
