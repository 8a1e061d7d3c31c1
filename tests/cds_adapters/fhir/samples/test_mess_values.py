"""What a mess writes is what its description promises."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from cds_adapters.fhir.samples import MESSES, SamplePatient, make_mess, sample_patient, to_ndjson
from cds_adapters.fhir.samples.codes import PRESSURE_PANEL, SYSTOLIC, has_code


def messed_up(name: str) -> tuple[SamplePatient, SamplePatient]:
    before = sample_patient(MESSES[name].story)
    return before, make_mess(before, name)


def panels(patient: SamplePatient) -> list[dict[str, Any]]:
    return [r for r in patient.resources if has_code(r, PRESSURE_PANEL)]


def systolic(panel: dict[str, Any]) -> Any:
    (component,) = (c for c in panel["component"] if has_code(c, SYSTOLIC))
    return component["valueQuantity"]["value"]


def resource(patient: SamplePatient, kind: str) -> dict[str, Any]:
    return next(r for r in patient.resources if r["resourceType"] == kind)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_text_unit_is_mmhg() -> None:
    quantities = [
        c["valueQuantity"]
        for p in panels(messed_up("bp-text-unit-only")[1])
        for c in p["component"]
    ]
    assert all(quantity.keys() == {"value", "unit"} for quantity in quantities)
    assert {quantity["unit"] for quantity in quantities} == {"mmHg"}


def test_potassium_in_milligrams_is_the_same_amount() -> None:
    before, after = messed_up("mgdl-for-mmoll")
    for old, new in zip(before.resources, after.resources, strict=True):
        if old != new:
            moles, mass = old["valueQuantity"]["value"], new["valueQuantity"]["value"]
            assert mass / 3.9098 == pytest.approx(moles, abs=0.02)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("date-only", "%Y-%m-%d"), ("month-only", "%Y-%m"), ("no-offset", "%Y-%m-%dT%H:%M:%S")],
)
def test_times_are_cut(name: str, pattern: str) -> None:
    before, after = messed_up(name)
    for old, new in zip(panels(before), panels(after), strict=True):
        assert new["effectiveDateTime"] == at(old["effectiveDateTime"]).strftime(pattern)


def test_birth_is_a_year() -> None:
    before, after = messed_up("year-only-birth")
    assert after.resources[0]["birthDate"] == before.resources[0]["birthDate"][:4]


def test_offsets_differ_and_instants_do_not() -> None:
    before, after = messed_up("utc-offsets")
    for key in ("effectiveDateTime", "issued"):
        old, new = ([panel[key] for panel in panels(p)] for p in (before, after))
        assert [at(text) for text in new] == [at(text) for text in old]
        assert [text[-6:] for text in new] == ["+14:00", "-11:00", "+05:30"]


def test_the_dead_are_measured_an_hour_later() -> None:
    patient = messed_up("after-death")[1]
    last = panels(patient)[-1]["effectiveDateTime"]
    assert at(last) - at(patient.resources[0]["deceasedDateTime"]) == timedelta(hours=1)


def test_the_future_reading_was_issued_before_it_was_taken() -> None:
    last = panels(messed_up("future-dated")[1])[-1]
    assert at(last["effectiveDateTime"]) - at(last["issued"]) > timedelta(days=3640)


def test_stale_readings_are_three_years_older_than_any_visit() -> None:
    patient = messed_up("stale")[1]
    for panel in panels(patient):
        assert at(patient.visits[0]) - at(panel["effectiveDateTime"]) > timedelta(days=900)
        assert at(panel["issued"]) - at(panel["effectiveDateTime"]) == timedelta(minutes=1)


def test_the_drug_precedes_every_observation() -> None:
    patient = messed_up("before-first-observation")[1]
    ordered = at(resource(patient, "MedicationRequest")["authoredOn"])
    taken = [r["effectiveDateTime"] for r in patient.resources if "effectiveDateTime" in r]
    assert all(ordered < at(text) for text in taken)


def test_a_repeated_row_is_the_same_and_a_repeated_reading_has_another_id() -> None:
    *_, last, again = panels(messed_up("repeated-row")[1])
    assert again == last
    *_, last, again = panels(messed_up("repeated-reading")[1])
    assert again == last | {"id": again["id"]}
    assert again["id"] != last["id"]


def test_contradictory_readings_lie_on_both_sides_of_every_threshold() -> None:
    *_, last, other = panels(messed_up("contradictory-reading")[1])
    assert last["effectiveDateTime"] == other["effectiveDateTime"]
    assert systolic(last) - systolic(other) == 45
    assert systolic(other) < 130
    assert systolic(last) >= 140


def test_the_amended_version_is_known_before_the_visit_decides() -> None:
    patient = messed_up("amended")[1]
    *_, first, second = panels(patient)
    assert second["id"] == first["id"]
    assert (second["meta"]["versionId"], second["status"]) == ("2", "amended")
    assert second["meta"]["lastUpdated"] == second["issued"]
    assert at(first["issued"]) < at(second["issued"]) < at(patient.visits[-1])
    assert systolic(first) - systolic(second) == 45


def test_a_huge_record_has_its_own_id_for_every_copy() -> None:
    copies = panels(messed_up("huge")[1])
    assert len({panel["id"] for panel in copies}) == 3 + 1000


@pytest.mark.parametrize(
    ("name", "first"), [("reversed-order", "Encounter"), ("shuffled-order", None)]
)
def test_the_patient_is_no_longer_first(name: str, first: str | None) -> None:
    before, after = messed_up(name)
    kinds = [r["resourceType"] for r in after.resources]
    assert kinds[0] != "Patient"
    assert first is None or after.resources == before.resources[::-1]
    assert sorted(kinds) == sorted(r["resourceType"] for r in before.resources)


def test_pressure_in_two_keeps_every_value_and_time() -> None:
    before, after = messed_up("pressure-in-two")
    split = [r for r in after.resources if r["id"].endswith("-8480-6")]
    assert [r["valueQuantity"]["value"] for r in split] == [systolic(p) for p in panels(before)]
    assert [r["issued"] for r in split] == [p["issued"] for p in panels(before)]
    assert not panels(after)


def test_a_drug_moves_into_the_medication_that_is_referred_to() -> None:
    before, after = messed_up("medication-reference")
    order, medication = resource(after, "MedicationRequest"), resource(after, "Medication")
    assert order["medicationReference"]["reference"] == f"Medication/{medication['id']}"
    drug = resource(before, "MedicationRequest")["medicationCodeableConcept"]
    assert medication["code"] == drug
    inside = resource(messed_up("medication-contained")[1], "MedicationRequest")
    assert inside["contained"][0]["code"] == drug


def test_urns_lead_to_the_resource_with_that_id() -> None:
    patient = messed_up("urn-uuid")[1]
    ids = {r["id"] for r in patient.resources}
    assert patient.id == patient.resources[0]["id"]
    for other in patient.resources[1:]:
        assert other["subject"]["reference"] == f"urn:uuid:{patient.id}"
        if "encounter" in other:
            assert other["encounter"]["reference"].removeprefix("urn:uuid:") in ids


def test_absolute_references_name_the_server() -> None:
    patient = messed_up("absolute-reference")[1]
    subjects = {r["subject"]["reference"] for r in patient.resources[1:]}
    assert subjects == {f"https://ehr.example/fhir/Patient/{patient.id}"}


def test_a_number_too_large_reaches_the_wire_as_a_bare_number() -> None:
    text = to_ndjson([messed_up("number-too-large")[1]])["Observation.ndjson"]
    assert text.count('"value":1e999') == 3
    assert (
        sum(
            "Infinity" in str(json.loads(line)) or "inf" in str(json.loads(line))
            for line in text.splitlines()
        )
        == 3
    )


def test_not_a_number_reaches_the_wire_as_the_bare_token() -> None:
    text = to_ndjson([messed_up("nan-like")[1]])["Observation.ndjson"]
    assert text.count('"value":NaN') == 3


def test_strings_are_hostile_in_several_ways() -> None:
    text = "".join(to_ndjson([messed_up("hostile-strings")[1]]).values())
    for danger in ("<script>", "javascript:", "\u202e", "\\u001b", "\\r\\n"):
        assert danger in text
