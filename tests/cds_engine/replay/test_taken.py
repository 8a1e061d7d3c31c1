"""The action taken is what the record shows in the encounter or in the window after it."""

import pytest
from builders.records import LISINOPRIL, a_dispense, a_prescription, advice, at, but
from builders.replays import EXAMPLE, a_patient

from cds_engine.history.event import Event
from cds_engine.replay.points import Point, settled
from cds_engine.replay.settings import ReplaySettings
from cds_engine.replay.taken import Taken, TakenFinder

AS_OF = at("2025-03-01T09:30")
ORDER = "MedicationRequest/x"


def taken(
    *events: Event, stage: str | None = "three_months", until: str | None = None, **point: object
) -> Taken:
    settings = ReplaySettings(data_until=None if until is None else at(until))
    finder = TakenFinder(EXAMPLE, settings)
    patient = a_patient(*events)
    place = Point("Encounter/1", AS_OF, **point)  # type: ignore[arg-type]
    return finder.find(patient, place, stage, finder.acts(settled(patient.record)))


@pytest.mark.parametrize(
    ("when", "state"),
    [
        pytest.param("2025-03-01T09:31", "seen", id="just after the decision"),
        pytest.param("2025-03-31T09:30", "seen", id="at the end of the window"),
        pytest.param("2025-03-31T09:31", "unchanged", id="just after the window"),
        pytest.param("2025-03-01T09:30", "unchanged", id="already known at the decision"),
        pytest.param("2025-03-05", "seen", id="on a day of the window"),
        pytest.param("2025-03", "unchanged", id="in a month: as of when it was recorded"),
    ],
)
def test_the_window(when: str, state: str) -> None:
    assert taken(a_prescription(at=when)).state == state


def test_one_action_is_named_with_its_sources() -> None:
    fill = a_dispense(at="2025-03-04", source="MedicationDispense/1")
    found = taken(a_prescription(at="2025-03-02T09:00", source=ORDER), fill)
    assert found == Taken("seen", "add_ace", ("add_ace",), (fill.source, ORDER))


def test_what_the_encounter_wrote_is_the_action_even_if_it_was_known_by_then() -> None:
    order = a_prescription(at="2025-03-01T09:10", source=ORDER)
    assert taken(order, withheld=frozenset({ORDER})).action == "add_ace"


def test_none_on_record_is_the_one_option_that_changes_nothing() -> None:
    assert taken() == Taken("unchanged", "monitor")


def test_none_on_record_outside_any_stage_has_no_name() -> None:
    assert taken(stage=None) == Taken("none")


def test_none_on_record_by_the_end_of_the_records_is_not_none() -> None:
    assert taken(until="2025-03-31T09:29") == Taken("pending")
    assert taken(until="2025-03-31T09:30") == Taken("unchanged", "monitor")
    assert taken(a_prescription(at="2025-03-02T09:00"), until="2025-03-05T09:00").state == "seen"


def test_several_are_ambiguous() -> None:
    found = taken(a_prescription(at="2025-03-02T09:00"), advice("2025-03-03T09:00"))
    assert (found.state, found.action, found.candidates) == (
        "ambiguous", None, ("lifestyle", "add_ace"),
    )  # fmt: skip


def test_a_refill_of_an_earlier_step_is_no_choice_made_here() -> None:
    begun = a_prescription(at="2025-01-01T09:00", source="MedicationRequest/first")
    again = a_prescription(at="2025-03-10T09:00", source="MedicationRequest/again")
    assert taken(begun, again, stage="baseline").action == "monitor"


def test_a_step_that_the_stage_offers_is_a_choice_also_when_it_is_taken_again() -> None:
    begun = a_prescription(at="2025-01-01T09:00", source="MedicationRequest/first")
    again = a_prescription(at="2025-03-10T09:00", source="MedicationRequest/again")
    assert taken(begun, again, stage="three_months").action == "add_ace"


def test_what_was_taken_back_was_not_done() -> None:
    order = a_prescription(at="2025-03-02T09:00", source=ORDER)
    undone = but(order, version=(2, ""), status="entered-in-error")
    assert taken(order, undone).state == "unchanged"


def test_a_record_in_status_unknown_leaves_it_unclear() -> None:
    order = a_prescription(LISINOPRIL, "2025-03-02T09:00", status="unknown")
    assert taken(order) == Taken("unclear")
