"""What an export does not hold is missing from every record, and is never taken as not there.

Bulk Data writes one kind of file for each type of resource. A type without a file may have been
left out of the export, so that its variables are ``incomplete``. Only who made the export can say
that it was complete and no patient had any. The same holds for the kinds of events in event files:
each stands for the types of resources that such events are made of.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cds_adapters.bulk.listed import is_said_empty, manifests, said_empty, shortcomings
from cds_adapters.bulk.scanned import Scanned
from cds_adapters.bulk.sources import DataFile, Export
from cds_adapters.bulk.wanted import KIND_OF_TYPE, Wanted
from cds_adapters.bulk.words import by
from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.resources import USED_TYPES
from cds_engine.bundle.model import RuleBundle
from cds_engine.history.event import EventKind
from cds_engine.history.gaps import EVERYTHING, code_gap, kind_gap
from cds_engine.vocabulary.action import Action
from cds_engine.vocabulary.variable import Variable

_DRUGS = (
    "MedicationRequest",
    "MedicationStatement",
    "MedicationDispense",
    "MedicationAdministration",
)
_DEEDS = ("Procedure", "ServiceRequest", "CarePlan")
_DRUG_SYSTEMS = ("rxnorm", "ndc", "atc", "cvx")
ACCEPTED = " (accepted: what it may have held is taken as not there; values may be wrong)"
"""What follows where a file that ends too early, or is not there, was accepted as it is."""

_TYPES: Mapping[str, tuple[str, ...]] = {
    "patient.age": ("Patient",),
    "patient.sex": ("Patient",),
    "observation": ("Observation",),
    "condition": ("Condition",),
    "allergy": ("AllergyIntolerance",),
    "medication": _DRUGS,
    "procedure": ("Procedure",),
    "encounter": ("Encounter",),
}
"""Source of a variable -> the types of resources of which the export must hold at least one."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """What an export lacks.

    Attributes:
        gaps: what is missing from every record, as ``cds_engine.history.event.Record`` has it.
        warnings: the same in words, with the variables that suffer and the cure.
        absent: variable -> words on the types that it is read from, where there is no resource of
            them at all.
    """

    gaps: Mapping[str, str]
    warnings: tuple[str, ...]
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExportManifest:
    """What the manifest of a Bulk Data export says about it.

    Attributes:
        at: when the export was taken, as it stands; empty if nothing that can be read says it.
        complete: types that were asked for, and of which there is none; None if it does not say
            which types were asked for, which means all. Nothing where a list of files is damaged.
    """

    at: str = ""
    complete: frozenset[str] | None = frozenset()


def read_manifest(export: Export) -> ExportManifest:
    """Read ``manifest.json`` of a Bulk Data export; one that is none says nothing."""
    found = list(manifests(export))
    at = next((one.at for one in found if one.at), "")
    if not found or not all(one.lists for one in found):
        return ExportManifest(at)
    return ExportManifest(at, _asked_for(found[0].body))


def _asked_for(manifest: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the types that the export was to hold; those that are listed have files."""
    query = parse_qs(urlsplit(str(manifest.get("request", ""))).query)
    if "request" not in manifest or "_since" in query or "_typeFilter" in query:
        return frozenset()
    if "_type" not in query:
        return None
    return frozenset(name for text in query["_type"] for name in text.split(","))


