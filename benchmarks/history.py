"""Histories of 200 000 decision points from 2 million events, against polars and DuckDB.

Run as ``python -m benchmarks.history``. Latest, mean of 90 days, count of 90 days and days since
the last, from the same unsorted columns; each engine uses one thread, and all must agree. Events
are recorded up to half an hour after they happened, and count from then on. The peers are told so
by joining on that instant alone, which is right only because nothing here overtakes anything else;
ours checks that, and sources, versions, units and ranges besides. A second line measures the joins
alone against all of our work, on events that were sorted and summed up before.
"""

import os
import statistics

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # read when polars is imported

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Line, show
from cds_engine.history.table import (
    EventTable,
    HistoryTable,
    Observations,
    Occurrences,
    Persons,
    TableTaker,
)
from cds_engine.history.value import History
from cds_engine.vocabulary.time import DAY, MINUTE
from cds_engine.vocabulary.units import UCUM, StatedUnit
from cds_engine.vocabulary.variable import Variable

PERSONS = 20_000
EVENTS = 2_000_000
POINTS = 200_000
WINDOW = 90 * DAY
START = 1_500_000_000_000_000
YEARS = 5
RUNS = 5

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Data:
    """Events and decision points as bare columns."""

    person: NDArray[np.int64]
    at: NDArray[np.int64]
    known: NDArray[np.int64]
    value: NDArray[np.float64]
    who: NDArray[np.int64]
    as_of: NDArray[np.int64]


def main() -> None:
    """Measure and print."""
    show(
        f"Latest, mean, count, elapsed at {POINTS:,} points from {EVENTS:,} events", history_lines()
    )


def history_lines() -> list[Line]:
    """Take the histories with each engine in turn."""
    data = draw()
    table = as_event_table(data)
    with_polars, with_duckdb = polars_work(data), duckdb_work(data)
    expected = as_columns(ours(table, data))
    for work in (with_polars, with_duckdb):
        assert_same(expected, work())
    in_order = sorted_before(data)
    ordered = as_event_table(in_order)
    mine, polars, duckdb, sorted_mine, joins = cpu_in_turn(
        [
            lambda: ours(table, data),
            with_polars,
            with_duckdb,
            lambda: ours(ordered, in_order),
            polars_joins(in_order),
        ]
    )
    best = min(polars, duckdb)
    return [
        Line(
            "history step, one thread",
            f"{mine:.2f} s",
            f"polars join_asof {polars:.2f} s, DuckDB ASOF JOIN {duckdb:.2f} s; "
            f"no slower than the faster: {mine / best:.0%} of it",
            mine <= best,
        ),
        Line(
            "the same, events sorted before",
            f"{sorted_mine:.2f} s",
            f"two bare polars joins, running sums ready: {joins:.2f} s",
        ),
    ]


