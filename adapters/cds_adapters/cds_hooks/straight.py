"""A call goes straight to its service, past the routing that pages and other requests need."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from cds_adapters.cds_hooks.cors import PATH
from cds_adapters.cds_hooks.outcomes import Reply
from cds_adapters.cds_hooks.transport import read_body, response

Answer = Callable[[str, Callable[[], Awaitable[bytes]]], Awaitable[Reply]]

_PREFIX = f"{PATH}/"


class StraightCalls:
    """Answers ``POST /cds-services/{id}`` as the route of the same path does.

    Routing a request, and the layers that guard handlers of every kind, take as long as a quarter
    of the whole call.

    Args:
        app: answers everything else.
        answer: answers a call to a service.
        limit: bytes that a body may have.
        patience: seconds in which it must arrive.
    """

    def __init__(self, app: ASGIApp, answer: Answer, limit: int, patience: float) -> None:
        self._app = app
        self._answer = answer
        self._limit = limit
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call, or hand on what is none."""
        service = _called(scope)
        if not service:
            await self._app(scope, receive, send)
            return
        read = partial(read_body, Request(scope, receive), self._limit, self._patience)
        reply = await self._answer(service, read)
        await response(reply)(scope, receive, send)


def _called(scope: Scope) -> str:
    """Return the id of the service that is called; empty for all other requests."""
    if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
        return ""
    path: str = scope["path"]
    service = path[len(_PREFIX) :] if path.startswith(_PREFIX) else ""
    return "" if "/" in service else service
