"""The action taken is what the record shows in the encounter or in the window after it."""

import pytest
from builders.records import (
    LIFESTYLE,
    LISINOPRIL,
    a_bundle,
    a_dispense,
    a_document,
    a_person,
    a_prescription,
    advice,
    an_event,
    at,
    but,
)
from builders.replays import EXAMPLE, named_in

from cds_engine.history.event import Event, Gap, Person, Record
from cds_engine.history.gaps import code_gap, kind_gap
from cds_engine.replay.points import Patient, Point, settled
from cds_engine.replay.settings import ReplaySettings
from cds_engine.replay.taken import Taken, TakenFinder

AS_OF = at("2025-03-01T09:30")
ORDER = "MedicationRequest/x"


WINDOW_ENDS = "2025-03-31T09:30"


def taken(
    *events: Event,
    stage: str | None = "three_months",
    until: str | None = None,
    person: Person | None = None,
    gap: str = "",
    since: str = "",
    names: dict[str, str] | None = None,
    **point: object,
) -> Taken:
    """Say what was taken; ``names`` are the encounters that sources name."""
    settings = ReplaySettings(data_until=None if until is None else at(until))
    finder = TakenFinder(OBSERVED if stage == "observed" else EXAMPLE, settings)
    gaps = {gap: "it is damaged"} if gap else {}
    times = {gap: (Gap(at(since), "it is damaged"),)} if since else {}
    record = Record(person or a_person(), tuple(events), (), gaps, gap_times=times)
    patient = Patient(record, named_in(names or {}, *events))
    place = Point("Encounter/1", AS_OF, **point)  # type: ignore[arg-type]
    return finder.find(patient, place, stage, finder.acts(patient, settled(patient.record)))


OBSERVED = a_bundle(
    actions=a_document()["actions"]
    | {"monitor": {"label": "Measure again", "change": False, "seen_as": ["snomed|1"]}}
)
"""The example regime, whose option that changes nothing is seen as well."""


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


@pytest.mark.parametrize(
    ("when", "recorded", "state"),
    [
        pytest.param("2025-03-01", "2025-03-01T09:50", "seen", id="stored later on its day"),
        pytest.param("2025-03-01", "2025-07-01T09:00", "seen", id="stored after its day"),
        pytest.param("2025-03-01", "2025-03-01T09:30", "unchanged", id="known at the decision"),
        pytest.param("2025-02-28", "2025-07-01T09:00", "unchanged", id="of the day before"),
        pytest.param("2025-03-31", "2025-03-31T12:00", "seen", id="on the window's last day"),
        pytest.param("2025-04-01", "2025-04-01T12:00", "unchanged", id="on the day after"),
        pytest.param("2025-03", "2025-03-01T09:50", "seen", id="of the month, stored in it"),
        pytest.param("2025-02", "2025-03-05T09:00", "unchanged", id="of the month before"),
    ],
)
def test_an_order_of_the_day_was_written_when_the_record_came_to_know_it_that_day(
    when: str, recorded: str, state: str
) -> None:
    assert taken(a_prescription(at=when, recorded=recorded)).state == state


def test_nothing_had_begun_that_the_history_could_not_know() -> None:
    first = "MedicationRequest/first"
    late = a_prescription(at="2025-01-01T09:00", recorded="2025-04-01T09:00", source=first)
    again = a_prescription(at="2025-03-10T09:00", source="MedicationRequest/again")
    assert taken(late, again, stage="baseline").action == "add_ace"
    # an earlier version of it could be known
    told = but(late, recorded=at("2025-01-01T09:00"), version=(-1, ""))
    assert taken(told, late, again, stage="baseline").action == "monitor"


@pytest.mark.parametrize(
    ("when", "state"),
    [
        pytest.param("2025-03-01T09:00", "seen", id="as it began"),
        pytest.param("2025-03-01", "seen", id="on its day"),
        pytest.param("2025-03-01T08:59", "unchanged", id="before it began"),
        pytest.param("2023-03-01T09:00", "unchanged", id="two years before"),
        pytest.param(WINDOW_ENDS, "seen", id="as the window ended"),
        pytest.param("2025-10-01T09:00", "unchanged", id="seven months after"),
    ],
)
def test_an_order_that_names_the_encounter_is_its_own_from_its_start_to_the_end_of_the_window(
    when: str, state: str
) -> None:
    # stored too late to be withheld from the history
    order = a_prescription(at=when, recorded="2025-11-01T09:00", source=ORDER)
    mine = {ORDER: "Encounter/1"}
    assert taken(order, names=mine, began=at("2025-03-01T09:00")).state == state


