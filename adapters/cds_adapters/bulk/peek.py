"""A block of lines that are all of one type is judged by its different codes, not line by line.

Most lines of an export are measurements that no rule bundle reads. They are decoded, so that a
damaged one is found, and counted; nothing else is done with them. Whatever is not plain about a
block is left to the slower way, which looks at each line.
"""

from collections import Counter
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec import Raw, Struct
from numpy.typing import NDArray

from cds_adapters.bulk.judge import Judge
from cds_adapters.bulk.labels import Reference, read_label

_ABSENT = Raw()
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_LINE_FEED, _OPEN, _CLOSE = b"\n{}"


class Peek(Struct, frozen=True, gc=False, rename="camel"):
    """What ``Label`` has, with the codes as they stand."""

    resource_type: str | None = None
    id: str | None = None
    subject: Reference | None = None
    patient: Reference | None = None
    medication_reference: Reference | None = None
    code: Raw = _ABSENT
    medication_codeable_concept: Raw = _ABSENT
    component: Raw = _ABSENT


_peek = msgspec.json.Decoder(Peek).decode_lines


@dataclass(frozen=True, slots=True)
class Block:
    """What a block of lines came to.

    Attributes:
        kind: the type of all its resources.
        lines: how many there are.
        dropped: ids of the resources that cannot matter.
        kept: the other lines, each with its place in the block.
    """

    kind: str
    lines: int
    dropped: list[str | None]
    kept: list[tuple[int, bytes]]


def look_at(block: bytes, judge: Judge) -> Block | None:
    """Judge a block of whole lines; None, and nothing is counted, where it is not plain."""
    array = np.frombuffer(block, np.uint8)
    feeds = np.flatnonzero(array == _LINE_FEED)
    if not _one_each(array, feeds):
        return None
    lines, ends = len(feeds), [-1, *feeds.tolist()]
    try:
        peeks = _peek(block)
    except _UNREADABLE:
        return None
    kind = peeks[0].resource_type if peeks else None
    if len(peeks) != lines or kind is None or {p.resource_type for p in peeks} != {kind}:
        return None
    keys = [
        bytes(p.code)
        if p.component is _ABSENT and p.medication_codeable_concept is _ABSENT
        else None
        for p in peeks
    ]
    labels = {}
    try:
        for key in set(keys) - {None}:
            labels[key] = read_label(_line(block, ends, keys.index(key)))
    except _UNREADABLE:
        return None
    counts = Counter(keys)
    passed = set()
    for key, label in labels.items():
        judged = judge.judge(label)
        if judged.counts is False:
            judged.met += counts[key]
            passed.add(key)
    return Block(
        kind,
        lines,
        [p.id for p, key in zip(peeks, keys, strict=True) if key in passed],
        [(at, _line(block, ends, at)) for at, key in enumerate(keys) if key not in passed],
    )


def _one_each(array: NDArray[np.uint8], feeds: NDArray[np.intp]) -> bool:
    """Say whether each line begins and ends like an object, so that none reaches into the next.

    Then as many objects as lines means one in each.
    """
    if not len(feeds) or array[0] != _OPEN or feeds[0] == 0 or feeds[-1] != len(array) - 1:
        return False
    opened = (array[feeds[:-1] + 1] == _OPEN).all()
    return bool(opened and (array[feeds - 1] == _CLOSE).all())


def _line(block: bytes, ends: list[int], at: int) -> bytes:
    return block[ends[at] + 1 : ends[at + 1]]
