"""The clock is handed in: the system's own, or one that stands still."""

import time
from datetime import UTC, datetime

import pytest

from cds_adapters.clock import (
    EARLIEST,
    LATEST,
    InstantError,
    frozen_clock,
    parse_instant,
    system_clock,
)
from cds_engine.errors import CDSError
from cds_engine.vocabulary.time import SECOND, instant, iso


@pytest.mark.parametrize(
    ("text", "same"),
    [
        pytest.param("2025-06-01T12:00:00Z", "2025-06-01T12:00:00Z", id="UTC"),
        pytest.param("2025-06-01T14:00:00+02:00", "2025-06-01T12:00:00Z", id="an offset"),
        pytest.param("2025-06-01T12:00:00.25Z", "2025-06-01T12:00:00.250000Z", id="a fraction"),
        pytest.param("2025-06-01 12:00Z", "2025-06-01T12:00:00Z", id="a space, no seconds"),
        pytest.param("1900-01-01T00:00:00Z", "1900-01-01T00:00:00Z", id="the earliest"),
        pytest.param("2199-12-31T23:59:59.999999Z", "2199-12-31T23:59:59.999999Z", id="the latest"),
    ],
)
def test_an_instant_is_read_with_its_offset(text: str, same: str) -> None:
    assert iso(parse_instant(text)) == same


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01T00:00:00Z", "2025-06-01T25:00:00Z"])
def test_what_is_no_instant_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InstantError) as refused:
        parse_instant(text)
    assert str(refused.value) == (
        f"{text!r} is no instant; write it with date, time and offset, "
        "for example 2025-06-01T12:00:00Z"
    )
    assert isinstance(refused.value, CDSError)


@pytest.mark.parametrize("text", ["2025-06-01T12:00:00", "2025-06-01"])
def test_a_time_without_an_offset_could_mean_many_instants(text: str) -> None:
    with pytest.raises(InstantError, match="has no offset, so it could mean many instants; write"):
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("1899-12-31T23:59:59.999999Z", id="just before"),
        pytest.param("1900-01-01T00:59:59+01:00", id="just before, elsewhere"),
        pytest.param("2200-01-01T00:00:00.000001Z", id="just after"),
        pytest.param("0001-01-01T00:00:00+14:00", id="before the calendar begins in UTC"),
        pytest.param("9999-12-31T23:59:59-14:00", id="after the calendar ends in UTC"),
        pytest.param("0025-06-01T12:00:00Z", id="a slip of the pen"),
    ],
)
def test_years_that_nobody_means_are_refused(text: str) -> None:
    with pytest.raises(InstantError, match="lies outside the years 1900 to 2199; write it with"):
        parse_instant(text)


def test_the_years_are_those_that_the_message_names() -> None:
    assert instant(datetime(1900, 1, 1, tzinfo=UTC)) == EARLIEST
    assert instant(datetime(2200, 1, 1, tzinfo=UTC)) == LATEST


def test_a_frozen_clock_always_shows_the_same() -> None:
    clock = frozen_clock(7)
    assert clock() == clock() == 7


def test_the_system_clock_goes_on_and_shows_now() -> None:
    before = time.time() * SECOND
    shown = [system_clock() for _ in range(3)]
    after = time.time() * SECOND
    assert before - SECOND <= shown[0] <= shown[1] <= shown[2] <= after + SECOND
