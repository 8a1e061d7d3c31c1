"""A FHIR body becomes typed resources; one that cannot be read does not take the others with it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.fhir.decode import decode_bundle, decode_resource, is_failure, merged
from cds_adapters.fhir.errors import FHIRError
from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.resources import USED_TYPES, Observation, Patient

Json = dict[str, Any]
PATIENT: Json = {"resourceType": "Patient", "id": "p1"}
OBSERVATION: Json = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
    "subject": {"reference": "Patient/p1"},
    "valueQuantity": {"value": 152},
}


def a_bundle(*resources: object, **fields: Any) -> bytes:
    entries = [{"resource": resource} for resource in resources]
    return json.dumps({"resourceType": "Bundle", "entry": entries, **fields}).encode()


def test_a_bundle_is_read_in_its_order() -> None:
    found = decode_bundle(a_bundle(PATIENT, OBSERVATION, total=2))

    assert [type(one) for one in found.resources] == [Patient, Observation]
    assert (found.total, found.next_link, found.outcomes, found.troubles) == (2, None, (), ())


def test_raw_json_is_read_without_a_copy() -> None:
    raw = msgspec.json.decode(
        b'{"prefetch": ' + a_bundle(PATIENT) + b"}", type=dict[str, msgspec.Raw]
    )
    broken = msgspec.Raw(a_bundle(PATIENT, {**OBSERVATION, "status": 1}))

    assert len(decode_bundle(raw["prefetch"]).resources) == 1
    assert len(decode_bundle(broken).troubles) == 1


@pytest.mark.parametrize("body", [b"null", b" null ", b'{"resourceType":"Bundle"}', a_bundle()])
def test_nothing_is_nothing(body: bytes) -> None:
    found = decode_bundle(body)

    assert (found.resources, found.troubles, found.outcomes) == ((), (), ())


def test_a_single_resource_is_read_too() -> None:
    assert decode_bundle(json.dumps(PATIENT).encode()).resources[0].id == "p1"
    assert decode_bundle(b'{"resourceType":"Claim","id":7}').resources == ()


def test_a_next_link_is_found() -> None:
    links = [{"relation": "self", "url": "a"}, {"relation": "next", "url": "b"}]

    assert decode_bundle(a_bundle(PATIENT, link=links)).next_link == "b"
    assert decode_bundle(a_bundle(PATIENT, link=links[:1])).next_link is None
    assert decode_bundle(a_bundle(link=[{"relation": "next"}])).next_link == ""
    broken = a_bundle({**OBSERVATION, "status": 1}, link=links)
    assert decode_bundle(broken).next_link == "b"


def an_outcome(severity: str) -> Json:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "x"}]}


def test_outcomes_are_handed_over() -> None:
    alone = decode_bundle(json.dumps(an_outcome("error")).encode())
    inside = decode_bundle(a_bundle(OBSERVATION, an_outcome("warning")))
    empty = decode_bundle(b'{"resourceType":"OperationOutcome"}')

    assert [is_failure(found.outcomes[0]) for found in (alone, inside, empty)] == [
        True,
        False,
        True,
    ]
    assert len(inside.resources) == 1


def test_a_failed_answer_in_a_batch_is_an_outcome() -> None:
    entries = [
        {"response": {"status": "404 Not Found"}},
        {"response": {"status": "200 OK"}, "resource": PATIENT},
        {"response": {}},
    ]
    found = decode_bundle(json.dumps({"resourceType": "Bundle", "entry": entries}).encode())

    assert len(found.resources) == 1
    assert [is_failure(outcome) for outcome in found.outcomes] == [True]


def test_a_bundle_inside_a_bundle_is_read() -> None:
    inner = json.loads(a_bundle(OBSERVATION, link=[{"relation": "next", "url": "b"}]))
    found = decode_bundle(a_bundle(PATIENT, inner))

    assert len(found.resources) == 2
    assert found.next_link == "b"


@pytest.mark.parametrize("kind", ["Claim", "ExplanationOfBenefit", "Provenance", "Immunization"])
def test_types_that_are_not_used_are_skipped_whatever_is_in_them(kind: str) -> None:
    unused = {"resourceType": kind, "id": 7, "status": ["x"], "subject": "y"}
    found = decode_bundle(a_bundle(unused, PATIENT))

    assert len(found.resources) == 1
    assert found.troubles == ()


def test_types_that_fhir_does_not_have_are_skipped_too() -> None:
    found = decode_bundle(a_bundle({"resourceType": "Teapot"}, PATIENT))

    assert len(found.resources) == 1
    assert found.troubles == ()


def test_the_lists_of_types_do_not_overlap() -> None:
    names = [*UNUSED_TYPES, *USED_TYPES, "OperationOutcome", "Bundle"]

    assert len(set(names)) == len(names) == 146  # the concrete types of FHIR R4


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"valueQuantity": {"value": "152"}}, "Expected `float | null`, got `str`"),
        ({"valueInteger": 1.5}, "Expected `int | null`, got `float`"),
        ({"valueInteger": True}, "Expected `int | null`, got `bool`"),
        ({"valueBoolean": "true"}, "Expected `bool | null`, got `str`"),
        ({"status": 1}, "Expected `str | null`, got `int`"),
        ({"code": {"coding": {"code": "x"}}}, "Expected `array`, got `object`"),
        ({"code": {"coding": [None]}}, "got `null`"),
        ({"meta": {"versionId": 1}}, "Expected `str | null`, got `int`"),
    ],
)
def test_one_bad_resource_is_set_aside_and_the_others_live(broken: Json, words: str) -> None:
    found = decode_bundle(a_bundle(PATIENT, {**OBSERVATION, **broken}, OBSERVATION))

    assert [type(one) for one in found.resources] == [Patient, Observation]
    (trouble,) = found.troubles
    assert words in trouble.reason
    assert trouble.reason.startswith("it cannot be decoded: ")
    assert "152" not in trouble.reason
    assert (trouble.source, trouble.resource_type) == ("Observation/o1", "Observation")
    assert trouble.subject == "Patient/p1"


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ({**OBSERVATION, "id": 7}, "Bundle.entry[1]"),
        ({**OBSERVATION, "id": "a\u0000b", "status": 1}, "Bundle.entry[1]"),
        ({**OBSERVATION, "id": "a\u0000b"}, "Bundle.entry[1]"),
        ({**OBSERVATION, "id": "a\u202eb"}, "Bundle.entry[1]"),
        ({**OBSERVATION, "id": "x" * 200}, "Bundle.entry[1]"),
        ({**OBSERVATION, "id": ""}, "Bundle.entry[1]"),
        ({"resourceType": "Observation"}, "Bundle.entry[1]"),
        ({}, "Bundle.entry[1]"),
        ({"resourceType": 7}, "Bundle.entry[1]"),
        ([], "Bundle.entry[1]"),
        ("text", "Bundle.entry[1]"),
    ],
)
def test_what_has_no_name_is_called_by_its_place(resource: object, place: str) -> None:
    found = decode_bundle(a_bundle(PATIENT, resource))

    assert [trouble.source for trouble in found.troubles] == [place]
    assert len(found.resources) == 1
    named = decode_bundle(a_bundle(PATIENT, resource), "prefetch.bp")
    assert named.troubles[0].source == "prefetch.bp.entry[1]"


def test_a_single_broken_resource_is_trouble_too() -> None:
    broken = json.dumps({**OBSERVATION, "id": None, "status": 1}).encode()

    assert decode_bundle(broken, "prefetch.bp").troubles[0].source == "prefetch.bp"
    assert decode_resource(broken, "x:1").troubles[0].source == "x:1"
    assert decode_resource(b'{"resourceType":"Observation"}', "x:1").troubles[0].source == "x:1"


def test_a_new_resource_takes_its_id_from_the_entry() -> None:
    entries = [
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient"}},
        {"fullUrl": "https://ehr.example/Patient/2", "resource": {"resourceType": "Patient"}},
    ]
    found = decode_bundle(json.dumps({"resourceType": "Bundle", "entry": entries}).encode())

    assert [one.id for one in found.resources] == ["1"]
    assert found.urls == {"urn:uuid:1": "Patient/1"}
    assert "no id" in found.troubles[0].reason


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "is not JSON", id="empty"),
        pytest.param(b"{", "is not JSON", id="cut off"),
        pytest.param(a_bundle(PATIENT)[:-1], "is not JSON", id="cut off late"),
        pytest.param(b'{"resourceType":"Patient","id":"\\ud800"}', "is not JSON", id="surrogate"),
        pytest.param(b'{"resourceType":"Patient","x":"\\ud800"}', "is not JSON", id="unread one"),
        pytest.param(b'{"resourceType":"Patient","id":"\xff"}', "is not JSON", id="not UTF-8"),
        pytest.param(b'{"resourceType":"Patient","id":"\x00"}', "is not JSON", id="raw NUL"),
        pytest.param(b'{"resourceType":"Patient","x":NaN}', "is not JSON", id="NaN"),
        pytest.param(b'{"resourceType":"Patient","x":-Infinity}', "is not JSON", id="Infinity"),
        pytest.param(b'{"resourceType":"Patient",}', "is not JSON", id="trailing comma"),
        pytest.param(b'{"resourceType":"Patient"} {}', "is not JSON", id="two bodies"),
        pytest.param(b"[]", "neither a FHIR resource nor a Bundle", id="array"),
        pytest.param(b"7", "neither a FHIR resource nor a Bundle", id="number"),
        pytest.param(b"{}", "has no resourceType", id="no type"),
        pytest.param(b'{"resourceType":7}', "neither a FHIR resource", id="type is a number"),
        pytest.param(b'{"resourceType":"Bundle","entry":7}', "neither a FHIR", id="entry"),
        pytest.param(b'{"resourceType":"Bundle","entry":[7]}', "neither a FHIR", id="entries"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(FHIRError, match=words):
        decode_bundle(body)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1E+3000000", "9" * 400])
def test_a_number_beyond_all_numbers_is_refused(number: str) -> None:
    body = a_bundle(PATIENT, OBSERVATION).replace(b"152", number.encode())
    found = decode_bundle(body)

    assert len(found.resources) == 1
    assert "Number out of range" in found.troubles[0].reason


@pytest.mark.parametrize(
    "deep",
    [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000],
)
def test_deep_json_is_an_error_and_no_crash(deep: bytes) -> None:
    for body in (
        deep,
        b'{"resourceType":"Patient","x":' + deep + b"}",
        b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation",'
        b'"status":1,"x":' + deep + b"}}]}",
    ):
        with pytest.raises(FHIRError):
            decode_bundle(body)
    trouble = decode_resource(b'{"resourceType":"Patient","x":' + deep + b"}", "x:1").troubles[0]
    assert trouble.resource_type == "Patient"


def test_many_resources_are_no_trouble() -> None:
    found = decode_bundle(a_bundle(*[OBSERVATION] * 20_000, {**OBSERVATION, "status": 1}))

    assert (len(found.resources), len(found.troubles)) == (20_000, 1)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        decode_bundle(data)
    except FHIRError:
        return


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([
        "resourceType", "id", "code", "coding", "system", "status", "subject", "reference", "value",
        "valueQuantity", "component", "entry", "resource", "fullUrl", "meta", "contained",
    ]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(JSON_VALUES, max_size=3), st.sampled_from(["Observation", "Condition", "Patient"]))
def test_any_json_is_read_or_set_aside(values: list[Any], kind: str) -> None:
    typed = [{**one, "resourceType": kind} if isinstance(one, dict) else one for one in values]

    found = decode_bundle(a_bundle(*typed))
    assert len(found.resources) + len(found.troubles) == sum(one is not None for one in typed)


def test_merged_bodies_keep_a_next_link_and_drop_totals() -> None:
    parts = [
        decode_bundle(a_bundle(PATIENT, total=1)),
        decode_bundle(a_bundle(OBSERVATION, an_outcome("error"), total=9, link=[
            {"relation": "next", "url": "b"}
        ])),
    ]  # fmt: skip
    found = merged(parts)

    assert (len(found.resources), len(found.outcomes)) == (2, 1)
    assert (found.next_link, found.total) == ("b", None)
