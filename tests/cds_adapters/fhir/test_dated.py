"""A gap holds from when on what cannot be read might have counted, and in its kind alone."""

import json
from typing import Any

import pytest
from builders.records import a_variable, an_action

from cds_adapters.fhir.decode import DecodedBundle, decode_resource, merged
from cds_adapters.fhir.record import Horizons, record_of
from cds_adapters.fhir.times import read_instant
from cds_engine.history.event import BEGINNING, Record
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.gaps import gap_starts
from cds_engine.history.select import counts_from
from cds_engine.history.value import Missing

Json = dict[str, Any]
ACE, SBP, ASTHMA = "rxnorm|314076", "loinc|8480-6", "snomed|195967001"
SYSTEMS = {"rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm", "loinc": "http://loinc.org",
           "snomed": "http://snomed.info/sct"}  # fmt: skip
LATER = "2024-09-01T10:00:00Z"
AGES_LATER = "2025-02-01T00:00:00Z"


def coded(code: str) -> Json:
    system, _, name = code.partition("|")
    return {"coding": [{"system": SYSTEMS[system], "code": name}]}


DRUG: Json = {"medicationCodeableConcept": coded(ACE)}
WHOLE: dict[str, Json] = {
    "Observation": {"status": "final", "code": coded(SBP), "effectiveDateTime": LATER,
                    "valueQuantity": {"value": 152}},
    "Condition": {"code": coded(ASTHMA), "recordedDate": LATER},
    "AllergyIntolerance": {"code": coded(ACE), "recordedDate": LATER},
    "MedicationRequest": {"status": "active", "intent": "order", "authoredOn": LATER, **DRUG},
    "MedicationStatement": {"status": "active", "effectiveDateTime": LATER, **DRUG},
    "MedicationDispense": {"status": "completed", "whenHandedOver": LATER, **DRUG},
    "MedicationAdministration": {"status": "completed", "effectiveDateTime": LATER, **DRUG},
    "Procedure": {"status": "completed", "code": coded(ASTHMA), "performedDateTime": LATER},
    "ServiceRequest": {"status": "active", "intent": "order", "code": coded(ASTHMA),
                       "authoredOn": LATER},
    "CarePlan": {"status": "active", "intent": "plan", "category": [coded(ASTHMA)],
                 "created": LATER},
    "Encounter": {"status": "finished", "type": [coded(ASTHMA)], "period": {"start": LATER}},
}  # fmt: skip
"""One resource of each type, which says that it was at ``LATER``."""

TWICE = f'"issued":"{LATER}","issued":"{LATER}","id"'
PATIENT: Json = {"resourceType": "Patient", "id": "p1", "birthDate": "1960-03-01"}


def a(kind: str, name: str = "x", **fields: Any) -> Json:
    about = "patient" if kind == "AllergyIntolerance" else "subject"
    usual = {"resourceType": kind, "id": name, about: {"reference": "Patient/p1"}, **WHOLE[kind]}
    return {key: value for key, value in (usual | fields).items() if value is not None}


def record(*resources: Json | bytes) -> Record:
    return record_of(merged(map(decoded, (PATIENT, *resources))), "p1")


def decoded(resource: Json | bytes) -> DecodedBundle:
    body = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
    return decode_resource(body, "line", unique=True)


def starts(*resources: Json | bytes) -> dict[str, int]:
    found = record(*resources)
    assert found.gaps, found.set_aside
    return gap_starts(found)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"modifierExtension": [{"url": "urn:not"}]}, id="not used"),
        pytest.param({"implicitRules": 5}, id="not decoded"),
        pytest.param({"id": None}, id="without an id"),
    ],
)
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"meta": {"lastUpdated": AGES_LATER}},
        {"meta": {"versionId": "2", "lastUpdated": AGES_LATER}},
    ],
)
def test_a_gap_begins_when_the_event_would_have_counted(kind: str, fault: Json, said: Json) -> None:
    events = record(a(kind, **said)).events
    since = min(map(counts_from, events))
    assert set(starts(a(kind, **said, **fault)).values()) == {since}


@pytest.mark.parametrize("kind", sorted(set(WHOLE) - {"Condition", "AllergyIntolerance"}))
@pytest.mark.parametrize("status", ["bogus", None, 5])
def test_so_does_one_that_a_strange_status_leaves(kind: str, status: object) -> None:
    assert set(starts(a(kind, status=status)).values()) == {read_instant(LATER)}


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity", '"152"'])
def test_a_number_that_is_none_leaves_a_gap_in_its_code_from_then_on(number: str) -> None:
    line = json.dumps(a("Observation")).replace("152", number).encode()
    assert starts(line) == {f"observation:{SBP}": read_instant(LATER)}


@pytest.mark.parametrize("kind", ["MedicationRequest", "MedicationDispense"])
def test_an_order_of_nobody_knows_what_leaves_a_gap_in_its_kind_from_then_on(kind: str) -> None:
    unknown: Json = {"medicationReference": {"reference": "Medication/none"}}
    order = a(kind, medicationCodeableConcept=None, **unknown)
    key = "kind:request" if kind == "MedicationRequest" else "kind:dispense"
    assert starts(order) == {key: read_instant(LATER)}


