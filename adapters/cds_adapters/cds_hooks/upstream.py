"""A FHIR server is asked only if the site lists it, and only that server ever sees the token.

No redirect is followed, no page on another server or outside the listed base is fetched, and
nothing is waited for beyond the deadline of the call.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from cds_adapters.cds_hooks.answers import (
    Lacking,
    MalformedAnswerError,
    is_short,
    read_page,
    without_links,
)
from cds_adapters.cds_hooks.prefetch import Query
from cds_adapters.cds_hooks.request import Access
from cds_adapters.fhir.decode import DecodedBundle, merged
from cds_adapters.fhir.errors import FHIRError
from cds_engine.errors import CDSError

if TYPE_CHECKING:
    # Imported where it is used: a service that fetches nothing starts without it.
    import httpx

_ACCEPT = "application/fhir+json"
_PORTS = {"http": 80, "https": 443}


class UpstreamError(CDSError):
    """Data that could not be fetched; says why without patient values, addresses or tokens."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is fetched at most.

    Attributes:
        deadline: seconds for everything that one call fetches.
        pages: pages of one search.
        size: bytes of all pages of one search.
    """

    deadline: float = 4.0
    pages: int = 50
    size: int = 8_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """One query to run: from its start, or on from a page that the client sent."""

    query: Query
    path: str
    begun: DecodedBundle | None = None
    next_link: str | None = None


class Source(Protocol):
    """Where missing data comes from."""

    async def fetch(
        self, access: Access, wanted: Sequence[Wanted]
    ) -> list[DecodedBundle | UpstreamError]:
        """Return, in order, all pages of each query, or why they could not be had."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class FhirSource:
    """The FHIR servers that a site lists.

    Args:
        servers: base URLs; a request's ``fhirServer`` must be one of them.
        limits: how much is fetched at most.
        plain_http: whether servers without TLS may be asked.
        client: for tests; the default follows no redirects and reads no environment.
    """

    def __init__(
        self,
        servers: Sequence[str],
        limits: Limits | None = None,
        *,
        plain_http: bool = False,
        client: "httpx.AsyncClient | None" = None,
    ) -> None:
        self.limits = limits or Limits()
        allowed = (_Base.of(server) for server in servers)
        self._bases = {b for b in allowed if b is not None and (plain_http or b.scheme == "https")}
        self._client = client
        # It writes every URL it asks for, with the patient's id in it.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    async def fetch(
        self, access: Access, wanted: Sequence[Wanted]
    ) -> list[DecodedBundle | UpstreamError]:
        """Run the queries side by side until the deadline."""
        base = _Base.of(access.server)
        if base is None or base not in self._bases:
            problem = "fhirServer is not among the servers that this site's settings list"
            return [UpstreamError(problem) for _ in wanted]
        if access.expires_in <= 0:
            return [UpstreamError("the access token has expired") for _ in wanted]
        tasks = [asyncio.create_task(self._run(base, access, one)) for one in wanted]
        try:
            await asyncio.wait(tasks, timeout=self.limits.deadline)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [_result(task) for task in tasks]

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _run(self, base: "_Base", access: Access, wanted: Wanted) -> DecodedBundle:
        pages = [without_links(wanted.begun)] if wanted.begun is not None else []
        link = wanted.next_link
        url = base.join(wanted.path) if link is None else base.follow(link)
        seen: set[str] = set()
        left = self.limits.size
        while True:
            if str(url) in seen or len(pages) >= self.limits.pages:
                raise UpstreamError(f"the search did not end within {self.limits.pages} pages")
            seen.add(str(url))
            body = await self._get(url, access, left)
            left -= len(body)
            page = _page(body, wanted.query)
            pages.append(without_links(page))
            if page.next_link is None:
                break
            url = base.follow(page.next_link)
        _refuse_short(pages, wanted.query)
        return merged(pages)

    async def _get(self, url: "httpx.URL", access: Access, limit: int) -> bytes:
        import httpx  # noqa: PLC0415

        headers = {
            "Authorization": f"Bearer {access.token}",
            "Accept": _ACCEPT,
            "Accept-Encoding": "identity",
        }
        try:
            async with self._http().stream(
                "GET", url, headers=headers, follow_redirects=False
            ) as answer:
                _refuse_status(answer)
                return await _read(answer, limit)
        except httpx.HTTPError as error:
            raise UpstreamError(
                f"the FHIR server did not answer ({type(error).__name__})"
            ) from None

    def _http(self) -> "httpx.AsyncClient":
        import httpx  # noqa: PLC0415

        # Made on first use, inside the event loop that it will live in.
        if self._client is None:
            self._client = httpx.AsyncClient(
                follow_redirects=False, trust_env=False, timeout=self.limits.deadline
            )
        return self._client


