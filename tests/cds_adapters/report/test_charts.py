"""Every chart draws the numbers of its table, the same bytes each time, whatever its names are."""

import math
import re
from collections.abc import Callable

import matplotlib as mpl
import pytest
from builders.html_pages import Element, read_page

from cds_adapters.report.charts import (
    BalanceRow,
    Bar,
    Box,
    CalibrationPoint,
    Chart,
    ControlPoint,
    Curve,
    Histogram,
    Line,
    Mark,
    bars,
    calibration,
    control,
    curves,
    diagram,
    forest,
    heat,
    histograms,
    love,
)
from cds_adapters.report.drawing import wrapped
from cds_adapters.report.numbers import MINUS, decimal, interval, number, places_for, signed

NASTY = "a <b> & $x_1$ 'q' \"d\""


def drawn(chart: Chart) -> Element:
    [found] = read_page(f"<!DOCTYPE html>{chart.svg}").find("svg")
    return found


def a_forest() -> Chart:
    marks = [
        Mark(NASTY, 1.25, 1.0, 1.5, crude=1.4, group="Ours", extra=("12",)),
        Mark("other", -2.0, -2.5, -1.5, group="Theirs", extra=("7",)),
    ]
    return forest("f", NASTY, marks, "Score", reference=Line(0.0, "none"), extra_head=("n",))


def two_curves() -> Chart:
    lines = [Curve(NASTY, (0, 1), (1.5, 2.5), (1.0, 2.0), (2.0, 3.0)), Curve("b", (0, 1), (2, 1))]
    return curves("c", NASTY, lines, "x", "y", level=Line(0, ""), at=[Line(0.5, "cut")])


def some_bars() -> Chart:
    return bars("b", NASTY, [Bar(NASTY, 12), Bar("in support", 7, low=5, high=9)], "patients")


def a_histogram() -> Chart:
    panel = Histogram(NASTY, (3, 0, 5), (1, 0, 2))
    return histograms("h", NASTY, (0, 1, 2, 3), [panel], "x", names=("yes", "no"))


def a_love_plot() -> Chart:
    return love("l", NASTY, [BalanceRow(NASTY, 0.31, -0.02, "stage: a"), BalanceRow("c", 0, 0.1)])


def a_control_chart() -> Chart:
    points = [ControlPoint("2025-01", 0.5, 0.45, 0.4, 0.55, 90),
              ControlPoint(NASTY, 0.61, 0.45, 0.4, 0.56, 80)]  # fmt: skip
    return control("k", NASTY, points, "Month", "Share")


def a_calibration() -> Chart:
    points = [CalibrationPoint(130.0, 131.5, 128.0, 135.0, 40)]
    return calibration("cal", NASTY, points, NASTY, "Observed")


def a_heat_table() -> Chart:
    cells = [[90.0, 4.0], [math.nan, 55.0]]
    return heat("t", NASTY, ["keep", NASTY], ["keep", NASTY], cells, "First", "Second")


def a_diagram() -> Chart:
    root = Box(("all", "n = 5"), (Box((NASTY, "n = 5"), arrow="yes & no", end=True),))
    return diagram("d", NASTY, root, ("who", "n"), [(NASTY, "5")], columns=("", "stage"))


CHARTS = [a_forest, two_curves, some_bars, a_histogram, a_love_plot, a_control_chart,
          a_calibration, a_heat_table, a_diagram]  # fmt: skip
every_chart = pytest.mark.parametrize("draw", CHARTS)


@every_chart
def test_a_chart_is_the_same_bytes_each_time(draw: Callable[[], Chart]) -> None:
    assert draw() == draw()


@every_chart
def test_settings_of_whoever_runs_it_do_not_reach_a_chart(draw: Callable[[], Chart]) -> None:
    usual = draw().svg
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.fonttype": "path"}):
        assert draw().svg == usual


@every_chart
def test_names_are_escaped_and_no_formula_is_set(draw: Callable[[], Chart]) -> None:
    chart = draw()
    assert "<b>" not in chart.svg
    assert drawn(chart).attributes["aria-label"] == NASTY
    assert "$x_1$" in drawn(chart).words()


