"""CDS_HOOKS.md, section D, lines 42 to 49, and section I: what a request must look like."""

import json
import uuid

import pytest
from builders.hook_calls import ACCESS, Served, decision_of, diagnostics, hook_body

from cds_adapters.cds_hooks.request import Access

SERVER = "https://ehr.example/fhir"
REMOVE = object()


def test_042_every_optional_field_is_accepted() -> None:
    body = hook_body(fhirServer=SERVER, fhirAuthorization=ACCESS, extension={"com.x": 1})
    assert Served().call(body).status_code == 200


@pytest.mark.parametrize("field", ["fhirServer", "fhirAuthorization", "extension"])
def test_042_an_optional_field_that_is_null_counts_as_absent(field: str) -> None:
    assert Served().call({**hook_body(), field: None}).status_code == 200


@pytest.mark.parametrize("field", ["hook", "hookInstance", "context"])
@pytest.mark.parametrize("value", [REMOVE, None, 5, [], True])
def test_043_a_required_field_that_is_missing_or_of_another_type_is_named(
    field: str, value: object
) -> None:
    body = {**hook_body(), field: value}
    answer = Served().call({k: v for k, v in body.items() if v is not REMOVE})
    assert answer.status_code == 400
    assert field in diagnostics(answer)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fhirServer", 5),
        ("fhirServer", "ehr"),
        ("fhirServer", "file:///etc/passwd"),
        ("fhirServer", "https://"),
        ("fhirServer", "http://[::1"),
        ("prefetch", []),
        ("prefetch", "x"),
        ("extension", []),
        ("extension", "x"),
    ],
)
def test_043_128_an_optional_field_of_another_type_is_named(field: str, value: object) -> None:
    answer = Served().call({**hook_body(), field: value})
    assert answer.status_code == 400
    assert field in diagnostics(answer)


def test_043_a_prefetch_value_that_is_no_resource_is_named() -> None:
    values: tuple[object, ...] = ("text", 5, [], True)
    for value in values:
        body = hook_body()
        body["prefetch"]["conditions"] = value
        answer = Served().call(body)
        assert answer.status_code == 400
        assert "prefetch.conditions" in diagnostics(answer)


def test_044_another_hook_than_the_services_is_refused() -> None:
    answer = Served().call(hook_body("order-sign"))
    assert answer.status_code == 400
    assert "is not patient-view" in diagnostics(answer)


def test_045_a_token_without_a_server_is_refused() -> None:
    answer = Served().call(hook_body(fhirAuthorization=ACCESS))
    assert answer.status_code == 400
    assert "without fhirServer" in diagnostics(answer)


@pytest.mark.parametrize("field", ["access_token", "token_type", "expires_in", "scope", "subject"])
@pytest.mark.parametrize("value", [REMOVE, None, []])
def test_046_each_field_of_the_authorization_is_required(field: str, value: object) -> None:
    wanted: dict[str, object] = {**ACCESS, field: value}
    access = {name: item for name, item in wanted.items() if item is not REMOVE}
    answer = Served().call(hook_body(fhirServer=SERVER, fhirAuthorization=access))
    assert answer.status_code == 400
    assert field in diagnostics(answer)
    assert "canary-token" not in answer.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("token_type", "mac"),
        ("expires_in", "300"),
        ("expires_in", 1.5),
        ("access_token", ""),
        ("access_token", "a\r\nX-Injected: 1"),
        ("access_token", "with space"),
        ("access_token", "ünicode"),
        ("access_token", "x" * 20_000),
    ],
)
def test_046_a_field_that_cannot_be_used_is_refused(field: str, value: object) -> None:
    body = hook_body(fhirServer=SERVER, fhirAuthorization={**ACCESS, field: value})
    assert Served().call(body).status_code == 400


def test_046_the_type_of_a_token_is_compared_without_its_case() -> None:
    body = hook_body(fhirServer=SERVER, fhirAuthorization={**ACCESS, "token_type": "bearer"})
    assert Served().call(body).status_code == 200


@pytest.mark.parametrize(("patient", "status"), [("patient-1", 200), ("Patient/patient-1", 200),
                                                  ("patient-2", 400)])  # fmt: skip
def test_046_a_token_for_another_patient_is_refused(patient: str, status: int) -> None:
    body = hook_body(fhirServer=SERVER, fhirAuthorization={**ACCESS, "patient": patient})
    answer = Served().call(body)
    assert answer.status_code == status
    assert "patient-2" not in answer.text


