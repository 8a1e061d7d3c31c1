"""A request is decoded in one pass with its prefetch, or the slow way, and means the same."""

import json
from typing import Any

import pytest

from cds_adapters.cds_hooks.hooks import HOOKS
from cds_adapters.cds_hooks.outcomes import RefusalError
from cds_adapters.cds_hooks.request import HookRequest, RequestReader, read_request

HOOK = HOOKS["patient-view"]
READER = RequestReader(HOOK, ["patient", "conditions"])
PATIENT = {"resourceType": "Patient", "id": "p"}
NOBODY: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "entry": []}


def body(**prefetch: Any) -> bytes:
    return json.dumps(
        {
            "hook": HOOK.name,
            "hookInstance": "6bc883b2-b795-4dcb-b661-34884a31d472",
            "context": {"userId": "Practitioner/x", "patientId": "p"},
            "prefetch": prefetch,
        }
    ).encode()


def at_once(data: bytes) -> HookRequest:
    found = READER.read(data)
    assert found.decoded is not None
    return found


def test_prefetch_is_decoded_with_the_request() -> None:
    found = at_once(body(patient=PATIENT, conditions=None))
    assert found.decoded is not None
    assert found.decoded.keys() == {"patient", "conditions"}
    assert type(found.decoded["patient"]).__name__ == "Patient"
    assert found.decoded["conditions"] is None


def test_a_key_that_was_not_sent_is_not_there() -> None:
    assert at_once(body(patient=PATIENT)).decoded.keys() == {"patient"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(body(patient={**PATIENT, "birthDate": 5}), id="an element of a wrong type"),
        pytest.param(body(patient={**PATIENT, "foo": 5}), id="an element that is unknown"),
        pytest.param(body(patient=PATIENT, other=NOBODY), id="a key that was not asked for"),
        pytest.param(
            body(patient={**PATIENT, "contained": [{"resourceType": "Group"}]}), id="contained"
        ),
        pytest.param(
            body(patient={"resourceType": "Claim", "id": "c"}), id="a type that is not used"
        ),
    ],
)
def test_a_body_that_is_not_wholly_understood_is_read_key_by_key(data: bytes) -> None:
    found, expected = READER.read(data), read_request(data, HOOK)
    assert found.decoded is None
    assert {key: bytes(raw) for key, raw in found.prefetch.items()} == {
        key: bytes(raw) for key, raw in expected.prefetch.items()
    }


@pytest.mark.parametrize(
    "twice",
    [
        pytest.param((b'"hook":', b'"hook": "x", "hook":'), id="in the request"),
        pytest.param((b'"patientId":', b'"patientId": "q", "patientId":'), id="in context"),
        pytest.param((b'"patient":', b'"patient": null, "patient":'), id="in prefetch"),
        pytest.param(
            (b'"id": "p"', b'"contained": [{"id": "a", "id": "b"}], "id": "p"'), id="contained"
        ),
    ],
)
def test_a_key_that_stands_twice_is_refused(twice: tuple[bytes, bytes]) -> None:
    data = body(patient=PATIENT).replace(*twice)
    with pytest.raises(RefusalError, match="stands twice"):
        READER.read(data)


def test_a_key_that_stands_twice_inside_prefetch_is_left_to_who_reads_the_key() -> None:
    data = body(patient=PATIENT).replace(b'"id": "p"', b'"id": "q", "id": "p"')
    assert READER.read(data).decoded is None
