"""A diagram is boxes from left to right: who went where, or how a tree decides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from cds_adapters.report.chart import Chart
from cds_adapters.report.drawing import BLUE, INK, QUIET, WIDTH, drawing, svg, wrapped

LINE, PAD, GAP, CHARACTER, LEAST = 17, 9, 12, 7.6, 10
"""Pixels of a line, around a box's text, between boxes and of a character; least characters."""
EDGE = 56
"""Room for an arrow between two columns, without its words."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box and what follows it.

    Attributes:
        lines: what stands in it, the first line bold.
        follows: the boxes to its right.
        arrow: what is written on the arrow that leads to it.
        end: whether it is the end of a way, which is drawn stronger.
    """

    lines: tuple[str, ...]
    follows: "tuple[Box, ...]" = ()
    arrow: str = ""
    end: bool = False


@dataclass(frozen=True, slots=True)
class _Placed:
    box: Box
    depth: int
    lines: tuple[str, ...]
    bold: int
    y: float
    follows: "tuple[_Placed, ...]"

    def all(self) -> "Iterator[_Placed]":
        yield self
        for one in self.follows:
            yield from one.all()

    @property
    def height(self) -> float:
        return 2 * PAD + LINE * len(self.lines)


def diagram(
    key: str, title: str, root: Box, head: Sequence[str], rows: Sequence[tuple[str, ...]], *,
    columns: Sequence[str] = (),
) -> Chart:  # fmt: skip
    """Return boxes from left to right.

    Args:
        key: its name on the page.
        title: what it shows.
        root: the first box.
        head: heads of the table; a diagram has no numbers of its own but those in its boxes.
        rows: of the table.
        columns: what each column of boxes is called, above it.
    """
    depth = _depth(root)
    arrows = [_arrow_room(root, at) for at in range(1, depth)]
    characters = int((WIDTH - sum(arrows) - 2 * depth * PAD - 8) / depth / CHARACTER)
    characters = max(LEAST, min(30, characters))
    wide = characters * CHARACTER + 2 * PAD
    lefts = [4.0]
    for gap in arrows:
        lefts.append(lefts[-1] + wide + gap)
    top = 30.0 if columns else 6.0
    placed, bottom = _place(root, 0, characters, top)
    with drawing(bottom + 4, max(WIDTH, lefts[-1] + wide + 6)) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        size = figure.get_size_inches() * 72
        axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
        axes.axis("off")
        for at, words in enumerate(columns):
            axes.text(lefts[at], 14, words, va="center", color=QUIET, fontweight="bold")
        for one in placed.all():
            _draw(axes, one, lefts, wide)
        drawn = svg(figure, key, title)
    return Chart(key, title, drawn, tuple(head), tuple(rows))


def _depth(box: Box) -> int:
    return 1 + max((_depth(one) for one in box.follows), default=0)


def _arrow_room(root: Box, depth: int) -> float:
    """Return how wide the arrows that lead to a column are: their longest line of words."""
    here: list[Box] = [root]
    for _ in range(depth):
        here = [one for box in here for one in box.follows]
    longest = max((len(line) for box in here for line in _said(box)), default=0)
    return EDGE + CHARACTER * longest if longest else EDGE


def _said(box: Box) -> list[str]:
    return wrapped(box.arrow, 16).split("\n") if box.arrow else []


def _place(box: Box, depth: int, characters: int, top: float) -> tuple[_Placed, float]:
    """Return a box at its height, midway of what follows it, and where it ends."""
    first = wrapped(box.lines[0], characters - 1).split("\n")
    rest = [line for text in box.lines[1:] for line in wrapped(text, characters).split("\n")]
    own = 2 * PAD + LINE * len(first + rest)
    follows, bottom = [], top
    for one in box.follows:
        placed, bottom = _place(one, depth + 1, characters, bottom)
        follows.append(placed)
    if not follows:
        y, bottom = top + own / 2, top + own + GAP
    else:
        y = max((follows[0].y + follows[-1].y) / 2, top + own / 2)
        bottom = max(bottom, y + own / 2 + GAP)
    return _Placed(box, depth, (*first, *rest), len(first), y, tuple(follows)), bottom


def _draw(axes: Axes, one: _Placed, lefts: Sequence[float], wide: float) -> None:
    x, y = lefts[one.depth], one.y - one.height / 2
    edge, fill = (BLUE, "#e5f0f5") if one.box.end else (QUIET, "#ffffff")
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            wide,
            one.height,
            boxstyle="round,pad=0,rounding_size=5",
            facecolor=fill,
            edgecolor=edge,
            linewidth=1.6,
        )
    )
    for at, line in enumerate(one.lines):
        weight = "bold" if at < one.bold else "normal"
        axes.text(x + PAD, y + PAD + LINE * (at + 0.5), line, va="center", fontweight=weight)
    for child in one.follows:
        _arrow(axes, (x + wide, one.y), (lefts[child.depth], child.y), child.box)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], box: Box) -> None:
    """Draw a stepped arrow with its words on a white ground beside the box that it leads to."""
    bend = start[0] + 16
    axes.plot([start[0], bend, bend, end[0] - 7], [start[1], start[1], end[1], end[1]],
              color=QUIET, linewidth=1.3, solid_joinstyle="round")  # fmt: skip
    axes.plot([end[0] - 5], [end[1]], ">", color=QUIET, markersize=7, markeredgewidth=0)
    if said := _said(box):
        axes.text((bend + end[0] - 8) / 2, end[1], "\n".join(said), ha="center", va="center",
                  color=INK, fontsize=12, linespacing=1.15,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip
