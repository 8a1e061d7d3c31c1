"""The records of a world's patients hold its table, value by value, at the decisions' instants."""

import json
from pathlib import Path

import numpy as np
import pytest
from builders.worlds import a_world_bundle, can, decides
from fhir.resources.R4B import get_fhir_model_class

from cds_adapters.fhir.decode import decode_resource, merged
from cds_adapters.fhir.files import read_records
from cds_adapters.fhir.record import record_of
from cds_adapters.fhir.samples.patient import SamplePatient
from cds_adapters.fhir.times import read_instant
from cds_adapters.fhir.worlds import world_patients, write_bundles, write_ndjson
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Record
from cds_engine.simulate import WORLDS, World
from cds_engine.vocabulary.time import DAY, WEEK

NAMES = sorted(WORLDS)
N = 30


@pytest.fixture(params=NAMES)
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]()


def record(patient: SamplePatient) -> Record:
    parts = [decode_resource(json.dumps(one).encode(), one["id"]) for one in patient.resources]
    return record_of(merged(parts), patient.id)


def plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize("extra", [0, 5], ids=["alone", "among other observations"])
def test_the_history_at_each_decision_is_the_row_of_the_table(world: World, extra: int) -> None:
    regime = Regime(a_world_bundle(world))
    data = world.draw(N, 3)
    patients = list(world_patients(data, extra))
    assert [patient.id for patient in patients] == data.frame()["id"].to_list()
    for k, stage in enumerate(world.stages):
        known = data.history(k)
        possible = world.feasible(k, known)
        for row, patient in enumerate(patients):
            told = record(patient)
            assert not told.set_aside
            assert not told.gaps
            _, decision = regime.decide(told, read_instant(patient.visits[k]))
            values = decision.state
            assert {name: values[name] for name in stage.variables} == {
                name: plain(known[name][row]) for name in stage.variables
            }
            assert values[decides(stage.name)] == possible[row].any()
            for place, action in enumerate(stage.actions):
                if action in stage.feasible and possible[row].any():
                    assert values[can(stage.name, action)] == possible[row, place]
            assert decision.stage == (stage.name if possible[row].any() else None)


def test_the_history_after_the_decision_knows_its_action_and_the_outcome_at_the_end(
    world: World,
) -> None:
    regime = Regime(a_world_bundle(world))
    data = world.draw(N, 4)
    for row, patient in enumerate(world_patients(data)):
        told = record(patient)
        for stage, as_of in zip(world.stages, patient.visits, strict=True):
            action = data.columns[stage.action][row]
            at = read_instant(as_of)
            before = regime.history(told, at).state()["step"]
            after = regime.history(told, at + WEEK).state()["step"]
            assert after == (action if action and world.actions[action].get("order") else before)
        weeks = world.visits[-1].week - world.stages[-1].week
        end = read_instant(patient.visits[-1]) + weeks * WEEK + DAY
        found = regime.history(told, end).state()[world.aim.outcome]
        assert found == data.columns["outcome"][row]


def test_nothing_is_known_before_the_first_visit_but_the_person_and_the_problems(
    world: World,
) -> None:
    regime = Regime(a_world_bundle(world))
    for patient in world_patients(world.draw(5, 4)):
        first = min(
            read_instant(one["period"]["start"])
            for one in patient.resources
            if one["resourceType"] == "Encounter"
        )
        state = regime.history(record(patient), first - DAY).state()
        measured = {name for visit in world.visits for name in visit.readings}
        assert all(state[name] is None for name in measured)
        assert state["step"] == "none"
        assert all(state[name] is True for name in world.always)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_another_fhir_library_accepts_every_resource(world: World) -> None:
    for patient in world_patients(world.draw(3, 5), extra=6):
        for one in patient.resources:
            get_fhir_model_class(one["resourceType"]).model_validate(one)


