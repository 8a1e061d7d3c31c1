"""The report of a replay: whole, self-contained, the same bytes, and links that lead somewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.html_pages import read_page
from builders.replay_worlds import a_world, intensification, points_of

from cds_adapters.report.answers import answer_lines, as_json
from cds_adapters.report.replay_charts import benefit_words
from cds_adapters.report.replay_page import patient_link, replay_page
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.settings import FigureSettings

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
    assert said.startswith("The version less usual care: ")
    assert " mmHg (" in said
    refused = {**figures["value"]["differences"][0], "refused": "it advises what nobody took"}
    value = figures["value"] | {"differences": [refused]}
    [said, _] = answer_lines(figures | {"value": value}, Path("out"))
    assert said == "The version less usual care: no value, for it advises what nobody took"
