"""A history lacks what its own encounter wrote by then, as the record had it then."""

from itertools import permutations

import pytest
from builders.records import (
    LISINOPRIL,
    a_bundle,
    a_condition,
    a_document,
    a_prescription,
    a_procedure,
    a_reading,
    an_event,
    at,
    but,
)
from builders.replays import EXAMPLE, a_patient, named_in

from cds_engine.bundle.model import RuleBundle
from cds_engine.history.event import Event
from cds_engine.replay.columnar import ColumnarEngine
from cds_engine.replay.engine import ScalarEngine
from cds_engine.replay.points import Patient, decision_points
from cds_engine.replay.settings import ReplaySettings
from cds_engine.replay.shard import replay_shard

AT_END = ReplaySettings(end=True, recheck=1.0)
SEEN_AS = {code for action in EXAMPLE.actions.values() for code in action.seen_as}
SCOPE = "snomed|73761001"


def a_visit(source: str = "Encounter/1", day: str = "2025-03-01", **given: object) -> Event:
    return an_event(
        "encounter", ("act|AMB",), f"{day}T09:00", source=source, status="finished",
        until=f"{day}T09:30", **given,
    )  # fmt: skip


def withheld(patient: Patient) -> dict[str, set[str]]:
    """Return encounter -> what is withheld from its history."""
    found = decision_points(patient, AT_END, SEEN_AS).points
    return {point.encounter: set(point.withheld) for point in found}


ORDER = a_prescription(at="2025-02-01T09:00", source="MedicationRequest/1", version=(1, ""))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_several_versions_the_one_known_at_the_decision_says_whose_an_order_is(
    order: tuple[int, ...],
) -> None:
    later = but(ORDER, version=(2, ""), recorded=at("2025-06-01T09:00"))
    names = {(ORDER.source, (1, "")): "Encounter/0", (ORDER.source, (2, "")): "Encounter/1"}
    events = [a_visit(), ORDER, later]
    patient = a_patient(*(events[place] for place in order))
    assert withheld(Patient(patient.record, names)) == {"Encounter/1": set()}
    assert withheld(Patient(patient.record, {})) == {"Encounter/1": set()}


def test_a_version_that_names_another_encounter_takes_the_order_from_the_first_one() -> None:
    mine = but(ORDER, time=a_visit().time, recorded=at("2025-03-01T09:10"))
    moved = but(mine, version=(2, ""), recorded=at("2025-03-01T09:20"))
    names = {(ORDER.source, (1, "")): "Encounter/1", (ORDER.source, (2, "")): "Encounter/0"}
    assert withheld(Patient(a_patient(a_visit(), mine).record, names)) == {
        "Encounter/1": {ORDER.source}
    }
    for events in ((mine, moved), (moved, mine)):
        patient = Patient(a_patient(a_visit(), *events).record, names)
        assert withheld(patient) == {"Encounter/1": set()}


@pytest.mark.parametrize(
    ("when", "recorded", "expected"),
    [
        pytest.param("2025-03-01T09:10", None, True, id="written in it"),
        pytest.param("2025-03-01", None, True, id="on its day"),
        pytest.param("2025-02-01T09:00", "2025-03-01T09:10", True, id="dated back in it"),
        pytest.param("2025-02-01T09:00", None, False, id="dated and recorded a month before"),
        pytest.param("2025-03-01T09:10", "2025-03-01T09:31", False, id="not known by then"),
    ],
)
def test_an_order_that_names_the_encounter_is_withheld_unless_it_was_there_before(
    when: str, recorded: str | None, *, expected: bool
) -> None:
    order = a_prescription(at=when, recorded=recorded, source=ORDER.source)
    patient = a_patient(a_visit(), order, encounters={ORDER.source: "Encounter/1"})
    assert withheld(patient) == {"Encounter/1": {ORDER.source} if expected else set()}


