"""Page routes answer every fault with a page, and leave the other routes of the app alone."""

import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cds_adapters.storage.database import StorageError
from cds_adapters.web.errors import PageError, broken, no_page, no_store, wrong_method
from cds_adapters.web.render import SECURITY_HEADERS, Renderer

_log = logging.getLogger(__name__)

_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_PLAIN = {"Not Found", "Method Not Allowed"}
"""What the framework says of an address that nobody answers under."""
_YEAR = "public, max-age=31536000, immutable"
_HOUR = "public, max-age=3600"

Make = Callable[[Request], Response]
_Found = TypeVar("_Found")
Check = Callable[[Request], Awaitable[None]]


class PageRoutes:
    """Adds pages to an application; each is made in a worker thread, for it may read a database."""

    def __init__(self, app: FastAPI, render: Renderer) -> None:
        self.app = app
        self.render = render

    def get(self, path: str, make: Make) -> None:
        """Add a page that is read."""
        self._add(path, make, ["GET", "HEAD"], None)

    def post(self, path: str, make: Make, check: Check) -> None:
        """Add a page behind a button; ``check`` must let the form pass."""
        self._add(path, make, ["POST"], check)

    def catch_lost_readers(self) -> None:
        """Answer unknown addresses with a page where a page was asked for.

        Whoever does not ask for HTML is answered by the application's own handler.
        """
        for status, error in ((404, no_page()), (405, wrong_method())):
            self.app.add_exception_handler(status, self._lost(error))

    def _add(self, path: str, make: Make, methods: list[str], check: Check | None) -> None:
        async def endpoint(request: Request) -> Response:
            try:
                if check is not None:
                    await check(request)
                return await run_in_threadpool(make, request)
            except PageError as error:
                return self.render.problem(error)
            except Exception as error:  # noqa: BLE001 - shown as a page, and logged
                return self.render.problem(broken(_logged(error)))

        self.app.add_api_route(path, endpoint, methods=methods, include_in_schema=False)

    def _lost(self, shown: PageError) -> Callable[[Request, Exception], Awaitable[Response]]:
        async def handler(request: Request, error: Exception) -> Response:
            if "text/html" in request.headers.get("accept", ""):
                return self.render.problem(shown)
            other = self.app.exception_handlers.get(HTTPException, http_exception_handler)
            if other is http_exception_handler:
                said = {"detail": f"{shown.title}. {shown.text} {shown.cure}"}
                headers = getattr(error, "headers", None)
                if getattr(error, "detail", "") not in _PLAIN:  # an endpoint said more itself
                    said = {"detail": error.detail}  # type: ignore[attr-defined]
                return JSONResponse(said, shown.status, headers)
            answer = other(request, error)
            return await answer if isawaitable(answer) else answer

        return handler


def stored(ask: Callable[[], _Found]) -> _Found:
    """Return what the audit store answers; a store that fails is named as the cause.

    Raises:
        PageError: 503, where the store cannot be read.
    """
    try:
        return ask()
    except StorageError as error:
        raise no_store(_logged(error)) from error


def static_file(render: Renderer, request: Request) -> Response:
    """Return a static file; one asked for by its tag never changes and is kept for a year."""
    name = request.path_params["name"]
    if name not in render.static:
        raise no_page()
    tag = render.static_tag(name)
    fixed = request.query_params.get("v") == tag
    headers = {
        **SECURITY_HEADERS,
        "Cache-Control": _YEAR if fixed else _HOUR,
        "ETag": f'"{tag}"',
    }
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    media_type = _TYPES[name[name.rindex(".") :]]
    return Response(render.static[name], headers=headers, media_type=media_type)


def _logged(error: Exception) -> str:
    """Log where a fault arose, not its text, which may hold values; return its reference."""
    reference = secrets.token_hex(6)
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
    _log.error("page fault %s: %s at %s", reference, type(error).__name__, place)
    return reference
