"""A body is read up to a limit, compressed or not, before anything looks into it."""

import asyncio
import zlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from cds_adapters.cds_hooks.outcomes import JSON, RefusalError, Reply

_MAX_RATIO = 200
_FREE = 1_000_000
"""A compressed body may expand this far whatever its ratio."""


async def read_body(request: Request, limit: int, patience: float) -> bytes:
    """Return the body of a POST.

    Raises:
        RefusalError: 415 for another type or encoding, 413 beyond the limit, 408 if it is too slow.
    """
    _check_type(request.headers.get("content-type", ""))
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_long(limit)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    try:
        async with asyncio.timeout(patience):
            if encoding == "gzip":
                return await _gunzipped(request.stream(), limit)
            if encoding == "identity":
                return await _collected(request.stream(), limit)
    except TimeoutError:
        raise RefusalError(
            408, "timeout", "the body did not arrive in time; send it again"
        ) from None
    except ClientDisconnect:
        raise RefusalError(
            400, "structure", "the client left before the body had arrived"
        ) from None
    raise RefusalError(
        415, "not-supported", "the body's content-encoding is neither identity nor gzip"
    )


def response(reply: Reply) -> Response:
    """Return a reply as the web framework sends it."""
    return Response(reply.body, reply.status, dict(reply.headers), media_type=reply.media_type)


def _check_type(content_type: str) -> None:
    media, _, parameters = content_type.partition(";")
    plain = parameters.replace(" ", "").replace('"', "").lower()
    if media.strip().lower() != JSON or plain not in {"", "charset=utf-8", "charset=utf8"}:
        raise RefusalError(
            415, "not-supported", "the body is not sent as application/json; set content-type so"
        )


def _too_long(limit: int) -> RefusalError:
    return RefusalError(
        413,
        "too-long",
        f"the body is larger than {limit} bytes; narrow the prefetch, or leave large keys out and "
        "give fhirServer with fhirAuthorization",
    )


async def _collected(stream: AsyncIterator[bytes], limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in stream:
        size += len(part)
        if size > limit:
            raise _too_long(limit)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _gunzipped(stream: AsyncIterator[bytes], limit: int) -> bytes:
    """Expand as it arrives; what expands suspiciously far is refused before the limit."""
    expander = zlib.decompressobj(wbits=31)
    body = bytearray()
    sent = 0
    try:
        async for part in stream:
            sent += len(part)
            while part:
                body += expander.decompress(part, limit + 1 - len(body))
                if len(body) > limit or len(body) > max(_FREE, sent * _MAX_RATIO):
                    raise _too_long(limit)
                part = expander.unconsumed_tail  # noqa: PLW2901 - the rest of the same part
    except zlib.error:
        raise RefusalError(400, "structure", "the body is not the gzip it says it is") from None
    if not expander.eof or expander.unused_data:
        raise RefusalError(400, "structure", "the body is not one whole gzip stream")
    return bytes(body)
