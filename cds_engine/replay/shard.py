"""replay_shard: records, rule bundles and settings become rows; nothing else has a say.

The same patients give the same rows whatever else is in the shard and in whatever order they come.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import numpy as np

from cds_engine.bundle.model import RuleBundle
from cds_engine.history.table.columns import NEVER, Longs
from cds_engine.replay.at_once.outcome import outcomes_at_once
from cds_engine.replay.at_once.points import points_at_once
from cds_engine.replay.at_once.rows import picked, rows_of
from cds_engine.replay.at_once.taken import taken_at_once
from cds_engine.replay.between import begun_between
from cds_engine.replay.engine import Asked, Decided, HistoryEngine, ScalarEngine
from cds_engine.replay.in_force import in_force
from cds_engine.replay.outcome import OutcomeFinder
from cds_engine.replay.points import Patient, settled
from cds_engine.replay.recheck import Recheck
from cds_engine.replay.settings import ReplayError, ReplaySettings
from cds_engine.replay.table import (
    Column,
    Columns,
    column_type,
    decision_columns,
    variable_columns,
)
from cds_engine.replay.taken import TakenFinder

SPACE = 2**64
"""How many places there are for patients."""


@dataclass(slots=True)
class ShardRows:
    """The rows of one shard.

    Attributes:
        columns: see ``cds_engine.replay.table``; all of one length.
        counts: what was met, counted by words.
        checked: how many rows were found a second time, one by one.
        differences: ``patient encounter as_of`` of the rows for which that said something else.
    """

    columns: Columns
    rows: int
    counts: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    differences: tuple[str, ...] = ()


def place_of(patient: str) -> int:
    """Return a patient's place from 0 to 2**64 - 1; rows stand in this order."""
    return int.from_bytes(blake2b(patient.encode(), digest_size=8).digest())


def shard_of(patient: str, shards: int) -> int:
    """Return which of several shards a patient is in; shards hold successive places."""
    return place_of(patient) * shards // SPACE


def replay_shard(
    patients: Iterable[Patient],
    bundles: Sequence[RuleBundle],
    settings: ReplaySettings,
    engine: HistoryEngine | None = None,
) -> ShardRows:
    """Decide every decision point of some patients again.

    Args:
        patients: every patient of the shard, each once, in any order.
        bundles: the version that is replayed, and at most one more to compare it with.
        settings: decision points, windows and horizons.
        engine: takes the histories and decides them; the scalar one if None.
    """
    if not 1 <= len(bundles) <= 2:
        raise ReplayError(f"a replay takes one rule bundle or two, not {len(bundles)}")
    ordered = sorted(patients, key=lambda patient: (place_of(patient.key), patient.key))
    asked = [in_force(bundle) for bundle in bundles]
    return _Shard(ordered, asked, settings, engine or ScalarEngine()).replay()


class _Shard:
    def __init__(
        self,
        patients: Sequence[Patient],
        bundles: Sequence[RuleBundle],
        settings: ReplaySettings,
        engine: HistoryEngine,
    ) -> None:
        self.patients = patients
        self.bundles = bundles
        self.settings = settings.settled_by(bundles[0].document.aim)
        self.engine = engine
        self.counts: Counter[str] = Counter(patients=len(patients))
        self.events = [settled(patient.record) for patient in patients]
        self.asked = self._points()
        self.rows = rows_of(patients, self.asked[0])

    def replay(self) -> ShardRows:
        pairs = zip(self.bundles, self.asked, strict=True)
        decided = [self.engine.decide(bundle, self.patients, asked) for bundle, asked in pairs]
        main, count = self.bundles[0], len(self.rows)
        columns = self._keys() | variable_columns(main, decided[0])
        columns |= decision_columns("decision", decided[0]) | self._taken("taken", 0, decided[0])
        starts = self._starts(decided[0]) if self.settings.from_start else self.rows.as_of
        columns |= self._outcomes(starts)
        if len(decided) > 1:
            digest = self.bundles[1].digest
            columns |= {"against.digest": Column("text", [digest] * count)}
            columns |= {"against.withheld": _withheld(self.asked[1])}
            columns |= decision_columns("against", decided[1])
            columns |= self._taken("against.taken", 1, decided[1])
        again = Recheck(self.patients, self.events, self.settings, self.rows)
        for number, taken in enumerate(("taken", "against.taken")[: len(decided)]):
            bundle, asked = self.bundles[number], self.asked[number]
            again.decisions(bundle, asked, decided[number], columns, taken)
        again.outcomes(main, starts, columns)
        return ShardRows(columns, count, self.counts, len(again.drawn), again.differences())

    def _points(self) -> list[Sequence[Asked]]:
        """Return the questions to each version: what it sees as an action it withholds, no more."""
        asked: list[Sequence[Asked]] = []
        for bundle in self.bundles:
            codes = {code for action in bundle.actions.values() for code in action.seen_as}
            found, counts = points_at_once(self.patients, self.events, self.settings, codes)
            self.counts += Counter() if asked else counts
            # what is asked twice is laid out once
            asked.append(asked[0] if asked and asked[0] == found else found)
        return asked

    def _keys(self) -> Columns:
        digest = self.bundles[0].digest
        asked = self.asked[0]
        people = [self.patients[a.patient].record.person for a in asked]
        return {
            "key.patient": Column("text", [person.key for person in people]),
            "key.encounter": Column("text", [a.point.encounter for a in asked]),
            "key.as_of": Column("instant", [a.point.as_of for a in asked]),
            "key.digest": Column("text", [digest] * len(asked)),
            "person.sex": Column("text", [person.sex for person in people]),
            "key.withheld": _withheld(asked),
        }

    def _taken(self, prefix: str, number: int, decided: Decided) -> Columns:
        finder = TakenFinder(self.bundles[number], self.settings)
        rows = replace(self.rows, asked=self.asked[number])
        told, which = taken_at_once(finder, rows, self.events, decided.stage)
        states = picked([taken.state for taken in told], which)
        if number == 0:
            for state, count in Counter(states).items():
                self.counts[f"action {state}"] += count
            self.counts += begun_between(finder, rows, self.events)
        return {
            f"{prefix}.action": Column("text", picked([t.action for t in told], which)),
            f"{prefix}.state": Column("text", states),
            f"{prefix}.candidates": Column("texts", picked([t.candidates for t in told], which)),
            f"{prefix}.sources": Column("texts", picked([t.sources for t in told], which)),
        }

    def _outcomes(self, starts: Longs) -> Columns:
        finder = OutcomeFinder(self.bundles[0], self.settings)
        found = outcomes_at_once(finder, self.rows, self.events, starts)
        for state, count in Counter(found.states).items():
            self.counts[f"outcome {state}"] += count
        return {
            "outcome.value": Column(column_type(finder.kind), found.values),
            "outcome.state": Column("text", found.states),
            "outcome.at": Column("instant", found.at),
        }

    def _starts(self, decided: Decided) -> Longs:
        """Return, for each row, the patient's first decision point at a stage, or its own."""
        rows = self.rows
        staged = np.array([stage is not None for stage in decided.stage], dtype=np.bool_)
        some, first = np.unique(rows.patient[staged], return_index=True)
        starts = np.full(len(self.patients), NEVER, dtype=np.int64)
        starts[some] = rows.as_of[staged][first]
        return np.minimum(starts[rows.patient], rows.as_of)


def _withheld(asked: Sequence[Asked]) -> Column:
    return Column("texts", [sorted(one.point.withheld) for one in asked])
