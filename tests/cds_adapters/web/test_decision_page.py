"""The page of a decision shows all it rests on, and whether it can be made again."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from builders.html_pages import Element, read_page
from builders.web_bundles import NOW, SCORES, Visit, a_history, a_record, pressure, shelf_of
from msgspec import structs

from cds_adapters.site import Site
from cds_adapters.storage.records import AuditRecord, Feedback
from cds_engine import SEMANTICS_VERSION
from cds_engine.decide.cases import given_history
from cds_engine.decide.decide import decide
from cds_engine.history.value import Known, Missing, Reading
from cds_engine.vocabulary.time import DAY, HOUR
from cds_engine.vocabulary.value import Span

NOTHING = "\N{EN DASH}"
HIGH: Mapping[str, object] = {
    "age": 50.0, "hypertension": True, "step": "lifestyle", "weeks_on_step": 12.0, "sbp": 152.0,
    "potassium": 4.5, "pregnant": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    return Visit(shelf_of(tmp_path_factory.mktemp("rules"), pressure(), SCORES))


@pytest.fixture
def visit(reader: Visit) -> Visit:
    return reader.fresh()


def put(visit: Visit, given: Mapping[str, object], **changes: object) -> AuditRecord:
    bundle = visit.shelf.find("pressure")
    record = a_record(bundle, a_history(bundle, **given), **changes)
    visit.audit.put(record)
    return record


def page(visit: Visit, record: AuditRecord) -> Element:
    return read_page(visit.get(f"/decisions/{record.id}").text)


def said(visit: Visit, record: AuditRecord) -> str:
    return page(visit, record).find("main")[0].words()


def table(root: Element, caption: str) -> dict[str, list[str]]:
    found = [t for t in root.find("table") if caption in t.children[0].words()]
    assert len(found) == 1
    rows = [[cell.words() for cell in row.children] for row in found[0].find("tr")[1:]]
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1:] for row in rows}


def test_heads_with_what_is_suggested_and_why(visit: Visit) -> None:
    words = said(visit, put(visit, HIGH))
    assert (
        "Stepped care for adults with hypertension, version 1.0.0; "
        "decided for 2025-01-06 09:00:00 UTC"
    ) in words
    assert "Recommendation Stage: Three months Suggested: Start lisinopril 10 mg daily" in words
    assert "Younger patients respond to ACE inhibitors." in words


def test_tr_03_the_basis_shows_value_unit_date_source_and_how_it_came_about(visit: Visit) -> None:
    exact = NOW - 5 * DAY - 3 * HOUR
    readings = (
        Reading("Observation/77", exact, exact),
        Reading("Observation/71", exact - 1, exact),
    )
    pressure_seen = Known(152.0, readings, "mean of 2 readings")
    rows = table(page(visit, put(visit, {**HIGH, "sbp": pressure_seen})), "Every value")
    assert rows["systolic blood pressure sbp"] == [
        "152 mmHg", "2025-01-01 06:00 UTC 5 days before", "mean of 2 readings",
        "Observation/77 Observation/71",
    ]  # fmt: skip
    assert rows["age age"] == [
        "50 years", "2025-01-05 1 day before", "taken as recorded", "Observation/age-1",
    ]  # fmt: skip
    computed = "Computed: systolic blood pressure is 140 mmHg or higher"
    assert rows["uncontrolled pressure uncontrolled"] == ["yes", "none", computed, "none"]
    assert rows["latest step step"][0] == "Advise diet and exercise"


def test_tr_03_deciding_on_the_values_shown_gives_the_same_decision(visit: Visit) -> None:
    record = put(visit, HIGH)
    rows = table(page(visit, record), "Every value")
    shown = {label.split()[-1]: cells[0] for label, cells in rows.items()}
    bundle = visit.shelf.find("pressure")
    labels = {action.label: name for name, action in bundle.actions.items()}
    read = {"yes": True, "no": False, **labels}
    given = {
        name: read[text] if text in read else float(text.split()[0])
        for name, text in shown.items()
        if name in bundle.base_variables
    }
    again = decide(bundle, given_history(bundle, given, NOW))
    assert (again.outcome, again.action) == (record.outcome, record.action)
    assert again.judgement.place == "stages[1].rule[0]"


def test_the_path_shows_each_question_its_answer_and_what_followed(visit: Visit) -> None:
    rows = table(page(visit, put(visit, HIGH)), "Each question")
    assert list(rows) == [
        "Population", "Stage: Baseline", "Stage: Three months", "Safeguard", "Line 1",
    ]  # fmt: skip
    assert rows["Population"][2:] == ["✓ yes", "The regime is for this patient"]
    assert rows["Stage: Baseline"][2:] == ["✕ no", "This stage does not apply"]
    assert rows["Safeguard"] == [
        (
            "pregnancy: yes or potassium is above 5.5 mmol/L pregnant or potassium > 5.5 "
            "✕ no pregnancy: yes ✕ no potassium is above 5.5 mmol/L"
        ),
        "pregnancy: no potassium: 4.5 mmol/L",
        "✕ no",
        "Bars nothing",
    ]
    assert rows["Line 1"][3].startswith("Decides: Start lisinopril 10 mg daily")


def test_lines_that_do_not_hold_go_on_and_nested_ones_are_numbered(visit: Visit) -> None:
    rows = table(page(visit, put(visit, {**HIGH, "age": 60.0, "sbp": 170.0})), "Each question")
    assert rows["Line 1"][2:] == ["✕ no", "Goes on to the next line"]
    assert rows["Line 2"][2:] == ["✓ yes", "Looks at the lines below it"]
    assert rows["Line 2.1"][3] == "Goes on to the next line"
    assert rows["Line 2.2"][3] == "Decides: Start amlodipine 5 mg daily"


def test_an_action_that_replaces_a_barred_one_is_told_as_such(visit: Visit) -> None:
    root = page(visit, put(visit, {**HIGH, "potassium": 6.0}))
    words = root.words()
    assert "Suggested: Start amlodipine 5 mg daily" in words
    assert "The rule puts Start lisinopril 10 mg daily first here, which a safeguard bars." in words
    steps = table(root, "Each question")
    assert steps["Safeguard"][3].startswith("Bars: Start lisinopril 10 mg daily")
    barred = "Barred: Start lisinopril 10 mg daily. Decides: Start amlodipine 5 mg daily"
    assert steps["Line 1"][3].startswith(barred)
    assert table(root, "What else")["Start lisinopril 10 mg daily add_ace"] == [
        "Barred by a safeguard: ACE inhibitors harm the fetus and raise potassium."
    ]


def test_a_safeguard_that_cannot_be_ruled_out_says_what_is_missing(visit: Visit) -> None:
    given = {name: value for name, value in HIGH.items() if name != "potassium"}
    rows = table(page(visit, put(visit, given)), "Each question")
    assert rows["Safeguard"][1:3] == [
        "pregnancy: no potassium: missing (not on record)", "? unknown",
    ]  # fmt: skip
    assert rows["Safeguard"][3].startswith("Bars, because it cannot be ruled out: Start lisinopril")


def test_an_abstention_names_what_is_missing_and_what_remains_possible(visit: Visit) -> None:
    stale = Missing("stale", "the newest is older than 30 days", (), NOW - 90 * DAY)
    root = page(visit, put(visit, {**HIGH, "sbp": stale}))
    words = root.words()
    assert "No advice possible Stage: Three months No advice can be given: input too old" in words
    assert "Input too old: systolic blood pressure: the newest is older than 30 days stale" in words
    assert table(root, "Every value")["systolic blood pressure sbp"][:2] == [
        "missing (too old)", "2024-10-08 09:00 UTC 90 days before",
    ]  # fmt: skip
    options = table(root, "What could be chosen")
    assert set(options["Continue and measure again in 3 months monitor"]) == {"Remains possible."}
    lines = table(root, "Each question")
    assert lines["Line 1"][3].startswith("Cannot be told; if it holds: ")
    assert lines["Line 3"][3].startswith(
        "Applies unless an earlier line does, which cannot be told; then: Continue"
    )


def test_equally_good_options_are_named_together(visit: Visit) -> None:
    words = said(visit, put(visit, {**HIGH, "age": 60.0}))
    both = "Start lisinopril 10 mg daily · Start amlodipine 5 mg daily"
    assert f"Equally good: {both}" in words
    assert "Several options equally good" in words


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({"sbp": 120.0}, "No change suggested: Continue and measure again in 3 months"),
        ({"age": 12.0}, "The regime does not apply here"),
        ({"age": 60.0, "sbp": 190.0}, "No advice can be given: the rule gives no advice here"),
        ({"weeks_on_step": 4.0}, "No advice can be given: no stage fits"),
    ],
)
def test_every_other_outcome_has_a_headline(
    visit: Visit, changes: Mapping[str, object], headline: str
) -> None:
    assert headline in said(visit, put(visit, {**HIGH, **changes}))


def test_a_value_known_as_a_range_is_shown_as_one(visit: Visit) -> None:
    root = page(visit, put(visit, {**HIGH, "potassium": Span(high=3.5, high_open=True)}))
    assert table(root, "Every value")["potassium potassium"][0] == "< 3.5 mmol/L"


def test_scores_are_told_without_lines(visit: Visit) -> None:
    bundle = visit.shelf.find("walking")
    history = a_history(bundle, age=85.0, steps=10.0, lives_alone=True)
    record = a_record(bundle, history)
    visit.audit.put(record)
    rows = table(page(visit, record), "Each question")
    assert rows["Support"][2:] == [
        "✕ no", "The data cannot compare the options",
    ]  # fmt: skip


def test_records_set_aside_are_listed_with_the_reason(visit: Visit) -> None:
    bundle = visit.shelf.find("pressure")
    history = structs.replace(
        a_history(bundle, **HIGH), set_aside=(("Observation/9", "entered in error"),)
    )
    record = a_record(bundle, history)
    visit.audit.put(record)
    rows = table(page(visit, record), "Source records that were not used")
    assert rows == {"Observation/9": ["entered in error"]}


def test_names_version_digest_instant_and_caller(visit: Visit) -> None:
    record = put(visit, HIGH)
    words = said(visit, record)
    for text in (
        "Decided for the instant 2025-01-06 09:00:00 UTC",
        "Answered 2025-01-06 09:00:01 UTC, after 8.4 ms",
        "Stepped care for adults with hypertension, 1.0.0 pressure@1.0.0",
        record.digest,
        f"decision semantics {SEMANTICS_VERSION}",
        "cds-hooks: patient-view pressure-patient-view",
        "Cards sent 1",
    ):
        assert text in words


def test_feedback_is_shown_but_never_its_free_text(visit: Visit) -> None:
    record = put(visit, HIGH)
    visit.audit.feedback.append(
        Feedback("s", "card-1", "overridden", NOW, reason="http://x|late",
                 reason_display="Too late", comment="Mrs Canary said no", decision_id=record.id)
    )  # fmt: skip
    rows = table(page(visit, record), "What was done with the card")
    assert rows["overridden"] == [
        "2025-01-06 09:00:00 UTC",
        "Too late http://x|late",
        "given; not shown here, for it may hold personal data",
    ]
    assert "Canary" not in visit.get(f"/decisions/{record.id}").text


def test_a_decision_whose_instant_was_set_is_marked(visit: Visit) -> None:
    mark = "the instant of this decision was set by hand"
    assert mark in said(visit, put(visit, HIGH, frozen=True))
    assert mark not in said(visit, put(visit, HIGH))


def test_a_call_that_ended_in_an_error_says_so_and_offers_no_evaluation(visit: Visit) -> None:
    record = replace(
        put(visit, HIGH), outcome="error", status=500, decision=b"", history=b"",
        error="RuntimeError in decide",
    )  # fmt: skip
    visit.audit.put(record)
    words = said(visit, record)
    assert "The call ended without a decision" in words
    assert "status 500, and no card was shown. Cause: RuntimeError in decide" in words
    assert not page(visit, record).find("form")
    answer = press(visit, record)
    assert answer.startswith("409 There is no decision to evaluate")


def test_a_decision_of_a_version_that_is_gone_is_shown_as_stored(
    visit: Visit, tmp_path: Path
) -> None:
    gap = Missing("unit", "the number has no unit", (Reading("Observation/5", NOW, NOW),))
    record = put(visit, {**HIGH, "potassium": gap})
    away = Visit(shelf_of(tmp_path, SCORES), visit.audit)
    root = page(away, record)
    assert "The rule bundle is no longer here" in root.words()
    assert "put the version with exactly this digest back" in root.words()
    rows = table(root, "The value of every variable")
    assert rows["sbp"][0] == "152"
    assert rows["potassium"] == [
        "missing", "2025-01-06 09:00 UTC", "no usable unit: the number has no unit",
        "Observation/5",
    ]  # fmt: skip
    assert rows["uncontrolled"][:3] == ["yes", NOTHING, "computed from the others"]
    assert table(root, "Each criterion by its place")["population"] == ["population", "✓ yes"]
    assert not root.find("form")
    assert press(away, record).startswith("200 Evaluated again Decision")
    assert "It cannot be evaluated here" in press(away, record)


def test_evaluated_again_an_untouched_decision_is_identical(visit: Visit) -> None:
    stale = Missing("stale", "older than 30 days", (), NOW - 90 * DAY)
    for changes in ({}, {"sbp": stale}, {"potassium": Span(1.0, 3.5)}, {"age": 12.0}):
        answer = press(visit, put(visit, {**HIGH, **changes}))
        assert "✓ Identical" in answer
        assert "Not identical" not in answer


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b'"sbp":152.0', b'"sbp":151.0', "state: sbp 151.0 152.0"),
        (b'"action":"add_ace"', b'"action":"add_ccb"', 'action "add_ccb" "add_ace"'),
        (b'"notes":[],', b"", "notes not there []"),
    ],
)
def test_evaluated_again_a_changed_record_names_the_fields_that_differ(
    visit: Visit, old: bytes, new: bytes, field: str
) -> None:
    record = put(visit, HIGH)
    assert old in record.decision
    changed = replace(record, decision=record.decision.replace(old, new))
    visit.audit.put(changed)
    answer = press(visit, changed)
    assert "✕ Not identical" in answer
    assert field in answer
    assert "the stored record must have been changed or damaged" in answer
    if field != "notes not there []":
        assert "This decision cannot be reproduced" in said(visit, changed)


def test_a_decision_of_other_semantics_may_rightly_differ(visit: Visit) -> None:
    record = put(visit, HIGH)
    changed = record.decision.replace(b'"semantics":2', b'"semantics":0')
    visit.audit.put(replace(record, decision=changed, semantics=0))
    answer = press(visit, record)
    assert "made under decision semantics 0" in answer
    assert "may rightly decide otherwise" in answer


def test_a_record_that_is_no_record_is_named_as_damaged(visit: Visit) -> None:
    for damaged in (b"{", b"[]"):
        record = put(visit, HIGH, decision=damaged)
        response = visit.get(f"/decisions/{record.id}")
        assert response.status_code == 500
        assert "The record of this decision cannot be read" in response.text


def test_se_18_a_form_without_the_token_of_this_browser_is_refused(visit: Visit) -> None:
    record = put(visit, HIGH)
    path = f"/decisions/{record.id}/evaluate"
    token = token_of(page(visit, record))
    other = Visit(visit.shelf, visit.audit)
    token_of(page(other, record))
    assert visit.post(path, f"token={token}").status_code == 200
    for reader, body in [
        (visit, ""),
        (visit, "token="),
        (visit, f"token={token}x"),
        (visit, f"token={token}&token={token}"),
        (visit, f"other={token}"),
        (visit, "token=%FF%FE"),
        (visit, "\u00ff=\u00ff"),
        (other, f"token={token}"),
        (Visit(visit.shelf, visit.audit), f"token={token}"),
        (Visit(visit.shelf, visit.audit), "token="),
    ]:
        response = reader.post(path, body)
        assert response.status_code == 403, body
        assert "The form was not accepted" in response.text


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_se_18_a_form_from_another_site_is_refused_even_with_the_token(
    visit: Visit, site: str
) -> None:
    record = put(visit, HIGH)
    body = f"token={token_of(page(visit, record))}"
    path = f"/decisions/{record.id}/evaluate"
    assert visit.post(path, body, **{"sec-fetch-site": site}).status_code == 403
    assert visit.post(path, body, **{"sec-fetch-site": "same-origin"}).status_code == 200


def test_a_form_larger_than_ours_is_refused_before_it_is_read(visit: Visit) -> None:
    record = put(visit, HIGH)
    response = visit.post(f"/decisions/{record.id}/evaluate", "token=" + "x" * 5_000)
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("url", "secure"), [("https://hospital.example", True), ("http://10.0.0.5:8000", False)]
)
def test_se_18_the_token_is_a_strict_cookie_for_the_decisions_alone(
    visit: Visit, url: str, secure: bool
) -> None:
    record = put(visit, HIGH)
    reader = Visit(visit.shelf, visit.audit, Site(base_url=f"{url}/cds"))
    cookie = reader.get(f"/decisions/{record.id}").headers["set-cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "path=/cds/decisions", "samesite=strict"} <= parts
    assert ("secure" in parts) is secure


def test_a_token_that_is_not_ours_is_replaced(visit: Visit) -> None:
    record = put(visit, HIGH)
    visit.cookies["cds_engine_form"] = "weak"
    assert len(token_of(page(visit, record))) == 43
    kept = token_of(page(visit, record))
    assert token_of(page(visit, record)) == kept


def test_no_such_decision_is_not_found(visit: Visit) -> None:
    assert visit.get("/decisions/none").status_code == 404
    assert press(visit, put(visit, HIGH, id="there")).startswith("200")


def token_of(root: Element) -> str:
    fields = {item.attributes["name"]: item.attributes["value"] for item in root.find("input")}
    return fields["token"]


def press(visit: Visit, record: AuditRecord) -> str:
    """Press the button with a valid token; return the status and the words of the answer."""
    token = "t" * 43
    visit.cookies["cds_engine_form"] = token
    response = visit.post(f"/decisions/{record.id}/evaluate", f"token={token}")
    return f"{response.status_code} {read_page(response.text).find('main')[0].words()}".replace(
        f"{response.status_code} Back to the decision ", f"{response.status_code} "
    )
