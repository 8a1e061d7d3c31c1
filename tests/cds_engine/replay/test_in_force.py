"""A version that is not yet, or no longer, in force is replayed as if it were."""

import pytest
from builders.records import a_document, files_of
from builders.replay_worlds import intensification

from cds_engine.bundle.read import read_bundle
from cds_engine.replay.in_force import in_force


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
    assert in_force(in_force(bundle)) is not bundle
    plain = in_force(bundle)
    assert in_force(plain) is plain


def test_a_replay_of_it_decides_as_if_it_were() -> None:
    events = [an_event("encounter", "act|AMB", id="visit", time=at("2025-03-01T10:00"))]
    schedule = ReplaySettings(points="schedule", first=AS_OF, last=AS_OF, every=parse_duration("P1D"))
    codes = [
        replay_shard([a_patient(*events)], [a_bundle(**dates)], schedule).columns["decision.code"]
        for dates in ({"effective_from": "2990-01-01"}, {"expires": "1990-01-01"}, {})
    ]
    assert codes[0].values == codes[1].values == codes[2].values
    assert list(codes[0].values) == ["out-of-population"] or codes[0].values[0] != "not-yet-effective"
