"""A criterion is read, checked and printed; whatever is not one is refused in words."""

from contextlib import suppress

import pytest
from builders.kinds import KINDS, criterion
from hypothesis import given
from hypothesis import strategies as st

from cds_engine.criteria.parse import MAX_LENGTH, parse_criterion, parse_linear
from cds_engine.criteria.syntax import leaves
from cds_engine.errors import CriterionError


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("sbp >= 140", "sbp >= 140"),
        ("140 <= sbp", "sbp >= 140"),
        ("140 > sbp", "sbp < 140"),
        ("sbp>=1.4e2", "sbp >= 140"),
        ("sbp == 0x8c", "sbp == 140"),
        ("sbp >= -(-140)", "sbp >= 140"),
        ("sbp > 100 + 40", "sbp > 140"),
        ("sbp > 0.1 + 0.2", "sbp > 0.3"),
        ("130 <= sbp < 140", "sbp >= 130 and sbp < 140"),
        ("dbp < sbp < 200", "dbp < sbp and sbp < 200"),
        ("steps > 1.1 * steps_before", "steps > 1.1 * steps_before"),
        ("steps > steps_before * 1.1", "steps > 1.1 * steps_before"),
        ("steps / 2 > steps_before", "0.5 * steps > steps_before"),
        ("steps / 3 >= 100", "1 / 3 * steps >= 100"),
        ("sbp - dbp > 40", "sbp - dbp > 40"),
        ("-sbp + 2 * dbp < 0", "-sbp + 2 * dbp < 0"),
        ("sbp - sbp + dbp > 1", "dbp > 1"),
        ("sbp + 1 > 141", "sbp + 1 > 141"),
        ("pregnant", "pregnant"),
        ("not pregnant", "not pregnant"),
        ("not not pregnant", "not not pregnant"),
        ("not sbp >= 140", "not sbp >= 140"),
        ("pregnant and smoker or sbp > 1", "pregnant and smoker or sbp > 1"),
        ("pregnant and (smoker or sbp > 1)", "pregnant and (smoker or sbp > 1)"),
        ("(pregnant and smoker) and sbp > 1", "pregnant and smoker and sbp > 1"),
        ("pregnant or (smoker or sbp > 1)", "pregnant or smoker or sbp > 1"),
        ("not (pregnant or smoker)", "not (pregnant or smoker)"),
        ("not (pregnant and smoker) or sbp > 1", "not (pregnant and smoker) or sbp > 1"),
        ("step is none", "step is none"),
        ("step is None", "step is none"),
        ("step == lifestyle", "step is lifestyle"),
        ("step != lifestyle", "step is not lifestyle"),
        ("step is not 'lifestyle'", "step is not lifestyle"),
        ("step in [none, lifestyle, none]", "step in [none, lifestyle]"),
        ("step in (none, 'lifestyle')", "step in [none, lifestyle]"),
        ("step not in {none, lifestyle}", "step not in [none, lifestyle]"),
        ("answer is 'two words'", "answer is 'two words'"),
        ("true", "true"),
        ("False or pregnant", "false or pregnant"),
        ("missing(sbp) or sbp < 90", "missing(sbp) or sbp < 90"),
        ("  pregnant  ", "pregnant"),
        ("(pregnant\n or smoker)", "pregnant or smoker"),
    ],
)
def test_a_criterion_is_printed_in_one_way_and_reads_back_as_itself(
    text: str, printed: str
) -> None:
    found = criterion(text, allow_missing=True)
    assert str(found) == printed
    assert criterion(printed, allow_missing=True) == found


