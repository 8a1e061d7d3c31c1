"""Of encounters and Patients it is noted what tells how far the records reach, and for whom."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from cds_adapters.bulk.labels import Visit, VisitKind, read_people, read_visit_kinds, read_visits
from cds_adapters.bulk.scanned import Day, Scanned
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.site_map import SiteMap
from cds_adapters.fhir.times import read_time
from cds_engine.history.event import Event
from cds_engine.vocabulary.time import DAY, Instant

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PLANNED = frozenset({"planned", "cancelled", "entered-in-error"})

_out_of_use = re.compile(rb'"active"\s*:\s*false').search


class Visits:
    """Notes when the encounters of one file were and, where some are chosen by it, their codes."""

    def __init__(self, found: Scanned, site: SiteMap, *, chosen: bool) -> None:
        """Begin a file.

        Args:
            found: where it is noted.
            site: how the site's dates and codes are to be read.
            chosen: whether encounters are chosen by their class or type.
        """
        self._found = found
        self._zone = site.time_zone
        self._codes = site.event_codes
        self._chosen = chosen

    def look_at(self, lines: Sequence[bytes]) -> None:
        """Note some encounters; of one that cannot be read nothing is noted."""
        text = b"\n".join(lines)
        try:
            visits = read_visits(text)
            kinds = read_visit_kinds(text) if self._chosen else ()
        except _UNREADABLE:
            for data in lines if len(lines) > 1 else ():
                self.look_at([data])
            return
        for (start, end, stored), count in Counter(map(_surely, visits)).items():
            known = [at for at in (self._at(start), self._at(end)) if at is not None]
            if known:
                beyond = stored is not None and self._is_beyond(max(known), stored)
                days = self._found.days_beyond if beyond else self._found.days
                _reaches(max(known), days, count)
        for kind in kinds:
            self._found.visit_codes.update(dict.fromkeys(self._codes_of(kind), 1))

    def look_at_event(self, event: Event) -> None:
        """Note an encounter that stands in a table of events."""
        if event.time is not None and event.status not in _PLANNED:
            _reaches((event.until or event.time).start, self._found.days)
        if self._chosen:
            self._found.visit_codes.update(event.codes)

    def _at(self, text: str | None) -> Instant | None:
        if text is None:
            return None
        try:
            return read_time(text, self._zone).start
        except NotUsedError:
            return None

    def _is_beyond(self, at: Instant, stored: str) -> bool:
        """Say whether an encounter lies after the server stored it, so that it is a slip."""
        try:
            return at > read_time(stored, self._zone).end
        except NotUsedError:
            return False

    def _codes_of(self, kind: VisitKind) -> Iterable[str]:
        codings = [] if kind.class_ is None else [kind.class_]
        codings += [one for concept in kind.type for one in concept.coding]
        return (code for one in codings for code in self._codes[one.system, one.code])


def look_at_people(lines: Sequence[bytes], found: Scanned) -> None:
    """Count the Patients that stand for nobody any more; nearly all do, at little cost."""
    text = b"\n".join(lines)
    if not (b'"replaced-by"' in text or _out_of_use(text)):
        return
    try:
        people = read_people(text)
    except _UNREADABLE:
        for data in lines if len(lines) > 1 else ():
            look_at_people([data], found)
        return
    for person in people:
        if any(link.type == "replaced-by" for link in person.link):
            found.merged += 1
        elif person.active is False:
            found.inactive += 1


def _reaches(at: Instant, days: dict[int, Day], count: int = 1) -> None:
    day = at // DAY
    held, last = days.get(day, (0, at))
    days[day] = (held + count, max(at, last))


def _surely(visit: Visit) -> tuple[str | None, str | None, str | None]:
    """Return the start and end at which an encounter surely took place, and when it was stored.

    That is left out where its day is late enough, as nearly always.
    """
    period, status = visit.period, visit.status
    if period is None or status in _PLANNED:
        return None, None, None
    start, end = period.start, period.end if status == "finished" else None
    stored = None if visit.meta is None else visit.meta.last_updated
    if stored is not None and (start or "")[:10] <= stored[:10] >= (end or "")[:10]:
        stored = None
    return start, end, stored
