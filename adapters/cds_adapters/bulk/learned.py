"""A version is too good on the records that it was learned from; its evidence tells whether it was.

The evidence of a fit names the records behind its table by the digest that a replay's manifest
has, whatever the files are called.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from cds_adapters.bulk.job import BundleFiles, read_rules
from cds_engine.fit.learned_from import EVIDENCE, learned_from

Learned = Literal["here", "elsewhere", "unknown", "not fitted"]


def learned_here(files: BundleFiles, digest: str) -> Learned:
    """Return whether a version was learned from the records with a digest."""
    known = learned_from(dict(files).get(EVIDENCE))
    if known is None:
        return "not fitted"
    if not known.records:
        return "unknown"
    return "here" if known.records == digest else "elsewhere"


def too_good(bundles: Sequence[BundleFiles], digest: str) -> Iterator[str]:
    """Yield a warning for each version that was learned from the records with a digest."""
    for name in _names(bundles, digest, "here"):
        yield (
            f"the version {name} was learned from these very records, so that its value here is "
            "too good; replay it on patients that it was not learned from"
        )


def not_known(bundles: Sequence[BundleFiles], digest: str) -> Iterator[str]:
    """Yield a remark for each version of which only its makers know what it was learned from."""
    for name in _names(bundles, digest, "unknown"):
        yield (
            f"It is not known whether {name} was learned from these records, as its evidence does "
            "not name any; if it was, its value here is too good."
        )


def _names(bundles: Sequence[BundleFiles], digest: str, state: Learned) -> list[str]:
    rules = zip(bundles, read_rules(tuple(bundles)), strict=True)
    names = [bundle.identity for files, bundle in rules if learned_here(files, digest) == state]
    return list(dict.fromkeys(names))
