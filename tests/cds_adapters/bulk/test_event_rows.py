"""A row of events that cannot be used is told, and its patient's record lacks what it said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders.replays import COMPLETE, export, rows_of, run

from cds_adapters.bulk.eventfiles import EVENTS, LONG, PERSONS, event_of, write_event_files
from cds_adapters.bulk.patientids import patient_ids
from cds_adapters.bulk.records import read_records
from cds_adapters.bulk.sources import BulkError
from cds_adapters.fhir import files
from cds_engine.history.event import Time
from cds_engine.replay.points import Patient
from cds_engine.vocabulary.units import StatedUnit
from cds_engine.vocabulary.value import Span

Json = dict[str, Any]
ONE, OTHER = "htn-uncontrolled-0", "htn-ace-cough-0"
NAN, INFINITY, FAR = float("nan"), float("inf"), 10**18


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events and persons of sample patients."""
    folder = tmp_path_factory.mktemp("events")
    records = files.read_records(export(tmp_path_factory.mktemp("export")))
    write_event_files(folder, [Patient(record) for _, record in records])
    return folder


def written(
    plain: Path, folder: Path, change: Callable[[list[Json]], object], name: str = "events"
) -> Path:
    """Write the same rows into a folder, those of one file changed."""
    folder.mkdir()
    for one, schema in (("events", EVENTS), ("persons", PERSONS)):
        rows = pq.read_table(plain / f"{one}.parquet").to_pylist()
        if one == name:
            change(rows)
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"{one}.parquet")
    return folder


def a_pressure(rows: list[Json]) -> Json:
    """The last row of a blood pressure of one patient."""
    return [r for r in rows if r["patient"] == ONE and "loinc|8480-6" in r["codes"]][-1]


def states(out: Path, variable: str, patient: str) -> set[str]:
    return {
        row[f"{variable}.state"]
        for row in rows_of(out)
        if row["key.patient"] == patient and row["decision.outcome"] != "not_applicable"
    }


def rejects(out: Path) -> list[Json]:
    return [json.loads(line) for line in (out / "rejects.ndjson").read_text().splitlines()]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"number": NAN}, "its `number` is NaN or an infinity; leave it empty (null)"),
        ({"number": INFINITY}, "its `number` is NaN or an infinity; leave it empty (null)"),
        ({"days": NAN}, "its `days` is NaN or an infinity"),
        ({"number": None, "span": {"low": NAN, "high": 1.0}}, "its `span` has a bound that is NaN"),
        ({"truth": True}, "it has more than one of number, span, coded and truth"),
        ({"recorded": None}, "it has no `recorded`"),
        ({"recorded": FAR}, "an instant of it lies before the year 1 or after the year 9999"),
        ({"time": {"start": -FAR, "end": 0}}, "an instant of it lies before the year 1"),
        ({"until": {"start": 0, "end": FAR}}, "an instant of it lies before the year 1"),
        ({"time": {"start": 1, "end": 0}}, "a time of it has no end, ends before it starts"),
        ({"source": None}, "it has no `source`"),
        ({"kind": "bogus"}, "its kind is none"),
    ],
)
def test_a_damaged_row_is_set_aside_and_leaves_a_gap_in_its_patients_record_alone(
    plain: Path, tmp_path: Path, change: Json, reason: str
) -> None:
    data = written(plain, tmp_path / "data", lambda rows: a_pressure(rows).update(change))
    found = run(data, tmp_path / "out")
    [one] = rejects(tmp_path / "out")
    assert one["reason"].startswith(reason)
    assert (one["file"], one["attributed"]) == ("events.parquet", True)
    assert found.manifest["damaged"]["naming_no_patient"] == 0
    assert "incomplete" in states(tmp_path / "out", "sbp", ONE)
    assert "incomplete" not in states(tmp_path / "out", "sbp", OTHER)
    other = {"incomplete"} if "kind" in change else {"known"}
    assert states(tmp_path / "out", "hypertension", ONE) == other
    assert found.manifest["checked_again"]["differences"] == 0


