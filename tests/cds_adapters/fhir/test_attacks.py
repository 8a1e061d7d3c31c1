"""Dates that slip, plans, copies and doubts never hide what would change an answer."""

import json
from pathlib import Path
from typing import Any

import pytest

from cds_adapters.fhir.decode import decode_bundle
from cds_adapters.fhir.files import read_records
from cds_adapters.fhir.record import build_record
from cds_adapters.fhir.times import read_instant
from cds_engine.history.event import Event, Record
from cds_engine.history.select import known_by
from cds_engine.vocabulary.time import Instant, iso

Json = dict[str, Any]
CODE = {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}
SUBJECT = {"reference": "Patient/p1"}
STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
STORED = "2025-07-20T09:00:00Z"
SECOND = {"versionId": "2", "lastUpdated": STORED}
USUAL: dict[str, Json] = {
    "Patient": {},
    "Observation": {"status": "final", "code": CODE, "valueInteger": 1},
    "Condition": {"code": CODE},
    "AllergyIntolerance": {"code": CODE},
    "MedicationRequest": {"status": "active", "intent": "order", "authoredOn": "2025-01-01"},
    "MedicationStatement": {"status": "active"},
    "MedicationDispense": {"status": "completed", "whenHandedOver": "2025-01-01"},
    "MedicationAdministration": {"status": "completed", "effectiveDateTime": "2025-01-01"},
    "Procedure": {"status": "completed", "code": CODE},
    "ServiceRequest": {
        "status": "active", "intent": "order", "code": CODE, "authoredOn": "2025-01-01",
    },
    "CarePlan": {"status": "active", "intent": "plan", "created": "2025-01-01"},
    "Medication": {"code": CODE},
}  # fmt: skip


def a(kind: str, **fields: Any) -> Json:
    given: Json = {"resourceType": kind, "id": "x", **USUAL[kind]}
    if kind.startswith("Medication") and kind != "Medication":
        given["medicationCodeableConcept"] = CODE
    if kind not in ("Patient", "Medication"):
        given["patient" if kind == "AllergyIntolerance" else "subject"] = SUBJECT
    return {name: value for name, value in {**given, **fields}.items() if value is not None}


def record(*resources: Json) -> Record:
    entries = [{"resource": one} for one in resources]
    body = decode_bundle(json.dumps({"resourceType": "Bundle", "entry": entries}).encode())
    assert body.troubles == ()
    return build_record(body.resources, "p1")


def event(resource: Json) -> Event:
    (found,) = record(resource).events
    return found


def counted(found: Record, as_of: str) -> list[Event]:
    return known_by(found.events, at(as_of))[0]


def at(text: str) -> Instant:
    return read_instant(text)


def coded(*codes: str) -> Json:
    return {"coding": [{"system": STATUS, "code": code} for code in codes]}


@pytest.mark.parametrize("said", ["2025-07-20", "2025-07", "2025"])
def test_a_second_version_that_says_only_the_day_is_known_once_it_is_stored(said: str) -> None:
    assert iso(event(a("Observation", effectiveDateTime=said, meta=SECOND)).recorded) == STORED
    assert iso(event(a("Condition", onsetDateTime=said, meta=SECOND)).recorded) == STORED


def test_an_amendment_that_says_only_the_day_is_known_from_its_start() -> None:
    amended = event(a("Observation", status="amended", effectiveDateTime="2025-07-20"))
    assert iso(amended.recorded) == "2025-07-20T00:00:00Z"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("MedicationStatement", "effectivePeriod"),
        ("MedicationAdministration", "effectivePeriod"),
        ("Observation", "effectivePeriod"),
        ("Procedure", "performedPeriod"),
    ],
)
@pytest.mark.parametrize("meta", [None, {"lastUpdated": "2025-01-02T00:00:00Z"}])
def test_a_planned_end_is_no_time_of_recording(kind: str, name: str, meta: Json | None) -> None:
    period = {"start": "2025-01-01T00:00:00Z", "end": "2025-12-31T00:00:00Z"}
    fields = {"effectiveDateTime": None, name: period, "meta": meta}
    assert iso(event(a(kind, **fields)).recorded) == "2025-01-01T00:00:00Z"


