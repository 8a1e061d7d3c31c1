"""A finding is a value with its provenance, or the reason why there is none."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.value import Scalar, State

MissingReason = Literal[
    "absent",        # nothing on record, and the search was complete
    "stale",         # there is something, but too long ago
    "unit",          # a number without a usable unit
    "implausible",   # outside the variable's plausible range
    "conflicting",   # readings at one instant that contradict each other
    "incomplete",    # the search was truncated or failed; not the same as none found
    "unresolved",    # recorded in a way that leaves open what is true
]  # fmt: skip


class Reading(Struct, frozen=True, gc=False):
    """One source of a value: where it stands and when it was true (day or instant)."""

    source: str
    start: Instant | None
    end: Instant | None


class Known(Struct, frozen=True, gc=False):
    """A value with what it rests on.

    Attributes:
        value: in the variable's unit, rounded to its digits.
        readings: the sources it was computed from.
        note: how it came about, in words, where that is not plain.
    """

    value: Scalar
    readings: tuple[Reading, ...] = ()
    note: str = ""


class Missing(Struct, frozen=True, gc=False):
    """No value, and why.

    Attributes:
        reason: one of the fixed reasons.
        detail: in words, with the cure where there is one; holds no patient value.
        readings: sources that were looked at and could not be used.
        last: when something usable was last known; None if never.
    """

    reason: MissingReason
    detail: str
    readings: tuple[Reading, ...] = ()
    last: Instant | None = None


Finding = Known | Missing


class History(Struct, frozen=True, gc=False):
    """H_t: what was known about a patient at one instant, in a rule bundle's own variables.

    Attributes:
        as_of: the instant.
        findings: every variable that is not derived -> its value or the reason it has none.
        deceased: True where the record says that the patient had died by then.
        set_aside: source records that were not used, and why.
    """

    as_of: Instant
    findings: Mapping[str, Finding]
    deceased: bool = False
    set_aside: tuple[tuple[str, str], ...] = ()

    def state(self) -> State:
        """Return the values alone, None where missing."""
        return {
            name: found.value if isinstance(found, Known) else None
            for name, found in self.findings.items()
        }
