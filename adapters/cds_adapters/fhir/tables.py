"""Tables that fill themselves: records repeat the same codes, units and times many times over."""

from collections.abc import Mapping
from datetime import tzinfo

from cds_adapters.fhir.times import read_time
from cds_engine.history.event import Time
from cds_engine.vocabulary.code import short_code
from cds_engine.vocabulary.units import StatedUnit

FULL = 50_000
"""How many entries a table holds that outlives a record; a full one starts again."""


class Times(dict[str, Time]):
    """Text of a date or time -> what it means at a site; kept for one record only."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def __missing__(self, text: str) -> Time:
        time = self[text] = read_time(text, self._zone)
        return time


class Codes(dict[tuple[str | None, str | None], tuple[str, ...]]):
    """System and code -> the codes of the event, the site's standard codes included.

    Attributes:
        met: those of the site's local codes that were asked for.
    """

    def __init__(self, mapped: Mapping[str, tuple[str, ...]]) -> None:
        self._mapped = mapped
        self.met: set[str] = set()

    def __missing__(self, key: tuple[str | None, str | None]) -> tuple[str, ...]:
        if len(self) >= FULL:
            self.clear()
        codes = self[key] = tuple(dict.fromkeys(self._read(*key)))
        return codes

    def _read(self, system: str | None, code: str | None) -> tuple[str, ...]:
        # A code without a system means nothing by itself, unless the site says so. One with
        # control characters is no code; one with spaces inside is, and a site can map it.
        if not code or not code.isprintable() or code != code.strip():
            return ()
        own = short_code(system or "", code)
        mapped = self._mapped.get(own, ())
        if mapped:
            self.met.add(own)
        return (own, *mapped) if system and system.isprintable() else mapped


class Units(dict[tuple[str | None, str | None, str | None], StatedUnit]):
    """Code, system and text of a unit -> the unit as stated."""

    def __missing__(self, key: tuple[str | None, str | None, str | None]) -> StatedUnit:
        if len(self) >= FULL:
            self.clear()
        code, system, text = key
        unit = self[key] = StatedUnit(code or "", system or "", text or "")
        return unit
