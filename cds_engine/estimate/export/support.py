"""Support is the region in which the data could compare actions; outside it serving abstains."""

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import Any

import numpy as np

from cds_engine.criteria.syntax import label_text
from cds_engine.errors import EstimationError
from cds_engine.estimate.columns import Bools
from cds_engine.estimate.stage import StageData
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.value import number_text

Document = dict[str, Any]


def supports(
    h: StageData, actions: Sequence[str], tailoring: Sequence[str], kinds: "dict[str, Kind]",
    share: float,
) -> list[Document]:  # fmt: skip
    """Return the support of each action, as the ``support`` of a rule by scores.

    Args:
        h: the stage's data.
        actions: the actions to describe.
        tailoring: the variables that the advice depends on.
        kinds: how they are declared.
        share: of an action's patients left outside at each end of a number's range.
    """
    found = []
    for action in actions:
        rows = h.decided & (h.action == h.spec.place(action))
        if not rows.any():
            raise EstimationError(
                f"stage {h.spec.stage}: nobody in this part took {action!r}, so nothing can be "
                "said of it there; leave it out of the part"
            )
        if when := inside(h, rows, tailoring, kinds, share):
            because = f"{int(rows.sum())} patients took it; outside this range hardly anyone did."
            found.append({"actions": [action], "when": when, "because": because})
    return found


def inside(
    h: StageData, rows: Bools, tailoring: Sequence[str], kinds: "dict[str, Kind]", share: float
) -> str:
    """Return the criterion that some rows fulfil, all but a share at each end; may be empty."""
    parts = []
    for name in tailoring:
        values = h.columns[name][rows]
        kind = kinds[name]
        if kind.type == "number":
            low, high = np.quantile(values.astype(np.float64), [share, 1 - share], method="nearest")
            low, high = _outward(low, high, kind.digits)
            parts.append(f"{number_text(low)} <= {name} <= {number_text(high)}")
        elif kind.type == "boolean":
            seen = set(map(bool, values))
            parts += [name if True in seen else f"not {name}"] if len(seen) == 1 else []
        else:
            # what the variable could be and the data never held cannot be compared either
            held = {str(one) for one in values}
            if kind.labels is None or held != set(kind.labels):
                labels = ", ".join(label_text(label) for label in sorted(held))
                parts.append(f"{name} in [{labels}]" if len(held) > 1 else f"{name} is {labels}")
    return " and ".join(parts)


def outside(
    h: StageData, rows: Bools, tailoring: Sequence[str], kinds: Mapping[str, Kind], share: float
) -> str:
    """Return the criterion that holds exactly where ``inside`` does not; may be empty."""
    found = inside(h, rows, tailoring, dict(kinds), share)
    return f"not ({found})" if found else ""


def bands(values: "np.ndarray[Any, np.dtype[np.float64]]", kind: Kind, count: int) -> list[float]:
    """Return cut points that part numbers into about equal bands, on the variable's decimals."""
    wanted = np.quantile(values, np.arange(1, count) / count, method="nearest")
    cuts = sorted({round(float(cut), kind.digits) for cut in wanted})
    return [cut for cut in cuts if values.min() < cut <= values.max()]


def _outward(low: float, high: float, digits: int) -> tuple[float, float]:
    scale = 10**digits
    return floor(round(low * scale, 6)) / scale, ceil(round(high * scale, 6)) / scale
