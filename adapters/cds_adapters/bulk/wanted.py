"""Of an export only what the rule bundles can read is kept: by type of resource, and by code."""

from collections.abc import Iterable, Mapping, Sequence

from cds_adapters.fhir.events import KINDS as RESOURCE_KINDS
from cds_adapters.fhir.site_map import SiteMap
from cds_engine.bundle.model import RuleBundle
from cds_engine.history.course import COURSE_KINDS
from cds_engine.history.event import EventKind
from cds_engine.history.extract import KINDS
from cds_engine.vocabulary.variable import Variable

KIND_OF_TYPE: Mapping[str, EventKind] = {t.__name__: kind for t, kind in RESOURCE_KINDS.items()}
"""Type of resource -> the kind of its events."""

ALL = None
"""Stands for every code of a kind."""

Codes = frozenset[str] | None


class Wanted:
    """What the variables, the actions and the outcome of some rule bundles are read from.

    Attributes:
        codes: kind of event -> the codes that count; None for all of them. A kind that is not
            in it is not read at all.
    """

    def __init__(self, bundles: Sequence[RuleBundle]) -> None:
        self.codes: dict[EventKind, Codes] = {"encounter": ALL}
        for bundle in bundles:
            seen_as = frozenset(c for a in bundle.actions.values() for c in a.seen_as)
            self._add(COURSE_KINDS, seen_as)
            for variable in bundle.base_variables.values():
                self._add_variable(variable)

    def _add_variable(self, variable: Variable) -> None:
        if variable.source is not None and variable.source in KINDS.keys() - {"course"}:
            codes = frozenset((*variable.codes, *variable.panels))
            self._add(KINDS[variable.source], codes or ALL)

    def _add(self, kinds: Iterable[EventKind], codes: Codes) -> None:
        for kind in kinds:
            held = self.codes.get(kind, frozenset())
            self.codes[kind] = ALL if held is ALL or codes is ALL else held | codes

    def types(self) -> frozenset[str]:
        """Return the types of resources that are read, besides Patient and Medication."""
        return frozenset(t for t, kind in KIND_OF_TYPE.items() if self.reads(kind))

    def reads(self, kind: EventKind) -> bool:
        """Say whether any event of a kind can matter."""
        return self.codes.get(kind, frozenset()) != frozenset()

    def keeps(self, kind: EventKind, codes: Sequence[str]) -> bool:
        """Say whether an event with these codes can matter."""
        counted = self.codes.get(kind, frozenset())
        # an entry of a list in words alone has no code, and may be about anything
        return counted is ALL or not codes or any(code in counted for code in codes)


class Relevant(dict[tuple[str | None, str | None], bool | None]):
    """System and code -> whether it counts for one kind; None where it is no code at all."""

    def __init__(self, codes: frozenset[str], site: SiteMap) -> None:
        self._counted = codes
        self._site = site

    def __missing__(self, key: tuple[str | None, str | None]) -> bool | None:
        if len(self) >= _FULL:
            self.clear()
        found = self._site.event_codes[key]
        told = self[key] = any(code in self._counted for code in found) if found else None
        return told


_FULL = 100_000
