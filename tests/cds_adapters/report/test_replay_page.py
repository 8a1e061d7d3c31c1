"""The report of a replay: whole, self-contained, the same bytes, and links that lead somewhere."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.html_pages import read_page
from builders.replay_worlds import a_world, intensification, points_of

from cds_adapters.report.answers import answer_lines, as_json
from cds_adapters.report.replay_charts import benefit_words, concordance_chart
from cds_adapters.report.replay_made import listed_vocabulary, made, vocabulary_rows
from cds_adapters.report.replay_page import patient_link, replay_page
from cds_adapters.report.replay_pair import of_version, paired
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.settings import FigureSettings
from cds_engine.replay.settings import ReplaySettings

Json = dict[str, Any]
NO_VALUE: Json = {"refused": "It is refused.", "refused_for": "models", "regimes": [],
                  "differences": [], "sensitivity": [], "assumptions": None}  # fmt: skip
OTHER = {"constant: -9.19711": "constant: -12.0"}


@pytest.fixture(scope="module")
def figures() -> Json:
    bundle, other = intensification(), intensification(OTHER)
    frame = points_of(a_world().draw(400, 4), bundle, other)
    settings = FigureSettings(timelines=4, subgroups=("sbp",))
    return figures_of(frame, bundle, other, settings)


@pytest.fixture(scope="module")
def text(figures: Json) -> str:
    return replay_page(figures)


def test_every_link_within_the_page_leads_to_a_part_of_it(text: str) -> None:
    page = read_page(text)
    ids = [one.attributes["id"] for one in page.all() if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    links = [one.attributes["href"] for one in page.find("a")]
    assert {one[1:] for one in links} <= set(ids)
    assert sum(one.startswith("#patient-") for one in links) >= 4


def test_every_picture_has_its_table_and_nothing_is_fetched(text: str) -> None:
    page = read_page(text)
    for figure in page.find("figure"):
        assert figure.find("svg")
        assert figure.find("table")
    assert len(page.find("figure")) >= 10
    assert "<script" not in text
    assert not [one for one in page.all() if "src" in one.attributes]


def test_in_a_service_names_lead_to_the_patients_as_of_then(figures: Json) -> None:
    text = replay_page(figures, patient_link("/here"))
    one = figures["flips"]["listed"][0]
    assert f"/here/patients/{one['patient']}?as_of={one['as_of'].replace(':', '%3A')}" in text


def test_the_same_figures_give_the_same_bytes(figures: Json, text: str) -> None:
    assert replay_page(figures) == text
    assert as_json(figures) == as_json(dict(reversed(figures.items())))
    assert b"NaN" not in as_json(figures)


def test_names_in_the_data_are_escaped() -> None:
    bundle = intensification()
    frame = points_of(a_world().draw(60, 4), bundle)
    frame["key.patient"] = "<script>" + frame["key.patient"]
    frame["decision.code"] = frame["decision.code"].where(frame.index != 0, "<b>")
    text = replay_page(figures_of(frame, bundle))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("how", ["none", "nobody", "unobserved", "small"])
def test_there_is_a_page_where_there_is_no_answer(how: str) -> None:
    bundle = intensification()
    frame = points_of(a_world().draw(60, 4), bundle)
    if how == "none":
        frame = frame.iloc[:0]
    elif how == "nobody":
        frame[["decision.stage", "decision.action"]] = None
        frame["decision.outcome"] = "not_applicable"
        frame["decision.code"] = "out-of-population"
    elif how == "unobserved":
        frame["outcome.value"] = np.nan
        frame["outcome.state"] = "pending"
    figures = figures_of(frame, bundle)
    said = (
        figures["empty"] or figures["value"]["refused"] or figures["value"]["regimes"][0]["refused"]
    )
    assert said
    assert said.split(":")[0].split("'")[0] in replay_page(figures)


def test_a_table_without_any_row_keeps_its_types(figures: Json) -> None:
    bundle = intensification()
    frame = points_of(a_world().draw(5, 4), bundle).iloc[:0]
    assert isinstance(frame, pd.DataFrame)
    assert figures_of(frame, bundle)["funnel"][0]["decisions"] == 0
    assert figures["funnel"][0]["decisions"] == 800


def test_the_predicted_gain_stands_in_a_picture_with_its_table(figures: Json, text: str) -> None:
    told = figures["calibration"]["benefit"]
    [figure] = [one for one in read_page(text).find("figure")
                if one.attributes.get("id") == "benefit"]  # fmt: skip
    assert len(figure.find("tr")) == 1 + len(told["groups"])
    assert "Predicted gain (mmHg)" in text
    assert "Does the predicted gain hold here?" in text


def test_a_promise_that_is_not_kept_is_called_so(figures: Json) -> None:
    promise = figures["calibration"]["benefit"]

    def words(**changed: Any) -> str:
        calibration = figures["calibration"] | {"benefit": promise | changed}
        return benefit_words(figures | {"calibration": calibration})

    assert "the more it overstates it" in words(slope_low=0.3, slope_high=0.7)
    assert "more alike than they are" in words(slope_low=1.2, slope_high=1.8)
    assert "which agrees with 1" in words(slope_low=0.8, slope_high=1.3)
    plain = words(slope=None, why_no_slope="the same gain is predicted for everybody")
    assert plain.endswith("There is no slope: the same gain is predicted for everybody.")
    assert " mmHg was seen here (" in plain


def test_a_promise_that_cannot_be_checked_says_why(figures: Json) -> None:
    refused = {"refused": "No stage can be checked.", "groups": [],
               "stages": [{"stage": "three_months", "refused": "too few"}]}  # fmt: skip
    unseen = figures | {"calibration": figures["calibration"] | {"benefit": refused}}
    text = replay_page(unseen | {"value": figures["value"] | NO_VALUE})
    assert "<p>No stage can be checked.</p>" in text
    assert "refused: too few" in text
    older = {k: v for k, v in figures["calibration"].items() if k != "benefit"}
    text = replay_page(figures | {"calibration": older, "value": figures["value"] | NO_VALUE})
    assert "Replay again." in text


def test_a_picture_of_zeros_is_a_sentence_instead() -> None:
    bundle = intensification()
    frame = points_of(a_world().draw(60, 4), bundle)
    frame["decision.outcome"], frame["decision.action"] = "no_change", "keep"
    frame["decision.candidates"] = [["keep"]] * len(frame)
    frame["taken.action"] = np.where(
        frame["decision.stage"] == "three_months", "add_ace", "add_ccb"
    )
    text = replay_page(figures_of(frame, bundle))
    shown = {one.attributes.get("id") for one in read_page(text).find("figure")}
    assert not {"firing", "concordance"} & shown
    assert "No decision at a stage with a choice would have shown a card of advice." in text
    assert "In none of the 120 decisions of which both the advice and the action taken" in text
    nothing = replay_page(figures_of(frame.iloc[:0], bundle))
    assert "There is no decision point, so that nothing can be counted." in nothing


def test_units_are_in_words_wherever_a_person_reads(text: str) -> None:
    assert "mm[Hg]" not in text


def test_the_terminal_says_the_difference_in_words(figures: Json) -> None:
    [said, _] = answer_lines(figures, Path("out"))
    assert said.startswith("The first version less usual care: ")
    assert " mmHg (" in said
    assert "doubly robust. Below 0 the first version is better. The " in said
    refused = {**figures["value"]["differences"][0], "refused": "it advises what nobody took"}
    value = figures["value"] | {"differences": [refused]}
    [said, _] = answer_lines(figures | {"value": value}, Path("out"))
    assert said == "The first version less usual care: no value, for it advises what nobody took"


def first_box(text: str) -> Any:
    return next(one for one in read_page(text).find("section")
                if "first" in one.attributes.get("class", "").split())  # fmt: skip


def with_doubts(figures: Json, *names: str) -> Json:
    """Return figures in which nothing is refused and only these assumptions are doubtful."""
    value = figures["value"]
    told = value["assumptions"] | {"doubts": [{"assumption": one, "whys": ["it is so"]}
                                              for one in names]}  # fmt: skip
    regimes = [one | {"refused": None} if one["kind"] == "regime" else one
               for one in value["regimes"]]  # fmt: skip
    bundles = {key: figures[key] | {"unheld_confounders": []} for key in ("bundle", "against")}
    return figures | bundles | {"value": value | {"assumptions": told, "regimes": regimes}}


def test_the_box_is_amber_where_something_is_doubtful(figures: Json) -> None:
    def box(*names: str) -> Any:
        return first_box(replay_page(with_doubts(figures, *names)))

    fine, doubt = box(), box("sequential exchangeability")
    assert fine.attributes["class"].split() == ["first"]
    assert doubt.attributes["class"].split() == ["first", "doubt"]
    assert box("positivity").attributes["class"].split() == ["first", "problem"]


def test_warnings_stand_above_the_numbers_and_make_the_box_amber(figures: Json) -> None:
    said = "found for no patient: sbp; map local codes in the site's settings"
    warned = with_doubts(figures) | {"run": {"warnings": [said]}}
    box = first_box(replay_page(warned))
    assert box.attributes["class"].split() == ["first", "doubt"]
    words = box.words()
    assert "One warning of the run" in words
    assert words.index("Found for no patient: sbp") < words.index("Would show a card")
    assert "warning" not in first_box(replay_page(with_doubts(figures))).words()


@pytest.mark.parametrize(
    ("better", "low", "high", "words"),
    [
        ("lower", -0.7, 1.7, "Below 0 the first version is better. The interval includes no diff"),
        (
            "lower",
            -2.0,
            -1.0,
            "Below 0 the first version is better. The whole interval is on the b",
        ),
        ("lower", 1.0, 2.0, "Below 0 the first version is better. The whole interval is on the w"),
        ("higher", 1.0, 2.0, "Above 0 the first version is better. The whole interval is on the b"),
    ],
)
def test_beside_a_difference_stands_which_side_is_better(
    figures: Json, better: str, low: float, high: float, words: str
) -> None:
    one = figures["value"]["differences"][0]
    robust = one["robust"] | {"estimate": (low + high) / 2, "low": low, "high": high}
    bundle = figures["bundle"] | {"aim": figures["bundle"]["aim"] | {"better": better}}
    changed = figures | {"bundle": bundle, "value": figures["value"] | {
        "differences": [one | {"robust": robust}]}}  # fmt: skip
    page = read_page(replay_page(changed))
    assert words in first_box(replay_page(changed)).words()
    [chart] = [one for one in page.find("figure") if one.attributes["id"] == "differences"]
    assert words.partition(". ")[2][:40] in chart.find("table")[0].words()


def test_beside_each_other_two_versions_have_their_paired_difference(figures: Json) -> None:
    """It is that of the run, turned round where its second version stands first."""
    sides = of_version(figures, "version"), of_version(figures, "against")
    [one] = [one for one in figures["value"]["differences"]
             if (one["of"], one["minus"]) == ("version", "against")]  # fmt: skip
    robust = {**(one.get("robust") or {}), "estimate": -3.25, "low": -4.5, "high": -2.0}
    told = [{**one, "refused": None, "robust": robust}]
    first, second = ({**side, "value": figures["value"] | {"differences": told}} for side in sides)
    assert paired(("both", "both"), (first, second)) == {
        "run": "both", "refused": "", "said": "\u22123.2 mmHg (\u22124.5 to \u22122.0)",
        "side": "Below 0 the first is better. The whole interval is on the better side of no "
                "difference.",
    }  # fmt: skip
    turned = paired(("both", "both"), (second, first)) or {}
    assert turned["said"] == "3.2 mmHg (2.0 to 4.5)"
    assert "worse side" in turned["side"]
    alone = {**of_version({**figures, "against": None}, "version"), "bundle": second["bundle"]}
    assert (paired(("both", "alone"), (first, alone)) or {})["run"] == "both"
    assert paired(("both", "both"), (first, first)) is None
    held = [{**one, "refused": "it advises what nobody took"}]
    one_side, other = ({**side, "value": figures["value"] | {"differences": held}}
                       for side in sides)  # fmt: skip
    refused = paired(("b", "b"), (one_side, other)) or {}
    assert refused["refused"] == "it advises what nobody took"


def test_the_effective_n_says_of_which_value_it_is(text: str) -> None:
    heads = [cell.words() for cell in read_page(text).find("th")]
    assert "Effective n of the weighted value" in heads
    table = next(one for one in read_page(text).find("table")
                 if one.find("caption")[0].words() == "Who followed each regime")  # fmt: skip
    assert "Effective n" not in [cell.words() for cell in table.find("th")]
    assert "A value is refused where the effective n of the weighted one is below 50." in text
    assert "Intervals by weighting alone take the weights as known" in text


def test_what_is_wider_than_the_screen_says_so_and_can_be_moved(text: str) -> None:
    """With a finger or with the keys; a drawing is never narrower than can be read."""
    pictures = [one for one in read_page(text).find("div")
                if one.attributes.get("class") == "picture"]  # fmt: skip
    assert len(pictures) >= 10
    assert {(one.attributes["role"], one.attributes["tabindex"]) for one in pictures} == {
        ("region", "0")
    }
    [narrow] = re.findall(r"@media screen and \(max-width: 40rem\) \{(.*?)\n\}", text, re.DOTALL)
    assert 'figure > p::after { content: "Wider than the screen' in narrow
    assert 'caption::after { content: "Wider than the screen' in narrow


def test_a_doubt_is_told_with_its_reason_and_what_not_to_do(figures: Json) -> None:
    text = replay_page(with_doubts(figures, "sequential exchangeability"))
    assert "Doubtful: sequential exchangeability. It is so." in text
    assert "Do not go live on this number alone." in text
    assert "Do not go live" not in replay_page(with_doubts(figures))


def test_what_the_study_adjusted_for_and_the_bundle_lacks_is_told_twice(
    figures: Json, text: str
) -> None:
    said = ("The studies of both versions adjusted for diabetes; this replay does not, as the rule "
            "bundle does not hold it.")  # fmt: skip
    assert text.count(said) == 2
    one = figures | {"against": figures["against"] | {"unheld_confounders": ["a", "b"]}}
    other = replay_page(one)
    assert "The study adjusted for diabetes; this replay does not" in other
    assert "The study behind the second version adjusted for a, b;" in other
    assert "bundle does not hold them." in other


def test_deaths_are_told_first(figures: Json) -> None:
    cohort = figures["value"]["cohort"]
    died = cohort | {"deaths": {"patients": 12, "of": 400, "share": 0.03}}
    text = replay_page(figures | {"value": figures["value"] | {"cohort": died}})
    said = "12 of 400 patients whose outcome was due died before it (3.0 %)."
    assert text.count(said) == 2
    assert said not in replay_page(figures)


def test_outcomes_that_were_true_before_anything_was_decided_are_told_first(figures: Json) -> None:
    value = figures["value"]

    def page(already: Json | None) -> str:
        cohort = value["cohort"] | {"already": already}
        return replay_page(figures | {"value": value | {"cohort": cohort}})

    text = page({"patients": 30, "of": 120})
    said = ("Of 120 patients in whom the outcome (Systolic blood pressure) is true, it was true at "
            "their first decision already in 30.")  # fmt: skip
    assert text.count(said) == 2
    assert "was true at their first decision" not in page({"patients": 0, "of": 120}) + page(None)


def test_three_shares_stand_over_one_base(figures: Json, text: str) -> None:
    told = figures["spoken"]
    for key, words in (("card", "Would show a card"), ("no_change", "Nothing to change"),
                       ("none", "No advice")):  # fmt: skip
        share = f"{100 * told[key] / told['decisions']:.1f} %"
        assert f"<span>{words}</span><strong>{share}</strong>" in text
    assert text.count("of 800 decisions at stages with a choice; the second version") == 3


def test_each_version_has_its_own_charts(text: str) -> None:
    ids = {one.attributes.get("id") for one in read_page(text).find("figure")}
    assert {f"{name}{key}" for name in ("funnel", "reasons", "concordance")
            for key in ("", "-second")} <= ids  # fmt: skip
    assert "Second version: what was advised and what was done" in text


def test_the_table_of_hidden_confounding_has_plain_heads(text: str) -> None:
    [figure] = [one for one in read_page(text).find("figure")
                if one.attributes.get("id") == "sensitivity"]  # fmt: skip
    heads = [one.words().strip() for one in figure.find("thead")[0].find("th")]
    assert heads == ["Gamma", "Estimate", "Possible range"]


def test_the_report_says_that_it_holds_patients_data(text: str) -> None:
    assert "Holds patients\u2019 data" in text
    assert '<body class="patients">' in text
    assert "@page patients" in text


def test_a_flip_leads_to_its_decision_on_the_page(figures: Json, text: str) -> None:
    shown = {at["id"] for one in figures["timelines"] for at in one["decisions"]}
    flip = next(one for one in figures["flips"]["listed"] if one["id"] in shown)
    assert f'href="#decision-{flip["id"]}"' in text
    assert f'id="decision-{flip["id"]}"' in text


def test_variables_are_called_by_their_labels(text: str) -> None:
    said = read_page(text).words()
    assert "Systolic blood pressure" in said
    assert "potassium (" not in said
    assert "Latest step of the regime = none" in said


def test_written_and_read_again_the_figures_give_the_same_page(figures: Json, text: str) -> None:
    assert replay_page(json.loads(as_json(figures))) == text


def test_how_it_was_made_is_told_in_words(figures: Json) -> None:
    settings = ReplaySettings(end=True, from_start=True, data_until=1_759_664_700_000_000).plain()
    vocabulary = {"patients": 9, "variables": {
        "sbp": {"patients": 8, "known": 7, "units": {"mm[Hg]": 20, "": 1}, "missing": {"stale": 1}},
    }}  # fmt: skip
    run = {"settings": settings, "data": "", "warnings": [], "vocabulary":
           listed_vocabulary(vocabulary),
           "checked_again": {"rows": 62, "differences": 0, "differing": []}}  # fmt: skip
    said = read_page(replay_page(figures | {"run": run})).words()
    assert "the end of each encounter" in said
    assert "the measurement nearest to 9 months after a patient's first decision at a stage" in said
    assert "at most 30 days before or after that; the version itself names that time" in said
    assert "2025-10-05 11:45 UTC; what would be later is pending" in said
    assert (
        "62 decisions (1.0 %, drawn by chance) by the evaluator that serves one patient: 0" in said
    )
    assert "each patient as of the last entry of the record" in said
    rows = vocabulary_rows(figures | {"run": run})
    assert rows == [
        ("Systolic blood pressure", "8", "7", "mm[Hg] 20, no unit 1", "stale 1"),
    ]
    plan = settings | {"points": "schedule", "every": "P3M", "first": "2024-01-01T00:00:00Z",
                       "last": "2025-01-01T00:00:00Z", "horizon": "P6M"}  # fmt: skip
    told = dict(made(figures | {"run": run | {"settings": plan}}))
    assert told["Decision points"] == (
        "every 3 months from 2024-01-01 00:00 UTC to 2025-01-01 00:00 UTC"
    )
    assert "6 months" in told["Outcome"]


def test_codes_that_differ_between_the_versions_are_told_first(figures: Json) -> None:
    one = {"action": "add_ace", "label": "Add lisinopril", "first": ["a|1"], "second": [],
           "shares": False}  # fmt: skip
    said = first_box(replay_page(figures | {"second": figures["second"] | {"recoded": [one]}}))
    assert (
        "Add lisinopril (add_ace) is seen as no code by the second version, as a|1 by the "
        "first: values judge what was taken by the first version's codes"
    ) in said.words()


def test_the_head_tells_the_horizon_that_was_asked_for(figures: Json, text: str) -> None:
    assert "Systolic blood pressure (mmHg), 9 months after each decision" in text
    asked = figures["run"] | {"settings": {"horizon": "P6M", "horizon_from": "start"}}
    page = replay_page(figures | {"run": asked})
    assert "Systolic blood pressure (mmHg), 6 months after the start" in page
    assert "these versions would have advised" in page


def test_a_step_of_a_course_is_called_by_its_label(text: str) -> None:
    assert "Latest step of the regime Add lisinopril 10 mg once daily" in text
    assert "Latest step of the regime add_ace" not in text


def test_figures_of_an_older_run_are_still_shown(figures: Json) -> None:
    """Those have neither lists of order nor anything of the second version by itself."""
    new = {"stage_order", "variable_order", "unheld_confounders"}
    older = {name: one for name, one in figures.items() if name not in {"second", "spoken"}}
    for key in ("bundle", "against"):
        older[key] = {name: one for name, one in figures[key].items() if name not in new}
    value = figures["value"]
    doubts = {k: v for k, v in value["assumptions"].items() if k != "doubts"}
    cohort = {k: v for k, v in value["cohort"].items() if k != "deaths"}
    regimes = [{k: v for k, v in one.items() if k != "deviates"} for one in value["regimes"]]
    older["value"] = value | {"assumptions": doubts, "cohort": cohort, "regimes": regimes}
    listed = [{k: v for k, v in one.items() if k != "kind"} for one in figures["flips"]["listed"]]
    flips = {k: v for k, v in figures["flips"].items() if k != "kinds"}
    older["flips"] = flips | {"listed": listed}
    text = replay_page(older)
    assert "Doubtful: " in text
    assert "From all decisions to those in which clinicians did the same" in text


def test_shares_of_agreement_are_drawn_from_nought(figures: Json) -> None:
    chart = concordance_chart(figures)
    ticks = re.findall(r"<text[^>]*>\s*([0-9]+)\s*</text>", chart.svg)
    assert ticks[0] == "0"
    assert chart.head[3:5] == ("Did the same", "Decisions")
