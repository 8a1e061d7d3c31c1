"""`check` names each fault once, with the cure for what authors write by habit."""

from typing import Any

import pytest
from builders.records import Json, a_document, files_of

from cds_engine.bundle.overlap import overlapping_stages
from cds_engine.bundle.read import read_bundle
from cds_engine.criteria.parse import parse_criterion
from cds_engine.errors import CriterionError, RuleBundleError
from cds_engine.vocabulary.code import code_fault
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.ucum import unit_remark

KINDS = {"sbp": Kind("number", "sbp", "mm[Hg]"), "high": Kind("boolean", "high")}


def faults(**overrides: Any) -> list[str]:
    with pytest.raises(RuleBundleError) as caught:
        read_bundle(files_of(a_document(**overrides)))
    return [str(fault) for fault in caught.value.faults]


def declared(**more: Json) -> Json:
    found: Json = a_document()["variables"] | more
    return found


def test_what_reads_a_broken_derived_variable_is_no_fault_of_its_own() -> None:
    broken = declared(uncontrolled={"derive": "sbpp >= 140"}, worse={"derive": "not uncontrolled"})
    assert faults(variables=broken, population="age >= 18 and worse") == [
        "variables.uncontrolled.derive: no variable `sbpp`; did you mean `sbp`?"
    ]


def test_a_circle_is_one_fault() -> None:
    circle = declared(uncontrolled={"derive": "worse"}, worse={"derive": "uncontrolled"})
    [fault] = faults(variables=circle, population="worse")
    assert fault.startswith("variables: derived variables read each other in a circle: ")


@pytest.mark.parametrize(
    ("version", "cure"),
    [
        ("1.0", 'version: "1.0" is no version; write it as 1.0.0'),
        ("2", 'version: "2" is no version; write it as 2.0.0'),
        ("v1.2.3", 'version: "v1.2.3" is no version; write it as 1.2.3'),
        ("final", ('version: "final" is no version; it is three numbers such as 1.0.0, and - with '
         "letters for a draft: 1.0.0-draft")),
    ],
)  # fmt: skip
def test_a_version_is_completed(version: str, cure: str) -> None:
    assert faults(version=version) == [cure]


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        ("8480-6", "'8480-6' is no code; write it as loinc|8480-6"),
        ("I10", "'I10' is no code; write it as icd10|I10"),
        ("C09AA03", "'C09AA03' is no code; write it as atc|C09AA03"),
        ("38341003", ("'38341003' is no code; write it with its system, for example "
         "snomed|38341003 or rxnorm|38341003")),
        ("high", "'high' is no code; write it as system|code, for example loinc|8480-6"),
    ],
)  # fmt: skip
def test_a_bare_code_gets_its_system(code: str, cure: str) -> None:
    assert code_fault(code) == cure


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("sbp = 140", "write `==` for `=`"),
        ("high && sbp > 1", "write `and` for `&&`"),
        ("high || sbp > 1", "write `or` for `||`"),
        ("!high", "write `not` for `!`"),
        ("high && sbp = 1", "write `and` for `&&`, `==` for `=`"),
        ("sbp >= 140 and", "write for example `sbp >= 140 and not pregnant`"),
    ],
)
def test_signs_of_other_languages_are_translated(text: str, cure: str) -> None:
    with pytest.raises(CriterionError) as refused:
        parse_criterion(text, KINDS)
    assert str(refused.value).endswith(f"; {cure}")


def test_unknown_actions_list_the_known_ones() -> None:
    [safeguard] = a_document()["safeguards"]
    [fault] = faults(safeguards=[safeguard | {"never": ["zzz"]}])
    known = ", ".join(a_document()["actions"])
    assert fault == f"safeguards[0].never: no action `zzz`; there is {known}"


@pytest.mark.parametrize("text", ["2024-13-01", "last year", "24"])
def test_a_bad_evidence_date_is_named(text: str) -> None:
    assert faults(about={"evidence_date": text}) == [
        f"about.evidence_date: {text!r} is no date; write it as 2026-01-31, 2026-01 or 2026"
    ]


@pytest.mark.parametrize("text", ["2024", "2024-05", "2024-05-01"])
def test_evidence_may_be_dated_by_month_or_year(text: str) -> None:
    read_bundle(files_of(a_document(about={"evidence_date": text})))


def test_the_aims_unit_is_its_variables() -> None:
    aim = a_document()["aim"] | {"unit": "kPa"}
    [fault] = faults(aim=aim)
    assert fault == (
        "aim.unit: 'kPa', but the variable `sbp` is in 'mm[Hg]'; write the variable's unit, or "
        "give the aim a name of its own"
    )
    read_bundle(files_of(a_document(aim=aim | {"outcome": "pressure at home"})))


def test_a_unit_that_is_not_known_to_be_ucum_is_noted() -> None:
    variables = declared()
    variables["potassium"] = variables["potassium"] | {"unit": "mmol/l"}
    variables["weight"] = {"from": "observation", "codes": ["loinc|29463-7"], "unit": "lbs"}
    notes = read_bundle(files_of(a_document(variables=variables, safeguards=[]))).notes
    assert (
        "variables.weight.unit: 'lbs' is no UCUM code that is known here, so that no record may "
        "match it; write it as '[lb_av]'"
    ) in notes


@pytest.mark.parametrize(
    "unit",
    ["mm[Hg]", "mmol/L", "mL/min/{1.73_m2}", "kg/m2", "/min", "{steps}/d", "10*9/L", "%", "1",
     "ug/L", "m[IU]/L", "{score}", "mmol/mol", "kPa", "a", "g.m/s2", "[degF]", "cm[H2O]",
     "{beats}/min"],
)  # fmt: skip
def test_units_of_measurements_are_known(unit: str) -> None:
    assert unit_remark(unit) is None


@pytest.mark.parametrize("unit", ["mmHg", "mcg/L", "lbs", "beats", "years", "mg/deciliter"])
def test_other_spellings_are_remarked_on(unit: str) -> None:
    assert unit_remark(unit) is not None


def staged(*whens: str) -> Any:
    keep = [{"otherwise": "monitor"}]
    stages = [
        {"stage": f"s{n}", "when": when, "choose": ["monitor"], "rule": keep}
        for n, when in enumerate(whens)
    ]
    return read_bundle(files_of(a_document(stages=stages)))


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("step is none", "sbp >= 140", "sbp: 140"),
        ("sbp >= 140", "sbp <= 140", "sbp: 140"),
        ("uncontrolled", "sbp >= 140", "sbp: 140"),
    ],
)
def test_stages_that_overlap_are_shown_by_an_example(first: str, second: str, words: str) -> None:
    [note] = overlapping_stages(staged(first, second))
    assert note.startswith("stages[1]: `s1` overlaps with `s0`, for example at ")
    assert words in note
    assert note.endswith("(several-stages), so let the stages exclude each other")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("step is none", "step is not none"),
        ("sbp >= 140", "sbp < 140"),
        ("uncontrolled", "not uncontrolled"),
        ("age >= 18", "age < 18"),
    ],
)
def test_stages_that_exclude_each_other_are_left_alone(first: str, second: str) -> None:
    assert overlapping_stages(staged(first, second)) == ()