def test_a_damaged_row_of_later_changes_nothing_now(plain: Path, tmp_path: Path) -> None:
    later = {"number": NAN, "recorded": 4 * 10**15, "time": None}
    data = written(plain, tmp_path / "data", lambda rows: a_pressure(rows).update(later))
    run(data, tmp_path / "out")
    assert len(rejects(tmp_path / "out")) == 1
    assert "incomplete" not in states(tmp_path / "out", "sbp", ONE)


def test_a_damaged_row_that_names_no_patient_is_told_as_such(plain: Path, tmp_path: Path) -> None:
    data = written(plain, tmp_path / "data", lambda rows: a_pressure(rows).update(patient=None))
    found = run(data, tmp_path / "out")
    assert [one["reason"] for one in rejects(tmp_path / "out")] == ["it names no patient"]
    assert found.manifest["damaged"]["naming_no_patient"] == 1


@pytest.mark.parametrize(
    "change", [{"born": {"start": FAR, "end": FAR}}, {"died": {"start": 1, "end": 0}},
               {"death_known": -FAR}],
)  # fmt: skip
def test_a_damaged_person_is_set_aside_and_the_facts_are_not_known(
    plain: Path, tmp_path: Path, change: Json
) -> None:
    def damage(rows: list[Json]) -> None:
        [one] = [row for row in rows if row["patient"] == ONE]
        one.update(change)

    data = written(plain, tmp_path / "data", damage, "persons")
    run(data, tmp_path / "out")
    [one] = rejects(tmp_path / "out")
    assert (one["file"], one["attributed"]) == ("persons.parquet", True)
    mine = [row for row in rows_of(tmp_path / "out") if row["key.patient"] == ONE]
    assert {row["age.state"] for row in mine} == {"incomplete"}


def test_a_patient_of_whom_every_row_is_damaged_is_there_all_the_same(
    plain: Path, tmp_path: Path
) -> None:
    def damage(rows: list[Json]) -> None:
        for row in rows:
            if row["patient"] == ONE and row["kind"] != "encounter":
                row["recorded"] = None

    data = written(plain, tmp_path / "data", damage)
    run(data, tmp_path / "out", max_damaged=1.0)
    assert states(tmp_path / "out", "sbp", ONE) == {"incomplete"}


def without(kind: str) -> Callable[[list[Json]], None]:
    def left_out(rows: list[Json]) -> None:
        rows[:] = [row for row in rows if row["kind"] != kind]

    return left_out


def test_a_kind_of_event_without_any_row_is_incomplete_and_not_absent(
    plain: Path, tmp_path: Path
) -> None:
    data = written(plain, tmp_path / "data", without("request"))
    rest = tuple(set(COMPLETE) - {"MedicationRequest"})
    found = run(data, tmp_path / "out", complete=rest)
    assert states(tmp_path / "out", "step", ONE) == {"incomplete"}
    taken = {row["taken.state"] for row in rows_of(tmp_path / "out")}
    assert "incomplete" in taken
    assert "unchanged" not in taken
    [words] = [words for words in found.warnings if "--complete" in words]
    assert words.startswith("the export holds no MedicationRequest and no MedicationStatement")
    assert "(no event of the kinds administration, dispense, request, statement): " in words
    assert "or say --complete MedicationRequest if the export is complete" in words


def test_a_kind_that_nobody_has_is_named_by_its_type(plain: Path, tmp_path: Path) -> None:
    data = written(plain, tmp_path / "data", without("request"))
    found = run(data, tmp_path / "out", complete=COMPLETE)
    assert found.manifest["gaps"] == {}
    assert "incomplete" not in states(tmp_path / "out", "step", ONE)


