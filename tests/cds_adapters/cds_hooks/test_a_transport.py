"""CDS_HOOKS.md, section A: JSON and transport, on every endpoint."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from builders.hook_calls import (
    SERVICE,
    Served,
    diagnostics,
    hook_body,
    prefetch,
    pressure,
    searchset,
    without,
)
from fhir.resources.R4B import get_fhir_model_class
from fhir.resources.R4B.operationoutcome import OperationOutcome


def empties(value: Any, path: str = "$") -> Iterator[str]:
    """Yield the place of everything that is null or empty."""
    if value is None or value in ("", [], {}):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from empties(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from empties(item, f"{path}[{index}]")


def answers() -> Iterator[Any]:
    """Yield the JSON of a corpus of answers: every hook, every outcome."""
    served = Served()
    yield served.discover().json()
    bodies = [prefetch(), prefetch(conditions=None), prefetch(observations_sbp=searchset())]
    bodies.append(prefetch(observations_sbp=searchset(pressure(value=120))))
    for service, hook in [(s["id"], s["hook"]) for s in served.services().values()]:
        for body in bodies:
            answer = served.call(hook_body(hook, prefetch=body), service)
            assert answer.status_code == 200
            yield answer.json()


def test_001_every_success_is_json_and_says_so() -> None:
    served = Served()
    for answer in (served.discover(), served.call(), served.post_feedback(_feedback())):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        json.loads(answer.content)


def _feedback() -> dict[str, Any]:
    return {
        "feedback": [
            {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2025-06-02T09:00:00Z"}
        ]
    }


def test_002_003_nothing_is_null_or_empty_but_the_lists_that_may_be() -> None:
    for document in answers():
        assert set(empties(document)) <= {"$.cards", "$.services"}


def test_004_answers_are_strict_json() -> None:
    for answer in (Served().discover(), Served().call()):
        text = answer.text
        assert json.loads(text, parse_constant=pytest.fail) is not None
        assert text == json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


def test_005_embedded_resources_are_r4() -> None:
    found = 0
    for document in answers():
        for card in document.get("cards", ()):
            for suggestion in card.get("suggestions", ()):
                for action in suggestion.get("actions", ()):
                    resource = action["resource"]
                    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
                    found += 1
    assert found


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
@pytest.mark.parametrize("path", [SERVICE, f"{SERVICE}/", f"{SERVICE}/feedback"])
def test_007_another_method_is_405_and_names_those_that_are_not(method: str, path: str) -> None:
    answer = Served().request(method, f"/cds-services/{path}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    if method != "HEAD":
        assert "POST" in diagnostics(answer)


def test_007_posting_to_discovery_is_405() -> None:
    answer = Served().request("POST", "/cds-services")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("path", ["nobody", "nobody/feedback"])
def test_007_an_unknown_service_is_404_and_the_known_ones_are_named(path: str) -> None:
    answer = Served().call(service=path)
    assert answer.status_code == 404
    assert SERVICE in diagnostics(answer)
    assert "nobody" not in answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"not json", b"[]", b"null", b'"text"', b"1", b"\xff\xfe", b"\xef\xbb\xbf{}"],
)
def test_007_a_malformed_body_is_400(body: bytes) -> None:
    answer = Served().call(body)
    assert answer.status_code == 400
    assert diagnostics(answer).startswith("the body: ")


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/xml", "application/json; charset=latin-1", "application/jsonp"],
)
def test_007_a_wrong_content_type_is_415(content_type: str) -> None:
    answer = Served().call(headers={"content-type": content_type})
    assert answer.status_code == 415
    assert "application/json" in diagnostics(answer)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'],
)
def test_007_json_in_utf_8_is_taken_however_it_is_spelled(content_type: str) -> None:
    assert Served().call(headers={"content-type": content_type}).status_code == 200


def test_008_unknown_fields_are_ignored_at_the_top_and_in_the_context() -> None:
    body = hook_body(vendor={"x": [1]}, extension={"com.vendor": {"y": None}})
    body["context"]["vendorField"] = {"deep": [{}]}
    assert Served().call(body).status_code == 200


def test_058_every_error_is_an_operation_outcome_that_fhir_accepts() -> None:
    served = Served()
    broken = Served()
    broken.audit.broken = True
    answers = [
        served.call(b"{"),
        served.call(hook_body(prefetch=without("patient"))),
        served.call(service="nobody"),
        served.request("GET", f"/cds-services/{SERVICE}"),
        served.call(headers={"content-type": "text/plain"}),
        broken.call(),
    ]
    assert [answer.status_code for answer in answers] == [400, 412, 404, 405, 415, 503]
    for answer in answers:
        found = OperationOutcome.model_validate_json(answer.content)
        assert {issue.severity for issue in found.issue} == {"error"}
        assert all(issue.diagnostics and issue.code for issue in found.issue)
