"""A random share of the rows is found once more, one by one, by the code that serves.

Which rows are drawn depends on the seed, the patient, the encounter and the instant, and on nothing
else: not on the other rows, nor on how they are divided or ordered.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from cds_engine.bundle.model import RuleBundle
from cds_engine.history.event import Event
from cds_engine.history.table.columns import Bools, Longs
from cds_engine.replay.at_once.rows import Rows
from cds_engine.replay.engine import Asked, Decided, ScalarEngine
from cds_engine.replay.outcome import Measured, OutcomeFinder, Readings
from cds_engine.replay.points import Patient
from cds_engine.replay.settings import ReplaySettings
from cds_engine.replay.table import Column
from cds_engine.replay.taken import Act, Taken, TakenFinder

_Bits = NDArray[np.uint64]


class Recheck:
    """Compares what all rows were found to be together with what each is by itself.

    Attributes:
        drawn: the rows that are looked at again.
    """

    def __init__(
        self,
        patients: Sequence[Patient],
        held: Sequence[Sequence[Event]],
        settings: ReplaySettings,
        rows: Rows,
    ) -> None:
        self._patients, self._held, self._settings, self._rows = patients, held, settings, rows
        self._differing: set[int] = set()
        self.drawn: list[int] = np.flatnonzero(draw(rows, settings)).tolist()

    def decisions(
        self,
        bundle: RuleBundle,
        asked: Sequence[Asked],
        told: Decided,
        columns: Mapping[str, Column],
        taken: str,
    ) -> None:
        """Compare a version's decisions, and the actions taken in the words of its catalogue.

        Args:
            bundle: the version.
            asked: the questions to it.
            told: its answers.
            columns: the table.
            taken: what the names of the columns of the action taken begin with.
        """
        again = [asked[row] for row in self.drawn]
        judged = ScalarEngine().decide(bundle, self._patients, again)
        finder = TakenFinder(bundle, self._settings)
        acts: dict[int, list[Act]] = {}
        for number, (row, (place, point)) in enumerate(zip(self.drawn, again, strict=True)):
            patient = self._patients[place]
            if place not in acts:
                acts[place] = finder.acts(patient, self._held[place])
            done = finder.find(patient, point, judged.stage[number], acts[place])
            as_table = Taken(*_said(columns, taken, Taken.__slots__, row))
            if judged.row(number) != told.row(row) or done != as_table:
                self._differing.add(row)

    def outcomes(self, bundle: RuleBundle, starts: Longs, columns: Mapping[str, Column]) -> None:
        """Compare the outcomes; the horizon of each row counts from its start."""
        finder = OutcomeFinder(bundle, self._settings)
        readings: dict[int, Readings] = {}
        for row in self.drawn:
            place, point = self._rows.asked[row]
            record = self._patients[place].record
            if place not in readings:
                readings[place] = finder.readings(record, self._held[place])
            found = finder.find(record, readings[place], point.as_of, int(starts[row]))
            if found != Measured(*_said(columns, "outcome", Measured.__slots__, row)):
                self._differing.add(row)

    def differences(self) -> tuple[str, ...]:
        """Return ``patient encounter as_of`` of the rows that were found to be something else."""
        named = [self._rows.asked[row] for row in sorted(self._differing)]
        return tuple(
            f"{self._patients[place].key} {point.encounter} {point.as_of}" for place, point in named
        )


def _said(columns: Mapping[str, Column], prefix: str, names: Sequence[str], row: int) -> list[Any]:
    return [columns[f"{prefix}.{name}"].values[row] for name in names]


def draw(rows: Rows, settings: ReplaySettings) -> Bools:
    """Say which rows are looked at again."""
    if not settings.recheck or not len(rows):
        return np.zeros(len(rows), dtype=np.bool_)
    seed = settings.seed
    people = [blake2b(f"{seed} {p.key}".encode(), digest_size=8).digest() for p in rows.patients]
    patient: _Bits = np.frombuffer(b"".join(people), dtype="<u8").astype(np.uint64)
    encounters = [crc32(one.point.encounter.encode()) for one in rows.asked]
    mixed = _mixed(np.array(encounters, dtype=np.uint64))
    mixed = _mixed(mixed ^ rows.as_of.astype(np.uint64))
    mixed = _mixed(mixed ^ patient[rows.patient])
    # the first 53 bits are a number from 0 to below 1
    drawn: Bools = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53 < settings.recheck
    return drawn


def _mixed(bits: _Bits) -> _Bits:
    """Make every bit depend on all of them.

    References:
        Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators, OOPSLA:
        SplitMix64.
    """
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
