"""A key that stands twice is found, though nobody looks for it: what was lost is missed."""

import json
from functools import cache
from random import Random
from typing import Any

import msgspec
import pytest
from builders.hook_calls import ACCESS, Served, diagnostics, hook_body, prefetch, searchset
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, Struct

from cds_adapters.cds_hooks.hooks import HOOKS
from cds_adapters.cds_hooks.outcomes import RefusalError
from cds_adapters.cds_hooks.request import read_request
from cds_adapters.fhir import elements, resources
from cds_adapters.fhir.decode import decode_bundle
from cds_adapters.fhir.errors import FHIRError
from cds_adapters.fhir.samples import STORIES, sample_patient, to_searchset, to_transaction_bundle
from cds_adapters.fhir.whole import ELEMENTS, lost_nothing

Json = dict[str, Any]
TWICE = "stands twice in one JSON object"

UNREAD = frozenset({
    "text", "performer", "encounter", "identifier", "category", "requester", "note", "name",
    "dosageInstruction", "reaction", "request", "extension", "interpretation", "details",
})  # fmt: skip
"""Elements of the bodies below that no struct looks into."""

RICH: list[Json] = [
    {
        "resourceType": "Observation",
        "id": "o1",
        "meta": {"versionId": "1", "lastUpdated": "2025-06-01T08:00:00Z", "profile": ["http://p"]},
        "text": {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'>x</div>"},
        "status": "final",
        "category": [{"coding": [{"system": "http://c", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}], "text": "BP"},
        "subject": {"reference": "Patient/p1", "display": "A: \"quoted\" name"},
        "performer": [{"reference": "Practitioner/1", "display": "Dr."}],
        "effectivePeriod": {"start": "2025-06-01T08:00:00Z", "end": "2025-06-01T08:05:00Z"},
        "component": [
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
                "valueQuantity": {"value": 152.5, "unit": "mmHg", "code": "mm[Hg]"},
                "interpretation": [{"text": "high"}],
            },
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]},
                "dataAbsentReason": {"coding": [{"code": "unknown"}]},
            },
        ],
    },
    {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "contained": [
            {
                "resourceType": "Medication",
                "id": "drug",
                "code": {"coding": [{"system": "http://rx", "code": "314076"}]},
            }
        ],
        "status": "active",
        "intent": "order",
        "medicationReference": {"reference": "#drug"},
        "subject": {"reference": "Patient/p1"},
        "dispenseRequest": {
            "numberOfRepeatsAllowed": 3,
            "expectedSupplyDuration": {"value": 30, "code": "d"},
        },
        "dosageInstruction": [{"text": "once a day", "timing": {"code": {"text": "daily"}}}],
    },
    {
        "resourceType": "CarePlan",
        "id": "c1",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/p1"},
        "activity": [{"detail": {"status": "in-progress", "code": {"coding": [{"code": "1"}]}}}],
    },
    {
        "resourceType": "Patient",
        "id": "p1",
        "name": [{"family": "Muster", "given": ["Erika"]}],
        "birthDate": "1970-01-01",
        "_birthDate": {"extension": [{"url": "http://t", "valueTime": "08:00:00"}]},
    },
    {"resourceType": "OperationOutcome", "issue": [{"severity": "information"}]},
    {"resourceType": "OperationOutcome"},
    {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "warning", "code": "incomplete", "details": {"text": "cut"}}],
    },
    {"resourceType": "Claim", "id": "x", "total": {"value": 7, "currency": "EUR"}},
    {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [
        {"resource": {"resourceType": "Encounter", "id": "e1", "class": {"code": "AMB"}}},
    ]},
]  # fmt: skip


@cache
def told(story: str) -> list[Json]:
    return json.loads(json.dumps(sample_patient(story).resources))  # type: ignore[no-any-return]


RESOURCES = st.lists(
    st.sampled_from(RICH) | st.sampled_from(sorted(STORIES)).map(lambda s: told(s)[0])
    | st.sampled_from(sorted(STORIES)).map(lambda s: told(s)[-1]),
    min_size=1, max_size=6,
)  # fmt: skip


