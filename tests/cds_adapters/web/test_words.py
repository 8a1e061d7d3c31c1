"""Times and codes are written as a reader knows them, and none is without words."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from cds_adapters.web.words import GAPS, OUTCOMES, REASONS, Calendar
from cds_engine.bundle.document import Outcome
from cds_engine.decide.decision import ReasonCode
from cds_engine.history.value import MissingReason
from cds_engine.vocabulary.time import DAY, HOUR, instant


def at(*parts: int) -> int:
    return instant(datetime(*parts, tzinfo=UTC))  # type: ignore[misc,arg-type]


def test_every_outcome_reason_and_gap_has_words() -> None:
    assert set(OUTCOMES) == {*get_args(Outcome), "error"}
    assert set(REASONS) == set(get_args(ReasonCode))
    assert set(GAPS) == set(get_args(MissingReason))


@pytest.mark.parametrize(
    ("zone", "start", "end", "words"),
    [
        pytest.param("UTC", at(2025, 1, 6, 9), at(2025, 1, 6, 9), "2025-01-06 09:00 UTC", id="at"),
        pytest.param("UTC", at(2025, 1, 6), at(2025, 1, 7) - 1, "2025-01-06", id="a day"),
        pytest.param("UTC", at(2025, 1, 1), at(2025, 2, 1) - 1, "2025-01", id="a month"),
        pytest.param("UTC", at(2025, 1, 1), at(2026, 1, 1) - 1, "2025", id="a year"),
        pytest.param("UTC", at(2025, 2, 1), at(2025, 2, 2) - 1, "2025-02-01", id="first of month"),
        pytest.param("UTC", at(2025, 1, 1), at(2025, 1, 2) - 1, "2025-01-01", id="first of year"),
        pytest.param("UTC", at(2025, 1, 6), at(2025, 1, 6), "2025-01-06 00:00 UTC", id="midnight"),
        pytest.param(
            "Europe/Berlin", at(2025, 1, 5, 23), at(2025, 1, 6, 23) - 1, "2025-01-06",
            id="local day",
        ),
        pytest.param(
            "Europe/Berlin", at(2025, 3, 29, 23), at(2025, 3, 30, 22) - 1, "2025-03-30",
            id="a day of 23 hours",
        ),
        pytest.param(
            "UTC", at(2025, 1, 5), at(2025, 1, 8) - 1, "2025-01-05 to 2025-01-07", id="three days"
        ),
        pytest.param(
            "Europe/Berlin", at(2025, 1, 5), at(2025, 1, 6) - 1, "2025-01-05 01:00 CET",
            id="no whole local day",
        ),
    ],
)  # fmt: skip
def test_a_time_is_written_as_precisely_as_it_was_recorded(
    zone: str, start: int, end: int, words: str
) -> None:
    assert Calendar(zone).span(start, end) == words


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (0, "the same day"),
        (8 * HOUR, "the same day"),
        (10 * HOUR, "1 day before"),
        (2 * DAY, "2 days before"),
        (-DAY, "1 day after"),
        (-3 * DAY, "3 days after"),
    ],
)
def test_the_distance_to_the_decision_is_said_in_calendar_days(before: int, words: str) -> None:
    as_of = at(2025, 1, 6, 9)
    assert Calendar("UTC").ago(as_of - before, as_of) == words
