"""Rows are drawn by what they are, and what was said of them together is held against each."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders.records import AS_OF, a_bundle, a_person, a_prescription, a_reading, an_event
from builders.replays import EXAMPLE

from cds_engine.history.event import Person, Record
from cds_engine.replay import shard as module
from cds_engine.replay.at_once.rows import rows_of
from cds_engine.replay.engine import Asked
from cds_engine.replay.points import Patient, Point
from cds_engine.replay.recheck import draw
from cds_engine.replay.settings import ReplaySettings
from cds_engine.replay.shard import replay_shard
from cds_engine.replay.taken import Taken
from cds_engine.vocabulary.time import DAY

PEOPLE, EACH = 20_000, 10
PATIENTS = [Patient(Record(Person(f"p{n}"), ())) for n in range(PEOPLE)]
ROWS = rows_of(
    PATIENTS,
    [
        Asked(n, Point(f"Encounter/{n}-{k % 2}", AS_OF + k // 2 * DAY))
        for n in range(PEOPLE)
        for k in range(EACH)
    ],
)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_the_share_that_is_drawn_is_the_one_asked_for(share: float) -> None:
    drawn = draw(ROWS, ReplaySettings(recheck=share))
    assert drawn.mean() == pytest.approx(share, abs=0.001)
    assert drawn.all() == (share == 1.0)


def test_rows_of_a_patient_or_of_an_instant_are_drawn_one_by_one() -> None:
    drawn = draw(ROWS, ReplaySettings(recheck=0.3)).reshape(PEOPLE, EACH)
    together = drawn.sum(axis=1)
    assert together.var() == pytest.approx(EACH * 0.3 * 0.7, rel=0.05)
    assert drawn.mean(axis=0) == pytest.approx(np.full(EACH, 0.3), abs=0.02)


def test_a_seed_draws_other_rows() -> None:
    one, other = (draw(ROWS, ReplaySettings(recheck=0.3, seed=seed)) for seed in (0, 1))
    assert (one & other).mean() == pytest.approx(0.09, abs=0.005)


def test_whether_a_row_is_drawn_rests_on_itself_alone() -> None:
    told = ReplaySettings(recheck=0.3)
    drawn = draw(ROWS, told)
    some = list(reversed(range(7, PEOPLE, 3)))
    asked = [Asked(n, ROWS.asked[p * EACH + 4].point) for n, p in enumerate(some)]
    again = draw(rows_of([PATIENTS[place] for place in some], asked), told)
    assert again.tolist() == [drawn[place * EACH + 4] for place in some]


def a_cohort() -> list[Patient]:
    visit = an_event(
        "encounter", ("act|AMB",), "2025-03-01T09:00", source="Encounter/1", status="finished",
        until="2025-03-01T09:30",
    )  # fmt: skip
    events = (visit, a_prescription(at="2025-03-02T09:00"), a_reading(sbp=132, at="2025-12-01"))
    return [Patient(Record(replace(a_person(), key=f"p{n}"), events)) for n in range(5)]


def lying(what: str, how: Callable[[Any], Any]) -> Callable[..., Any]:
    truth = getattr(module, what)
    return lambda *given: how(truth(*given))


@pytest.mark.parametrize(
    ("what", "how"),
    [
        pytest.param(
            "taken_at_once",
            lambda said: ([Taken("unchanged", "monitor")] * len(said[0]), said[1]),
            id="of the actions",
        ),
        pytest.param(
            "outcomes_at_once",
            lambda said: replace(said, values=[131.0] * len(said.values)),
            id="of the outcomes",
        ),
    ],
)
@pytest.mark.parametrize("against", [[], [a_bundle(version="1.1.0")]])
def test_an_untruth_is_found_out(
    what: str, how: Callable[[Any], Any], against: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ReplaySettings(end=True, recheck=1.0)
    honest = replay_shard(a_cohort(), [EXAMPLE, *against], told)
    assert (honest.checked, honest.differences) == (5, ())
    assert set(honest.columns["taken.state"].values) == {"seen"}
    assert set(honest.columns["outcome.value"].values) == {132.0}
    monkeypatch.setattr(module, what, lying(what, how))
    shard = replay_shard(a_cohort(), [EXAMPLE, *against], told)
    people, instants = (shard.columns[f"key.{name}"].values for name in ("patient", "as_of"))
    assert shard.differences == tuple(
        f"{name} Encounter/1 {as_of}" for name, as_of in zip(people, instants, strict=True)
    )


def test_an_untruth_about_the_second_version_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, calls = getattr(module, "taken_at_once"), list[Any]()  # noqa: B009

    def second_is_untrue(*given: Any) -> Any:
        calls.append(given)
        told, which = truth(*given)
        return ([Taken("none")] * len(told) if len(calls) > 1 else told), which

    monkeypatch.setattr(module, "taken_at_once", second_is_untrue)
    told = ReplaySettings(end=True, recheck=1.0)
    shard = replay_shard(a_cohort(), [EXAMPLE, a_bundle(version="1.1.0")], told)
    assert len(shard.differences) == 5
