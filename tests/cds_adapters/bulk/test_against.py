"""What one version says does not rest on the version that it is compared with."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from builders.replays import (
    AT_END,
    RULES,
    bundle_files,
    example_files,
    export,
    named_in,
    run,
    write,
)

from cds_adapters.bulk.records import read_records
from cds_engine.bundle.model import RuleBundle
from cds_engine.bundle.read import read_bundle
from cds_engine.history.event import Event, Record
from cds_engine.replay.columnar import ColumnarEngine
from cds_engine.replay.points import Patient
from cds_engine.replay.settings import ReplaySettings
from cds_engine.replay.shard import ShardRows, replay_shard

REGIMES = sorted(folder.name for folder in RULES.iterdir() if (folder / "1.0.0").is_dir())
UNCHECKED = ReplaySettings(end=True, recheck=0.0)


@pytest.fixture(scope="module")
def rules() -> dict[str, RuleBundle]:
    """Every regime that ships."""
    return {name: read_bundle(dict(bundle_files(name))) for name in REGIMES}


@pytest.fixture(scope="module")
def patients(
    rules: dict[str, RuleBundle], tmp_path_factory: pytest.TempPathFactory
) -> list[Patient]:
    """Sample patients, in whose encounters every action of every regime was taken as well."""
    codes = sorted({c for b in rules.values() for a in b.actions.values() for c in a.seen_as})
    assert len(codes) >= 20
    folder = export(tmp_path_factory.mktemp("data"))
    return [with_all_done(record, codes) for _, record in read_records(str(folder))]


def with_all_done(record: Record, codes: list[str]) -> Patient:
    visits = [e for e in record.events if e.kind == "encounter" and e.time is not None]
    done = [
        Event(
            "dispense" if code.startswith("rxnorm") else "procedure", (code,),
            visits[n % len(visits)].time, visits[n % len(visits)].recorded, f"Done/{n}",
            status="completed",
        )
        for n, code in enumerate(codes if visits else ())
    ]  # fmt: skip
    names = {act.source: visits[n % len(visits)].source for n, act in enumerate(done)}
    everything = Record(
        record.person, (*record.events, *done), record.set_aside, record.gaps,
        gap_times=record.gap_times,
    )  # fmt: skip
    return Patient(everything, named_in(names, *done))


def test_every_regime_that_ships_says_the_same_alone_and_beside_any_other(
    rules: dict[str, RuleBundle], patients: list[Patient]
) -> None:
    def replayed(*bundles: RuleBundle) -> ShardRows:
        return replay_shard(patients, bundles, UNCHECKED, ColumnarEngine())

    alone = {name: replayed(bundle) for name, bundle in rules.items()}
    withheld = {str(one.columns["key.withheld"].values) for one in alone.values()}
    assert len(withheld) > 1  # else nothing could go wrong
    for one, other in permutations(REGIMES, 2):
        both = replayed(rules[one], rules[other])
        assert {n: both.columns[n] for n in alone[one].columns} == alone[one].columns, (one, other)
        theirs = alone[other].columns
        assert both.columns["against.withheld"] == theirs["key.withheld"], (one, other)
        for what in ("decision.action", "taken.state", "taken.action"):
            name = f"against.{what.removeprefix('decision.')}"
            assert both.columns[name] == theirs[what], (one, other, what)
        assert both.counts == alone[one].counts


def test_a_replay_of_files_says_the_same_alone_and_against_another(tmp_path: Path) -> None:
    scope = {"from": "procedure", "codes": ["snomed|73761001"], "absent": False}
    document = json.loads(dict(example_files())["bundle.yaml"])
    reads = example_files(
        variables=document["variables"] | {"scope": scope},
        stages=[document["stages"][0] | {"when": "scope"}],
    )
    looks = {"label": "Look inside", "seen_as": ["snomed|73761001"]}
    acts = example_files(version="1.1.0", actions=document["actions"] | {"scope": looks})
    data = write(
        tmp_path / "data", {f"{one['resourceType']}.ndjson": json.dumps(one) for one in A_VISIT}
    )
    run(data, tmp_path / "alone", bundles=(reads,), settings=AT_END)
    run(data, tmp_path / "both", bundles=(reads, acts), settings=AT_END)
    alone, both = (pq.read_table(tmp_path / n / "decisions.parquet") for n in ("alone", "both"))
    assert alone["scope"].to_pylist() == [True]
    assert both.select(alone.column_names).equals(alone)
    assert both["against.withheld"].to_pylist() == [["Procedure/1"]]


ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_SUBJECT = {"reference": "Patient/1"}
A_VISIT: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "1", "birthDate": "1960-01-01", "gender": "male"},
    {
        "resourceType": "Encounter", "id": "1", "status": "finished", "subject": _SUBJECT,
        "class": {"system": ACT, "code": "AMB"},
        "period": {"start": "2024-03-01T10:00:00Z", "end": "2024-03-01T10:30:00Z"},
    },
    {
        "resourceType": "Procedure", "id": "1", "status": "completed", "subject": _SUBJECT,
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "73761001"}]},
        "encounter": {"reference": "Encounter/1"}, "performedDateTime": "2024-03-01T10:10:00Z",
    },
]  # fmt: skip
