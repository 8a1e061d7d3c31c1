"""What one file, or a part of one, came to when it was scanned; it is kept beside what it left.

The report is written last: where there is none, the file has not been scanned to its end.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cds_adapters.bulk.job import Job
from cds_adapters.bulk.rejects import Reject
from cds_adapters.bulk.spill import Block
from cds_engine.vocabulary.time import Instant

Day = tuple[int, Instant]
"""How many encounters ended on a day, and the last instant of them."""


def add_days(found: dict[int, Day], more: Mapping[int, Day]) -> None:
    """Add the days of some encounters to those of others."""
    for day, (count, last) in more.items():
        held, at = found.get(day, (0, last))
        found[day] = (held + count, max(at, last))


@dataclass
class Scanned:
    """What one file came to.

    Attributes:
        sha256: of the file as it stands.
        lines: lines that are not empty, entries of Bundles, rows of Parquet files.
        ends: how many lines there are, empty ones too, of a file of lines.
        kept: how many of them can matter, by type of resource.
        types: how many there are, by type of resource.
        blocks: where the shards stand in the file's spill.
        rejects: damaged lines.
        cut: why it is known to end too early; empty if it is not.
        cut_line: the line in which it ends, where that is in the middle of one.
        refused: failures that the server reported in the export itself.
        days: days since 1970 -> the encounters that ended then, or began if they have no end.
        days_beyond: the same of encounters that the server stored before they ended.
        visit_codes: class or type of encounters -> how many; only where some are chosen by it.
        deleted: ``Type/id`` of resources that were deleted -> when; None where nothing says when.
        deleted_unclear: deletions that do not name one resource.
        merged: Patient resources that another one took the place of.
        inactive: other Patient resources that are no longer in use.
        unmapped: ``type code`` -> how often the code was met where it does not count.
        unread: type -> how many resources have codes, none of which counts.
        elsewhere: type -> how many of these have no code of a system that anything is read of.
        timed: rows of events that say when they were.
        long_before: how many of them were recorded long before that.
        mapped: those of the site's local codes that were met.
    """

    sha256: str = ""
    lines: int = 0
    ends: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)
    blocks: list[Block] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    cut: str = ""
    cut_line: int = 0
    refused: int = 0
    days: dict[int, Day] = field(default_factory=dict)
    days_beyond: dict[int, Day] = field(default_factory=dict)
    visit_codes: Counter[str] = field(default_factory=Counter)
    deleted: dict[str, Instant | None] = field(default_factory=dict)
    deleted_unclear: int = 0
    merged: int = 0
    inactive: int = 0
    unmapped: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    elsewhere: Counter[str] = field(default_factory=Counter)
    timed: int = 0
    long_before: int = 0
    mapped: list[str] = field(default_factory=list)

    @property
    def short(self) -> str:
        """Why it is known to end too early, with the line; empty if it is not."""
        return f"line {self.cut_line} {self.cut}" if self.cut_line else self.cut


# a Counter is no type that msgspec knows
_scanned = msgspec.json.Decoder(Scanned, dec_hook=lambda _, counts: Counter(counts))


def read_report(spill: Path) -> Scanned:
    """Return what a file came to; nothing, if it has not been scanned to its end."""
    path = spill.with_suffix(".json")
    return _scanned.decode(path.read_bytes()) if path.exists() else Scanned()


def is_scanned(job: Job, number: int) -> bool:
    """Say whether a part has been scanned to its end."""
    return job.spill(number).with_suffix(".json").exists()