UNITS = "compare like with like, or declare one of the variables in the other's unit"
NO_NUMBER = "is no number; use declared numbers, constants, + and -, and * or / with a constant"
NO_CRITERION = "is no criterion; compare a variable, or name a yes-or-no variable"
FOR_EXAMPLE = "write for example `sbp >= 140 and not pregnant`"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sbpp >= 140", "no variable `sbpp`; did you mean `sbp`?"),
        ("qqqq >= 140", "no variable `qqqq`"),
        ("sbp", "`sbp` is a number, not yes or no; compare it: `sbp >= ...`"),
        ("step", "`step` is a label, not yes or no; write `step is ...`"),
        (
            "pregnant > 1",
            "`pregnant` is yes or no, not a number; it cannot be compared by size or added",
        ),
        ("1 < step", "`step` is a label, not a number; it cannot be compared by size or added"),
        ("pregnant is true", "`pregnant` is no label variable; `is` and `in` are for labels"),
        ("sbp in [1, 2]", "`sbp` is no label variable; `is` and `in` are for labels"),
        ("step is lifestile", ("`step` is never 'lifestile'; it can be add_ace, lifestyle, none; "
         "did you mean `lifestyle`?")),
        ("sex is none", "`sex` is never 'none'; it can be female, male, other, unknown"),
        ("step in lifestyle", "`lifestyle` is no list; write `x in [a, b]`"),
        ("step in []", "`[]` is no list; write `x in [a, b]`"),
        ("step is 1", "`1` is no label; write a name or a quoted text"),
        ("step is f'{sbp}'", "`f'{sbp}'` is no label; write a name or a quoted text"),
        (
            "step >= lifestyle",
            "`lifestyle` is compared by size with `step`, whose values are labels; use `is`",
        ),
        ("'lifestyle' == step", f"`'lifestyle'` {NO_NUMBER}"),
        ("1 < 2", "`1` is compared with itself or with a constant only; name a variable"),
        ("sbp > sbp", "`sbp` is compared with itself or with a constant only; name a variable"),
        ("0 * sbp > 1", ("`0 * sbp` is compared with itself or with a constant only; name a "
         "variable")),
        ("sbp > potassium", f"`sbp` is in mm[Hg] but `potassium` is in mmol/L; {UNITS}"),
        ("sbp > count", f"`sbp` is in mm[Hg] but `count` is in no unit; {UNITS}"),
        (
            "sbp + potassium > 1",
            "`sbp` is in mm[Hg] and `potassium` in mmol/L; only numbers in one unit can be added",
        ),
        ("sbp * dbp > 1", ("`sbp * dbp` multiplies two variables; only constants can weigh a "
         "variable")),
        ("sbp / dbp > 1", ("`sbp / dbp` divides by a variable; write `a > 1.1 * b` for "
         "`a / b > 1.1`")),
        ("1 / sbp > 1", "`1 / sbp` divides by a variable; write `a > 1.1 * b` for `a / b > 1.1`"),
        ("sbp / 0 > 1", "`sbp / 0` divides by zero"),
        ("sbp ** 2 > 1", f"`sbp ** 2` {NO_NUMBER}"),
        ("sbp % 2 == 1", f"`sbp % 2` {NO_NUMBER}"),
        ("+sbp > 1", f"`+sbp` {NO_NUMBER}"),
        ("sbp > true", "no variable `true`"),
        ("sbp > True", f"`True` {NO_NUMBER}"),
        ("sbp > 1j", f"`1j` {NO_NUMBER}"),
        ("sbp > '140'", f"`'140'` {NO_NUMBER}"),
        ("sbp > abs(dbp)", f"`abs(dbp)` {NO_NUMBER}"),
        ("sbp is not None", "`sbp` is no label variable; `is` and `in` are for labels"),
        ("140", f"`140` {NO_CRITERION}"),
        ("sbp + 1", f"`sbp + 1` {NO_CRITERION}"),
        ("known(sbp)", f"`known(sbp)` {NO_CRITERION}"),
        ("missing('sbp')", f"`missing('sbp')` {NO_CRITERION}"),
        ("missing(sbp, dbp)", f"`missing(sbp, dbp)` {NO_CRITERION}"),
        ("missing(sbpp)", "no variable `sbpp`; did you mean `sbp`?"),
        ("sbp if pregnant else dbp", f"`sbp if pregnant else dbp` {NO_CRITERION}"),
        ("(lambda: true)()", f"`(lambda: true)()` {NO_CRITERION}"),
        ("__import__('os')", f"`__import__('os')` {NO_CRITERION}"),
        ("sbp.real > 1", f"`sbp.real` {NO_NUMBER}"),
        ("(x := pregnant)", f"`(x := pregnant)` {NO_CRITERION}"),
        ("[pregnant]", f"`[pregnant]` {NO_CRITERION}"),
        ("sbp >> 1 > 2", f"`sbp >> 1` {NO_NUMBER}"),
        ("pregnant & smoker", f"`pregnant & smoker` {NO_CRITERION}"),
        ("", f"'' is not a criterion (invalid syntax); {FOR_EXAMPLE}"),
        ("sbp >= ", f"'sbp >= ' is not a criterion (invalid syntax); {FOR_EXAMPLE}"),
        ("sbp => 140", "'sbp => 140' is not a criterion (invalid syntax); write `>=` for `=>`"),
        ("pregnant\nor smoker", (f"'pregnant\\nor smoker' is not a criterion (invalid syntax); "
         f"{FOR_EXAMPLE}")),
        ("pregnant\0", ("'pregnant\\x00' is not a criterion (it has characters that no text should "
         f"have); {FOR_EXAMPLE}")),
        ("pregnant\ud800", ("'pregnant\\ud800' is not a criterion (it has characters that no text "
         f"should have); {FOR_EXAMPLE}")),
        ("sbp > 1e999", "inf is too large to be compared; check the unit"),
        ("sbp > 1e12", "1000000000000.0 is too large to be compared; check the unit"),
        ("sbp > 0.0000000000001", "1e-13 has more than 12 decimals; round it"),
        ("sbp > 1e11 * 1e11", ("`1e11 * 1e11` comes to a number that is too large or too fine; "
         "check the unit")),
        ("sbp > dbp * 1e-12 * 1e-12 * 1e-12", ("`dbp * 1e-12 * 1e-12 * 1e-12` comes to a number "
         "that is too large or too fine; check the unit")),
        (
            "sbp >= 140 # and not pregnant",
            "a criterion has no comments, and nothing after # would count; use `because`",
        ),
        (
            "\uff53\uff42\uff50 >= 140",
            ("'\\uff53' looks like something else; names and signs are plain ASCII, and a label "
            "with other letters stands in quotes"),
        ),
    ],
)  # fmt: skip
def test_what_is_no_criterion_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(CriterionError) as caught:
        criterion(text, allow_missing=True)
    assert str(caught.value).replace("1e+11", "1e11").replace("100000000000.0", "1e11") == words


