"""The report of a replay: whole, self-contained, the same bytes, and links that lead somewhere."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.html_pages import read_page
from builders.replay_worlds import a_world, intensification, points_of

from cds_adapters.report.answers import as_json
from cds_adapters.report.replay_page import patient_link, replay_page
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.settings import FigureSettings

Json = dict[str, Any]
OTHER = {"constant: -9.19711": "constant: -12.0"}


@pytest.fixture(scope="module")
def figures() -> Json:
    bundle, other = intensification(), intensification(OTHER)
    frame = points_of(a_world().draw(400, 4), bundle, other)
    settings = FigureSettings(timelines=4, subgroups=("sbp",))
    return figures_of(frame, bundle, other, settings)


def test_every_link_within_the_page_leads_to_a_part_of_it(figures: Json) -> None:
    page = read_page(replay_page(figures))
    ids = [one.attributes["id"] for one in page.all() if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    links = [one.attributes["href"] for one in page.find("a")]
    assert {one[1:] for one in links} <= set(ids)
    assert sum(one.startswith("#patient-") for one in links) >= 4


def test_every_picture_has_its_table_and_nothing_is_fetched(figures: Json) -> None:
    text = replay_page(figures)
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


def test_the_same_figures_give_the_same_bytes(figures: Json) -> None:
    assert replay_page(figures) == replay_page(figures)
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
