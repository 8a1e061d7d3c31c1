"""The records end with the last encounter, and no slip of the pen moves that end."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders.replays import export, rows_of, run, write
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.bulk.ends import Ends, records_end
from cds_adapters.bulk.scanned import Scanned
from cds_engine.vocabulary.time import DAY, instant, iso_date

Json = dict[str, Any]
START = instant(datetime(2024, 1, 1, tzinfo=UTC)) // DAY


def ends(days: Iterable[int], beyond: Iterable[int] = ()) -> Ends:
    """Find the end of encounters on days after the first of 2024; each day may come again."""
    found = Scanned()
    for held, given_days in ((found.days, days), (found.days_beyond, beyond)):
        for day in given_days:
            count, _ = held.get(START + day, (0, 0))
            held[START + day] = (count + 1, (START + day) * DAY)
    return records_end([found, Scanned()])


def day_of(found: Ends) -> int:
    assert found.at is not None
    return found.at // DAY - START


MANY = [n % 700 for n in range(2_100)]


@pytest.mark.parametrize(
    ("days", "end"),
    [
        pytest.param(MANY, 699, id="nothing is odd"),
        pytest.param([*MANY, 10_300], 699, id="one slip among thousands"),
        pytest.param([*MANY, 10_300, 10_400], 699, id="two among thousands"),
        pytest.param([*MANY, 10_300, 10_300, 10_300], 10_300, id="three are too many to be slips"),
        pytest.param([*MANY, 1_000], 1_000, id="less than a year later"),
        pytest.param([*range(0, 600, 10), 9_999], 590, id="one slip among sixty"),
        pytest.param([-40_000, *range(0, 600, 10), 9_999], 590, id="slips on both sides"),
        pytest.param([370 * n for n in range(25)], 24 * 370, id="a patient who comes once a year"),
        pytest.param([0, 100], 100, id="two encounters"),
    ],
)
def test_a_few_encounters_after_a_long_silence_are_slips(days: list[int], end: int) -> None:
    assert day_of(ends(days)) == end


def test_what_is_passed_over_is_told_with_its_date() -> None:
    [words] = ends([*MANY, 10_300]).warnings
    assert words == (
        "1 encounter lies more than a year after all others (the others end on 2025-11-30, and it "
        "ends on 2052-03-14), and so does not count for where the records end; if it is right, say "
        "when they end with --data-until"
    )
    [words] = ends([*MANY, 10_300, 10_400]).warnings
    assert "2 encounters lie more than a year after all others (the others end on" in words
    assert "and the last of these is on 2052-06-22), and so do not count" in words


def test_where_too_little_is_there_to_tell_a_slip_the_end_stands_and_is_told() -> None:
    found = ends([0, 9_999])
    assert day_of(found) == 9_999
    [words] = found.warnings
    assert "the records are taken to end there; if that is a slip, say when they end with" in words
    assert ends([370 * n for n in range(25)]).warnings == ()


def test_an_encounter_after_it_was_stored_is_a_slip() -> None:
    found = ends(MANY, [800, 900])
    assert day_of(found) == 699
    assert found.warnings == (
        (
            "2 encounters lie after the time when the server stored them (the last on 2026-06-19), "
            "and so do not count for where the records end"
        ),
    )


def test_where_many_lie_after_they_were_stored_the_dates_were_shifted() -> None:
    found = ends([], [*MANY, 710])
    assert (day_of(found), found.warnings) == (710, ())


def test_an_export_without_encounters_has_no_end() -> None:
    assert ends([]) == Ends(None)


@given(st.lists(st.integers(-30_000, 30_000), min_size=1, max_size=60))
def test_what_is_passed_over_is_never_more_than_one_in_a_thousand_or_one(days: list[int]) -> None:
    end = day_of(ends(days))
    assert end in days
    assert sum(day > end for day in days) <= 1


def visit(data: Path, start: str, **more: Any) -> None:
    """Add an encounter of somebody else to an export."""
    one = json.loads((data / "Encounter.ndjson").read_text().splitlines()[0])
    one |= {"id": "slip", "period": {"start": start, "end": start}, **more}
    text = (data / "Encounter.ndjson").read_text()
    write(data, {"Encounter.ndjson": text + json.dumps(one) + "\n"})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param({"meta": {}}, "lies more than a year after all others", id="not stored"),
        pytest.param({"meta": {"lastUpdated": "2025-01-02T00:00:00Z"}},
                     "lies after the time when the server stored it", id="stored before"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("odd", ["", " "], ids=["by blocks", "line by line"])
def test_one_slip_does_not_end_censoring_for_an_export(
    tmp_path: Path, more: Json, words: str, odd: str
) -> None:
    data = export(tmp_path / "data")
    end = run(data, tmp_path / "plain").manifest["settings"]["data_until"]
    outcomes = {row["key.encounter"]: row["outcome.state"] for row in rows_of(tmp_path / "plain")}
    visit(data, "2052-12-01T10:00:00Z", **more)
    text = (data / "Encounter.ndjson").read_text()
    write(data, {"Encounter.ndjson": odd + text})
    found = run(data, tmp_path / "out")
    assert found.manifest["settings"]["data_until"] == end
    assert [told for told in found.warnings if words in told and "2052-12-01" in told]
    again = {row["key.encounter"]: row["outcome.state"] for row in rows_of(tmp_path / "out")}
    assert again | {"Encounter/slip": ""} == outcomes | {"Encounter/slip": ""}


def test_an_end_that_is_stated_is_not_questioned(tmp_path: Path) -> None:
    data = export(tmp_path / "data")
    visit(data, "2052-12-01T10:00:00Z", meta={})
    manifest = {"transactionTime": "2026-07-01T00:00:00Z", "output": []}
    write(data, {"manifest.json": json.dumps(manifest)})
    found = run(data, tmp_path / "out")
    assert found.manifest["settings"]["data_until"] == "2026-07-01T00:00:00Z"
    assert not [words for words in found.warnings if "2052" in words]


def test_a_transaction_time_that_is_none_is_passed_over(tmp_path: Path) -> None:
    data = export(tmp_path / "data")
    end = run(data, tmp_path / "plain").manifest["settings"]["data_until"]
    write(data, {"manifest.json": json.dumps({"transactionTime": "lately", "output": []})})
    assert run(data, tmp_path / "out").manifest["settings"]["data_until"] == end
    assert iso_date(START * DAY) == "2024-01-01"
