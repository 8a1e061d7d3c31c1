"""An action that begins between two decisions falls into the window of one, or nothing looks at it.

What falls into no window counts as taken at no decision, so that whoever was treated then looks
untreated at the decision before it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from cds_engine.history.event import Event
from cds_engine.replay.at_once.rows import Rows, later_all
from cds_engine.replay.taken import Act, TakenFinder, is_own

IN_A_WINDOW = "begun in a window"
IN_NO_WINDOW = "begun in no window"


def begun_between(
    finder: TakenFinder, rows: Rows, events: Sequence[Sequence[Event]]
) -> Counter[str]:
    """Count the actions that begin between two decisions, by whether a window holds them.

    An action begins where it is on record for the first time; only those that change something
    count, and only after a patient's first decision and up to the last.

    Args:
        finder: knows catalogue and window.
        rows: the decisions, in order of patient and time.
        events: what the record of each patient came to hold, newest versions only.
    """
    counts: Counter[str] = Counter()
    as_of = rows.as_of.tolist()
    ends = later_all(rows.as_of, finder.settings.window).tolist()
    places = np.searchsorted(rows.patient, np.arange(len(rows.patients) + 1)).tolist()
    for place, (patient, held) in enumerate(zip(rows.patients, events, strict=True)):
        low, high = places[place], places[place + 1]
        if high - low < 2:
            continue
        for act in _begun(finder, finder.acts(patient, held)):
            if as_of[low] < act.at <= as_of[high - 1]:
                before = bisect_left(as_of, act.at, low, high) - 1
                own = any(is_own(rows.asked[row].point, act) for row in range(low, high))
                counts[IN_A_WINDOW if own or act.start <= ends[before] else IN_NO_WINDOW] += 1
    return counts


def _begun(finder: TakenFinder, acts: Iterable[Act]) -> Collection[Act]:
    """Return, for each action that changes something, the act by which it begins."""
    first: dict[str, Act] = {}
    for act in acts:
        if act.event.status == "unknown":
            continue
        for action in act.shown:
            known = first.get(action)
            if finder.actions[action].change and (
                known is None or act.counts_from < known.counts_from
            ):
                first[action] = act
    return first.values()
