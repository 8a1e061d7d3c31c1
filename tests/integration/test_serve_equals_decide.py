"""What the service answers about a patient at an instant is what ``decide`` says of the files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders.live_service import kept_in, live, templates

from cds_adapters.cli.ehr import answer_prefetch
from cds_adapters.fhir.files import patient_resources, read_records
from cds_adapters.fhir.samples import STORIES, SamplePatient, sample_patient
from cds_adapters.fhir.worlds import world_patients
from cds_adapters.storage.database import open_database
from cds_adapters.storage.reader import AuditReader
from cds_adapters.storage.shelf import Shelf, shipped_rules
from cds_engine.decide.record import canonical, decision_to_plain
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Record
from cds_engine.simulate import WORLDS
from cds_engine.vocabulary.time import DAY, Instant, instant, iso

Json = dict[str, Any]

REGIMES = [Regime(bundle) for bundle in Shelf(shipped_rules()).newest()]
SETS = {"synthea2019": 61, "synthea2025-ca": 40}
INSTANTS = 20


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, AuditReader]]:
    database = kept_in(tmp_path_factory.mktemp("served"))
    with live(database=database, allow_as_of=True, max_body=100_000_000) as client:
        yield client, AuditReader(open_database(database, create=False))


def written(folder: Path, resources: Sequence[Mapping[str, Any]]) -> Path:
    """Write a patient's resources as an export has them."""
    file = folder / "export.ndjson"
    file.write_text("\n".join(map(json.dumps, resources)), encoding="utf-8")
    return file


def whole(templates: Mapping[str, str], resources: Sequence[Mapping[str, Any]]) -> Json:
    """Answer every template in full; a client may give more than ``_count`` asks for."""
    unbounded = {key: t.replace("_count=200", "_count=1000000") for key, t in templates.items()}
    return answer_prefetch(unbounded, resources)


def instants(record: Record, number: int) -> list[Instant]:
    """Return instants spread over a record: just as an entry is made, and after the last one."""
    recorded = sorted({event.recorded for event in record.events})
    if not recorded:
        return []
    spread = [recorded[at * (len(recorded) - 1) // (number - 1)] for at in range(number - 1)]
    return [*spread, recorded[-1] + 30 * DAY]


def assert_the_same(
    service: tuple[httpx.Client, AuditReader],
    patient: str,
    resources: Sequence[Mapping[str, Any]],
    record: Record,
    at: Sequence[Instant],
) -> list[str]:
    """Compare every regime's answer with the service's, to the bit; return the outcomes."""
    client, audit = service
    outcomes: list[str] = []
    for regime in REGIMES:
        name = f"{regime.bundle.regime}-patient-view"
        prefetch = whole(templates(client, name), resources)
        for as_of in at:
            body = {
                "hook": "patient-view",
                "hookInstance": "00000000-0000-4000-8000-000000000000",
                "context": {"userId": "Practitioner/1", "patientId": patient},
                "prefetch": prefetch,
                "extension": {"org.cds-engine.as-of": iso(as_of)},
            }
            answer = client.post(f"/cds-services/{name}", json=body)
            assert answer.status_code == 200, answer.text
            told = answer.json()["extension"]["org.cds-engine.decision"]
            _, decision = regime.decide(record, as_of)
            kept = audit.get(told["id"])
            assert kept is not None
            assert kept.decision == canonical(decision_to_plain(decision)), (patient, iso(as_of))
            assert told["outcome"] == decision.outcome
            assert decision.outcome in {"recommendation", "no_change"} or (
                decision.reasons or decision.outcome == "equipoise"
            )
            outcomes.append(decision.outcome)
    return outcomes


@pytest.mark.parametrize("story", STORIES)
def test_about_every_visit_of_every_sample_story(
    story: str, service: tuple[httpx.Client, AuditReader], tmp_path: Path
) -> None:
    patient = sample_patient(story)
    [(found, record)] = read_records(written(tmp_path, patient.resources))
    assert found == patient.id
    assert_the_same(service, patient.id, patient.resources, record, instants(record, 4))


@pytest.mark.slow
@pytest.mark.sample_data
@pytest.mark.parametrize("source", SETS)
def test_about_every_patient_of_the_public_sample_at_twenty_instants(
    source: str, sample_data: Path, service: tuple[httpx.Client, AuditReader]
) -> None:
    folder = sample_data / "ndjson" / source
    records = dict(read_records(folder))
    assert len(records) == SETS[source]
    outcomes = []
    for patient, raw in patient_resources(folder):
        resources = [json.loads(data) for data in raw]
        at = instants(records[patient], INSTANTS)
        assert len(at) == INSTANTS
        outcomes += assert_the_same(service, patient, resources, records[patient], at)
    assert len(outcomes) == SETS[source] * INSTANTS * len(REGIMES)
    assert len(set(outcomes)) > 2


@pytest.mark.parametrize("world", WORLDS)
def test_about_simulated_patients_whom_regimes_were_fitted_to(
    world: str, service: tuple[httpx.Client, AuditReader], tmp_path: Path
) -> None:
    client, _ = service
    said: list[str] = []
    for patient in world_patients(WORLDS[world]().draw(4, seed=11)):
        [(found, record)] = read_records(written(tmp_path, patient.resources))
        assert found == patient.id
        at = [instant(datetime.fromisoformat(visit)) for visit in patient.visits]
        assert_the_same(service, patient.id, patient.resources, record, at)
        said += cards(client, FITTED[world], patient, at)
    assert any("What the data said of such patients" in detail for detail in said)
    assert any("% interval" in detail and "Similar patients" in detail for detail in said)


FITTED = {
    "activity-smart": "activity-smart",
    "depression-smart": "depression-augmentation",
    "diabetes-cohort": "diabetes-second-line",
    "hypertension-cohort": "hypertension-intensification",
}
"""World -> the regime that was fitted to its patients."""


def cards(
    client: httpx.Client, regime: str, patient: SamplePatient, at: Sequence[Instant]
) -> Iterator[str]:
    """Yield the details of the cards that a fitted regime shows at each instant."""
    name = f"{regime}-patient-view"
    prefetch = whole(templates(client, name), patient.resources)
    for as_of in at:
        body = {
            "hook": "patient-view",
            "hookInstance": "00000000-0000-4000-8000-000000000001",
            "context": {"userId": "Practitioner/1", "patientId": patient.id},
            "prefetch": prefetch,
            "extension": {"org.cds-engine.as-of": iso(as_of)},
        }
        answer = client.post(f"/cds-services/{name}", json=body).json()
        yield from (card["detail"] for card in answer["cards"])
