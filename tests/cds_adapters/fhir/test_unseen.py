"""A later version alone leaves open what the earlier ones said, from its own time until stored."""

import json
from typing import Any

import pytest
from builders.records import a_variable, an_action

from cds_adapters.fhir.decode import decode_resource, merged
from cds_adapters.fhir.record import record_of
from cds_adapters.fhir.times import read_instant
from cds_adapters.fhir.unseen import UNSEEN, WHY
from cds_engine.history.event import Record
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.value import Finding, Known, Missing
from cds_engine.vocabulary.variable import Variable

Json = dict[str, Any]
LATER, BETWEEN, STORED = "2024-09-01T10:00:00Z", "2024-12-01T00:00:00Z", "2025-02-01T00:00:00Z"
META: Json = {"meta": {"versionId": "2", "lastUpdated": STORED}}
DRUG, SBP, PROBLEM = "rxnorm|314076", "loinc|8480-6", "snomed|195967001"
SYSTEMS = {"rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm", "loinc": "http://loinc.org",
           "snomed": "http://snomed.info/sct"}  # fmt: skip


def coded(code: str) -> Json:
    system, _, name = code.partition("|")
    return {"coding": [{"system": SYSTEMS[system], "code": name}]}


def a(kind: str, **fields: Any) -> Json:
    about = "patient" if kind == "AllergyIntolerance" else "subject"
    usual = {"resourceType": kind, "id": "x", about: {"reference": "Patient/p1"}}
    return usual | WHOLE[kind] | fields


WHOLE: dict[str, Json] = {
    "Observation": {"status": "final", "code": coded(SBP), "effectiveDateTime": LATER,
                    "valueQuantity": {"value": 152, "system": "http://unitsofmeasure.org",
                                      "code": "mm[Hg]"}},
    "Condition": {"code": coded(PROBLEM), "recordedDate": LATER},
    "AllergyIntolerance": {"code": coded(DRUG), "recordedDate": LATER},
    "MedicationRequest": {"status": "active", "intent": "order", "authoredOn": LATER,
                          "medicationCodeableConcept": coded(DRUG)},
    "MedicationStatement": {"status": "active", "effectiveDateTime": LATER,
                            "medicationCodeableConcept": coded(DRUG)},
    "MedicationDispense": {"status": "completed", "whenHandedOver": LATER,
                           "medicationCodeableConcept": coded(DRUG)},
    "MedicationAdministration": {"status": "completed", "effectiveDateTime": LATER,
                                 "medicationCodeableConcept": coded(DRUG)},
    "Procedure": {"status": "completed", "code": coded(PROBLEM), "performedDateTime": LATER},
    "ServiceRequest": {"status": "active", "intent": "order", "code": coded(PROBLEM),
                       "authoredOn": LATER},
    "CarePlan": {"status": "active", "intent": "plan", "category": [coded(PROBLEM)],
                 "created": LATER},
    "Encounter": {"status": "finished", "class": {"system": "urn:any", "code": "x"},
                  "type": [coded(PROBLEM)], "period": {"start": LATER, "end": LATER}},
}  # fmt: skip

ASKED: dict[str, Variable] = {
    "Observation": a_variable(codes=[SBP]),
    "Condition": a_variable("condition", codes=[PROBLEM], absent=False),
    "AllergyIntolerance": a_variable("allergy", codes=[DRUG], absent=False),
    "MedicationRequest": a_variable("course"),
    "MedicationDispense": a_variable("course"),
    "MedicationAdministration": a_variable("course"),
    "MedicationStatement": a_variable("medication", codes=[DRUG], absent=False),
    "Procedure": a_variable("procedure", codes=[PROBLEM], take="ever", absent=False),
    "ServiceRequest": a_variable("course"),
    "CarePlan": a_variable("course"),
}
"""Type -> a variable that is read from it; of encounters only elapsed time is."""

ACTIONS = {"start": an_action("Start it", seen_as=[DRUG, PROBLEM])}


def record(*resources: Json) -> Record:
    person = {"resourceType": "Patient", "id": "p1", "birthDate": "1960-03-01"}
    bodies = [decode_resource(json.dumps(one).encode(), "line", unique=True)
              for one in (person, *resources)]  # fmt: skip
    return record_of(merged(bodies), "p1")


def found(variable: Variable, at: str, *resources: Json) -> Finding:
    taker = HistoryTaker({"x": variable}, ACTIONS)
    return taker.take(record(*resources), read_instant(at)).findings["x"]


