"""Trying a regime decides on typed values like on a patient's, and keeps nothing of them."""

from urllib.parse import urlencode

import pytest
from builders.html_pages import Element, read_page
from builders.shipped import RULES
from builders.web_bundles import CASES, NOW, SCORES, Visit, pressure, shelf_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from cds_adapters.storage.shelf import Shelf
from cds_adapters.web.tryform import query_of, read_entry
from cds_engine.decide.cases import given_history
from cds_engine.decide.decide import decide


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    directory = tmp_path_factory.mktemp("rules")
    shelf_of(directory, pressure("1.0.0"), pressure("1.1.0"), cases=CASES)
    shelf_of(directory, SCORES)
    return Visit(Shelf(directory))


def page(visit: Visit, **query: str) -> Element:
    return read_page(visit.get(f"/try/pressure?{urlencode(query)}").text)


def test_offers_a_field_for_every_variable_that_is_read_and_none_for_derived_ones(
    visit: Visit,
) -> None:
    root = page(visit)
    fields = root.find("input") + root.find("select")
    bundle = visit.shelf.find("pressure")
    assert {field.attributes["name"] for field in fields} == {*bundle.base_variables, "_deceased"}


def test_fields_carry_units_ranges_and_answers_in_words(visit: Visit) -> None:
    root = page(visit)
    labels = {item.attributes["for"]: item.words() for item in root.find("label")}
    assert labels["in-sbp"] == "systolic blood pressure (mmHg)"
    hints = {item.attributes.get("id"): item.words() for item in root.find("p")}
    assert hints["in-sbp-hint"] == "Plausible: 60 to 280 mmHg."
    options = {o.attributes["value"]: o.words() for o in root.find("select")[0].find("option")}
    assert options == {
        "": "not known",
        "none": "nothing yet",
        "add_ace": "Start lisinopril 10 mg daily",
        "add_ccb": "Start amlodipine 5 mg daily",
        "lifestyle": "Advise diet and exercise",
        "monitor": "Continue and measure again in 3 months",
    }
    assert [item.words() for item in root.find("legend")] == ["hypertension", "pregnancy"]


def test_an_empty_form_decides_nothing_and_a_blank_one_that_was_sent_does(visit: Visit) -> None:
    assert not page(visit).find("section")[1:]
    assert "No advice can be given: input missing" in page(visit, age="", sbp="").words()


def test_is_marked_as_no_patient_with_or_without_a_decision(visit: Visit) -> None:
    for root in (page(visit), page(visit, age="50"), page(visit, age="x")):
        assert "Not a patient: nothing is stored." in root.words()


def test_nothing_is_stored(visit: Visit) -> None:
    page(visit, age="50", hypertension="yes", sbp="150", step="none")
    assert not visit.audit.records
    assert not visit.get("/try/pressure?age=50").headers.get("set-cookie")


def test_shows_decision_options_path_and_basis_and_keeps_what_was_typed(visit: Visit) -> None:
    root = page(visit, age="50", hypertension="yes", sbp="150.4", step="none", pregnant="")
    words = root.words()
    assert "Suggested: Advise diet and exercise" in words
    captions = [table.children[0].words() for table in root.find("table")]
    assert captions == [
        "What else could be chosen, and why it was not put first",
        "Each question in the order it was asked, what it came to, and what followed",
        "Every value that was looked at, in the order of its first use",
    ]
    assert "150 mmHg as entered" in words
    typed = {item.attributes["id"]: item.attributes["value"] for item in root.find("input")}
    assert typed["in-sbp"] == "150.4"
    checked = {i.attributes["id"] for i in root.find("input") if "checked" in i.attributes}
    assert checked == {"in-hypertension", "in-pregnant-3"}
    chosen = [o.attributes["value"] for o in root.find("option") if "selected" in o.attributes]
    assert chosen == ["none"]


def test_the_form_is_sent_to_the_version_it_was_made_for(visit: Visit) -> None:
    for path, action in [
        ("/try/pressure", "/try/pressure/1.1.0#result"),
        ("/try/pressure/1.0.0", "/try/pressure/1.0.0#result"),
    ]:
        form = read_page(visit.get(path).text).find("form")[0].attributes
        assert (form["method"], form["action"]) == ("get", action)
    assert visit.get("/try/pressure/7.0.0").status_code == 404


