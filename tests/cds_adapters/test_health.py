"""Health says whether the process lives, and whether it may give advice."""

import asyncio

import httpx
import pytest
from builders.hook_calls import BASE, bundle_of
from fastapi import FastAPI

import cds_engine
from cds_adapters.health import add_health
from cds_engine.decide.regime import Regime


class Audit:
    """An audit that says of itself what it is told to say."""

    def __init__(self, *, fine: bool) -> None:
        self.fine = fine

    def healthy(self) -> bool:
        return self.fine


def asked(path: str, *, fine: bool) -> httpx.Response:
    app = FastAPI(openapi_url=None)
    add_health(app, [Regime(bundle_of())], Audit(fine=fine))

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return await client.get(path)

    return asyncio.run(send())


@pytest.mark.parametrize("fine", [True, False])
def test_the_process_lives_whatever_the_audit_does(fine: bool) -> None:
    answer = asked("/live", fine=fine)
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


def test_ready_names_what_is_served_and_by_what() -> None:
    answer = asked("/health", fine=True)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "engine": cds_engine.__version__,
        "semantics": cds_engine.SEMANTICS_VERSION,
        "served": {"pressure": ["1.2.0", bundle_of().digest]},
    }


def test_not_ready_where_no_record_can_be_kept() -> None:
    answer = asked("/health", fine=False)
    assert answer.status_code == 503
    assert answer.json()["status"] == (
        "the audit store does not accept records; no card is served until it does"
    )