def test_an_end_that_is_no_plan_is_when_it_became_known() -> None:
    period = {"start": "2025-01-01T00:00:00Z", "end": "2025-02-01T00:00:00Z"}
    found = event(a("Procedure", performedPeriod=period, meta={"lastUpdated": STORED}))
    assert iso(found.recorded) == "2025-02-01T00:00:00Z"


@pytest.mark.parametrize("kind", ["Condition", "AllergyIntolerance"])
@pytest.mark.parametrize("name", ["recordedDate", "onsetDateTime"])
@pytest.mark.parametrize("slip", ["2035", "2035-01-01", "2035-01-01T00:00:00Z"])
def test_a_date_in_the_future_does_not_hide_what_stands_on_a_list(
    kind: str, name: str, slip: str
) -> None:
    found = record(a(kind, **{name: slip}, meta={"versionId": "1", "lastUpdated": STORED}))
    assert len(counted(found, "2025-07-21T00:00:00Z")) == 1


@pytest.mark.parametrize(
    "kind",
    [
        "MedicationRequest", "MedicationStatement", "MedicationDispense",
        "MedicationAdministration", "Procedure", "ServiceRequest", "CarePlan",
    ],
)  # fmt: skip
def test_status_unknown_is_a_doubt_and_not_nothing(kind: str) -> None:
    fields: Json = {"category": [CODE]} if kind == "CarePlan" else {}
    found = event(a(kind, status="unknown", meta={"lastUpdated": STORED}, **fields))
    assert (found.status, found.doubt) == ("unknown", True)


@pytest.mark.parametrize("status", ["in-progress", "on-hold", "stopped"])
def test_a_procedure_that_is_not_completed_is_in_doubt(status: str) -> None:
    assert event(a("Procedure", status=status, performedDateTime="2025-01-01")).doubt
    assert not event(a("Procedure", performedDateTime="2025-01-01")).doubt


@pytest.mark.parametrize(
    ("status", "doubts"),
    [("not-started", []), ("scheduled", []), ("in-progress", [False]), ("unknown", [True])],
)
def test_a_step_of_a_care_plan_counts_once_it_has_begun(status: str, doubts: list[bool]) -> None:
    found = record(a("CarePlan", activity=[{"detail": {"status": status, "code": CODE}}]))
    assert [one.doubt for one in found.events] == doubts


def test_facts_in_which_copies_of_a_patient_differ_are_not_known() -> None:
    first = a("Patient", id="p1", gender="female", birthDate="1985-01-01")
    found = record(first, {**first, "gender": "male"})
    assert (found.person.sex, found.person.born is None) == (None, False)
    assert "kind:patient" in found.gaps
    assert any("contradict each other" in aside.reason for aside in found.set_aside)
    assert "kind:patient" not in record(first, {**first, "active": True}).gaps


def test_a_newer_patient_contradicts_nobody() -> None:
    first = a("Patient", id="p1", gender="female")
    found = record(first, {**first, "gender": "male", "meta": SECOND})
    assert (found.person.sex, found.gaps) == ("male", {})


def test_a_medication_in_two_contradictory_copies_is_none() -> None:
    other = {"coding": [{"system": "http://snomed.info/sct", "code": "2"}]}
    reference = {"reference": "Medication/x"}
    order = a("MedicationRequest", medicationCodeableConcept=None, medicationReference=reference)
    assert len(record(order, a("Medication"), a("Medication")).events) == 1
    found = record(order, a("Medication"), a("Medication", code=other))
    assert found.events == ()
    assert "kind:request" in found.gaps


@pytest.mark.parametrize("swapped", [False, True])
def test_of_equal_versions_the_one_that_takes_it_back_wins(swapped: bool) -> None:
    one = a("Observation", effectiveDateTime="2025-01-01")
    both = [one, {**one, "status": "entered-in-error"}]
    assert counted(record(*(both[::-1] if swapped else both)), STORED) == []


