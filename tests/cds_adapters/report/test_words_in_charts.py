"""No words of a chart leave it, and none lie over others, however many rows and how long names."""

import math
from collections.abc import Callable, Iterator
from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from cds_adapters.report import plotted, rowed
from cds_adapters.report.charts import (
    BalanceRow,
    Bar,
    CalibrationPoint,
    Chart,
    ControlPoint,
    Curve,
    Line,
    Mark,
    bars,
    calibration,
    control,
    curves,
    forest,
    heat,
    love,
)

LONG = "Keep the treatment as it is and measure again at home in three months"
NAMES = (
    LONG,
    "Hydrochlorothiazide-olmesartan-medoxomil",
    "Keep",
    "Several equally good: Add, Keep",
)
Make = Callable[[int], Chart]


def name(at: int) -> str:
    return f"{NAMES[at % len(NAMES)]} {at}"


def heats(n: int) -> Chart:
    wide = min(n, 9)
    cells = [[math.nan if (x + y) % 4 == 3 else 1e5 * x + y for x in range(wide)] for y in range(n)]
    return heat("h", "t", [name(at) for at in range(n)], [name(at) for at in range(wide)], cells,
                "first version", "second version")  # fmt: skip


def short_heats(n: int) -> Chart:
    return heat("h", "t", ["Keep"] * n, ["Add"], [[1.0]] * n, "first version", "second version")


def controls(n: int) -> Chart:
    points = [ControlPoint(f"20{at:02d}-01", 10 + at % 3, 10.5, 10.4, 10.6, 30) for at in range(n)]
    return control("c", "t", points, "Month (UTC)", "Decisions with a card (%)")


def calibrations(n: int) -> Chart:
    points = [CalibrationPoint(140 + at, 141, 139, 143, 20, (139.5, 145)) for at in range(n)]
    return calibration("c", "t", points, f"Predicted: {LONG} (mmHg)", f"Observed: {LONG} (mmHg)")


def forests(n: int) -> Chart:
    marks = [Mark(name(at), *((math.nan,) * 3 if at % 5 == 4 else (1000.5, 900.0, 2100.0)),
                  crude=1002.0, group=f"{LONG} at {at // 3}") for at in range(n)]  # fmt: skip
    return forest("f", "t", marks, f"Difference in {LONG} (mmHg); lower is better",
                  reference=Line(1000.0, "usual care"))  # fmt: skip


def barred(n: int) -> Chart:
    return bars("b", "t", [Bar(name(at), 10.0 * at) for at in range(n)], "Decision points")


def loves(n: int) -> Chart:
    rows = [BalanceRow(name(at), at / 30, 0.05, f"Three months: {LONG}") for at in range(n)]
    return love("l", "t", rows)


def curved(n: int) -> Chart:
    lines = [Curve(name(at), (1, 2, 3), (1, 2, 3 + at / 9)) for at in range(min(n, 8))]
    return curves("c", "t", lines, "Gamma: factor by which an unmeasured cause shifts the odds",
                  f"Difference in {LONG} (mmHg)", level=Line(0.0, "none"))  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize(
    "make", [heats, short_heats, controls, calibrations, forests, barred, loves, curved]
)
def test_words_stay_inside_and_apart(make: Make, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Figure] = []

    def keep(figure: Figure, _key: str, _title: str) -> str:
        found.append(figure)
        return measured(figure)

    for module in (plotted, rowed):
        monkeypatch.setattr(module, "svg", keep)
    chart = make(n)
    assert chart.svg == ""


def measured(figure: Figure) -> str:
    """Return in words what leaves the figure or lies over other words, in the font it is drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    unseen = set(_beyond(figure))
    boxes = [
        (one.get_text(), one.get_window_extent(renderer)) for one in figure.findobj(Text)
        if isinstance(one, Text) and one.get_text().strip() and one not in unseen
    ]  # fmt: skip
    wide, high = figure.bbox.width, figure.bbox.height
    faults = [f"{words!r} leaves it" for words, box in boxes
              if box.x0 < 0 or box.y0 < 0 or box.x1 > wide or box.y1 > high]  # fmt: skip
    faults += [
        f"{one!r} lies over {other!r}"
        for (one, box), (other, beside) in combinations(boxes, 2)
        if min(box.x1, beside.x1) - max(box.x0, beside.x0) > 1
        and min(box.y1, beside.y1) - max(box.y0, beside.y0) > 1
    ]
    return "; ".join(faults)


def _beyond(figure: Figure) -> Iterator[Text]:
    """Yield the numbers at ticks that lie beyond their axis, which are not drawn."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                if not low <= tick.get_loc() <= high:
                    yield from (tick.label1, tick.label2)


def test_the_limits_of_a_single_month_are_drawn() -> None:
    drawn = controls(1).svg
    assert drawn.count("stroke-dasharray") >= 2
