"""Health: whether the process lives, and whether it can give advice that is on record."""

from collections.abc import Sequence
from typing import Protocol

from fastapi import FastAPI
from fastapi.responses import JSONResponse

import cds_engine
from cds_engine.decide.regime import Regime


class AuditHealth(Protocol):
    """What health asks of the audit store."""

    def healthy(self) -> bool:
        """Say whether records are being committed."""


def add_health(app: FastAPI, regimes: Sequence[Regime], audit: AuditHealth) -> None:
    """Add ``/live`` (the process answers) and ``/health`` (it can also serve)."""
    served = {r.bundle.regime: [r.bundle.version, r.bundle.digest] for r in regimes}

    @app.get("/live", include_in_schema=False)
    async def live() -> JSONResponse:
        return JSONResponse({"status": "live"})

    @app.get("/health", include_in_schema=False)
    async def health() -> JSONResponse:
        fine = audit.healthy()
        body = {
            "status": "ready"
            if fine
            else "the audit store does not accept records; no card is served until it does",
            "engine": cds_engine.__version__,
            "semantics": cds_engine.SEMANTICS_VERSION,
            "served": served,
        }
        return JSONResponse(body, status_code=200 if fine else 503)
