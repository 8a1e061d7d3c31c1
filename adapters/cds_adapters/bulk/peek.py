"""A block of lines that are all of one type is judged by its different codes, not line by line.

Most lines of an export are measurements that no rule bundle reads. They are decoded, so that a
damaged one is found, and counted; nothing else is done with them. Whatever is not plain about a
block is left to the slower way, which looks at each line.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Raw, Struct
from numpy.typing import NDArray

from cds_adapters.bulk.judge import Judge
from cds_adapters.bulk.labels import Reference, read_label

_ABSENT = Raw()
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_OPEN, _CLOSE = b"{}"

Places = NDArray[np.intp]


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


class Kept(NamedTuple):
    """A line that can matter.

    Attributes:
        at: its place in the block.
        data: the line.
        peek: what was seen of it, where its codes alone say that it can matter; None where it
            must be looked at by itself.
    """

    at: int
    data: bytes
    peek: Peek | None


@dataclass(frozen=True, slots=True)
class Block:
    """What a block of lines came to.

    Attributes:
        kind: the type of all its resources.
        lines: how many there are.
        dropped: ids of the resources that cannot matter.
        kept: the other lines.
    """

    kind: str
    lines: int
    dropped: list[str | None]
    kept: list[Kept]


def look_at(block: bytes | memoryview, feeds: Places, judge: Judge) -> Block | None:
    """Judge a block of whole lines; None, and nothing is counted, where it is not plain.

    Args:
        block: the lines.
        feeds: where their line feeds are.
        judge: says what can matter.
    """
    if not _one_each(np.frombuffer(block, np.uint8), feeds):
        return None
    try:
        peeks = _peek(block)
    except _UNREADABLE:
        return None
    kind = peeks[0].resource_type if peeks else None
    if len(peeks) != len(feeds) or kind is None or {p.resource_type for p in peeks} != {kind}:
        return None
    keys = [
        bytes(p.code)
        if p.component is _ABSENT and p.medication_codeable_concept is _ABSENT
        else _key(p)
        for p in peeks
    ]
    counts = Counter(keys)
    try:
        labels = {
            key: read_label(_line(block, feeds, keys.index(key)))
            for key in counts
            if key is not None
        }
    except _UNREADABLE:
        return None
    passed: set[bytes | None] = set()
    for key, label in labels.items():
        judged = judge.judge(label)
        if judged.counts is False:
            judged.met += counts[key]
            passed.add(key)
    flags = list(map(passed.__contains__, keys))
    return Block(
        kind,
        len(peeks),
        [peek.id for peek in compress(peeks, flags)],
        [
            Kept(at, _line(block, feeds, at), None if keys[at] is None else peeks[at])
            for at in _others(flags)
        ],
    )


def _key(peek: Peek) -> bytes | None:
    """Return what is judged of a resource at once with others; None where it is by itself.

    The parts of a panel carry their values with their codes, so that hardly two are alike.
    """
    if peek.component is not _ABSENT:
        return None
    # an object begins with a brace, so that no code stands for a medication
    return b"m%s%s" % (bytes(peek.code), bytes(peek.medication_codeable_concept))


def _one_each(array: NDArray[np.uint8], feeds: Places) -> bool:
    """Say whether each line begins and ends like an object, so that none reaches into the next.

    Then as many objects as lines means one in each.
    """
    if not len(feeds) or array[0] != _OPEN or feeds[0] == 0 or feeds[-1] != len(array) - 1:
        return False
    opened = (array[feeds[:-1] + 1] == _OPEN).all()
    return bool(opened and (array[feeds - 1] == _CLOSE).all())


def _others(flags: list[bool]) -> list[int]:
    """Return where there is no flag."""
    found: list[int] = np.flatnonzero(~np.array(flags, dtype=np.bool_)).tolist()
    return found


def _line(block: bytes | memoryview, feeds: Places, at: int) -> bytes:
    return bytes(block[feeds[at - 1] + 1 if at else 0 : feeds[at]])
