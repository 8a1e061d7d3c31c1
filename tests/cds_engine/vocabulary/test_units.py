"""A number is usable only if its unit stands in the variable's own table; nothing is assumed."""

import pytest
from builders.records import ucum
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.vocabulary.units import (
    SAME,
    SPELLINGS,
    UCUM,
    Conversion,
    StatedUnit,
    conversion,
    unit_words,
)

CHOLESTEROL = {"mmol/L": SAME, "mg/dL": Conversion(0.02586)}
PRESSURE = {"mm[Hg]": SAME, "kPa": Conversion(7.50062)}
TEMPERATURE = {"Cel": SAME, "[degF]": Conversion(5 / 9, -160 / 9)}


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        pytest.param(ucum("mmol/L"), SAME, id="the variable's own unit"),
        pytest.param(ucum("mg/dL"), Conversion(0.02586), id="a listed unit"),
        pytest.param(StatedUnit("mmol/L", UCUM), SAME, id="a code needs no text"),
        pytest.param(StatedUnit(text="mmol/L"), SAME, id="a text that is listed to the letter"),
        pytest.param(ucum("mmol/L", "mmol/l"), SAME, id="a text spelled otherwise"),
        pytest.param(ucum("mmol/L", "millimoles"), SAME, id="a text that names no known unit"),
    ],
)
def test_rl_11_a_listed_unit_is_converted_by_the_table(
    stated: StatedUnit, found: Conversion
) -> None:
    assert conversion(stated, CHOLESTEROL) == found


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        pytest.param(StatedUnit(), "the number has no unit", id="none at all"),
        pytest.param(StatedUnit(system=UCUM), "the number has no unit", id="a system alone"),
        pytest.param(
            StatedUnit("mmol/L"), "the unit's code system is 'absent', not UCUM", id="no system"
        ),
        pytest.param(
            StatedUnit("mmol/L", "https://ucum.org"),
            "the unit's code system is 'https://ucum.org', not UCUM",
            id="a system that is nearly UCUM",
        ),
        pytest.param(
            ucum("g/L"), "the unit 'g/L' is not in the variable's table", id="an unlisted code"
        ),
        pytest.param(
            ucum("mmol/l", "mmol/L"),
            "the unit 'mmol/l' is not in the variable's table",
            id="UCUM codes are case-sensitive",
        ),
        pytest.param(
            StatedUnit(text="mmol/l"),
            "the unit 'mmol/l' has no code and is not in the variable's table",
            id="a text that is nearly listed",
        ),
        pytest.param(
            ucum("mmol/L", "mg/dL"),
            "the unit reads 'mg/dL' but is coded 'mmol/L'",
            id="a text that is another listed unit",
        ),
        pytest.param(
            ucum("mmol/L", "mg/dl"),
            "the unit reads 'mg/dl' but is coded 'mmol/L'",
            id="another unit, misspelled",
        ),
        pytest.param(
            ucum("mmol/L", "g/L"),
            "the unit reads 'g/L' but is coded 'mmol/L'",
            id="another unit, not listed",
        ),
        pytest.param(
            ucum("mmol/L", " MG/DL "),
            "the unit reads ' MG/DL ' but is coded 'mmol/L'",
            id="another unit, shouted",
        ),
    ],
)
def test_rl_11_any_other_unit_makes_the_number_unusable_and_says_why(
    stated: StatedUnit, words: str
) -> None:
    assert conversion(stated, CHOLESTEROL) == words


def test_annotations_are_part_of_a_unit() -> None:
    # A general unit library would drop {1.73_m2} and convert silently.
    table = {"mL/min/{1.73_m2}": SAME}
    assert conversion(ucum("mL/min"), table) == "the unit 'mL/min' is not in the variable's table"
    assert conversion(ucum("mL/min/{1.73_m2}", "mL/min/1.73m2"), table) == SAME
    assert conversion(ucum("mL/min/{1.73_m2}", "mL/min"), table) == (
        "the unit reads 'mL/min' but is coded 'mL/min/{1.73_m2}'"
    )


def test_two_names_of_one_unit_do_not_contradict_each_other() -> None:
    table = {"mmol/L": SAME, "meq/L": Conversion(1.0)}
    assert conversion(ucum("mmol/L", "mEq/L"), table) == SAME


def test_percent_and_fraction_are_a_hundred_apart() -> None:
    table = {"%": SAME, "1": Conversion(100.0)}
    found = conversion(ucum("1", "1"), table)
    assert isinstance(found, Conversion)
    assert found.apply(0.07) == pytest.approx(7)
    assert conversion(ucum("1", "%"), table) == "the unit reads '%' but is coded '1'"


def test_a_unit_may_need_an_offset() -> None:
    fahrenheit = TEMPERATURE["[degF]"]
    assert round(fahrenheit.apply(98.6), 6) == 37
    assert conversion(ucum("[degF]", "degrees F"), TEMPERATURE) == fahrenheit
    assert SAME.apply(-0.5) == -0.5


@given(st.sampled_from(sorted(SPELLINGS)))
def test_a_spelling_never_supplies_a_unit(spelling: str) -> None:
    table = {SPELLINGS[spelling]: SAME}
    if spelling not in table:
        assert isinstance(conversion(StatedUnit(text=spelling), table), str)


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_what_is_stated_is_converted_only_if_it_is_listed(
    code: str, system: str, text: str
) -> None:
    found = conversion(StatedUnit(code, system, text), PRESSURE)
    if not isinstance(found, str):
        assert (code in PRESSURE and system == UCUM) or (not code and text in PRESSURE)


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("mm[Hg]", "mmHg"),
        ("a", "years"),
        ("mo", "months"),
        ("wk", "weeks"),
        ("d", "days"),
        ("h", "hours"),
        ("mmol/L", "mmol/L"),
        ("%", "%"),
        ("Cel", "°C"),
        ("kg/m2", "kg/m²"),
        ("{steps}/d", "steps/day"),
        ("{never_smoked}", "never smoked"),
        ("mm[Hg]/wk", "mmHg/week"),
        ("mm[Hg]/mo", "mmHg/month"),
        ("kg/a", "kg/year"),
        ("mL/h", "mL/hour"),
        ("mL/min/{1.73_m2}", "mL/min/1.73 m²"),
        ("/min", "/min"),
        ("/d", "per day"),
        ("1", ""),
        ("", ""),
    ],
)
def test_units_read_as_clinicians_write_them(unit: str, words: str) -> None:
    assert unit_words(unit) == words
    assert unit_words(words) == words, "what is said once is not said otherwise the second time"
