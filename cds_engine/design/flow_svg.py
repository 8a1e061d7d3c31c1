"""The flow of a SMART as a picture: boxes from left to right, one row for each end.

It is one self-contained SVG that prints in grey, and that a screen reader can read out.
"""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from cds_engine.design.flow import Counts, flow_text, letters, memberships, number, step
from cds_engine.design.smart import Design, Path

BOX, GAP, ROW, LINE, TOP, SIDE = 168, 92, 74, 17, 74, 20
"""Width of a box, room between columns, height of a row and of a line, margins; in pixels."""
_READ_BY = 'class="smart-flow" role="img" aria-labelledby="smart-flow-title smart-flow-text"'
CHARACTERS, LEGEND = 22, 104
"""Characters that fit a box and a line of the legend."""

STYLE = "".join(
    f".smart-flow {rule}"  # a page may hold the picture, whose style must not reach out of it
    for rule in (
        "text{font:13px system-ui,-apple-system,'Segoe UI','Liberation Sans',Arial,sans-serif}",
        "text{fill:#1b1f24}",
        ".arm{fill:#e6eff8;stroke:#2b5a83;stroke-width:1.5}",
        ".group{fill:#fff;stroke:#5c6670;stroke-width:1.2;stroke-dasharray:5 3}",
        ".start{fill:#f3f3f1;stroke:#1b1f24;stroke-width:1.5}",
        ".coin{fill:#2b5a83}",
        ".coin-text{fill:#fff;font-weight:700}",
        ".edge{fill:none;stroke:#5c6670;stroke-width:1.4}",
        ".rest{stroke:#a7adb3;stroke-width:1.2;stroke-dasharray:2 4}",
        ".small{font-size:11.5px;fill:#41484f}",
        ".bold{font-weight:600}",
        ".title{font-size:16px;font-weight:600}",
    )
)


def flow_svg(design: Design, counts: Counts | None = None, *, approximate: bool = False) -> str:
    """Return the flow diagram as an SVG document.

    Args:
        design: the trial.
        counts: path -> n; left out unless given.
        approximate: whether the numbers are expected rather than counted.
    """
    return _Picture(design, counts, approximate=approximate).draw()


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    lines: tuple[str, ...]
    kind: str

    @property
    def height(self) -> float:
        return 14 + LINE * len(self.lines)


