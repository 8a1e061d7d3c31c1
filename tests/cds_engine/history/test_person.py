"""Age by the calendar, sex as recorded, death as far as the record tells."""

from typing import Any

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
from cds_engine.history.person import deceased
from cds_engine.history.value import Known, Missing, Reading
from cds_engine.vocabulary.time import MINUTE
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
        pytest.param("2025", True, False, id="of this year much may have been lived"),
        pytest.param("2025-06", True, False, id="and of this month"),
        ("2025-05", True, True),
    ],
)
def test_death_counts_from_when_it_is_certain(
    died: str | None, deceased: bool, expected: bool
) -> None:
    assert is_dead(died, deceased=deceased) is expected


@pytest.mark.parametrize(
    ("died", "known", "expected"),
    [
        pytest.param(None, "2025-06-15T09:00", True, id="known by now, whenever it was"),
        pytest.param(None, "2025-06-15T09:01", False, id="not known yet, so maybe not so yet"),
        pytest.param("2025", "2025-02-01T00:00", True, id="this year, and known"),
        pytest.param("2025", "2026-02-01T00:00", False, id="this year, and known next year"),
        pytest.param("2024", "2026-02-01T00:00", True, id="certain once the year is over"),
        pytest.param("2025-07", "2025-02-01T00:00", False, id="not before the month begins"),
        pytest.param("2025-06-14", "2026-02-01T00:00", True, id="a certain day is that day"),
        pytest.param("2025-06-15T09:01", "2025-02-01T00:00", False, id="or a certain instant"),
    ],
)
def test_death_without_a_day_counts_from_when_the_record_knew_of_it(
    died: str | None, known: str, expected: bool
) -> None:
    assert is_dead(died, deceased=True, death_known=at(known)) is expected


def test_nobody_who_lives_is_dead_however_much_is_known() -> None:
    assert not is_dead(None, deceased=False, death_known=at("2025-01-01T00:00"))


@pytest.mark.parametrize(
    ("died", "until"), [("2024", "2024-12-31T23:59"), ("2024-03", "2024-03-31T23:59")]
)
def test_a_year_or_month_of_death_is_lived_to_its_last_instant(died: str, until: str) -> None:
    person = a_person(died=died)
    last = at(until) + MINUTE - 1
    assert (deceased(person, last - 1), deceased(person, last)) == (False, True)


def is_dead(died: str | None, **given: Any) -> bool:
    person = a_person(died=died, **given)
    return HistoryTaker({"age": AGE}, {}).take(a_record(person=person), AS_OF).deceased


def test_a_gap_in_the_facts_about_the_patient_leaves_them_open() -> None:
    gaps = {"kind:patient": "the Patient resource was set aside"}
    for variable in (AGE, SEX):
        assert reason_of(variable, gaps=gaps) == "incomplete"


def test_ages_are_as_of_the_decision() -> None:
    assert value_of(AGE, person=a_person("1970-06-15"), as_of=at("2000-01-01T00:00")) == 29
