"""The drawing of a stage holds every option, and nothing in it covers anything else."""

from itertools import combinations
from pathlib import Path

import pytest
from builders.web_bundles import SCORES, pressure, shelf_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_adapters.web.flow import GAP, LINE, MAX_BRANCHES, MAX_CHARS, PAD, Box, Drawing, draw
from cds_adapters.web.words import spoken
from cds_engine.bundle.model import Branch, DecisionList, RuleBundle, Stage
from cds_engine.criteria.syntax import Threshold


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> RuleBundle:
    return spoken(shelf_of(tmp_path_factory.mktemp("rules"), pressure()).find("pressure"))


def drawn(bundle: RuleBundle, rule: DecisionList) -> Drawing:
    stage = Stage("s", "S", "stages[0]", Threshold("age", ">=", 18), tuple(bundle.actions), rule)
    drawing = draw(bundle, stage)
    assert drawing is not None
    return drawing


def lists(depth: int) -> st.SearchStrategy[DecisionList]:
    ends = st.builds(
        lambda action, bound: Branch("p", Threshold("sbp", ">=", bound), (action,)),
        st.sampled_from(["lifestyle", "add_ace", "monitor"]),
        st.integers(60, 280).map(float),
    )
    nested = ends
    if depth:
        inside = lists(depth - 1)
        nested = ends | inside.map(lambda rule: Branch("p", Threshold("age", "<", 55), (), rule))
    last = st.sampled_from(["add_ccb", "monitor"]).map(lambda name: Branch("p", None, (name,)))
    return st.builds(
        lambda branches, end: DecisionList((*branches, end)), st.lists(nested, max_size=4), last
    )


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lists(2))
def test_no_box_covers_another_and_all_lie_inside(bundle: RuleBundle, rule: DecisionList) -> None:
    drawing = drawn(bundle, rule)
    assert not [pair for pair in combinations(drawing.boxes, 2) if _overlap(*pair)]
    for box in drawing.boxes:
        assert box.x >= 0
        assert box.x + box.width <= drawing.width
        assert box.y >= 0
        assert box.y + box.height <= drawing.height


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lists(2))
def test_every_arrow_runs_from_the_edge_of_a_box_to_the_edge_of_a_box(
    bundle: RuleBundle, rule: DecisionList
) -> None:
    drawing = drawn(bundle, rule)
    for arrow in drawing.arrows:
        points = [tuple(map(int, point.split(","))) for point in arrow.points.split()]
        assert any(_on_edge(points[0], box) for box in drawing.boxes)
        assert any(_on_edge(points[-1], box) for box in drawing.boxes)
    assert len(drawing.arrows) == len(drawing.boxes) - 1


@given(st.text(max_size=400))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_text_never_runs_out_of_its_box(bundle: RuleBundle, words: str) -> None:
    drawing = drawn(bundle, DecisionList((Branch("p", None, (), None, words),)))
    box = drawing.boxes[-1]
    assert all(len(line) <= MAX_CHARS for line in box.lines)
    assert box.height == 2 * PAD + LINE * len(box.lines)


def test_a_stage_names_its_options_and_what_replaces_a_barred_one(bundle: RuleBundle) -> None:
    drawing = draw(bundle, bundle.stage("three_months"))
    assert drawing is not None
    said = {" ".join(box.lines): box.kind for box in drawing.boxes}
    first = "Start lisinopril 10 mg daily (if barred: Start amlodipine 5 mg daily)"
    assert said[first] == "action"
    assert said["No advice: Refer such a pressure at once."] == "abstain"
    assert said["Continue and measure again in 3 months"] == "keep"
    assert said["systolic blood pressure is 180 mmHg or higher?"] == "question"
    assert [arrow.label for arrow in drawing.arrows].count("yes") == 4


def test_scores_are_drawn_with_those_for_whom_an_option_is_compared(tmp_path: Path) -> None:
    walking = spoken(shelf_of(tmp_path, SCORES).find("walking"))
    drawing = draw(walking, walking.stage("first"))
    assert drawing is not None
    said = [" ".join(box.lines) for box in drawing.boxes]
    assert "Offer digital coaching" in said
    assert "Offer a gym membership (compared only where age is below 80 years)" in said


def test_a_rule_too_long_to_follow_is_not_drawn(bundle: RuleBundle) -> None:
    line = Branch("p", Threshold("sbp", ">=", 140), ("add_ace",))
    stage = bundle.stage("baseline")
    longest = DecisionList((line,) * (MAX_BRANCHES - 1) + (Branch("p", None, ("monitor",)),))
    longer = DecisionList((line, *longest.branches))
    fits, too_long = (
        Stage(stage.name, stage.title, stage.place, stage.when, stage.choose, rule)
        for rule in (longest, longer)
    )
    assert draw(bundle, fits) is not None
    assert draw(bundle, too_long) is None


def _overlap(one: Box, other: Box) -> bool:
    apart = GAP // 4
    beside = one.x + one.width + apart <= other.x or other.x + other.width + apart <= one.x
    below = one.y + one.height + apart <= other.y or other.y + other.height + apart <= one.y
    return not (beside or below)


def _on_edge(point: tuple[int, ...], box: Box) -> bool:
    x, y = point
    inside_x = box.x <= x <= box.x + box.width
    inside_y = box.y <= y <= box.y + box.height
    at_side = x in (box.x, box.x + box.width) and inside_y
    return at_side or (y in (box.y, box.y + box.height) and inside_x)
