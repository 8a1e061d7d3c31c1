"""The outcome is the aim's variable, measured nearest to its horizon, or the reason there is none.

It is looked up in what the record came to hold in the end, and never before the decision. What
``OutcomeFinder`` says of one decision is the referee of ``at_once.outcome``, which answers for all.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from msgspec import structs

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.scalar import complete
from cds_engine.history.event import Event, Person, Record, Time, time_of
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.observations import observed
from cds_engine.history.person import deceased
from cds_engine.history.reading import USUAL_STATUSES
from cds_engine.history.value import Finding, Known, Missing
from cds_engine.replay.settings import ReplaySettings, later
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.time import Instant, parse_duration
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


class Readings(NamedTuple):
    """What of one record can be the outcome, in order of time.

    Attributes:
        starts: when each reading was, its first instant.
        gap: why the search for them is known to be incomplete; None if it is not.
    """

    starts: list[Instant]
    events: list[Event]
    gap: Missing | None


class OutcomeFinder:
    """Finds the outcome of one regime.

    Attributes:
        name: what the aim calls it.
        variable: its definition; None where the aim names no variable.
        horizon: how long after the decision it is measured; None where nothing says so.
        settings: the tolerance, and when the records end.
    """

    def __init__(self, bundle: RuleBundle, settings: ReplaySettings) -> None:
        aim = bundle.document.aim
        self.name = aim.outcome
        self.horizon = settings.horizon or (parse_duration(aim.at) if aim.at else None)
        self.variable = bundle.variables.get(aim.outcome)
        self.settings = settings
        self._bundle = bundle
        self._taker = HistoryTaker(bundle.base_variables, bundle.actions)
        self._gaps: dict[frozenset[str], Missing | None] = {frozenset(): None}
        self._named: dict[tuple[str, ...], bool] = {}

    @property
    def kind(self) -> Kind | None:
        """The type of the outcome; None where the aim names no variable."""
        return self._bundle.kinds.get(self.name)

    def readings(self, record: Record, events: Sequence[Event]) -> Readings:
        """Look for everything that can be the outcome, once for each patient.

        Args:
            record: the patient's whole record.
            events: what it came to hold, newest versions only.
        """
        variable = self.variable
        if variable is None:
            return Readings([], [], None)
        if variable.source != "observation":
            # each time as if it was on record at once: what was late counts as well
            known = [structs.replace(e, recorded=min(e.recorded, time_of(e).start)) for e in events]
            return Readings([], known, None)
        found = self.counting(variable, events)
        found.sort(key=lambda event: (time_of(event).start, event.source))
        return Readings([time_of(event).start for event in found], found, self.gap(record.gaps))

    def counting(self, variable: Variable, events: Sequence[Event]) -> list[Event]:
        """Return the observations that tell of the outcome, whether or not they can be used."""
        named = self._named
        statuses = variable.status or USUAL_STATUSES
        found = []
        for event in events:
            if event.kind == "observation":
                codes = event.codes
                if codes not in named:
                    named[codes] = not set(variable.codes).isdisjoint(codes)
                # as `measure` has it: a reading without a value, or a trouble with it, is none
                some = event.value is not None or event.problem
                if named[codes] and some and event.status in statuses:
                    found.append(event)
        return found

    def gap(self, gaps: Mapping[str, str]) -> Missing | None:
        """Return why the search for readings is known to be incomplete; None if it is not."""
        names = frozenset(gaps)
        if names not in self._gaps:  # the same searches failed for many patients
            variable = {} if self.variable is None else {self.name: self.variable}
            nothing = Record(Person(""), (), (), gaps)
            told = HistoryTaker(variable, {}).take(nothing, 0).findings.get(self.name)
            is_gap = isinstance(told, Missing) and told.reason == "incomplete"
            self._gaps[names] = cast("Missing", told) if is_gap else None
        return self._gaps[names]

    def find(self, record: Record, readings: Readings, as_of: Instant, start: Instant) -> Measured:
        """Return the outcome of a decision.

        Args:
            record: the patient's whole record.
            readings: what ``readings`` found in it.
            as_of: the instant of the decision.
            start: where the horizon counts from.
        """
        if self.variable is None:
            return Measured(None, "no-variable")
        if self.horizon is None:
            return Measured(None, "no-horizon")
        target = later(start, self.horizon)
        last = later(target, self.settings.tolerance)
        if self.variable.source == "observation":
            found = self._measured(self.variable, readings, as_of, target)
        else:
            found = self._stated(record, readings.events, target)
        if found.state in ("absent", "stale"):
            if record.person.died is not None and deceased(record.person, last):
                return Measured(None, "deceased")
            until = self.settings.data_until
            if until is not None and last > until:
                return Measured(None, PENDING)
        return found

    def _measured(
        self, variable: Variable, readings: Readings, as_of: Instant, target: Instant
    ) -> Measured:
        """Take a measurement by its own definition at the reading nearest to the horizon."""
        if readings.gap is not None:
            return Measured(None, readings.gap.reason)
        tolerance, starts = self.settings.tolerance, readings.starts
        after = bisect_right(starts, as_of)
        first = max(after, bisect_left(starts, tolerance.before(target)))
        last = bisect_right(starts, later(target, tolerance))
        if first >= last:
            return Measured(None, "absent")
        nearest = min(range(first, last), key=lambda n: (abs(starts[n] - target), n))
        end = time_of(readings.events[nearest]).end
        told = observed(variable, readings.events[after:], Time(end, end), end)
        return _of(told, starts[nearest])

    def _stated(self, record: Record, events: Sequence[Event], target: Instant) -> Measured:
        """Take a variable that is no measurement as of the horizon itself."""
        until = self.settings.data_until
        if until is not None and target > until:
            return Measured(None, "absent")
        known = Record(record.person, tuple(events), record.set_aside, record.gaps)
        history = self._taker.take(known, target)
        if self.name in history.findings:
            return _of(history.findings[self.name], target)
        value = complete(self._bundle, history.state())[self.name]
        return _of(Missing("unresolved", "") if value is None else Known(value), target)


def _of(finding: Finding, at: Instant) -> Measured:
    if isinstance(finding, Missing):
        return Measured(None, finding.reason)
    if isinstance(finding.value, Span):
        return Measured(None, RANGE)
    return Measured(finding.value, KNOWN, at)
