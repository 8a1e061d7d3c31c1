"""What may have happened or not is neither counted nor passed over; year one is no date."""

import json
from math import isfinite

import msgspec
import pytest
from builders.records import (
    AS_OF,
    LIFESTYLE,
    LISINOPRIL,
    a_dispense,
    a_prescription,
    a_procedure,
    a_variable,
    advice,
    at,
    find,
    reason_of,
    value_of,
)

from cds_engine.history.event import Event
from cds_engine.history.select import known_by
from cds_engine.history.value import Known
from cds_engine.vocabulary.value import Span

EVER = a_variable("procedure", codes=["snomed|1"], take="ever")
COUNT = a_variable("procedure", codes=["snomed|1"], take="count")
ELAPSED = a_variable("procedure", codes=["snomed|1"], take="elapsed", unit="d")
ON_STEP = a_variable("course", take="elapsed", unit="wk")


def begun(when: str) -> Event:
    return a_procedure(at=when, status="in-progress", doubt=True)


def test_a_doubtful_procedure_leaves_open_whether_it_was_ever_done() -> None:
    assert reason_of(EVER, begun("2025-05-01")) == "unresolved"
    assert value_of(EVER, begun("2025-05-01"), a_procedure(at="2025-04-01")) is True


def test_a_doubtful_procedure_widens_the_count() -> None:
    assert value_of(COUNT, begun("2025-05-01"), a_procedure(at="2025-04-01")) == Span(1, 2)


def test_a_later_doubt_leaves_the_time_since_open_and_an_earlier_one_does_not() -> None:
    sure = a_procedure(at="2025-05-01")
    assert reason_of(ELAPSED, sure, begun("2025-06-01")) == "unresolved"
    assert value_of(ELAPSED, sure, begun("2025-04-01")) == 45


def test_a_medication_in_status_unknown_leaves_active_open() -> None:
    active = a_variable("medication", codes=[LISINOPRIL], take="active")
    unknown = a_prescription(status="unknown", doubt=True)
    assert reason_of(active, unknown) == "unresolved"


def test_a_fill_in_status_unknown_leaves_adherence_open() -> None:
    share = a_variable("medication", codes=[LISINOPRIL], take="adherence", within="P365D")
    assert reason_of(share, a_dispense(days=30.0, status="unknown", doubt=True)) == "unresolved"


@pytest.mark.parametrize("aggregate", ["latest_action", "count"])
def test_an_action_seen_only_in_status_unknown_leaves_the_course_open(aggregate: str) -> None:
    variable = a_variable("course", take=aggregate)
    assert reason_of(variable, advice(status="unknown", doubt=True)) == "unresolved"
    later = advice("2025-04-01T09:00", status="unknown", doubt=True)
    assert isinstance(find(variable, advice(), later), Known)


def test_of_equal_versions_the_one_taken_back_wins_whatever_the_order() -> None:
    sure = a_procedure(source="Procedure/1", recorded="2025-05-02T00:00")
    void = a_procedure(source="Procedure/1", status="entered-in-error")
    for order in ([sure, void], [void, sure]):
        assert known_by(order, AS_OF)[0] == []
    assert known_by([sure, void], at("2025-05-01T12:00"))[0] == []


@pytest.mark.parametrize("when", ["0001-01-01", "0001-01-01T00:00", "1899-12-31"])
def test_a_date_before_anybody_was_born_is_no_date(when: str) -> None:
    for found in (
        find(ON_STEP, advice(when)),
        find(ELAPSED, a_procedure(at=when)),
    ):
        assert isinstance(found, Known)
        assert isinstance(found.value, Span)
        assert found.value.low == 0.0


def test_a_time_on_an_action_is_never_an_infinite_number() -> None:
    found = find(ON_STEP, advice("0001-01-01T00:00"))
    assert isinstance(found, Known)
    assert not isinstance(found.value, float) or isfinite(found.value)
    assert json.loads(msgspec.json.encode(found))["readings"]


def test_an_order_is_not_done_by_being_ordered() -> None:
    assert reason_of(a_variable("procedure", codes=[LIFESTYLE]), advice()) == "absent"