def draw() -> Data:
    """Draw events in no order; always the same ones."""
    rng = np.random.default_rng(4)
    person = rng.integers(0, PERSONS, EVENTS)
    # half-hours apart, so that a delay of minutes never lets one overtake another
    at = START + rng.integers(0, YEARS * 365 * 48, EVENTS) * 30 * MINUTE
    _, first = np.unique(np.stack([person, at]), axis=1, return_index=True)
    keep = np.zeros(EVENTS, dtype=np.bool_)
    keep[first] = True
    delay = rng.integers(0, 29, EVENTS) * MINUTE
    value = rng.integers(90, 200, EVENTS).astype(np.float64)
    who = np.repeat(np.arange(PERSONS), POINTS // PERSONS)
    as_of = START + rng.integers(0, YEARS * 365 * 24 * 60, POINTS) * MINUTE
    as_of = as_of[np.lexsort((as_of, who))]
    known = at + delay
    return Data(person[keep], at[keep], known[keep], value[keep], who, as_of)


def as_event_table(data: Data) -> EventTable:
    """Return the columns as a bulk reader would hand them over."""
    rows = len(data.person)
    observations = Observations(
        person=data.person,
        codes=np.zeros(rows, dtype=np.int32),
        start=data.at,
        end=data.at,
        precision=np.zeros(rows, dtype=np.uint8),
        recorded=data.known,
        source=np.random.default_rng(5).integers(-(2**62), 2**62, rows),
        version=np.zeros(rows, dtype=np.int64),
        status=np.zeros(rows, dtype=np.uint16),
        untidy=np.zeros(rows, dtype=np.bool_),
        form=np.ones(rows, dtype=np.uint8),
        number=data.value,
        unit=np.zeros(rows, dtype=np.int32),
        answer=np.zeros(rows, dtype=np.int32),
    )
    persons = Persons.of_nothing_known(PERSONS)
    units = (StatedUnit("mm[Hg]", UCUM, "mmHg"),)
    codes = (("loinc|8480-6",),)
    return EventTable(persons, observations, Occurrences.none(), codes, units, ("final",))


def _variables() -> dict[str, Variable]:
    shared = {"from": "observation", "codes": ("loinc|8480-6",), "within": "P90D"}
    number = {"unit": "mm[Hg]", "plausible": (60.0, 280.0), "digits": 1}
    given: dict[str, dict[str, Any]] = {
        "latest": {**shared, **number, "take": "latest"},
        "mean": {**shared, **number, "take": "mean"},
        "count": {**shared, "take": "count"},
        "elapsed": {**shared, "take": "elapsed", "unit": "d"},
    }
    return {name: Variable.model_validate(fields) for name, fields in given.items()}


TAKER = TableTaker(_variables(), {})


def ours(table: EventTable, data: Data) -> HistoryTable:
    """Take the histories from the columns; nothing in them needs the scalar history."""
    return TAKER.take(table, data.who, data.as_of, _refuse)


def _refuse(person: int, as_of: int) -> History:
    raise AssertionError(f"these events are tidy, yet person {person} at {as_of} was asked about")


def as_columns(found: HistoryTable) -> Columns:
    """Return the values, NaN where missing."""
    return {
        name: np.where(column.missing, np.nan, column.values)
        for name, column in found.columns.items()
    }


def polars_work(data: Data) -> Callable[[], Columns]:
    """Return the same work done by polars: running sums, and two joins to the past."""
    import polars as pl

    events = pl.DataFrame(
        {"person": data.person, "at": data.at, "known": data.known, "value": data.value}
    )
    points = pl.DataFrame({"person": data.who, "as_of": data.as_of})

    def work() -> Columns:
        running = (
            events.lazy()
            .sort("person", "at")
            .with_columns(total=pl.col("value").cum_sum(), number=pl.int_range(1, pl.len() + 1))
        )
        asked = points.lazy().with_columns(oldest=pl.col("as_of") - WINDOW - 1)
        known = running.select("person", "known", "at", "value", "total", "number")
        older = running.select("person", "at", total_before="total", number_before="number")
        first = running.group_by("person", maintain_order=True).agg(
            none=pl.col("number").first() - 1,
            base=pl.col("total").first() - pl.col("value").first(),
        )
        joined = (
            asked.join_asof(
                known, left_on="as_of", right_on="known", by="person", check_sortedness=False
            )
            .join_asof(older, left_on="oldest", right_on="at", by="person", check_sortedness=False)
            .join(first, on="person", how="left", maintain_order="left")
            .select(
                "as_of",
                "at",
                "value",
                count=(
                    pl.col("number") - pl.col("number_before").fill_null(pl.col("none"))
                ).fill_null(0),
                total=pl.col("total") - pl.col("total_before").fill_null(pl.col("base")),
            )
            .with_columns(inside=pl.col("count") > 0)
            .select(
                latest=pl.when("inside").then("value"),
                mean=pl.when("inside").then(pl.col("total") / pl.col("count")),
                count=pl.col("count").cast(pl.Float64),
                elapsed=pl.when("inside").then((pl.col("as_of") - pl.col("at")) // DAY),
            )
            .collect()
        )
        return {name: joined[name].cast(pl.Float64).to_numpy() for name in joined.columns}

    return work


def sorted_before(data: Data) -> Data:
    """Return the same events in order of person and time."""
    order = np.lexsort((data.at, data.person))
    events = (data.person[order], data.at[order], data.known[order], data.value[order])
    return Data(*events, data.who, data.as_of)


def polars_joins(data: Data) -> Callable[[], object]:
    """Return the two joins alone; sorting, sums, and what is made of them are left out."""
    import polars as pl

    events = pl.DataFrame(
        {"person": data.person, "at": data.at, "known": data.known, "value": data.value}
    ).with_columns(total=pl.col("value").cum_sum(), number=pl.int_range(1, pl.len() + 1))
    older = events.select("person", "at", total_before="total", number_before="number")
    points = pl.DataFrame({"person": data.who, "as_of": data.as_of})
    asked = points.with_columns(oldest=pl.col("as_of") - WINDOW - 1)

    def work() -> object:
        return asked.join_asof(
            events, left_on="as_of", right_on="known", by="person", check_sortedness=False
        ).join_asof(older, left_on="oldest", right_on="at", by="person", check_sortedness=False)

    return work


def duckdb_work(data: Data) -> Callable[[], Columns]:
    """Return the same work done by DuckDB: running sums, and two joins to the past."""
    import duckdb
    import pyarrow as pa

    def arrow(**columns: NDArray[Any]) -> pa.Table:
        return pa.table({name: pa.array(column) for name, column in columns.items()})

    base = duckdb.connect()
    base.execute("set threads = 1")
    base.register(
        "given",
        arrow(person=data.person, at=data.at, known=data.known, value=data.value),
    )
    base.register("asked", arrow(row=np.arange(POINTS), person=data.who, as_of=data.as_of))
    base.execute("create table events as from given")
    base.execute("create table points as from asked")
    query = f"""
        with running as (
            select *, sum(value) over past as total, count(*) over past as number
            from events
            window past as (partition by person order by "at" rows unbounded preceding)
        ),
        joined as (
            select p.row, p.as_of, k."at", k.value,
                   coalesce(k.number, 0) - coalesce(o.number, 0) as number,
                   k.total - coalesce(o.total, 0) as total
            from points p
            asof left join running k on p.person = k.person and p.as_of >= k.known
            asof left join running o on p.person = o.person and p.as_of - {WINDOW} > o."at"
        )
        select case when number > 0 then value end as latest,
               case when number > 0 then total / number end as mean,
               number::double as count,
               case when number > 0 then (as_of - "at") // {DAY} end::double as elapsed
        from joined order by row
    """  # noqa: S608  # constants of this file

    def work() -> Columns:
        found = base.execute(query).fetchnumpy()
        return {name: np.ma.filled(column, np.nan) for name, column in found.items()}

    return work


def assert_same(ours: Columns, theirs: Columns) -> None:
    """Compare; the peers do not round a mean."""
    for name, column in ours.items():
        near = 0.05 + 1e-9 if name == "mean" else 0.0
        assert np.allclose(column, theirs[name], rtol=0, atol=near, equal_nan=True), name


def cpu_in_turn(works: Sequence[Callable[[], object]]) -> list[float]:
    """Return the median process CPU time of works that take turns, threads of theirs included."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(RUNS):
        for at, work in enumerate(works):
            start = time.process_time()
            work()
            taken[at].append(time.process_time() - start)
    return [statistics.median(part) for part in taken]


if __name__ == "__main__":
    main()
