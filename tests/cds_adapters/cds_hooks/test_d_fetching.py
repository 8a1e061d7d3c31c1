"""CDS_HOOKS.md, lines 52, 53 and 60 to 65; RL-08, SE-07, SE-08: data fetched with the token."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from builders.hook_calls import (
    ACCESS,
    OBSERVATIONS,
    OTHER_KEYS,
    Json,
    Served,
    condition,
    decision_of,
    diagnostics,
    hook_body,
    observation,
    outcome,
    person,
    prefetch,
    prescription,
    pressure,
    searchset,
    without,
)
from fakes.fhir_server import FakeFhirServer, on_loopback

from cds_adapters.cds_hooks.prefetch import Query
from cds_adapters.cds_hooks.request import Access
from cds_adapters.cds_hooks.upstream import FhirSource, Limits, UpstreamError, Wanted

CONDITIONS = Query("conditions", "Condition", "Condition?patient=x", 200, ("h",), required=True)


@pytest.fixture
def ehr() -> Iterator[FakeFhirServer]:
    server = FakeFhirServer()
    with on_loopback(server) as url:
        server.url = f"{url}/fhir"
        server.pages["Patient/patient-1"] = [person()]
        server.search("Condition", [condition()])
        server.search("Observation", [pressure()])
        yield server


def asking(ehr: FakeFhirServer, **settings: Any) -> Served:
    return Served(fhir_servers=(ehr.url,), allow_plain_http=True, **settings)


def body_for(ehr: FakeFhirServer, keys: Json, **access: Any) -> Json:
    return hook_body(prefetch=keys, fhirServer=ehr.url, fhirAuthorization={**ACCESS, **access})


def test_052_everything_that_was_not_sent_is_fetched(ehr: FakeFhirServer) -> None:
    body = body_for(ehr, {})
    del body["prefetch"]
    answer = asking(ehr).call(body)
    assert decision_of(answer)["action"] == "lifestyle"
    assert {path.partition("?")[0] for path, _ in ehr.seen} >= {
        "/fhir/Patient/patient-1", "/fhir/Condition", "/fhir/Observation", "/fhir/CarePlan",
    }  # fmt: skip


def test_052_only_what_is_lacking_is_fetched(ehr: FakeFhirServer) -> None:
    assert asking(ehr).call(body_for(ehr, without("conditions"))).status_code == 200
    assert [path for path, _ in ehr.seen] == ["/fhir/Condition?patient=patient-1&_count=200"]


@pytest.mark.parametrize("lack", [outcome(), {}, searchset(condition(), total=5)])
def test_052_054_what_failed_or_was_cut_short_is_fetched_anew(
    ehr: FakeFhirServer, lack: Json
) -> None:
    answer = asking(ehr).call(body_for(ehr, prefetch(conditions=lack)))
    assert decision_of(answer)["action"] == "lifestyle"
    assert len(ehr.seen) == 1


def test_053_the_clients_next_link_is_followed_from_its_page(ehr: FakeFhirServer) -> None:
    ehr.search("Observation", [], [pressure("sbp-2", 170, "2025-05-30T08:00:00Z")])
    first = searchset(pressure(value=150), link=[ehr.link("Observation", 1)])
    served = asking(ehr)
    answer = served.call(body_for(ehr, prefetch(observations_sbp=first)))
    assert decision_of(answer)["action"] == "lifestyle"
    assert [path for path, _ in ehr.seen] == ["/fhir/Observation?page=1"]
    assert b'"sbp":160.0' in served.audit.last.decision


def test_053_all_pages_of_a_search_are_read(ehr: FakeFhirServer) -> None:
    ehr.search("Observation", *([pressure(f"sbp-{n}", 140 + n)] for n in range(5)))
    served = asking(ehr)
    served.call(body_for(ehr, without(OBSERVATIONS)))
    assert b'"sbp":142.0' not in served.audit.last.decision
    assert len(ehr.seen) == 5


def test_053_a_server_that_counts_more_than_it_gives_is_not_believed(ehr: FakeFhirServer) -> None:
    ehr.pages["Condition"] = [searchset(condition(), total=3)]
    answer = asking(ehr).call(body_for(ehr, without("conditions")))
    assert answer.status_code == 412
    assert "counts more results than it gave" in diagnostics(answer)


def test_060_calls_carry_the_token(ehr: FakeFhirServer) -> None:
    asking(ehr).call(body_for(ehr, without("conditions", "patient")))
    assert {token for _, token in ehr.seen} == {"Bearer canary-token-8d3f"}


@pytest.mark.parametrize("servers", [(), ("http://other.example/fhir",)])
def test_060_a_server_that_the_site_does_not_list_is_never_asked(
    ehr: FakeFhirServer, servers: tuple[str, ...]
) -> None:
    served = Served(fhir_servers=servers, allow_plain_http=True)
    answer = served.call(body_for(ehr, without("conditions")))
    assert answer.status_code == 412
    assert "not among the servers" in diagnostics(answer)
    assert ehr.seen == []


def test_060_nothing_is_fetched_without_a_token(ehr: FakeFhirServer) -> None:
    body = hook_body(prefetch=without("conditions"), fhirServer=ehr.url)
    answer = asking(ehr).call(body)
    assert answer.status_code == 412
    assert "no fhirAuthorization" in diagnostics(answer)
    assert ehr.seen == []


def test_061_se_19_token_and_patient_show_up_nowhere(
    ehr: FakeFhirServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    served = asking(ehr)
    ehr.status["Condition"] = 500
    answers = [
        served.call(body_for(ehr, {})),
        served.call(body_for(ehr, prefetch())),
        served.call(body_for(ehr, prefetch(), expires_in="soon")),
    ]
    assert [answer.status_code for answer in answers] == [412, 200, 400]
    logged = "\n".join(f"{r.name} {r.getMessage()}" for r in caplog.records if r.name != "asyncio")
    kept = repr(served.audit.records)
    for canary in ("canary-token", "Canaryname", "Zebedee", "1970-01-01"):
        assert canary not in logged
        assert canary not in kept
        assert all(canary not in answer.text for answer in answers)
    assert "patient-1" not in logged


@pytest.mark.parametrize("seconds", [0, -5])
def test_062_an_expired_token_is_not_tried(ehr: FakeFhirServer, seconds: int) -> None:
    answer = asking(ehr).call(body_for(ehr, without("conditions"), expires_in=seconds))
    assert answer.status_code == 412
    assert "expired" in diagnostics(answer)
    assert ehr.seen == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "refused the token (401)"),
        (403, "refused the token (403)"),
        (404, "answered 404"),
        (429, "answered 429"),
        (500, "answered 500"),
        (302, "elsewhere"),
        (307, "elsewhere"),
    ],
)
def test_062_rl_08_a_server_that_refuses_or_fails_means_412(
    ehr: FakeFhirServer, status: int, words: str
) -> None:
    ehr.status["Condition"] = status
    ehr.headers["location"] = f"{ehr.url}/Elsewhere"
    answer = asking(ehr).call(body_for(ehr, without("conditions")))
    assert answer.status_code == 412
    assert words in diagnostics(answer)
    assert len(ehr.seen) == 1


def test_062_an_optional_key_that_cannot_be_fetched_is_incomplete(ehr: FakeFhirServer) -> None:
    ehr.status["CarePlan"] = 404
    served = asking(ehr)
    assert served.call(body_for(ehr, without("care_plans"))).status_code == 200
    assert served.audit.last.reasons == ("incomplete",)
    ehr.status.clear()
    assert decision_of(served.call(body_for(ehr, without("care_plans"))))["action"] == "lifestyle"


def test_063_065_rl_08_a_slow_server_does_not_hold_the_call(ehr: FakeFhirServer) -> None:
    ehr.slow = 3.0
    served = asking(ehr, fetch_deadline=0.2)
    begun = time.monotonic()
    answer = served.call(body_for(ehr, without("conditions")))
    assert time.monotonic() - begun < 2
    assert answer.status_code == 412
    assert "in time" in diagnostics(answer)


def test_065_beyond_the_deadline_of_the_call_is_503(ehr: FakeFhirServer) -> None:
    ehr.slow = 3.0
    served = asking(ehr, fetch_deadline=2.5, call_deadline=0.3)
    answer = served.call(body_for(ehr, without("conditions")))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert served.audit.last.status == 503


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b'{"resourceType":"Bundle","entry":[{"resource":',
        b'{"resourceType":"Bundle","resourceType":"Bundle"}',
        b"[]",
        b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"x"}]}',
        b'{"resourceType":"Condition","id":"c"}',
        b"[" * 100_000,
    ],
)
def test_rl_08_an_answer_that_cannot_be_read_is_never_taken_for_complete(
    ehr: FakeFhirServer, body: bytes
) -> None:
    ehr.pages["Condition"] = [body]
    answer = asking(ehr).call(body_for(ehr, without("conditions")))
    assert answer.status_code == 412
    assert "`conditions`" in diagnostics(answer)


def test_rl_10_another_patient_from_the_server_rejects_the_request(ehr: FakeFhirServer) -> None:
    ehr.search("Condition", [condition() | {"subject": {"reference": "Patient/p2"}}])
    assert asking(ehr).call(body_for(ehr, without("conditions"))).status_code == 400


def test_rl_20_a_huge_answer_is_not_read_to_its_end(ehr: FakeFhirServer) -> None:
    ehr.search("Condition", [condition(f"c{n}") for n in range(3_000)])
    answer = asking(ehr, max_body=50_000).call(body_for(ehr, without("conditions")))
    assert answer.status_code == 412
    assert "larger than this site allows" in diagnostics(answer)


def test_rl_24_a_compressed_answer_is_not_expanded(ehr: FakeFhirServer) -> None:
    ehr.headers["content-encoding"] = "gzip"
    answer = asking(ehr).call(body_for(ehr, without("conditions")))
    assert answer.status_code == 412
    assert "compressed" in diagnostics(answer)


def test_pages_without_end_are_not_followed_without_end(ehr: FakeFhirServer) -> None:
    ehr.search("Condition", *([condition(f"c{n}")] for n in range(30)))
    answer = asking(ehr, max_pages=5).call(body_for(ehr, without("conditions")))
    assert answer.status_code == 412
    assert "5 pages" in diagnostics(answer)
    assert len(ehr.seen) == 5


def test_a_page_that_links_to_itself_is_read_once(ehr: FakeFhirServer) -> None:
    ehr.pages["Condition"] = [searchset(condition(), link=[ehr.link("Condition", 0)])]
    assert asking(ehr).call(body_for(ehr, without("conditions"))).status_code == 412
    assert len(ehr.seen) == 2


def test_a_medication_that_a_prescription_only_refers_to_is_fetched(ehr: FakeFhirServer) -> None:
    rx = prescription(medicationReference={"reference": "Medication/m1"})
    code = rx.pop("medicationCodeableConcept")
    ehr.pages["Medication/m1"] = [{"resourceType": "Medication", "id": "m1", "code": code}]
    served = asking(ehr)
    keys = prefetch(
        medication_requests=searchset(rx),
        observations_potassium=searchset(observation("k-1", "2823-3", 4.1, "mmol/L")),
    )
    assert decision_of(served.call(body_for(ehr, keys)))["action"] == "add_ace"
    assert decision_of(served.call(hook_body(prefetch=keys)))["outcome"] == "abstention"
    assert len(ehr.seen) == 1


def fetch(
    answers: Any, server: str = "https://ehr.example/fhir", listed: str = "", **options: Any
) -> tuple[Any, list[httpx.Request]]:
    """Run one query against a server that exists only in this process."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        page = answers[min(len(seen), len(answers)) - 1]
        if isinstance(page, httpx.Response):
            return page
        # As a stream, because that is how answers come from a network.
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(page).encode()))

    async def run() -> Any:
        client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
        source = FhirSource([listed or server], Limits(deadline=2), client=client, **options)
        wanted = Wanted(CONDITIONS, "Condition?patient=x")
        try:
            return (await source.fetch(Access(server, "token", 60), [wanted]))[0]
        finally:
            await source.close()

    return asyncio.run(run()), seen


