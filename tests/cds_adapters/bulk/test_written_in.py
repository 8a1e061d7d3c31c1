"""Whose an order is rests on the version of it that was known, in whatever order lines stand."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from builders.replays import AT_END, rows_of, run, write

from cds_adapters.bulk.eventfiles import write_event_files
from cds_adapters.bulk.patients import written_in
from cds_adapters.fhir.decode import decode_resource
from cds_adapters.fhir.unseen import UNSEEN
from cds_engine.history.event import Event, Person, Record, Time
from cds_engine.replay.points import Patient
from cds_engine.vocabulary.time import HOUR

Json = dict[str, Any]
SUBJECT = {"reference": "Patient/1"}
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def meta(version: str, stored: str) -> Json:
    return {"meta": {"versionId": version, "lastUpdated": stored}}


def a_visit(name: str, day: str, **given: Any) -> Json:
    return {
        "resourceType": "Encounter", "id": name, "status": "finished", "subject": SUBJECT,
        "class": {"system": ACT, "code": "AMB"},
        "period": {"start": f"{day}T10:00:00Z", "end": f"{day}T10:30:00Z"},
    } | given  # fmt: skip


def an_order(encounter: str | None, **given: Any) -> Json:
    named = {"encounter": {"reference": f"Encounter/{encounter}"}} if encounter else {}
    return {
        "resourceType": "MedicationRequest", "id": "1", "status": "active", "intent": "order",
        "subject": SUBJECT, "authoredOn": "2024-03-01T10:10:00Z",
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "314076"}]},
    } | named | given  # fmt: skip


def written(*resources: Json) -> dict[Any, str]:
    read = [decode_resource(json.dumps(one).encode(), "x:1") for one in resources]
    found = written_in([one for part in read for one in part.resources], {})
    return {key: name for key, name in found.items() if key[1] != UNSEEN}


def test_each_version_has_the_encounter_that_it_names() -> None:
    first = an_order("0", **meta("1", "2024-02-01T10:00:00Z"))
    second = an_order("1", **meta("2", "2024-06-01T10:00:00Z"))
    third = an_order(None, **meta("3", "2024-07-01T10:00:00Z"))
    found = written(first, second, third)
    assert found == {
        ("MedicationRequest/1", (1, "2024-02-01T10:00:00.000000")): "Encounter/0",
        ("MedicationRequest/1", (2, "2024-06-01T10:00:00.000000")): "Encounter/1",
    }
    assert all(written(*some) == found for some in permutations((first, second, third)))


def test_copies_that_disagree_name_the_same_encounter_in_any_order() -> None:
    copies = [an_order("7"), an_order("3"), an_order(None)]
    expected = {("MedicationRequest/1", (0, "")): "Encounter/3"}
    assert all(written(*some) == expected for some in permutations(copies))


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        ("MedicationRequest", "encounter"), ("MedicationDispense", "context"),
        ("MedicationAdministration", "context"), ("Procedure", "encounter"),
        ("ServiceRequest", "encounter"), ("CarePlan", "encounter"), ("Encounter", "partOf"),
    ],
)  # fmt: skip
def test_every_kind_of_act_names_its_encounter_and_an_encounter_what_it_is_part_of(
    kind: str, element: str
) -> None:
    one = {"resourceType": kind, "id": "5", element: {"reference": "Encounter/9"}}
    assert written(one) == {(f"{kind}/5", (0, "")): "Encounter/9"}


STAY = a_visit("stay", "2024-03-01", period={"start": "2024-03-01T08:00:00Z",
                                             "end": "2024-03-04T12:00:00Z"})  # fmt: skip
PERSON = {"resourceType": "Patient", "id": "1", "birthDate": "1960-01-01", "gender": "male"}


def replayed(folder: Path, *resources: Json) -> dict[str, list[str]]:
    """Return encounter -> what is withheld from its history."""
    lines: dict[str, list[str]] = {}
    for one in (PERSON, *resources):
        lines.setdefault(one["resourceType"], []).append(json.dumps(one))
    files = {f"{kind}.ndjson": "\n".join(some) + "\n" for kind, some in lines.items()}
    run(write(folder / "data", files), folder / "out", settings=AT_END)
    return {row["key.encounter"]: row["key.withheld"] for row in rows_of(folder / "out")}


@pytest.mark.parametrize("turned", [False, True])
def test_a_version_that_was_stored_after_a_decision_does_not_change_its_history(
    tmp_path: Path, *, turned: bool
) -> None:
    mine = an_order("1", **meta("1", "2024-03-01T10:10:00Z"))
    moved = an_order("2", **meta("2", "2024-06-01T10:00:00Z"))
    visits = [a_visit("1", "2024-03-01"), a_visit("2", "2024-07-01")]
    orders = (moved, mine) if turned else (mine, moved)
    assert replayed(tmp_path, *visits, *orders) == {
        "Encounter/1": ["MedicationRequest/1"], "Encounter/2": [],
    }  # fmt: skip


def test_an_order_whose_first_version_is_not_there_is_withheld_where_it_was_written(
    tmp_path: Path,
) -> None:
    later = an_order("1", **meta("2", "2024-06-01T10:00:00Z"))
    visits = [a_visit("1", "2024-03-01"), a_visit("2", "2024-04-01")]
    assert replayed(tmp_path, *visits, later) == {
        "Encounter/1": ["MedicationRequest/1"], "Encounter/2": [],
    }  # fmt: skip
    first, second = rows_of(tmp_path / "out")
    assert first["key.encounter"] == "Encounter/1"
    assert (first["step"], first["step.state"]) == ("none", "known")
    assert second["step.state"] == "unresolved"


def test_orders_of_a_part_are_withheld_from_the_whole_as_well(tmp_path: Path) -> None:
    ward = a_visit("ward", "2024-03-01", partOf={"reference": "Encounter/stay"})
    assert replayed(tmp_path, STAY, ward, an_order("ward")) == {
        "Encounter/stay": ["MedicationRequest/1"], "Encounter/ward": ["MedicationRequest/1"],
    }  # fmt: skip


def test_events_of_files_keep_the_encounter_of_each_version(tmp_path: Path) -> None:
    start = 19_783 * 24 * HOUR
    instants = [start + n * 1_000 * HOUR for n in range(2)]
    visits = [
        Event("encounter", ("act|AMB",), Time(at, at), at, f"Encounter/{n}", status="finished",
              until=Time(at + HOUR, at + HOUR))
        for n, at in enumerate(instants, 1)
    ]  # fmt: skip
    written_at = start + HOUR // 2
    order = [
        Event("request", ("rxnorm|314076",), Time(written_at, written_at), recorded, "Order/1",
              (version, ""), "active")
        for version, recorded in ((1, written_at), (2, instants[1]))
    ]  # fmt: skip
    names = {("Order/1", (1, "")): "Encounter/1", ("Order/1", (2, "")): "Encounter/2"}
    for turned in (False, True):
        events = (*visits, *(reversed(order) if turned else order))
        data, out = tmp_path / f"data{turned}", tmp_path / f"out{turned}"
        write_event_files(data, [Patient(Record(Person("1"), events), names)])
        run(data, out, settings=AT_END)
        said = {row["key.encounter"]: row["key.withheld"] for row in rows_of(out)}
        assert said == {"Encounter/1": ["Order/1"], "Encounter/2": ["Order/1"]}
