"""Codes are written short, kinds say what a name can be, values are shown as people write them."""

from math import inf

import pytest
from builders.records import a_variable
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.vocabulary.code import SYSTEMS, code_fault, full_code, short_code
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.value import Scalar, Span, number_text, value_text


@pytest.mark.parametrize("code", ["loinc|8480-6", "http://example.org/codes|a|b", "urn:oid:1.2|x"])
def test_a_code_that_is_written_right_has_no_fault(code: str) -> None:
    assert code_fault(code) is None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("8480-6", "'8480-6' is no code; write it as loinc|8480-6"),
        ("loinc|", "'loinc|' is no code; write it as system|code, for example loinc|8480-6"),
        ("|8480-6", "'|8480-6' is no code; write it as loinc|8480-6"),
        (
            "lonic|8480-6",
            (
                "'lonic|8480-6' names no known system; use one of act, atc, cpt, cvx, icd10, "
                "icd10cm, icd9cm, loinc, ndc, rxnorm, snomed, ucum, or the system's full URI"
            ),
        ),
        ("loinc|8480 6", "'loinc|8480 6' has white space or control characters in it"),
        ("loinc|8480\u200b6", "'loinc|8480\\u200b6' has white space or control characters in it"),
        ("loinc|8480\u202e6", "'loinc|8480\\u202e6' has white space or control characters in it"),
    ],
)
def test_rl_23_a_code_that_is_not_says_what_is_wrong(code: str, words: str) -> None:
    assert code_fault(code) == words


@given(st.sampled_from(sorted(SYSTEMS)), st.from_regex(r"[A-Za-z0-9.-]{1,12}", fullmatch=True))
def test_short_and_full_codes_are_two_ways_to_write_one(system: str, code: str) -> None:
    assert short_code(*full_code(f"{system}|{code}")) == f"{system}|{code}"


def test_an_unknown_system_keeps_its_uri() -> None:
    assert short_code("http://example.org/local", "x") == "http://example.org/local|x"
    assert full_code("http://example.org/local|x") == ("http://example.org/local", "x")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (140.0, "140"),
        (139.5, "139.5"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-05, "0.00001"),
        (1e22, "10000000000000000000000"),
        (100.0, "100"),
        (-2.50, "-2.5"),
        (inf, "inf"),
        (-inf, "-inf"),
    ],
)
def test_a_number_is_written_without_exponent_and_needless_zeros(number: float, text: str) -> None:
    assert number_text(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_number_is_that_number(number: float) -> None:
    assert float(number_text(number)) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "missing"),
        (True, "yes"),
        (False, "no"),
        (140.0, "140"),
        (3, "3"),
        ("lifestyle", "lifestyle"),
        (Span(high=5, high_open=True), "< 5"),
        (Span(high=5), "<= 5"),
        (Span(low=9, low_open=True), "> 9"),
        (Span(low=9), ">= 9"),
        (Span(1, 2), "1 to 2"),
        (Span(), "any number"),
    ],
)
def test_a_value_is_written_as_a_person_reads_it(value: Scalar | None, text: str) -> None:
    assert value_text(value) == text


ACTIONS = frozenset({"add_ace", "lifestyle"})


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (
            {"source": "observation", "take": "mean", "plausible": [60, 280], "digits": 0},
            Kind("number", "x", "mm[Hg]", 0, None, 60, 280),
        ),
        (
            {"source": "observation", "take": "count", "plausible": [60, 280], "within": "P30D"},
            Kind("number", "x", "", 0),
        ),
        (
            {"source": "observation", "take": "slope", "plausible": [60, 280], "per": "mo"},
            Kind("number", "x", "mm[Hg]/mo", 2),
        ),
        ({"source": "observation", "take": "slope"}, Kind("number", "x", "mm[Hg]/wk", 2)),
        (
            {"source": "observation", "take": "change", "plausible": [60, 280]},
            Kind("number", "x", "mm[Hg]", 2),
        ),
        (
            {"source": "observation", "take": "elapsed", "unit": "d", "plausible": [60, 280]},
            Kind("number", "x", "d", 0),
        ),
        (
            {"source": "observation", "answers": {"loinc|1": "yes", "loinc|2": "no"}},
            Kind("label", "x", labels=frozenset({"yes", "no"})),
        ),
        ({"source": "condition"}, Kind("boolean", "x")),
        ({"source": "condition", "take": "elapsed", "unit": "a"}, Kind("number", "x", "a", 0)),
        ({"source": "medication"}, Kind("boolean", "x")),
        (
            {"source": "medication", "take": "adherence", "within": "P6M"},
            Kind("number", "x", "", 2),
        ),
        ({"source": "course"}, Kind("label", "x", labels=ACTIONS | {"none"})),
        ({"source": "course", "take": "count"}, Kind("number", "x", "", 0)),
        (
            {"source": "patient.sex"},
            Kind("label", "x", labels=frozenset({"female", "male", "other", "unknown"})),
        ),
        (
            {"source": "patient.age", "unit": "a", "plausible": [0, 120]},
            Kind("number", "x", "a", 0, None, 0, 120),
        ),
    ],
)
def test_a_variable_is_of_the_kind_that_it_takes(fields: dict[str, object], kind: Kind) -> None:
    assert a_variable(**fields).kind("x", ACTIONS) == kind  # type: ignore[arg-type]


def test_a_variable_is_called_by_its_label_or_by_its_name() -> None:
    assert a_variable().kind("body_weight", ACTIONS).label == "body weight"
    assert a_variable(label="weight").kind("body_weight", ACTIONS).label == "weight"