@every_chart
def test_a_drawing_names_its_ids_after_itself_and_fetches_nothing(
    draw: Callable[[], Chart],
) -> None:
    chart = draw()
    ids = re.findall(r'\bid="([^"]*)"', chart.svg)
    used = re.findall(r'(?:href="#|url\(#)([^")]*)', chart.svg)
    assert len(ids) == len(set(ids))
    assert set(ids) == set(used)
    assert all(name.startswith(f"{chart.key}-") for name in ids)
    for strange in ("http", "<style", "style=", "<image", "<script", "<?xml", "<!"):
        assert strange not in chart.svg


@every_chart
def test_a_row_has_a_cell_for_every_head(draw: Callable[[], Chart]) -> None:
    chart = draw()
    assert chart.rows
    assert {len(row) for row in chart.rows} == {len(chart.head)}


@pytest.mark.parametrize(
    ("draw", "rows"),
    [
        (a_forest, [(f"Ours: {NASTY}", "1.25", "1.00 to 1.50", "1.40", "12"),
                    ("Theirs: other", f"{MINUS}2.00", f"{MINUS}2.50 to {MINUS}1.50", "none", "7")]),
        (two_curves, [(NASTY, "0", "1.50", "1.00 to 2.00"), (NASTY, "1", "2.50", "2.00 to 3.00"),
                      ("b", "0", "2.00", ""), ("b", "1", "1.00", "")]),
        (some_bars, [(NASTY, "12", ""), ("in support", "7", "5 to 9")]),
        (a_histogram, [("0 to 1", "3 / 1"), ("2 to 3", "5 / 2")]),
        (a_love_plot, [("stage: a", NASTY, "0.310", f"{MINUS}0.020"), ("", "c", "0.000", "0.100")]),
        (a_control_chart, [("2025-01", "0.5", "90", "0.45", "0.4 to 0.55", ""),
                           (NASTY, "0.61", "80", "0.45", "0.4 to 0.56", "outside")]),
        (a_calibration, [("130.00", "131.50", "128.00 to 135.00", "40")]),
        (a_heat_table, [("keep", "90", "4"), (NASTY, "held back", "55")]),
    ],
)  # fmt: skip
def test_the_table_holds_what_is_drawn(
    draw: Callable[[], Chart], rows: list[tuple[str, ...]]
) -> None:
    assert list(draw().rows) == rows


def test_a_refused_estimate_leaves_a_note_in_its_place() -> None:
    note = "refused: effective n 12"
    chart = forest("f", "t", [Mark("x", math.nan, math.nan, math.nan, note=note)], "Score")
    assert chart.rows == (("x", note, ""),)
    assert note in drawn(chart).words()


def test_a_single_curve_is_named_in_the_head() -> None:
    chart = curves("c", "t", [Curve("a over b", (1, 2), (3, 4))], "x", "y")
    assert (chart.head, chart.rows[0]) == (("x", "y, a over b"), ("1", "3.00"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5678, "1235"), (-0.000123456, f"{MINUS}0.0001235"), (0.0, "0"), (math.nan, "not known"),
     (math.inf, "infinite"), (100.0, "100"), (None, "not known"), (123456.0, "123456")],
)  # fmt: skip
def test_numbers_keep_four_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_decimals_follow_the_widest_span() -> None:
    assert (places_for([0.5]), places_for([400.0]), places_for([]), places_for([0.0])) == (
        3, 0, 3, 3)  # fmt: skip
    assert (decimal(-0.0001, 2), decimal(-1.005, 1), signed(2.0, 1)) == (
        "0.00",
        f"{MINUS}1.0",
        "+2.0",
    )
    assert interval(1.0, 2.25, 2) == "1.00 to 2.25"


def test_long_labels_are_broken_at_spaces_or_hard() -> None:
    assert wrapped("one two three", 7) == "one two\nthree"
    assert wrapped("abcdefghij", 4) == "abcd\nefgh\nij"
