"""Charts in two dimensions: curves, histograms, control charts, calibration and shaded cells."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from cds_adapters.report.axes import above, plain_ticks
from cds_adapters.report.chart import (
    CalibrationPoint,
    Chart,
    ControlPoint,
    Curve,
    Histogram,
    Line,
)
from cds_adapters.report.drawing import (
    BLUE,
    DASHES,
    FAINT,
    INK,
    MARKERS,
    PALETTE,
    QUIET,
    RED,
    WIDTH,
    drawing,
    place,
    room,
    svg,
    wrapped,
)
from cds_adapters.report.numbers import count, decimal, interval, number, places_for

Floats = NDArray[np.float64]
_LINE = 17
"""Pixels of a line of words."""
_HEAT = LinearSegmentedColormap.from_list("heat", ["#ffffff", "#8fc1e0"])


def curves(  # noqa: PLR0913 - what a chart shows and how, by name
    key: str, title: str, lines: Sequence[Curve], x_axis: str, y_axis: str, *,
    level: Line | None = None, at: Sequence[Line] = (), height: float = 330,
    band: str = "Interval", head: tuple[str, str] | None = None,
) -> Chart:  # fmt: skip
    """Return curves with their bands, each named at its end.

    Args:
        key: its name on the page.
        title: what it shows.
        lines: the curves; their points are the rows of the table.
        x_axis: what runs to the right, with its unit.
        y_axis: what runs upward, with its unit.
        level: a horizontal line, such as no benefit.
        at: vertical lines, such as cut points.
        height: of the picture, in pixels.
        band: what a band is called in the table.
        head: what x and y are called in the table; as on the axes unless given.
    """
    labels = [wrapped(one.label, 20) for one in lines]
    below, beside = wrapped(x_axis, 80), wrapped(y_axis, 34)
    high = max(height - 84, sum(_tall(label) for label in labels))
    bottom = 50 + _LINE * below.count("\n")
    with drawing(high + 34 + bottom) as figure:
        axes = place(figure, _left(beside), 34, room(labels) + 8, bottom)
        for turn, one in enumerate(lines):
            _curve(axes, one, turn)
        if level is not None:
            axes.axhline(level.at, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        for line in at:
            axes.axvline(line.at, color=INK, linewidth=1.2, zorder=1)
            above(axes, line)
        axes.margins(x=0.01, y=0.08)
        _end_labels(axes, lines, labels, high)
        plain_ticks(axes.yaxis.set_major_formatter, axes.xaxis.set_major_formatter)
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.yaxis.grid(visible=True)
        axes.set_xlabel(below)
        axes.set_ylabel(beside)
        drawn = svg(figure, key, title)
    columns, rows = _curve_table(lines, x_axis, y_axis, band)
    if head is not None:
        columns = (*columns[: len(columns) - 2 - _banded(lines)], *head,
                   *((band,) if _banded(lines) else ()))  # fmt: skip
    return Chart(key, title, drawn, columns, rows)


def histograms(  # noqa: PLR0913 - as above
    key: str, title: str, edges: Sequence[float], panels: Sequence[Histogram], axis: str, *,
    names: tuple[str, str] = ("", ""), counted: str = "patients", at: Sequence[Line] = (),
) -> Chart:  # fmt: skip
    """Return histograms of one binning, one below the other.

    Args:
        key: its name on the page.
        title: what it shows.
        edges: of the bins, one more than there are counts; in even steps.
        panels: the counts; bins that are empty in all of them are left out of the table.
        axis: what is binned, with its unit.
        names: of the counts that stand and of those that hang, where both are given.
        counted: what is counted.
        at: vertical lines.
    """
    each = 116
    both = any(panel.others is not None for panel in panels)
    first = 34 if both or any(line.label for line in at) else 6
    with drawing(each * len(panels) + first + 40) as figure:
        for turn, panel in enumerate(panels):
            top = first + each * turn
            bottom = 52 + each * (len(panels) - 1 - turn)
            axes = place(figure, 76, top + 22, 24, bottom)
            _histogram(axes, edges, panel)
            axes.set_title(panel.label)
            for line in at:
                axes.axvline(line.at, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
                if not turn:
                    above(axes, line)
            last = turn == len(panels) - 1
            axes.tick_params(labelbottom=last)
            if last:
                axes.set_xlabel(axis)
        if both:
            _key(figure, [(BLUE, f"up: {names[0]}"), (RED, f"down: {names[1]}")])
        figure.supylabel(f"Number of {counted}", fontsize=12.5, x=0.008)
        drawn = svg(figure, key, title)
    head, table = _histogram_table(edges, panels, axis, names)
    return Chart(key, title, drawn, head, table)


def control(key: str, title: str, points: Sequence[ControlPoint], x_axis: str, y_axis: str,
            *, height: float = 320) -> Chart:  # fmt: skip
    """Return a control chart: each period with its own limits; those outside stand out by shape.

    Args:
        key: its name on the page.
        title: what it shows.
        points: in the order of time.
        x_axis: what a period is.
        y_axis: what is charted, with its unit.
        height: of the picture, in pixels.
    """
    x, beside = np.arange(len(points)), wrapped(y_axis, 34)
    with drawing(height) as figure:
        axes = place(figure, _left(beside), 34, 110, 84)
        edges = np.arange(len(points) + 1) - 0.5
        lows, highs = [one.low for one in points], [one.high for one in points]
        axes.stairs(highs, edges, baseline=lows, fill=True, color="#e5f0f5", linewidth=0)
        for ends in (lows, highs):
            axes.stairs(ends, edges, baseline=None, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
        axes.stairs([one.centre for one in points], edges, baseline=None, color=QUIET,
                    linewidth=1.2)  # fmt: skip
        axes.plot(x, [one.value for one in points], color=BLUE, linewidth=1.6)
        for at, one in zip(x, points, strict=True):
            style = {"marker": "D", "color": RED} if one.outside else {"marker": "o", "color": BLUE}
            axes.plot([at], [one.value], markersize=8 if one.outside else 6, **style)  # type: ignore[arg-type]
        axes.set_xlim(-0.5, len(points) - 0.5)
        axes.margins(y=0.08)
        last = points[-1]
        places = _apart((last.low, last.centre, last.high), [_tall("")] * 3, axes.get_ylim(),
                        height - 118)  # fmt: skip
        for y, words in zip(places, ("lower limit", "centre", "upper limit"), strict=True):
            axes.annotate(words, (1, y), (6, 0), xycoords="axes fraction", color=QUIET,
                          textcoords="offset points", va="center",
                          annotation_clip=False)  # fmt: skip
        _sparse_labels(axes, [one.label for one in points])
        plain_ticks(axes.yaxis.set_major_formatter)
        axes.set_xlabel(x_axis)
        axes.set_ylabel(beside)
        drawn = svg(figure, key, title)
    head = (x_axis, y_axis, "n", "Centre", "Limits", "Outside")
    table = tuple(
        (one.label, number(one.value), count(one.n), number(one.centre),
         interval(one.low, one.high), "outside" if one.outside else "")
        for one in points
    )  # fmt: skip
    return Chart(key, title, drawn, head, table)


def calibration(key: str, title: str, points: Sequence[CalibrationPoint], x_axis: str,
                y_axis: str) -> Chart:  # fmt: skip
    """Return observed against predicted, with the line on which the two agree.

    Args:
        key: its name on the page.
        title: what it shows.
        points: groups in the order of what was predicted; the larger, the more patients. Bars
            to the sides are the intervals of what was predicted, where all have one.
        x_axis: what was predicted, with its unit.
        y_axis: what was observed, with its unit.
    """
    most = max((one.n for one in points), default=1)
    ends = [v for one in points
            for v in (one.predicted, one.low, one.high, *(one.sure or ()))]  # fmt: skip
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    margin = 0.06 * (high - low or 1.0)
    below, beside = wrapped(x_axis, 50), wrapped(y_axis, 40)
    bottom, left = 49 + _LINE * (below.count("\n") + 1), _left(beside)
    with drawing(394 + bottom, 524 + left) as figure:
        axes = place(figure, left, 34, 130, bottom)
        whole = (low - margin, high + margin)
        axes.plot(whole, whole, color=QUIET, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.annotate("as predicted", (whole[1], whole[1]), (6, 0), textcoords="offset points",
                      va="center", color=QUIET, annotation_clip=False)  # fmt: skip
        for one in points:
            x = one.predicted
            axes.plot([x, x], [one.low, one.high], color=BLUE, linewidth=1.8)
            if one.sure is not None:
                axes.plot(one.sure, [one.observed] * 2, color=BLUE, linewidth=1.0)
            size = 5 + 7 * math.sqrt(one.n / most)
            axes.plot([x], [one.observed], "o", color=BLUE, markersize=size)
        axes.set(xlim=whole, ylim=whole, xlabel=below, ylabel=beside)
        plain_ticks(axes.yaxis.set_major_formatter, axes.xaxis.set_major_formatter)
        axes.grid(visible=True)
        drawn = svg(figure, key, title)
    sure = bool(points) and all(one.sure is not None for one in points)
    head = (x_axis, *(("Its interval",) if sure else ()), y_axis, "Interval", "n")
    places = places_for([high - low])
    table = tuple(
        (decimal(one.predicted, places),
         *((interval(*one.sure, places),) if sure and one.sure else ()),
         decimal(one.observed, places), interval(one.low, one.high, places), count(one.n))
        for one in points
    )  # fmt: skip
    return Chart(key, title, drawn, head, table)


def heat(  # noqa: PLR0913 - as above
    key: str, title: str, rows: Sequence[str], columns: Sequence[str],
    cells: Sequence[Sequence[float]], row_axis: str, column_axis: str, *,
    text: Callable[[float], str] = count,
) -> Chart:  # fmt: skip
    """Return a table of shaded cells, each with its number, such as flips from action to action.

    Where a row and a column have the same name nothing has changed; these cells are not shaded.

    Args:
        key: its name on the page.
        title: what it shows.
        rows: names of the rows.
        columns: names of the columns.
        cells: one list a row, one number a column; NaN where a number is held back.
        row_axis: what the rows are.
        column_axis: what the columns are.
        text: how a number is written.
    """
    shaded = np.array([[v if r != c else 0.0 for c, v in zip(columns, line, strict=True)]
                       for r, line in zip(rows, cells, strict=True)], dtype=np.float64)  # fmt: skip
    sides = [wrapped(name, 22) for name in rows]
    left = room([*sides, row_axis])
    each = min(124.0, max(64.0, (WIDTH - left - 12) / len(columns)))
    tops = [wrapped(name, int(each / 8.2)) for name in columns]
    head_room = 46 + _LINE * max(name.count("\n") + 1 for name in tops)
    edges = np.cumsum([0.0, *(max(46.0, 10 + _tall(name)) for name in sides)])
    middles = (edges[:-1] + edges[1:]) / 2
    wide = max(left + each * len(columns), left + 9.5 * len(column_axis)) + 12
    with drawing(edges[-1] + head_room + 14, wide) as figure:
        axes = place(figure, left, head_room, 12, 14)
        axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(edges[-1], 0))
        _shade(axes, np.nan_to_num(shaded), edges)
        for y, line in enumerate(cells):
            for x, value in enumerate(line):
                said = "\u2013" if math.isnan(value) else text(value)
                same = rows[y] == columns[x]
                axes.text(
                    x, middles[y], said, ha="center", va="center", color=QUIET if same else INK
                )
        axes.set_xticks(range(len(columns)), tops)
        axes.set_yticks(middles, sides)
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.tick_params(length=0)
        axes.set_xlabel(column_axis, fontweight="bold", labelpad=10)
        axes.annotate(row_axis, (0, 1), (-8, 4), xycoords="axes fraction", ha="right", va="bottom",
                      textcoords="offset points", fontweight="bold", fontsize=12.5,
                      annotation_clip=False)  # fmt: skip
        axes.spines[:].set_visible(False)
        drawn = svg(figure, key, title)
    head = (f"{row_axis} \\ {column_axis}", *columns)
    table = tuple((name, *("held back" if math.isnan(v) else text(v) for v in line))
                  for name, line in zip(rows, cells, strict=True))  # fmt: skip
    return Chart(key, title, drawn, head, table)


def _curve(axes: Axes, one: Curve, turn: int) -> None:
    colour = PALETTE[turn % len(PALETTE)]
    axes.plot(one.x, one.y, color=colour, linestyle=DASHES[turn % len(DASHES)], label=one.label)
    if len(one.x) == 1:
        axes.plot(one.x, one.y, MARKERS[turn % len(MARKERS)], color=colour)
    if one.low is not None and one.high is not None:
        axes.fill_between(one.x, one.low, one.high, color=colour, alpha=0.16, linewidth=0)


def _end_labels(axes: Axes, lines: Sequence[Curve], labels: Sequence[str], height: float) -> None:
    """Name each curve at its end, moved apart where two ends lie close; axes are so many pixels."""
    places = _apart([one.y[-1] for one in lines], [_tall(one) for one in labels],
                    axes.get_ylim(), height)  # fmt: skip
    for turn, (label, y) in enumerate(zip(labels, places, strict=True)):
        axes.annotate(label, (1, y), (8, 0), xycoords="axes fraction",
                      textcoords="offset points", va="center", color=PALETTE[turn % len(PALETTE)],
                      fontweight="bold", annotation_clip=False)  # fmt: skip


def _apart(
    values: Sequence[float], tall: Sequence[float], limits: tuple[float, float], height: float
) -> list[float]:
    """Return where words beside values lie, as shares of the height, none over another.

    Args:
        values: beside which they would lie best.
        tall: how many pixels each needs.
        limits: the values at the bottom and at the top.
        height: in pixels.
    """
    low, high = limits
    best = [height * (one - low) / ((high - low) or 1.0) for one in values]
    order = sorted(range(len(best)), key=lambda at: best[at])
    for one, above_it in pairwise(order):
        best[above_it] = max(best[above_it], best[one] + (tall[one] + tall[above_it]) / 2)
    ceiling = height
    for at in reversed(order):
        best[at] = min(best[at], ceiling - tall[at] / 2)
        ceiling = best[at] - tall[at] / 2
    return [at / height for at in best]


def _tall(words: str) -> float:
    return _LINE * (words.count("\n") + 1) + 2.0


def _left(words: str) -> float:
    """Return how many pixels the axis upward takes with its numbers and words."""
    return 75.0 + _LINE * (words.count("\n") + 1)


def _curve_table(
    lines: Sequence[Curve], x_axis: str, y_axis: str, band: str
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return a row for each point; a single curve is named in the head."""
    bands = _banded(lines)
    ends = [v for one in lines for side in (one.y, one.low, one.high) for v in side or ()]
    places = places_for([max(ends) - min(ends)]) if ends else 0
    rows = [row for one in lines for row in _curve_rows(one, places, bands=bands)]
    tail = (band,) if bands else ()
    if len(lines) == 1:
        return (x_axis, f"{y_axis}, {lines[0].label}", *tail), tuple(row[1:] for row in rows)
    return ("", x_axis, y_axis, *tail), tuple(rows)


