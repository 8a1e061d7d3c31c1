"""What an export does not hold is missing from every record, and is never taken as not there.

Bulk Data writes one kind of file for each type of resource. A type without a file may have been
left out of the export, so that its variables are ``incomplete``. Only who made the export can say
that it was complete and no patient had any.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cds_adapters.bulk.scan import Scanned
from cds_adapters.bulk.sources import DataFile, Export, open_file
from cds_adapters.bulk.wanted import KIND_OF_TYPE
from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.resources import USED_TYPES
from cds_engine.bundle.model import RuleBundle
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
    """

    gaps: Mapping[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExportManifest:
    """What the manifest of a Bulk Data export says about it.

    Attributes:
        at: when the export was taken, as it stands; empty if there is no manifest.
        complete: types that were asked for, and of which there is none; None if it does not say
            which types were asked for, which means all.
    """

    at: str = ""
    complete: frozenset[str] | None = frozenset()


def read_manifest(export: Export) -> ExportManifest:
    """Read ``manifest.json`` of a Bulk Data export; one that is none says nothing."""
    for file in export.of("manifest"):
        with open_file(export.address, file) as stream:
            try:
                found: Any = json.load(stream)
            except ValueError:
                return ExportManifest()
        if isinstance(found, dict) and isinstance(found.get("transactionTime"), str):
            return ExportManifest(found["transactionTime"], _asked_for(found))
    return ExportManifest()


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
    if export.of("ndjson"):
        held = _held(export, scans) | set(complete)
        stated = read_manifest(export).complete
        if stated is not None:
            held |= stated
        for types, names, needed in _needs(bundles) if stated is not None else ():
            if held.isdisjoint(types):
                words = f"the export holds no {' and no '.join(types)}"
                gaps |= dict.fromkeys(needed, words)
                warnings.append(
                    f"{words}: {', '.join(names)} incomplete for every patient; export it, or say "
                    f"--complete {types[0]} if the export is complete and no patient has any"
                )
    for file, scan in zip(export.files, scans, strict=True):
        if scan.cut:
            words, keys = _cut(file, scan)
            warnings.append(words + ("" if not accept_cut else " (accepted)"))
            gaps |= {} if accept_cut else dict.fromkeys(keys, f"{file.name} is cut: {scan.short}")
    return Lacking(dict(sorted(gaps.items())), tuple(warnings))


def _held(export: Export, scans: Sequence[Scanned]) -> set[str]:
    """Return the types that there are, or that a file is named after, though it is empty."""
    held = {kind for scan in scans for kind, count in scan.types.items() if count}
    return held | {kind for file in export.files for kind in _named_in(file.name)}


def _named_in(name: str) -> tuple[str, ...]:
    words = re.findall("[A-Za-z]+", name.rpartition("/")[2])
    return tuple(word for word in words if word in USED_TYPES or word in UNUSED_TYPES)


_Need = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Types of which one is needed, the variables that need it, and the gaps where there is none."""


def _needs(bundles: Sequence[RuleBundle]) -> Iterator[_Need]:
    found: dict[tuple[str, ...], tuple[dict[str, None], dict[str, None]]] = {}
    for bundle in bundles:
        for name, variable in bundle.base_variables.items():
            for types, keys in _needed(variable, bundle.actions):
                names, gaps = found.setdefault(types, ({}, {}))
                names[name] = None
                gaps.update(dict.fromkeys(keys))
    for types, (names, gaps) in found.items():
        yield types, tuple(names), tuple(gaps)


def _needed(
    variable: Variable, actions: Mapping[str, Action]
) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    types = _TYPES.get(variable.source or "")
    if types is not None:
        codes = [f"code:{code}" for code in variable.codes]
        kind = "patient" if types == ("Patient",) else KIND_OF_TYPE[types[0]]
        yield types, codes or [f"kind:{kind}"]
    if variable.source == "course" or variable.before:
        for group, drug in ((_DRUGS, True), (_DEEDS, False)):
            codes = [
                f"code:{code}"
                for action in actions.values()
                for code in action.seen_as
                if code.startswith(_DRUG_SYSTEMS) is drug
            ]
            if codes:
                yield group, codes


def _cut(file: DataFile, scan: Scanned) -> tuple[str, list[str]]:
    """Return the words on a file that ends too early, and the gaps that it leaves."""
    types = {kind for kind, count in scan.types.items() if count} | {*_named_in(file.name)}
    known = sorted(KIND_OF_TYPE[kind] for kind in types if kind in KIND_OF_TYPE)
    # a Medication or Patient that is not there leaves a gap of its own in each record
    only_others = types and types <= {"Patient", "Medication"} | set(UNUSED_TYPES)
    keys = [f"kind:{kind}" for kind in known] or ([] if only_others else ["*"])
    about = ", ".join(sorted(types)) or "anything"
    words = (
        f"{file.name} is cut: {scan.short}. What came after is not there, so {about} is incomplete "
        "for every patient; fetch the file again, or say --accept-cut to go on without it"
    )
    return words, keys
