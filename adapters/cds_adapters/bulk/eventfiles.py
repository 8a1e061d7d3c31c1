"""Events as Parquet: one row for each event, and one for each person, as the engine knows them.

``events*.parquet`` and ``persons*.parquet`` in one folder are an export like any other. Instants
are microseconds since 1970 UTC. The times of an event are a first and a last instant, as in
``cds_engine.history.event.Time``.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import isfinite, isnan
from pathlib import Path
from typing import IO, Any, cast, get_args

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct
from pyarrow import types

from cds_adapters.bulk.sources import BulkError
from cds_engine.history.event import BEGINNING, Event, EventKind, Person, Time
from cds_engine.history.gaps import EVERYTHING, code_gap, kind_gap
from cds_engine.history.select import counts_from
from cds_engine.replay.points import Patient
from cds_engine.vocabulary.time import DAY, Instant, Precision, instant
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

NEEDED = ("patient", "kind", "codes", "recorded", "source")
"""Columns without which there are no events; persons need the first."""

_KINDS = frozenset(get_args(EventKind))
_PRECISIONS = frozenset(get_args(Precision))
_ROWS = 65_536
_END = instant(datetime.max.replace(tzinfo=UTC))

LONG: int = 3653 * DAY
"""What was recorded so long before it was, was hardly recorded then: ten years."""


class Lost(Struct, frozen=True, gc=False, array_like=True):
    """What a record lacks because a row of it cannot be used.

    Attributes:
        keys: its gaps, as ``cds_engine.history.gaps`` has them.
        words: why.
        since: the first instant at which the row could have counted.
    """

    keys: tuple[str, ...]
    words: str
    since: Instant


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
        needed = NEEDED if "kind" in file.schema_arrow.names else ("patient",)
        lacking = [column for column in needed if column not in file.schema_arrow.names]
        if lacking:
            raise BulkError(
                f"{name} has no column {', '.join(lacking)}; events have "
                f"{', '.join(EVENTS.names)} and persons {', '.join(PERSONS.names)}"
            )
        _refuse_types(file.schema_arrow, name)
        number = 0
        for batch in file.iter_batches(_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowInvalid, OSError) as fault:
        raise BulkError(f"{name} is no Parquet file that can be read ({fault})") from fault


def _refuse_types(found: pa.Schema, name: str) -> None:
    """Refuse columns of other types; what is no number of microseconds would be read as one."""
    for field in EVENTS if "kind" in found.names else PERSONS:
        if field.name in found.names and not _is_like(found.field(field.name).type, field.type):
            raise BulkError(
                f"{name}: its column {field.name} is {found.field(field.name).type}, and is to be "
                f"{field.type}; write it as that (instants are microseconds since 1970 UTC)"
            )


def _is_like(found: Any, wanted: Any) -> bool:
    """Say whether values of a type are read as those of another."""
    if types.is_dictionary(found):
        return _is_like(found.value_type, wanted)
    if types.is_null(found):
        return True
    if types.is_struct(wanted):
        names = [one.name for one in found] if types.is_struct(found) else []
        return all(n.name in names and _is_like(found.field(n.name).type, n.type) for n in wanted)
    if types.is_list(wanted):
        listed = types.is_list(found) or types.is_large_list(found)
        return listed and _is_like(found.value_type, wanted.value_type)
    if types.is_string(wanted):
        return types.is_string(found) or types.is_large_string(found)
    if types.is_floating(wanted):
        return types.is_floating(found) or types.is_integer(found)
    return types.is_integer(found) if types.is_integer(wanted) else bool(found == wanted)


def lost_with(row: Mapping[str, Any], reason: str) -> Lost:
    """Return what the record of a row's patient lacks where the row cannot be used.

    Args:
        row: of events or of persons.
        reason: why it cannot be.
    """
    if "kind" not in row:
        return Lost((kind_gap("patient"),), f"the person's row was set aside: {reason}", BEGINNING)
    kind, codes = row["kind"], row["codes"] or ()
    if kind not in _KINDS:
        keys: tuple[str, ...] = (EVERYTHING,)
    elif codes and all(codes):
        keys = tuple(code_gap(code, kind) for code in codes)
    else:
        keys = (kind_gap(kind),)
    return Lost(keys, f"{row['source'] or 'an event'} was set aside: {reason}", _since(row))


def _since(row: Mapping[str, Any]) -> Instant:
    try:
        recorded, time = _instant(row["recorded"]), _time(row.get("time"))
    except ValueError:
        return BEGINNING
    if recorded is None or row["kind"] not in _KINDS:
        return BEGINNING
    return counts_from(Event(row["kind"], (), time, recorded, ""))


def is_long_before(event: Event) -> bool:
    """Say whether an event was recorded long before it was, as seconds for microseconds look."""
    return event.time is not None and event.recorded < event.time.start - LONG


def event_of(row: Mapping[str, Any]) -> Event:
    """Return the event of one row.

    Raises:
        ValueError: says what is wrong with it, without its values.
    """
    kind = row["kind"]
    if kind not in _KINDS:
        raise ValueError("its kind is none; see the columns of events.parquet")
    recorded = _instant(row["recorded"])
    if recorded is None:
        raise ValueError("it has no `recorded`, so that nobody knows when it was known")
    if not row["patient"]:
        raise ValueError("it names no patient")
    if not row["source"]:
        raise ValueError("it has no `source`, so that its versions cannot be told apart")
    codes = tuple(row["codes"] or ())
    if not all(codes):
        raise ValueError("one of its `codes` is empty")
    days = row.get("days")
    if days is not None and not isfinite(days):
        raise ValueError(f"its `days` {_NO_NUMBER}")
    return Event(
        kind=cast("EventKind", kind),
        codes=codes,
        time=_time(row.get("time")),
        recorded=recorded,
        source=row["source"],
        version=(row.get("version") or 0, row.get("version_stored") or ""),
        status=row.get("status") or "",
        value=_value(row),
        unit=_unit(row.get("unit")),
        problem=row.get("problem") or "",
        until=_time(row.get("until")),
        ended=bool(row.get("ended")),
        doubt=bool(row.get("doubt")),
        days=days,
    )


def person_of(row: Mapping[str, Any]) -> Person:
    """Return the person of one row.

    Raises:
        ValueError: says what is wrong with it, without its values.
    """
    if not row["patient"]:
        raise ValueError("it names no patient")
    died = _time(row.get("died"))
    return Person(
        row["patient"],
        _time(row.get("born")),
        row.get("sex"),
        died,
        bool(row.get("deceased")) or died is not None,
        _instant(row.get("death_known")),
    )


def _value(row: Mapping[str, Any]) -> float | Span | str | bool | None:
    given = [row[n] for n in ("number", "coded", "truth") if row.get(n) is not None]
    span = _span(row.get("span"))
    if len(given) + (span is not None) > 1:
        raise ValueError("it has more than one of number, span, coded and truth")
    if not given:
        return span
    value = cast("float | str | bool", given[0])
    if isinstance(value, bool | str):
        return value
    if not isfinite(value):
        raise ValueError(f"its `number` {_NO_NUMBER}")
    return float(value)


_NO_NUMBER = "is NaN or an infinity; leave it empty (null) where there is none"


def _span(stated: Mapping[str, Any] | None) -> Span | None:
    """Return a span; a bound that is left out is none."""
    if stated is None:
        return None
    given = {n: stated[n] for n, _ in _SPAN if stated[n] is not None}
    if given.keys().isdisjoint(("low", "high")):
        return None
    span = Span(**given)
    if isnan(span.low) or isnan(span.high) or span.low > span.high:
        raise ValueError("its `span` has a bound that is NaN, or ends before it starts")
    return span


def _unit(stated: Mapping[str, Any] | None) -> StatedUnit | None:
    if stated is None or all(stated[n] is None for n, _ in _UNIT):
        return None
    return StatedUnit(*(stated[n] or "" for n, _ in _UNIT))


def _instant(stated: Any) -> Instant | None:
    if stated is not None and not BEGINNING <= stated <= _END:
        raise ValueError("an instant of it lies before the year 1 or after the year 9999")
    return cast("Instant | None", stated)


def _time(stated: Mapping[str, Any] | None) -> Time | None:
    if stated is None or stated["start"] is None:
        return None
    start, end = _instant(stated["start"]), _instant(stated["end"])
    precision = stated["precision"] or "instant"
    if precision not in _PRECISIONS or start is None or end is None or end < start:
        raise ValueError("a time of it has no end, ends before it starts, or has no precision")
    return Time(start, end, cast("Precision", precision))


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
