"""The action really taken is the catalogue action that the record shows soon after the decision.

An act is the encounter's own if the encounter wrote it by the decision (``Point.withheld``), or if
it names the encounter, or one that is part of it, and does not end before the encounter began. Own
or not, it counts up to the end of the window. What had begun before is what the history could know
of: done by then, and recorded by then.

What ``TakenFinder`` says of one point is the referee of ``at_once.taken``, which answers for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from cds_engine.bundle.model import RuleBundle
from cds_engine.history.event import Event, Record, time_of
from cds_engine.history.gaps import gap_keys, gap_starts
from cds_engine.history.person import dead_from
from cds_engine.history.select import VOID
from cds_engine.replay.points import ACTS, Patient, Point, enclosing, within
from cds_engine.replay.settings import ReplaySettings, later
from cds_engine.vocabulary.time import Instant

TakenState = Literal[
    "seen",        # one action is on record
    "unchanged",   # none is, and the stage has one option that changes nothing
    "none",        # none is, and the catalogue has no name for that
    "ambiguous",   # several are
    "unclear",     # a record leaves open whether it happened
    "incomplete",  # none that changes anything is, but the record is known to lack something
    "died",        # none is, and the patient died before the window ended
    "pending",     # none is, but the records end before the window does
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """What was done after a decision.

    Attributes:
        action: the action; None unless the state is ``seen`` or ``unchanged``.
        candidates: every action that is on record in the window, in the catalogue's order.
        sources: the records that show them.
    """

    state: TakenState
    action: str | None = None
    candidates: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Act(NamedTuple):
    """An event that shows actions of the catalogue, and when they were done.

    Attributes:
        at: when that was, at the latest: of a day, a month or a year when, within it, the record
            came to know of it.
        start: when that was, at the earliest: of a day its start, else the same.
        known: when the record came to know of it, in any version.
        event: the newest version.
        shown: the actions.
        encounters: the encounter that it names, and all that this is part of.
    """

    at: Instant
    start: Instant
    known: Instant
    event: Event
    shown: frozenset[str]
    encounters: frozenset[str] = frozenset()

    @property
    def counts_from(self) -> Instant:
        """The first instant at which a history could hold it."""
        return max(self.at, self.known)


class TakenFinder:
    """Finds the actions of one catalogue.

    Attributes:
        actions: the catalogue.
        choose: stage -> the actions that it offers.
        settings: the window, and when the records end.
    """

    def __init__(self, bundle: RuleBundle, settings: ReplaySettings) -> None:
        self.actions = bundle.actions
        self.choose = {stage.name: stage.choose for stage in bundle.stages}
        self.settings = settings
        self._seen_as = {code: name for name, a in bundle.actions.items() for code in a.seen_as}
        self._shown: dict[tuple[str, ...], frozenset[str]] = {}
        changing = [code for a in bundle.actions.values() if a.change for code in a.seen_as]
        self._gap_keys = frozenset(gap_keys(ACTS, changing))

    def acts(self, patient: Patient, held: Sequence[Event]) -> list[Act]:
        """Return everything that shows actions of the catalogue.

        Args:
            patient: the record and its encounters.
            held: what the record came to hold, newest versions only.
        """
        shown_by = self._shown
        found = []
        for event in held:
            if event.kind in ACTS:
                codes = event.codes
                shown = shown_by.get(codes)
                if shown is None:
                    # few groups of codes recur in all records; what they show is found out once
                    actions = {self._seen_as[code] for code in codes if code in self._seen_as}
                    shown = shown_by[codes] = frozenset(actions)
                if shown:
                    found.append((event, shown))
        if not found:
            return []
        known, whole = _first_known(patient.record, held), enclosing(patient, held)
        return [_act(patient, event, shown, known, whole) for event, shown in found]

    def lacking_from(self, record: Record) -> Instant | None:
        """Return from when on the record is known to lack what may show a change; None if never."""
        if self._gap_keys.isdisjoint(record.gaps):
            return None
        return min(since for key, since in gap_starts(record).items() if key in self._gap_keys)

    def find(
        self,
        patient: Patient,
        point: Point,
        stage: str | None,
        acts: Sequence[Act],
    ) -> Taken:
        """Return what was done at a point: what its encounter wrote, or the window after shows.

        An action that had begun before and that the stage does not offer is a repetition, no
        choice made here. Beside an action that changes something, one that does not is no choice
        either.
        """
        end = later(point.as_of, self.settings.window)
        choose = self.choose.get(stage or "", ())
        begun: set[str] = set()
        sources: dict[str, set[str]] = {}
        open_: set[str] = set()
        for act in acts:
            here = act.start <= end and (act.at > point.as_of or is_own(point, act))
            if here and act.event.status == "unknown":
                open_ |= act.shown
            elif here:
                for action in act.shown:
                    sources.setdefault(action, set()).add(act.event.source)
            elif act.counts_from <= point.as_of:
                begun |= act.shown
        counted = {a for a in sources if a in choose or a not in begun}
        unsure = {a for a in open_ if a in choose or a not in begun} - counted
        named, shown = self._named(counted, sources)
        if len(named) > 1:
            return Taken("ambiguous", None, named, shown)
        if unsure:
            return Taken("unclear", None, named, shown)
        since = self.lacking_from(patient.record)
        lacks = since is not None and since <= end
        if named and (self.actions[named[0]].change or not lacks):
            return Taken("seen", named[0], named, shown)
        if lacks:
            return Taken("incomplete", None, named, shown)
        return self._quiet(patient, choose, end)

    def _named(
        self, counted: set[str], sources: Mapping[str, set[str]]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the actions that count, in the catalogue's order, and what shows them."""
        counted = {a for a in counted if self.actions[a].change} or counted
        named = tuple(a for a in self.actions if a in counted)
        return named, tuple(sorted({source for action in named for source in sources[action]}))

    def _quiet(self, patient: Patient, choose: Sequence[str], end: Instant) -> Taken:
        """Return what it means that nothing was done by the end of the window."""
        dead = dead_from(patient.record.person)
        if dead is not None and dead <= end:
            return Taken("died")
        if self.settings.data_until is not None and end > self.settings.data_until:
            return Taken("pending")
        still = [action for action in choose if not self.actions[action].change]
        return Taken("unchanged", still[0]) if len(still) == 1 else Taken("none")