class _Picture:
    def __init__(self, design: Design, counts: Counts | None, *, approximate: bool) -> None:
        self.design = design
        self.counts = counts
        self.approximate = approximate
        self.middle = self._middles()
        self.depth = max(len(end) for end in design.ends)
        self.boxes = {path: self._box(path) for path in design.nodes}
        self.right = self._x(self.depth) + BOX
        self.bottom = max(box.y + box.height / 2 for box in self.boxes.values())

    def draw(self) -> str:
        body = [*self._rests(), *self._edges(), *self._coins(), *self._drawn_boxes(),
                *self._chances(), *self._letters(), *self._heads()]  # fmt: skip
        legend, height = self._legend()
        longest = max(map(len, memberships(self.design).values()))
        wide = max(self.right + 60 + 9 * longest, 860)
        document = self.design.document
        title = f"{document.title}: flow of the trial"
        read_out = flow_text(self.design, self.counts, approximate=self.approximate)
        size = f'viewBox="0 0 {wide:g} {height:g}" width="{wide:g}" height="{height:g}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_READ_BY}>',
            f'<title id="smart-flow-title">{escape(title)}</title>',
            f'<desc id="smart-flow-text">{escape(read_out)}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect width="{wide:g}" height="{height:g}" fill="#fff"/>',
            _text(SIDE, 28, document.title, "title"),
            *body,
            *legend,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def _middles(self) -> Mapping[Path, float]:
        """Return where each path lies vertically: ends in rows, others midway of what follows."""
        found = {end: TOP + ROW * (at + 0.5) for at, end in enumerate(self.design.ends)}
        for path in reversed(self.design.nodes):
            below = self.design.children(path)
            if below:
                found[path] = (found[below[0]] + found[below[-1]]) / 2
        return found

    def _x(self, depth: int) -> float:
        return SIDE + depth * (BOX + GAP)

    def _box(self, path: Path) -> _Box:
        design = self.design
        label = step(design, path) if path else "Enrolled"
        lines = textwrap.wrap(label, CHARACTERS) or [label]
        n = number(self.counts, path, approximate=self.approximate).removeprefix(", ")
        kind = "start"
        if path:
            kind = "group" if path[:-1] in design.responses else "arm"
        said = (*lines[:2], *filter(None, [n]))
        return _Box(self._x(len(path)), self.middle[path], said, kind)

    def _drawn_boxes(self) -> Iterator[str]:
        for box in self.boxes.values():
            top = box.y - box.height / 2
            round_by = 14 if box.kind == "group" else 4
            yield (f'<rect class="{box.kind}" x="{box.x:g}" y="{top:g}" width="{BOX}" '
                   f'height="{box.height:g}" rx="{round_by}"/>')  # fmt: skip
            for at, line in enumerate(box.lines):
                counted = at == len(box.lines) - 1 and line.startswith("n ")
                look = "small" if counted else "bold"
                yield _text(box.x + BOX / 2, top + 20 + LINE * at, line, look, "middle")

    def _edges(self) -> Iterator[str]:
        for path in self.design.nodes:
            for child in self.design.children(path):
                start, end = self._x(len(path)) + BOX, self._x(len(child))
                y, to = self.middle[path], self.middle[child]
                bend = start + GAP * 0.36
                turn = bend + GAP * 0.32
                yield (f'<path class="edge" d="M{start:g} {y:g} H{bend:g} C{turn:g} {y:g} '
                       f'{bend:g} {to:g} {turn:g} {to:g} H{end:g}"/>')  # fmt: skip

    def _coins(self) -> Iterator[str]:
        for at in self.design.randomisations:
            x, y = self._x(len(at)) + BOX + GAP * 0.3, self.middle[at]
            yield f'<circle class="coin" cx="{x:g}" cy="{y:g}" r="13"/>'
            yield _text(x, y + 4.5, "R", "coin-text", "middle")

    def _chances(self) -> Iterator[str]:
        for at, one in self.design.randomisations.items():
            for arm, chance in one.arms.items():
                x, y = self._x(len(at) + 1) - 4, self.middle[(*at, arm)] - 5
                yield _text(x, y, f"{chance:.3g}", "small", "end")

    def _rests(self) -> Iterator[str]:
        for end in self.design.ends:
            start, y = self._x(len(end)) + BOX, self.middle[end]
            yield (f'<line class="rest" x1="{start:g}" y1="{y:g}" x2="{self.right + 14:g}" '
                   f'y2="{y:g}"/>')  # fmt: skip

    def _letters(self) -> Iterator[str]:
        for end, names in memberships(self.design).items():
            yield _text(self.right + 22, self.middle[end] + 4.5, names, "bold")

    def _heads(self) -> Iterator[str]:
        yield _text(self.right + 22, TOP - 12, "Regimes", "small")
        for number_, stage in enumerate(self.design.stages):
            depths = {len(at) for at, one in self.design.randomisations.items()
                      if one.stage == number_}  # fmt: skip
            for depth in sorted(depths):
                x = self._x(depth + 1) + BOX / 2
                yield _text(x, TOP - 12, stage.title or stage.stage, "small", "middle")

    def _legend(self) -> tuple[list[str], float]:
        """Return what the letters and the answers mean, and where the picture ends."""
        y = self.bottom + 40
        drawn = []
        responses: dict[str, list[str]] = {}
        for path, one in self.design.responses.items():
            responses.setdefault(one.label, []).append(self.design.label(path[-1]))
        said = [("", f"Response to {' or '.join(dict.fromkeys(arms))}: {label}")
                for label, arms in responses.items()]  # fmt: skip
        said += [(name, regime.words) for name, regime in letters(self.design)]
        for name, words in said:
            if name:
                drawn.append(_text(SIDE, y, name, "bold"))
            for line in textwrap.wrap(words, LEGEND, break_on_hyphens=False):
                drawn.append(_text(SIDE + (28 if name else 0), y, line))
                y += LINE + 2
            y += 3
        return drawn, y + 6


def _text(x: float, y: float, words: str, look: str = "", anchor: str = "") -> str:
    extra = f' class="{look}"' if look else ""
    extra += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:g}" y="{y:g}"{extra}>{escape(words, quote=False)}</text>'