def next_page(url: str) -> Json:
    return searchset(condition(), link=[{"relation": "next", "url": url}])


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/fhir/Condition?page=2",
        "http://ehr.example/fhir/Condition?page=2",
        "https://ehr.example:8443/fhir/Condition?page=2",
        "https://ehr.example@evil.example/fhir?page=2",
        "https://user:secret@ehr.example/fhir?page=2",
        "https://ehr.example.evil.example/fhir?page=2",
        "https://ehr.example/other?page=2",
        "https://ehr.example/fhirs?page=2",
        "https://ehr.example/fhir/../admin",
        "https://ehr.example/fhir/%2e%2e/admin",
        "https://ehr.example/fhir/%2E%2E%2Fadmin",
        "https://ehr.example/fhir/..%5cadmin",
        "//evil.example/fhir/Condition",
        "/admin",
        "../admin",
        "file:///etc/passwd",
        "ftp://ehr.example/fhir",
        "https://[::1]/fhir",
        "https://2130706433/fhir",
        "https://0x7f.1/fhir",
        "http://169.254.169.254/latest/meta-data",
        "https://ehr.example\\@evil.example/fhir",
        "https://ehr.example:notaport/fhir",
        "https://ehr\n.example/fhir",
        "",
    ],
)
def test_060_se_08_a_next_link_that_leads_away_is_refused_and_gets_no_token(url: str) -> None:
    found, seen = fetch([next_page(url), searchset(condition("c2"))])
    assert isinstance(found, UpstreamError)
    assert len(seen) == 1
    assert str(seen[0].url).startswith("https://ehr.example/fhir/Condition?")


