"""A drawing is one SVG element: the same bytes for the same numbers, text as text, no id twice.

Text stays text, so that it can be searched, read out and set in the reader's own font; matplotlib
measures it in a wide one, so that it never outgrows its place. Another version of matplotlib may
write other bytes.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

PIXELS = 72
"""Units of the view box to an inch, so that a font of 13 is 13 pixels high."""
WIDTH = 860
"""Width of a drawing, in units of its view box."""
INK, QUIET, FAINT = "#1c2630", "#55626f", "#d5dbe1"
BLUE, RED, GREEN, PURPLE, ORANGE, SKY = (
    "#0072b2", "#c04a00", "#00795a", "#a3467f", "#b87900", "#3a8fc0",
)  # fmt: skip
PALETTE = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
"""After Okabe and Ito, darkened for white paper; told apart by shape and dash as well."""
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 2, 2)), (0, (1, 1)), "-")
MARKERS = ("o", "s", "^", "D", "v", "P")

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "cds-engine", "svg.fonttype": "none", "text.parse_math": False,
    "font.family": "DejaVu Sans", "font.size": 12.5, "axes.titlesize": 13.0,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.labelsize": 12.5,
    "xtick.labelsize": 12.0, "ytick.labelsize": 12.0, "text.color": INK, "axes.labelcolor": INK,
    "xtick.color": QUIET, "ytick.color": QUIET, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.edgecolor": QUIET, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": False, "grid.color": FAINT, "grid.linewidth": 0.8, "axes.axisbelow": True,
    "figure.facecolor": "white", "axes.facecolor": "white", "lines.linewidth": 2.0,
    "axes.formatter.useoffset": False, "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True, "path.simplify": False,
}  # fmt: skip
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT_SIZE = re.compile(r"([\d.]+)px")


@contextmanager
def drawing(height: float, width: float = WIDTH) -> Iterator[Figure]:
    """Open a figure of a size in pixels, in the one style of all charts."""
    with mpl.rc_context():
        mpl.rcdefaults()  # settings of whoever runs it must not reach a report
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(width / PIXELS, height / PIXELS), dpi=PIXELS)
        FigureCanvasSVG(figure)
        yield figure


def place(figure: Figure, left: float, top: float, right: float, bottom: float) -> Axes:
    """Return axes at so many pixels from the left, top, right and bottom edge of a figure."""
    wide, high = (size * PIXELS for size in figure.get_size_inches())
    return figure.add_axes(
        (left / wide, bottom / high, (wide - left - right) / wide, (high - top - bottom) / high)
    )


def svg(figure: Figure, key: str, title: str) -> str:
    """Return a figure as an SVG element for an HTML page; call it while the drawing is open.

    Args:
        figure: what was drawn.
        key: unlike that of any other drawing on the page; its ids begin with it.
        title: what is shown, for who cannot see it.
    """
    written = StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(written, format="svg", metadata=nothing)
    root = ET.fromstring(written.getvalue())  # noqa: S314 - written by the line before
    _tidied(root, key, {name for one in root.iter() for name in _referenced(one)})
    _, _, wide, high = root.attrib["viewBox"].split()
    root.attrib = {"viewBox": root.attrib["viewBox"], "width": f"{float(wide):g}",
                   "height": f"{float(high):g}", "role": "img", "aria-label": title,
                   "class": "chart"}  # fmt: skip
    text = ET.tostring(root, encoding="unicode", short_empty_elements=False)
    return re.sub(r"\n\s*", "\n", text)


def _tidied(root: ET.Element, key: str, wanted: set[str]) -> None:
    """Leave plain SVG: no style of its own, no namespaces, and ids only where one is referred to.

    Styles become attributes, which reach nothing else on the page and which a strict content
    security policy lets pass.
    """
    for parent in root.iter():
        for child in list(parent):
            if child.tag in {f"{{{_SVG}}}style", f"{{{_SVG}}}metadata"}:
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        if (name := element.attrib.pop("id", None)) in wanted:
            element.set("id", f"{key}-{name}")
        if (link := element.attrib.pop(_XLINK, None)) is not None:
            element.set("href", f"#{key}-{link[1:]}")
        for name, value in _presentation(element.attrib.pop("style", "")):
            element.set(name, value)
        for name, value in element.attrib.items():
            element.set(name, _REFERENCE.sub(rf"url(#{key}-\1)", value))


def _presentation(style: str) -> Iterator[tuple[str, str]]:
    """Yield the attributes that say what an inline style says; the font's family is the page's."""
    for part in filter(None, (one.strip() for one in style.split(";"))):
        name, value = (one.strip() for one in part.split(":", 1))
        if name == "font":
            if size := _FONT_SIZE.search(value):
                yield "font-size", size[1]
            if value.startswith(("bold", "700")):
                yield "font-weight", "bold"
        elif name == "font-size":
            yield name, value.removesuffix("px")
        elif name != "font-family":
            yield name, value


def _referenced(element: ET.Element) -> Iterator[str]:
    for name, value in element.attrib.items():
        if name == _XLINK:
            yield value[1:]
        yield from _REFERENCE.findall(value)


def wrapped(text: str, characters: int) -> str:
    """Return a label in lines of at most so many characters, broken at spaces, or hard."""
    lines = [""]
    for word in text.split(" "):
        pieces = [word[at : at + characters] for at in range(0, len(word), characters)] or [""]
        for at, piece in enumerate(pieces):
            joint = " " if lines[-1] and not at else ""
            if len(lines[-1]) + len(joint) + len(piece) <= characters:
                lines[-1] += joint + piece
            else:
                lines.append(piece)
    return "\n".join(lines)


def room(labels: Sequence[str], least: float = 60) -> float:
    """Return how many pixels the longest line of some labels takes."""
    longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
    return max(least, 8.2 * longest + 14)
