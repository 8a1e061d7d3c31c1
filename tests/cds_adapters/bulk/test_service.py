"""What a replay decides is what the service answers about the same patient at that instant."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders.live_service import STEPPED_CARE, kept_in, live, templates
from builders.replays import export, rows_of, run

from cds_adapters.cli.ehr import hook_request
from cds_adapters.fhir.files import patient_resources
from cds_adapters.fhir.samples import SamplePatient
from cds_engine.vocabulary.time import instant, iso

Json = dict[str, Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("service")
    with live(database=kept_in(folder), allow_as_of=True) as found:
        yield found


def answer(client: httpx.Client, resources: list[Json], row: Json) -> Json:
    """Ask the service what it says of a row's patient, without what its encounter wrote."""
    withheld = set(row["key.withheld"])
    kept = [r for r in resources if f"{r['resourceType']}/{r['id']}" not in withheld]
    kept.sort(key=lambda resource: resource["resourceType"] != "Patient")
    patient = SamplePatient(row["key.patient"], "", tuple(kept), ())
    as_of = iso(instant(row["key.as_of"]))
    body = hook_request("patient-view", patient, templates(client), as_of)
    found = client.post(f"/cds-services/{STEPPED_CARE}", json=body)
    assert found.status_code == 200, found.text
    decision: Json = found.json()["extension"]["org.cds-engine.decision"]
    return decision


def check(client: httpx.Client, data: Path, out: Path, every: int) -> int:
    resources = {
        name: [json.loads(one) for one in found] for name, found in patient_resources(data)
    }
    rows = rows_of(out)[::every]
    for row in rows:
        told = answer(client, resources[row["key.patient"]], row)
        assert told["outcome"] == row["decision.outcome"]
        assert told.get("stage") == row["decision.stage"]
        assert told.get("action") == row["decision.action"]
    return len(rows)


def test_on_sample_patients(client: httpx.Client, tmp_path: Path) -> None:
    data = export(tmp_path / "data", 28)
    run(data, tmp_path / "out")
    assert check(client, data, tmp_path / "out", 1) == 68


@pytest.mark.sample_data
@pytest.mark.parametrize("source", ["synthea2019", "synthea2025-ca"])
def test_on_some_of_the_public_sample(
    client: httpx.Client, sample_data: Path, tmp_path: Path, source: str
) -> None:
    data = sample_data / "ndjson" / source
    run(data, tmp_path / "out", complete=())
    assert check(client, data, tmp_path / "out", 97) > 9


@pytest.mark.slow
@pytest.mark.sample_data
@pytest.mark.parametrize("source", ["synthea2019", "synthea2025-ca"])
def test_on_all_of_the_public_sample(
    client: httpx.Client, sample_data: Path, tmp_path: Path, source: str
) -> None:
    data = sample_data / "ndjson" / source
    run(data, tmp_path / "out", complete=())
    assert check(client, data, tmp_path / "out", 1) > 900
