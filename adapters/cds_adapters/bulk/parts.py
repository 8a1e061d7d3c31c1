"""A large file of lines is read in parts, by as many processes as there are.

Where the parts are depends on the sizes of the files alone. A part is the lines that begin in it.
The digest of a file that has parts is a piece of work beside them: it needs all bytes in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from cds_adapters.bulk.scanned import Scanned, add_days
from cds_adapters.bulk.sources import DataFile, Export, Part, can_be_entered
from cds_adapters.fhir.deletions import add_deleted

SIZE = 2**27
"""Bytes that a part has at most."""


def parts_of(export: Export) -> tuple[Part, ...]:
    """Return every piece of work that reading an export is made of, in the order of its files."""
    return tuple(
        part for number, file in enumerate(export.files) for part in _parts(export, number, file)
    )


def _parts(export: Export, number: int, file: DataFile) -> list[Part]:
    count = -(-file.size // SIZE)
    lines = file.kind == "ndjson" and not file.packing
    if count < 2 or not lines or not can_be_entered(export.address):
        return [Part(number)]
    ends = [file.size * n // count for n in range(count + 1)]
    cut = [Part(number, start, end) for start, end in pairwise(ends)]
    return [*cut, Part(number, digest=True)]


@dataclass(frozen=True, slots=True)
class Together:
    """What the parts of an export came to.

    Attributes:
        files: what each file came to; lines are counted from its start.
        before: part by part, how many lines of its file stand before it.
    """

    files: list[Scanned]
    before: tuple[int, ...]


def together(parts: Sequence[Part], scans: Sequence[Scanned]) -> Together:
    """Put together what parts came to, each told in the lines of its own."""
    files: list[Scanned] = []
    before: list[int] = []
    for part, scan in zip(parts, scans, strict=True):
        if part.file == len(files):
            files.append(Scanned())
        before.append(files[part.file].ends)
        _add(files[part.file], scan)
    return Together(files, tuple(before))


def _add(file: Scanned, part: Scanned) -> None:
    """Add what the next part of a file came to; where its pieces are only the part itself knows."""
    earlier = file.ends
    file.sha256 = part.sha256 or file.sha256
    file.lines += part.lines
    file.ends += part.ends
    file.kept.update(part.kept)
    file.types.update(part.types)
    file.unmapped.update(part.unmapped)
    file.unread.update(part.unread)
    file.elsewhere.update(part.elsewhere)
    file.mapped = sorted({*file.mapped, *part.mapped})
    file.rejects += [replace(one, line=one.line + earlier) for one in part.rejects]
    file.refused += part.refused
    file.cut = part.cut or file.cut
    file.cut_line = part.cut_line + earlier if part.cut_line else file.cut_line
    file.visit_codes.update(part.visit_codes)
    file.deleted_unclear += part.deleted_unclear
    file.timed += part.timed
    file.long_before += part.long_before
    file.merged += part.merged
    file.inactive += part.inactive
    add_days(file.days, part.days)
    add_days(file.days_beyond, part.days_beyond)
    add_deleted(file.deleted, part.deleted)
