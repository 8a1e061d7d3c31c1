"""What a replay is told: where the decision points are, and what counts as action and outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import MAXYEAR, UTC, datetime
from functools import lru_cache
from typing import Literal

from cds_engine.bundle.document import Aim
from cds_engine.errors import CDSError
from cds_engine.vocabulary.code import SYSTEMS
from cds_engine.vocabulary.time import (
    Duration,
    Instant,
    instant,
    iso,
    moment,
    months_before,
    parse_duration,
)


class ReplayError(CDSError):
    """A replay that cannot be run as it is asked for."""


_HORIZON_FROM: Mapping[bool | None, str | None] = {None: None, True: "start", False: "decision"}

AT_ONCE = Duration()
THIRTY_DAYS = parse_duration("P30D")

LAST: Instant = instant(datetime.max.replace(tzinfo=UTC))
"""The calendar's last instant; nothing is later."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """Everything that a row of the decision-point table depends on besides data and rule bundle.

    Attributes:
        points: one decision point for each encounter, or for each instant of a fixed schedule.
        classes: codes of encounter classes (``act|AMB``) that count; all where empty.
        types: codes of encounter types (``snomed|185349003``) that count; all where empty.
        end: the end of the encounter is the instant of the decision, rather than its start.
        offset: how long after that the decision is made.
        first, last, every: the schedule: its first and last instant, and the step between.
        window: how long after the decision an action counts as the one taken.
        horizon: how long after the decision the outcome is measured; the aim's ``at`` if None.
        from_start: the horizon counts from the patient's first decision point at a stage, rather
            than from each decision; as the aim says if None.
        tolerance: how far before or after the horizon a measurement of the outcome counts.
        data_until: when the records end; what lies after it is not yet observable.
        recheck: the share of rows that the scalar evaluator decides a second time.
        seed: draws those rows.
    """

    points: Literal["encounter", "schedule"] = "encounter"
    classes: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    end: bool = False
    offset: Duration = AT_ONCE
    first: Instant | None = None
    last: Instant | None = None
    every: Duration | None = None
    window: Duration = THIRTY_DAYS
    horizon: Duration | None = None
    from_start: bool | None = None
    tolerance: Duration = THIRTY_DAYS
    data_until: Instant | None = None
    recheck: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.points == "schedule" and None in (self.first, self.last, self.every):
            raise ReplayError(
                "a schedule of decision points needs its first instant, its last and the step; "
                "give all three"
            )
        if self.every is not None and self.every == AT_ONCE:
            raise ReplayError("the step of the schedule is no time at all; give one, such as P3M")
        if not 0 <= self.recheck <= 1:
            raise ReplayError(f"the share to check again is {self.recheck}; give one from 0 to 1")

    def settled_by(self, aim: Aim) -> "ReplaySettings":
        """Return the settings with what they leave to the aim: where its horizon counts from."""
        if self.from_start is not None:
            return self
        return replace(self, from_start=aim.counts_from == "start")

    def plain(self) -> dict[str, object]:
        """Return the settings as JSON-ready data, for the manifest."""
        return {
            "points": self.points,
            "classes": list(self.classes),
            "types": list(self.types),
            "instant": "end" if self.end else "start",
            "offset": str(self.offset),
            "first": _iso(self.first),
            "last": _iso(self.last),
            "every": None if self.every is None else str(self.every),
            "window": str(self.window),
            "horizon": None if self.horizon is None else str(self.horizon),
            "horizon_from": _HORIZON_FROM[self.from_start],
            "tolerance": str(self.tolerance),
            "data_until": _iso(self.data_until),
            "recheck": self.recheck,
            "seed": self.seed,
        }


def _iso(at: Instant | None) -> str | None:
    return None if at is None else iso(at)


def encounter_code(text: str, system: str) -> str:
    """Write the code of an encounter's class or type; a bare one is of ``system``.

    >>> encounter_code("AMB", "act"), encounter_code("snomed|1", "act")
    ('act|AMB', 'snomed|1')
    """
    if system not in SYSTEMS:
        raise ValueError(f"{system!r} is no short name of a code system")
    return text if "|" in text else f"{system}|{text}"


def later(at: Instant, by: Duration) -> Instant:
    """Return the instant that much later: calendar months first, then the exact rest.

    What would be after the calendar's last instant is that instant.
    """
    return min((_months_later(at, by.months) if by.months else at) + by.exact, LAST)


@lru_cache(maxsize=65_536)
def _months_later(at: Instant, months: int) -> Instant:
    """Count months; the points of a schedule ask the same of every patient."""
    now = moment(at)
    if now.year * 12 + now.month - 1 + months >= 12 * (MAXYEAR + 1):
        return LAST
    return months_before(at, -months)