def test_what_the_encounter_wrote_for_long_after_the_window_is_no_action_of_the_window() -> None:
    planned = a_prescription(at="2025-10-01T09:00", recorded="2025-03-01T09:10", source=ORDER)
    assert taken(planned, withheld=frozenset({ORDER})) == Taken("unchanged", "monitor")


@pytest.mark.parametrize(
    ("part", "state"),
    [
        pytest.param({"Encounter/ward": "Encounter/1"}, "seen", id="a part of it"),
        pytest.param({"Encounter/ward": "Encounter/stay", "Encounter/stay": "Encounter/1"}, "seen",
                     id="a part of a part"),
        pytest.param({"Encounter/ward": "Encounter/2"}, "unchanged", id="a part of another"),
        pytest.param({"Encounter/ward": "Encounter/ward"}, "unchanged", id="a part of itself"),
        pytest.param({}, "unchanged", id="no part"),
    ],
)  # fmt: skip
def test_orders_of_a_part_of_the_encounter_are_the_encounters_own(
    part: dict[str, str], state: str
) -> None:
    visits = [an_event("encounter", (), "2025-03-01T09:05", source=name) for name in part]
    order = a_prescription(at="2025-03-01T09:10", recorded="2025-11-01T09:00", source=ORDER)
    names = {ORDER: "Encounter/ward", **part}
    assert taken(order, *visits, names=names, began=at("2025-03-01T09:00")).state == state


@pytest.mark.parametrize(
    ("gap", "since", "state"),
    [
        pytest.param(kind_gap("request"), "", "incomplete", id="prescriptions"),
        pytest.param(code_gap(LISINOPRIL, "dispense"), "", "incomplete", id="an action's code"),
        pytest.param(code_gap(LIFESTYLE), "", "incomplete", id="the code, of whatever kind"),
        pytest.param("*", "", "incomplete", id="anything"),
        pytest.param("*", WINDOW_ENDS, "incomplete", id="from the end of the window"),
        pytest.param("*", "2025-03-31T09:31", "unchanged", id="from after the window"),
        pytest.param(kind_gap("observation"), "", "unchanged", id="measurements"),
        pytest.param(kind_gap("statement"), "", "unchanged", id="what patients say"),
        pytest.param(code_gap("rxnorm|1", "request"), "", "unchanged", id="another code"),
    ],
)
def test_nothing_on_record_says_nothing_where_the_record_is_known_to_lack_something(
    gap: str, since: str, state: str
) -> None:
    assert taken(gap=gap, since=since).state == state
    # what was seen was done all the same
    assert taken(a_prescription(at="2025-03-02T09:00"), gap=gap, since=since).state == "seen"


def test_what_changes_nothing_may_stand_beside_what_is_lacking() -> None:
    seen = an_event("procedure", ("snomed|1",), "2025-03-02T09:00", status="completed")
    assert taken(seen, stage="observed").action == "monitor"
    found = taken(seen, stage="observed", gap="*")
    assert found == Taken("incomplete", None, ("monitor",), (seen.source,))


@pytest.mark.parametrize(
    ("died", "state"),
    [
        pytest.param("2025-03-01T09:40", "died", id="just after the decision"),
        pytest.param(WINDOW_ENDS, "died", id="as the window ended"),
        pytest.param("2025-03-31T09:31", "unchanged", id="after it"),
        pytest.param("2025-03-31", "died", id="on its last day"),
        pytest.param("2025", "unchanged", id="at some time of the year"),
    ],
)
def test_a_window_that_death_cut_short_shows_no_choice_to_do_nothing(died: str, state: str) -> None:
    assert taken(person=a_person(died=died)).state == state
    order = a_prescription(at="2025-03-01T09:35")
    assert taken(order, person=a_person(died=died)).state == "seen"


def test_of_a_death_without_a_date_it_counts_when_the_record_knew_of_it() -> None:
    known = a_person(deceased=True, death_known=at(WINDOW_ENDS))
    assert taken(person=known) == Taken("died")
    assert taken(person=a_person(deceased=True, death_known=at("2025-04-01T00:00"))).action


def test_of_several_reasons_for_not_knowing_the_record_comes_first_and_then_death() -> None:
    dead = a_person(died="2025-03-05")
    assert taken(person=dead, until="2025-03-06T00:00", gap="*") == Taken("incomplete")
    assert taken(person=dead, until="2025-03-06T00:00") == Taken("died")
