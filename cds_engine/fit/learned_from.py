"""What a version was learned from stands in its evidence, so that nobody takes it for new patients.

A version is valued too well on the patients from whom it was learned.
"""

import json
from dataclasses import dataclass
from typing import Any

EVIDENCE = "evidence.json"
"""The file of a rule bundle in which it stands."""


@dataclass(frozen=True, slots=True)
class LearnedFrom:
    """What the evidence of a fit names; empty where it does not say.

    Attributes:
        table: SHA-256 of the table.
        records: digest of the records that the table was made from, as a replay's manifest has it.
    """

    table: str = ""
    records: str = ""

    def is_of(self, table: str, records: str) -> bool:
        """Say whether data with these digests are known to be those that it was learned from."""
        return (bool(table) and table == self.table) or (bool(records) and records == self.records)


def learned_from(evidence: bytes | None) -> LearnedFrom | None:
    """Return what the fit behind a version names as its data.

    Args:
        evidence: what ``evidence.json`` holds; None where there is none. Whoever writes a rule
            bundle by hand may put anything there: of another form it names no data.

    Returns:
        None for a version without evidence, which was not fitted.
    """
    if evidence is None:
        return None
    try:
        held = json.loads(evidence)
    except ValueError:
        return LearnedFrom()
    data = held.get("data") if isinstance(held, dict) else None
    told = data if isinstance(data, dict) else {}
    return LearnedFrom(_text(told.get("digest")), _text(told.get("records")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
