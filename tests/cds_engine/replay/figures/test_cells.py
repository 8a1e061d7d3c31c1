"""No count that is held back can be worked out from the counts and the totals that are told."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_engine.replay.figures.cells import held_in_table, held_shares, spread

Table = list[list[int]]
TABLES = st.tuples(st.integers(2, 3), st.integers(2, 3)).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(0, 6), min_size=size[1], max_size=size[1]),
        min_size=size[0], max_size=size[0],
    )
)  # fmt: skip


def solutions(table: Table, held: frozenset[tuple[int, int]]) -> list[dict[tuple[int, int], int]]:
    """Return every table that agrees with all that is told: the other cells, and all totals."""
    cells, rows, columns = sorted(held), range(len(table)), range(len(table[0]))
    totals = [sum(table[g]) for g in rows], [sum(row[p] for row in table) for p in columns]
    most = [min(totals[0][g], totals[1][p]) for g, p in cells]
    found = []
    for numbers in product(*(range(n + 1) for n in most)):
        one = dict(zip(cells, numbers, strict=True))
        full = [[one.get((g, p), table[g][p]) for p in columns] for g in rows]
        if [sum(row) for row in full] == totals[0] and (
            [sum(row[p] for row in full) for p in columns] == totals[1]
        ):
            found.append(one)
    return found


def width(found: list[dict[tuple[int, int], int]], cell: tuple[int, int]) -> int:
    numbers = [one[cell] for one in found]
    return max(numbers) - min(numbers)


@given(TABLES, st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_every_held_cell_could_be_many_numbers_or_its_total_alone_says_it(
    table: Table, smallest: int
) -> None:
    held = held_in_table(table, smallest)
    for g, row in enumerate(table):
        for p, n in enumerate(row):
            assert (g, p) in held or not 0 < n < smallest
    everything = len(held) == len(table) * len(table[0])
    if len(held) > 6:
        return  # too many to try; the next test asks them all by flows
    found = solutions(table, held)
    for g, p in held:
        capped = min(smallest, sum(table[g]), sum(row[p] for row in table))
        assert width(found, (g, p)) >= capped or everything


@given(TABLES, st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_the_spread_of_a_cell_is_that_of_all_tables_that_agree(
    table: Table, wanted: set[tuple[int, int]]
) -> None:
    held = {(g, p) for g, p in wanted if g < len(table) and p < len(table[0])}
    found = solutions(table, frozenset(held))
    for cell in held:
        assert spread(table, held, cell) == width(found, cell)


def test_a_cell_between_two_blocks_is_not_left_alone() -> None:
    """In each of its lines something else is held back too, and still all lines tell it."""
    table = [[30, 1, 0, 0], [1, 30, 5, 0], [0, 0, 30, 1], [0, 0, 1, 30]]
    held = {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 2), (2, 3), (3, 2), (3, 3)}
    assert spread(table, held, (1, 2)) == 0
    assert spread(table, set(held_in_table(table, 6)), (1, 2)) >= 6


def test_the_complement_of_a_part_is_never_told_alone() -> None:
    female, male = 97, 40  # of 100 and 100
    assert held_shares([female, male], [100, 100], 10) == {0, 1}
    assert held_shares([50, 40], [100, 100], 10) == frozenset()


SHARES = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=4)


@given(SHARES, st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_no_part_of_a_group_can_be_worked_out(groups: list[tuple[int, int]], smallest: int) -> None:
    part, whole = [a for a, _ in groups], [a + b for a, b in groups]
    held = held_shares(part, whole, smallest)
    for at, (a, b) in enumerate(groups):
        assert at in held or not (0 < a < smallest or 0 < b < smallest)
    free = sorted(held)
    tables = [
        numbers for numbers in product(*(range(whole[at] + 1) for at in free))
        if sum(numbers) == sum(part[at] for at in free)
    ]  # fmt: skip
    sums = sum(part), sum(whole) - sum(part)
    for place, at in enumerate(free):
        numbers = [one[place] for one in tables]
        wide = min(smallest, whole[at], *sums)
        assert max(numbers) - min(numbers) >= wide or len(held) == len(groups)


@pytest.mark.parametrize("gone", [frozenset({0, 1}), frozenset({0, 1, 2})])
def test_what_is_held_back_whole_stays_so_and_its_sums_are_no_small_part(
    gone: frozenset[int],
) -> None:
    part, whole = [1, 2, 30, 40], [4, 9, 60, 90]
    held = held_shares(part, whole, 10, gone)
    assert gone <= held
    told = [at for at in range(4) if at not in held]
    assert sum(part) - sum(part[at] for at in told) >= 10