@pytest.mark.parametrize("kind", ASKED)
def test_until_the_later_version_was_stored_it_is_open(kind: str) -> None:
    variable = ASKED[kind]
    before = found(variable, "2024-08-01T00:00:00Z", a(kind, **META))
    assert before == found(variable, "2024-08-01T00:00:00Z")
    between = found(variable, BETWEEN, a(kind, **META))
    assert isinstance(between, Missing)
    assert between.reason == "unresolved"
    assert found(variable, STORED, a(kind, **META)) == found(variable, STORED, a(kind))


def test_an_encounter_is_there_and_in_doubt_until_it_was_stored() -> None:
    now, first = record(a("Encounter", **META)).events
    assert (now.version[0], now.doubt) == (2, False)
    assert (first.version, first.recorded, first.doubt) == (UNSEEN, read_instant(LATER), True)


@pytest.mark.parametrize("kind", WHOLE)
def test_a_first_version_and_one_that_tells_no_time_of_its_own_stand_alone(kind: str) -> None:
    once: Json = {"meta": {"versionId": "1", "lastUpdated": STORED}}
    assert len(record(a(kind, **once)).events) == 1
    assert len(record(a(kind)).events) == 1


@pytest.mark.parametrize("kind", sorted(set(ASKED) - {"Observation"}))
def test_what_says_of_no_time_when_it_was_may_always_have_been(kind: str) -> None:
    bare = {"resourceType", "id", "subject", "patient", "code", "status", "intent", "category",
            "medicationCodeableConcept"}  # fmt: skip
    timeless = {name: value for name, value in a(kind).items() if name in bare}
    once: Json = {"meta": {"versionId": "1", "lastUpdated": STORED}}
    assert found(ASKED[kind], BETWEEN, timeless | once) == found(ASKED[kind], BETWEEN)
    long_ago = found(ASKED[kind], "2000-01-01T00:00:00Z", timeless | META)
    assert isinstance(long_ago, Missing)
    assert long_ago.reason == "unresolved"


def test_with_its_first_version_nothing_is_open() -> None:
    first = a("Condition", meta={"versionId": "1", "lastUpdated": LATER})
    assert len(record(first, a("Condition", **META)).events) == 2
    assert found(ASKED["Condition"], BETWEEN, first, a("Condition", **META)) == found(
        ASKED["Condition"], BETWEEN, first
    )


def test_of_several_later_versions_the_first_was_not_the_first() -> None:
    third: Json = {"meta": {"versionId": "3", "lastUpdated": "2025-06-01T00:00:00Z"}}
    both = (a("Condition", **third), a("Condition", **META))
    between = found(ASKED["Condition"], BETWEEN, *both)
    assert isinstance(between, Missing)
    assert isinstance(found(ASKED["Condition"], STORED, *both), Known)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("Observation", {"status": "entered-in-error"}), ("Observation", {"status": "corrected"}),
     ("MedicationRequest", {"status": "cancelled"}),
     ("Condition", {"verificationStatus": {"coding": [{"code": "refuted"}]}})],
)  # fmt: skip
def test_what_was_taken_back_later_may_have_stood_before(kind: str, status: Json) -> None:
    """Also where versions are not numbered: the status says that there was another one."""
    stored: Json = {"meta": {"lastUpdated": STORED}}
    between = found(ASKED[kind], BETWEEN, a(kind, **status, **stored))
    assert isinstance(between, Missing)
    assert between.reason == "unresolved"


def test_what_is_over_now_may_have_been_under_way() -> None:
    over = a("Condition", clinicalStatus={"coding": [{"code": "resolved"}]},
             abatementDateTime="2024-10-01", **META)  # fmt: skip
    between = found(ASKED["Condition"], BETWEEN, over)
    assert isinstance(between, Missing)


def test_a_sure_entry_beside_it_decides() -> None:
    other = a("Condition", id="y", recordedDate="2024-01-01T00:00:00Z")
    assert found(ASKED["Condition"], BETWEEN, other, a("Condition", **META)) == found(
        ASKED["Condition"], BETWEEN, other
    )


def test_the_reason_of_a_reading_is_told() -> None:
    between = found(ASKED["Observation"], BETWEEN, a("Observation", **META))
    assert isinstance(between, Missing)
    assert WHY in between.detail