def paged(chosen: list[Json]) -> Json:
    page = searchset(*chosen, total=len(chosen))
    return page | {"link": [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]}


def batch(chosen: list[Json]) -> Json:
    entries = [
        {
            "fullUrl": f"urn:uuid:{at}",
            "resource": resource,
            "request": {"method": "PUT", "url": "Thing/1"},
            "response": {"status": "200 OK"},
        }
        for at, resource in enumerate(chosen)
    ]
    return {"resourceType": "Bundle", "type": "batch", "entry": entries}


BODIES = (
    RESOURCES.map(lambda chosen: chosen[0])
    | RESOURCES.map(paged)
    | RESOURCES.map(batch)
    | RESOURCES.map(lambda chosen: paged(chosen * 20))
)
"""FHIR bodies, small and large: of one resource, of a page of results, of a batch."""


class Twice:
    """An object that gives the key of one of its members a second time."""

    def __init__(self, members: Json, key: str, value: Any, at: int) -> None:
        self.pairs = list(members.items())
        self.pairs.insert(at, (key, value))


def objects(value: Any, *, all_of_them: bool = False) -> list[Json]:
    """Return every object that has a member; only those that are looked into unless all."""
    found: list[Json] = []
    if isinstance(value, dict):
        found += [value] if value else []
        for key, inner in value.items():
            if all_of_them or (key not in UNREAD and not key.startswith("_")):
                found += objects(inner, all_of_them=all_of_them)
    elif isinstance(value, list):
        for inner in value:
            found += objects(inner, all_of_them=all_of_them)
    return found


def replaced(value: Any, old: Any, new: Any) -> Any:
    """Return the value with one object of it, known by its identity, replaced."""
    if value is old:
        return new
    if isinstance(value, dict):
        return {key: replaced(inner, old, new) for key, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, old, new) for inner in value]
    return value


class Writer:
    """Writes JSON in any of the ways in which it may be written."""

    def __init__(self, random: Random, *, escaped: bool, spaced: bool) -> None:
        self.random = random
        self.escaped = escaped
        self.spaced = spaced

    def write(self, value: Any) -> str:
        if isinstance(value, dict):
            return self.members(list(value.items()))
        if isinstance(value, Twice):
            return self.members(value.pairs)
        if isinstance(value, list):
            return f"[{self.space()}{','.join(map(self.write, value))}{self.space()}]"
        return self.text(value) if isinstance(value, str) else json.dumps(value)

    def members(self, pairs: list[tuple[str, Any]]) -> str:
        said = [
            f"{self.space()}{self.text(key)}{self.space()}:{self.space()}{self.write(value)}"
            for key, value in pairs
        ]
        return f"{{{','.join(said)}{self.space()}}}"

    def text(self, text: str) -> str:
        if not self.escaped:
            return json.dumps(text, ensure_ascii=False)
        return f'"{"".join(map(self.character, text))}"'

    def character(self, one: str) -> str:
        if one in ':"\\' or self.random.random() < 0.1:
            return f"\\u{ord(one):04x}"
        return one

    def space(self) -> str:
        return self.random.choice(["", " ", "\n\t", "\r\n  "]) if self.spaced else ""


@st.composite
def writers(draw: st.DrawFn) -> Writer:
    random = Random(draw(st.integers(0, 2**32)))  # noqa: S311 - draws white space and escapes
    return Writer(random, escaped=draw(st.booleans()), spaced=draw(st.booleans()))


VALUES = st.sampled_from([
    None, True, 7, "", "x", "a:b:c", {}, [], {"a": {"b": ":"}}, [{"reference": "Patient/p2"}],
])  # fmt: skip
"""What may stand at a key the second time, besides the same thing once more."""


@st.composite
def twice(draw: st.DrawFn, body: Any, *, all_of_them: bool = False) -> tuple[Any, Any, Any]:
    """Return the body with one key given twice, and with the first and the last of them alone."""
    chosen = draw(st.sampled_from(objects(body, all_of_them=all_of_them)))
    key = draw(st.sampled_from(sorted(chosen)))
    value = draw(st.just(chosen[key]) | VALUES)
    at = draw(st.integers(0, len(chosen)))
    double = Twice(chosen, key, value, at)
    last_first = dict(reversed(double.pairs))
    versions = (double, {k: last_first[k] for k in dict(double.pairs)}, dict(double.pairs))
    first, second, third = (replaced(body, chosen, version) for version in versions)
    return first, second, third


