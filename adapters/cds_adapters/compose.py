"""The one place where parts are wired: settings in, a service out."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from zoneinfo import ZoneInfo

from fastapi import FastAPI

import cds_engine
from cds_adapters.bulk.folder import PatientFolder
from cds_adapters.cds_hooks.service import HookService, add_cds_hooks
from cds_adapters.clock import Clock, frozen_clock, parse_instant, system_clock
from cds_adapters.fhir.site_map import SiteMap
from cds_adapters.health import add_health
from cds_adapters.site import Site
from cds_adapters.storage.audit import AuditStore
from cds_adapters.storage.database import open_database
from cds_adapters.storage.feedback import FeedbackStore
from cds_adapters.storage.migrate import migrate
from cds_adapters.storage.reader import AuditReader
from cds_adapters.storage.shelf import Shelf, shipped_rules
from cds_adapters.storage.verify import require_sound_end
from cds_adapters.web.pages import Pages, add_pages
from cds_adapters.web.replayfolder import ReplayFolder
from cds_engine.decide.regime import Regime


def clock_of(site: Site) -> Clock:
    """Return the clock that the settings ask for."""
    return frozen_clock(parse_instant(site.as_of)) if site.as_of else system_clock


def patients_of(site: Site) -> PatientFolder | None:
    """Return the folder of patients that the settings name, if they name one."""
    if site.patients is None:
        return None
    return PatientFolder(site.patients, SiteMap(site.codes, ZoneInfo(site.time_zone)))


def compose(site: Site) -> FastAPI:
    """Return the whole service for one site: CDS Hooks, pages and health.

    Raises:
        CDSError: if rules, database or settings cannot be used; nothing half-started remains.
    """
    # Most of what is made here stays; looking for garbage among it would only cost time.
    gc.disable()
    try:
        return _composed(site)
    finally:
        gc.enable()


def _composed(site: Site) -> FastAPI:
    clock = clock_of(site)
    shelf = Shelf(site.rules or shipped_rules(), cases_later=True)
    regimes = {bundle.identity: Regime(bundle) for bundle in shelf}
    served = [regimes[bundle.identity] for bundle in shelf.newest()]
    engine = open_database(site.database)
    migrate(engine)
    require_sound_end(AuditReader(engine))
    audit = AuditStore(engine)
    try:
        hooks = HookService(served, audit, FeedbackStore(engine), site, clock)
        replays = None if site.replays is None else ReplayFolder(site.replays)
        patients = patients_of(site)
        pages = Pages(shelf, regimes, audit, site, clock, patients=patients, replays=replays)
    except BaseException:
        audit.close()
        raise
    app = FastAPI(
        title="cds-engine",
        version=cds_engine.__version__,
        openapi_url=None,
        lifespan=_lifespan(audit, hooks),
    )
    add_cds_hooks(app, hooks)
    add_health(app, served, audit)
    add_pages(app, pages)
    return app


def _lifespan(
    audit: AuditStore, hooks: HookService
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # what start-up made lives as long as the process: the collector need not look at it again
        gc.collect()
        gc.freeze()
        try:
            yield
        finally:
            await hooks.close()
            audit.close()

    return lifespan
