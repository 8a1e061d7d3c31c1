"""The action really taken is the catalogue action that the record shows soon after the decision.

What ``TakenFinder`` says of one point is the referee of ``at_once.taken``, which answers for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from cds_engine.bundle.model import RuleBundle
from cds_engine.history.event import Event
from cds_engine.replay.points import ACTS, Patient, Point
from cds_engine.replay.settings import ReplaySettings, later
from cds_engine.vocabulary.time import Instant

TakenState = Literal[
    "seen",        # one action is on record
    "unchanged",   # none is, and the stage has one option that changes nothing
    "none",        # none is, and the catalogue has no name for that
    "ambiguous",   # several are
    "unclear",     # a record leaves open whether it happened
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
    """An event that shows actions of the catalogue, these, and when they were done."""

    at: Instant
    event: Event
    shown: frozenset[str]


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

    def acts(self, events: Sequence[Event]) -> list[Act]:
        """Return each event that shows actions of the catalogue."""
        shown_by = self._shown
        found = []
        for event in events:
            if event.kind in ACTS:
                codes = event.codes
                shown = shown_by.get(codes)
                if shown is None:
                    # few groups of codes recur in all records; what they show is found out once
                    actions = {self._seen_as[code] for code in codes if code in self._seen_as}
                    shown = shown_by[codes] = frozenset(actions)
                if shown:
                    found.append(Act(_moment(event), event, shown))
        return found

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
        for at, event, shown in acts:
            here = _is_own(patient, point, event) or point.as_of < at <= end
            if here and event.status == "unknown":
                open_ |= shown
            elif here:
                for action in shown:
                    sources.setdefault(action, set()).add(event.source)
            elif at <= point.as_of:
                begun |= shown
        counted = {a for a in sources if a in choose or a not in begun}
        unsure = {a for a in open_ if a in choose or a not in begun} - counted
        return self._told(counted, unsure, choose, sources, end)

    def _told(
        self,
        counted: set[str],
        unsure: set[str],
        choose: tuple[str, ...],
        sources: Mapping[str, set[str]],
        end: Instant,
    ) -> Taken:
        counted = {a for a in counted if self.actions[a].change} or counted
        named = tuple(a for a in self.actions if a in counted)
        shown = tuple(sorted({source for action in named for source in sources[action]}))
        if len(named) > 1:
            return Taken("ambiguous", None, named, shown)
        if unsure:
            return Taken("unclear", None, named, shown)
        if named:
            return Taken("seen", named[0], named, shown)
        if self.settings.data_until is not None and end > self.settings.data_until:
            return Taken("pending")
        still = [action for action in choose if not self.actions[action].change]
        return Taken("unchanged", still[0]) if len(still) == 1 else Taken("none")


def _is_own(patient: Patient, point: Point, event: Event) -> bool:
    if event.source in point.withheld:
        return True
    return bool(point.encounter) and patient.encounters.get(event.source) == point.encounter


def _moment(event: Event) -> Instant:
    """Return when it was done; what is dated no better than a month, when it was recorded."""
    if event.time is None or event.time.precision in ("month", "year"):
        return event.recorded
    return event.time.start