def as_read(value: Any) -> Any:
    """Return what a decision can see of something decoded."""
    if isinstance(value, Struct):
        names = [name for name in value.__struct_fields__ if not name.startswith("other_")]
        return type(value).__name__, {name: as_read(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [as_read(one) for one in value]
    return json.loads(bytes(value)) if isinstance(value, Raw) else value


def reading(data: bytes, *, unique: bool) -> Any:
    found = decode_bundle(data, unique=unique)
    return [as_read(found.resources), dict(found.urls), found.next_link, found.total,
            as_read(found.outcomes), found.troubles]  # fmt: skip


@given(BODIES, writers())
def test_a_body_that_gives_each_key_once_is_read(body: Json, writer: Writer) -> None:
    data = writer.write(body).encode()
    assert reading(data, unique=True) == reading(data, unique=False)


@given(st.data(), BODIES, writers())
def test_a_body_that_gives_a_key_twice_is_refused(
    data: st.DataObject, body: Json, writer: Writer
) -> None:
    double, _, _ = data.draw(twice(body))
    with pytest.raises(FHIRError, match=TWICE):
        decode_bundle(writer.write(double).encode(), unique=True)


@given(st.data(), BODIES, writers())
def test_a_key_that_is_let_pass_twice_makes_no_difference_to_what_is_read(
    data: st.DataObject, body: Json, writer: Writer
) -> None:
    double, first, last = data.draw(twice(body, all_of_them=True))
    try:
        found = reading(writer.write(double).encode(), unique=True)
    except FHIRError:
        return
    assert found == reading(writer.write(first).encode(), unique=False)
    assert found == reading(writer.write(last).encode(), unique=False)


def body_of(*parts: str) -> bytes:
    entries = ",".join(f'{{"resource":{part}}}' for part in parts)
    return f'{{"resourceType":"Bundle","entry":[{entries}]}}'.encode()


@pytest.mark.parametrize(
    "part",
    [
        pytest.param('{"resourceType":"Patient","id":"p","gender":"male","gender":"female"}',
                     id="an element that is used"),
        pytest.param('{"resourceType":"Patient","id":"p","name":[],"name":[]}',
                     id="an element that is not"),
        pytest.param('{"resourceType":"Patient","id":"p","foo":1,"foo":1}',
                     id="an element that R4 does not have"),
        pytest.param('{"resourceType":"Patient","id":"p","_birthDate":{"x":1,"x":1}}',
                     id="inside an element that no struct has"),
        pytest.param('{"resourceType":"Claim","id":"c","id":"d"}', id="a type that is not used"),
        pytest.param('{"resourceType":"Bogus","id":"c","id":"d"}', id="a type that there is not"),
        pytest.param('{"resourceType":"Patient","resourceType":"Patient","id":"p"}', id="the type"),
        pytest.param('{"resourceType":"Observation","id":"o","status":5,"status":"final"}',
                     id="once of the wrong type"),
        pytest.param('{"resourceType":"Observation","id":"o","code":null,"code":null}', id="null"),
        pytest.param('{"resourceType":"Observation","id":"o","effectiveTiming":{"event":[],'
                     '"event":["2025"]}}', id="inside a data type"),
        pytest.param('{"resourceType":"MedicationRequest","id":"m","contained":[{"resourceType":'
                     '"Medication","id":"a","status":"active","status":"inactive"}]}',
                     id="inside what is contained"),
        pytest.param('{"resourceType":"Patient","id":"p","\\u0067ender":"male","gender":"other"}',
                     id="a key that is written with an escape"),
        pytest.param('{"resourceType":"Patient","id":"p:p","id":"p"}', id="a lost colon"),
        pytest.param('{"resourceType":"Patient","id":"p","gender":"a\\u003ab","gender":"male"}',
                     id="a colon that is written with an escape"),
        pytest.param('{"resourceType":"Patient","id":"p","gender":"a\\u0022:b","id":"q"}',
                     id="a quotation mark that is written with an escape"),
        pytest.param('{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"x",'
                     '"code":"y"}]}', id="what the server says"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pages", [1, 200], ids=["small", "large"])
def test_a_key_twice_is_refused_wherever_it_stands(part: str, pages: int) -> None:
    others = ['{"resourceType":"OperationOutcome","issue":[{"severity":"information"}]}'] * pages
    with pytest.raises(FHIRError, match=TWICE):
        decode_bundle(body_of(part), unique=True)
    with pytest.raises(FHIRError, match=TWICE):
        decode_bundle(body_of(*others, part, *others), unique=True)


def test_inside_an_element_that_nobody_reads_a_key_may_stand_twice() -> None:
    text = '{"status":"generated","status":"empty"}'
    body = f'{{"resourceType":"Patient","id":"p","text":{text},"gender":"male"}}'.encode()
    assert as_read(decode_bundle(body, unique=True).resources) == as_read(
        decode_bundle(body.replace(text.encode(), b"{}")).resources
    )


@pytest.mark.parametrize("story", sorted(STORIES))
def test_the_bodies_of_real_servers_need_no_second_look(story: str) -> None:
    patient = sample_patient(story)
    for body in (to_transaction_bundle(patient), to_searchset(patient.resources, total=9)):
        for indent in (None, 2):
            data = json.dumps(body, indent=indent).encode()
            decoded = msgspec.json.decode(data, type=resources.AnyResource)
            assert lost_nothing(data, decoded)
            assert lost_nothing(Raw(data), decoded)


def test_a_body_that_is_not_wholly_understood_proves_nothing() -> None:
    known = b'{"resourceType":"Patient","id":"a"}'
    decoded = msgspec.json.decode(known, type=resources.AnyResource)
    assert lost_nothing(known, decoded)
    assert not lost_nothing(known.replace(b'"a"', b'"a","foo":1'), decoded)
    assert not lost_nothing(known.replace(b'"a"', b'"\\u0061"'), decoded)
    long = b'{"resourceType":"Patient","id":"%s"}' % (b"a" * 10_000)
    decoded = msgspec.json.decode(long, type=resources.AnyResource)
    assert lost_nothing(long, decoded)
    assert not lost_nothing(long.replace(b'aa"', b'a\\u0061"'), decoded)
    assert not lost_nothing(long.replace(b'aa"', b'aa","foo":1'), decoded)


# --- the same for whole requests --------------------------------------------------------------


def request_body() -> Json:
    return hook_body(
        "order-sign",
        fhirServer="https://ehr.example/fhir",
        fhirAuthorization=dict(ACCESS),
        extension={"org.cds-engine.as-of": "2025-06-01T00:00:00Z"},
        context={
            "userId": "Practitioner/1",
            "patientId": "patient-1",
            "encounterId": "e1",
            "draftOrders": {
                "resourceType": "Bundle",
                "entry": [{"resource": RICH[1]}],
            },
        },
    )


def outside_prefetch(body: Json) -> list[Json]:
    inner = [one for key, part in body.items() if key != "prefetch"
             for one in objects(part, all_of_them=True)]  # fmt: skip
    return [body, body["prefetch"], *inner]


@st.composite
def twice_outside_prefetch(draw: st.DrawFn) -> Any:
    body = request_body()
    chosen = draw(st.sampled_from(outside_prefetch(body)))
    key = draw(st.sampled_from(sorted(chosen)))
    value = draw(st.just(chosen[key]) | VALUES)
    double = Twice(chosen, key, value, draw(st.integers(0, len(chosen))))
    return replaced(body, chosen, double)


@given(writers())
def test_a_request_that_gives_each_key_once_is_read(writer: Writer) -> None:
    body = request_body()
    found = read_request(writer.write(body).encode(), HOOKS["order-sign"])
    assert found.patient_id == "patient-1"
    assert found.as_of == "2025-06-01T00:00:00Z"
    assert set(found.prefetch) == set(body["prefetch"])


@given(twice_outside_prefetch(), writers())
def test_a_request_that_gives_a_key_twice_is_refused(body: Any, writer: Writer) -> None:
    with pytest.raises(RefusalError) as refused:
        read_request(writer.write(body).encode(), HOOKS["order-sign"])
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('"hook":', '"hook":"x","hook":', id="the hook"),
        pytest.param('"patientId":', '"patientId":"patient-2","patientId":', id="the patient"),
        pytest.param('"draftOrders":', '"draftOrders":{},"draftOrders":', id="the orders"),
        pytest.param('"access_token":', '"access_token":"t","access_token":', id="the token"),
        pytest.param('"prefetch":', '"prefetch":{},"prefetch":', id="the prefetch"),
        pytest.param('"conditions":', '"conditions":null,"conditions":', id="a prefetch key"),
        pytest.param('"reference":"#drug"', '"reference":"#a","\\u0072eference":"#drug"',
                     id="deep inside a draft order"),
        pytest.param('"extension":', '"extension":{},"extension":', id="the extension"),
    ],
)  # fmt: skip
def test_a_request_says_which_key_stands_twice(old: str, new: str) -> None:
    text = json.dumps(request_body(), separators=(",", ":"))
    assert text.count(old) == 1
    with pytest.raises(RefusalError, match=TWICE):
        read_request(text.replace(old, new).encode(), HOOKS["order-sign"])


SERVED = Served()


@given(st.data(), writers())
def test_a_key_twice_in_the_prefetch_ends_the_call(data: st.DataObject, writer: Writer) -> None:
    sent = prefetch()
    key = data.draw(st.sampled_from(sorted(sent)))
    double, _, _ = data.draw(twice(sent[key]))
    answer = SERVED.call(writer.write(hook_body(prefetch={**sent, key: double})).encode())
    assert answer.status_code == 400
    # an escape may hide anything, so that the whole body is looked through at once
    place = "the body" if writer.escaped else f"prefetch.{key}"
    assert diagnostics(answer).startswith(f"{place}: the key ")
    assert TWICE in diagnostics(answer)


# --- the table of elements --------------------------------------------------------------------

THEIR_NAMES = {
    "Entry": "BundleEntry",
    "Search": "BundleEntrySearch",
    "Link": "BundleLink",
    "Response": "BundleEntryResponse",
    "Component": "ObservationComponent",
    "DispenseRequest": "MedicationRequestDispenseRequest",
    "Activity": "CarePlanActivity",
    "ActivityDetail": "CarePlanActivityDetail",
}
BESIDES = {"Condition": {"abatementBoolean"}}
"""Elements of earlier releases that are read all the same."""
LACKING = {"ActivityDetail": {"modifierExtension"}}
"""Elements that R4 has and the other library forgot."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ELEMENTS)
def test_a_struct_keeps_exactly_the_elements_of_its_type(name: str) -> None:
    kind: Any = getattr(resources, name, None) or getattr(elements, name)
    model = get_fhir_model_class(THEIR_NAMES.get(name, name))
    theirs = {field.alias or key for key, field in model.model_fields.items()}
    theirs = {key for key in theirs if not key.startswith("_")} - {"resource_type", "fhir_comments"}
    ours = set(kind.__struct_encode_fields__)
    assert ours == theirs | BESIDES.get(name, set()) | LACKING.get(name, set())
    assert len(ELEMENTS[name].split()) == len(set(ELEMENTS[name].split()))


BASES = {"Struct", "Resource", "OfPatient", "OfMedication", "Unused"}
COUNTED_WHOLE = {"Anything", "Issue", "OperationOutcome"}
"""Structs with nothing raw: a body with more in it than they declare gets a second look."""


def test_every_struct_keeps_its_elements_or_adds_nothing_of_its_own() -> None:
    defined = {**vars(elements), **vars(resources)}
    kinds = {k: v for k, v in defined.items() if isinstance(v, type) and issubclass(v, Struct)}
    assert set(kinds) - BASES == set(ELEMENTS) | COUNTED_WHOLE
    assert all(kinds[name].__struct_config__.omit_defaults for name in ELEMENTS)
    for name in COUNTED_WHOLE:
        assert msgspec.json.encode(kinds[name]()).count(b":") == (name == "OperationOutcome")
