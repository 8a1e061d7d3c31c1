"""The whole service, wired as in production, listening on this machine with a kept database."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from cds_adapters.cli.demo import running
from cds_adapters.cli.ehr import hook_request
from cds_adapters.cli.serve import server
from cds_adapters.fhir.samples import sample_patient
from cds_adapters.site import Site

STEPPED_CARE = "hypertension-stepped-care-patient-view"


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def kept_in(folder: Path) -> str:
    """Return the URL of a database in a folder."""
    return f"sqlite:///{folder / 'audit.sqlite'}"


@contextlib.contextmanager
def live(**settings: Any) -> Iterator[httpx.Client]:
    """Run the service in a thread and yield a client of it."""
    site = Site(port=free_port(), **settings)
    with running(server(site), site.public_url) as client:
        yield client


def templates(client: httpx.Client, service: str = STEPPED_CARE) -> dict[str, str]:
    """Return the prefetch templates of one service."""
    services = client.get("/cds-services").json()["services"]
    found: dict[str, str] = next(s["prefetch"] for s in services if s["id"] == service)
    return found


def ask(
    client: httpx.Client, story: str = "htn-uncontrolled", visit: int | None = -1
) -> httpx.Response:
    """Ask about a sample patient at one of the visits of its story, or at the service's instant."""
    patient = sample_patient(story)
    body = hook_request("patient-view", patient, templates(client), patient.visits[visit or 0])
    if visit is None:
        del body["extension"]
    return client.post(f"/cds-services/{STEPPED_CARE}", json=body)
