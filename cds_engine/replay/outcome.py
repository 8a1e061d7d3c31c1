"""The outcome is the aim's variable, measured nearest to its horizon, or the reason there is none.

It is looked up in what the record came to hold in the end; no measurement from before the decision
is part of it. A derived outcome is derived from what is found in this way of each of its inputs.
What ``OutcomeFinder`` says of one decision is the referee of ``at_once.outcome``, which answers for
all.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msgspec import structs

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.scalar import complete, missing_inputs
from cds_engine.history.elapsed import is_vague
from cds_engine.history.event import Event, Person, Record, Time, time_of
from cds_engine.history.extract import HistoryTaker, gap_keys_of
from cds_engine.history.gaps import first_gap
from cds_engine.history.observations import observed
from cds_engine.history.person import deceased
from cds_engine.history.reading import USUAL_STATUSES
from cds_engine.history.value import Finding, Known, Missing
from cds_engine.replay.settings import ReplaySettings, later
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.time import HOUR, Instant, parse_duration
from cds_engine.vocabulary.value import Scalar, Span
from cds_engine.vocabulary.variable import Variable

KNOWN = "known"
RANGE = "range"
"""The state of a number that is known only to lie between two others."""

PENDING = "pending"
"""The state of an outcome whose time had not come when the records ended."""

LONGEST_DAY = 25 * HOUR
"""A day on which clocks are put back; nothing that is dated to the day lasts longer."""

_OF_PERSON = frozenset({"patient.age", "patient.sex"})
"""Sources that are known of the dead, and beyond the end of the records."""

_LASTING = frozenset({"present", "ever"})
"""Aggregates that are true once something has happened, whatever happens to the patient then."""


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


class Series(NamedTuple):
    """The readings of one measurement, in order of time.

    Attributes:
        starts: when each was, its first instant.
        gap: whether the search for them is known to be incomplete.
    """

    starts: list[Instant]
    events: list[Event]
    gap: bool


class Readings(NamedTuple):
    """What of one record can be the outcome.

    Attributes:
        measured: each measurement that the outcome rests on -> its readings.
        dated: for what is no measurement, what the record came to hold, each as if it had been on
            record at once: what was late counts as well.
        vague: the same, of what is dated to no day; when it was recorded still matters.
    """

    measured: dict[str, Series]
    dated: list[Event]
    vague: list[Event]


_Told = tuple[Finding, Instant]
"""What is found of a variable, and when that was."""


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
        inputs = inputs_of(bundle, self.name)
        self._measures = {n: v for n, v in inputs.items() if v.source == "observation"}
        others = {n: v for n, v in inputs.items() if v.source != "observation"}
        self._taker = HistoryTaker(others, bundle.actions)
        self._gap_keys = {n: gap_keys_of(n, v, ()) for n, v in self._measures.items()}
        self._named: dict[tuple[str, ...], dict[tuple[str, ...], bool]] = {}

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
        measured = {n: self._series(n, v, record, events) for n, v in self._measures.items()}
        if not self._taker.variables:
            return Readings(measured, [], [])
        vague = [event for event in events if is_vague(time_of(event))]
        dated = [_at_once(event) for event in events if not is_vague(time_of(event))]
        return Readings(measured, dated, vague)

    def _series(
        self, name: str, variable: Variable, record: Record, events: Sequence[Event]
    ) -> Series:
        found = self.counting(variable, events)
        found.sort(key=lambda event: (time_of(event).start, event.source))
        starts = [time_of(event).start for event in found]
        return Series(starts, found, self.gap(name, record.gaps))

    def counting(self, variable: Variable, events: Sequence[Event]) -> list[Event]:
        """Return the observations that tell of a variable, whether or not they can be used."""
        wanted = variable.codes
        named = self._named.setdefault(wanted, {})
        statuses = variable.status or USUAL_STATUSES
        found = []
        for event in events:
            if event.kind == "observation":
                codes = event.codes
                if codes not in named:
                    named[codes] = not set(wanted).isdisjoint(codes)
                # as `measure` has it: a reading without a value, or a trouble with it, is none
                some = event.value is not None or event.problem
                if named[codes] and some and event.status in statuses:
                    found.append(event)
        return found

    def gap(self, name: str, gaps: Mapping[str, str]) -> bool:
        """Say whether the search for readings of a measurement is known to be incomplete.

        Every gap counts that there ever was. One begins when what is missing was both true and on
        record, so that of one that begins after the horizon nothing tells whether it is a reading
        from then that came late; and what came late is looked up as well.
        """
        return bool(gaps) and first_gap(gaps, self._gap_keys[name]) is not None

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
        found = _of(*self._found(record, readings, as_of, target))
        if found.state in ("absent", "stale"):
            last = later(target, self.settings.tolerance) if self._measures else target
            if record.person.died is not None and deceased(record.person, last):
                return Measured(None, "deceased")
            until = self.settings.data_until
            if until is not None and last > until:
                return Measured(None, PENDING)
        return found

    def _found(self, record: Record, readings: Readings, as_of: Instant, target: Instant) -> _Told:
        told = {
            name: self._measured(self._measures[name], series, as_of, target)
            for name, series in readings.measured.items()
        }
        stated = self._stated(record, readings, target)
        told |= {name: (finding, target) for name, finding in stated.items()}
        return told[self.name] if self.name in told else self._derived(told, target)

    def _measured(
        self, variable: Variable, series: Series, as_of: Instant, target: Instant
    ) -> _Told:
        """Take a measurement by its own definition at the reading nearest to the horizon.

        A reading that is dated to the day counts if any of its day is within the tolerance.
        """
        if series.gap:
            return Missing("incomplete", ""), target
        tolerance, starts = self.settings.tolerance, series.starts
        low = tolerance.before(target)
        after = bisect_right(starts, as_of)
        first = max(after, bisect_left(starts, low - LONGEST_DAY))
        last = bisect_right(starts, later(target, tolerance))
        within = [n for n in range(first, last) if _begins_or_lasts(series.events[n], low)]
        if not within:
            return Missing("absent", ""), target
        nearest = min(within, key=lambda n: (abs(starts[n] - target), n))
        end = time_of(series.events[nearest]).end
        told = observed(variable, series.events[after:], Time(end, end), end)
        return told, starts[nearest]

    def _stated(self, record: Record, readings: Readings, target: Instant) -> dict[str, Finding]:
        """Take what is no measurement as of the horizon itself.

        What is dated to no day, and was not on record by the horizon, may have come after it. Only
        what is true with it as well as without it is known.
        """
        if not self._taker.variables:
            return {}
        may_be = [event for event in readings.vague if _is_open(event, target)]
        was = [_at_once(event) for event in readings.vague if not _is_open(event, target)]
        sure = self._taken(record, [*readings.dated, *was], target)
        if may_be:
            by_then = [structs.replace(event, recorded=target) for event in may_be]
            most = self._taken(record, [*readings.dated, *was, *by_then], target)
            sure = {name: _common(finding, most[name]) for name, finding in sure.items()}
        return {name: self._lived(record.person, name, one, target) for name, one in sure.items()}

    def _lived(self, person: Person, name: str, finding: Finding, target: Instant) -> Finding:
        """Return what is found of a patient whose records and life reach the horizon.

        Of those who died before it, or are not followed so far, nothing is known by what is not on
        record; only of the dead that something had happened.
        """
        variable = self._taker.variables[name]
        if variable.source in _OF_PERSON:
            return finding
        until = self.settings.data_until
        if until is not None and target > until:
            return Missing("absent", "")
        if isinstance(finding, Missing):
            return finding
        if finding.value is True and variable.aggregate in _LASTING:
            return finding
        if person.died is not None and deceased(person, target):
            return Missing("absent", "")
        return Missing("unresolved", "") if _may_be_dead(person, target) else finding

    def _taken(
        self, record: Record, events: Sequence[Event], target: Instant
    ) -> Mapping[str, Finding]:
        known = Record(record.person, tuple(events), record.set_aside, record.gaps)
        return self._taker.take(known, target).findings

    def _derived(self, told: Mapping[str, _Told], target: Instant) -> _Told:
        """Derive the outcome from its inputs; without some of them it may still be certain."""
        base = {n: finding.value for n, (finding, _) in told.items() if type(finding) is Known}
        state = complete(self._bundle, base)
        value = state[self.name]
        if value is not None:
            times = [
                at for name, (_, at) in told.items() if name in self._measures and name in base
            ]
            return Known(value), max(times, default=target)
        lacking = missing_inputs(self._bundle, [self.name], state)
        reasons = [f.reason for f, _ in map(told.__getitem__, lacking) if isinstance(f, Missing)]
        # what was not measured at all says whether the patient died before, or it is too early
        reasons.sort(key=lambda reason: reason not in ("absent", "stale"))
        return Missing(reasons[0] if reasons else "unresolved", ""), target


def _of(finding: Finding, at: Instant) -> Measured:
    if isinstance(finding, Missing):
        return Measured(None, finding.reason)
    if isinstance(finding.value, Span):
        return Measured(None, RANGE)
    return Measured(finding.value, KNOWN, at)


def inputs_of(bundle: RuleBundle, name: str) -> dict[str, Variable]:
    """Return the variables read from records that a variable rests on; itself if it is one."""
    reads = {derived.name: derived.reads for derived in bundle.derived}
    layer, found = {name}, set[str]()
    while layer:
        found |= layer
        layer = {read for one in layer for read in reads.get(one, ())} - found
    return {n: v for n, v in bundle.base_variables.items() if n in found}


def _begins_or_lasts(event: Event, low: Instant) -> bool:
    """Say whether an event begins at an instant or later, or is dated to a day not over then."""
    time = time_of(event)
    return time.start >= low or (time.precision == "day" and time.end >= low)


def _at_once(event: Event) -> Event:
    """Return an event as if it had been on record from when it was; undated it stays as it is."""
    if event.time is None or event.recorded <= event.time.start:
        return event
    return structs.replace(event, recorded=event.time.start)


def _is_open(event: Event, target: Instant) -> bool:
    """Say of an event dated to no day whether it leaves open if it was before the horizon."""
    time = time_of(event)
    return event.recorded > target and time.start <= target < time.end


def _common(without: Finding, having: Finding) -> Finding:
    """Return what is found in either case, if that is the same."""
    if isinstance(without, Known) and isinstance(having, Known) and without.value == having.value:
        return having
    if isinstance(without, Missing) and isinstance(having, Missing):
        return having
    return Missing("unresolved", "")


def _may_be_dead(person: Person, at: Instant) -> bool:
    """Say whether the patient may have died by an instant, though it is not certain."""
    if person.died is None:
        return person.deceased
    return is_vague(person.died) and person.died.start <= at
