"""Flips by subgroup: counted as one would by hand, and nothing told of few."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders.replay_worlds import a_world, intensification, points_of
from hypothesis import given
from hypothesis import strategies as st

from cds_adapters.report.replay_groups import (
    HELD,
    FlipTable,
    Parted,
    Reads,
    columns_wanted,
    find_row,
    flip_tables,
    parted,
    row_query,
)
from cds_engine.replay.figures.cells import held_in_table
from cds_engine.replay.figures.groups import partitions
from cds_engine.replay.figures.points import DecisionPoints
from cds_engine.replay.figures.settings import FigureSettings

Rows = dict[str, list[Any]]
GO, STAY = "add_ace", "keep"


def rows_of(*decided: tuple[str, str, str, int]) -> Rows:
    """Return decisions of patients of their own: stage, first action, second action, how many."""
    said = [one[:3] for one in decided for _ in range(one[3])]
    return {
        "key.patient": [f"p{n}" for n in range(len(said))],
        "decision.outcome": ["recommendation"] * len(said),
        "decision.action": [one[1] for one in said],
        "decision.stage": [one[0] for one in said],
        "against.outcome": ["recommendation"] * len(said),
        "against.action": [one[2] for one in said],
        "against.stage": [one[0] for one in said],
    }


def shown(table: FlipTable) -> list[tuple[Any, ...]]:
    return [
        (group.name, group.decisions, row.pair, row.decisions, row.patients, row.share)
        for group in table.groups
        for row in group.rows
    ]


def test_the_groups_are_those_of_the_figures() -> None:
    bundle = intensification()
    frame = points_of(a_world().draw(300, 4), bundle)
    frame["person.sex"] = [("male", "female", None)[n % 3] for n in range(len(frame))]
    frame.loc[::7, "age"] = np.nan
    named = ("sbp", "hypertension", "step", "step_is_none", "nothing")
    settings = FigureSettings(age_bands=(40, 60), subgroups=named)
    columns = {name: [None if pd.isna(value) else value for value in frame[name].tolist()]
               for name in columns_wanted(Reads.of(bundle), named)}  # fmt: skip
    found = parted(columns, Reads.of(bundle), settings.age_bands, named)
    wanted = partitions(DecisionPoints(frame, bundle), settings)
    assert [(one.by, one.names, one.why) for one in found] == [
        (one.by, one.names, one.why) for one in wanted
    ]
    for one, other in zip(found, wanted, strict=True):
        assert list(one.group) == ([] if other.group is None else other.group.tolist())
    assert len(found[0].names) == 4


def test_one_kind_of_flip_has_one_row_and_several_have_their_sum() -> None:
    rows = rows_of(("s1", GO, STAY, 20), ("s1", STAY, GO, 30), ("s1", GO, GO, 50),
                   ("s0", GO, STAY, 40), ("s0", GO, GO, 40))  # fmt: skip
    [table] = flip_tables(rows, [], {"s0": "Start", "s1": "Later"}, 10)
    assert shown(table) == [
        ("Start", "80", (GO, STAY), "40", "40", "50.0 %"),
        ("Later", "100", None, "50", "50", "50.0 %"),
        ("Later", "100", (GO, STAY), "20", "20", "20.0 %"),
        ("Later", "100", (STAY, GO), "30", "30", "30.0 %"),
    ]


def test_a_patient_with_many_decisions_counts_once_and_is_few() -> None:
    rows = rows_of(("s", GO, STAY, 40), ("s", GO, STAY, 40), ("s", GO, GO, 99), ("s", GO, GO, 99))
    rows["key.patient"][:40] = ["one"] * 40
    part = Parted("Sex", ("female", "male"), (*[0] * 40, *[1] * 40, *[0] * 99, *[1] * 99))
    stages, table = flip_tables(rows, [part], {"s": "S"}, 10)
    assert {one[-3:] for one in shown(table)} == {(HELD, HELD, HELD)}
    # by stage they are told, for there the list of flips tells them as well
    assert [one[3:5] for one in shown(stages)] == [("80", "41")]


def test_a_group_of_few_is_held_back_whole_and_with_it_the_next() -> None:
    rows = rows_of(("s", GO, STAY, 100), ("s", GO, GO, 200))
    sizes = (*[0] * 4, *[1] * 40, *[2] * 56, *[0] * 3, *[1] * 60, *[2] * 137)
    _, table = flip_tables(rows, [Parted("Age", ("a", "b", "c"), sizes)], {"s": "S"}, 10)
    assert [one[1] for one in shown(table)] == [HELD, HELD, "193"]
    assert [one[3] for one in shown(table)] == [HELD, HELD, "56"]


def test_what_cannot_be_parted_says_why() -> None:
    _, table = flip_tables(rows_of(("s", GO, GO, 3)), [Parted("Age", why="no age")], {}, 10)
    assert (table.by, table.why, table.groups) == ("Age", "no age", ())


def test_a_row_is_found_by_its_address_unless_it_is_held_back() -> None:
    rows = rows_of(("s", GO, STAY, 20), ("s", GO, GO, 30), ("s", GO, STAY, 20), ("s", GO, GO, 3))
    part = Parted("Sex", ("female", "male"), (*[0] * 50, *[1] * 23))
    for smallest in (1, 10):
        tables = flip_tables(rows, [part], {"s": "S"}, smallest)
        for group in tables[1].groups:
            for row in group.rows:
                found = find_row(tables, row_query(tables[1], row))
                assert found == (row if smallest == 1 else None)
    assert find_row(tables, {"in": "Stage", "group": "S", "from": GO, "to": "<b>"}) is None


COUNTS = st.integers(2, 4).flatmap(
    lambda wide: st.lists(
        st.lists(st.integers(0, 40), min_size=wide, max_size=wide), min_size=2, max_size=4
    )
)


@given(COUNTS, st.integers(1, 20))
def test_no_line_lets_a_small_cell_be_worked_out(people: list[list[int]], smallest: int) -> None:
    held = held_in_table(people, smallest)
    wide, high = range(len(people[0])), range(len(people))
    for g in high:
        for p in wide:
            assert (g, p) in held or not 0 < people[g][p] < smallest
    lines = [[(g, p) for p in wide] for g in high] + [[(g, p) for g in high] for p in wide]
    for line in lines:
        mine = [people[g][p] for g, p in line if (g, p) in held]
        assert not mine or len(mine) == len(line) or (len(mine) > 1 and sum(mine) >= smallest)


@pytest.mark.parametrize("people", [[], [[0, 0]], [[40, 50], [60, 70]]])
def test_nothing_small_holds_nothing_back(people: list[list[int]]) -> None:
    assert held_in_table(people, 10) == frozenset()
