"""The flow shows how many took which way through the stages."""

import math
from collections.abc import Sequence
from typing import Any

from cds_adapters.report.charts import Box, Chart, diagram
from cds_adapters.report.numbers import count, number
from cds_engine.estimate.trajectories import Trajectories

MOST = 40
"""Ends that a drawing holds; beyond, it stops at an earlier stage."""
NONE = "no further decision"

_Path = tuple[tuple[str, ...], int, float, int]


def flow_chart(trajectories: Trajectories) -> Chart:
    """Return the flow of a trial or cohort, with n on every path; the table has all of them."""
    paths = _paths(trajectories)
    stages = [h.spec.stage for h in trajectories.stages]
    depth = len(stages)
    while depth > 1 and len({actions[:depth] for actions, *_ in paths}) > MOST:
        depth -= 1
    design = all(h.propensity is not None for h in trajectories.stages)
    what = "Flow of the trial (SMART)" if design and len(stages) > 1 else (
        "Flow of the trial" if design else "Flow of the cohort")  # fmt: skip
    cut = "" if depth == len(stages) else f", drawn up to stage {stages[depth - 1]}"
    columns = ["", *(f"{h.spec.stage}{', randomised' if h.propensity is not None else ''}"
                     for h in trajectories.stages[:depth])]  # fmt: skip
    root = Box(("In the table", f"n = {count(len(trajectories))}"), _boxes(paths, 0, depth))
    head = (*stages, "n", "Mean outcome, not adjusted", "Outcome missing")
    rows = [(*actions, count(n), number(mean), count(gone)) for actions, n, mean, gone in paths]
    return diagram("flow", what + cut, root, head, rows, columns=columns)


def _paths(trajectories: Trajectories) -> list[_Path]:
    frame: Any = trajectories.layout()
    stages = [h.spec.stage for h in trajectories.stages]
    return [
        (tuple(NONE if row[s] == "-" else str(row[s]) for s in stages), int(row["n"]),
         float(row["mean_outcome"]), int(row["missing"]))
        for row in frame.to_dict("records")
    ]  # fmt: skip


def _boxes(paths: Sequence[_Path], at: int, depth: int) -> tuple[Box, ...]:
    if at == depth:
        return ()
    boxes = []
    for action in dict.fromkeys(actions[at] for actions, *_ in paths):
        here = [one for one in paths if one[0][at] == action]
        n = sum(one[1] for one in here)
        last = at == depth - 1
        lines = [action, f"n = {count(n)}"]
        if last and not math.isnan(mean := _mean(here)):
            lines.append(f"mean outcome {number(mean, 3)}")
        boxes.append(Box(tuple(lines), _boxes(here, at + 1, depth), end=last))
    return tuple(boxes)


def _mean(paths: Sequence[_Path]) -> float:
    """Return the mean of those whose outcome is there."""
    held = [(n - gone, mean) for _, n, mean, gone in paths if n > gone]
    seen = sum(n for n, _ in held)
    return sum(n * mean for n, mean in held) / seen if seen else math.nan
