"""The decision points of all patients of a shard; a schedule is worked out once for all of them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Sequence

from cds_engine.history.event import Event
from cds_engine.replay.engine import Asked
from cds_engine.replay.points import (
    LATE_ON_SCHEDULE,
    Patient,
    Point,
    decision_points,
    is_after_all,
    schedule,
)
from cds_engine.replay.settings import ReplaySettings


def points_at_once(
    patients: Sequence[Patient],
    held: Sequence[Sequence[Event]],
    settings: ReplaySettings,
    seen_as: Collection[str],
) -> tuple[list[Asked], Counter[str]]:
    """Return every decision point, patient by patient, and what became none, counted by reason.

    Args:
        patients: everybody.
        held: what the record of each came to hold, newest versions only.
        settings: where the points are.
        seen_as: every code by which an action of a catalogue is recognised.
    """
    if settings.points == "schedule":
        return _scheduled(patients, settings)
    asked: list[Asked] = []
    counts: Counter[str] = Counter()
    with_point = 0
    for place, (patient, events) in enumerate(zip(patients, held, strict=True)):
        found = decision_points(patient, settings, seen_as, events)
        counts.update(found.counts)
        with_point += bool(found.points)
        asked += [Asked(place, point) for point in found.points]
    return asked, counts + Counter({WITH_POINT: with_point})


WITH_POINT = "patients with a decision point"


def _scheduled(
    patients: Sequence[Patient], settings: ReplaySettings
) -> tuple[list[Asked], Counter[str]]:
    """Return for each patient the points from the first entry of the record on."""
    instants = schedule(settings)
    points = [Point("", at) for at in instants if not is_after_all(at, settings)]
    late = 0
    asked: list[Asked] = []
    with_point = 0
    for place, patient in enumerate(patients):
        recorded = [event.recorded for event in patient.record.events]
        if recorded:
            first = bisect_left(instants, min(recorded))
            some = points[first:]
            late += len(instants) - max(first, len(points))
            with_point += bool(some)
            asked += [Asked(place, point) for point in some]
    counts = {"points": len(asked), WITH_POINT: with_point, LATE_ON_SCHEDULE: late}
    return asked, Counter(counts)