@pytest.mark.parametrize(
    "url",
    [
        "https://ehr.example/fhir?_getpages=abc&_getpagesoffset=20",
        "https://ehr.example:443/fhir/Condition?page=2",
        "HTTPS://EHR.EXAMPLE/fhir/Condition?page=2",
        "Condition?page=2",
        "/fhir/Condition?page=2",
    ],
)
def test_053_a_next_link_under_the_base_is_followed(url: str) -> None:
    found, seen = fetch([next_page(url), searchset(condition("c2"))])
    assert not isinstance(found, UpstreamError)
    assert {resource.id for resource in found.resources} == {"condition-1", "c2"}
    assert seen[1].headers["authorization"] == "Bearer token"


@pytest.mark.parametrize(
    "server",
    [
        "https://ehr.example",
        "https://ehr.example/fhir/r4",
        "https://ehr.example/fhir?x=1",
        "https://ehr.example/fhir#x",
        "https://user@ehr.example/fhir",
        "https://ehr.example:444/fhir",
        "http://ehr.example/fhir",
        "https://127.0.0.1/fhir",
        "https://2130706433/fhir",
        "https://169.254.169.254/fhir",
        "https://[::ffff:127.0.0.1]/fhir",
        "https://ehr.example.evil.example/fhir",
        "https://ehr.example%2eevil.example/fhir",
        "https://ehr.example:99999/fhir",
        "file:///fhir",
        "gopher://ehr.example/fhir",
    ],
)
def test_060_se_07_only_the_very_base_that_is_listed_is_asked(server: str) -> None:
    found, seen = fetch([searchset()], server, listed="https://ehr.example/fhir", plain_http=True)
    assert isinstance(found, UpstreamError)
    assert seen == []


