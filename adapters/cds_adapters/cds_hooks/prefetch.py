"""What a client is asked to send along is computed from the rule bundle: nothing is listed twice.

Only observations, procedures and orders of services are searched by code, because for the other
lists a code search is rare among servers, finds no medication that is given by reference, and the
lists are short. No template names a date: clients that know only one value of a parameter would
merge two, and the histories look at the dates themselves. Only ``{{context.patientId}}`` is used.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from cds_adapters.fhir.events import KINDS as EVENT_KINDS
from cds_adapters.fhir.site_map import PLAIN, SiteMap
from cds_engine.bundle.model import DecisionList, RuleBundle, ScoreRule
from cds_engine.history.event import EventKind
from cds_engine.history.extract import KINDS
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.code import full_code, short_code
from cds_engine.vocabulary.time import Duration
from cds_engine.vocabulary.variable import Variable

PATIENT_ID = "{{context.patientId}}"
COUNT = 200
"""Results of one search that are asked for; more than this many are a truncated answer."""

DRUG_SYSTEMS = frozenset({"rxnorm", "ndc", "atc", "cvx"})
CARE_SYSTEMS = frozenset({"cpt", "loinc", "icd9cm", "icd10", "icd10cm"})

_RESOURCES: Mapping[EventKind, tuple[str, ...]] = {
    kind: tuple(r.__name__ for r, made in EVENT_KINDS.items() if made == kind)
    for kind in EVENT_KINDS.values()
}
_KEYS: Mapping[str, str] = {
    "Condition": "conditions",
    "AllergyIntolerance": "allergies",
    "MedicationRequest": "medication_requests",
    "MedicationStatement": "medication_statements",
    "MedicationDispense": "medication_dispenses",
    "MedicationAdministration": "medication_administrations",
    "Procedure": "procedures",
    "ServiceRequest": "service_requests",
    "CarePlan": "care_plans",
    "Encounter": "encounters",
}
_BY_CODE = frozenset({"Observation", "Procedure", "ServiceRequest"})
_BY_DATE = frozenset({"Observation", "Procedure", "Encounter"})
_SECONDARY = frozenset(
    {"MedicationStatement", "MedicationDispense", "MedicationAdministration", "CarePlan"}
)
"""Lists that many servers do not keep: without one, what rests on it abstains, and no more."""

_DRUG_KINDS: tuple[EventKind, ...] = ("request", "dispense", "statement", "administration")
_CARE_KINDS: tuple[EventKind, ...] = ("procedure", "service")
_TAKE_KINDS: Mapping[str, tuple[EventKind, ...]] = {
    "active": ("request", "statement"),
    "adherence": ("request", "dispense"),
}
"""The kinds of events that an aggregate over medications reads, where it does not read all."""


@dataclass(frozen=True, slots=True)
class RecordSystem:
    """What a site's record system can do that templates must know.

    Attributes:
        not_kept: types of resources that its records do not hold at all; they are not asked for.
        includes_medications: whether a search for prescriptions may ask for the medications that
            they only refer to (``_include``). It is outside the subset that CDS Hooks recommends,
            but without it such a prescription can be recognised only where a token allows to
            read the medication, and many servers write all prescriptions in this way.
    """

    not_kept: frozenset[str] = frozenset()
    includes_medications: bool = True


PLAIN_SYSTEM = RecordSystem()


@dataclass(frozen=True, slots=True)
class Query:
    """One read or search that fills one prefetch key.

    Attributes:
        key: its name in the discovery document.
        resource: the type of resource it brings.
        template: relative URL with ``{{context.patientId}}`` in it.
        count: results asked for; None for a read of one resource.
        variables: the variables that it feeds.
        required: whether a call without it is answered with 412; without another key the
            variables that it feeds are incomplete.
        window: how far back its variables look; None where one of them looks at all of the past.
    """

    key: str
    resource: str
    template: str
    count: int | None
    variables: tuple[str, ...]
    required: bool
    window: Duration | None = None

    def path(self, patient_id: str) -> str:
        """Return the relative URL for one patient."""
        return self.template.replace(PATIENT_ID, patient_id)


def prefetch_queries(
    bundle: RuleBundle, site: SiteMap = PLAIN, system: RecordSystem = PLAIN_SYSTEM
) -> tuple[Query, ...]:
    """Return the queries that bring everything a rule bundle's variables read.

    A key is required if the bundle's criteria read a variable that it feeds. Lists that many
    servers do not keep (statements, dispenses, administrations, care plans) are not, unless a
    variable reads nothing else first.

    Args:
        bundle: its variables decide what is asked for.
        site: its local codes are searched together with the standard ones.
        system: what the site's record system can do.
    """
    return _Planner(bundle, site, system).queries()


def variables_read(bundle: RuleBundle) -> frozenset[str]:
    """Return the variables that decide something, directly or through derived ones."""
    read = set(bundle.population.names())
    for guard in bundle.safeguards:
        read |= guard.when.names()
    for stage in bundle.stages:
        read |= stage.when.names()
        read |= _read_by_rule(stage.rule)
    for derived in reversed(bundle.derived):
        if derived.name in read:
            read |= derived.reads
    return frozenset(read) & frozenset(bundle.base_variables)


def _read_by_rule(rule: DecisionList | ScoreRule) -> frozenset[str]:
    if isinstance(rule, ScoreRule):
        return rule.names.union(*(item.when.names() for item in rule.support))
    return frozenset().union(*(b.when.names() for b in rule.walk() if b.when is not None))


@dataclass(slots=True)
class _Need:
    """One search in the making."""

    resource: str
    codes: tuple[str, ...]
    variables: list[str]


class _Planner:
    """Gathers what each variable needs, and shares searches that are the same."""

    def __init__(self, bundle: RuleBundle, site: SiteMap, system: RecordSystem) -> None:
        self.bundle = bundle
        self.read = variables_read(bundle)
        self.system = system
        self.local: dict[str, list[str]] = {}
        for local, standards in site.codes.items():
            for standard in standards:
                self.local.setdefault(standard, []).append(local)

    def queries(self) -> tuple[Query, ...]:
        """Return the patient first, then the searches in the order of the variables."""
        people = tuple(name for name, v in self.bundle.base_variables.items() if _is_of_patient(v))
        patient = Query("patient", "Patient", f"Patient/{PATIENT_ID}", None, people, required=True)
        return (patient, *(self.query(need) for need in self.needs()))

    def needs(self) -> Iterable[_Need]:
        """Return one need for each distinct search; lists without a code search are one."""
        found: dict[tuple[str, tuple[str, ...]], _Need] = {}
        codes_of: dict[str, dict[str, None]] = {}
        wanted = list(self.wanted())
        for resource, codes, _ in wanted:
            if resource != "Observation":
                codes_of.setdefault(resource, {}).update(dict.fromkeys(codes))
        measured = joined_where_they_meet(c for kind, c, _ in wanted if kind == "Observation")
        for resource, codes, variable in wanted:
            joined = measured[codes] if resource == "Observation" else tuple(codes_of[resource])
            need = found.setdefault((resource, joined), _Need(resource, joined, []))
            if variable not in need.variables:
                need.variables.append(variable)
        return found.values()

    def wanted(self) -> Iterator[tuple[str, tuple[str, ...], str]]:
        """Yield (resource, codes, variable) for everything that a variable is read from."""
        for name, variable in self.bundle.base_variables.items():
            if variable.source != "course" and not _is_of_patient(variable):
                for resource in self.resources(_kinds(variable)):
                    yield resource, self.codes(variable.codes, variable.panels), name
            if variable.source == "course" or variable.before is not None:
                yield from self.course(name)

    def course(self, name: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
        """Yield what the course of past actions is read from."""
        for action in self.bundle.actions.values():
            for code in action.seen_as:
                for resource in self.resources(_course_kinds(code, action)):
                    yield resource, self.codes((code,)), name

    def resources(self, kinds: Iterable[EventKind]) -> Iterator[str]:
        """Yield the types of resources in which kinds of events stand at this site."""
        for kind in kinds:
            for resource in _RESOURCES[kind]:
                if resource not in self.system.not_kept:
                    yield resource

    def codes(self, *groups: Iterable[str]) -> tuple[str, ...]:
        """Return codes with the site's local codes for them, each once."""
        found: dict[str, None] = {}
        for code in (code for group in groups for code in group):
            standard = short_code(*full_code(code))
            found |= dict.fromkeys([standard, *sorted(self.local.get(standard, ()))])
        return tuple(found)

    def query(self, need: _Need) -> Query:
        """Write one search."""
        read = any(name in self.read for name in need.variables)
        return Query(
            key=_KEYS.get(need.resource) or f"observations_{need.variables[0]}",
            resource=need.resource,
            template=self.template(need),
            count=COUNT,
            variables=tuple(need.variables),
            required=read and need.resource not in _SECONDARY,
            window=self.window(need),
        )

    def template(self, need: _Need) -> str:
        """Write the relative URL of one search."""
        parts = [f"{need.resource}?patient={PATIENT_ID}"]
        if need.resource in _BY_CODE and need.codes:
            parts.append("code=" + ",".join(map(_search_token, need.codes)))
        if need.resource in _BY_DATE:
            parts.append("_sort=-date")
        if need.resource.startswith("Medication") and self.system.includes_medications:
            parts.append(f"_include={need.resource}:medication")
        return "&".join([*parts, f"_count={COUNT}"])

    def window(self, need: _Need) -> Duration | None:
        """Return the longest window, None where one variable has none or has it in the past."""
        variables = [self.bundle.base_variables[name] for name in need.variables]
        windows = [None if v.before or v.source == "course" else v.window for v in variables]
        ends = [window for window in windows if window is not None]
        if len(ends) < len(windows):
            return None
        # Compared at the end of a long month, so that P1M is not taken for less than P30D.
        return max(ends, key=lambda window: window.months * 31 * 86_400_000_000 + window.exact)