def _banded(lines: Sequence[Curve]) -> bool:
    return any(one.low is not None for one in lines)


def _curve_rows(one: Curve, places: int, *, bands: bool) -> Iterable[tuple[str, ...]]:
    for at, (x, y) in enumerate(zip(one.x, one.y, strict=True)):
        ends = interval(one.low[at], one.high[at], places) if one.low and one.high else ""
        yield (one.label, number(x), decimal(y, places), *((ends,) if bands else ()))


def _histogram(axes: Axes, edges: Sequence[float], panel: Histogram) -> None:
    widths = np.diff(edges) * 0.94
    middles = (np.asarray(edges[:-1]) + np.asarray(edges[1:])) / 2
    axes.bar(middles, panel.counts, widths, color=BLUE, linewidth=0)
    if panel.others is not None:
        axes.bar(middles, [-n for n in panel.others], widths, color=RED, linewidth=0)
    axes.axhline(0, color=INK, linewidth=1)
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda n, _: count(abs(n))))
    plain_ticks(axes.xaxis.set_major_formatter)
    axes.spines["bottom"].set_visible(False)


def _histogram_table(
    edges: Sequence[float], panels: Sequence[Histogram], axis: str, names: tuple[str, str]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return a row for each bin; where both groups are counted a cell holds both."""
    both = any(panel.others is not None for panel in panels)
    first = f"{axis}; cells: {names[0]} / {names[1]}" if both else axis
    rows = [
        (interval(edges[at], edges[at + 1]), *(_cell(panel, at) for panel in panels))
        for at in range(len(edges) - 1)
        if any(panel.counts[at] or (panel.others and panel.others[at]) for panel in panels)
    ]
    return (first, *(panel.label for panel in panels)), tuple(rows)


def _cell(panel: Histogram, at: int) -> str:
    if panel.others is None:
        return count(panel.counts[at])
    return f"{count(panel.counts[at])} / {count(panel.others[at])}"


def _key(figure: Figure, parts: Sequence[tuple[str, str]]) -> None:
    """Write what two colours are, each in words, at the top."""
    wide, high = (size * 72 for size in figure.get_size_inches())
    at = 76.0
    for colour, words in parts:
        figure.text(at / wide, 1 - 18 / high, f"■ {words}", color=colour, fontweight="bold")
        at += 8.6 * len(words) + 50


def _sparse_labels(axes: Axes, labels: Sequence[str], most: int = 14) -> None:
    step = max(1, math.ceil(len(labels) / most))
    shown = range(0, len(labels), step)
    axes.set_xticks(list(shown), [labels[at] for at in shown], rotation=30, ha="right")


def _shade(axes: Axes, cells: Floats, edges: Floats) -> None:
    """Draw each cell the darker, the larger its number is beside the largest.

    Args:
        axes: to draw on.
        cells: the numbers.
        edges: where each row begins, and where the last one ends.
    """
    most = max(1e-12, float(cells.max(initial=0.0)))
    for (y, x), value in np.ndenumerate(cells):
        colour = _HEAT(value / most)
        corner, tall = (x - 0.5, float(edges[y])), float(edges[y + 1] - edges[y])
        axes.add_patch(Rectangle(corner, 1, tall, facecolor=colour, edgecolor=FAINT))
