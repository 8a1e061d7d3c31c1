"""How often the version would have spoken, month by month, with the limits of chance."""

from typing import Any

import numpy as np

from cds_engine.replay.figures.points import FIRING, DecisionPoints

WIDE = 3.0
"""Limits lie so many standard errors from the mean."""


def firing(points: DecisionPoints, smallest: int) -> dict[str, Any]:
    """Return the share of decisions in which a card with advice is shown, for each month (UTC).

    Of all decisions those count that are at a stage with a choice.

    The centre is the share of all of them; the limits of a month with n decisions lie three
    standard errors sqrt(p (1 - p) / n) from it. Months with fewer than ``smallest``
    decisions are named, not drawn, and still count for the centre.
    """
    frame = points.frame[points.choice]
    fires = frame["decision.outcome"].isin(FIRING)
    month = frame["key.as_of"].dt.strftime("%Y-%m")
    centre = float(fires.mean()) if len(frame) else float("nan")
    months, few = [], []
    for name, fired in fires.groupby(month, sort=True):
        n = len(fired)
        if n < smallest:
            few.append(str(name))
            continue
        half = WIDE * float(np.sqrt(centre * (1 - centre) / n))
        low, high = max(0.0, centre - half), min(1.0, centre + half)
        share = float(fired.mean())
        months.append({"month": str(name), "decisions": n, "fired": int(fired.sum()),
                       "share": share, "low": low, "high": high,
                       "outside": not low <= share <= high})  # fmt: skip
    return {"centre": centre, "months": months, "too_few": few}
