"""A condition or an allergy becomes an event that says whether it still holds, and how sure."""

import json
from typing import Any

import pytest

from cds_adapters.fhir.decode import decode_resource
from cds_adapters.fhir.events import resource_events
from cds_engine.history.event import Event, SetAside
from cds_engine.vocabulary.time import iso

CODE = {"coding": [{"system": "http://snomed.info/sct", "code": "38341003"}]}
HL7 = "http://terminology.hl7.org/CodeSystem/"


def status(kind: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": HL7 + kind, "code": code}]}


def a_condition(**fields: Any) -> dict[str, Any]:
    usual = {
        "resourceType": "Condition",
        "id": "c1",
        "clinicalStatus": status("condition-clinical", "active"),
        "verificationStatus": status("condition-ver-status", "confirmed"),
        "code": CODE,
        "subject": {"reference": "Patient/p1"},
        "onsetDateTime": "2020",
        "recordedDate": "2024-05-01",
    }
    return {name: value for name, value in {**usual, **fields}.items() if value is not None}


def an_allergy(**fields: Any) -> dict[str, Any]:
    usual = {
        "resourceType": "AllergyIntolerance",
        "id": "a1",
        "clinicalStatus": status("allergyintolerance-clinical", "active"),
        "verificationStatus": status("allergyintolerance-verification", "confirmed"),
        "code": CODE,
        "patient": {"reference": "Patient/p1"},
        "recordedDate": "2024-05-01",
    }
    return {name: value for name, value in {**usual, **fields}.items() if value is not None}


def read(resource: dict[str, Any]) -> Event | SetAside:
    decoded = decode_resource(json.dumps(resource).encode(), "here")
    assert decoded.troubles == ()
    found = resource_events(decoded.resources[0])  # type: ignore[arg-type]
    return found if isinstance(found, SetAside) else found[0]


def the_event(resource: dict[str, Any]) -> Event:
    event = read(resource)
    assert isinstance(event, Event)
    return event


def test_a_condition_becomes_an_event() -> None:
    event = the_event(a_condition())

    assert (event.kind, event.source) == ("condition", "Condition/c1")
    assert event.codes == ("snomed|38341003",)
    assert event.time is not None
    assert event.time.precision == "year"
    assert iso(event.recorded) == "2024-05-01T00:00:00Z"
    assert (event.status, event.until, event.ended, event.doubt) == ("active", None, False, False)


def test_an_allergy_becomes_an_event() -> None:
    event = the_event(an_allergy())

    assert (event.kind, event.source, event.time) == ("allergy", "AllergyIntolerance/a1", None)
    assert (event.status, event.ended, event.doubt) == ("active", False, False)


@pytest.mark.parametrize(
    ("clinical", "ended"),
    [
        ("active", False),
        ("recurrence", False),
        ("relapse", False),
        ("inactive", True),
        ("remission", True),
        ("resolved", True),
    ],
)
def test_clinical_status(clinical: str, ended: bool) -> None:
    event = the_event(a_condition(clinicalStatus=status("condition-clinical", clinical)))

    assert (event.status, event.ended, event.doubt) == (clinical, ended, False)


@pytest.mark.parametrize(
    ("verification", "event_status", "doubt"),
    [
        ("confirmed", "active", False),
        ("unconfirmed", "active", True),
        ("provisional", "active", True),
        ("differential", "active", True),
        ("refuted", "refuted", False),
        ("entered-in-error", "entered-in-error", False),
    ],
)
def test_verification_status(verification: str, event_status: str, doubt: bool) -> None:
    fields = {"verificationStatus": status("condition-ver-status", verification)}
    event = the_event(a_condition(**fields))

    assert (event.status, event.doubt) == (event_status, doubt)


ABATED = {"abatementDateTime": "2023-01-02"}
UNTIL = "2023-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("clinical", "fields", "expected"),
    [
        pytest.param("resolved", ABATED, (UNTIL, True, False), id="resolved then"),
        pytest.param("resolved", {}, (None, True, False), id="resolved some time"),
        pytest.param(None, ABATED, (UNTIL, True, False), id="an end alone ends it"),
        pytest.param(None, {}, (None, False, False), id="nothing is said"),
        pytest.param("active", ABATED, (UNTIL, False, False), id="active, with an end"),
        pytest.param(None, {"abatementString": "spring"}, (None, True, False), id="in words"),
        pytest.param(None, {"abatementAge": {"value": 50}}, (None, True, False), id="age"),
        pytest.param(None, {"abatementBoolean": True}, (None, True, False), id="STU3"),
        pytest.param(None, {"abatementBoolean": False}, (None, False, False), id="STU3 not"),
        pytest.param(
            "resolved",
            {"abatementPeriod": {"start": "2022", "end": "2023-01-02"}},
            (UNTIL, True, False),
            id="the end of a period",
        ),
    ],
)
def test_abatement(
    clinical: str | None, fields: dict[str, Any], expected: tuple[str | None, bool, bool]
) -> None:
    stated = clinical and status("condition-clinical", clinical)
    event = the_event(a_condition(clinicalStatus=stated, **fields))

    assert (event.until and iso(event.until.start), event.ended, event.doubt) == expected


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"clinicalStatus": status("condition-clinical", "bogus")},
            "clinicalStatus 'bogus' is not one of active, inactive, recurrence,",
        ),
        ({"clinicalStatus": {"text": "Active"}}, "clinicalStatus is missing; FHIR requires one of"),
        (
            {"verificationStatus": status("condition-ver-status", "sure")},
            "verificationStatus 'sure' is not one of confirmed, differential,",
        ),
        (
            {"clinicalStatus": {"coding": [{"system": "urn:own", "code": "active"}]}},
            "clinicalStatus is missing",
        ),
        ({"onsetDateTime": "2024-02-30"}, "does not exist"),
        ({"onsetDateTime": None, "recordedDate": None}, "no time says when it was"),
        ({"modifierExtension": [{}]}, "has a modifier extension"),
    ],
)
def test_what_must_not_be_used_is_set_aside(fields: dict[str, Any], words: str) -> None:
    aside = read(a_condition(**fields))

    assert isinstance(aside, SetAside)
    assert words in aside.reason