def test_a_deceased_patient_can_be_tried(visit: Visit) -> None:
    root = page(visit, age="50", hypertension="yes", _deceased="yes")
    assert "The regime does not apply here" in root.words()
    assert "Patient deceased" in root.words()


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ({"age": "fifty"}, "in-age", "Write a plain number"),
        ({"age": "50 years"}, "in-age", "Write a plain number"),
        ({"age": "1,5"}, "in-age", "Write a plain number"),
        ({"age": "1e3"}, "in-age", "Write a plain number"),
        ({"age": "nan"}, "in-age", "Write a plain number"),
        ({"age": "\N{ARABIC-INDIC DIGIT FIVE}"}, "in-age", "Write a plain number"),
        ({"age": "9" * 400}, "in-age", "Write a plain number"),
        ({"sbp": "59.4"}, "in-sbp", "Outside the plausible range, 60 to 280 mmHg."),
        ({"sbp": "281"}, "in-sbp", "Outside the plausible range, 60 to 280 mmHg."),
        ({"hypertension": "true"}, "in-hypertension", "Choose one of yes, no"),
        ({"step": "surgery"}, "in-step", "Choose one of none, add_ace, add_ccb"),
    ],
)
def test_what_cannot_be_used_is_said_at_its_field(
    visit: Visit, query: dict[str, str], field: str, message: str
) -> None:
    response = visit.get(f"/try/pressure?{urlencode(query)}")
    assert response.status_code == 400
    root = read_page(response.text)
    notes = {item.attributes.get("id"): item.words() for item in root.find("p")}
    assert notes[f"{field}-problem"].startswith(message)
    holder = [
        i for i in root.all() if f"{field}-problem" in i.attributes.get("aria-describedby", "")
    ]
    assert holder
    summary = next(i for i in root.all() if i.attributes.get("role") == "alert")
    assert summary.find("a")[0].attributes["href"] == f"#{field}"
    assert "Suggested" not in root.words()


@pytest.mark.parametrize("value", ["60", "59.5", "280", "280.4"])
def test_the_ends_of_the_plausible_range_count_after_rounding(visit: Visit, value: str) -> None:
    assert visit.get(f"/try/pressure?sbp={value}").status_code == 200


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("spb=150", "There is no input named “spb”."),
        ("uncontrolled=yes", "There is no input named “uncontrolled”."),
        ("sbp=150&sbp=160", "“systolic blood pressure” was given more than once"),
        ("_deceased=maybe", "can only be left out, or be “yes”"),
    ],
)
def test_what_belongs_to_no_field_is_refused_too(visit: Visit, query: str, message: str) -> None:
    response = visit.get(f"/try/pressure?{query}")
    assert response.status_code == 400
    assert message in read_page(response.text).words()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["age", "hypertension", "sbp", "step", "zz"]) | st.text(max_size=8),
        st.text(max_size=20) | st.sampled_from(["yes", "no", "none", "150"]),
        max_size=6,
    )
)
def test_rl_23_whatever_is_typed_gets_a_page(visit: Visit, query: dict[str, str]) -> None:
    clean = {n: v.encode("utf-8", "replace").decode() for n, v in query.items()}
    response = visit.get(f"/try/pressure?{urlencode(clean, errors='replace')}")
    assert response.status_code in {200, 400}
    read_page(response.text)


@given(
    age=st.none() | st.integers(0, 110),
    sbp=st.none() | st.integers(600, 2800).map(lambda tenths: tenths / 10),
    hypertension=st.none() | st.booleans(),
    step=st.sampled_from([None, "none", "lifestyle", "add_ace"]),
    weeks_on_step=st.none() | st.integers(0, 60),
    deceased=st.booleans(),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_form_decides_what_the_same_values_decide_elsewhere(
    visit: Visit, deceased: bool, **values: float | bool | str | None
) -> None:
    bundle = visit.shelf.find("pressure")
    entry = read_entry(bundle, QueryParams(query_of(values, deceased=deceased)))
    assert not entry.problems
    typed = given_history(bundle, entry.values, NOW, deceased=entry.deceased)
    assert typed == given_history(bundle, values, NOW, deceased=deceased)
    assert decide(bundle, typed).outcome


def test_everything_else_not_on_record_answers_what_a_search_without_a_result_does(
    visit: Visit,
) -> None:
    root = page(visit, age="60", sbp="150", hypertension="yes", _rest="absent")
    bundle = visit.shelf.find("pressure")
    entry = read_entry(bundle, QueryParams("age=60&sbp=150&hypertension=yes&_rest=absent"))
    absent_is_no = {n for n, v in bundle.base_variables.items() if v.absent is False}
    assert absent_is_no - {"hypertension"} <= {n for n, v in entry.values.items() if v is False}
    assert entry.values["step"] == "none"
    assert entry.values["potassium"] is None, "a measurement is not made up"
    assert entry.values["hypertension"] is True, "what was typed stands"
    assert "Decide: everything else not on record" in root.words()
    assert read_entry(bundle, QueryParams("age=60")).values["step"] is None


def test_a_fitted_regime_says_what_its_data_said_of_such_patients() -> None:
    given = {"age": "60", "hypertension": "yes", "weeks_in_care": "13", "step": "none",
             "potassium": "4.4", "sbp": "165"}  # fmt: skip
    found = Visit(Shelf(RULES)).get(f"/try/hypertension-intensification?{urlencode(given)}").text
    assert "What the data said of such patients" in found
    assert "mmHg lower than with" in found
