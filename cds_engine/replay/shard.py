"""replay_shard: records, rule bundles and settings become rows; nothing else has a say.

The same patients give the same rows whatever else is in the shard and in whatever order they come.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

import numpy as np

from cds_engine.bundle.model import RuleBundle
from cds_engine.history.table.columns import NEVER, Longs
from cds_engine.replay.at_once.outcome import outcomes_at_once
from cds_engine.replay.at_once.points import points_at_once
from cds_engine.replay.at_once.rows import Rows, picked, rows_of
from cds_engine.replay.at_once.taken import taken_at_once
from cds_engine.replay.engine import Asked, Decided, HistoryEngine, ScalarEngine
from cds_engine.replay.in_force import in_force
from cds_engine.replay.outcome import OutcomeFinder
from cds_engine.replay.points import Patient, Point, settled
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
        checked: how many rows the scalar evaluator decided a second time.
        differences: ``patient encounter as_of`` of the rows for which it said something else.
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
        self.settings = settings
        self.engine = engine
        self.counts: Counter[str] = Counter(patients=len(patients))
        self.events = [settled(patient.record) for patient in patients]
        self.asked = self._points()

    def replay(self) -> ShardRows:
        decided = [self.engine.decide(b, self.patients, self.asked) for b in self.bundles]
        main = self.bundles[0]
        columns = self._keys() | variable_columns(main, decided[0])
        columns |= decision_columns("decision", decided[0]) | self._taken("taken", 0, decided[0])
        columns |= self._outcomes(decided[0])
        if len(decided) > 1:
            digest = self.bundles[1].digest
            columns |= {"against.digest": Column("text", [digest] * len(self.asked))}
            columns |= decision_columns("against", decided[1])
            columns |= self._taken("against.taken", 1, decided[1])
        checked, differences = self._check_again(decided)
        return ShardRows(columns, len(self.asked), self.counts, checked, differences)

    def _points(self) -> list[Asked]:
        codes = {c for b in self.bundles for a in b.actions.values() for c in a.seen_as}
        asked, counts = points_at_once(self.patients, self.events, self.settings, codes)
        self.counts += counts
        return asked

    @cached_property
    def _rows(self) -> Rows:
        return rows_of(self.patients, self.asked)

    def _keys(self) -> Columns:
        digest = self.bundles[0].digest
        people = [self.patients[a.patient].record.person for a in self.asked]
        return {
            "key.patient": Column("text", [person.key for person in people]),
            "key.encounter": Column("text", [a.point.encounter for a in self.asked]),
            "key.as_of": Column("instant", [a.point.as_of for a in self.asked]),
            "key.digest": Column("text", [digest] * len(self.asked)),
            "person.sex": Column("text", [person.sex for person in people]),
            "key.withheld": Column("texts", [sorted(a.point.withheld) for a in self.asked]),
        }

    def _taken(self, prefix: str, number: int, decided: Decided) -> Columns:
        finder = TakenFinder(self.bundles[number], self.settings)
        told, which = taken_at_once(finder, self._rows, self.events, decided.stage)
        states = picked([taken.state for taken in told], which)
        for state, count in Counter(states).items() if number == 0 else ():
            self.counts[f"action {state}"] += count
        return {
            f"{prefix}.action": Column("text", picked([t.action for t in told], which)),
            f"{prefix}.state": Column("text", states),
            f"{prefix}.candidates": Column("texts", picked([t.candidates for t in told], which)),
            f"{prefix}.sources": Column("texts", picked([t.sources for t in told], which)),
        }

    def _outcomes(self, decided: Decided) -> Columns:
        finder = OutcomeFinder(self.bundles[0], self.settings)
        starts = self._starts(decided) if self.settings.from_start else self._rows.as_of
        found = outcomes_at_once(finder, self._rows, self.events, starts)
        for state, count in Counter(found.states).items():
            self.counts[f"outcome {state}"] += count
        return {
            "outcome.value": Column(column_type(finder.kind), found.values),
            "outcome.state": Column("text", found.states),
            "outcome.at": Column("instant", found.at),
        }

    def _starts(self, decided: Decided) -> Longs:
        """Return, for each row, the patient's first decision point at a stage, or its own."""
        rows = self._rows
        staged = np.array([stage is not None for stage in decided.stage], dtype=np.bool_)
        some, first = np.unique(rows.patient[staged], return_index=True)
        starts = np.full(len(self.patients), NEVER, dtype=np.int64)
        starts[some] = rows.as_of[staged][first]
        return np.minimum(starts[rows.patient], rows.as_of)

    def _check_again(self, decided: Sequence[Decided]) -> tuple[int, tuple[str, ...]]:
        """Decide a random share of the rows once more, by the scalar evaluator."""
        drawn = [row for row, asked in enumerate(self.asked) if self._is_drawn(asked)]
        again = [self.asked[row] for row in drawn]
        differing: set[int] = set()
        for bundle, told in zip(self.bundles, decided, strict=True):
            judged = ScalarEngine().decide(bundle, self.patients, again)
            differing |= {row for n, row in enumerate(drawn) if judged.row(n) != told.row(row)}
        return len(drawn), tuple(self._named(self.asked[row]) for row in sorted(differing))

    def _is_drawn(self, asked: Asked) -> bool:
        name = f"{self.settings.seed} {self._named(asked)}"
        return place_of(name) < self.settings.recheck * SPACE

    def _named(self, asked: Asked) -> str:
        point: Point = asked.point
        return f"{self.patients[asked.patient].key} {point.encounter} {point.as_of}"