def lacking(
    export: Export,
    scans: Sequence[Scanned],
    bundles: Sequence[RuleBundle],
    complete: Collection[str],
    *,
    accept_cut: bool,
) -> Lacking:
    """Return what an export lacks that the rule bundles read.

    Args:
        export: its files.
        scans: what each of them came to.
        bundles: the rule bundles.
        complete: types of resources that are known to be there in full, though there is none.
        accept_cut: leave no gap for what a file that ends too early may have held.
    """
    gaps: dict[str, str] = {}
    warnings: list[str] = []
    if export.of("ndjson", "events", "persons"):
        held = _held(export, scans) | set(complete)
        stated = read_manifest(export).complete
        short = list(shortcomings(export, scans, Wanted(bundles).types()))
        if stated is not None:
            held |= stated
        for types, names, needed in _needs(bundles):
            if types == _PATIENT or stated is None or not held.isdisjoint(types):
                continue
            words = _holds_no(types)
            gaps |= dict.fromkeys(needed, words)
            if {one.kind for one in short}.isdisjoint(types):
                kinds = _as_events(export, types)
                warnings.append(
                    f"{words}{kinds}: {', '.join(names)} incomplete for every patient; export it, "
                    f"or say --complete {types[0]} if the export is complete and no patient has any"
                )
        for one in short:
            accepted = bool(one.kind) and accept_cut
            warnings.append(one.gap + ACCEPTED if accepted else one.words)
            if one.kind in KIND_OF_TYPE and not accepted:
                gaps.setdefault(kind_gap(KIND_OF_TYPE[one.kind]), one.gap)
    warnings += [words for one in manifests(export) for words in one.faults]
    warnings += _of_empty_files(export, Wanted(bundles).types())
    absent = _absent(export, scans, bundles)
    if "Patient" not in _counted(export, scans):
        warnings.append(_no_patient(absent))
    for file, scan in zip(export.files, scans, strict=True):
        if scan.cut:
            words, cure, keys = _cut(file, scan)
            warnings.append(words + (ACCEPTED if accept_cut else cure))
            gaps |= {} if accept_cut else dict.fromkeys(keys, f"{file.name} is cut: {scan.short}")
    return Lacking(dict(sorted(gaps.items())), tuple(warnings), absent)


_PATIENT = ("Patient",)


def _holds_no(types: Sequence[str]) -> str:
    return f"the export holds no {' and no '.join(types)}"


def _as_events(export: Export, types: Sequence[str]) -> str:
    """Return the kinds of events that would stand for some types, where there are event files."""
    kinds = _kinds_of(types)
    words = f"of the {by(len(kinds), 'kind', 'kinds')} {', '.join(kinds)}"
    return f" (no event {words})" if export.of("events", "persons") else ""


def _of_empty_files(export: Export, types: Collection[str]) -> Iterator[str]:
    """Yield which files have 0 bytes, though nothing says that there is none of their type.

    Packed ones are cut, see ``cds_adapters.bulk.streams``.
    """
    expected = said_empty(export)
    for file in export.of("ndjson"):
        named = _named_in(file.name)
        of_use = not named or not {*types, "Patient", "Medication"}.isdisjoint(named)
        if file.size or file.packing or not of_use or is_said_empty(file, expected):
            continue
        about = " or ".join(named) or "resource of its type"
        yield (
            f"{file.name} is empty, and nobody is taken to have any {about} that is in no other "
            "file; if the export should hold some, fetch it again"
        )


def _counted(export: Export, scans: Sequence[Scanned]) -> set[str]:
    """Return the types of which there is a resource; events are of the types they come from."""
    counted = {kind for scan in scans for kind, count in scan.types.items() if count}
    counted |= {"Patient" for scan in scans if scan.kept["Patient"]}
    if export.of("events"):
        counted |= {name for name, kind in KIND_OF_TYPE.items() if kind in counted}
    return counted


def _absent(
    export: Export, scans: Sequence[Scanned], bundles: Sequence[RuleBundle]
) -> dict[str, str]:
    """Return the variables of whose types of resources there is none, with words."""
    counted = _counted(export, scans)
    found: dict[str, str] = {}
    for types, names, _ in _needs(bundles):
        if counted.isdisjoint(types):
            for name in names:
                found.setdefault(name, _holds_no(types))
    return found


def _no_patient(absent: Mapping[str, str]) -> str:
    """Return the words on an export without anybody; no ``--complete`` can stand for that."""
    names = [name for name, words in absent.items() if words == _holds_no(_PATIENT)]
    if not names:
        return f"{_holds_no(_PATIENT)}: nobody's sex, birth or death is known; export it"
    return (
        f"{_holds_no(_PATIENT)}: {', '.join(names)} unknown for everybody, and nothing that rests "
        "on it can be decided; export it"
    )