def test_a_copy_that_is_not_used_leaves_a_gap_beside_one_that_is() -> None:
    one = a("MedicationRequest")
    assert record(one, {**one, "status": "draft"}).gaps


@pytest.mark.parametrize("codes", [("active", "resolved"), ("resolved", "active")])
def test_clinical_statuses_that_disagree_leave_it_in_doubt(codes: tuple[str, str]) -> None:
    found = event(a("Condition", onsetDateTime="2025", clinicalStatus=coded(*codes)))
    assert (found.doubt, found.ended) == (True, False)


def test_verification_statuses_that_disagree_leave_it_in_doubt() -> None:
    both = coded("refuted", "confirmed")
    found = event(a("Condition", onsetDateTime="2025", verificationStatus=both))
    assert (found.doubt, found.status) == (True, "")


@pytest.mark.parametrize("version", [None, "1", "MTc1NTI"])
def test_what_ended_without_a_date_had_not_ended_before_that_was_stored(
    version: str | None,
) -> None:
    meta = {"lastUpdated": STORED} | ({"versionId": version} if version else {})
    old = "2024-01-01T00:00:00Z"
    over = {"clinicalStatus": coded("resolved"), "recordedDate": old}
    for found in (
        event(a("MedicationRequest", status="stopped", authoredOn=old, meta=meta)),
        event(a("Condition", **over, meta=meta)),
        event(a("AllergyIntolerance", **over, meta=meta)),
    ):
        assert found.ended
        assert found.until is not None
        assert (iso(found.recorded), iso(found.until.start)) == (old, STORED)


def test_a_value_of_several_moments_is_a_value_of_none() -> None:
    moments = {"event": ["2025-05-01T00:00:00Z", "2025-07-20T08:00:00Z"]}
    found = record(a("Observation", effectiveTiming=moments)).events
    assert [iso(one.time.start) for one in found if one.time] == moments["event"]
    assert {one.value for one in found} == {None}
    assert all("several times" in one.problem for one in found)


@pytest.mark.parametrize(
    "stored", ["now", "2025-07-20", "2025-13-45T99:00:00Z", "2025-07-20T09:00:00"]
)
def test_when_it_was_stored_must_be_an_instant_or_is_not_said(stored: str) -> None:
    resource = a("Observation", effectiveDateTime="2025-01-01", meta={"lastUpdated": stored})
    found = event(resource)
    assert (found.version, iso(found.recorded)) == ((0, ""), "2025-01-01T00:00:00Z")


LINE = json.dumps(a("Observation", effectiveDateTime="2025-01-01"))


def ndjson(folder: Path, *lines: str) -> dict[str, Record]:
    file = folder / "Observation.ndjson"
    others = [json.dumps(a("Patient", id=name)) for name in ("p1", "p2")]
    file.write_text("\n".join([*others, *lines]))
    return dict(read_records(file))


def test_a_line_that_gives_a_key_twice_is_set_aside_with_a_gap(tmp_path: Path) -> None:
    double = LINE.replace('"valueInteger": 1', '"valueInteger": 6, "valueInteger": 1')
    found = ndjson(tmp_path, double)
    assert found["p1"].events == ()
    assert "stands twice" in found["p1"].gaps["kind:observation"]
    assert found["p2"].gaps == {}
    assert len(ndjson(tmp_path, LINE)["p1"].events) == 1


@pytest.mark.parametrize("name", ["subject", "\\u0073ubject"])
def test_a_line_that_names_two_patients_may_be_anybodys(tmp_path: Path, name: str) -> None:
    double = LINE[:-1] + f', "{name}": {{"reference": "Patient/p2"}}}}'
    found = ndjson(tmp_path, double)
    assert [one.events for one in found.values()] == [(), ()]
    assert all("stands twice" in one.gaps["*"] for one in found.values())