def is_own(point: Point, act: Act) -> bool:
    """Say whether an encounter wrote something: by the decision or, as it says itself, later."""
    if act.event.source in point.withheld:
        return True
    named = point.encounter in act.encounters
    return named and (point.began is None or time_of(act.event).end >= point.began)


def _first_known(record: Record, held: Sequence[Event]) -> Mapping[str, Instant]:
    """Return source -> when any version of it was recorded first, if some have several."""
    found: dict[str, Instant] = {}
    if len(held) < len(record.events):
        for event in record.events:
            if event.kind in ACTS and event.status not in VOID:
                recorded = found.get(event.source, event.recorded)
                found[event.source] = min(recorded, event.recorded)
    return found


def _act(
    patient: Patient,
    event: Event,
    shown: frozenset[str],
    first_known: Mapping[str, Instant],
    whole: Mapping[str, str],
) -> Act:
    """Return an act; what is dated no better than a day was, within that, when it was recorded."""
    named, known = patient.encounter_of(event), first_known.get(event.source, event.recorded)
    encounters = frozenset[str]() if named is None else within(named, whole)
    time = event.time
    if time is None:
        return Act(known, known, known, event, shown, encounters)
    if time.precision == "instant":
        return Act(time.start, time.start, known, event, shown, encounters)
    at = max(time.start, min(known, time.end))
    start = time.start if time.precision == "day" else at
    return Act(at, start, known, event, shown, encounters)
