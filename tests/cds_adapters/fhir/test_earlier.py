"""Readings from before every window are read when asked for, and no history is different for it."""

from datetime import UTC, datetime

import pytest

from cds_adapters.fhir.decode import DecodedBundle, decode_bundle
from cds_adapters.fhir.earlier import EarlierReadings
from cds_adapters.fhir.record import record_of
from cds_adapters.fhir.samples import STORIES, sample_patient, to_json, to_transaction_bundle
from cds_adapters.storage.shelf import Shelf, shipped_rules
from cds_engine.decide.regime import Regime
from cds_engine.vocabulary.time import DAY, Instant, instant

REGIMES = {bundle.regime: Regime(bundle) for bundle in Shelf(shipped_rules())}
LATEST = instant(datetime(2027, 6, 1, tzinfo=UTC))


def story_body(story: str) -> DecodedBundle:
    return decode_bundle(to_json(to_transaction_bundle(sample_patient(story))).encode())


def instants(body: DecodedBundle, patient_id: str) -> list[Instant]:
    """Return instants around every event, so that windows begin before, at and after it."""
    times = [e.time for e in record_of(body, patient_id).events if e.time is not None]
    edges = {at + 1 for time in times for at in (time.start, time.end)}
    later = {edge + days * DAY for edge in edges for days in (30, 31, 180)}
    return sorted(edge for edge in edges | later if edge < LATEST)


@pytest.mark.parametrize("story", sorted(STORIES))
@pytest.mark.parametrize("regime", ["hypertension-stepped-care", "activity-coaching-gym"])
def test_a_history_is_the_same_whether_or_not_earlier_readings_wait(
    story: str, regime: str
) -> None:
    body, patient_id = story_body(story), sample_patient(story).id
    served = REGIMES[regime]
    for as_of in instants(body, patient_id)[::3]:
        waiting = record_of(body, patient_id, at=(as_of, served.horizons(as_of)))
        assert served.decide(waiting, as_of) == served.decide(record_of(body, patient_id), as_of)


def test_only_what_no_window_reaches_waits() -> None:
    body, patient_id = story_body("htn-controlled"), sample_patient("htn-controlled").id
    served = REGIMES["hypertension-stepped-care"]
    panel = next(e for e in record_of(body, patient_id).events if "loinc|8480-6" in e.codes)
    assert panel.time is not None
    for days, waits in ((29, False), (31, True)):
        as_of = panel.time.end + days * DAY
        record = record_of(body, patient_id, at=(as_of, served.horizons(as_of)))
        made = [event for event in record.events if event.source == panel.source]
        assert isinstance(record.earlier, EarlierReadings)
        kept = record.earlier.readings({"loinc|8480-6"})
        assert (made == [], panel in kept) == (waits, waits)
