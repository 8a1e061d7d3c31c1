"""Every story yields what its description says, for many patients, and is clean R4."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from statistics import mean
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from cds_adapters.fhir.samples import STORIES, SamplePatient, sample_patient
from cds_adapters.fhir.samples.codes import PRESSURE_PANEL, STEPS, SYSTOLIC, Coding, has_code

NUMBERS = range(12)
HYPERTENSION = [name for name in STORIES if name.startswith("htn-")]
ACTIVITY = [name for name in STORIES if name.startswith("activity-")]
START = datetime(2025, 1, 6, tzinfo=UTC)


def tellings(story: str) -> Iterator[SamplePatient]:
    return (sample_patient(story, number) for number in NUMBERS)


def of_type(patient: SamplePatient, kind: str) -> list[dict[str, Any]]:
    return [r for r in patient.resources if r["resourceType"] == kind]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def visits(patient: SamplePatient) -> list[datetime]:
    return [at(visit) for visit in patient.visits]


def coded(patient: SamplePatient, kind: str) -> set[str]:
    return {r["code"]["coding"][0]["code"] for r in of_type(patient, kind)}


def observations(patient: SamplePatient, code: Coding) -> list[dict[str, Any]]:
    return [r for r in of_type(patient, "Observation") if has_code(r, code)]


def known_by(visit: datetime, resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in resources if at(r["meta"]["lastUpdated"]) <= visit]


def systolic(panel: dict[str, Any]) -> int:
    (component,) = (c for c in panel["component"] if has_code(c, SYSTOLIC))
    value: int = component["valueQuantity"]["value"]
    return value


def levels(patient: SamplePatient) -> list[str]:
    """Return whether the newest pressure known at each visit is high or normal."""
    panels = observations(patient, PRESSURE_PANEL)
    newest = [known_by(visit, panels)[-1] for visit in visits(patient)]
    return ["high" if systolic(p) >= 140 else "normal" if systolic(p) < 130 else "" for p in newest]


def mean_steps(patient: SamplePatient, visit: datetime) -> float:
    counts = known_by(visit, observations(patient, STEPS))
    week = [r for r in counts if visit - at(r["effectiveDateTime"]) <= timedelta(days=7)]
    assert len(week) == 7
    average: float = mean(r["valueQuantity"]["value"] for r in week)
    return average


@pytest.mark.parametrize("story", STORIES)
def test_a_story_has_one_line_of_description_and_its_own_name(story: str) -> None:
    assert STORIES[story].name == story
    assert STORIES[story].description.endswith(".")
    assert "\n" not in STORIES[story].description


@pytest.mark.parametrize("story", STORIES)
def test_every_resource_is_valid_r4(story: str) -> None:
    for patient in tellings(story):
        for resource in patient.resources:
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize("story", STORIES)
def test_the_patient_comes_first_and_everything_is_about_that_patient(story: str) -> None:
    for patient in tellings(story):
        person, *others = patient.resources
        assert (person["resourceType"], person["id"]) == ("Patient", patient.id)
        subjects = {(r.get("subject") or r["patient"])["reference"] for r in others}
        assert subjects == {f"Patient/{patient.id}"}


@pytest.mark.parametrize("story", STORIES)
def test_ids_are_legal_and_occur_once_and_references_lead_somewhere(story: str) -> None:
    for patient in (sample_patient(story, 0), sample_patient(story, 999_999)):
        names = [f"{r['resourceType']}/{r['id']}" for r in patient.resources]
        assert len(set(names)) == len(names)
        assert all(len(name.partition("/")[2]) <= 64 for name in names)
        for resource in patient.resources:
            referred = [resource.get("encounter"), *resource.get("reasonReference", [])]
            assert {r["reference"] for r in referred if r} <= set(names)


@pytest.mark.parametrize("story", STORIES)
def test_recording_follows_the_event_by_less_than_a_day(story: str) -> None:
    for resource in sample_patient(story).resources:
        recorded = at(resource["meta"]["lastUpdated"])
        for key in ("issued", "recordedDate", "authoredOn"):
            assert at(resource.get(key, recorded.isoformat())) == recorded
        if "effectiveDateTime" in resource:
            delay = recorded - at(resource["effectiveDateTime"])
            assert timedelta(0) < delay < timedelta(days=1)


@pytest.mark.parametrize("story", STORIES)
def test_every_visit_lies_within_an_ambulatory_encounter(story: str) -> None:
    for patient in tellings(story):
        encounters = of_type(patient, "Encounter")
        assert {e["class"]["code"] for e in encounters} == {"AMB"}
        periods = [(at(e["period"]["start"]), at(e["period"]["end"])) for e in encounters]
        for visit in visits(patient):
            assert sum(begins <= visit <= ends for begins, ends in periods) == 1


@pytest.mark.parametrize("story", HYPERTENSION)
def test_hypertension_is_known_at_every_visit_and_the_adult_is_of_age(story: str) -> None:
    ages = {34} if story == "htn-pregnant" else set(range(40, 76))
    for patient in tellings(story):
        known = known_by(visits(patient)[0], of_type(patient, "Condition"))
        assert "59621000" in {c["code"]["coding"][0]["code"] for c in known}
        born = date.fromisoformat(patient.resources[0]["birthDate"])
        for visit in visits(patient):
            birthday_to_come = (visit.month, visit.day) < (born.month, born.day)
            assert visit.year - born.year - birthday_to_come in ages


@pytest.mark.parametrize("story", [*HYPERTENSION, "normotensive"])
def test_bloods_of_the_last_week_are_known_at_the_first_visit(story: str) -> None:
    for patient in tellings(story):
        first = visits(patient)[0]
        known = known_by(first, of_type(patient, "Observation"))
        assert {"6298-4", "38483-4", "33914-3"} <= {r["code"]["coding"][0]["code"] for r in known}


@pytest.mark.parametrize(
    ("story", "expected", "advised", "prescribed"),
    [
        ("htn-uncontrolled", ["high", "high", "high"], True, True),
        ("htn-controlled", ["high", "normal", "normal"], True, False),
        ("htn-controlled-on-drug", ["high", "high", "normal"], True, True),
        ("htn-between-visits", ["high", "high"], True, True),
        ("htn-pregnant", ["high", "high"], True, False),
        ("htn-high-potassium", ["high", "high"], True, False),
        ("htn-ace-cough", ["high", "high", "high"], True, True),
        ("normotensive", ["normal"], False, False),
    ],
)
def test_course(story: str, expected: list[str], advised: bool, prescribed: bool) -> None:
    for patient in tellings(story):
        assert levels(patient) == expected
        assert coded(patient, "Procedure") == ({"443402002"} if advised else set())
        assert len(of_type(patient, "MedicationRequest")) == prescribed


@pytest.mark.parametrize("story", ["htn-uncontrolled", "htn-controlled", "htn-ace-cough"])
def test_the_visits_are_at_the_start_and_at_13_and_26_weeks(story: str) -> None:
    for patient in tellings(story):
        days = [(visit.date() - START.date()).days for visit in visits(patient)]
        assert days == [0, 13 * 7, 26 * 7]


@pytest.mark.parametrize("story", ["htn-uncontrolled", "htn-controlled-on-drug", "htn-ace-cough"])
def test_each_action_is_recorded_after_its_visit_and_whole_weeks_before_the_next(
    story: str,
) -> None:
    for patient in tellings(story):
        first, second, third = visits(patient)
        (advice,) = of_type(patient, "Procedure")
        (drug,) = of_type(patient, "MedicationRequest")
        advised, ordered = at(advice["performedDateTime"]), at(drug["authoredOn"])
        assert first < advised <= second - timedelta(weeks=13)
        assert second < ordered <= third - timedelta(weeks=13)
        assert drug["medicationCodeableConcept"]["coding"][0]["code"] == "314076"


def test_between_visits_no_pressure_is_younger_than_30_days() -> None:
    for patient in tellings("htn-between-visits"):
        early, late = visits(patient)
        first_reading = at(observations(patient, PRESSURE_PANEL)[0]["effectiveDateTime"])
        assert round((early - first_reading) / timedelta(weeks=1), 1) == 6.0
        assert round((late - first_reading) / timedelta(weeks=1), 1) == 19.5
        for visit in (early, late):
            for panel in known_by(visit, observations(patient, PRESSURE_PANEL)):
                assert visit - at(panel["effectiveDateTime"]) > timedelta(days=30)


def test_without_pressure_there_are_three_visits_and_no_reading() -> None:
    for patient in tellings("htn-no-pressure"):
        assert len(patient.visits) == 3
        assert not observations(patient, PRESSURE_PANEL)


def test_the_pregnant_patient_is_a_woman_known_to_be_pregnant_at_both_visits() -> None:
    for patient in tellings("htn-pregnant"):
        assert patient.resources[0]["gender"] == "female"
        known = known_by(visits(patient)[0], of_type(patient, "Condition"))
        assert "72892002" in {c["code"]["coding"][0]["code"] for c in known}


def test_potassium_is_high_at_three_months_only() -> None:
    for patient in tellings("htn-high-potassium"):
        before, after = (
            r["valueQuantity"]["value"]
            for r in of_type(patient, "Observation")
            if r["id"].startswith(f"{patient.id}-potassium")
        )
        assert before < 5.0
        assert after == 5.9


def test_the_cough_is_known_at_the_last_visit_only() -> None:
    for patient in tellings("htn-ace-cough"):
        (intolerance,) = of_type(patient, "AllergyIntolerance")
        known = [bool(known_by(visit, [intolerance])) for visit in visits(patient)]
        assert known == [False, False, True]
        assert intolerance["code"]["coding"][0]["code"] == "29046"
        (reaction,) = intolerance["reaction"]
        assert reaction["manifestation"][0]["coding"][0]["code"] == "49727002"


def test_the_normotensive_patient_has_no_problem() -> None:
    for patient in tellings("normotensive"):
        assert not of_type(patient, "Condition")


@pytest.mark.parametrize("story", ACTIVITY)
def test_everybody_to_be_coached_is_sedentary(story: str) -> None:
    for patient in tellings(story):
        assert coded(patient, "Condition") == {"415510005"}


@pytest.mark.parametrize(
    ("story", "low", "high"),
    [
        ("activity-responder", 20, 30),
        ("activity-nonresponder", 1, 5),
        ("activity-exactly-ten-percent", 10, 10),
    ],
)
def test_rise_of_the_mean_daily_steps_in_percent(story: str, low: int, high: int) -> None:
    for patient in tellings(story):
        baseline, later = (mean_steps(patient, visit) for visit in visits(patient))
        assert low * baseline <= 100 * (later - baseline) <= high * baseline


def test_exactly_ten_percent_is_5000_and_5500() -> None:
    for patient in tellings("activity-exactly-ten-percent"):
        assert [mean_steps(patient, visit) for visit in visits(patient)] == [5000, 5500]


@pytest.mark.parametrize("story", [s for s in ACTIVITY if s != "activity-start"])
def test_coaching_is_ordered_at_the_first_visit_and_eight_whole_weeks_pass(story: str) -> None:
    for patient in tellings(story):
        first, second = visits(patient)
        (order,) = of_type(patient, "ServiceRequest")
        assert (order["status"], order["intent"]) == ("active", "order")
        assert order["code"]["coding"][0]["code"] == "304507003"
        assert first < at(order["authoredOn"]) <= second - timedelta(weeks=8)


def test_at_the_start_there_are_steps_and_no_coaching() -> None:
    for patient in tellings("activity-start"):
        (visit,) = visits(patient)
        assert mean_steps(patient, visit) > 0
        assert not of_type(patient, "ServiceRequest")


def test_without_steps_there_is_no_observation_at_all() -> None:
    for patient in tellings("activity-sedentary-no-steps"):
        assert not of_type(patient, "Observation")


def test_the_first_visit_is_on_the_day_asked_for() -> None:
    assert sample_patient("normotensive", start="2024-02-29").visits[0].startswith("2024-02-29")


def test_an_unknown_story_is_refused_with_the_stories_there_are() -> None:
    with pytest.raises(ValueError, match="no story 'htn'; the stories are htn-uncontrolled, "):
        sample_patient("htn")
