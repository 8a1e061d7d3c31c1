"""A form is accepted only from a page of ours: a cookie and a hidden field must hold one token.

The ``Origin`` header cannot tell: our pages send no referrer, so browsers send ``Origin: null``;
and ``Sec-Fetch-Site`` is sent over HTTPS only. Where it is sent, it must say ``same-origin``.
"""

import re
import secrets
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from cds_adapters.web.errors import PageError

COOKIE = "cds_engine_form"
FIELD = "token"
MAX_FORM = 2_000

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def form_token(request: Request) -> str:
    """Return the token of this browser, or a new one."""
    held = request.cookies.get(COOKIE, "")
    return held if _TOKEN.fullmatch(held) else secrets.token_urlsafe(32)


def set_token(response: Response, token: str, path: str, *, secure: bool) -> None:
    """Give the browser its token; it is sent back to our own pages only."""
    response.set_cookie(COOKIE, token, path=path, secure=secure, httponly=True, samesite="strict")


async def check_form(request: Request) -> None:
    """Refuse a form that did not come from a page of ours.

    Raises:
        PageError: 403, or 413 for a body that no form of ours sends.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        raise _refused("It was sent from another site.")
    held = request.cookies.get(COOKIE, "")
    given = _field(await _body(request))
    if not _TOKEN.fullmatch(held) or not secrets.compare_digest(held, given):
        raise _refused("It does not carry the token that the page was given.")


def _field(body: bytes) -> str:
    try:
        values = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=5)
    except ValueError:
        return ""
    token = values.get(FIELD, [""])
    return token[0] if len(token) == 1 and token[0].isascii() else ""


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM:
                raise PageError(
                    413,
                    "The form is too large",
                    f"More than {MAX_FORM} bytes were sent.",
                    "Go back to the page and use its button.",
                )
    except ClientDisconnect as gone:
        raise _refused("The connection broke before all of it had arrived.") from gone
    return body


def _refused(why: str) -> PageError:
    return PageError(
        403,
        "The form was not accepted",
        why,
        "Open the decision's page again with cookies allowed, and press the button there.",
    )
