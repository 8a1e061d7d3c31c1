"""A version that is not yet, or no longer, in force is replayed as if it were."""

import pytest
from builders.records import (
    AS_OF,
    a_bundle,
    a_condition,
    a_document,
    a_reading,
    files_of,
)
from builders.replay_worlds import intensification
from builders.replays import a_patient

from cds_engine.bundle.read import read_bundle
from cds_engine.replay.in_force import in_force
from cds_engine.replay.settings import ReplaySettings
from cds_engine.replay.shard import replay_shard
from cds_engine.vocabulary.time import parse_duration


@pytest.mark.parametrize(
    "dates", [{"effective_from": "2990-01-01"}, {"expires": "1990-01-01"},
              {"effective_from": "2990-01-01", "expires": "2991-01-01"}]
)  # fmt: skip
def test_its_own_dates_are_left_aside_and_nothing_else(dates: dict[str, str]) -> None:
    bundle = read_bundle(files_of(a_document(**dates)))
    undated = in_force(bundle)
    assert (undated.document.effective_from, undated.document.expires) == (None, None)
    assert undated.digest == bundle.digest
    assert undated.stages == bundle.stages
    assert undated.document.model_copy(update=dates) == bundle.document


def test_a_version_without_dates_stays_as_it_is() -> None:
    bundle = intensification()
    plain = in_force(bundle)
    assert in_force(plain) is plain


def test_a_replay_of_it_decides_as_if_it_were() -> None:
    patient = a_patient(a_condition(), a_reading(sbp=150))
    instant = ReplaySettings(
        points="schedule", first=AS_OF, last=AS_OF, every=parse_duration("P1D"), recheck=1.0
    )
    versions = [a_bundle(effective_from="2990-01-01"), a_bundle(expires="1990-01-01"), a_bundle()]
    found = [replay_shard([patient], [version], instant) for version in versions]
    said = [list(one.columns["decision.action"].values) for one in found]
    assert said[0] == said[1] == said[2]
    assert said[0] != [None]
    assert not any(one.differences for one in found)
