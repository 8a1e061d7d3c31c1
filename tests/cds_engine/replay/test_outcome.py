"""The outcome is measured nearest to the horizon after the decision, or it is said why not."""

import pytest
from builders.records import (
    a_bundle,
    a_person,
    a_prescription,
    a_reading,
    a_record,
    a_small_bundle,
    at,
    but,
    ucum,
)

from cds_engine.history.event import Event, Person
from cds_engine.replay.outcome import Measured, OutcomeFinder
from cds_engine.replay.points import settled
from cds_engine.replay.settings import ReplaySettings
from cds_engine.vocabulary.time import parse_duration
from cds_engine.vocabulary.value import Span

AS_OF = at("2025-01-10T09:00")
HORIZON = "2025-10-10T09:00"


def outcome(
    *events: Event, person: Person | None = None, bundle: object = None, **given: object
) -> Measured:
    record = a_record(*events, person=person)
    finder = OutcomeFinder(bundle or a_bundle(), ReplaySettings(**given))  # type: ignore[arg-type]
    return finder.find(record, finder.readings(record, settled(record)), AS_OF, AS_OF)


def test_is_the_variable_by_its_own_definition_at_the_reading_nearest_to_the_horizon() -> None:
    found = outcome(
        a_reading(sbp=150, at="2025-09-20T09:00"),
        a_reading(sbp=140, at="2025-10-12T09:00"),
        a_reading(sbp=130, at="2025-10-30T09:00"),
    )
    # sbp is the mean of thirty days
    assert found == Measured(145.0, "known", at("2025-10-12T09:00"))


@pytest.mark.parametrize(
    ("when", "state"),
    [
        ("2025-09-10T09:00", "known"), ("2025-09-10T08:59", "absent"),
        ("2025-11-09T09:00", "known"), ("2025-11-09T09:01", "absent"),
    ],
)  # fmt: skip
def test_a_measurement_counts_within_the_tolerance(when: str, state: str) -> None:
    assert outcome(a_reading(sbp=150, at=when)).state == state


def test_nothing_from_before_the_decision_is_part_of_it() -> None:
    found = outcome(
        a_reading(sbp=190, at="2025-01-09T09:00"),
        a_reading(sbp=150, at="2025-01-20T09:00"),
        horizon=parse_duration("P10D"),
    )
    assert found.value == 150.0


def test_is_looked_up_in_what_the_record_came_to_hold() -> None:
    late = a_reading(sbp=150, at=HORIZON, recorded="2026-02-01T00:00")
    mended = but(late, value=160.0, version=(2, ""), status="corrected")
    assert outcome(late).value == 150.0
    assert outcome(late, mended).value == 160.0


@pytest.mark.parametrize(
    ("events", "given", "state"),
    [
        pytest.param((), {}, "absent", id="never measured"),
        pytest.param((), {"data_until": at("2025-11-09T08:59")}, "pending", id="not yet"),
        pytest.param((), {"data_until": at("2025-11-09T09:00")}, "absent", id="its time has come"),
        pytest.param(
            (), {"person": a_person(died="2025-05-01T00:00")}, "deceased", id="died before it"
        ),
        pytest.param(
            (a_reading(sbp=150, at=HORIZON, unit=ucum("kPa")),), {}, "unit", id="unusable unit"
        ),
        pytest.param(
            (a_reading(Span(high=90.0, high_open=True), at=HORIZON),), {}, "range", id="a range"
        ),
        pytest.param(
            (a_reading(sbp=150, at=HORIZON, status="entered-in-error"),), {}, "absent",
            id="taken back",
        ),
        pytest.param(
            (), {"bundle": a_bundle(aim={"outcome": "sbp", "better": "lower"})}, "no-horizon",
            id="the aim names no time",
        ),
        pytest.param(
            (), {"bundle": a_bundle(aim={"outcome": "death", "at": "P1Y", "better": "lower"})},
            "no-variable", id="the aim names no variable",
        ),
    ],
)  # fmt: skip
def test_is_never_zero_where_it_is_not_known(
    events: tuple[Event, ...], given: dict[str, object], state: str
) -> None:
    found = outcome(*events, **given)  # type: ignore[arg-type]
    assert (found.value, found.state, found.at) == (None, state, None)


def test_a_search_that_was_not_complete_leaves_it_incomplete() -> None:
    record = a_record(a_reading(sbp=150, at=HORIZON), gaps={"kind:observation": "it was cut"})
    finder = OutcomeFinder(a_bundle(), ReplaySettings())
    found = finder.find(record, finder.readings(record, settled(record)), AS_OF, AS_OF)
    assert found == Measured(None, "incomplete")


def test_a_derived_outcome_is_taken_as_of_the_horizon() -> None:
    bundle = a_bundle(aim={"outcome": "uncontrolled", "at": "P9M", "better": "lower"})
    reading = a_reading(sbp=150, at="2025-10-01T09:00")
    assert outcome(reading, bundle=bundle) == Measured(True, "known", at(HORIZON))
    assert outcome(bundle=bundle).state == "unresolved"


def test_a_flag_is_taken_as_of_the_horizon_with_what_became_known_later() -> None:
    bundle = a_small_bundle(
        [{"otherwise": "a"}], aim={"outcome": "p", "at": "P9M", "better": "lower"}
    )
    event = but(a_prescription(), kind="condition", codes=("snomed|1",))
    assert outcome(event, bundle=bundle).value is True
    assert outcome(event, bundle=bundle, data_until=at("2025-10-01T00:00")).state == "pending"
