"""``serve``: the service until it is stopped, with one line on where it listens."""

from pathlib import Path
from typing import Any

import uvicorn

from cds_adapters.cli.output import FINE
from cds_adapters.compose import compose
from cds_adapters.logs import log_to_stderr
from cds_adapters.site import Site, read_site


def run(settings: Path | None, given: dict[str, Any]) -> int:
    """Serve until stopped."""
    site = read_site(settings, given)
    log_to_stderr()
    server(site).run()
    return FINE


def server(site: Site) -> uvicorn.Server:
    """Return the HTTP server of a site; access lines are left out, they would name patients."""
    config = uvicorn.Config(
        compose(site),
        host=site.host,
        port=site.port,
        access_log=False,
        log_config=None,  # its lines take the way of all others
        log_level="info",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
    return uvicorn.Server(config)
