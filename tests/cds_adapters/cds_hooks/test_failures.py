"""No card without an audit record, no silence on a fault: what happens when something breaks."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from builders.hook_calls import (
    BASE,
    PATIENT,
    SERVICE,
    Served,
    bundle_of,
    diagnostics,
    hook_body,
    prefetch,
    pressure,
    searchset,
)

import cds_engine
from cds_adapters.cds_hooks.upstream import UpstreamError
from cds_adapters.fhir.decode import DecodedBundle
from cds_adapters.storage.records import AuditRecord
from cds_engine.decide.record import canonical, decide_again


def break_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("cds_adapters.cds_hooks.service.record_from", fail)


def test_059_a_fault_is_500_with_an_outcome_an_audit_line_and_a_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_with(monkeypatch, ValueError("Zebedee Canaryname, born 1970-01-01"))
    served = Served()
    answer = served.call()
    assert answer.status_code == 500
    assert "cards" not in answer.json()
    record = served.audit.last
    assert (record.outcome, record.status, record.service) == ("error", 500, SERVICE)
    assert record.error.startswith("ValueError at ")
    assert answer.json()["id"] == record.id
    line = json.loads(caplog.records[0].getMessage())
    assert line == {"event": "failed", "decision": record.id, "error": record.error}
    assert "Canaryname" not in caplog.text + answer.text + repr(record)


def test_059_a_fault_stays_a_fault_when_it_cannot_be_recorded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_with(monkeypatch, ValueError())
    served = Served()
    served.audit.broken = True
    assert served.call().status_code == 500
    assert '"audit-failed"' in caplog.text


def test_rl_04_without_an_audit_record_there_is_no_card() -> None:
    served = Served()
    served.audit.broken = True
    answer = served.call()
    assert answer.status_code == 503
    assert "without a record there is no card" in diagnostics(answer)
    served.audit.broken = False
    assert served.call().status_code == 200


def test_rl_04_an_audit_that_says_it_is_ill_is_not_tried() -> None:
    served = Served()
    served.audit.ill = True
    assert served.call().status_code == 503
    assert served.audit.records == []


def test_065_an_audit_that_dawdles_costs_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(call_deadline=0.2)

    async def dawdle(_: AuditRecord) -> None:
        await asyncio.sleep(5)

    monkeypatch.setattr(served.audit, "append_async", dawdle)
    monkeypatch.setattr(
        "cds_adapters.cds_hooks.service.HookService._record_error", lambda *_: asyncio.sleep(0)
    )
    assert served.call().status_code == 503


def test_rl_01_the_record_is_kept_before_the_answer_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = Served()
    order: list[str] = []
    append = served.audit.append_async

    async def noted(record: AuditRecord) -> None:
        await append(record)
        order.append("kept")

    monkeypatch.setattr(served.audit, "append_async", noted)
    body = json.dumps(hook_body()).encode()

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        order.append(message["type"])

    scope = {
        "type": "http", "method": "POST", "path": f"/cds-services/{SERVICE}", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "root_path": "",
    }  # fmt: skip
    asyncio.run(served.app(scope, receive, send))
    assert order == ["kept", "http.response.start", "http.response.body"]


def test_rl_29_a_record_holds_all_that_its_decision_needs() -> None:
    served = Served()
    served.call(hook_body(prefetch=prefetch(observations_sbp=searchset(pressure(value=163)))))
    record = served.audit.last
    _, again = decide_again(bundle_of(), json.loads(record.history))
    assert canonical(again) == record.decision
    assert (record.semantics, record.engine) == (
        cds_engine.SEMANTICS_VERSION,
        cds_engine.__version__,
    )
    assert (record.regime, record.version) == ("pressure", "1.2.0")


def test_pr_07_a_record_names_nobody_and_holds_no_fhir() -> None:
    served = Served()
    served.call()
    kept = repr(served.audit.last)
    for canary in ("Canaryname", "Zebedee", "1970-01-01", PATIENT, "resourceType"):
        assert canary not in kept


def test_pr_08_se_09_a_log_line_is_one_json_object_with_the_decisions_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="cds_adapters.cds_hooks")
    served = Served()
    served.call()
    served.call(hook_body(hookInstance="a\nforged line\u202e"))
    events = [json.loads(record.getMessage()) for record in caplog.records]
    assert [event["event"] for event in events] == ["decided", "lenient", "decided"]
    line = {"event", "decision", "service", "outcome", "status", "duration"}
    assert [set(event) for event in events] == [line, {"event", "decision", "note"}, line]
    assert (events[0]["decision"], events[0]["outcome"]) == (
        served.audit.records[0].id,
        served.audit.records[0].outcome,
    )
    assert events[0]["status"] == 200
    assert events[0]["duration"] > 0
    assert "forged" not in caplog.text


def test_a_call_without_an_answer_has_its_line_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="cds_adapters.cds_hooks")
    served = Served()
    served.call(hook_body(hook="order-sign"))
    [event] = [json.loads(record.getMessage()) for record in caplog.records]
    assert (event["event"], event["outcome"], event["status"]) == ("refused", "error", 400)
    assert event["service"] == SERVICE
    assert event["duration"] > 0


def test_rl_27_more_calls_than_are_worked_on_are_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cds_adapters.cds_hooks.service.MOST_AT_ONCE", 3)
    served = Served()
    held = asyncio.Event()

    async def wait(record: AuditRecord) -> None:
        await held.wait()
        served.audit.records.append(record)

    monkeypatch.setattr(served.audit, "append_async", wait)

    async def rush() -> list[int]:
        transport = httpx.ASGITransport(served.app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            path = f"/cds-services/{SERVICE}"
            calls = [asyncio.create_task(client.post(path, json=hook_body())) for _ in range(5)]
            while sum(call.done() for call in calls) < 2:
                await asyncio.sleep(0.01)
            held.set()
            return sorted([(await call).status_code for call in calls])

    assert asyncio.run(rush()) == [200, 200, 200, 503, 503]
    assert len(served.audit.records) == 3
    assert served.call().status_code == 200


def test_the_connections_to_fhir_servers_end_with_the_service() -> None:
    class Source:
        closed = False

        async def fetch(self, *_: object) -> list[DecodedBundle | UpstreamError]:
            return []

        async def close(self) -> None:
            self.closed = True

    source = Source()
    asyncio.run(Served(source=source).service.close())
    assert source.closed


def test_a_body_that_never_ends_is_408() -> None:
    served = Served(call_deadline=0.2)

    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    headers = {"content-type": "application/json"}
    answer = served.request("POST", f"/cds-services/{SERVICE}", content=drip(), headers=headers)
    assert answer.status_code == 408