@pytest.mark.parametrize(("plain", "status"), [(False, 400), (True, 200)])
def test_047_plain_http_needs_the_development_setting(plain: bool, status: int) -> None:
    body = hook_body(fhirServer="http://ehr.example/fhir")
    assert Served(allow_plain_http=plain).call(body).status_code == status


def test_048_a_hook_instance_that_is_no_uuid_is_let_pass_and_made_opaque() -> None:
    served = Served()
    assert served.call(hook_body(hookInstance="visit of Zebedee Canaryname")).status_code == 200
    kept = served.audit.last.hook_instance
    assert str(uuid.UUID(kept)) == kept
    served.call(hook_body(hookInstance="visit of Zebedee Canaryname"))
    assert served.audit.last.hook_instance == kept


def test_048_strict_mode_refuses_it() -> None:
    answer = Served(strict_requests=True).call(hook_body(hookInstance="visit-1"))
    assert answer.status_code == 400
    assert "hookInstance" in diagnostics(answer)
    assert Served(strict_requests=True).call(hook_body()).status_code == 200


def test_048_an_empty_hook_instance_is_refused_in_either_mode() -> None:
    assert Served().call(hook_body(hookInstance="")).status_code == 400


def test_049_the_same_call_twice_says_the_same_and_is_recorded_twice() -> None:
    served = Served()
    body = hook_body()
    first, second = (served.call(body) for _ in range(2))
    one, two = decision_of(first), decision_of(second)
    assert one.pop("id") != two.pop("id")
    assert one == two
    assert [r.hook_instance for r in served.audit.records] == [body["hookInstance"]] * 2
    assert served.audit.records[0].decision == served.audit.records[1].decision


def test_057_keys_that_were_not_asked_for_are_ignored() -> None:
    body = hook_body()
    body["prefetch"]["somebodyElse"] = {"resourceType": "Patient", "id": "another"}
    assert Served().call(body).status_code == 200


def test_129_131_our_extension_is_ours_by_its_reversed_domain() -> None:
    assert set(Served().call().json()["extension"]) == {"org.cds-engine.decision"}


def test_130_unknown_extensions_are_ignored() -> None:
    body = hook_body(extension={"com.vendor.tenant": {"id": 5}})
    body["context"]["extension"] = {"com.vendor": []}
    assert Served().call(body).status_code == 200


AS_OF = "org.cds-engine.as-of"


def test_130_an_instant_that_a_request_may_not_set_is_refused_not_ignored() -> None:
    answer = Served().call(hook_body(extension={AS_OF: "2024-01-01T00:00:00Z"}))
    assert answer.status_code == 400
    assert AS_OF in diagnostics(answer)


def test_130_where_it_may_the_call_is_decided_then_and_marked() -> None:
    served = Served(allow_as_of=True)
    answer = served.call(hook_body(extension={AS_OF: "2025-06-03T12:00:00+02:00"}))
    assert decision_of(answer)["as_of"] == "2025-06-03T10:00:00Z"
    assert "2025-06-03" in answer.json()["cards"][0]["summary"]
    record = served.audit.last
    assert record.frozen
    assert record.as_of > record.at


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2025-06-03", "2025-06-03T12:00:00", "9999-12-31T23:59:59-12:00", 5]
)
def test_130_an_instant_that_is_none_is_refused(text: object) -> None:
    answer = Served(allow_as_of=True).call(hook_body(extension={AS_OF: text}))
    assert answer.status_code == 400
    assert AS_OF in diagnostics(answer)


def test_130_a_frozen_service_says_so_on_every_card() -> None:
    served = Served(as_of="2025-06-02T09:00:00Z")
    answer = served.call()
    assert "2025-06-02" in answer.json()["cards"][0]["summary"]
    assert served.audit.last.frozen
    assert served.audit.last.at > served.audit.last.as_of


def test_061_a_token_does_not_show_itself() -> None:
    assert "canary" not in repr(Access("https://ehr.example", "canary-token", 5))


def test_118_context_fields_may_come_in_any_order_and_twice_is_refused() -> None:
    body = hook_body()
    text = json.dumps(body).replace('"patientId":', '"patientId": "patient-2", "patientId":')
    answer = Served().call(text.encode())
    assert answer.status_code == 400
    assert "'patientId' stands twice" in diagnostics(answer)