@pytest.mark.parametrize(
    "server",
    [
        "https://ehr.example/fhir/",
        "https://ehr.example/x/../fhir",
        "HTTPS://EHR.example:443/fhir",
        "https://ehr.example/fhir",
    ],
)
def test_060_spellings_of_the_same_base_are_the_same(server: str) -> None:
    found, seen = fetch([searchset(condition())], server, listed="https://ehr.example/fhir")
    assert not isinstance(found, UpstreamError)
    assert seen[0].url.path == "/fhir/Condition"


def test_060_a_listed_server_without_tls_needs_the_development_setting() -> None:
    found, seen = fetch([searchset()], "http://ehr.example/fhir")
    assert isinstance(found, UpstreamError)
    assert seen == []


def test_060_no_redirect_is_followed() -> None:
    away = httpx.Response(302, headers={"location": "https://evil.example/"})
    found, seen = fetch([away, searchset()])
    assert isinstance(found, UpstreamError)
    assert len(seen) == 1


def test_rl_08_a_broken_connection_is_said_without_the_address() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("cannot reach https://ehr.example/fhir/Condition?patient=x")

    async def run() -> Any:
        client = httpx.AsyncClient(transport=httpx.MockTransport(refuse))
        source = FhirSource(["https://ehr.example/fhir"], client=client)
        access = Access("https://ehr.example/fhir", "token", 60)
        return (await source.fetch(access, [Wanted(CONDITIONS, "Condition")]))[0]

    found = asyncio.run(run())
    assert str(found) == "the FHIR server did not answer (ConnectError)"


def test_all_queries_of_a_call_are_asked_side_by_side(ehr: FakeFhirServer) -> None:
    ehr.slow = 0.3
    begun = time.monotonic()
    assert asking(ehr).call(body_for(ehr, {})).status_code == 200
    assert time.monotonic() - begun < 0.3 * len(OTHER_KEYS) / 2
