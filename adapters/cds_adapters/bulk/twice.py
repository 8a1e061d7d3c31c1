"""A version that no code of it keeps still takes the place of an earlier one that is kept.

A scan keeps a resource by its codes. Where another version of the same resource has other codes,
it is fetched after all, because it may be the newer one. Exports seldom hold such a pair.
"""

import numpy as np

from cds_adapters.bulk.job import Job
from cds_adapters.bulk.names import Hashes, Held
from cds_adapters.bulk.scan import fetch_more

_AT_ONCE = 40_000_000
"""Hashes of what is kept that are held at once; eight bytes each, and twice that to sort them."""


def fetch_other_versions(job: Job) -> int:
    """Fetch the versions that were not kept of resources that were; return from how many parts."""
    numbers = range(len(job.parts))
    parts = sum(_load(job, number, "names").size for number in numbers) // _AT_ONCE + 1
    names: set[int] = set()
    again: set[int] = set()
    for part in range(parts):
        held = Held(_kept(job, part, parts))
        for number in numbers:
            both = held.among(_load(job, number, "dropped"))
            names.update(both.tolist())
            again |= {number} if both.size else set()
    for number in sorted(again):
        fetch_more(job, number, frozenset(names))
    return len(again)


def _kept(job: Job, part: int, parts: int) -> Hashes:
    """Return one part of the hashes of what is kept."""
    found = [_load(job, number, "names") for number in range(len(job.parts))]
    if parts > 1:
        found = [hashes[hashes % np.uint64(parts) == part] for hashes in found]
    return np.concatenate([np.empty(0, np.uint64), *found])


def _load(job: Job, number: int, which: str) -> Hashes:
    path = job.spill(number).with_suffix(f".{which}")
    hashes: Hashes = np.load(path, mmap_mode="r", allow_pickle=False)
    return hashes
