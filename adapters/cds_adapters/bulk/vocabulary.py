"""The vocabulary check: what of a bundle is on record, for how many, in which units, what not."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Event, Record
from cds_engine.history.extract import KINDS
from cds_engine.history.value import Known

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


@dataclass(slots=True)
class Survey:
    """What was found in all records together; surveys of parts add up to that of the whole."""

    patients: int = 0
    variables: dict[str, Found] = field(default_factory=dict)
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
        self.unmapped.update(plain["unmapped"])
        self.set_aside.update(plain["set_aside"])

    def nowhere(self) -> list[str]:
        """Return the variables that no patient has on record."""
        return [name for name, item in self.variables.items() if not item.patients]

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
            "unmapped": commonest(self.unmapped, shown),
            "set_aside": commonest(self.set_aside),
        }


def commonest(counts: Counter[str], shown: int | None = None) -> dict[str, int]:
    """Return the largest counts first, equal ones by name."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return dict(ordered[:shown])


def survey(bundle: RuleBundle, records: Iterable[Record]) -> Survey:
    """Look for every variable in every record, as of each record's own last entry."""
    regime = Regime(bundle)
    result = Survey(variables={name: Found() for name in bundle.base_variables})
    wanted = {code for v in bundle.base_variables.values() for code in (*v.codes, *v.panels)}
    wanted |= {code for action in bundle.actions.values() for code in action.seen_as}
    for record in records:
        result.patients += 1
        _look(result, bundle, regime, record)
        result.unmapped.update(
            f"{event.kind} {code}"
            for event in record.events
            if not wanted.intersection(event.codes)
            for code in event.codes
        )
        result.set_aside.update(item.reason for item in record.set_aside)
    return result


def _look(result: Survey, bundle: RuleBundle, regime: Regime, record: Record) -> None:
    last = max((event.recorded for event in record.events), default=0)
    findings = regime.history(record, last).findings
    for name, variable in bundle.base_variables.items():
        item = result.variables[name]
        kinds = KINDS.get(variable.source or "", frozenset())
        codes = set(variable.codes)
        events = [e for e in record.events if e.kind in kinds and codes.intersection(e.codes)]
        finding = findings[name]
        item.known += isinstance(finding, Known)
        item.patients += bool(events) or (not codes and isinstance(finding, Known))
        item.units.update(_unit(event) for event in events if isinstance(event.value, float))
        if not isinstance(finding, Known):
            item.missing[finding.reason] += 1


def _unit(event: Event) -> str:
    if event.unit is None or not (event.unit.code or event.unit.text):
        return "(no unit)"
    return event.unit.code or f"{event.unit.text} (text only)"