def test_times_of_recording_in_seconds_are_told(plain: Path, tmp_path: Path) -> None:
    def in_seconds(rows: list[Json]) -> None:
        for row in rows:
            row["recorded"] //= 1_000_000

    found = run(written(plain, tmp_path / "data", in_seconds), tmp_path / "out")
    [words] = [words for words in found.warnings if "recorded more than ten years" in words]
    assert "is `recorded` in seconds or milliseconds" in words
    again = run(plain, tmp_path / "again")
    assert not [words for words in again.warnings if "ten years" in words]


@pytest.mark.parametrize(("early", "told"), [(2, False), (3, True)])
def test_it_is_told_where_most_events_were_recorded_long_before_they_were(
    tmp_path: Path, early: int, *, told: bool
) -> None:
    time = {"start": 2 * LONG, "end": 2 * LONG, "precision": "instant"}
    row = {"patient": "p", "kind": "encounter", "codes": [], "time": time}
    rows = [
        row | {"source": f"Encounter/{n}", "recorded": LONG - 1 if n < early else LONG}
        for n in range(4)
    ]
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, EVENTS), tmp_path / "data" / "events.parquet")
    found = run(tmp_path / "data", tmp_path / "out")
    assert bool([words for words in found.warnings if "ten years" in words]) is told


@pytest.mark.parametrize(
    ("column", "values"),
    [
        pytest.param("recorded", pa.array([0], pa.timestamp("ns")), id="nanoseconds"),
        pytest.param("number", pa.array(["7"]), id="a number as text"),
        pytest.param("codes", pa.array(["loinc|8480-6"]), id="one code"),
        pytest.param("time", pa.array([{"start": 0}]), id="a time without its end"),
        pytest.param("truth", pa.array([1]), id="a truth as a number"),
    ],
)
def test_a_column_of_another_type_is_refused_by_name(
    tmp_path: Path, column: str, values: Any
) -> None:
    row: Json = {"patient": "p", "kind": "condition", "recorded": 0, "source": "C/1", "codes": []}
    found = pa.Table.from_pylist([row])
    found = found.drop_columns([column]) if column in row else found
    pq.write_table(found.append_column(column, values), tmp_path / "events.parquet")
    with pytest.raises(BulkError, match=f"its column {column} is .*, and is to be .*microseconds"):
        dict(read_records(str(tmp_path)))


A_ROW: Json = {"patient": "p", "kind": "observation", "codes": ["loinc|1-8"], "recorded": 0,
         "source": "O/1"}  # fmt: skip
NO_SPAN = {"low": None, "high": None, "low_open": None, "high_open": None}


@pytest.mark.parametrize(
    ("more", "value"),
    [
        ({"number": 7}, 7.0),
        ({"span": NO_SPAN | {"low": 5.0, "low_open": True}}, Span(low=5.0, low_open=True)),
        ({"span": NO_SPAN | {"high": INFINITY}}, Span()),
        ({"span": NO_SPAN}, None),
        ({"coded": "loinc|LA1-1"}, "loinc|LA1-1"),
        ({"truth": False}, False),
    ],
)
def test_values_are_read_and_nulls_are_none(more: Json, value: object) -> None:
    assert event_of(A_ROW | more).value == value


def test_a_unit_and_a_time_of_nulls_are_none() -> None:
    event = event_of(
        A_ROW
        | {"unit": {"code": None, "system": None, "text": None}}
        | {"time": {"start": None, "end": None, "precision": None}}
    )
    assert (event.unit, event.time) == (None, None)
    given = {"unit": {"code": "g", "system": None, "text": ""}, "time": {"start": 1, "end": 2,
             "precision": None}}  # fmt: skip
    event = event_of(A_ROW | given)
    assert (event.unit, event.time) == (StatedUnit("g", "", ""), Time(1, 2, "instant"))


def test_a_row_of_nobody_names_no_patient(plain: Path, tmp_path: Path) -> None:
    everybody = patient_ids(str(plain))
    nobody = written(plain, tmp_path / "data", lambda rows: rows[0].update(patient=None))
    assert patient_ids(str(nobody)) == everybody
    assert "None" not in everybody
