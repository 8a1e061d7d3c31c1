"""A patient's resources become one Record, and nothing that was left out is left unsaid."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.fhir.decode import DecodedBundle, decode_bundle, merged
from cds_adapters.fhir.record import build_record, foreign_patients, record_of
from cds_adapters.fhir.site_map import SiteMap
from cds_adapters.fhir.times import read_instant
from cds_engine.history.event import Record
from cds_engine.history.select import known_by
from cds_engine.vocabulary.time import iso

Json = dict[str, Any]
SBP = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
DBP = {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]}
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "gender": "female",
    "birthDate": "1960-03-01",
}


def an_observation(name: str = "o1", version: int | None = None, **fields: Any) -> Json:
    usual: Json = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": SBP,
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2024-05-01T12:00:00Z",
        "valueQuantity": {"value": 152, "unit": "mmHg"},
    }
    if version is not None:
        stored = f"2024-05-{version:02}T12:00:00Z"
        usual["meta"] = {"versionId": str(version), "lastUpdated": stored}
    return {key: value for key, value in {**usual, **fields}.items() if value is not None}


def decoded(*resources: Json, urls: tuple[str | None, ...] = ()) -> DecodedBundle:
    entries: list[Json] = [{"resource": resource} for resource in resources]
    for entry, url in zip(entries, urls, strict=False):
        if url is not None:
            entry["fullUrl"] = url
    return decode_bundle(json.dumps({"resourceType": "Bundle", "entry": entries}).encode())


def record(*resources: Json, urls: tuple[str | None, ...] = (), **options: Any) -> Record:
    return record_of(decoded(*resources, urls=urls), "p1", **options)


def reasons(found: Record) -> dict[str, str]:
    return {aside.source: aside.reason for aside in found.set_aside}


# --- the person


def test_the_person_comes_from_the_patient() -> None:
    person = record({**PATIENT, "deceasedDateTime": "2024-01-02"}).person

    assert (person.key, person.sex, person.deceased) == ("p1", "female", True)
    assert person.born is not None
    assert (iso(person.born.start), person.born.precision) == ("1960-03-01T00:00:00Z", "day")
    assert person.died is not None
    assert person.died.precision == "day"


def test_a_birthday_is_a_calendar_day_wherever_the_site_is() -> None:
    site = SiteMap(time_zone=ZoneInfo("Asia/Tokyo"))
    person = record(PATIENT, site=site).person

    assert person.born is not None
    assert iso(person.born.start) == "1960-03-01T00:00:00Z"


@pytest.mark.parametrize(("deceased", "expected"), [(True, True), (False, False)])
def test_a_patient_may_just_be_dead(deceased: bool, expected: bool) -> None:
    person = record({**PATIENT, "deceasedBoolean": deceased}).person

    assert (person.died, person.deceased) == (None, expected)


def test_facts_that_cannot_be_read_are_named() -> None:
    found = record({**PATIENT, "gender": "F", "birthDate": "1960-13", "deceasedDateTime": "then"})

    assert (found.person.sex, found.person.born, found.person.died) == (None, None, None)
    assert found.person.deceased
    assert [aside.reason.split(":")[0] for aside in found.set_aside] == [
        "birthDate",
        "deceasedDateTime",
        "gender 'F' is not one of female, male, other, unknown",
    ]


def test_without_a_patient_the_facts_are_a_gap() -> None:
    found = record(an_observation())

    assert found.person.key == "p1"
    assert found.gaps == {
        "kind:patient": "there is no Patient resource to take the patient's facts from"
    }


def test_a_patient_that_must_not_be_used_is_a_gap() -> None:
    found = record({**PATIENT, "modifierExtension": [{"url": "urn:not"}]})

    assert found.person.born is None
    assert "modifier extension" in found.gaps["kind:patient"]


def test_the_newest_version_of_the_patient_counts() -> None:
    versions = [{**PATIENT, "gender": g, "meta": {"versionId": v}} for g, v in (("male", "10"), ("other", "9"))]  # fmt: skip  # noqa: E501

    assert record(*versions).person.sex == record(*versions[::-1]).person.sex == "male"


# --- whose it is


@pytest.mark.parametrize(
    ("reference", "mine"),
    [
        ("Patient/p1", True),
        ("Patient/p1/_history/2", True),
        ("https://ehr.example/fhir/Patient/p1", True),
        ("urn:uuid:p1", True),
        ("urn:uuid:entry", True),
        ("Patient/p2", False),
        ("Patient/p11", False),
        ("https://ehr.example/fhir/Patient/p2", False),
        ("urn:uuid:p2", False),
    ],
)
def test_subjects(reference: str, mine: bool) -> None:
    observation = an_observation(subject={"reference": reference})
    found = record(PATIENT, observation, urls=("urn:uuid:entry",))

    assert bool(found.events) is mine
    assert found.gaps == {}
    assert reasons(found) == ({} if mine else {"Observation/o1": "belongs to another patient"})


@pytest.mark.parametrize(
    "subject",
    [None, {}, {"reference": "p1"}, {"reference": "#p1"}, {"reference": "Patient/"},
     {"reference": "Patient?identifier=x|1"}, {"reference": "OtherPatient/p1"},
     {"reference": "RelatedPerson/p1"}],
)  # fmt: skip
def test_a_subject_that_cannot_be_resolved_leaves_a_gap(subject: Json | None) -> None:
    found = record(PATIENT, an_observation(subject=subject))

    assert found.events == ()
    assert "no subject that can be resolved" in reasons(found)["Observation/o1"]
    assert "no subject that can be resolved" in found.gaps["observation:loinc|8480-6"]


@pytest.mark.parametrize("subject", ["Group/g", "Device/d", "https://x.example/Location/l"])
def test_what_is_about_no_patient_leaves_no_gap(subject: str) -> None:
    found = record(PATIENT, an_observation(subject={"reference": subject}))

    assert reasons(found) == {"Observation/o1": "it is not about a patient"}
    assert found.gaps == {}


def test_another_patients_resource_is_no_gap_even_if_it_cannot_be_read() -> None:
    theirs = an_observation(subject={"reference": "Patient/p2"}, valueQuantity={"value": "x"})
    found = record(PATIENT, theirs, {**PATIENT, "id": "p2"})

    assert set(reasons(found).values()) == {"belongs to another patient"}
    assert found.gaps == {}


def test_foreign_patients_are_named() -> None:
    body = decoded(
        PATIENT,
        {**PATIENT, "id": "p5"},
        an_observation(),
        an_observation("o2", subject={"reference": "Patient/p3"}),
        an_observation("o3", subject={"reference": "urn:uuid:entry"}),
        an_observation("o4", subject={"reference": "Patient/p4"}, valueQuantity={"value": "x"}),
        an_observation("o5", subject=None),
        urls=(None, "urn:uuid:entry"),
    )

    found = foreign_patients(body.resources, "p1", urls=body.urls, troubles=body.troubles)
    assert found == ("p3", "p4", "p5")
    assert foreign_patients([], "p1") == ()


def test_an_address_that_two_patients_claim_names_neither() -> None:
    found = record(
        PATIENT,
        {**PATIENT, "id": "p2"},
        an_observation(subject={"reference": "urn:uuid:entry"}),
        urls=("urn:uuid:entry", "urn:uuid:entry"),
    )

    assert found.events == ()
    assert "no subject" in found.gaps["observation:loinc|8480-6"]


def test_an_address_cannot_redirect_a_plain_reference() -> None:
    theirs = an_observation(subject={"reference": "Patient/p2"})
    found = record(PATIENT, theirs, urls=("Patient/p2",))

    assert reasons(found) == {"Observation/o1": "belongs to another patient"}


# --- versions


def test_the_same_version_twice_is_one_event() -> None:
    assert len(record(an_observation(), an_observation(), an_observation()).events) == 1


def test_different_versions_are_all_there() -> None:
    found = record(an_observation(version=1), an_observation(version=2, status="amended"))

    assert sorted((event.version[0], event.status) for event in found.events) == [
        (1, "final"),
        (2, "amended"),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("1", "2", id="numbered"),
        pytest.param("9f3a", "02bd", id="named"),
        pytest.param(None, None, id="told apart by when they were stored"),
    ],
)
@pytest.mark.parametrize("status", ["final", "preliminary", "entered-in-error"])
def test_what_was_known_then_is_the_newest_version_stored_by_then(
    first: str | None, second: str | None, status: str
) -> None:
    def version(name: str | None, stored: str, **fields: Any) -> Json:
        meta = {"lastUpdated": stored} | ({"versionId": name} if name else {})
        return {**an_observation(), "effectiveDateTime": "2024-01-01T08:00:00Z", "meta": meta,
                "issued": "2024-01-01T09:00:00Z", **fields}  # fmt: skip

    before = version(first, "2024-01-01T09:00:00Z")
    after = version(second, "2024-03-01T09:00:00Z", status=status)
    found = record(after, before)

    known, _ = known_by(found.events, read_instant("2024-02-01T00:00:00Z"))
    assert [event.status for event in known] == ["final"]
    later, left_out = known_by(found.events, read_instant("2024-03-01T09:00:00Z"))
    assert [e.status for e in later] + [why for _, why in left_out] == [status]


def test_one_version_told_in_two_ways_is_two_events() -> None:
    found = record(an_observation(), an_observation(valueQuantity={"value": 1}))

    assert sorted(event.value for event in found.events) == [1.0, 152.0]  # type: ignore[type-var]


@pytest.mark.parametrize(
    "later",
    [
        {"status": "entered-in-error"},
        {"status": "entered-in-error", "effectiveDateTime": None},
        {"status": "bogus"},
        {"focus": [{"reference": "Patient/fetus"}]},
        {"effectiveDateTime": "nonsense, so to say"},
    ],
)
def test_a_later_version_supersedes_even_if_it_is_not_used(later: Json) -> None:
    found = record(PATIENT, an_observation(version=1), an_observation(version=2, **later))

    first, second = sorted(found.events, key=lambda event: event.version)
    assert (first.status, first.source) == ("final", second.source)
    assert second.status in ("entered-in-error", "cancelled")
    assert (second.version[0], second.value) == (2, None)
    assert iso(second.recorded) == "2024-05-02T12:00:00Z"
    assert second.codes == ("loinc|8480-6",)
    taken_back = later.get("status") == "entered-in-error"
    assert bool(found.gaps) is not taken_back


def test_one_that_is_entered_in_error_and_has_no_time_is_set_aside_without_a_gap() -> None:
    found = record(PATIENT, an_observation(status="entered-in-error", effectiveDateTime=None))

    assert list(reasons(found)) == ["Observation/o1"]
    assert found.gaps == {}


# --- gaps


@pytest.mark.parametrize(
    ("broken", "key"),
    [
        ({"valueQuantity": {"value": "152"}}, "observation:loinc|8480-6"),
        ({"status": "bogus"}, "observation:loinc|8480-6"),
        ({"status": ["final"]}, "observation:loinc|8480-6"),
        ({"meta": "1"}, "observation:loinc|8480-6"),
        ({"code": "8480-6"}, "kind:observation"),
        ({"code": {"text": "bp"}, "status": "bogus"}, "kind:observation"),
        ({"code": None, "valueInteger": 1.5}, "kind:observation"),
    ],
)
def test_a_broken_resource_leaves_a_gap_as_narrow_as_can_be(broken: Json, key: str) -> None:
    found = record(PATIENT, an_observation(**broken))

    assert found.events == ()
    assert list(found.gaps) == [key]
    assert found.gaps[key].startswith("Observation/o1 was set aside: ")
    assert found.set_aside[0].source == "Observation/o1"


def test_a_broken_panel_leaves_a_gap_for_each_component() -> None:
    parts = [{"code": SBP, "valueQuantity": {"value": "1"}}, {"code": DBP}]
    found = record(PATIENT, an_observation(component=parts))
    unreadable = record(PATIENT, an_observation(component=[{"code": 5}]))
    misshapen = record(PATIENT, an_observation(component=7))

    assert list(found.gaps) == ["observation:loinc|8462-4", "observation:loinc|8480-6"]
    assert list(unreadable.gaps) == list(misshapen.gaps) == ["kind:observation"]


def test_gaps_speak_the_sites_standard_codes() -> None:
    site = SiteMap(codes={"urn:lab|BP": ("loinc|8480-6",)})
    local = {"coding": [{"system": "urn:lab", "code": "BP"}]}
    found = record(PATIENT, an_observation(code=local, status="bogus"), site=site)

    assert list(found.gaps) == ["observation:loinc|8480-6", "observation:urn:lab|BP"]


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        ({"resourceType": "Condition", "code": SBP, "recordedDate": 5}, "condition:loinc|8480-6"),
        ({"resourceType": "Condition", "recordedDate": 5}, "kind:condition"),
        (
            {"resourceType": "MedicationRequest", "medicationCodeableConcept": SBP, "intent": 1},
            "request:loinc|8480-6",
        ),
        (
            {"resourceType": "MedicationRequest", "medicationReference": {"reference": 1}},
            "kind:request",
        ),
        ({"resourceType": "CarePlan", "category": SBP}, "kind:service"),
        ({"resourceType": "Encounter", "class": "AMB"}, "kind:encounter"),
        ({"resourceType": "Patient", "gender": 1}, "kind:patient"),
        ({"resourceType": "OperationOutcome", "issue": 1}, "*"),
        ({"id": "x"}, "*"),
    ],
)
def test_every_kind_of_broken_resource_leaves_its_gap(resource: Json, key: str) -> None:
    found = record(PATIENT, resource)

    assert [name for name in found.gaps if name != "kind:patient" or key == name] == [key]
    assert len(found.set_aside) == 1


def test_a_broken_medication_is_no_gap_by_itself() -> None:
    found = record(PATIENT, {"resourceType": "Medication", "id": "m", "code": 1})

    assert found.gaps == {}
    assert list(reasons(found)) == ["Medication/m"]


def test_gaps_known_from_elsewhere_stay_and_join() -> None:
    gaps = {"sbp": "the search failed", "observation:loinc|8480-6": "page 2 is missing"}
    found = record(PATIENT, an_observation(status="bogus"), gaps=gaps)

    assert found.gaps["sbp"] == "the search failed"
    joined = found.gaps["observation:loinc|8480-6"]
    assert "page 2 is missing" in joined
    assert "status 'bogus'" in joined


def test_the_words_of_a_gap_stay_short() -> None:
    broken = [an_observation(f"o{n}", status="bogus") for n in range(9)]

    words = record(PATIENT, *broken).gaps["observation:loinc|8480-6"]
    assert words.count("was set aside") == 3
    assert words.endswith("; and 6 more")


def test_several_bodies_make_one_record() -> None:
    first = decoded(PATIENT, urls=("urn:uuid:entry",))
    second = decoded(an_observation(subject={"reference": "urn:uuid:entry"}))
    third = decoded(an_observation("o2", status=1))

    found = record_of(merged([first, second, third]), "p1")
    assert [event.source for event in found.events] == ["Observation/o1"]
    assert list(found.gaps) == ["observation:loinc|8480-6"]


# --- the order of the input never matters (RL-15)

MEDICATION: Json = {
    "resourceType": "Medication",
    "id": "m",
    "code": {"coding": [{"system": "urn:x", "code": "1"}]},
}
MIXED: list[Json] = [
    PATIENT,
    {**PATIENT, "gender": "male"},
    {**PATIENT, "id": "p2"},
    an_observation(),
    an_observation(valueQuantity={"value": 1}),
    an_observation("o2", version=1),
    an_observation("o2", version=2, status="bogus"),
    an_observation("o3", version=1, component=[{"code": DBP, "valueInteger": 3}]),
    an_observation("o3", version=3, status="entered-in-error"),
    an_observation("o4", subject={"reference": "Patient/p2"}),
    an_observation("o5", subject=None),
    an_observation("o6", valueQuantity={"value": "1"}),
    an_observation("o7", code={"text": "x"}),
    MEDICATION,
    {**MEDICATION, "code": {"coding": [{"system": "urn:x", "code": "2"}]}},
    {
        "resourceType": "MedicationRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "authoredOn": "2024-01-01",
        "medicationReference": {"reference": "Medication/m"},
    },
]


def normal(found: Record) -> tuple[object, ...]:
    return (
        found.person,
        sorted(map(repr, found.events)),
        sorted(map(repr, found.set_aside)),
        dict(found.gaps),
    )


@given(st.permutations(MIXED), st.lists(st.sampled_from(MIXED)))
def test_order_and_repetition_make_no_difference(order: list[Json], again: list[Json]) -> None:
    assert normal(record(*order, *again)) == normal(record(*MIXED))


def test_resources_can_be_handed_over_without_a_bundle() -> None:
    body = decoded(PATIENT, an_observation())

    assert normal(build_record(iter(body.resources), "p1")) == normal(record_of(body, "p1"))
