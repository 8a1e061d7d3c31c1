"""A line that cannot be used is set aside with its place and the reason, where it can be mended."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import msgspec

SHOWN = 2_000
"""Characters of a damaged line that are kept."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One damaged line.

    Attributes:
        file, line, entry: where it stands; the entry is -1 outside Bundles.
        reason: why, in words that hold no patient value.
        attributed: whether it names its patient, who then has a gap in the record.
        text: the line itself, cut short. The file of rejects holds patients' data, as the
            export does.
    """

    file: str
    line: int
    entry: int
    reason: str
    attributed: bool
    text: str

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        entry = f", entry {self.entry}" if self.entry >= 0 else ""
        return f"{self.file}:{self.line}{entry}"


def reject(
    file: str, line: int, entry: int, reason: str, data: bytes, *, attributed: bool
) -> Reject:
    """Set a line aside."""
    text = data[: SHOWN * 4].decode("utf-8", errors="backslashreplace")[:SHOWN]
    return Reject(file, line, entry, reason, attributed, text)


def as_lines(rejects: Iterable[Reject]) -> bytes:
    """Write rejects as NDJSON in the order of their places."""
    ordered = sorted(rejects, key=lambda r: (r.file, r.line, r.entry, r.reason))
    return b"".join(msgspec.json.encode(asdict(one)) + b"\n" for one in ordered)
