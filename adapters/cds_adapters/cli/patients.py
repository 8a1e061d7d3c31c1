"""What decide, explain and history share: a regime, records, an instant, and the site's codes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cds_adapters.bulk.folder import records_in
from cds_adapters.cli.bundles import find_bundle
from cds_adapters.clock import parse_instant, system_clock
from cds_adapters.fhir.site_map import SiteMap
from cds_adapters.site import Site, read_site
from cds_engine.decide.regime import Regime
from cds_engine.errors import DocumentError, Fault
from cds_engine.history.event import Record
from cds_engine.vocabulary.time import Instant


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line, read and checked.

    Attributes:
        chosen: the id of the only patient wanted, or None for all.
    """

    regime: Regime
    records: Path
    chosen: str | None
    as_of: Instant
    site: Site

    def patients(self) -> Iterator[tuple[str, Record]]:
        """Yield every patient that was asked for."""
        return records_in(self.records, site_map(self.site), self.chosen)


def asked(
    address: str,
    rules: Path | None,
    records: Path,
    chosen: str | None,
    as_of: str | None,
    settings: Path | None,
) -> Asked:
    """Read and check what was asked for."""
    site = read_site(settings, {"rules": rules, "as_of": as_of})
    at = parse_instant(site.as_of) if site.as_of else system_clock()
    regime = Regime(find_bundle(address, site.rules))
    return Asked(regime, records, chosen, at, site)


def site_map(site: Site) -> SiteMap:
    """Return how the site's local codes and dates are to be read."""
    try:
        zone = ZoneInfo(site.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        problem = f"{site.time_zone!r} is no IANA time zone; write it as Europe/Berlin"
        raise DocumentError("the settings", [Fault("time_zone", problem)]) from error
    return SiteMap(codes=site.codes, time_zone=zone)


def identity(asked_for: Asked) -> dict[str, Any]:
    """Return which rule bundle speaks, as every JSON answer names it."""
    bundle = asked_for.regime.bundle
    return {"regime": bundle.regime, "version": bundle.version, "digest": bundle.digest}
