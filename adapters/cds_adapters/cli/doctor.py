"""``doctor``: what works here and what does not, each with the cure."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import make_url

from cds_adapters.cli.output import FINDINGS, FINE, print_json, table
from cds_adapters.cli.patients import site_map
from cds_adapters.compose import clock_of
from cds_adapters.site import Site, read_site
from cds_adapters.storage.database import open_database
from cds_adapters.storage.migrate import migrate
from cds_adapters.storage.reader import AuditReader
from cds_adapters.storage.shelf import Shelf, shipped_rules
from cds_adapters.storage.verify import verify
from cds_engine.decide.cases import run_cases
from cds_engine.errors import CDSError
from cds_engine.vocabulary.time import iso


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was looked at."""

    what: str
    fine: bool
    found: str


def run(url: str | None, settings: Path | None, given: dict[str, Any], *, as_json: bool) -> int:
    """Examine this installation, or a running service."""
    found = [_service(url)] if url else _here(read_site(settings, given))
    fine = all(item.fine for item in found)
    if as_json:
        print_json({"fine": fine, "examined": [
            {"what": item.what, "fine": item.fine, "found": item.found} for item in found
        ]})  # fmt: skip
    else:
        table("", ["", "what", "found"],
              [["ok" if i.fine else "NOT OK", i.what, i.found] for i in found])  # fmt: skip
    return FINE if fine else FINDINGS


def _here(site: Site) -> list[Examined]:
    return [
        _examine("settings", lambda: f"read; time zone {site_map(site).time_zone}"),
        _examine("rules", lambda: _rules(site)),
        _examine("database", lambda: _database(site)),
        _examine("clock", lambda: f"{iso(clock_of(site)())}{' (frozen)' if site.as_of else ''}"),
        *_warnings(site),
    ]


def _examine(what: str, look: Callable[[], str]) -> Examined:
    try:
        return Examined(what, fine=True, found=look())
    except CDSError as error:
        return Examined(what, fine=False, found=str(error))


def _rules(site: Site) -> str:
    shelf = Shelf(site.rules or shipped_rules())
    wrong = [
        f"{bundle.identity}: {result.case.case}"
        for bundle in shelf
        for result in run_cases(bundle, clock_of(site)())
        if result.differences
    ]
    if wrong:
        raise CDSError(f"cases come out otherwise: {'; '.join(wrong)}; run cds-engine test")
    return ", ".join(bundle.identity for bundle in shelf) + "; all cases as expected"


def _database(site: Site) -> str:
    url = make_url(site.database)
    if url.drivername.startswith("sqlite") and not Path(url.database or "").exists():
        return "not there yet; serve makes it at its first start"
    engine = open_database(site.database)
    try:
        migrate(engine)
        found = verify(AuditReader(engine))
        if not found.sound:
            raise CDSError(f"the audit is not as it was written: {found}")
        return f"{engine.dialect.name}, migrated; {found.rows} records, chain sound"
    finally:
        engine.dispose()


def _warnings(site: Site) -> list[Examined]:
    risky = {
        "allow_as_of": (site.allow_as_of, "requests may set their instant; never in production"),
        "allow_plain_http": (site.allow_plain_http, "http:// FHIR servers; never in production"),
        "as_of": (bool(site.as_of), "the clock is frozen; cards are for demonstration"),
    }  # fmt: skip
    return [Examined(name, fine=False, found=words) for name, (on, words) in risky.items() if on]


def _service(url: str) -> Examined:
    target = f"{url.rstrip('/')}/health"
    try:
        answer = httpx.get(target, timeout=3, trust_env=False)
    except httpx.HTTPError as error:
        problem = f"{target} does not answer ({type(error).__name__}); is it running there?"
        return Examined("service", fine=False, found=problem)
    return Examined("service", fine=answer.status_code == 200, found=answer.text[:300])
