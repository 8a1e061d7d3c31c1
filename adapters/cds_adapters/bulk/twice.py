"""A version that no code of it keeps still takes the place of an earlier one that is kept.

A scan keeps a resource by its codes. Where another version of the same resource has other codes,
it is fetched after all, because it may be the newer one. Exports seldom hold such a pair.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cds_adapters.bulk.job import Job
from cds_adapters.bulk.scan import fetch_more

_AT_ONCE = 40_000_000
"""Hashes that are compared at once; eight bytes each."""

Hashes = NDArray[np.uint64]


def fetch_other_versions(job: Job) -> int:
    """Fetch the versions that were not kept of resources that were; return from how many files."""
    numbers = range(len(job.export.files))
    total = sum(_size(job, number, "dropped") for number in numbers)
    parts = total // _AT_ONCE + 1
    both = [part for at in range(parts) for part in _in_both(job, at, parts)]
    names = frozenset(int(name) for name in both)
    if not names:
        return 0
    wanted = np.fromiter(names, dtype=np.uint64)
    again = [n for n in numbers if np.isin(_load(job, n, "dropped"), wanted).any()]
    for number in again:
        fetch_more(job, number, names)
    return len(again)


def _in_both(job: Job, at: int, parts: int) -> Iterator[int]:
    kept, dropped = (_all(job, which, at, parts) for which in ("names", "dropped"))
    yield from np.intersect1d(kept, dropped).tolist()


def _all(job: Job, which: str, at: int, parts: int) -> Hashes:
    found = [_load(job, number, which) for number in range(len(job.export.files))]
    mine = [hashes[hashes % np.uint64(parts) == at] for hashes in found] if parts > 1 else found
    return np.unique(np.concatenate([np.empty(0, np.uint64), *mine]))


def _load(job: Job, number: int, which: str) -> Hashes:
    path = job.spill(number).with_suffix(f".{which}")
    hashes: Hashes = np.load(path, mmap_mode="r", allow_pickle=False)
    return hashes


def _size(job: Job, number: int, which: str) -> int:
    return int(_load(job, number, which).size)