def test_what_was_taken_back_by_then_was_not_written() -> None:
    mine = but(ORDER, time=a_visit().time, recorded=at("2025-03-01T09:10"))
    undone = but(mine, version=(2, ""), recorded=at("2025-03-01T09:20"), status="cancelled")
    assert withheld(a_patient(a_visit(), but(mine, status="cancelled"))) == {"Encounter/1": set()}
    assert withheld(a_patient(a_visit(), mine, undone)) == {"Encounter/1": set()}


def test_orders_of_a_part_of_an_encounter_are_withheld_from_it_too() -> None:
    stay = but(a_visit(), until=an_event("encounter", (), "2025-03-05T12:00").time)
    ward = a_visit("Encounter/ward", "2025-03-02")
    order = a_prescription(at="2025-03-02T09:10", source=ORDER.source)
    names = {ORDER.source: "Encounter/ward"}
    apart = a_patient(stay, ward, order, encounters=names)
    assert withheld(apart) == {"Encounter/1": set(), "Encounter/ward": {ORDER.source}}
    part = a_patient(stay, ward, order, encounters=names | {"Encounter/ward": "Encounter/1"})
    assert withheld(part) == {"Encounter/1": {ORDER.source}, "Encounter/ward": {ORDER.source}}
    # that it is a part of it was not known then
    late = but(ward, version=(2, ""), recorded=at("2025-03-06T09:00"))
    grown = Patient(
        a_patient(stay, ward, order, late).record,
        named_in(names, order) | {("Encounter/ward", (2, "")): "Encounter/1"},
    )
    assert withheld(grown)["Encounter/1"] == set()


def scoping(*, acts: bool) -> RuleBundle:
    """Return a regime that reads a procedure, or one of which the same procedure is an action."""
    document = a_document()
    if acts:
        actions = document["actions"] | {"scope": {"label": "Look inside", "seen_as": [SCOPE]}}
        return a_bundle(version="1.1.0", actions=actions)
    scope = {"from": "procedure", "codes": [SCOPE], "absent": False}
    stages = [stage | {"when": "age >= 18 and scope"} for stage in document["stages"][:1]]
    return a_bundle(variables=document["variables"] | {"scope": scope}, stages=stages)


@pytest.mark.parametrize("engine", [ScalarEngine, ColumnarEngine])
def test_a_second_version_changes_nothing_that_the_first_says(
    engine: type[ScalarEngine] | type[ColumnarEngine],
) -> None:
    done = a_procedure(SCOPE, "2025-03-01T09:10", source="Procedure/1")
    events = (a_condition(), a_reading(sbp=150, at="2025-02-25T09:10"), a_visit(), done)
    patient = a_patient(*events, encounters={done.source: "Encounter/1"})
    reads, acts = scoping(acts=False), scoping(acts=True)
    for one, other in ((reads, acts), (acts, reads)):
        alone = replay_shard([patient], [one], AT_END, engine())
        both = replay_shard([patient], [one, other], AT_END, engine())
        assert {name: both.columns[name] for name in alone.columns} == alone.columns
        assert both.differences == ()
        theirs = replay_shard([patient], [other], AT_END, engine()).columns
        assert both.columns["against.withheld"] == theirs["key.withheld"]
        assert both.columns["against.stage"] == theirs["decision.stage"]
        assert both.columns["against.taken.state"] == theirs["taken.state"]
    assert both.columns["key.withheld"].values == [["Procedure/1"]]
    assert both.columns["against.withheld"].values == [[]]
    assert both.columns["against.stage"].values == ["baseline"]


def test_an_order_is_either_known_or_done_at_a_decision() -> None:
    """The day's order that was stored twenty minutes after the decision is the action."""
    order = a_prescription(LISINOPRIL, "2025-03-01", recorded="2025-03-01T09:20")
    patient = a_patient(a_condition(), a_visit(), order)
    shard = replay_shard([patient], [EXAMPLE], ReplaySettings(recheck=1.0))
    said = {name: column.values[0] for name, column in shard.columns.items()}
    assert (said["step"], said["key.withheld"]) == ("none", [])
    assert (said["taken.state"], said["taken.action"]) == ("seen", "add_ace")
