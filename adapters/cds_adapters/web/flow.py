"""A stage drawn as a flow: questions run downwards, answers lead to the right; geometry only."""

import textwrap
from dataclasses import dataclass, field
from typing import Literal

from cds_engine.bundle.model import Branch, DecisionList, RuleBundle, ScoreRule, Stage
from cds_engine.criteria.words import criterion_words

WIDTH = 256
LINE = 18
PAD = 12
GAP = 64
STEP = 34
MAX_CHARS = 30
MAX_LINES = 9
MAX_BRANCHES = 80
"""A rule with more lines than this is shown as a table only: nobody could follow the drawing."""

BoxKind = Literal["start", "question", "action", "keep", "abstain"]


@dataclass(frozen=True, slots=True)
class Box:
    """One box with its lines of text, already broken."""

    x: int
    y: int
    height: int
    kind: BoxKind
    lines: tuple[str, ...]
    width: int = WIDTH

    @property
    def middle(self) -> int:
        """The height of its centre."""
        return self.y + self.height // 2

    def baselines(self) -> list[tuple[int, str]]:
        """Return each line with the height it stands at."""
        return [(self.y + PAD + 13 + LINE * at, text) for at, text in enumerate(self.lines)]


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line from box to box, with the answer that leads along it."""

    points: str
    label: str = ""
    x: int = 0
    y: int = 0


@dataclass(slots=True)
class Drawing:
    """Everything that is drawn, and how large it is."""

    title: str
    description: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    width: int = 0
    height: int = 0


def draw(bundle: RuleBundle, stage: Stage) -> Drawing | None:
    """Draw one stage; None where it is too large to be followed in a drawing.

    Args:
        bundle: with units as people read them (``words.spoken``).
        stage: one of its stages.
    """
    rule = stage.rule
    lines = sum(1 for _ in rule.walk()) if isinstance(rule, DecisionList) else len(rule.forms)
    if lines > MAX_BRANCHES:
        return None
    return _Pen(bundle, stage).draw()


class _Pen:
    def __init__(self, bundle: RuleBundle, stage: Stage) -> None:
        self.bundle = bundle
        self.stage = stage
        self.drawing = Drawing(
            f"Flow of the stage “{stage.title}”",
            "Questions run downwards; the answer yes leads to the right, no to the next question. "
            "The table of this stage says the same in text.",
        )

    def draw(self) -> Drawing:
        when = criterion_words(self.stage.when, self.bundle.kinds)
        start = self.put(2, 2, "start", f"At this stage: {when}")
        top = start.y + start.height + STEP
        if isinstance(self.stage.rule, DecisionList):
            first, _ = self.branches(self.stage.rule, start.x, top)
        else:
            first = self.scores(self.stage.rule, start.x, top)
        self.down(start, first, "")
        self.drawing.width = max(box.x + box.width for box in self.drawing.boxes) + 2
        self.drawing.height = max(box.y + box.height for box in self.drawing.boxes) + 2
        return self.drawing

    def branches(self, rule: DecisionList, x: int, y: int) -> tuple[Box, int]:
        """Draw the branches of a list below each other; return the first and where they end."""
        first: Box | None = None
        above: Box | None = None
        for branch in rule.branches:
            box, bottom = self.branch(branch, x, y)
            if above is not None:
                self.down(above, box, "no")
            first, above, y = first or box, box, bottom + STEP
        if first is None:
            raise ValueError("a checked decision list has at least one branch")
        return first, y - STEP

    def branch(self, branch: Branch, x: int, y: int) -> tuple[Box, int]:
        if branch.when is None:
            return self.ending(branch, x, y)
        question = self.put(x, y, "question", criterion_words(branch.when, self.bundle.kinds) + "?")
        right = x + WIDTH + GAP
        if branch.rule is not None:
            target, bottom = self.branches(branch.rule, right, y)
        else:
            target, bottom = self.ending(branch, right, y)
        self.across(question, target)
        return question, max(bottom, question.y + question.height)

    def ending(self, branch: Branch, x: int, y: int) -> tuple[Box, int]:
        if branch.rule is not None:
            return self.branches(branch.rule, x, y)
        text = self.actions(branch.actions)
        kind: BoxKind = "action"
        if branch.abstain is not None:
            text, kind = f"No advice: {branch.abstain}", "abstain"
        elif not any(self.bundle.actions[action].change for action in branch.actions):
            kind = "keep"
        if branch.instead:
            text += f" (if barred: {self.actions(branch.instead)})"
        box = self.put(x, y, kind, text)
        return box, box.y + box.height

    def scores(self, rule: ScoreRule, x: int, y: int) -> Box:
        """Draw the comparison of scores, and every option it may choose."""
        compare = self.put(x, y, "question", "Which option has the best score?")
        at = y
        for action in rule.forms:
            kind: BoxKind = "action" if self.bundle.actions[action].change else "keep"
            box = self.put(x + WIDTH + GAP, at, kind, self.option(rule, action))
            self.across(compare, box, "")
            at = box.y + box.height + STEP // 2
        return compare

    def option(self, rule: ScoreRule, action: str) -> str:
        conditions = [
            criterion_words(item.when, self.bundle.kinds)
            for item in rule.support
            if action in item.actions
        ]
        label = self.bundle.actions[action].label
        return f"{label} (compared only where {' and '.join(conditions)})" if conditions else label

    def actions(self, names: tuple[str, ...]) -> str:
        return " or ".join(self.bundle.actions[name].label for name in names)

    def put(self, x: int, y: int, kind: BoxKind, text: str) -> Box:
        lines = textwrap.wrap(text, MAX_CHARS) or [""]
        if len(lines) > MAX_LINES:
            lines = [*lines[: MAX_LINES - 1], "… (see the table)"]
        box = Box(x, y, 2 * PAD + LINE * len(lines), kind, tuple(lines))
        self.drawing.boxes.append(box)
        return box

    def down(self, upper: Box, lower: Box, label: str) -> None:
        x = upper.x + WIDTH // 2
        start, end = upper.y + upper.height, lower.y
        # the label stands at the lower end, where no box beside the line can cover it
        self.drawing.arrows.append(Arrow(f"{x},{start} {x},{end}", label, x + 8, end - 12))

    def across(self, left: Box, right: Box, label: str = "yes") -> None:
        start, turn = left.x + WIDTH, left.x + WIDTH + GAP // 2
        y = left.middle
        if right.y == left.y and y > right.y + right.height:
            y = right.middle
        end = y if right.y <= y <= right.y + right.height else right.middle
        points = f"{start},{y} {turn},{y} {turn},{end} {right.x},{end}"
        self.drawing.arrows.append(Arrow(points, label, start + 6, y - 6))