def test_missing_stands_only_where_the_rule_abstains() -> None:
    with pytest.raises(CriterionError) as caught:
        criterion("missing(sbp)")
    assert str(caught.value) == (
        "missing(sbp) stands where an action follows; more information could then contradict "
        "earlier advice, so use it only in a branch that abstains"
    )


def test_a_hash_or_a_foreign_letter_may_stand_in_a_quoted_label() -> None:
    assert str(criterion("answer is '#1 sant\u00e9'")) == "answer is '#1 sant\u00e9'"
    assert str(criterion(r"answer is 'it\'s\t#1'")) == r'''answer is "it's\t#1"'''


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("answer is 'n' # n", id="a comment that says what a label says"),
        pytest.param("(sbp >= 140 # yes\n and not pregnant)", id="a comment between two lines"),
        pytest.param("\uff53 is '\uff53'", id="a letter that a label has too"),
        pytest.param("\u00a0sbp >= 140", id="a space that looks like another"),
    ],
)
def test_what_is_hidden_is_found_wherever_it_stands(text: str) -> None:
    with pytest.raises(CriterionError, match=r"has no comments|looks like something else"):
        criterion(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            "pregnant or " * 400 + "pregnant",
            f"the criterion is 4808 characters long, at most {MAX_LENGTH} are read; name parts of "
            "it as derived variables",
            id="long",
        ),
        pytest.param(
            " or ".join(["smoker"] * 399),
            None,
            id="wide but within the limit",
        ),
        pytest.param(
            "[" + "0," * 1900 + "]",
            "the criterion has more than 1000 parts or is nested more than 40 deep; name parts of "
            "it as derived variables",
            id="many parts",
        ),
        pytest.param(
            "not " * 60 + "pregnant",
            "the criterion has more than 1000 parts or is nested more than 40 deep; name parts of "
            "it as derived variables",
            id="deep",
        ),
    ],
)
def test_se_14_a_criterion_costs_no_more_than_its_limits(text: str, words: str | None) -> None:
    if words is None:
        assert len(list(leaves(criterion(text)))) == 399
        return
    with pytest.raises(CriterionError) as caught:
        criterion(text)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1900 + "pregnant" + ")" * 1900,
        "[" * 3000,
        "not " * 990 + "smoker",
        "-" * 3900 + "1",
        "sbp" + ".a" * 1900 + " > 1",
        "sbp > " + "9" * 3900,
        "a" * 3999,
        "sbp" + "[0]" * 1200,
    ],
    ids=len,
)
def test_se_14_nothing_nested_breaks_the_reader(text: str) -> None:
    with pytest.raises(CriterionError):
        criterion(text)


@given(st.text(max_size=60))
def test_any_text_is_a_criterion_or_refused(text: str) -> None:
    with suppress(CriterionError):
        assert criterion(text, allow_missing=True).names() <= set(KINDS)


GRAMMAR = st.recursive(
    st.sampled_from(
        [
            "sbp >= 140", "steps > 1.1 * steps_before", "pregnant", "smoker", "step is lifestyle",
            "sex in [female, other]", "step not in [none, add_ace]", "130 < sbp <= 140", "true",
            "2 * sbp - dbp / 4 + 1 >= 3", "missing(sbp)",
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) and ({pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) or ({pair[1]})"),
    ),
    max_leaves=8,
)  # fmt: skip


@given(GRAMMAR)
def test_printing_and_reading_undo_each_other(text: str) -> None:
    found = criterion(text, allow_missing=True)
    assert criterion(str(found), allow_missing=True) == found


def test_a_weighted_sum_is_read_with_its_unit() -> None:
    linear, unit = parse_linear("(2 * sbp + dbp) / 3 - 10", KINDS)
    assert (str(linear), unit) == ("2 / 3 * sbp + 1 / 3 * dbp - 10", "mm[Hg]")


def test_a_name_that_shadows_a_constant_is_a_variable() -> None:
    kinds = KINDS | {"true": KINDS["pregnant"]}
    assert parse_criterion("true", kinds).names() == {"true"}
