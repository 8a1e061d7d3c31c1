"""A measurement is the median of several runs, and stands beside its limit and its peers."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

RUNS = 7


@dataclass(frozen=True)
class Line:
    """One line of a report.

    Attributes:
        work: what was done.
        ours: what we took, in words.
        against: the limit or the peer, in words.
        holds: whether the requirement is met; None where there is none.
    """

    work: str
    ours: str
    against: str
    holds: bool | None = None


def seconds(work: Callable[[], object], runs: int = RUNS) -> float:
    """Return the median CPU time of one thread's work, after one run to warm up."""
    work()
    taken = []
    for _ in range(max(runs, 3)):
        start = time.thread_time()
        work()
        taken.append(time.thread_time() - start)
    return statistics.median(taken)


def in_turn(works: Sequence[Callable[[], object]], runs: int = RUNS) -> list[float]:
    """Return the median CPU time of several works that take turns, so that all share a noisy hour.

    Ratios of these numbers can be compared with a requirement; the numbers alone cannot.
    """
    taken: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(max(runs, 3)):
        for at, work in enumerate(works):
            start = time.thread_time()
            work()
            taken[at].append(time.thread_time() - start)
    return [statistics.median(part) for part in taken]


def show(title: str, lines: Sequence[Line]) -> None:
    """Print a table of measurements, and what else the machine was doing."""
    rows = [("", "ours", "limit or peer", "")]
    rows += [(line.work, line.ours, line.against, _verdict(line.holds)) for line in lines]
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    print(f"\n{title} ({machine()})")
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def machine() -> str:
    """Say how busy the machine was: a load above the number of cores makes every time longer."""
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    return f"{os.cpu_count()} cores; load over 1, 5 and 15 minutes {load}; medians of CPU time"


def _verdict(holds: bool | None) -> str:
    return "" if holds is None else ("holds" if holds else "DOES NOT HOLD")
