"""Of what begins between two decisions it is counted whether some decision's window holds it."""

from collections import Counter

import pytest
from builders.records import (
    a_bundle,
    a_document,
    a_prescription,
    advice,
    at,
    but,
)
from builders.replays import EXAMPLE, a_patient

from cds_engine.history.event import Event
from cds_engine.replay.at_once.rows import rows_of
from cds_engine.replay.between import IN_A_WINDOW, IN_NO_WINDOW, begun_between
from cds_engine.replay.engine import Asked
from cds_engine.replay.points import Point
from cds_engine.replay.settings import ReplaySettings
from cds_engine.replay.shard import replay_shard
from cds_engine.replay.taken import TakenFinder
from cds_engine.vocabulary.time import parse_duration

QUARTERS = ("2025-01-01T00:00", "2025-04-01T00:00", "2025-07-01T00:00")
SEEN, UNSEEN = Counter({IN_A_WINDOW: 1}), Counter({IN_NO_WINDOW: 1})
NOTHING = Counter[str]()
QUIET = a_bundle(
    actions=a_document()["actions"]
    | {"monitor": {"label": "Measure again", "change": False, "seen_as": ["snomed|1"]}}
)
"""The example regime, whose option that changes nothing is seen as well."""


def counted(*acts: Event, points: tuple[Point, ...] = (), window: str = "P30D") -> Counter[str]:
    """Count what begins between the decisions: on a schedule of quarters, or as given."""
    finder = TakenFinder(QUIET, ReplaySettings(window=parse_duration(window)))
    asked = [Asked(0, one) for one in points or [Point("", at(when)) for when in QUARTERS]]
    return begun_between(finder, rows_of([a_patient(*acts)], asked), [list(acts)])


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        pytest.param("2025-01-31T00:00", SEEN, id="at the end of a window"),
        pytest.param("2025-01-31T00:01", UNSEEN, id="just after it"),
        pytest.param("2025-04-01T00:00", UNSEEN, id="just before the next decision"),
        pytest.param("2025-07-01T00:00", UNSEEN, id="at the last decision"),
        pytest.param("2025-07-01T00:01", NOTHING, id="after the last one nothing follows"),
        pytest.param("2025-01-01T00:00", NOTHING, id="before the first it is history"),
        pytest.param("2025-01-31", SEEN, id="on a day on which the window ends"),
    ],
)
def test_where_an_action_begins(when: str, expected: Counter[str]) -> None:
    assert counted(a_prescription(at=when)) == expected


def test_a_window_as_long_as_the_step_misses_nothing() -> None:
    acts = [a_prescription(at=f"2025-0{month}-15T09:00") for month in (2, 3, 5, 6)]
    assert {tuple(counted(act, window="P3M").items()) for act in acts} == {((IN_A_WINDOW, 1),)}


def test_an_action_begins_once_however_often_it_is_prescribed() -> None:
    first, *repeats = (a_prescription(at=f"2025-0{m}-10T09:00") for m in (1, 2, 3, 5))
    assert counted(*repeats, first) == SEEN
    assert counted(*repeats) == UNSEEN
    assert counted(first, advice(at="2025-03-01T09:00")) == SEEN + UNSEEN


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(but(a_prescription(at="2025-03-01T09:00"), status="unknown"), id="unclear"),
        pytest.param(a_prescription("snomed|1", at="2025-03-01T09:00"), id="changes nothing"),
        pytest.param(a_prescription("snomed|77", at="2025-03-01T09:00"), id="no action"),
    ],
)
def test_what_counts_for_nothing(act: Event) -> None:
    assert counted(act) == NOTHING


def test_what_an_encounter_wrote_before_its_decision_is_its_own() -> None:
    act = a_prescription(at="2025-03-31T23:00")
    points = tuple(Point("", at(when)) for when in QUARTERS)
    own = (points[0], Point("", points[1].as_of, frozenset({act.source})), points[2])
    assert (counted(act), counted(act, points=own)) == (UNSEEN, SEEN)


def test_one_decision_has_nothing_beside_it() -> None:
    act = a_prescription(at="2025-03-01T09:00")
    assert counted(act, points=(Point("", at(QUARTERS[0])),)) == NOTHING


def test_a_shard_counts_them_for_the_version_that_is_replayed() -> None:
    settings = ReplaySettings(points="schedule", first=at(QUARTERS[0]), last=at(QUARTERS[-1]),
                              every=parse_duration("P3M"))  # fmt: skip
    patient = a_patient(advice(at="2024-12-01T09:00"), a_prescription(at="2025-03-01T09:00"))
    rows = replay_shard([patient], [EXAMPLE, EXAMPLE], settings)
    assert (rows.counts[IN_A_WINDOW], rows.counts[IN_NO_WINDOW]) == (0, 1)