def joined_where_they_meet(
    lists: Iterable[tuple[str, ...]],
) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return each list of codes -> its union with all that share a code with it, directly or not.

    Both pressures of a panel come in one search: asked for one by one, a client would send every
    panel twice.

    >>> joined_where_they_meet([("a", "panel"), ("b", "panel"), ("c",)])[("b", "panel")]
    ('a', 'panel', 'b')
    """
    groups: list[dict[str, None]] = []
    found = list(lists)
    for codes in found:
        union: dict[str, None] = {}
        for group in [g for g in groups if not g.keys().isdisjoint(codes)]:
            union |= group
            groups.remove(group)
        groups.append(union | dict.fromkeys(codes))
    return {
        codes: tuple(next(group for group in groups if not group.keys().isdisjoint(codes)))
        for codes in found
    }


def _is_of_patient(variable: Variable) -> bool:
    return variable.source in {"patient.age", "patient.sex"}


def _kinds(variable: Variable) -> Iterable[EventKind]:
    """Return the kinds of events in a fixed order."""
    if variable.source == "medication":
        return _TAKE_KINDS.get(variable.aggregate or "", _DRUG_KINDS)
    return sorted(KINDS[variable.source or ""])


def _course_kinds(code: str, action: Action) -> tuple[EventKind, ...]:
    """Return where an action's code may stand: among drugs, among other care, or in both."""
    system = short_code(*full_code(code)).rpartition("|")[0]
    if system in DRUG_SYSTEMS:
        return _DRUG_KINDS
    if system in CARE_SYSTEMS:
        return _CARE_KINDS
    if action.order is not None:
        return _DRUG_KINDS if action.order.resource == "MedicationRequest" else _CARE_KINDS
    if action.kind is not None:
        return _DRUG_KINDS if action.kind in {"drug", "dose"} else _CARE_KINDS
    return (*_DRUG_KINDS, *_CARE_KINDS)


def _search_token(code: str) -> str:
    """Write a code as a search token: ``http://loinc.org|8480-6``.

    FHIR sets ``$ , |`` and the backslash of a value off with a backslash; what a URL cannot carry
    is percent-encoded. The bar between system and code stays as the specification writes it.
    """
    return "|".join(quote(_set_off(part), safe="/:@!$'()*;?=") for part in full_code(code))


def _set_off(part: str) -> str:
    return "".join(f"\\{char}" if char in "$,|\\" else char for char in part)
