"""An action of one name may be seen as other codes by each of two versions.

Values know one action taken, that of the first version's codes, so that advice of the second that
no code shares with it cannot be valued. Counts of each version go by its own codes.
"""

from typing import Any

from cds_engine.replay.figures.points import DecisionPoints


def recoded(points: DecisionPoints) -> list[dict[str, Any]]:
    """Return the actions that both versions name and see as other codes, with the codes of each.

    ``shares`` says whether they have a code in common.
    """
    if points.against is None:
        return []
    first, second = points.bundle.actions, points.against.actions
    both = {name: ({*first[name].seen_as}, {*second[name].seen_as})
            for name in first if name in second}  # fmt: skip
    return [
        {"action": name, "label": points.label(name), "first": sorted(ours),
         "second": sorted(theirs), "shares": bool(ours & theirs)}
        for name, (ours, theirs) in both.items() if ours != theirs
    ]  # fmt: skip
