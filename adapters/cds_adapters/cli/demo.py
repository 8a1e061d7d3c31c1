"""``demo``: the whole service on generated patients, asked through HTTP, its cards printed."""

import contextlib
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from cds_adapters.cli.ehr import hook_request
from cds_adapters.cli.output import FINDINGS, FINE, complain, print_json, say
from cds_adapters.cli.serve import server
from cds_adapters.fhir.samples import STORIES, sample_patient
from cds_adapters.site import read_site
from cds_engine.errors import CDSError

REGIME_OF = {"htn": "hypertension-stepped-care", "normotensive": "hypertension-stepped-care",
             "activity": "activity-coaching-gym"}  # fmt: skip
START_TIMEOUT = 20.0


class DemoError(CDSError):
    """The demonstration could not be started or did not come out as it must."""


def run(port: int, *, once: bool, as_json: bool) -> int:
    """Start, ask, print; keep serving unless ``once``."""
    # a termination asked for politely ends like Ctrl+C, so that nothing is left behind
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="cds-engine-demo-") as folder:
        free = port or _free_port()
        site = read_site(None, {
            "port": free, "allow_as_of": True,
            "database": f"sqlite:///{Path(folder) / 'demo.sqlite'}",
        })  # fmt: skip
        with running(server(site), site.public_url) as client:
            wrong = _ask_all(client, as_json=as_json)
            if not once:
                _keep_serving(site.public_url)
    return FINDINGS if wrong else FINE


@contextlib.contextmanager
def running(http: uvicorn.Server, url: str) -> Iterator[httpx.Client]:
    """Run a server in a thread and hand out a client of it; stop it at the end.

    Raises:
        DemoError: if it does not answer in time, for instance because the port is taken.
    """
    thread = threading.Thread(target=http.run, name="cds-engine-demo", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_TIMEOUT
    while not http.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise DemoError(f"the service did not start on {url}; is the port taken? use --port 0")
        time.sleep(0.02)
    try:
        with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
            yield client
    finally:
        http.should_exit = True
        thread.join(timeout=15)


def _ask_all(client: httpx.Client, *, as_json: bool) -> int:
    """Send the request of every story and visit; return how many did not come out with 200."""
    services = {s["id"]: s for s in client.get("/cds-services").json()["services"]}
    wrong = 0
    for story in STORIES:
        regime = REGIME_OF[story.split("-", maxsplit=1)[0]]
        service = services[f"{regime}-patient-view"]
        patient = sample_patient(story)
        for visit in patient.visits:
            body = hook_request("patient-view", patient, service["prefetch"], visit)
            answer = client.post(f"/cds-services/{service['id']}", json=body)
            wrong += answer.status_code != 200
            _print(story, visit, answer, str(client.base_url), as_json=as_json)
    return wrong


def _print(story: str, visit: str, answer: httpx.Response, url: str, *, as_json: bool) -> None:
    body: dict[str, Any] = answer.json()
    if as_json:
        print_json({"story": story, "visit": visit, "status": answer.status_code, "answer": body})
        return
    if answer.status_code != 200:
        complain(f"{story} at {visit}: HTTP {answer.status_code}: {answer.text[:500]}")
        return
    decision = body["extension"]["org.cds-engine.decision"]
    say(f"{story}, {visit[:10]}: {decision['outcome']}"
        + (f", stage {decision['stage']}" if decision.get("stage") else ""))  # fmt: skip
    for card in body["cards"]:
        say(f"    [{card['indicator']}] {card['summary']}")
        for suggestion in card.get("suggestions", []):
            say(f"        - {suggestion['label']}")
    say(f"    {url.rstrip('/')}/decisions/{decision['id']}")


def _keep_serving(url: str) -> None:
    say()
    say(f"The service goes on at {url} (pages) and {url}/cds-services (CDS Hooks).")
    say("Press Ctrl+C to stop; the demonstration's database is deleted then.")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
