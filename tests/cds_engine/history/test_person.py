"""Age by the calendar, sex as recorded, death as far as the record tells."""

import pytest
from builders.records import (
    AS_OF,
    a_person,
    a_record,
    a_variable,
    at,
    find,
    reason_of,
    value_of,
)

from cds_engine.history.extract import HistoryTaker
from cds_engine.history.value import Known, Missing, Reading
from cds_engine.vocabulary.value import Span

AGE = a_variable("patient.age", unit="a")
SEX = a_variable("patient.sex")


@pytest.mark.parametrize(
    ("born", "unit", "age"),
    [
        ("1970-06-15", "a", 55),
        ("1970-06-16", "a", 54),
        ("2007-06-15", "a", 18),
        ("2007-06-16", "a", 17),
        ("2024-02-29", "a", 1),
        ("2025-06-15", "a", 0),
        ("2025-03-15", "mo", 3),
        ("2025-03-16", "mo", 2),
        ("2025-06-01", "wk", 2),
        ("2025-06-01", "d", 14),
        pytest.param("1970", "a", Span(54, 55), id="a year of birth is two ages"),
        pytest.param("1970-06", "a", Span(54, 55), id="and so is this month of birth"),
        pytest.param("1970-05", "a", 55, id="but not last month"),
        pytest.param("2025", "a", 0, id="this year is no age at all"),
        ("2024", "mo", Span(5, 17)),
    ],
)
def test_age_is_completed_units(born: str, unit: str, age: float | Span) -> None:
    variable = a_variable("patient.age", unit=unit)
    assert value_of(variable, person=a_person(born)) == age


def test_an_age_names_the_patient_without_an_id() -> None:
    found = find(AGE, person=a_person("1970-06-15"))
    assert found == Known(55.0, (Reading("Patient", None, None),))


@pytest.mark.parametrize(
    ("born", "age"),
    [
        ("2007-06-15", 18),
        ("2007-06-16", None),
        ("1915-06-15", 110),
        ("1914-06-15", None),
        ("2007", 18),
        ("1914", 110),
        ("2006", Span(18, 19)),
        ("1900", None),
    ],
)
def test_fv_09_an_age_outside_the_plausible_range_is_not_believed(
    born: str, age: float | Span | None
) -> None:
    variable = a_variable("patient.age", unit="a", plausible=[18, 110])
    found = find(variable, person=a_person(born))
    if age is None:
        assert isinstance(found, Missing)
        assert found.reason == "implausible"
        assert found.detail == "the age is outside the plausible range"
    else:
        assert isinstance(found, Known)
        assert found.value == age


def test_before_birth_there_is_no_age() -> None:
    found = find(AGE, person=a_person("2025-06-16"))
    assert isinstance(found, Missing)
    assert (found.reason, found.detail) == (
        "implausible", "the date of birth is after the decision"
    )  # fmt: skip
    assert value_of(AGE, person=a_person("2025-06-15")) == 0


def test_without_a_date_of_birth_there_is_no_age() -> None:
    assert find(AGE, person=a_person(None)) == Missing("absent", "no date of birth is on record")


@pytest.mark.parametrize("sex", ["female", "male", "other", "unknown"])
def test_sex_is_a_label(sex: str) -> None:
    assert value_of(SEX, person=a_person(sex=sex)) == sex


def test_no_sex_and_a_strange_one_are_told_apart() -> None:
    assert find(SEX, person=a_person(sex=None)) == Missing("absent", "no sex is on record")
    strange = Missing("unresolved", "the sex is recorded with an unknown code")
    assert find(SEX, person=a_person(sex="bogus")) == strange


@pytest.mark.parametrize(
    ("died", "deceased", "expected"),
    [
        (None, False, False),
        (None, True, True),
        ("2025-06-15T09:00", True, True),
        ("2025-06-15T09:01", True, False),
        ("2025-06-15", True, True),
        ("2025-06-16", True, False),
        ("2024", False, True),
    ],
)
def test_death_counts_from_its_first_possible_instant(
    died: str | None, deceased: bool, expected: bool
) -> None:
    person = a_person(died=died, deceased=deceased)
    history = HistoryTaker({"age": AGE}, {}).take(a_record(person=person), AS_OF)
    assert history.deceased is expected


def test_a_gap_in_the_facts_about_the_patient_leaves_them_open() -> None:
    gaps = {"kind:patient": "the Patient resource was set aside"}
    for variable in (AGE, SEX):
        assert reason_of(variable, gaps=gaps) == "incomplete"


def test_ages_are_as_of_the_decision() -> None:
    assert value_of(AGE, person=a_person("1970-06-15"), as_of=at("2000-01-01T00:00")) == 29
