"""What charts have in common: axes with plain numbers, lines with their words above them."""

import math
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cds_adapters.report.chart import Line
from cds_adapters.report.drawing import wrapped
from cds_adapters.report.numbers import interval, number

LINE = 80
"""Characters of an axis's words before they are broken."""


def below(words: str) -> float:
    """Return how many pixels the axis to the right takes with its numbers and words."""
    return 46 + 17 * wrapped(words, LINE).count("\n")


def finish_x(axes: Axes, words: str) -> None:
    """Give the axis to the right its words, plain numbers and faint lines."""
    axes.xaxis.grid(visible=True)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    plain_ticks(axes.xaxis.set_major_formatter)
    axes.set_xlabel(wrapped(words, LINE))


def plain_ticks(*setters: Callable[[FuncFormatter], object]) -> None:
    """Write numbers at ticks as in tables."""
    for setter in setters:
        setter(FuncFormatter(lambda value, _: number(value, 6)))


def above(axes: Axes, line: Line) -> None:
    """Write what a vertical line is above it."""
    axes.annotate(line.label, (line.at, 1), (0, 4), xycoords=("data", "axes fraction"),
                  textcoords="offset points", ha="center", va="bottom", fontsize=12,
                  annotation_clip=False)  # fmt: skip


def known(value: float | None) -> bool:
    """Say whether there is a number."""
    return value is not None and not math.isnan(value)


def ends_of(low: float | None, high: float | None) -> str:
    """Return both ends of an interval; nothing where there is none."""
    return "" if low is None or high is None else interval(low, high)
