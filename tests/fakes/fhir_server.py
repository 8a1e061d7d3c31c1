"""A FHIR server on loopback that pages, fails, dawdles and misleads as it is told."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

Json = dict[str, Any]


class FakeFhirServer:
    """Answers ``/fhir/...`` from a table of resource type to a list of pages.

    Attributes:
        pages: type -> the bodies of its pages, the first for the search, the others by ``?page=n``.
        seen: (path with query, Authorization header) of every request.
        slow: seconds before each answer.
    """

    def __init__(self) -> None:
        self.pages: dict[str, list[Json | bytes]] = {}
        self.status: dict[str, int] = {}
        self.headers: dict[str, str] = {}
        self.seen: list[tuple[str, str]] = []
        self.slow = 0.0
        self.url = ""

    def search(self, kind: str, *pages: list[Json]) -> None:
        """Let a search give these resources, page by page."""
        self.pages[kind] = [
            {
                "resourceType": "Bundle",
                "type": "searchset",
                "entry": [{"resource": r} for r in page],
                **({"link": [self.link(kind, n + 1)]} if n + 1 < len(pages) else {}),
            }
            for n, page in enumerate(pages)
        ]

    def link(self, kind: str, page: int) -> Json:
        return {"relation": "next", "url": f"{self.url}/{kind}?page={page}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        self.seen.append((f"{scope['path']}?{query}", headers.get("authorization", "")))
        await asyncio.sleep(self.slow)
        name = scope["path"].removeprefix("/fhir/")
        page = int(query.removeprefix("page=")) if query.startswith("page=") else 0
        found = self.pages.get(name, [{"resourceType": "Bundle", "type": "searchset"}])
        body = found[min(page, len(found) - 1)]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        out: Mapping[str, str] = {"content-type": "application/fhir+json", **self.headers}
        start = {
            "type": "http.response.start",
            "status": self.status.get(name, 200),
            "headers": [(k.encode(), v.encode()) for k, v in out.items()],
        }
        await send(start)
        await send({"type": "http.response.body", "body": data})


@contextlib.contextmanager
def on_loopback(app: Any) -> Iterator[str]:
    """Serve an application on a free port; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
