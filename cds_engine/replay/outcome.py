"""The outcome is the aim's variable, measured nearest to its horizon, or the reason there is none.

It is looked up in what the record came to hold in the end, and never before the decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import structs

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.scalar import complete
from cds_engine.history.event import Event, Record, time_of
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.person import deceased
from cds_engine.history.reading import USUAL_STATUSES, measure
from cds_engine.history.value import Finding, Known, Missing
from cds_engine.replay.settings import ReplaySettings, later
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.time import Duration, Instant, parse_duration
from cds_engine.vocabulary.value import Scalar, Span
from cds_engine.vocabulary.variable import Variable

KNOWN = "known"
RANGE = "range"
"""The state of a number that is known only to lie between two others."""

PENDING = "pending"
"""The state of an outcome whose time had not come when the records ended."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The outcome at one decision point.

    Attributes:
        value: in the variable's unit; None unless the state is ``known``.
        state: ``known``, ``range``, one of the reasons of a missing value, ``pending``,
            ``deceased`` (died before the horizon, nothing measured), ``no-horizon`` or
            ``no-variable``.
        at: when it was measured; None where it was not.
    """

    value: Scalar | None
    state: str
    at: Instant | None = None


class OutcomeFinder:
    """Finds the outcome of one regime."""

    def __init__(self, bundle: RuleBundle, settings: ReplaySettings) -> None:
        aim = bundle.document.aim
        self.name = aim.outcome
        self.horizon = settings.horizon or (parse_duration(aim.at) if aim.at else None)
        self._bundle = bundle
        self._settings = settings
        self._variable = bundle.variables.get(aim.outcome)
        self._taker = HistoryTaker(bundle.base_variables, bundle.actions)

    @property
    def kind(self) -> Kind | None:
        """The type of the outcome; None where the aim names no variable."""
        return self._bundle.kinds.get(self.name)

    def find(
        self, record: Record, events: Sequence[Event], as_of: Instant, start: Instant
    ) -> Measured:
        """Return the outcome of a decision.

        Args:
            record: the patient's whole record.
            events: what it came to hold, newest versions only.
            as_of: the instant of the decision.
            start: where the horizon counts from.
        """
        if self._variable is None:
            return Measured(None, "no-variable")
        if self.horizon is None:
            return Measured(None, "no-horizon")
        target = later(start, self.horizon)
        tolerance = self._settings.tolerance
        last = later(target, tolerance)
        found = self._measured(record, events, as_of, target, tolerance)
        if found.state in ("absent", "stale"):
            if record.person.died is not None and deceased(record.person, last):
                return Measured(None, "deceased")
            until = self._settings.data_until
            if until is not None and last > until:
                return Measured(None, PENDING)
        return found

    def _measured(
        self,
        record: Record,
        events: Sequence[Event],
        as_of: Instant,
        target: Instant,
        tolerance: Duration,
    ) -> Measured:
        variable = self._variable
        if variable is None or variable.source != "observation":
            return self._stated(record, events, target)
        after = [e for e in events if _counts(e, variable) and time_of(e).start > as_of]
        first, last = tolerance.before(target), later(target, tolerance)
        inside = [e for e in after if first <= time_of(e).start <= last]
        if not inside:
            return Measured(None, "absent")
        nearest = min(inside, key=lambda e: (abs(time_of(e).start - target), time_of(e).start))
        at = time_of(nearest).end
        known = [structs.replace(e, recorded=min(e.recorded, time_of(e).start)) for e in after]
        taker = HistoryTaker({self.name: variable}, {})
        person = Record(record.person, tuple(known), (), record.gaps)
        return _of(taker.take(person, at).findings[self.name], time_of(nearest).start)

    def _stated(self, record: Record, events: Sequence[Event], target: Instant) -> Measured:
        """Take a variable that is no measurement as of the horizon itself."""
        until = self._settings.data_until
        if until is not None and target > until:
            return Measured(None, "absent")
        known = [structs.replace(e, recorded=min(e.recorded, time_of(e).start)) for e in events]
        history = self._taker.take(
            Record(record.person, tuple(known), record.set_aside, record.gaps), target
        )
        if self.name in history.findings:
            return _of(history.findings[self.name], target)
        value = complete(self._bundle, history.state())[self.name]
        return _of(Missing("unresolved", "") if value is None else Known(value), target)


def _counts(event: Event, variable: Variable) -> bool:
    if event.kind != "observation" or not set(variable.codes).intersection(event.codes):
        return False
    if event.status not in (variable.status or USUAL_STATUSES):
        return False
    return measure(event, variable) is not None


def _of(finding: Finding, at: Instant) -> Measured:
    if isinstance(finding, Missing):
        return Measured(None, finding.reason)
    if isinstance(finding.value, Span):
        return Measured(None, RANGE)
    return Measured(finding.value, KNOWN, at)
