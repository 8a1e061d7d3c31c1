"""Sample patients and shipped rule bundles: table and scalar agree, and so do the decisions."""

import gzip
from datetime import datetime
from functools import cache
from random import Random

import pytest
from builders.history_tables import Point, Takers
from builders.shipped import SAMPLE, shipped

from cds_adapters.fhir.decode import DecodedBundle, decode_bundle, decode_resource, merged
from cds_adapters.fhir.record import record_of
from cds_adapters.fhir.resources import Medication, UsedResource
from cds_adapters.fhir.samples import MESSES, sample_patients, to_json, to_transaction_bundle
from cds_engine.decide.regime import Regime
from cds_engine.decide.scalar import complete, judge
from cds_engine.decide.table import decide_table
from cds_engine.decide.table.from_history import table_of_histories
from cds_engine.history.event import Record
from cds_engine.vocabulary.time import DAY, instant

REGIMES = ("hypertension-stepped-care", "hypertension-fixed-protocol", "activity-coaching-gym")
Case = tuple[list[Record], list[Point]]


@cache
def sample_case(messes: tuple[str, ...] = ()) -> Case:
    """Records of sample patients, and their visits with a few instants around each."""
    records: list[Record] = []
    points: list[Point] = []
    for patient in sample_patients(66 if messes else 33, messes=messes):
        body = decode_bundle(to_json(to_transaction_bundle(patient)).encode())
        row = len(records)
        records.append(record_of(body, patient.id))
        for visit in patient.visits:
            at = instant(datetime.fromisoformat(visit))
            points += [(row, at + shift) for shift in (0, -1, 1, -40 * DAY, 9 * DAY)]
    Random(3).shuffle(points)  # noqa: S311  # an order, not a secret
    return records, points


CLEAN: tuple[str, ...] = ()
DIRTY = tuple(sorted(MESSES))


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("messes", [CLEAN, DIRTY], ids=["clean", "messy"])
def test_shipped_bundles_read_sample_patients_alike(regime: str, messes: tuple[str, ...]) -> None:
    bundle = shipped(regime)
    Takers(bundle.base_variables, bundle.actions).assert_agree(*sample_case(messes))


@pytest.mark.parametrize("regime", REGIMES)
def test_of_clean_patients_hardly_a_row_is_left_to_the_scalar_history(regime: str) -> None:
    bundle = shipped(regime)
    takers = Takers(bundle.base_variables, bundle.actions)
    records, points = sample_case()
    takers.take(records, points)
    assert takers.asked <= 0.01 * len(points), f"asked {takers.asked} times"


@pytest.mark.parametrize("messes", [CLEAN, DIRTY], ids=["clean", "messy"])
@pytest.mark.parametrize("regime", REGIMES)
def test_histories_taken_as_a_table_are_decided_alike(regime: str, messes: tuple[str, ...]) -> None:
    bundle, one_by_one = shipped(regime), Regime(shipped(regime))
    records, points = sample_case(messes)
    histories = Takers(bundle.base_variables, bundle.actions).take(records, points)
    decided = decide_table(bundle, table_of_histories(histories))
    for row, (person, at) in enumerate(points):
        history = one_by_one.history(records[person], at)
        state = complete(bundle, history.state())
        expected = judge(bundle, state, deceased=history.deceased)
        assert decided.decode(row)[:4] == (
            expected.outcome, expected.code, expected.stage, expected.action,
        )  # fmt: skip


@cache
def public_records() -> tuple[Record, ...]:
    """The patients of the public sample."""
    found = []
    for folder in sorted(SAMPLE.iterdir()):
        lines = [
            line
            for file in sorted(folder.glob("*.ndjson.gz"))
            for line in gzip.decompress(file.read_bytes()).splitlines()
        ]
        found += records_of(merged(decode_resource(line, "line") for line in lines))
    return tuple(found)


def records_of(body: DecodedBundle) -> list[Record]:
    """Return the records of all patients in one body."""
    whose: dict[str, list[UsedResource]] = {}
    for resource in body.resources:
        subject = getattr(resource, "subject", None)
        name = subject.reference if subject else f"{type(resource).__name__}/{resource.id}"
        whose.setdefault(name, []).append(resource)
    drugs = [one for one in body.resources if type(one) is Medication]
    return [
        record_of(DecodedBundle(resources=(*whose[name], *drugs)), name[8:])
        for name in whose
        if name.startswith("Patient/")
    ]


@pytest.mark.sample_data
@pytest.mark.skipif(not SAMPLE.is_dir(), reason="no FHIR sample data beside the repository")
@pytest.mark.parametrize("regime", REGIMES)
def test_shipped_bundles_read_the_public_sample_alike(regime: str) -> None:
    bundle = shipped(regime)
    records, random = public_records(), Random(5)  # noqa: S311  # a choice, not a secret
    points = []
    for row, record in enumerate(records):
        known = sorted({event.recorded for event in record.events})
        points += [(row, at) for at in random.sample(known, min(10, len(known)))]
    assert len(records) > 90
    Takers(bundle.base_variables, bundle.actions).assert_agree(records, points)