def test_without_a_subject_it_is_missing_from_then_on() -> None:
    assert set(starts(a("Observation", subject=None)).values()) == {read_instant(LATER)}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(a("Observation", effectiveDateTime="then", status="bogus"), id="not a time"),
        pytest.param(a("Observation", effectiveDateTime=5), id="not even text"),
        pytest.param(a("Observation", effectiveDateTime=None, status="bogus"), id="none"),
        pytest.param(json.dumps(a("Observation")).encode()[:-9], id="a line that is cut"),
        pytest.param(
            json.dumps(a("Observation")).replace('"id"', TWICE).encode(), id="a time twice"
        ),
    ],
)  # fmt: skip
def test_what_does_not_say_when_was_missing_all_along(broken: Json | bytes) -> None:
    assert set(starts(broken).values()) == {BEGINNING}


def test_what_is_listed_counts_from_when_it_was_recorded_whatever_its_onset() -> None:
    onset: Json = {"onsetDateTime": "2030-01-01", "clinicalStatus": 5}
    assert set(starts(a("Condition", **onset)).values()) == {read_instant(LATER)}


def test_a_later_version_that_cannot_be_read_is_missing_from_when_it_was_stored() -> None:
    first = a("Observation", meta={"versionId": "1", "lastUpdated": LATER})
    second: Json = {"meta": {"versionId": "2", "lastUpdated": AGES_LATER}, "status": "bogus"}
    found = starts(first, a("Observation", **second))
    assert found == {f"observation:{SBP}": read_instant(AGES_LATER)}


def test_from_when_a_mark_hides_an_earlier_version_something_is_missing() -> None:
    first = a("Observation", meta={"versionId": "1"})
    second = a("Observation", meta={"versionId": "2"}, status="bogus", effectiveDateTime=AGES_LATER)
    found = record(first, second)
    pressure = {"x": a_variable(codes=[SBP], take="count")}
    for at in (LATER, "2024-12-01T00:00:00Z", AGES_LATER):
        finding = HistoryTaker(pressure, {}).take(found, read_instant(at)).findings["x"]
        assert isinstance(finding, Missing)
        assert finding.reason == "incomplete"


def test_a_gap_grows_as_more_is_missing() -> None:
    early: Json = {"effectiveDateTime": "2024-01-01T00:00:00Z", "status": "bogus"}
    found = record(a("Observation", "o1", **early), a("Observation", "o2", status="bogus"))
    [first, second] = found.gap_times[f"observation:{SBP}"]
    assert (first.since, second.since) == (
        read_instant("2024-01-01T00:00:00Z"), read_instant(LATER),
    )  # fmt: skip
    assert "o1" in first.words
    assert "o2" not in first.words
    assert found.gaps[f"observation:{SBP}"] == second.words
    assert "o2" in second.words


def test_a_gap_of_the_whole_export_is_there_from_the_beginning() -> None:
    gaps = {f"observation:{SBP}": "no file"}
    body = merged(map(decoded, (PATIENT, a("Observation", status="bogus"))))
    [first, second] = record_of(body, "p1", gaps=gaps).gap_times[f"observation:{SBP}"]
    assert (first.since, first.words) == (BEGINNING, "no file")
    assert second.since == read_instant(LATER)


def test_an_allergy_that_cannot_be_read_leaves_the_course_alone() -> None:
    action = an_action("Start it", seen_as=[ACE])
    variables = {
        "step": a_variable("course"),
        "allergic": a_variable("allergy", codes=[ACE], absent=False),
    }
    found = record(a("AllergyIntolerance", clinicalStatus=5))
    state = HistoryTaker(variables, {"start": action}).take(found, read_instant(AGES_LATER)).state()
    assert state == {"step": "none", "allergic": None}


# --- death


@pytest.mark.parametrize(
    ("dead", "stored", "by", "known"),
    [
        ({"deceasedBoolean": True}, AGES_LATER, None, AGES_LATER),
        ({"deceasedBoolean": True}, None, None, None),
        ({"deceasedBoolean": True}, None, LATER, LATER),
        ({"deceasedDateTime": "2024"}, AGES_LATER, LATER, LATER),
        ({"deceasedDateTime": "2024"}, LATER, AGES_LATER, LATER),
        ({"deceasedBoolean": False}, AGES_LATER, None, None),
        ({}, AGES_LATER, LATER, None),
    ],
)
def test_a_death_is_known_once_it_is_stored_or_served(
    dead: Json, stored: str | None, by: str | None, known: str | None
) -> None:
    meta = {} if stored is None else {"meta": {"lastUpdated": stored}}
    at: Horizons | None = None if by is None else (read_instant(by), {})
    person = record_of(decoded({**PATIENT, **dead, **meta}), "p1", at=at).person
    assert person.death_known == (None if known is None else read_instant(known))


def test_whoever_is_dead_is_dead_when_served() -> None:
    for dead in ({"deceasedBoolean": True}, {"deceasedDateTime": "2024"}):
        for meta in ({}, {"meta": {"lastUpdated": AGES_LATER}}):
            now = read_instant(LATER)
            found = record_of(decoded({**PATIENT, **dead, **meta}), "p1", at=(now, {}))
            assert HistoryTaker({}, {}).take(found, now).deceased
