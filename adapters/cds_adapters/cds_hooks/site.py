"""What CDS Hooks takes from the site's settings."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cds_adapters.cds_hooks.upstream import Limits
from cds_adapters.fhir.site_map import SiteMap
from cds_adapters.site import Site
from cds_engine.errors import DocumentError, Fault


def site_map(site: Site) -> SiteMap:
    """Return how the site's local codes and dates are to be read.

    Raises:
        DocumentError: if the time zone is none.
    """
    try:
        zone = ZoneInfo(site.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        problem = f"{site.time_zone!r} is no IANA time zone; write it as Europe/Berlin"
        raise DocumentError("the settings", [Fault("time_zone", problem)]) from error
    return SiteMap(site.codes, zone)


def site_limits(site: Site) -> Limits:
    """Return how much may be fetched for one call."""
    return Limits(deadline=site.fetch_deadline, pages=site.max_pages, size=site.max_body)
