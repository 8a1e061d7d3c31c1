"""A table of histories: who is left to the scalar history, what is refused, how it is handed on."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from builders.history_tables import Point, Takers
from builders.messy_records import ACTIONS, VARIABLES
from builders.records import (
    AS_OF,
    LIFESTYLE,
    LISINOPRIL,
    SBP,
    a_condition,
    a_dispense,
    a_person,
    a_reading,
    a_record,
    a_variable,
    but,
    days_ago,
    mm_hg,
)

from cds_engine.decide.table.from_history import table_of_histories
from cds_engine.errors import TableError
from cds_engine.history.event import Event, Record, Time
from cds_engine.history.table import (
    REASONS,
    EventTable,
    EventTableBuilder,
    HistoryTable,
    Occurrences,
    Persons,
    TableTaker,
    table_of,
)
from cds_engine.history.value import History
from cds_engine.vocabulary.time import DAY, HOUR, MINUTE
from cds_engine.vocabulary.value import Span

TIDY = {name: one for name, one in VARIABLES.items() if name not in {"age", "age_months"}}


def tidy_records(count: int, late: int) -> list[Record]:
    """Patients with a hundred events each, at times of their own, recorded up to so late."""
    random = Random(7)  # noqa: S311  # data, not a secret
    kinds = [("observation", SBP)] * 8 + [
        ("request", LISINOPRIL), ("dispense", LISINOPRIL), ("service", LIFESTYLE),
        ("encounter", "act|AMB"),
    ]  # fmt: skip
    records = []
    for _ in range(count):
        events = []
        for number, minute in enumerate(random.sample(range(400 * 24 * 60), 100)):
            kind, code = random.choice(kinds)
            at = AS_OF - minute * MINUTE
            observed = kind == "observation"
            events.append(
                Event(
                    kind=kind,  # type: ignore[arg-type]
                    codes=(code,),
                    time=Time(at, at),
                    recorded=at + random.randint(0, late) * HOUR,
                    source=f"{kind}/{number}",
                    status="final" if observed else "active",
                    value=float(random.randint(90, 200)) if observed else None,
                    unit=mm_hg() if observed else None,
                    days=30.0,
                )
            )
        records.append(a_record(*events))
    return records


@pytest.mark.parametrize("late", [0, 24 * 60], ids=["at once", "up to two months late"])
def test_of_tidy_records_almost_nothing_is_left_to_the_scalar_history(late: int) -> None:
    records = tidy_records(60, late)
    points = [(row, AS_OF - days * DAY) for row in range(60) for days in (0, 7, 90, 200, 390)]
    takers = Takers(TIDY, ACTIONS)
    takers.assert_agree(records, points)
    assert takers.asked <= 0.01 * len(points), f"asked {takers.asked} times of {len(points)}"


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        pytest.param({}, 0, id="a reading with a time of its own"),
        pytest.param({"at": "2025-06"}, 1, id="a reading dated to the month"),
        pytest.param({"at": None, "recorded": "2025-06-01T00:00"}, 1, id="one without a date"),
        pytest.param({"value": Span(high=90.0), "sbp": None}, 1, id="a reading below a limit"),
        pytest.param({"source": "Observation/2", "version": (2, "")}, 1, id="a second version"),
        pytest.param({"at": "2025-06-09"}, 1, id="a date beside a time of that day"),
    ],
)
def test_what_columns_cannot_settle_is_left_to_the_scalar_history(
    change: dict[str, object], asked: int
) -> None:
    other = a_reading(sbp=150, at="2025-06-09T08:00", source="Observation/2")
    one = a_reading(**{"sbp": 140, "at": "2025-06-10T09:00", **change})  # type: ignore[arg-type]
    takers = Takers({"x": a_variable(take="mean", within="P60D")}, {})
    takers.assert_agree([a_record(one, other)], [(0, AS_OF)])
    assert takers.asked == asked


def test_two_dispenses_that_one_source_tells_of_are_one() -> None:
    one = a_dispense(source="MedicationDispense/1")
    records = [a_record(one, but(one, codes=(LISINOPRIL, "rxnorm|1")))]
    table = Takers(TIDY, ACTIONS).assert_agree(records, [(0, AS_OF)])
    assert table.columns["drugs"].at(0) == 1.0


def test_a_supply_left_over_is_used_up_first_in_the_table_too() -> None:
    fills = [a_dispense(at=days_ago(ago), days=days) for ago, days in ((60, 50.0), (30, 14.0))]
    takers = Takers(TIDY, ACTIONS)
    table = takers.assert_agree([a_record(*fills)], [(0, AS_OF)])
    assert (table.columns["adherence"].at(0), takers.asked) == (1.0, 0)


def test_before_the_second_version_is_known_nobody_has_to_be_asked() -> None:
    first = a_reading(sbp=150, at=days_ago(9), source="Observation/1", version=(1, ""))
    second = a_reading(
        sbp=140, at=days_ago(9), recorded=days_ago(5), source="Observation/1", version=(2, "")
    )
    takers = Takers({"x": a_variable()}, {})
    table = takers.assert_agree([a_record(first, second)], [(0, AS_OF), (0, AS_OF - 6 * DAY)])
    assert table.refereed.tolist() == [True, False]
    assert [table.columns["x"].at(row) for row in (0, 1)] == [140.0, 150.0]


def test_rows_come_back_in_the_order_in_which_they_were_asked() -> None:
    records = [a_record(a_reading(sbp=100 + row, at=days_ago(5 - row))) for row in range(3)]
    points: list[Point] = [(2, AS_OF), (0, AS_OF), (1, AS_OF), (0, AS_OF - 6 * DAY), (2, AS_OF)]
    table = Takers({"x": a_variable()}, {}).take(records, points)
    assert [table.columns["x"].at(row) for row in range(5)] == [
        102.0,
        100.0,
        101.0,
        "absent",
        102.0,
    ]


def test_a_table_without_decision_points_has_no_rows() -> None:
    takers = Takers(VARIABLES, ACTIONS)
    assert len(takers.take([a_record(a_reading(sbp=140))], [])) == 0
    assert len(takers.take([], [])) == 0


def test_histories_become_a_table_to_decide_with_spans_and_reasons_kept_apart() -> None:
    variables = {"x": a_variable(), "sex": a_variable("patient.sex")}
    records = [
        a_record(a_reading(Span(high=90.0))),
        a_record(person=a_person(sex=None)),
        a_record(a_reading(sbp=140), person=a_person(died=days_ago(1))),
    ]
    histories = Takers(variables, {}).take(records, [(row, AS_OF) for row in range(3)])
    table = table_of_histories(histories)
    assert [table.state(row) for row in range(3)] == [
        {"x": Span(high=90.0), "sex": "female"},
        {"x": None, "sex": None},
        {"x": 140.0, "sex": "female"},
    ]
    assert histories.columns["x"].at(1) == "absent"
    assert table.deceased is not None
    assert table.deceased.tolist() == [False, False, True]


def test_reasons_stand_in_the_order_of_their_numbers() -> None:
    table = Takers({"x": a_variable()}, {}).take(
        [a_record(a_reading(sbp=140, no_unit=True))], [(0, AS_OF)]
    )
    assert REASONS[table.columns["x"].reasons[0] - 1] == "unit"
    assert table.columns["x"].missing.tolist() == [True]


def unasked(person: int, as_of: int) -> History:
    raise AssertionError(f"nothing here is in doubt, but {person} at {as_of} was asked about")


def take(table: EventTable, person: list[int], as_of: list[int]) -> HistoryTable:
    taker = TableTaker({"x": a_variable()}, {})
    return taker.take(table, np.array(person), np.array(as_of), unasked)


def test_a_decision_point_of_nobody_is_refused() -> None:
    with pytest.raises(TableError, match="none of the 1 in the table; number persons by their row"):
        take(table_of([a_record()]), [1], [AS_OF])


def test_decision_points_of_two_lengths_are_refused() -> None:
    with pytest.raises(TableError, match="give two columns of one length"):
        take(table_of([a_record()]), [0], [AS_OF, AS_OF])


def test_columns_that_do_not_fit_together_are_named() -> None:
    table = table_of([a_record(a_reading(sbp=140), a_condition())])
    short = replace(table.observations, number=np.zeros(3))
    with pytest.raises(TableError, match=r"observations\.number must have 1 rows, has the shape"):
        take(replace(table, observations=short), [0], [AS_OF])
    elsewhere = replace(table.observations, unit=np.array([7], dtype=np.int32))
    with pytest.raises(TableError, match=r"observations\.unit refers to places outside its list"):
        take(replace(table, observations=elsewhere), [0], [AS_OF])
    backwards = replace(table.occurrences, end=table.occurrences.start - 1)
    with pytest.raises(TableError, match=r"occurrences\.start lies after end in some rows"):
        take(replace(table, occurrences=backwards), [0], [AS_OF])
    undated = replace(table.observations, precision=np.array([4], dtype=np.uint8))
    with pytest.raises(TableError, match="start of what has no time must be BEGINNING"):
        take(replace(table, observations=undated), [0], [AS_OF])


def test_columns_given_whole_read_like_columns_built_row_by_row() -> None:
    built = table_of([a_record(a_reading(sbp=140)), a_record(a_reading(sbp=120.5))])
    given = EventTable(
        Persons.of_nothing_known(2), built.observations, Occurrences.none(),
        built.code_groups, built.units, built.statuses,
    )  # fmt: skip
    found = take(given, [0, 1, 1], [AS_OF, AS_OF, AS_OF - 30 * DAY]).columns["x"]
    assert [found.at(row) for row in range(3)] == [140.0, 120.5, "absent"]


def test_a_builder_goes_on_after_it_has_built() -> None:
    builder = EventTableBuilder()
    builder.add_record(a_record(a_reading(sbp=140)))
    assert len(builder.build().observations) == 1
    builder.add_record(a_record(a_reading(sbp=130), a_condition()))
    table = builder.build()
    assert (len(table.persons), len(table.observations), len(table.occurrences)) == (2, 2, 1)