@pytest.mark.parametrize("make", [a_condition, an_allergy])
@pytest.mark.parametrize(
    "code", [None, {"text": "kidney trouble"}, {"coding": [{"code": "K1"}], "text": "kidney"}]
)
def test_an_entry_in_words_alone_stays_on_the_list(make: Any, code: dict[str, Any] | None) -> None:
    event = the_event(make(code=code))

    assert (event.codes, event.ended, event.doubt) == ((), False, False)


def test_a_site_may_code_a_status_in_a_system_of_its_own_besides() -> None:
    codings = [{"system": "urn:own", "code": "A"}, {"code": "resolved"}]

    assert the_event(a_condition(clinicalStatus={"coding": codings})).ended


def test_an_onset_by_age_leaves_the_time_open() -> None:
    event = the_event(a_condition(onsetDateTime=None, onsetAge={"value": 40}))

    assert event.time is None


def test_without_a_recorded_date_the_onset_counts() -> None:
    event = the_event(a_condition(recordedDate=None, **ABATED))

    assert iso(event.recorded) == "2020-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("recorded", "stored", "known"),
    [
        ("2025-06-15", None, "2025-06-15T00:00:00Z"),
        ("2025-06-15", "2025-06-15T08:30:00Z", "2025-06-15T08:30:00Z"),
        ("2025-06-15", "2029-01-01T00:00:00Z", "2025-06-15T23:59:59.999999Z"),
        ("2025-06-15", "2025-06-14T08:00:00Z", "2025-06-14T08:00:00Z"),
        ("2025-06-15T07:00:00Z", "2029-01-01T00:00:00Z", "2025-06-15T07:00:00Z"),
    ],
    ids=["day alone", "stored that day", "loaded years later", "stored before", "an instant"],
)
def test_what_is_dated_today_need_not_wait_until_tomorrow(
    recorded: str, stored: str | None, known: str
) -> None:
    meta = {"lastUpdated": stored} if stored else None
    event = the_event(a_condition(recordedDate=recorded, meta=meta))

    assert iso(event.recorded) == known


def test_a_refuted_condition_is_known_since_it_was_refuted() -> None:
    fields = {
        "verificationStatus": status("condition-ver-status", "refuted"),
        "meta": {"versionId": "2", "lastUpdated": "2024-09-01T00:00:00Z"},
    }

    assert iso(the_event(a_condition(**fields)).recorded) == "2024-09-01T00:00:00Z"


@pytest.mark.parametrize(
    ("clinical", "verification", "expected"),
    [
        ("inactive", "confirmed", ("inactive", True, False)),
        ("resolved", "unconfirmed", ("resolved", True, True)),
        ("active", "refuted", ("refuted", False, False)),
        ("active", "entered-in-error", ("entered-in-error", False, False)),
    ],
)
def test_allergies(clinical: str, verification: str, expected: tuple[str, bool, bool]) -> None:
    fields = {
        "clinicalStatus": status("allergyintolerance-clinical", clinical),
        "verificationStatus": status("allergyintolerance-verification", verification),
        "onsetPeriod": {"start": "2019-01-01"},
    }
    event = the_event(an_allergy(**fields))

    assert (event.status, event.ended, event.doubt) == expected
    assert event.time is not None
