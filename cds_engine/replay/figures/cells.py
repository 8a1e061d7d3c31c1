"""A small count is held back, and so is whatever would let it be worked out from a total."""

from collections import deque
from collections.abc import Iterator, Sequence

Cell = tuple[int, int]


def held_back(counts: Sequence[int], smallest: int) -> frozenset[int]:
    """Return the places of the counts to hold back, where the total of all is told.

    One count that is held back alone is the total less the others, and several that come to less
    than ``smallest`` are small together; so the next smallest are held back as well until neither
    is so. Zeros tell of nobody and are held back last of all.

    >>> sorted(held_back([40, 3, 25], 10)), sorted(held_back([40, 25], 10))
    ([1, 2], [])
    """
    held = {at for at, count in enumerate(counts) if 0 < count < smallest}
    if not held:
        return frozenset()
    rest = sorted(set(range(len(counts))) - held, key=lambda at: (counts[at] == 0, counts[at], at))
    while rest and (len(held) < 2 or sum(counts[at] for at in held) < smallest):
        held.add(rest.pop(0))
    return frozenset(held)


def shown(counts: Sequence[int], smallest: int) -> list[int | None]:
    """Return the counts, None in the place of those that are held back."""
    held = held_back(counts, smallest)
    return [None if at in held else count for at, count in enumerate(counts)]


def held_in_table(counts: Sequence[Sequence[int]], smallest: int) -> frozenset[Cell]:
    """Return the cells to hold back where the totals of rows and of columns are told.

    In every line that holds a cell back there are two at least, and no fewer than ``smallest`` in
    them together, as far as the line has as many. Nor do all lines together narrow a cell down to
    fewer than ``smallest`` numbers, unless the total of its row or its column does so alone.

    >>> sorted(held_in_table([[3, 40], [25, 60]], 10))
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    wide = range(len(counts[0])) if counts else range(0)
    lines = [[(g, p) for p in wide] for g in range(len(counts))]
    lines += [[(g, p) for g in range(len(counts))] for p in wide]
    held = {cell for line in lines for cell in line if 0 < counts[cell[0]][cell[1]] < smallest}
    while more := _more(counts, lines, held, smallest):
        held.add(more)
    return frozenset(held)


def held_shares(
    part: Sequence[int], whole: Sequence[int], smallest: int, gone: frozenset[int] = frozenset()
) -> frozenset[int]:
    """Return the groups whose part is held back, where each group's whole and all sums are told.

    A part and what is left of the whole are held back together, for each is the whole less the
    other.

    Args:
        part: of each group, such as those who followed.
        whole: of each group, no smaller.
        smallest: fewer than this, or fewer left, are held back.
        gone: groups of which neither whole nor part is told in any case.

    >>> sorted(held_shares([50, 3, 45], [100, 100, 100], 10))
    [1, 2]
    """
    kept = [at for at in range(len(part)) if at not in gone]
    rows = [(part[at], whole[at] - part[at]) for at in kept]
    if gone:  # of these only the sums can be worked out
        both = sum(part[at] for at in gone), sum(whole[at] - part[at] for at in gone)
        rows.append(both)
    held = {g for g, _ in held_in_table(rows, smallest)}
    if gone and held == {len(kept)}:  # the sums of those untold are no group's own
        held = set()
    return gone | {kept[at] for at in held if at < len(kept)}


def _more(
    counts: Sequence[Sequence[int]], lines: Sequence[Sequence[Cell]], held: set[Cell], smallest: int
) -> Cell | None:
    """Return a cell that must be held back as well; None where there is none."""
    for line in lines:
        for cell in _lacking(line, held, counts, smallest):
            return cell
    for g, p in sorted(held):
        most = min(smallest, sum(counts[g]), sum(row[p] for row in counts))
        if spread(counts, held, (g, p)) < most:
            beside = [one for line in lines if (g, p) in line for one in line if one not in held]
            rest = beside or [one for line in lines for one in line if one not in held]
            if rest:
                return _smallest(rest, counts)
    return None


def _lacking(
    line: Sequence[Cell], held: set[Cell], counts: Sequence[Sequence[int]], smallest: int
) -> Iterator[Cell]:
    mine = [cell for cell in line if cell in held]
    if not mine or (len(mine) > 1 and sum(counts[g][p] for g, p in mine) >= smallest):
        return
    rest = [cell for cell in line if cell not in held]
    if rest:
        yield _smallest(rest, counts)


def _smallest(cells: Sequence[Cell], counts: Sequence[Sequence[int]]) -> Cell:
    """Return the smallest cell; zeros tell of nobody, and are held back last."""
    return min(cells, key=lambda one: (counts[one[0]][one[1]] == 0, counts[one[0]][one[1]], one))


def spread(counts: Sequence[Sequence[int]], held: set[Cell], cell: Cell) -> int:
    """Return the largest less the smallest number that a held cell can be, all else being told.

    What leaves a cell must come in elsewhere in its row and its column, and so on: how much can is
    a largest flow from its row to its column through the other cells that are held back.
    """
    others = held - {cell}
    down = min(counts[cell[0]][cell[1]], _flow(counts, others, cell, grow=True))
    return down + _flow(counts, others, cell, grow=False)


def _flow(counts: Sequence[Sequence[int]], others: set[Cell], cell: Cell, *, grow: bool) -> int:
    """Return the largest flow; going from rows to columns, cells ``grow`` or shrink."""
    endless = sum(map(sum, counts)) + 1
    room: dict[tuple[str, int], dict[tuple[str, int], int]] = {}
    for g, p in others:
        there, back = (endless, counts[g][p]) if grow else (counts[g][p], endless)
        room.setdefault(("row", g), {})[("column", p)] = there
        room.setdefault(("column", p), {})[("row", g)] = back
    start, end, flow = ("row", cell[0]), ("column", cell[1]), 0
    while path := _path(room, start, end):
        least = min(room[a][b] for a, b in path)
        for a, b in path:
            room[a][b] -= least
            room[b][a] += least
        flow += least
    return flow


def _path(
    room: dict[tuple[str, int], dict[tuple[str, int], int]],
    start: tuple[str, int], end: tuple[str, int],
) -> list[tuple[tuple[str, int], tuple[str, int]]]:  # fmt: skip
    """Return the shortest way with room left, as steps; empty where there is none."""
    came: dict[tuple[str, int], tuple[str, int]] = {start: start}
    waiting = deque([start])
    while waiting and end not in came:
        here = waiting.popleft()
        for there, left in room.get(here, {}).items():
            if left and there not in came:
                came[there] = here
                waiting.append(there)
    steps = []
    while end in came and end != start:
        steps.append((came[end], end))
        end = came[end]
    return steps[::-1]
