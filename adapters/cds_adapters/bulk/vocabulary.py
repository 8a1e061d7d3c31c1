"""The vocabulary check: what of a bundle is on record, for how many, in which units, what not."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cds_adapters.bulk.judge import system_of
from cds_adapters.fhir.codesets import VOID
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.regime import Regime
from cds_engine.history.course import COURSE_KINDS
from cds_engine.history.event import Event, EventKind, Record
from cds_engine.history.extract import KINDS
from cds_engine.history.table import REASONS, HistoryTable
from cds_engine.history.value import History, Known
from cds_engine.vocabulary.time import Instant

SHOWN = 15
"""How many of the commonest unmapped codes are told."""


@dataclass(slots=True)
class Found:
    """What was found of one variable.

    Attributes:
        patients: with a record of it; ``known`` of them with a usable value.
        units: as stated -> readings; ``missing``: reason -> patients.
    """

    patients: int = 0
    known: int = 0
    units: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)


SHOWN_OF_A_TYPE = 5
"""How many of them are told of one type of resource."""

MANY = 0.1
"""Share of the resources of one type that nothing reads, above which it is asked what they are."""


@dataclass(slots=True)
class Treatments:
    """What was found of one type of resource, or kind of event, that can show an action.

    Attributes:
        resources: how many there are.
        unread: how many of them have codes, none of which is read.
        elsewhere: how many of these have no code of a system that anything is read of.
    """

    resources: int = 0
    unread: int = 0
    elsewhere: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether actions may be hidden among what is not read.

        Records hold many treatments of other diseases, and mostly in the systems of those that
        are read. So what is not read is doubtful where much of it is in systems of which nothing
        is read, or where most is read and much is not.
        """
        most_read = 2 * self.unread <= self.resources
        return (self.unread if most_read else self.elsewhere) > MANY * self.resources


@dataclass(slots=True)
class Survey:
    """What was found in all records together; surveys of parts add up to that of the whole.

    Attributes:
        patients: how many records.
        variables: name -> what was found of it.
        actions: action that is seen as some code -> patients who have it on record.
        treatments: type of resource or kind of event that can show an action -> what was found.
        unmapped: ``type code`` that nothing reads -> how often.
        set_aside: reason -> resources.
    """

    patients: int = 0
    variables: dict[str, Found] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)
    treatments: dict[str, Treatments] = field(default_factory=dict)
    unmapped: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)

    def add(self, plain: Mapping[str, Any]) -> None:
        """Add the survey of another part, as ``plain`` writes it."""
        self.patients += plain["patients"]
        for name, item in plain["variables"].items():
            mine = self.variables.setdefault(name, Found())
            mine.patients += item["patients"]
            mine.known += item["known"]
            mine.units.update(item["units"])
            mine.missing.update(item["missing"])
        for name, count in plain["actions"].items():
            self.actions[name] = self.actions.get(name, 0) + count
        for kind, item in plain["treatments"].items():
            held = self.treatments.setdefault(kind, Treatments())
            held.resources += item["resources"]
            held.unread += item["unread"]
            held.elsewhere += item["elsewhere"]
        self.unmapped.update(plain["unmapped"])
        self.set_aside.update(plain["set_aside"])

    def nowhere(self) -> list[str]:
        """Return the variables that no patient has on record."""
        return [name for name, item in self.variables.items() if not item.patients]

    def never_seen(self) -> list[str]:
        """Return the actions that no patient has on record."""
        return [name for name, patients in self.actions.items() if not patients]

    def unread_of(self, *kinds: str) -> dict[str, int]:
        """Return the commonest codes of some types of resources that nothing reads."""
        starts = tuple(f"{kind} " for kind in kinds)
        found = {name: n for name, n in self.unmapped.items() if name.startswith(starts)}
        return commonest(Counter(found), SHOWN_OF_A_TYPE)

    def plain(self, shown: int | None = SHOWN) -> dict[str, Any]:
        """Return JSON-ready data, in an order that depends on nothing but the counts."""
        return {
            "patients": self.patients,
            "variables": {
                name: {
                    "patients": item.patients,
                    "known": item.known,
                    "units": commonest(item.units),
                    "missing": commonest(item.missing),
                }
                for name, item in self.variables.items()
            },
            "actions": self.actions,
            "treatments": {
                kind: {
                    "resources": item.resources,
                    "unread": item.unread,
                    "elsewhere": item.elsewhere,
                    "doubtful": item.doubtful,
                    "codes": self.unread_of(kind),
                }
                for kind, item in sorted(self.treatments.items())
            },
            "unmapped": commonest(self.unmapped, shown),
            "set_aside": commonest(self.set_aside),
        }


