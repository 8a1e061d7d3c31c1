"""Charts of rows: forest plots, bars and love plots, with labels at the left and numbers beside."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from cds_adapters.report.axes import above, below, ends_of, finish_x, known
from cds_adapters.report.chart import BalanceRow, Bar, Chart, Line, Mark
from cds_adapters.report.drawing import BLUE, FAINT, INK, RED, drawing, place, room, svg, wrapped
from cds_adapters.report.numbers import decimal, interval, number, places_for

ROW, HEADING, LABEL = 27, 30, 36
"""Pixels of a row and of a heading, and characters of a label before it is broken."""
LINE_HEIGHT = 17
"""Pixels of a further line of either."""


def forest(  # noqa: PLR0913 - what a chart shows and how, by name
    key: str, title: str, marks: Sequence[Mark], axis: str, *,
    reference: Line | None = None, extra_head: Sequence[str] = (),
    names: tuple[str, str] = ("Adjusted, with interval", "Crude"), start: float | None = None,
) -> Chart:  # fmt: skip
    """Return a forest plot: estimates with intervals, crude numbers beside them as hollow marks.

    Args:
        key: its name on the page.
        title: what it shows.
        marks: in the order of the rows.
        axis: what is estimated, with its unit.
        reference: a line to compare with, such as no difference.
        extra_head: heads of the cells that marks bring along in ``extra``.
        names: what the filled and the hollow marks are called.
        start: where the axis begins, such as 0 for a share; before the smallest number if None.
    """
    labels = [wrapped(mark.label, LABEL) for mark in marks]
    rows, headings, height = _rows(labels, [mark.group for mark in marks])
    crude = any(known(mark.crude) for mark in marks)
    places = places_for(mark.high - mark.low for mark in marks)
    said = [_said(mark, places) for mark in marks]
    top = 34 + (18 if reference is not None and reference.label else 0)
    with drawing(height + top + below(axis)) as figure:
        left = room([*labels, *(name for _, name in headings)])
        longest = max((len(line) for one in said for line in one.split("\n")), default=0)
        axes = place(figure, left, top, 12 + 7.4 * longest, below(axis))
        _rowed(axes, rows, labels, headings, height)
        for y, mark in zip(rows, marks, strict=True):
            _forest_row(axes, y, mark)
        if reference is not None:
            axes.axvline(reference.at, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
            above(axes, reference)
        _numbers_beside(axes, rows, said)
        if start is not None:
            axes.set_xlim(left=start)
        finish_x(axes, axis)
        _named(axes, [("o", names[0], True), *([("D", names[1], False)] if crude else [])],
               lift=(top - 34) / height)  # fmt: skip
        drawn = svg(figure, key, title)
    head = ("", "Estimate", "Interval", *((names[1],) if crude else ()), *extra_head)
    table = tuple(
        _forest_cells(mark, places, crude=crude, grouped=bool(headings)) for mark in marks
    )
    return Chart(key, title, drawn, head, table)


def bars(
    key: str, title: str, items: Sequence[Bar], axis: str, *, extra_head: Sequence[str] = ()
) -> Chart:
    """Return horizontal bars from 0, each with its number at its end.

    Args:
        key: its name on the page.
        title: what it shows.
        items: in the order of the rows.
        axis: what is counted, with its unit.
        extra_head: heads of the cells that bars bring along in ``extra``.
    """
    labels = [wrapped(one.label, LABEL) for one in items]
    rows, _, height = _rows(labels, [""] * len(items))
    said = [one.text or number(one.value) for one in items]
    with drawing(height + 70) as figure:
        axes = place(figure, room(labels), 10, room(said, 40) + 12, 58)
        _rowed(axes, rows, labels, (), height)
        axes.barh(rows, [one.value for one in items], height=17, color=BLUE, linewidth=0)
        for y, one, text in zip(rows, items, said, strict=True):
            end = one.value
            if one.low is not None and one.high is not None:
                axes.plot([one.low, one.high], [y, y], color=INK, linewidth=1.6)
                end = max(end, one.high)
            axes.annotate(text, (end, y), (7, 0), textcoords="offset points", va="center")
        axes.set_xlim(left=0)
        finish_x(axes, axis)
        drawn = svg(figure, key, title)
    ends = any(one.low is not None for one in items)
    head = ("", axis, *(("Interval",) if ends else ()), *extra_head)
    table = tuple(
        (one.label, text, *((ends_of(one.low, one.high),) if ends else ()), *one.extra)
        for one, text in zip(items, said, strict=True)
    )
    return Chart(key, title, drawn, head, table)


def love(
    key: str, title: str, rows: Sequence[BalanceRow], *, limit: float = 0.1,
    axis: str = "Standardised difference (standard deviations)",
) -> Chart:  # fmt: skip
    """Return a love plot: each difference before weighting hollow, after it filled.

    Args:
        key: its name on the page.
        title: what it shows.
        rows: in their order.
        limit: beyond it, on either side, a difference counts as large.
        axis: what is measured.
    """
    labels = [wrapped(one.label, LABEL) for one in rows]
    places, headings, height = _rows(labels, [one.group for one in rows], step=22)
    with drawing(height + 34 + below(axis)) as figure:
        axes = place(figure, room([*labels, *(n for _, n in headings)]), 34, 24, 58)
        _rowed(axes, places, labels, headings, height)
        axes.axvspan(-limit, limit, color="#eef1f4", linewidth=0, zorder=0)
        axes.axvline(0, color=INK, linewidth=1.0)
        for y, one in zip(places, rows, strict=True):
            axes.plot([one.before, one.after], [y, y], color=FAINT, linewidth=2, zorder=1)
            _hollow(axes, one.before, y)
            axes.plot([one.after], [y], "o", color=BLUE, markersize=7, zorder=3)
        wide = max([2.5 * limit, *(abs(v) * 1.08 for one in rows for v in (one.before, one.after))])
        axes.set_xlim(-wide, wide)
        finish_x(axes, f"{axis}\nShaded: within {number(limit)}")
        _named(axes, [("o", "After weighting", True), ("D", "Before weighting", False)])
        drawn = svg(figure, key, title)
    head = ("Of", "Column", "Before weighting", "After weighting")
    table = tuple((one.group, one.label, decimal(one.before, 3), decimal(one.after, 3))
                  for one in rows)  # fmt: skip
    return Chart(key, title, drawn, head, table)


def _rows(
    labels: Sequence[str], groups: Sequence[str], step: float = ROW
) -> tuple[list[float], list[tuple[float, str]], float]:
    """Return where each row and each heading lies, in pixels from the top, and where all ends.

    Headings are broken as labels are.
    """
    places: list[float] = []
    headings: list[tuple[float, str]] = []
    at = 4.0
    for group, members in groupby(range(len(labels)), key=lambda row: groups[row]):
        if group:
            words = wrapped(group, LABEL)
            high = HEADING + LINE_HEIGHT * words.count("\n")
            headings.append((at + high / 2, words))
            at += high
        for row in members:
            tall = max(step, 6 + LINE_HEIGHT * (labels[row].count("\n") + 1))
            places.append(at + tall / 2)
            at += tall
    return places, headings, at + 4


def _rowed(
    axes: Axes, rows: Sequence[float], labels: Sequence[str],
    headings: Iterable[tuple[float, str]], height: float,
) -> None:  # fmt: skip
    axes.set_ylim(height, 0)
    axes.spines["left"].set_visible(False)
    axes.yaxis.set_major_locator(FixedLocator(list(rows)))
    axes.set_yticklabels(labels)
    axes.tick_params(axis="y", length=0, pad=8)
    for y, words in headings:
        axes.annotate(words, (0, y), (-8, 0), xycoords=("axes fraction", "data"), ha="right",
                      textcoords="offset points", va="center", fontweight="bold",
                      annotation_clip=False)  # fmt: skip
    for y in rows:
        axes.axhline(y, color="#eef1f4", linewidth=1, zorder=0)


def _forest_row(axes: Axes, y: float, mark: Mark) -> None:
    if known(mark.crude):
        _hollow(axes, float(mark.crude or 0.0), y)
    if not known(mark.estimate):
        return
    axes.plot([mark.low, mark.high], [y, y], color=BLUE, linewidth=2.4, solid_capstyle="butt")
    axes.plot([mark.estimate], [y], "o", color=BLUE, markersize=7.5, zorder=3)


def _said(mark: Mark, places: int) -> str:
    if not known(mark.estimate):
        return wrapped(mark.note or "refused", 26)
    return f"{decimal(mark.estimate, places)} ({interval(mark.low, mark.high, places)})"


def _numbers_beside(axes: Axes, rows: Sequence[float], said: Sequence[str]) -> None:
    for y, words in zip(rows, said, strict=True):
        axes.annotate(words, (1, y), (10, 0), xycoords=("axes fraction", "data"), va="center",
                      textcoords="offset points", annotation_clip=False, fontsize=12)  # fmt: skip


def _forest_cells(mark: Mark, places: int, *, crude: bool, grouped: bool) -> tuple[str, ...]:
    label = f"{mark.group}: {mark.label}" if grouped and mark.group else mark.label
    cells = (mark.note or "refused", "")
    if known(mark.estimate):
        cells = (decimal(mark.estimate, places), interval(mark.low, mark.high, places))
    beside = (decimal(mark.crude, places) if known(mark.crude) else "none",) if crude else ()
    return (label, *cells, *beside, *mark.extra)


def _hollow(axes: Axes, x: float, y: float) -> None:
    """Draw a mark that lets a filled one of the same value be seen inside it."""
    axes.plot([x], [y], "D", markerfacecolor="none", markeredgecolor=RED, markeredgewidth=1.8,
              markersize=9.5, zorder=4)  # fmt: skip


def _named(axes: Axes, marks: Sequence[tuple[str, str, bool]], lift: float = 0.0) -> None:
    """Say above the axes what filled and hollow marks are."""
    for shape, words, filled in marks:
        axes.plot([], [], shape, label=words, markersize=8, color=BLUE if filled else RED,
                  markerfacecolor=BLUE if filled else "white", markeredgewidth=1.8)  # fmt: skip
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0 + lift), ncols=2, frameon=False,
                borderaxespad=0.2, handletextpad=0.2, columnspacing=1.4, fontsize=12)  # fmt: skip
