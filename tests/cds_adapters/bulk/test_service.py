"""What a replay decides is what the service answers about the same patient at that instant.

The service is asked over HTTP, about every decision point, with the patient's resources out of the
very files that were replayed. What it decided on and what it decided is then read from its audit
and written as a row, so that every column of the replay's table that says either must be the same.
"""

import contextlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from builders.live_service import kept_in, live, templates
from builders.replays import AT_END, bundle_files, export, rows_of, run, write

from cds_adapters.cli.ehr import hook_request
from cds_adapters.fhir.files import patient_resources
from cds_adapters.fhir.samples import (
    MESSES,
    NUMBER_MARKER,
    STORIES,
    MessDoesNotApplyError,
    SamplePatient,
    make_mess,
    sample_patient,
    to_json,
    to_ndjson,
)
from cds_adapters.fhir.worlds import world_patients, write_ndjson
from cds_adapters.storage.database import open_database
from cds_adapters.storage.reader import AuditReader
from cds_adapters.storage.records import AuditRecord
from cds_adapters.storage.shelf import Shelf, shipped_rules
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.record import canonical, decide_again, plain_to_history
from cds_engine.replay.engine import Decided
from cds_engine.replay.settings import ReplaySettings
from cds_engine.replay.table import decision_columns, variable_columns
from cds_engine.simulate import WORLDS
from cds_engine.vocabulary.time import instant, iso, parse_duration

Json = dict[str, Any]

STEPPED_CARE = "hypertension-stepped-care"
BUNDLES = {bundle.regime: bundle for bundle in Shelf(shipped_rules()).newest()}
FITTED = {
    "activity-smart": "activity-smart",
    "depression-smart": "depression-augmentation",
    "diabetes-cohort": "diabetes-second-line",
    "hypertension-cohort": "hypertension-intensification",
}
"""World -> the regime that was fitted to its patients."""
EVERY_QUARTER = ReplaySettings(
    points="schedule", first=instant(datetime(2024, 1, 1, tzinfo=UTC)),
    last=instant(datetime(2025, 12, 31, tzinfo=UTC)),
    every=parse_duration("P13W"),
)  # fmt: skip
"""Points at which nobody was seen, and nothing was ordered that would have to be withheld."""
NO_JSON = "nan-like"
"""The one mess that no call can carry; the last test is about it."""


class Service(NamedTuple):
    """The service as it listens, and what it keeps."""

    client: httpx.Client
    audit: AuditReader


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    database = kept_in(tmp_path_factory.mktemp("service"))
    with live(database=database, allow_as_of=True, max_body=100_000_000) as client:
        yield Service(client, AuditReader(open_database(database, create=False)))


def resources_of(data: Path) -> dict[str, list[Json]]:
    """Return every patient's resources as the files have them, numbers that no float holds too."""

    def number(text: str) -> float | str:
        return float(text) if math.isfinite(float(text)) else NUMBER_MARKER + text

    def read(line: bytes) -> Json:
        found: Json = json.loads(line, parse_float=number, parse_constant=number)
        return found

    return {
        name: [read(line) for line in dict.fromkeys(found)]
        for name, found in patient_resources(data)
    }


def whole(found: Mapping[str, str]) -> dict[str, str]:
    """Return templates to be answered in full; a client may give more than ``_count`` asks for."""
    return {key: text.replace("_count=200", "_count=1000000") for key, text in found.items()}


def ask(
    service: Service, regime: str, asked: Mapping[str, str], resources: list[Json], row: Json
) -> httpx.Response:
    """Ask the service what it says of a row's patient, without what its encounter wrote."""
    withheld = set(row["key.withheld"])
    kept = [r for r in resources if f"{r['resourceType']}/{r['id']}" not in withheld]
    kept.sort(key=lambda resource: resource["resourceType"] != "Patient")
    patient = SamplePatient(row["key.patient"], "", tuple(kept), ())
    body = hook_request("patient-view", patient, asked, iso(instant(row["key.as_of"])))
    return service.client.post(
        f"/cds-services/{regime}-patient-view", content=to_json(body).encode(),
        headers={"content-type": "application/json"},
    )  # fmt: skip


def as_row(bundle: RuleBundle, kept: AuditRecord) -> Json:
    """Write what the service decided on, and what it decided, as a replay would."""
    decision, plain = decide_again(bundle, json.loads(kept.history))
    assert canonical(plain) == kept.decision
    said = Decided.none_yet(bundle)
    said.add(plain_to_history(json.loads(kept.history)), decision)
    columns = variable_columns(bundle, said) | decision_columns("decision", said)
    held = {name: column.values[0] for name, column in columns.items()}
    return {name: list(one) if isinstance(one, tuple) else one for name, one in held.items()}


