"""A record and an instant become H_t: each variable has a value or a reason for having none."""

from collections.abc import Iterable, Mapping
from math import inf

from cds_engine.history.conditions import listed
from cds_engine.history.course import COURSE_KINDS, Step, course_of, from_course
from cds_engine.history.elapsed import is_vague
from cds_engine.history.event import UNCODED, Event, EventKind, Record, Time
from cds_engine.history.gaps import EVERYTHING, first_gap, gap_keys, gaps_at
from cds_engine.history.observations import observed
from cds_engine.history.person import age, deceased, sex
from cds_engine.history.select import STANDING, known_by
from cds_engine.history.treatments import treated
from cds_engine.history.value import Finding, History, Known, Missing
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.time import Duration, Instant
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
_NO_CODES: Mapping[str, list[str]] = {}
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
        observed_ones = {n: v for n, v in self.variables.items() if v.source == "observation"}
        self._codes_of = {name: frozenset(v.codes) for name, v in observed_ones.items()}
        self._windows_of: dict[str, set[Duration | None]] = {}
        for variable in observed_ones.values():
            for code in variable.codes:
                window = None if variable.before is not None else variable.window
                self._windows_of.setdefault(code, set()).add(window)
        windows = set().union(*self._windows_of.values())
        self._windows = [window for window in windows if window is not None]
        self._course_wanted = any(v.source == "course" or v.before for v in variables.values())
        self._gap_keys = {
            name: gap_keys_of(name, variable, self.seen_as) for name, variable in variables.items()
        }

    def take(self, record: Record, as_of: Instant) -> History:
        """Return what was known about the record's patient at ``as_of``."""
        known, left_out = known_by(record.events, as_of)
        found = self._sorted_out(known)
        uncoded = [e for e in known if not e.codes and e.kind in STANDING]
        steps = course_of(known, self.seen_as) if self._course_wanted else ()
        gaps = gaps_at(record, as_of)
        findings: dict[str, Finding] = {}
        for name, variable in self.variables.items():
            gap = first_gap(gaps, self._gap_keys[name]) if gaps else None
            findings[name] = (
                self._finding(name, variable, record, found[name], uncoded, steps, as_of)
                if gap is None
                else Missing("incomplete", gap)
            )
        aside = [(item.source, item.reason) for item in record.set_aside]
        aside += [(event.source, UNCODED) for event in uncoded]
        unique = tuple(sorted({*aside, *left_out}))
        return History(as_of, findings, deceased(record.person, as_of), unique)

    def horizons(self, as_of: Instant) -> dict[str, float]:
        """Return code -> the first instant at which a reading of it can count at ``as_of``.

        Whatever is older tells of a variable, at most, that its value is stale. A code that is not
        among them is read by no variable.
        """
        starts: dict[Duration | None, float] = {None: -inf}
        starts |= {window: window.before(as_of) for window in self._windows}
        return {
            code: min([starts[window] for window in windows])
            for code, windows in self._windows_of.items()
        }

    def _sorted_out(self, events: list[Event]) -> dict[str, list[Event]]:
        """Return variable -> its events, each once."""
        found: dict[str, list[Event]] = {name: [] for name in self.variables}
        # Many events of a record have the same codes; whose they are is found out once.
        takers: dict[tuple[EventKind, tuple[str, ...]], list[list[Event]]] = {}
        for event in events:
            key = event.kind, event.codes
            some = takers.get(key)
            if some is None:
                by_code = self._wanted.get(event.kind, _NO_CODES)
                names = [n for c in (*event.codes, _ANY_CODE) for n in by_code.get(c, ())]
                some = takers[key] = [found[name] for name in dict.fromkeys(names)]
            for taker in some:
                taker.append(event)
        return found

    def _finding(
        self,
        name: str,
        variable: Variable,
        record: Record,
        events: list[Event],
        uncoded: list[Event],
        steps: tuple[Step, ...],
        as_of: Instant,
    ) -> Finding:
        match variable.source:
            case "patient.age":
                return age(variable, record.person, as_of)
            case "patient.sex":
                return sex(record.person)
            case "course":
                return from_course(variable, steps, as_of)
            case "condition" | "allergy":
                same_list = [event for event in uncoded if event.kind == variable.source]
                return listed(variable, events, same_list, as_of)
            case "observation":
                found = self._observation(variable, events, steps, as_of)
                if record.earlier is None or type(found) is Known or variable.before is not None:
                    return found
                older = record.earlier.readings(self._codes_of[name])
                return self._observation(variable, events + older, steps, as_of) if older else found
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


def gap_keys_of(name: str, variable: Variable, seen_as: Iterable[str]) -> tuple[str, ...]:
    """Return the gaps that a variable would have to look into, the widest first.

    Args:
        name: the variable's name.
        variable: its definition.
        seen_as: the codes by which the course is recognised.
    """
    keys: tuple[str, ...] = (EVERYTHING, name)
    if variable.source != "course":
        kinds: frozenset[str] = KINDS.get(variable.source or "", _PATIENT)
        keys += gap_keys(kinds, [*variable.codes, *variable.panels])
    if variable.source == "course" or variable.before:
        keys += gap_keys(COURSE_KINDS, list(seen_as))
    return tuple(dict.fromkeys(keys))
