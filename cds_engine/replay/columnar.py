"""All decision points of a shard are decided at once, and each as the scalar engine decides it.

Histories are taken as columns and decided as columns. What columns do not tell (which missing
inputs an abstention is about) is asked of ``decide`` itself, once for each different state.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from cds_engine.bundle.model import RuleBundle
from cds_engine.criteria.syntax import IntegerForm
from cds_engine.decide.decide import decide
from cds_engine.decide.decision import ReasonCode
from cds_engine.decide.scalar import complete
from cds_engine.decide.table.decide import blocks_of, decide_table
from cds_engine.decide.table.decisions import Fate
from cds_engine.decide.table.from_history import table_of_histories
from cds_engine.decide.table.plan import Plan
from cds_engine.decide.table.stages import MOST
from cds_engine.history.event import Record
from cds_engine.history.extract import HistoryTaker
from cds_engine.history.table import EventTable, Findings, HistoryTable, TableTaker, table_of
from cds_engine.history.table.answer import REASONS
from cds_engine.history.table.columns import Bools, Longs
from cds_engine.history.value import Finding, History, Known, Missing
from cds_engine.replay.alike import Ints, alike
from cds_engine.replay.engine import (
    UNKNOWN,
    Asked,
    Decided,
    HistoryEngine,
    ScalarEngine,
    reasons_of,
)
from cds_engine.replay.outcome import KNOWN, RANGE
from cds_engine.replay.points import Patient, record_at
from cds_engine.vocabulary.time import DAY, Instant
from cds_engine.vocabulary.value import Scalar, Span

_NEVER_ABOUT_INPUTS: Final[frozenset[ReasonCode]] = frozenset(
    {"deceased", "out-of-population", "no-stage", "several-stages", "positivity-unsupported"}
)
"""Codes that the referee only gives when nothing on the path is unknown: they name no variable."""

_OUT_OF_DATE: Final[frozenset[ReasonCode]] = frozenset({"not-yet-effective", "expired-bundle"})
_STATES: Final = (KNOWN, *REASONS)


class Records(NamedTuple):
    """Records and their histories, a row each."""

    records: Sequence[Record]
    histories: HistoryTable


@dataclass(frozen=True, slots=True)
class _Laid:
    """Patients and questions as columns.

    Attributes:
        records: the record of every person in the table. A patient stands there once, and once
            more for every set of sources that some point withholds.
        person, as_of: who is asked about, as the place in ``records``, and when.
    """

    patients: Sequence[Patient]
    asked: Sequence[Asked]
    records: Sequence[Record]
    table: EventTable
    person: Longs
    as_of: Longs


class ColumnarEngine:
    """Answers all questions together."""

    def __init__(self) -> None:
        self._laid: _Laid | None = None

    def decide(
        self, bundle: RuleBundle, patients: Sequence[Patient], asked: Sequence[Asked]
    ) -> Decided:
        """Answer every question exactly as ``ScalarEngine`` does."""
        if len(bundle.actions) > MOST:
            # more than a row of the table can tell apart
            scalar: HistoryEngine = ScalarEngine()
            return scalar.decide(bundle, patients, asked)
        laid = self._laid
        if laid is None or laid.patients is not patients or laid.asked is not asked:
            laid = self._laid = _lay_out(patients, asked)
        return _Deciding(bundle, laid).decided()

    def histories(self, bundle: RuleBundle, as_of: Callable[[Record], Instant]) -> Records:
        """Return the patients who were decided about last, each with the history at one instant."""
        laid = self._laid
        records = () if laid is None else laid.records[: len(laid.patients)]
        person = np.arange(len(records), dtype=np.int64)
        at = np.array([as_of(record) for record in records], dtype=np.int64)
        table = table_of(()) if laid is None else laid.table
        return Records(records, _taken(bundle, table, person, at, records))


def _lay_out(patients: Sequence[Patient], asked: Sequence[Asked]) -> _Laid:
    records = [patient.record for patient in patients]
    places: dict[tuple[int, frozenset[str]], int] = {}
    person = np.empty(len(asked), dtype=np.int64)
    as_of = np.empty(len(asked), dtype=np.int64)
    for row, (patient, point) in enumerate(asked):
        place = patient
        if point.withheld:
            place = places.setdefault((patient, point.withheld), len(records))
            if place == len(records):
                records.append(record_at(records[patient], point))
        person[row], as_of[row] = place, point.as_of
    return _Laid(patients, asked, records, table_of(records), person, as_of)


def _taken(
    bundle: RuleBundle, table: EventTable, person: Longs, as_of: Longs, records: Sequence[Record]
) -> HistoryTable:
    scalar = HistoryTaker(bundle.base_variables, bundle.actions)

    def referee(person: int, as_of: Instant) -> History:
        return scalar.take(records[person], as_of)

    return TableTaker(bundle.base_variables, bundle.actions).take(table, person, as_of, referee)


class _Deciding:
    """One rule bundle and the questions put to it."""

    def __init__(self, bundle: RuleBundle, laid: _Laid) -> None:
        self.bundle = bundle
        self.as_of = laid.as_of
        self.histories = _taken(bundle, laid.table, laid.person, laid.as_of, laid.records)
        self.table = table_of_histories(self.histories)

    def decided(self) -> Decided:
        values: dict[str, list[Scalar | None]] = {}
        states: dict[str, list[str]] = {}
        for name, found in self.histories.columns.items():
            values[name], states[name] = _base_column(found)
        for name, (value, state) in self._derived().items():
            values[name], states[name] = value, state
        result = Decided(
            {name: values[name] for name in self.bundle.variables},
            {name: states[name] for name in self.bundle.variables},
        )
        self._add_decisions(result)
        return result

    def _derived(self) -> dict[str, tuple[list[Scalar | None], list[str]]]:
        """Work the derived variables out, block by block; doubtful rows as the referee does."""
        plan = Plan(self.bundle.derived)
        found: dict[str, tuple[list[Scalar | None], list[str]]] = {
            derived.name: ([], []) for derived in self.bundle.derived
        }
        if not found:
            return found
        for block in blocks_of(self.table):
            for derived in self.bundle.derived:
                if isinstance(derived.expression, IntegerForm):
                    part = plan.number(derived.name).part(block)
                    numbers, missing = part.values, part.missing
                else:
                    true, possible = plan.node(derived.expression).truth(block)
                    numbers, missing = true, None if true is possible else possible > true
                values, states = found[derived.name]
                values += _holed(numbers.tolist(), missing)
                states += _named(missing, block.rows)
            if block.doubt is not None:
                for row in block.row_numbers()[block.doubt].tolist():
                    self._put_derived(found, row)
        return found

    def _put_derived(
        self, found: Mapping[str, tuple[list[Scalar | None], list[str]]], row: int
    ) -> None:
        state = complete(self.bundle, self.table.state(row))
        for name, (values, states) in found.items():
            value = state[name]
            if isinstance(value, Span):
                values[row], states[row] = None, RANGE
            else:
                values[row], states[row] = value, UNKNOWN if value is None else KNOWN

    def _add_decisions(self, result: Decided) -> None:
        told = decide_table(self.bundle, self.table)
        fates = list(told.fates)
        numbers = told.fate.copy()
        for code, where in self._out_of_date().items():
            numbers[where] = len(fates)
            fates.append(Fate("abstention", code))
        places = numbers.tolist()
        result.outcome += [fates[n].outcome for n in places]
        result.code += [fates[n].code for n in places]
        result.stage += [fates[n].stage for n in places]
        result.action += [fates[n].action for n in places]
        result.candidates += [fates[n].candidates for n in places]
        plain = [() if f.code is None else (str(f.code),) for f in fates]
        result.reasons += [plain[n] for n in places]
        ask = np.array([_asks(fate) for fate in fates], dtype=np.bool_)
        if fates and ask.any():
            self._ask(result, numbers, np.flatnonzero(ask[numbers] & self._lacks_something()))

    def _lacks_something(self) -> Bools:
        """Say which rows have an input that is missing or a range: others lack none to name."""
        lacks = np.zeros(len(self.as_of), dtype=np.bool_)
        for found in self.histories.columns.values():
            lacks |= found.reasons > 0
            lacks[list(found.spans)] = True
        return lacks

    def _ask(self, result: Decided, fate: Ints, rows: Longs) -> None:
        """Ask ``decide`` for the words, once for all rows that are alike."""
        if not len(rows):
            return
        histories = list(self.histories.columns.values())
        unknown = [[v is None for v in result.values[one.name]] for one in self.bundle.derived]
        keys = alike(self.bundle, self.table, histories, fate, unknown, rows)
        known: dict[bytes, tuple[str, ...]] = {}
        for row, key in zip(rows.tolist(), keys, strict=True):
            words = None if key is None else known.get(key)
            if words is None:
                words = self._words(row)
                if key is not None:
                    known[key] = words
            result.reasons[row] = words

    def _words(self, row: int) -> tuple[str, ...]:
        findings = {
            n: _finding(found.at(row), found, row) for n, found in self.histories.columns.items()
        }
        died = bool(self.histories.deceased[row])
        return reasons_of(decide(self.bundle, History(int(self.as_of[row]), findings, died)))

    def _out_of_date(self) -> dict[ReasonCode, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]:
        """Return which rows are outside the version's own dates; ``decide`` says it of each day."""
        document = self.bundle.document
        if not (document.effective_from or document.expires):
            return {}
        days, place = np.unique(self.as_of // DAY, return_inverse=True)
        codes = np.array([_dated(self.bundle, int(day) * DAY) or "" for day in days], dtype=object)
        if not len(codes):
            return {}
        told = codes[place]
        return {code: told == code for code in _OUT_OF_DATE if (codes == code).any()}


def _asks(fate: Fate) -> bool:
    """Say whether a fate leaves open which variables the reasons name."""
    return fate.code is not None and fate.code not in _NEVER_ABOUT_INPUTS | _OUT_OF_DATE


def _dated(bundle: RuleBundle, as_of: Instant) -> ReasonCode | None:
    code = decide(bundle, History(as_of, {})).judgement.code
    return code if code in _OUT_OF_DATE else None


def _base_column(found: Findings) -> tuple[list[Scalar | None], list[str]]:
    """Return the values and states of a variable as ``Decided`` holds them."""
    if found.categories:
        labels = np.array(found.categories, dtype=object)
        values: list[Scalar | None] = labels[found.values].tolist()
    else:
        values = found.values.tolist()
    missing = found.missing
    values = _holed(values, missing if missing.any() else None)
    states = np.array(_STATES, dtype=object)[found.reasons].tolist()
    for row in found.spans:
        if not found.reasons[row]:
            values[row], states[row] = None, RANGE
    return values, states


def _holed(
    values: list[Scalar | None], missing: "np.ndarray[tuple[int], np.dtype[np.bool_]] | None"
) -> list[Scalar | None]:
    """Return values with None where they are missing."""
    if missing is not None:
        for row in np.flatnonzero(missing).tolist():
            values[row] = None
    return values


def _named(missing: "np.ndarray[tuple[int], np.dtype[np.bool_]] | None", rows: int) -> list[str]:
    """Return the states of a derived variable that has values, and none where missing."""
    states = [KNOWN] * rows
    if missing is not None:
        for row in np.flatnonzero(missing).tolist():
            states[row] = UNKNOWN
    return states


def _finding(value: Scalar | str, found: Findings, row: int) -> Finding:
    if found.reasons[row]:
        return Missing(REASONS[int(found.reasons[row]) - 1], "")
    return Known(value)
