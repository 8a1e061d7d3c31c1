"""The actions taken at all points of a shard: most rows show no action in their window, or one.

Rows that show more, or of which the encounter itself wrote an action, are asked of ``TakenFinder``.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from cds_engine.history.event import Event
from cds_engine.history.person import dead_from
from cds_engine.history.table.clock import Index, Timeline
from cds_engine.history.table.columns import NEVER, Bools, Longs
from cds_engine.history.table.points import spread
from cds_engine.replay.at_once.rows import Rows, later_all, owners, timeline, together
from cds_engine.replay.taken import Act, Taken, TakenFinder
from cds_engine.vocabulary.time import Instant


def taken_at_once(
    finder: TakenFinder,
    rows: Rows,
    events: Sequence[Sequence[Event]],
    stages: Sequence[str | None],
) -> tuple[list[Taken], Index]:
    """Return what was done in every row: the different answers, and which one each row has.

    Args:
        finder: the referee; knows catalogue and window.
        rows: the questions.
        events: what the record of each patient came to hold, newest versions only.
        stages: at which stage each row is.
    """
    return _Finding(finder, rows, events, stages).found()


@dataclass(frozen=True, slots=True)
class _Acts:
    """What shows actions, in order of patient and moment; one that shows several, once for each.

    Attributes:
        line: whose it is, and when, at the latest.
        action: place in the catalogue.
        first: from when on the patient's history could hold an act that shows the same action.
        acts: the act itself.
        vague: whose are those of a day, and when they were: at the earliest, and at the latest.
    """

    line: Timeline
    action: Longs
    first: Longs
    acts: Sequence[Act]
    vague: tuple[Timeline, Timeline]


class _Finding:
    def __init__(
        self,
        finder: TakenFinder,
        rows: Rows,
        events: Sequence[Sequence[Event]],
        stages: Sequence[str | None],
    ) -> None:
        self.finder, self.rows, self.stages = finder, rows, stages
        pairs = zip(rows.patients, events, strict=True)
        self.by_patient = [finder.acts(patient, some) for patient, some in pairs]
        self.end = later_all(rows.as_of, finder.settings.window)
        names = {name: place for place, name in enumerate((None, *finder.choose))}
        self.stage = np.fromiter(map(names.__getitem__, stages), np.int64, len(rows))
        self.told: list[Taken] = []
        self.which = np.zeros(len(rows), dtype=np.intp)

    def found(self) -> tuple[list[Taken], Index]:
        """Answer all rows as if nothing was done, then those in which something was."""
        self._tell_quiet()
        hard = self._written_here()
        if any(self.by_patient):
            hard |= self._tell_seen(_flat(self.finder, self.by_patient))
        self._ask(np.flatnonzero(hard))
        return self.told, self.which

    def _tell_quiet(self) -> None:
        """Give each row the answer without acts: it rests on the stage and on the end of all."""
        until = self.finder.settings.data_until
        over = np.zeros(len(self.rows), dtype=np.bool_) if until is None else self.end > until
        people = self.rows.patients
        dead = self._by_then([dead_from(patient.record.person) for patient in people])
        self.lacks = self._by_then([self.finder.lacking_from(p.record) for p in people])
        kind = ((self.stage * 2 + over) * 2 + dead) * 2 + self.lacks
        _, some, self.which = np.unique(kind, return_index=True, return_inverse=True)
        self.told += [self._of(row, ()) for row in some.tolist()]

    def _by_then(self, since: Sequence[Instant | None]) -> Bools:
        """Say in which rows something of the patient's is so by the end of the window."""
        at = np.array([NEVER if one is None else one for one in since], dtype=np.int64)
        by_then: Bools = at[self.rows.patient] <= self.end
        return by_then

    def _tell_seen(self, acts: _Acts) -> Bools:
        """Answer the rows for which one act speaks; return those for which more do, or unsurely."""
        rows, line = self.rows, acts.line
        lo = line.upto(rows.patient, rows.as_of)
        hi = line.upto(rows.patient, self.end)
        busy = np.flatnonzero(hi > lo)
        places, _ = spread(lo[busy], hi[busy])
        row = np.repeat(busy, (hi - lo)[busy])
        # what had begun and is not offered is a repetition; nothing rests on it
        speaks = self._offered()[self.stage[row], acts.action[places]]
        speaks |= acts.first[places] > rows.as_of[row]
        row, places = row[speaks], places[speaks]
        unsure = np.array([acts.acts[at].event.status == "unknown" for at in places.tolist()], bool)
        # something that changes nothing may stand beside something that is lacking
        unsure |= self.lacks[row] & ~self._changing()[acts.action[places]]
        hard = np.bincount(row, minlength=len(rows)) > 1
        hard[row[unsure]] = True
        # the window may end on the day of an act
        earliest, latest = acts.vague
        hard |= earliest.upto(rows.patient, self.end) > latest.upto(rows.patient, self.end)
        plain = ~hard[row]
        self._tell_one(acts, row[plain], places[plain])
        return hard

    def _changing(self) -> Bools:
        """Return which actions change something."""
        actions = self.finder.actions.values()
        return np.fromiter((action.change for action in actions), np.bool_, len(actions))

    def _tell_one(self, acts: _Acts, row: Index, places: Index) -> None:
        """Say that one act was what was done."""
        some, which = np.unique(places, return_inverse=True)
        self.which[row] = which + len(self.told)
        names = list(self.finder.actions)
        for at, action in zip(some.tolist(), acts.action[some].tolist(), strict=True):
            name, source = names[action], acts.acts[at].event.source
            self.told.append(Taken("seen", name, (name,), (source,)))

    def _offered(self) -> Bools:
        """Return which stage offers which action; outside any stage, in the first row, none is."""
        names = list(self.finder.actions)
        offered = np.zeros((len(self.finder.choose) + 1, len(names)), dtype=np.bool_)
        for stage, choose in enumerate(self.finder.choose.values(), start=1):
            offered[stage] = [name in choose for name in names]
        return offered

    def _written_here(self) -> Bools:
        """Return the rows with an act that may be their own encounter's, whenever it was."""
        here = np.zeros(len(self.rows), dtype=np.bool_)
        asked = enumerate(self.rows.asked)
        some = [(row, one) for row, one in asked if one[1].encounter or one[1].withheld]
        own = self._writings() if some else frozenset()
        for row, (place, point) in some:
            names = {point.encounter, *point.withheld} - {""}
            here[row] = any((place, name) in own for name in names)
        return here

    def _writings(self) -> Set[tuple[int, str]]:
        """Return each patient with the sources of the acts, and of their encounters."""
        found = set[tuple[int, str]]()
        for place, acts in enumerate(self.by_patient):
            for act in acts:
                found.update((place, name) for name in (act.event.source, *act.encounters))
        return found

    def _ask(self, rows: Index) -> None:
        self.which[rows] = np.arange(len(rows)) + len(self.told)
        self.told += [
            self._of(row, self.by_patient[self.rows.patient[row]]) for row in rows.tolist()
        ]

    def _of(self, row: int, acts: Sequence[Act]) -> Taken:
        place, point = self.rows.asked[row]
        return self.finder.find(self.rows.patients[place], point, self.stages[row], acts)


def _flat(finder: TakenFinder, by_patient: Sequence[Sequence[Act]]) -> _Acts:
    names = {name: place for place, name in enumerate(finder.actions)}
    shown = [[(act, names[a]) for act in acts for a in act.shown] for acts in by_patient]
    pairs = together(shown)
    moment = np.fromiter((act.at for act, _ in pairs), np.int64, len(pairs))
    earliest = np.fromiter((act.start for act, _ in pairs), np.int64, len(pairs))
    counts = np.fromiter((act.counts_from for act, _ in pairs), np.int64, len(pairs))
    action = np.fromiter((action for _, action in pairs), np.int64, len(pairs))
    patient = owners(shown)
    line, order = timeline(len(by_patient), patient, moment)
    _, same = np.unique((patient * len(names) + action)[order], return_inverse=True)
    first = np.full(len(pairs), NEVER, dtype=np.int64)
    np.minimum.at(first, same, counts[order])
    vague = earliest < moment
    both = [timeline(len(by_patient), patient[vague], at[vague])[0] for at in (earliest, moment)]
    return _Acts(
        line,
        action[order],
        first[same],
        [pairs[at][0] for at in order.tolist()],
        (both[0], both[1]),
    )
