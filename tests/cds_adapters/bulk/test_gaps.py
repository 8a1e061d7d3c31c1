"""What an export lacks leaves open what is read from it, from when it could have counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders.records import LIFESTYLE, LISINOPRIL, SBP
from builders.replays import example_files, lines, rows_of, run, write

from cds_adapters.bulk.eventfiles import write_event_files
from cds_adapters.bulk.records import read_records
from cds_adapters.fhir import files
from cds_engine.replay.points import Patient

Json = dict[str, Any]
SYSTEMS = {"rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm", "loinc": "http://loinc.org",
           "snomed": "http://snomed.info/sct"}  # fmt: skip
ALL = ("AllergyIntolerance", "Condition", "MedicationRequest", "Observation", "Procedure")
VISIT, LATER = "2024-03-01T10:00:00Z", "2024-09-01T10:00:00Z"
PRESSURE = {"from": "observation", "codes": [SBP], "unit": "mm[Hg]", "within": "P30D"}
STEP = {"from": "course", "take": "latest_action"}
ALLERGIC = {"from": "allergy", "codes": [LISINOPRIL], "absent": False}


def coded(code: str) -> Json:
    system, _, name = code.partition("|")
    return {"coding": [{"system": SYSTEMS[system], "code": name}]}


def a(kind: str, name: str, **fields: Any) -> Json:
    about = "patient" if kind == "AllergyIntolerance" else "subject"
    return {"resourceType": kind, "id": name, about: {"reference": "Patient/p1"}, **fields}


PATIENT: Json = {"resourceType": "Patient", "id": "p1", "birthDate": "1960-01-01"}
ENCOUNTER = a("Encounter", "e1", status="finished", period={"start": VISIT, "end": VISIT},
              **{"class": {"system": "urn:act", "code": "AMB"}})  # fmt: skip
READING = a("Observation", "o1", status="final", code=coded(SBP),
            effectiveDateTime="2024-02-28T10:00:00Z",
            valueQuantity={"value": 152, "system": "http://unitsofmeasure.org",
                           "code": "mm[Hg]"})  # fmt: skip


def a_regime(**variables: Json) -> tuple[tuple[str, bytes], ...]:
    """Return a regime that starts the drug at a high pressure, whatever else it reads."""
    rule = [{"when": "sbp >= 140", "then": "drug", "because": "It is high."}, {"otherwise": "wait"}]
    return example_files(
        population="true",
        variables={"sbp": PRESSURE, **variables},
        actions={
            "advice": {"label": "Advise", "seen_as": [LIFESTYLE]},
            "drug": {"label": "Start it", "seen_as": [LISINOPRIL]},
            "wait": {"label": "Wait", "change": False},
        },
        safeguards=[],
        stages=[{"stage": "only", "when": "true", "choose": ["drug", "wait"], "rule": rule}],
    )


def replayed(
    tmp_path: Path, *resources: Json | str, complete: tuple[str, ...] = ALL, **variables: Json
) -> tuple[Json, Any]:
    """Replay a few resources; return the row of the only visit, and what the replay said."""
    written = (one if isinstance(one, str) else lines([one]) for one in resources)
    body = lines([PATIENT, ENCOUNTER, READING]) + "".join(written)
    data = write(tmp_path / "data", {"export.ndjson": body})
    found = run(
        data, tmp_path / "out", bundles=(a_regime(**variables),), complete=complete,
        max_damaged=1.0,
    )  # fmt: skip
    assert found.manifest["checked_again"]["differences"] == 0
    [row] = rows_of(tmp_path / "out")
    return row, found


def test_no_allergy_list_leaves_the_allergy_open_and_the_course_alone(tmp_path: Path) -> None:
    rest = tuple(set(ALL) - {"AllergyIntolerance"})
    row, found = replayed(tmp_path, complete=rest, allergic=ALLERGIC, step=STEP)
    assert (row["allergic.state"], row["step.state"]) == ("incomplete", "known")
    assert found.manifest["gaps"] == {
        f"allergy:{LISINOPRIL}": "the export holds no AllergyIntolerance"
    }


def test_without_orders_nobody_knows_what_was_done_with_or_without_a_course(
    tmp_path: Path,
) -> None:
    _, found = replayed(tmp_path, complete=("Observation",))
    kinds = {key.partition(":")[0] for key in found.manifest["gaps"] if key.endswith(LISINOPRIL)}
    assert kinds == {"request", "statement", "dispense", "administration"}
    kinds = {key.partition(":")[0] for key in found.manifest["gaps"] if key.endswith(LIFESTYLE)}
    assert kinds == {"procedure", "service"}
    drugs = [words for words in found.warnings if "no MedicationRequest" in words]
    deeds = [words for words in found.warnings if "no Procedure" in words]
    assert "action drug incomplete for every patient" in drugs[0]
    assert "action advice incomplete for every patient" in deeds[0]
    assert len(drugs) == len(deeds) == 1


def test_an_export_that_is_complete_lacks_no_orders(tmp_path: Path) -> None:
    _, found = replayed(tmp_path)
    assert found.manifest["gaps"] == {}
    assert not [words for words in found.warnings if "holds no Med" in words]


ORDER = a("MedicationRequest", "m1", status="active", intent="order", authoredOn=LATER)
DRUG = {"medicationCodeableConcept": coded(LISINOPRIL)}
LOST = {"medicationReference": {"reference": "Medication/none"}}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({**ORDER, **LOST}, id="a product that cannot be found"),
        pytest.param({**ORDER, **DRUG, "status": "bogus"}, id="a strange status"),
        pytest.param({**ORDER, **DRUG, "status": 5}, id="a status that is no text"),
    ],
)
def test_what_cannot_be_read_of_later_changes_nothing_now(tmp_path: Path, broken: Json) -> None:
    row, _ = replayed(tmp_path / "later", broken, step=STEP)
    assert (row["step.state"], row["decision.action"]) == ("known", "drug")
    before = {**broken, "authoredOn": "2024-02-01T10:00:00Z"}
    row, _ = replayed(tmp_path / "before", before, step=STEP)
    assert row["step.state"] == "incomplete"


@pytest.mark.parametrize("number", ["1e999", "NaN"])
def test_nor_does_a_number_of_later_that_is_none(tmp_path: Path, number: str) -> None:
    later = {**READING, "id": "o2", "effectiveDateTime": LATER}
    row, _ = replayed(tmp_path / "later", lines([later]).replace("152", number))
    assert (row["sbp"], row["decision.action"]) == (152, "drug")
    before = {**READING, "id": "o2", "effectiveDateTime": "2024-02-28T11:00:00Z"}
    row, _ = replayed(tmp_path / "before", lines([before]).replace("152", number))
    assert row["sbp.state"] == "incomplete"


@pytest.mark.parametrize(
    ("death", "outcome"),
    [
        ({"deceasedBoolean": True, "meta": {"lastUpdated": LATER}}, "recommendation"),
        ({"deceasedBoolean": True, "meta": {"lastUpdated": VISIT}}, "not_applicable"),
        ({"deceasedBoolean": True}, "not_applicable"),
        ({"deceasedDateTime": "2024"}, "recommendation"),
        ({"deceasedDateTime": "2024-02"}, "not_applicable"),
        ({"deceasedDateTime": "2024-03-01"}, "not_applicable"),
    ],
)
def test_nobody_is_dead_before_it_is_known(tmp_path: Path, death: Json, outcome: str) -> None:
    body = json.dumps({**PATIENT, **death}) + "\n" + lines([ENCOUNTER, READING])
    data = write(tmp_path / "data", {"export.ndjson": body})
    run(data, tmp_path / "out", bundles=(a_regime(),), complete=ALL)
    assert [row["decision.outcome"] for row in rows_of(tmp_path / "out")] == [outcome]


def test_event_files_tell_since_when_a_death_is_known(tmp_path: Path) -> None:
    dead = {**PATIENT, "deceasedBoolean": True, "meta": {"lastUpdated": LATER}}
    [(_, record)] = files.read_records(write(tmp_path / "one", {"Patient.ndjson": lines([dead])}))
    write_event_files(tmp_path / "data", [Patient(record)])
    [(_, again)] = read_records(str(tmp_path / "data"))
    assert again.person == record.person
    assert again.person.death_known is not None
