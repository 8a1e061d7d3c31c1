"""Events as Parquet: one row for each event, and one for each person, as the engine knows them.

``events*.parquet`` and ``persons*.parquet`` in one folder are an export like any other. Instants
are microseconds since 1970 UTC. The times of an event are a first and a last instant, as in
``cds_engine.history.event.Time``.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from cds_adapters.bulk.sources import BulkError
from cds_engine.history.event import Event, EventKind, Person, Time
from cds_engine.replay.points import Patient
from cds_engine.vocabulary.time import Precision
from cds_engine.vocabulary.units import StatedUnit
from cds_engine.vocabulary.value import Span

_Fields = list[tuple[str, pa.DataType]]
_TIME: _Fields = [("start", pa.int64()), ("end", pa.int64()), ("precision", pa.string())]
_UNIT: _Fields = [("code", pa.string()), ("system", pa.string()), ("text", pa.string())]
_SPAN: _Fields = [(n, pa.float64()) for n in ("low", "high")]
_SPAN += [(n, pa.bool_()) for n in ("low_open", "high_open")]

EVENTS = pa.schema(
    [
        ("patient", pa.string()),
        ("kind", pa.string()),
        ("codes", pa.list_(pa.string())),
        ("time", pa.struct(_TIME)),
        ("recorded", pa.int64()),
        ("source", pa.string()),
        ("version", pa.int64()),
        ("version_stored", pa.string()),
        ("status", pa.string()),
        ("number", pa.float64()),
        ("span", pa.struct(_SPAN)),
        ("coded", pa.string()),
        ("truth", pa.bool_()),
        ("unit", pa.struct(_UNIT)),
        ("problem", pa.string()),
        ("until", pa.struct(_TIME)),
        ("ended", pa.bool_()),
        ("doubt", pa.bool_()),
        ("days", pa.float64()),
        ("encounter", pa.string()),
    ]
)
"""The columns of ``events.parquet``; at most one of number, span, coded and truth is given."""

PERSONS = pa.schema(
    [
        ("patient", pa.string()),
        ("born", pa.struct(_TIME)),
        ("sex", pa.string()),
        ("died", pa.struct(_TIME)),
        ("deceased", pa.bool_()),
        ("death_known", pa.int64()),
    ]
)
"""The columns of ``persons.parquet``."""

_NEEDED = ("patient", "kind", "codes", "recorded", "source")
_KINDS = frozenset(get_args(EventKind))
_PRECISIONS = frozenset(get_args(Precision))
_ROWS = 65_536


def write_event_files(folder: Path, patients: Iterable[Patient]) -> None:
    """Write ``events.parquet`` and ``persons.parquet`` of some patients into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        pq.ParquetWriter(folder / "events.parquet", EVENTS) as events,
        pq.ParquetWriter(folder / "persons.parquet", PERSONS) as persons,
    ):
        for patient in patients:
            rows = [
                _event_row(patient.key, event, patient.encounter_of(event))
                for event in patient.record.events
            ]
            events.write_table(pa.Table.from_pylist(rows, EVENTS))
            row = _person_row(patient.record.person)
            persons.write_table(pa.Table.from_pylist([row], PERSONS))


def read_event_rows(stream: IO[bytes], name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a Parquet file, counted from 1; raises BulkError if it is none."""
    try:
        file = pq.ParquetFile(stream)
        needed = _NEEDED if "kind" in file.schema_arrow.names else ("patient",)
        lacking = [column for column in needed if column not in file.schema_arrow.names]
        if lacking:
            raise BulkError(
                f"{name} has no column {', '.join(lacking)}; events have "
                f"{', '.join(EVENTS.names)} and persons {', '.join(PERSONS.names)}"
            )
        number = 0
        for batch in file.iter_batches(_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowInvalid, OSError) as fault:
        raise BulkError(f"{name} is no Parquet file that can be read ({fault})") from fault


def event_of(row: Mapping[str, Any]) -> Event:
    """Return the event of one row.

    Raises:
        ValueError: says what is wrong with it, without its values.
    """
    kind = row["kind"]
    if kind not in _KINDS:
        raise ValueError("its kind is none; see the columns of events.parquet")
    if row["recorded"] is None:
        raise ValueError("it has no `recorded`, so that nobody knows when it was known")
    if not row["patient"]:
        raise ValueError("it names no patient")
    if not row["source"]:
        raise ValueError("it has no `source`, so that its versions cannot be told apart")
    unit = row.get("unit")
    return Event(
        kind=cast("EventKind", kind),
        codes=tuple(row["codes"] or ()),
        time=_time(row.get("time")),
        recorded=row["recorded"],
        source=row["source"],
        version=(row.get("version") or 0, row.get("version_stored") or ""),
        status=row.get("status") or "",
        value=_value(row),
        unit=StatedUnit(*(unit[n] or "" for n, _ in _UNIT)) if unit else None,
        problem=row.get("problem") or "",
        until=_time(row.get("until")),
        ended=bool(row.get("ended")),
        doubt=bool(row.get("doubt")),
        days=row.get("days"),
    )


def person_of(row: Mapping[str, Any]) -> Person:
    """Return the person of one row."""
    died = _time(row.get("died"))
    return Person(
        row["patient"],
        _time(row.get("born")),
        row.get("sex"),
        died,
        bool(row.get("deceased")) or died is not None,
        row.get("death_known"),
    )


def _value(row: Mapping[str, Any]) -> float | Span | str | bool | None:
    given = [row[n] for n in ("number", "span", "coded", "truth") if row.get(n) is not None]
    if len(given) > 1:
        raise ValueError("it has more than one of number, span, coded and truth")
    if not given:
        return None
    value = given[0]
    return Span(**value) if isinstance(value, dict) else cast("float | str | bool", value)


def _time(stated: Mapping[str, Any] | None) -> Time | None:
    if stated is None or stated["start"] is None:
        return None
    precision = stated["precision"] or "instant"
    if precision not in _PRECISIONS or stated["end"] is None or stated["end"] < stated["start"]:
        raise ValueError("a time of it has no end, ends before it starts, or has no precision")
    return Time(stated["start"], stated["end"], cast("Precision", precision))


def _event_row(patient: str, event: Event, encounter: str | None) -> dict[str, Any]:
    value = event.value
    return {
        "patient": patient,
        "kind": event.kind,
        "codes": list(event.codes),
        "time": _time_row(event.time),
        "recorded": event.recorded,
        "source": event.source,
        "version": event.version[0],
        "version_stored": event.version[1],
        "status": event.status,
        "number": value if isinstance(value, float) else None,
        "span": _span_row(value) if isinstance(value, Span) else None,
        "coded": value if isinstance(value, str) else None,
        "truth": value if isinstance(value, bool) else None,
        "unit": None
        if event.unit is None
        else {"code": event.unit.code, "system": event.unit.system, "text": event.unit.text},
        "problem": event.problem,
        "until": _time_row(event.until),
        "ended": event.ended,
        "doubt": event.doubt,
        "days": event.days,
        "encounter": encounter,
    }


def _person_row(person: Person) -> dict[str, Any]:
    return {
        "patient": person.key,
        "born": _time_row(person.born),
        "sex": person.sex,
        "died": _time_row(person.died),
        "deceased": person.deceased,
        "death_known": person.death_known,
    }


def _span_row(span: Span) -> dict[str, Any]:
    return {n: getattr(span, n) for n, _ in _SPAN}


def _time_row(time: Time | None) -> dict[str, Any] | None:
    if time is None:
        return None
    return {"start": time.start, "end": time.end, "precision": time.precision}