def commonest(counts: Counter[str], shown: int | None = None) -> dict[str, int]:
    """Return the largest counts first, equal ones by name."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return dict(ordered[:shown])


def survey(
    bundle: RuleBundle, records: Iterable[Record], histories: HistoryTable | None = None
) -> Survey:
    """Look for every variable in every record, as of each record's own last entry.

    Args:
        bundle: the variables.
        records: of one patient each.
        histories: the histories of the records as of their last entries, where they were taken
            already; a row each, see ``last_entry``.
    """
    result = Survey(
        variables={name: Found() for name in bundle.base_variables},
        actions={name: 0 for name, action in bundle.actions.items() if action.seen_as},
    )
    readers, regime = _Readers(bundle), Regime(bundle)
    for record in records:
        if histories is None:
            _add_history(result, bundle, regime.history(record, last_entry(record)))
        result.patients += 1
        readers.look(result, record)
        result.set_aside.update([item.reason for item in record.set_aside])
    if histories is not None:
        _add_table(result, bundle, histories)
    return result


def last_entry(record: Record) -> Instant:
    """Return when a record was last added to; the survey looks at what was known then."""
    return max([event.recorded for event in record.events], default=0)


def _add_history(result: Survey, bundle: RuleBundle, history: History) -> None:
    for name, finding in history.findings.items():
        _add_finding(result, bundle, name, int(isinstance(finding, Known)))
        if not isinstance(finding, Known):
            result.variables[name].missing[finding.reason] += 1


def _add_table(result: Survey, bundle: RuleBundle, histories: HistoryTable) -> None:
    for name, found in histories.columns.items():
        counts = np.bincount(found.reasons, minlength=len(REASONS) + 1).tolist()
        _add_finding(result, bundle, name, counts[0])
        missing = dict(zip(REASONS, counts[1:], strict=True))
        result.variables[name].missing.update({r: n for r, n in missing.items() if n})


def _add_finding(result: Survey, bundle: RuleBundle, name: str, known: int) -> None:
    item = result.variables[name]
    item.known += known
    if not bundle.base_variables[name].codes:
        item.patients += known


class _Readers(dict[tuple[EventKind, tuple[str, ...]], tuple[str, ...]]):
    """Kind and codes of an event -> the variables that name one of the codes."""

    def __init__(self, bundle: RuleBundle) -> None:
        self._variables = bundle.base_variables
        self._wanted = {c for v in self._variables.values() for c in (*v.codes, *v.panels)}
        self._wanted |= {code for action in bundle.actions.values() for code in action.seen_as}
        self._systems = frozenset(map(system_of, self._wanted))
        self._actions = bundle.actions
        self._shown: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __missing__(self, key: tuple[EventKind, tuple[str, ...]]) -> tuple[str, ...]:
        kind, codes = key
        found = self[key] = tuple(
            name
            for name, variable in self._variables.items()
            if kind in KINDS.get(variable.source or "", ())
            and not set(variable.codes).isdisjoint(codes)
        )
        return found

    def look(self, result: Survey, record: Record) -> None:
        """Count who has a record of a variable, in which units, and what no variable names."""
        seen: set[str] = set()
        taken: set[str] = set()
        for event in record.events:
            names = self[event.kind, event.codes]
            seen.update(names)
            if event.kind in COURSE_KINDS and event.status not in VOID:
                taken.update(self._treatment(result, event, read=bool(names)))
            if names and isinstance(event.value, float):
                unit = _unit(event)
                for name in names:
                    result.variables[name].units[unit] += 1
            elif not names and self._wanted.isdisjoint(event.codes):
                result.unmapped.update([f"{event.kind} {code}" for code in event.codes])
        for name in seen:
            result.variables[name].patients += 1
        for name in taken:
            result.actions[name] += 1

    def _treatment(self, result: Survey, event: Event, *, read: bool) -> tuple[str, ...]:
        """Count a treatment; return the actions that it shows."""
        codes = event.codes
        shown = self._shown.get(codes)
        if shown is None:
            shown = self._shown[codes] = tuple(
                name
                for name, action in self._actions.items()
                if not set(action.seen_as).isdisjoint(codes)
            )
        found = result.treatments.get(event.kind)
        if found is None:
            found = result.treatments[event.kind] = Treatments()
        found.resources += 1
        if codes and not shown and not read:
            found.unread += 1
            found.elsewhere += self._systems.isdisjoint(map(system_of, codes))
        return shown


def _unit(event: Event) -> str:
    if event.unit is None or not (event.unit.code or event.unit.text):
        return "(no unit)"
    return event.unit.code or f"{event.unit.text} (text only)"