def _held(export: Export, scans: Sequence[Scanned]) -> set[str]:
    """Return the types that there are, or that a file is named after, though it is empty."""
    return _counted(export, scans) | {
        kind for file in export.files for kind in _named_in(file.name)
    }


def _named_in(name: str) -> tuple[str, ...]:
    words = re.findall("[A-Za-z]+", name.rpartition("/")[2])
    return tuple(word for word in words if word in USED_TYPES or word in UNUSED_TYPES)


_Need = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Types of which one is needed, what needs it, and the gaps where there is none."""


def _needs(bundles: Sequence[RuleBundle]) -> Iterator[_Need]:
    found: dict[tuple[str, ...], tuple[dict[str, None], dict[str, None]]] = {}
    for bundle in bundles:
        wanted = [
            (name, *need)
            for name, variable in bundle.base_variables.items()
            for need in _needed(variable, bundle.actions)
        ]
        # what was really done after a decision is read from them, with or without a course
        wanted += [
            (f"action {name}", *need)
            for name, action in bundle.actions.items()
            for need in _needed_to_see({name: action})
        ]
        for name, types, keys in wanted:
            names, gaps = found.setdefault(types, ({}, {}))
            names[name] = None
            gaps.update(dict.fromkeys(keys))
    for types, (names, gaps) in found.items():
        yield types, tuple(names), tuple(gaps)


def _needed(
    variable: Variable, actions: Mapping[str, Action]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    types = _TYPES.get(variable.source or "")
    if types == ("Patient",):
        yield types, [kind_gap("patient")]
    elif types is not None:
        kinds = _kinds_of(types)
        coded = [code_gap(code, kind) for kind in kinds for code in variable.codes]
        yield types, coded or list(map(kind_gap, kinds))
    if variable.source == "course" or variable.before:
        yield from _needed_to_see(actions)


def _needed_to_see(actions: Mapping[str, Action]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yield the types by which actions are recognised, and the gaps where there is none."""
    codes = [code for action in actions.values() for code in action.seen_as]
    for group, drug in ((_DRUGS, True), (_DEEDS, False)):
        some = [code for code in codes if code.startswith(_DRUG_SYSTEMS) is drug]
        if some:
            yield group, [code_gap(code, kind) for kind in _kinds_of(group) for code in some]


def shown_by(action: Action) -> tuple[str, ...]:
    """Return the types of resources by which an action is recognised."""
    ordered = action.order is not None and action.order.resource == _DRUGS[0]
    drugs = _DRUGS if ordered and action.seen_as else ()
    seen = (name for types, _ in _needed_to_see({"": action}) for name in types)
    return tuple(dict.fromkeys((*drugs, *seen)))


def _kinds_of(types: Sequence[str]) -> list[EventKind]:
    return sorted({KIND_OF_TYPE[one] for one in types})


def _cut(file: DataFile, scan: Scanned) -> tuple[str, str, list[str]]:
    """Return the words on a file that ends too early, the harm and cure, and the gaps it leaves."""
    types = {kind for kind, count in scan.types.items() if count} | {*_named_in(file.name)}
    known = sorted(KIND_OF_TYPE[kind] for kind in types if kind in KIND_OF_TYPE)
    # a Medication or Patient that is not there leaves a gap of its own in each record
    only_others = types and types <= {"Patient", "Medication"} | set(UNUSED_TYPES)
    keys = [kind_gap(kind) for kind in known] or ([] if only_others else [EVERYTHING])
    about = ", ".join(sorted(types)) or "anything"
    words = f"{file.name} is cut: {scan.short}. What came after is not there"
    cure = (
        f", so {about} is incomplete for every patient; fetch the file again, or say --accept-cut "
        "to go on without it"
    )
    return words, cure, keys
