"""A record and an instant become H_t: each variable has a value or a reason for having none."""

from collections.abc import Mapping

from cds_engine.history.conditions import listed
from cds_engine.history.course import COURSE_KINDS, Step, course_of, from_course
from cds_engine.history.elapsed import is_vague
from cds_engine.history.event import Event, EventKind, Record, Time
from cds_engine.history.observations import observed
from cds_engine.history.person import age, deceased, sex
from cds_engine.history.select import known_by
from cds_engine.history.treatments import treated
from cds_engine.history.value import Finding, History, Missing
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.variable import Variable

KINDS: Mapping[str, frozenset[EventKind]] = {
    "observation": frozenset({"observation"}),
    "condition": frozenset({"condition"}),
    "allergy": frozenset({"allergy"}),
    "medication": frozenset({"request", "statement", "dispense", "administration"}),
    "procedure": frozenset({"procedure"}),
    "encounter": frozenset({"encounter"}),
    "course": COURSE_KINDS,
}
"""Source of a variable -> the kinds of events that it is read from."""

_PATIENT = frozenset({"patient"})
_ANY_CODE = ""
"""Stands for the code of a variable that takes every event of its kinds."""


class HistoryTaker:
    """Takes histories for one set of variables and actions; holds no patient's data.

    Args:
        variables: the variables that are read from records (derived ones are not).
        actions: the catalogue; the course is recognised by its ``seen_as`` codes.
    """

    def __init__(self, variables: Mapping[str, Variable], actions: Mapping[str, Action]) -> None:
        self.variables = dict(variables)
        self.seen_as = {code: name for name, a in actions.items() for code in a.seen_as}
        self._wanted: dict[EventKind, dict[str, list[str]]] = {}
        for name, variable in self.variables.items():
            if variable.source not in (None, "course"):
                for kind in KINDS.get(variable.source or "", ()):
                    by_code = self._wanted.setdefault(kind, {})
                    for code in variable.codes or (_ANY_CODE,):
                        by_code.setdefault(code, []).append(name)
        self._course_wanted = any(v.source == "course" or v.before for v in variables.values())

    def take(self, record: Record, as_of: Instant) -> History:
        """Return what was known about the record's patient at ``as_of``."""
        known, left_out = known_by(record.events, as_of)
        found = self._sorted_out(known)
        steps = course_of(known, self.seen_as) if self._course_wanted else ()
        findings = {
            name: self._finding(name, variable, record, found.get(name, []), steps, as_of)
            for name, variable in self.variables.items()
        }
        aside = [(item.source, item.reason) for item in record.set_aside]
        unique = tuple(sorted({*aside, *left_out}))
        return History(as_of, findings, deceased(record.person, as_of), unique)

    def _sorted_out(self, events: list[Event]) -> dict[str, list[Event]]:
        """Return variable -> its events, each once."""
        found: dict[str, list[Event]] = {}
        for event in events:
            by_code = self._wanted.get(event.kind)
            if by_code is None:
                continue
            for code in (*event.codes, _ANY_CODE):
                for name in by_code.get(code, ()):
                    some = found.setdefault(name, [])
                    # an event with two of a variable's codes comes twice in a row
                    if not some or some[-1] is not event:
                        some.append(event)
        return found

    def _finding(
        self,
        name: str,
        variable: Variable,
        record: Record,
        events: list[Event],
        steps: tuple[Step, ...],
        as_of: Instant,
    ) -> Finding:
        gap = self._gap(name, variable, record.gaps) if record.gaps else None
        if gap is not None:
            return Missing("incomplete", gap)
        match variable.source:
            case "patient.age":
                return age(variable, record.person, as_of)
            case "patient.sex":
                return sex(record.person)
            case "course":
                return from_course(variable, steps, as_of)
            case "condition" | "allergy":
                return listed(variable, events, as_of)
            case "observation":
                return self._observation(variable, events, steps, as_of)
            case _:
                return treated(variable, events, as_of)

    def _observation(
        self, variable: Variable, events: list[Event], steps: tuple[Step, ...], as_of: Instant
    ) -> Finding:
        if variable.before is None:
            return observed(variable, events, Time(as_of, as_of), as_of)
        anchor = next((step for step in steps if step.action == variable.before), None)
        if anchor is None:
            return Missing("absent", f"{variable.before} has not begun, so nothing is before it")
        if anchor.doubt:
            return Missing("unresolved", f"it is open whether or when {variable.before} began")
        if is_vague(anchor.time):
            return Missing(
                "unresolved", f"the record does not say on which day {variable.before} began"
            )
        return observed(variable, events, anchor.time, as_of)

    def _gap(self, name: str, variable: Variable, gaps: Mapping[str, str]) -> str | None:
        """Return the words of the first gap that this variable would have to look into."""
        kinds: frozenset[str] = KINDS.get(variable.source or "", _PATIENT)
        codes = [*variable.codes, *variable.panels]
        if variable.source == "course" or variable.before:
            kinds, codes = kinds | COURSE_KINDS, codes + list(self.seen_as)
        keys = ["*", name, *sorted(f"kind:{k}" for k in kinds), *(f"code:{c}" for c in codes)]
        return next((gaps[key] for key in keys if key in gaps), None)
