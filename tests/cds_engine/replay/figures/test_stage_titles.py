"""A reader meets stages by their titles, as on the page, also where an estimator speaks of them."""

from typing import TYPE_CHECKING

from builders.replay_worlds import a_world, intensification, points_of

from cds_engine.errors import EstimationError
from cds_engine.replay.figures.document import figures_of
from cds_engine.replay.figures.points import DecisionPoints, stage_titles
from cds_engine.replay.figures.settings import FigureSettings

if TYPE_CHECKING:
    from cds_engine.bundle.model import RuleBundle


class Stages:
    """A bundle of which nothing but its stages is asked."""

    def __init__(self, **titles: str) -> None:
        self.stages = [type("Stage", (), {"name": name, "title": title})
                       for name, title in titles.items()]  # fmt: skip


def test_stages_of_one_title_are_told_apart_and_one_without_keeps_its_name() -> None:
    bundle: RuleBundle = Stages(one="Start", two="Start", three="")  # type: ignore[assignment]
    assert stage_titles(bundle) == {"one": "Start (one)", "two": "Start (two)", "three": "three"}


def test_what_an_estimator_says_of_a_stage_is_said_of_its_title() -> None:
    points = DecisionPoints.of(
        points_of(a_world().draw(20, 4), intensification()), intensification()
    )
    fault = EstimationError("stage three_months: nobody; as at stage three_months_later, stage x")
    assert points.in_titles(fault) == (
        "stage Three months: nobody; as at stage three_months_later, stage x"
    )


def test_a_stage_with_nothing_to_adjust_for_is_named_by_its_title() -> None:
    settings = FigureSettings(adjust_for=())
    frame = points_of(a_world().draw(200, 4), intensification())
    value = figures_of(frame, intensification(), settings=settings)["value"]
    assert value["refused_for"] == "adjustment"
    assert value["refused"].startswith("There is nothing to adjust for at stage Three months, so")