def test_what_is_recorded_is_recorded_when_it_was_known(world: World) -> None:
    for patient in world_patients(world.draw(5, 6), extra=4):
        ids = [(one["resourceType"], one["id"]) for one in patient.resources]
        assert len(set(ids)) == len(ids)
        for one in patient.resources:
            recorded = read_instant(one["meta"]["lastUpdated"])
            for field in ("issued", "authoredOn", "recordedDate", "performedDateTime"):
                if field in one:
                    assert read_instant(one[field]) == recorded
            if "effectiveDateTime" in one:
                assert read_instant(one["effectiveDateTime"]) < recorded
            if "period" in one:
                assert read_instant(one["period"]["end"]) == recorded


def test_each_decision_lies_inside_its_encounter_after_the_readings_and_before_the_order(
    world: World,
) -> None:
    for patient in world_patients(world.draw(10, 7)):
        visits = {
            f"Encounter/{one['id']}": one
            for one in patient.resources
            if one["resourceType"] == "Encounter"
        }
        assert {one["class"]["code"] for one in visits.values()} == {"AMB"}
        assert len(visits) == len(world.visits)
        decided = dict(zip([n for n, v in enumerate(world.visits) if v.stage], patient.visits,
                           strict=True))  # fmt: skip
        for number, as_of in decided.items():
            name = f"Encounter/{patient.id}-{number}"
            period = visits[name]["period"]
            assert period["start"] < as_of < period["end"]
            inside = [one for one in patient.resources
                      if one.get("encounter", {}).get("reference") == name]  # fmt: skip
            for one in inside:
                late = one["resourceType"] in {"MedicationRequest", "ServiceRequest"}
                assert (one["meta"]["lastUpdated"] > as_of) == late


def test_files_of_lines_and_transaction_bundles_tell_the_same(world: World, tmp_path: Path) -> None:
    data = world.draw(4, 8)
    lines = write_ndjson(world_patients(data, 3), tmp_path / "lines")
    entries = write_bundles(world_patients(data, 3), tmp_path / "bundles")
    assert sum(lines.values()) == sum(entries.values())
    assert lines == {
        file.name: len(file.read_text().splitlines()) for file in (tmp_path / "lines").iterdir()
    }
    regime = Regime(a_world_bundle(world))
    lined, bundled = (dict(read_records(tmp_path / folder)) for folder in ("lines", "bundles"))
    for patient in world_patients(data, 3):
        at = read_instant(patient.visits[-1])
        told = (record(patient), lined[patient.id], bundled[patient.id])
        states = [regime.history(one, at).state() for one in told]
        assert states[0] == states[1] == states[2]
        assert not lined[patient.id].set_aside


def test_patients_are_the_same_whatever_part_of_the_draw_they_are_in(world: World) -> None:
    whole = list(world_patients(world.draw(6, 9), extra=2))
    part = list(world_patients(world.draw(2, 9, first=4), extra=2))
    assert whole[4:] == part


def test_so_many_more_observations_as_asked_for_and_none_that_a_variable_reads(
    world: World,
) -> None:
    [plain_one] = world_patients(world.draw(1, 9))
    [crowded] = world_patients(world.draw(1, 9), extra=25)
    more = crowded.resources[len(plain_one.resources) :]
    assert crowded.resources[: len(plain_one.resources)] == plain_one.resources
    assert len(more) == 25
    used = {code.split("|")[1] for code in world.codes}
    for one in more:
        assert one["resourceType"] == "Observation"
        assert one["code"]["coding"][0]["code"] not in used
        assert one["valueQuantity"]["system"] == "http://unitsofmeasure.org"


def test_the_age_stays_what_it_is_until_the_last_visit(world: World) -> None:
    regime = Regime(a_world_bundle(world))
    data = world.draw(N, 10)
    for row, patient in enumerate(world_patients(data)):
        last = max(one["meta"]["lastUpdated"] for one in patient.resources)
        age = regime.history(record(patient), read_instant(last)).state()["age"]
        assert age == data.columns["age"][row]
