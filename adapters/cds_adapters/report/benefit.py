"""For whom which action is better: contrasts along each tailoring variable, or the tree itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from scipy.stats import norm

from cds_adapters.report.charts import Box, Chart, Curve, Line, Mark, curves, diagram, forest
from cds_adapters.report.numbers import count, interval, number
from cds_adapters.report.words import Words, axis_of
from cds_engine.estimate.columns import Bools, Floats, holds
from cds_engine.estimate.export.forms import LinearForm
from cds_engine.estimate.stage import StageData
from cds_engine.estimate.study import LearnedStage, StudyDocument
from cds_engine.estimate.trajectories import Trajectories
from cds_engine.estimate.tree import Leaf, Node, Tree
from cds_engine.vocabulary.kind import Kind

EDGE = 0.01
"""Share of the patients beyond each end of a curve."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A chart with what a reader must know of it."""

    chart: Chart
    caption: str


@dataclass(frozen=True)
class _Part:
    """A served stage with its patients, and the contrasts of its options."""

    name: str
    h: StageData
    tailoring: tuple[str, ...]
    form: LinearForm
    kinds: Mapping[str, Kind]
    words: Words
    level: float

    @property
    def others(self) -> list[str]:
        """The options besides the reference, in the order of the form."""
        return list(dict.fromkeys(action for action, _ in self.form.coefficients))


def benefit_charts(
    study: StudyDocument, trajectories: Trajectories, forms: tuple[LinearForm | Tree, ...]
) -> list[Shown]:
    """Return what the rule of each stage advises and how large the benefit is.

    Args:
        study: names the tailoring variables and the parts of stages.
        trajectories: the data.
        forms: the rule of each learned stage.
    """
    found: list[Shown] = []
    words = Words.of(study)
    for stage, h, form in zip(study.learned, trajectories.stages, forms, strict=True):
        if isinstance(form, Tree):
            found.append(_tree(form, words, study.method.level, f"tree-{len(found)}"))
            continue
        for name, rows, options in _parts(stage, h, trajectories.kinds):
            part = _Part(name, h.take(rows), stage.tailoring, form.among(options),
                         trajectories.kinds, words, study.method.level)  # fmt: skip
            for variable in stage.tailoring:
                found.append(_linear(part, variable, f"benefit-{len(found)}"))
    return found


def _parts(
    stage: LearnedStage, h: StageData, kinds: Mapping[str, Kind]
) -> Iterator[tuple[str, Bools, tuple[str, ...]]]:
    if not stage.split:
        yield stage.stage, h.decided, stage.choose
    for part in stage.split:
        yield part.stage, h.decided & holds(part.when, h.columns, h.rows, kinds), part.choose


def _linear(part: _Part, variable: str, key: str) -> Shown:
    typical = {name: _typical(part, name) for name in part.tailoring}
    held = {name: value for name, value in typical.items() if name != variable}
    said = "; ".join(f"{name} = {_shown(value)}" for name, value in held.items())
    caption = f"Stage {part.name}, {count(part.h.rows)} patients with a decision. "
    caption += f"Held at its typical value: {said}. " if said else ""
    if part.form.covariance is None:
        caption += "No interval: the covariance was not estimated."
    else:
        caption += (f"The band holds at each point for itself with {part.level:.0%} confidence; "
                    "every stage was refitted in each resample.")  # fmt: skip
    if part.kinds[variable].type == "number":
        return _along(part, variable, held, key, caption)
    return _by_level(part, variable, held, key, caption)


def _along(part: _Part, variable: str, held: Mapping[str, Any], key: str, caption: str) -> Shown:
    values = part.h.columns[variable].astype(np.float64)
    grid = _grid(values)
    lines, cuts = [], []
    for action in part.others:
        y, half = _contrast(part, action, {**held, variable: grid}, len(grid))
        band = None if half is None else (tuple(y - half), tuple(y + half))
        lines.append(Curve(f"{action} over {part.form.reference}", tuple(grid), tuple(y),
                           *(band or (None, None))))  # fmt: skip
        if (cut := _crossing(grid, y)) is not None:
            cuts.append((cut, action))
    axis = axis_of(variable, part.kinds[variable])
    title = f"Stage {part.name}: benefit against {part.kinds[variable].label or variable}"
    chart = curves(
        key, title, lines, axis, part.words.benefit, level=Line(0.0, ""),
        at=[Line(cut, f"cut {number(cut)}") for cut, _ in cuts],
    )  # fmt: skip
    told = "".join(
        f"Cut point: {action} and {part.form.reference} are equal at {variable} = {number(cut)}. "
        for cut, action in cuts
    ) or "No cut point lies in the range that is drawn. "  # fmt: skip
    reach = "Drawn from the 1st to the 99th percentile of these patients. "
    return Shown(chart, told + reach + caption)


