"""The conformance check sees our own service clean over HTTP, and every fault of a bad one."""

import httpx
from builders.hook_calls import Served
from fakes.bad_hooks import BadHooks
from fakes.fhir_server import on_loopback

from cds_adapters.cds_hooks.conformance import Finding, check_service


def findings(app: object) -> list[Finding]:
    with on_loopback(app) as url, httpx.Client(trust_env=False, timeout=10) as client:
        return check_service(url, client)


def test_our_own_service_violates_no_line_over_real_http() -> None:
    found = findings(Served(cors_origins=("https://conformance.example",)).app)
    assert [finding for finding in found if finding.verdict == "violated"] == []
    assert {f.line for f in found if f.verdict in {"ok", "warning"}} >= {
        1, 2, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 30, 31,
        32, 33, 40, 43, 44, 45, 52, 53, 54, 55, 58, 61, 64, 66, 100, 101, 103, 104, 105, 118, 132,
    }  # fmt: skip


def test_032_an_include_is_a_warning_and_no_violation() -> None:
    found = next(f for f in findings(Served().app) if f.line == 32)
    assert found.verdict == "warning"
    assert "medication_requests: _include is outside the subset" in found.found


def test_a_bad_service_is_told_every_line_that_it_violates() -> None:
    found = findings(BadHooks())
    assert {f.line for f in found if f.verdict == "violated"} == {
        1, 2, 7, 9, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 27, 28, 30, 31, 32, 33, 40,
        43, 44, 45, 55, 66, 69, 70, 71, 72, 73, 75, 76, 77, 79, 80, 84, 90, 92, 100, 101, 118, 132,
    }  # fmt: skip


def test_a_service_that_fails_and_shows_why_is_told_so() -> None:
    found = {f.line: f for f in findings(BadHooks(500)) if f.verdict == "violated"}
    assert {14, 52, 58, 61, 105} <= set(found)
    assert "500" in found[14].found


def test_what_could_not_be_looked_at_is_said() -> None:
    skipped = {f.line: f.found for f in findings(Served().app) if f.verdict == "not applicable"}
    assert skipped[6] == "it runs on this machine"
    assert skipped[132] == "https://conformance.example is not let in"
    assert "no card" in skipped[70]


def test_findings_stand_in_the_order_of_the_lines_and_each_once() -> None:
    found = findings(Served().app)
    keys = [(finding.line, finding.what) for finding in found]
    assert keys == sorted(set(keys))


def test_a_service_that_is_not_there_is_one_finding() -> None:
    with httpx.Client(trust_env=False, timeout=2) as client:
        found = check_service("http://127.0.0.1:1", client)
    assert [(f.line, f.verdict) for f in found] == [(9, "violated")]
    assert "ConnectError" in found[0].found


def test_a_document_that_is_no_discovery_is_one_fault_not_a_crash() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"[1]"})  # type: ignore[operator]

    found = {f.line for f in findings(app) if f.verdict == "violated"}
    assert {1, 10, 22} <= found