def _result(task: "asyncio.Task[DecodedBundle]") -> DecodedBundle | UpstreamError:
    if not task.done() or task.cancelled():
        return UpstreamError("the FHIR server did not answer in time")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, UpstreamError):
        return error
    raise error


def _page(body: bytes, query: Query) -> DecodedBundle:
    try:
        page = read_page(body, query)
    except (FHIRError, MalformedAnswerError) as fault:
        raise UpstreamError(f"the FHIR server's answer cannot be read: {fault}") from None
    if isinstance(page, Lacking):
        raise UpstreamError(f"the FHIR server's answer {page.why}")
    return page


def _refuse_short(pages: list[DecodedBundle], query: Query) -> None:
    """Refuse a search that has no further page but may have more results than it gave.

    A server that gave a link to every page but the last is believed without a total.
    """
    if query.count is None:
        return
    whole = merged(pages)
    total = next((page.total for page in reversed(pages) if page.total is not None), None)
    paged = len(pages) > 1
    asked = replace(query, count=None) if paged else query
    if is_short(whole.resources, whole.troubles, total, asked):
        raise UpstreamError("the FHIR server counts more results than it gave, or cut them short")


def _refuse_status(answer: "httpx.Response") -> None:
    if answer.status_code == 200:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise UpstreamError("the FHIR server sent a compressed answer though asked not to")
        return
    if answer.status_code in {401, 403}:
        raise UpstreamError(f"the FHIR server refused the token ({answer.status_code})")
    if answer.is_redirect:
        raise UpstreamError("the FHIR server sent us elsewhere, which is not followed")
    raise UpstreamError(f"the FHIR server answered {answer.status_code}")


async def _read(answer: "httpx.Response", limit: int) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise UpstreamError("the FHIR server's answer is larger than this site allows")
    return bytes(body)


@dataclass(frozen=True, slots=True)
class _Base:
    """A base URL, taken apart by the parser that also connects, so that the two cannot differ."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, text: str) -> "_Base | None":
        """Return the base that a text means, or None if it is nothing that may be listed."""
        import httpx  # noqa: PLC0415

        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, TypeError, ValueError):
            return None
        if url.scheme not in _PORTS or not url.host or url.userinfo or url.query or url.fragment:
            return None
        path = url.raw_path.decode("ascii").rstrip("/")
        if not _is_plain(path):
            return None
        return cls(url.scheme, url.host, url.port or _PORTS[url.scheme], path)

    def join(self, path: str) -> "httpx.URL":
        """Return the URL of a relative path under the base."""
        import httpx  # noqa: PLC0415

        return self._checked(httpx.URL(f"{self}/{path}"))

    def follow(self, link: str) -> "httpx.URL":
        """Return the URL of a next link, if it stays under the base."""
        import httpx  # noqa: PLC0415

        try:
            url = httpx.URL(f"{self}/").join(link)
        except (httpx.InvalidURL, TypeError, ValueError):
            raise UpstreamError("the link to the next page is no URL") from None
        if not link:
            raise UpstreamError("the link to the next page is empty")
        return self._checked(url)

    def _checked(self, url: "httpx.URL") -> "httpx.URL":
        same = (
            url.scheme == self.scheme
            and url.host == self.host
            and (url.port or _PORTS.get(url.scheme)) == self.port
            and not url.userinfo
        )
        path = url.raw_path.decode("ascii").partition("?")[0]
        inside = path == self.path or path.startswith(f"{self.path}/")
        if not same or not inside or not _is_plain(path):
            raise UpstreamError(
                "the link to the next page leads away from fhirServer, so the token stays here"
            )
        return url

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def _is_plain(path: str) -> bool:
    """Say whether a path means what it says: no steps upward, however they are written."""
    lowered = path.lower().replace("%2e", ".")
    strange = "\\" in lowered or "%2f" in lowered or "%5c" in lowered
    return not strange and not any(part in {".", ".."} for part in lowered.split("/"))