def check(
    service: Service, data: Path, out: Path, regime: str = STEPPED_CARE, every: int = 1
) -> Counter[str]:
    """Ask about every decision of a replay, or one in so many; count the outcomes."""
    asked = whole(templates(service.client, f"{regime}-patient-view"))
    resources = resources_of(data)
    outcomes: Counter[str] = Counter()
    for row in rows_of(out)[::every]:
        answer = ask(service, regime, asked, resources[row["key.patient"]], row)
        assert answer.status_code == 200, answer.text
        told = answer.json()["extension"]["org.cds-engine.decision"]
        kept = service.audit.get(told["id"])
        assert kept is not None
        wanted = as_row(BUNDLES[regime], kept)
        assert {name: row[name] for name in wanted} == wanted, (row["key.patient"], told)
        said = [told.get(name) for name in ("outcome", "stage", "action")]
        assert said == [row[f"decision.{name}"] for name in ("outcome", "stage", "action")]
        outcomes[told["outcome"]] += 1
    return outcomes


def test_on_sample_patients(service: Service, tmp_path: Path) -> None:
    data = export(tmp_path / "data", 28)
    run(data, tmp_path / "out")
    assert check(service, data, tmp_path / "out").total() == 68


def check_world(
    service: Service, folder: Path, world: str, count: int, settings: ReplaySettings
) -> Counter[str]:
    """Replay patients of a world, with six readings each that no variable asks for, and check."""
    regime, data, out = FITTED[world], folder / "data", folder / "out"
    write_ndjson(world_patients(WORLDS[world]().draw(count, seed=11), extra=6), data)
    found = run(data, out, bundles=(bundle_files(regime),), settings=settings)
    assert found.manifest["checked_again"]["differences"] == 0
    rows = rows_of(out)
    assert len({row["key.patient"] for row in rows}) == count
    assert any(row["key.withheld"] for row in rows) == settings.end
    outcomes = check(service, data, out, regime)
    assert outcomes.total() == len(rows)
    return outcomes


@pytest.mark.parametrize("world", WORLDS)
def test_on_some_patients_of_every_simulated_world(
    service: Service, tmp_path: Path, world: str
) -> None:
    assert check_world(service, tmp_path, world, 10, AT_END)["recommendation"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("settings", [AT_END, EVERY_QUARTER], ids=["visits", "schedule"])
@pytest.mark.parametrize("world", WORLDS)
def test_on_a_thousand_patients_of_the_simulated_worlds(
    service: Service, tmp_path: Path, world: str, settings: ReplaySettings
) -> None:
    outcomes = check_world(service, tmp_path, world, 1000 // len(WORLDS), settings)
    assert len(outcomes) > (2 if settings.end else 1)


def messed_up(mess: str, number: int) -> Iterator[SamplePatient]:
    """Yield a patient of every story in which a mess can be made."""
    for story in STORIES:
        with contextlib.suppress(MessDoesNotApplyError):
            yield make_mess(sample_patient(story, number), mess)


def check_messes(service: Service, folder: Path, regime: str, stories: int) -> Counter[str]:
    """Replay patients with every mess, in so many stories each, and check."""
    messes = [mess for mess in MESSES if mess != NO_JSON]
    patients = [one for number, mess in enumerate(messes)
                for one in islice(messed_up(mess, number), stories)]  # fmt: skip
    assert len(patients) >= len(messes)
    data = write(folder / "data", to_ndjson(patients))
    run(data, folder / "out", bundles=(bundle_files(regime),), max_damaged=0.5)
    return check(service, data, folder / "out", regime)


def test_on_a_patient_for_every_mess(service: Service, tmp_path: Path) -> None:
    assert check_messes(service, tmp_path, STEPPED_CARE, 1)["abstention"] > 30


@pytest.mark.slow
@pytest.mark.parametrize("regime", [STEPPED_CARE, "activity-coaching-gym"])
def test_on_every_mess_in_every_story(service: Service, tmp_path: Path, regime: str) -> None:
    assert check_messes(service, tmp_path, regime, len(STORIES)).total() > 1600


def test_what_is_not_json_is_refused_where_a_replay_sets_the_line_aside(
    service: Service, tmp_path: Path
) -> None:
    patient = make_mess(sample_patient("htn-uncontrolled"), NO_JSON)
    data = write(tmp_path / "data", to_ndjson([patient]))
    run(data, tmp_path / "out", max_damaged=0.9)
    rows = rows_of(tmp_path / "out")
    assert {row["sbp.state"] for row in rows} == {"incomplete"}
    asked = whole(templates(service.client, f"{STEPPED_CARE}-patient-view"))
    [resources] = resources_of(data).values()
    found = [ask(service, STEPPED_CARE, asked, resources, row) for row in rows]
    assert {answer.status_code for answer in found} == {400}
    assert all("cannot be read as JSON" in answer.text for answer in found)


@pytest.mark.sample_data
@pytest.mark.parametrize("source", ["synthea2019", "synthea2025-ca"])
def test_on_some_of_the_public_sample(
    service: Service, sample_data: Path, tmp_path: Path, source: str
) -> None:
    data = sample_data / "ndjson" / source
    run(data, tmp_path / "out", complete=())
    assert check(service, data, tmp_path / "out", every=97).total() > 9


@pytest.mark.slow
@pytest.mark.sample_data
@pytest.mark.parametrize("source", ["synthea2019", "synthea2025-ca"])
def test_on_all_of_the_public_sample(
    service: Service, sample_data: Path, tmp_path: Path, source: str
) -> None:
    data = sample_data / "ndjson" / source
    run(data, tmp_path / "out", complete=())
    assert check(service, data, tmp_path / "out").total() > 900
