"""The compiler turns a document into checked parts and gathers every fault on the way."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from graphlib import CycleError, TopologicalSorter
from math import inf

from cds_engine.bundle import document as doc
from cds_engine.bundle.estimates import checked_estimates
from cds_engine.bundle.model import Derived, Safeguard, Stage
from cds_engine.bundle.rules import RuleCompiler
from cds_engine.criteria.parse import parse_criterion, parse_linear
from cds_engine.criteria.syntax import Always, Criterion, IntegerForm
from cds_engine.errors import CriterionError, DurationError, Fault
from cds_engine.vocabulary.action import action_faults
from cds_engine.vocabulary.kind import Kind
from cds_engine.vocabulary.time import parse_duration
from cds_engine.vocabulary.ucum import unit_remark
from cds_engine.vocabulary.value import number_text
from cds_engine.vocabulary.variable import Variable, variable_faults

Parts = tuple[
    Mapping[str, Kind], Criterion, tuple[Derived, ...], tuple[Safeguard, ...], tuple[Stage, ...]
]


class Compiler:
    """Checks one document; ``faults`` holds all that was found.

    A part with a fault is replaced by one that is always true, so that the rest can be checked.
    """

    def __init__(self, document: doc.BundleDocument) -> None:
        self.document = document
        self.faults: list[Fault] = []
        self.actions = frozenset(document.actions)
        self.kinds: dict[str, Kind] = {}
        self._read: set[str] = set()
        self.broken: set[str] = set()
        """Derived variables with a fault of their own: what reads them is not faulty by that."""

    def compile(self) -> Parts:
        """Return the checked parts; meaningless while there are faults."""
        self._check_definitions()
        derived = self._derived()
        population = self.criterion("population", self.document.population)
        safeguards = tuple(
            self._safeguard(at, item) for at, item in enumerate(self.document.safeguards)
        )
        stages = tuple(self._stage(at, item) for at, item in enumerate(self.document.stages))
        self.refuse_repeats("stages", [stage.name for stage in stages])
        return self.kinds, population, derived, safeguards, stages

    def criterion(self, place: str, text: str, *, allow_missing: bool = False) -> Criterion:
        """Read one criterion; a fault is noted at its place."""
        try:
            found = parse_criterion(text, self.kinds, allow_missing=allow_missing)
        except CriterionError as error:
            if not self._rests_on_broken(text):
                self.fault(place, str(error))
            return Always(value=True)
        self._read |= found.names()
        return found

    def _rests_on_broken(self, text: str) -> bool:
        """Say whether a criterion cannot be read because what it reads has a fault of its own."""
        return not self.broken.isdisjoint(_words(text))

    def fault(self, place: str, problem: str) -> None:
        """Note one fault."""
        self.faults.append(Fault(place, problem))

    def known_actions(self, place: str, names: Iterable[str], allowed: Iterable[str]) -> None:
        """Note every name that is not among the allowed actions."""
        choices = list(allowed)
        for name in names:
            if name not in self.actions:
                cure = _suggestion(name, self.actions)
                known = cure or f"; there is {', '.join(self.document.actions)}"
                self.fault(place, f"no action `{name}`{known}")
            elif name not in choices:
                self.fault(
                    place,
                    f"`{name}` cannot be chosen at this stage; add it to the stage's `choose`, "
                    f"which holds {', '.join(choices)}",
                )

    def _check_definitions(self) -> None:
        for name, variable in self.document.variables.items():
            self.faults.extend(variable_faults(name, variable, self.actions))
            if variable.source is not None:
                self.kinds[name] = self._kind(name, variable)
        for name, action in self.document.actions.items():
            self.faults.extend(action_faults(name, action))
        self._check_recognition()
        self._check_dates()

    def _kind(self, name: str, variable: Variable) -> Kind:
        kind = variable.kind(name, self.actions)
        if variable.source != "course" or kind.type != "label":
            return kind
        actions = self.document.actions
        spoken = tuple((label, f"“{actions[label].label}”") for label in sorted(actions))
        return replace(kind, spoken=spoken)

    def _check_recognition(self) -> None:
        """Each code must recognise one action only, else a course could not be told."""
        owner: dict[str, str] = {}
        for name, action in self.document.actions.items():
            for code in dict.fromkeys(action.seen_as):
                if owner.setdefault(code, name) != name:
                    self.fault(
                        f"actions.{name}.seen_as",
                        f"{code} already recognises `{owner[code]}`; "
                        "a code may stand for one action only",
                    )

    def _check_dates(self) -> None:
        for field in ("effective_from", "review_by", "expires"):
            text = getattr(self.document, field)
            if text is not None and not _is_date(text):
                self.fault(field, f"{text!r} is no date; write it as 2026-01-31")
        first, last = self.document.effective_from, self.document.expires
        if first and last and _is_date(first) and _is_date(last) and last < first:
            self.fault("expires", f"is before effective_from ({first}), so it is never in force")
        about = self.document.about
        if about and about.evidence_date and not _is_date(about.evidence_date, vague=True):
            self.fault(
                "about.evidence_date",
                f"{about.evidence_date!r} is no date; write it as 2026-01-31, 2026-01 or 2026",
            )
        self._check_aim()

    def _check_aim(self) -> None:
        aim = self.document.aim
        kind = self.kinds.get(aim.outcome)
        if aim.unit and kind is not None and kind.type == "number" and kind.unit != aim.unit:
            self.fault(
                "aim.unit",
                f"{aim.unit!r}, but the variable `{aim.outcome}` is in {kind.unit or 'no unit'!r}; "
                "write the variable's unit, or give the aim a name of its own",
            )
        if aim.at:
            try:
                parse_duration(aim.at)
            except DurationError as error:
                self.fault("aim.at", str(error))

    def _derived(self) -> tuple[Derived, ...]:
        """Compile derived variables in an order in which each reads only earlier ones."""
        pending = {n: v for n, v in self.document.variables.items() if v.derive is not None}
        order = self._order(pending)
        return tuple(
            found for name in order if (found := self._derive(name, pending[name])) is not None
        )

    def _order(self, pending: Mapping[str, Variable]) -> list[str]:
        # in the order of the document, so that the same bundle is compiled alike everywhere
        words = {
            name: [word for word in dict.fromkeys(_words(variable.derive or "")) if word in pending]
            for name, variable in pending.items()
        }
        try:
            return list(TopologicalSorter(words).static_order())
        except CycleError as error:
            circle = " -> ".join(error.args[1])
            self.fault("variables", f"derived variables read each other in a circle: {circle}")
            self.broken |= pending.keys()
            return []

    def _derive(self, name: str, variable: Variable) -> Derived | None:
        place = f"variables.{name}.derive"
        text = variable.derive or ""
        if self._rests_on_broken(text):
            self.broken.add(name)
            return None
        label = variable.label or name.replace("_", " ")
        try:
            criterion = parse_criterion(text, self.kinds)
        except CriterionError as problem:
            return self._derive_number(name, variable, label, str(problem))
        if "unit" in variable.model_fields_set or "digits" in variable.model_fields_set:
            self.fault(place, "is yes or no, so `unit` and `digits` have no meaning here")
        self._read |= criterion.names()
        self.kinds[name] = Kind("boolean", label)
        return Derived(name, criterion, criterion.names(), 0, str(criterion))

    def _derive_number(
        self, name: str, variable: Variable, label: str, first_problem: str
    ) -> Derived | None:
        place = f"variables.{name}.derive"
        try:
            linear, unit = parse_linear(variable.derive or "", self.kinds)
        except CriterionError as problem:
            arithmetic = "is no criterion" in first_problem
            self.fault(place, str(problem) if arithmetic else first_problem)
            self.broken.add(name)
            return None
        if not linear.terms:
            self.fault(place, "names no variable; a constant is no variable")
            self.broken.add(name)
            return None
        self._read |= linear.names()
        stated = variable.unit if variable.unit is not None else unit
        self.kinds[name] = Kind("number", label, stated, variable.decimals)
        digits = {read: self.kinds[read].digits for read in linear.names()}
        form = IntegerForm.of(linear, digits)
        return Derived(name, form, linear.names(), variable.decimals, str(linear))

    def _safeguard(self, at: int, item: doc.Safeguard) -> Safeguard:
        place = f"safeguards[{at}]"
        self.known_actions(f"{place}.never", item.never, self.actions)
        when = self.criterion(f"{place}.when", item.when)
        return Safeguard(place, frozenset(item.never), when, item.because)

    def _stage(self, at: int, item: doc.Stage) -> Stage:
        place = f"stages[{at}]"
        self.known_actions(f"{place}.choose", item.choose, item.choose)
        self.refuse_repeats(f"{place}.choose", item.choose)
        when = self.criterion(f"{place}.when", item.when)
        rule = RuleCompiler(self, item.choose).rule(f"{place}.rule", item.rule)
        title = item.title or item.stage.replace("_", " ")
        estimates = None
        if item.estimates is not None:
            estimates = checked_estimates(self, f"{place}.estimates", item.estimates, rule)
        return Stage(item.stage, title, place, when, item.choose, rule, estimates)

    def refuse_repeats(self, place: str, names: Iterable[str]) -> None:
        """Note every name that stands twice."""
        seen: set[str] = set()
        for name in names:
            if name in seen:
                self.fault(place, f"`{name}` stands twice; each may stand once")
            seen.add(name)

    def check_cases(self, cases: doc.CasesDocument) -> None:
        """Check that every case speaks of declared things in the right types."""
        self._check_values("cases.yaml: defaults", cases.defaults)
        for at, case in enumerate(cases.cases):
            place = f"cases.yaml: cases[{at}]"
            self._check_values(f"{place}.given", case.given)
            expected = case.expect
            stages = {stage.stage for stage in self.document.stages}
            if expected.stage is not None and expected.stage not in stages:
                self.fault(f"{place}.expect.stage", f"no stage `{expected.stage}`")
            named = [expected.action, *(expected.candidates or ())]
            self.known_actions(f"{place}.expect", filter(None, named), self.actions)

    def _check_values(self, place: str, given: Mapping[str, object]) -> None:
        for name, value in given.items():
            variable = self.document.variables.get(name)
            if variable is None:
                self.fault(place, f"no variable `{name}`{_suggestion(name, self.kinds)}")
            elif variable.source is None:
                self.fault(place, f"`{name}` is derived; give the variables that it reads")
            elif value is not None and (problem := value_problem(self.kinds[name], value)):
                self.fault(f"{place}.{name}", problem)

    def notes(self) -> tuple[str, ...]:
        """Return what is allowed but worth a look."""
        unread = sorted(set(self.kinds) - self._read)
        units = [
            f"variables.{name}.unit: {remark}"
            for name, variable in self.document.variables.items()
            if variable.unit and (remark := unit_remark(variable.unit))
        ]
        return (*(f"variables.{name}: nothing reads it" for name in unread), *units)

    def note_read(self, names: Iterable[str]) -> None:
        """Remember that a rule reads these names."""
        self._read |= set(names)


def value_problem(kind: Kind, value: object) -> str | None:
    """Say why a value does not fit a kind, or None."""
    if kind.type == "boolean":
        return None if isinstance(value, bool) else "must be true or false"
    if kind.type == "number":
        if not isinstance(value, int | float) or isinstance(value, bool):
            return "must be a number"
        low, high = _range(kind)
        if not low <= value <= high:
            return (
                f"must be from {number_text(low)} to {number_text(high)}, the plausible range; "
                "a value outside it counts as missing"
            )
        return None
    if not isinstance(value, str):
        return "must be a label, in quotes if it looks like something else"
    if kind.labels is not None and value not in kind.labels:
        return f"{value!r} is never the case; it can be {', '.join(sorted(kind.labels))}"
    return None


def _range(kind: Kind) -> tuple[float, float]:
    return (-inf if kind.low is None else kind.low), (inf if kind.high is None else kind.high)


def _is_date(text: str, *, vague: bool = False) -> bool:
    if vague and len(text) in (4, 7):
        text += "-01" * (2 if len(text) == 4 else 1)
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in text).split()


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
