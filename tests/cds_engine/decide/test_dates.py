"""A version speaks only between its own dates, counted by the day in UTC."""

from typing import Any

import pytest
from builders.records import a_history, a_small_bundle, at

from cds_engine.decide.decide import decide
from cds_engine.decide.decision import Decision


def decided(when: str, **dates: Any) -> Decision:
    bundle = a_small_bundle([{"otherwise": "a"}], **dates)
    return decide(bundle, a_history(as_of=at(when)))


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("2026-01-30T23:59:59.999999", "not-yet-effective"),
        ("2026-01-31T00:00", None),
        ("2026-12-31T23:59:59.999999", None),
        ("2027-01-01T00:00", "expired-bundle"),
        pytest.param("2026-01-31T00:30+01:00", "not-yet-effective", id="still yesterday in UTC"),
        pytest.param("2026-12-31T23:30-05:00", "expired-bundle", id="already tomorrow in UTC"),
    ],
)
def test_gv_15_the_first_and_the_last_day_are_in_force(when: str, code: str | None) -> None:
    decision = decided(when, effective_from="2026-01-31", expires="2026-12-31")
    assert [reason.code for reason in decision.reasons] == ([code] if code else [])
    assert (decision.outcome == "abstention") is bool(code)


@pytest.mark.parametrize(
    ("when", "notes"),
    [
        ("2026-06-30T23:59", ()),
        ("2026-07-01T00:00", ("This version was due for review by 2026-06-30.",)),
    ],
)
def test_gv_15_a_review_that_is_overdue_is_said_and_stops_nothing(
    when: str, notes: tuple[str, ...]
) -> None:
    decision = decided(when, review_by="2026-06-30")
    assert decision.notes == notes
    assert decision.action == "a"


def test_an_expired_version_speaks_of_nobody_not_even_the_dead() -> None:
    bundle = a_small_bundle([{"otherwise": "a"}], expires="2020-01-01")
    decision = decide(bundle, a_history(deceased=True))
    assert (decision.outcome, [r.code for r in decision.reasons]) == (
        "abstention", ["expired-bundle"],
    )  # fmt: skip


def test_a_version_without_dates_is_always_in_force() -> None:
    for when in ("1970-01-01T00:00", "2999-01-01T00:00"):
        assert decided(when).action == "a"
