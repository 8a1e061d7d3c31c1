"""Browsers may call from the origins a site lists, and see errors too; nobody else's may."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/cds-services"


class HookCors:
    """Cross-origin rules for the CDS Hooks paths alone; pages have none.

    Args:
        app: the whole application.
        origins: the origins that are let in; never every origin, never with cookies.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._plain = app
        self._open = CORSMiddleware(
            app,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "OPTIONS"],
            allow_headers=["authorization", "content-type"],
            expose_headers=["etag"],
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer preflights, and mark the other answers for the origins let in."""
        hooks = scope["type"] == "http" and scope["path"].startswith(PATH)
        await (self._open if hooks else self._plain)(scope, receive, send)
