"""Sections A and B: what ``GET /cds-services`` must show."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx

from cds_adapters.cds_hooks.conformance.report import Report, empty_places, json_of, typed
from cds_adapters.cds_hooks.hooks import HOOKS

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_is_semver = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?").fullmatch
_is_hook = re.compile(r"([a-z0-9-]+\.)*[a-z]+(-[a-z]+)+").fullmatch
_is_safe = re.compile(r"[A-Za-z0-9._~-]+").fullmatch


def check_discovery(report: Report, url: str, client: httpx.Client) -> list[dict[str, Any]]:
    """Look at the discovery document and return its services."""
    answer = client.get(url, follow_redirects=False)
    _check_transport(report, url, client, answer)
    body = json_of(answer)
    listed = body.get("services") if isinstance(body, dict) else None
    faults = [] if isinstance(listed, list) else ["there is no `services` array"]
    report.check(10, "the body is an object with an array `services`", faults)
    empty = [f for f in empty_places(body, "$") if not f.startswith("$.services is []")]
    report.check(2, "nothing in discovery is null or empty", empty)
    services = [item for item in listed or () if isinstance(item, dict)]
    for service in services:
        _check_service(report, service)
    _check_ids(report, services)
    _check_etag(report, url, client, answer)
    return services


def _check_transport(
    report: Report, url: str, client: httpx.Client, answer: httpx.Response
) -> None:
    found = [] if answer.status_code == 200 else [f"{answer.status_code} at {url}"]
    report.check(9, "GET {base}/cds-services answers 200 directly", found)
    slash = client.get(f"{url}/", follow_redirects=False)
    redirected = [f"{slash.status_code} with a trailing slash"] if slash.is_redirect else []
    report.check(9, "no redirect with or without a trailing slash", redirected)
    kind = answer.headers.get("content-type", "")
    wrong = [] if kind.partition(";")[0] == "application/json" else [f"content-type is {kind!r}"]
    report.check(1, "discovery is application/json", wrong)
    parts = urlsplit(url)
    if parts.hostname in _LOOPBACK:
        report.skip(6, "the service is reached over TLS", "it runs on this machine")
    else:
        plain = [] if parts.scheme == "https" else ["it is reached over plain http"]
        report.check(6, "the service is reached over TLS", plain)


def _check_service(report: Report, service: dict[str, Any]) -> None:
    place = f"service {service.get('id', '?')}"
    hook = service.get("hook")
    report.check(12, "each service has a hook", typed(service, "hook", str, place))
    report.check(13, "each service has a description", typed(service, "description", str, place))
    report.check(14, "each service has an id", typed(service, "id", str, place))
    report.check(15, "each service should have a title", typed(service, "title", str, place))
    report.check(16, "prefetch is an object of strings", _prefetch_faults(service, place))
    if "usageRequirements" in service:
        no_text = typed(service, "usageRequirements", str, place)
        report.check(17, "usageRequirements is text", no_text)
    report.check(18, "version is a version of the specification", _version_faults(service, place))
    known = HOOKS.get(str(hook))
    if known and service.get("hookVersion") is not None:
        other = service["hookVersion"] != known.version
        faults = [f"{place}: {service['hookVersion']}, published {known.version}"] if other else []
        report.check(19, "hookVersion is the published hook's version", faults)
    odd = [] if _is_hook(str(hook)) else [f"{place}: {hook!r}"]
    report.check(23, "a hook is named noun-verb", odd)


def _prefetch_faults(service: dict[str, Any], place: str) -> Iterator[str]:
    if "prefetch" not in service:
        return
    prefetch = service["prefetch"]
    if not isinstance(prefetch, dict) or not prefetch:
        yield f"{place}: prefetch is {type(prefetch).__name__} or empty"
    elif not all(isinstance(text, str) and text for text in prefetch.values()):
        yield f"{place}: a template is no text"


def _version_faults(service: dict[str, Any], place: str) -> Iterator[str]:
    version = service.get("version")
    if version is not None and _is_semver(str(version)) is None:
        yield f"{place}: {version!r} is no semantic version"


def _check_ids(report: Report, services: list[dict[str, Any]]) -> None:
    pairs = Counter((str(s.get("hook")), str(s.get("id"))) for s in services)
    twice = [f"{hook} {name} is listed {n} times" for (hook, name), n in pairs.items() if n > 1]
    report.check(21, "each pair of hook and id is listed once", twice)
    unsafe = [f"{name!r}" for _, name in pairs if _is_safe(name) is None]
    report.check(21, "ids are safe in a URL", unsafe)
    shared = Counter(name for _, name in pairs)
    several = [f"{name} serves {n} hooks" for name, n in shared.items() if n > 1]
    what = "an id serves one hook (some clients keep only the last entry of an id)"
    report.check(20, what, several)


def _check_etag(report: Report, url: str, client: httpx.Client, answer: httpx.Response) -> None:
    etag = answer.headers.get("etag")
    what = "discovery has an ETag, stays the same, and is answered with 304 to who has it"
    if etag is None:
        report.check(22, what, ["there is no ETag"])
        return
    held = client.get(url, headers={"if-none-match": etag})
    again = client.get(url)
    faults = [] if held.status_code == 304 else [f"{held.status_code} to If-None-Match"]
    faults += [] if again.content == answer.content else ["the document changed between calls"]
    report.check(22, what, faults)