def _by_level(part: _Part, variable: str, held: Mapping[str, Any], key: str, caption: str) -> Shown:
    column = part.h.columns[variable]
    levels = sorted({_shown(one): one for one in column.tolist()}.items())
    marks = []
    for action in part.others:
        for words, value in levels:
            y, half = _contrast(part, action, {**held, variable: np.array([value])}, 1)
            wide = 0.0 if half is None else float(half[0])
            n = int(np.count_nonzero(column == value))
            marks.append(Mark(words, float(y[0]), float(y[0]) - wide, float(y[0]) + wide,
                              group=f"{action} over {part.form.reference}",
                              extra=(count(n),)))  # fmt: skip
    label = part.kinds[variable].label or variable
    chart = forest(
        key, f"Stage {part.name}: benefit by {label}", marks, part.words.benefit,
        reference=Line(0.0, ""), extra_head=("n",),
        names=(f"Benefit, with {part.level:.0%} interval", ""),
    )  # fmt: skip
    return Shown(chart, caption)


def _contrast(
    part: _Part, action: str, values: Mapping[str, Any], size: int
) -> tuple[Floats, Floats | None]:
    """Return b(a) - b(reference) at some histories and half the width of its interval."""
    columns = {name: one if isinstance(one, np.ndarray) else np.full(size, one)
               for name, one in values.items()}  # fmt: skip
    loads = np.column_stack(
        [term.values(columns, size) * (name == action) for name, term in part.form.coefficients]
    )
    y: Floats = loads @ np.array(list(part.form.coefficients.values()))
    if part.form.covariance is None:
        return y, None
    spread = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", loads, part.form.covariance, loads), 0))
    return y, float(norm.ppf(0.5 + part.level / 2)) * spread


def _grid(values: Floats) -> Floats:
    """Return about twenty round numbers over nearly all of the patients, and both ends."""
    low, high = np.quantile(values, [EDGE, 1 - EDGE], method="nearest")
    ticks = MaxNLocator(18, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    inner = [round(float(one), 9) for one in ticks if low < one < high]
    return np.array(sorted({float(low), *inner, float(high)}))


def _crossing(x: Floats, y: Floats) -> float | None:
    """Return where a straight line is 0, if it is so between its ends."""
    if len(x) < 2 or not y[0] * y[-1] < 0:
        return None
    return float(x[0] - y[0] * (x[-1] - x[0]) / (y[-1] - y[0]))


def _typical(part: _Part, name: str) -> Any:
    """Return the median of a number, on its decimals, and the commonest of anything else."""
    column, kind = part.h.columns[name], part.kinds[name]
    if kind.type == "number":
        return round(float(np.median(column.astype(np.float64))), kind.digits)
    values, n = np.unique(column.astype(str) if column.dtype == object else column,
                          return_counts=True)  # fmt: skip
    return values[int(n.argmax())].item()


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, (int, float)) else str(value)


def _tree(tree: Tree, words: Words, level: float, key: str) -> Shown:
    head = ("Who", "Advised", "n", "Took each action", words.benefit, "Interval", "Against",
            "n compared")  # fmt: skip
    rows = [_leaf_cells(path, leaf) for path, leaf in tree.branches()]
    chart = diagram(key, f"Stage {tree.stage}: the tree", _boxes(tree.root, ""), head, rows)
    found = "" if tree.exact else (
        f"The search was not exhaustive: a better tree could gain up to {number(tree.gap)} a "
        "patient. ")  # fmt: skip
    notes = " ".join(f"{_sentence(note)}." for note in tree.notes)
    caption = (f"{words.benefit}; each with its {level:.0%} interval, against the best other "
               f"action of the leaf. {found}{notes}")  # fmt: skip
    return Shown(chart, caption)


def _boxes(node: Node, arrow: str) -> Box:
    if isinstance(node, Leaf):
        return Box(tuple(_leaf_lines(node)), arrow=arrow, end=True)
    follows = (_boxes(node.above, "yes"), _boxes(node.below, "no"))
    return Box((f"{node.criterion}?",), follows, arrow=arrow)


def _leaf_lines(leaf: Leaf) -> Iterator[str]:
    yield leaf.action
    yield f"n = {count(leaf.n)}"
    if leaf.benefit is not None:
        one = leaf.benefit
        yield f"benefit over {one.against}: {number(one.estimate, 3)}"
        yield f"({number(one.low, 3)} to {number(one.high, 3)})"


def _leaf_cells(path: tuple[str, ...], leaf: Leaf) -> tuple[str, ...]:
    took = ", ".join(f"{name} {count(n)}" for name, n in leaf.n_by_action.items())
    advised = leaf.action + (f"; where not feasible {', '.join(leaf.instead)}" if leaf.instead
                             else "")  # fmt: skip
    cells = (" and ".join(path) or "everybody", advised, count(leaf.n), took)
    if leaf.benefit is None:
        return (*cells, "none can be compared", "", "", "")
    one = leaf.benefit
    return (*cells, number(one.estimate), interval(one.low, one.high), one.against, count(one.n))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
