"""``vocab check``: what of a bundle's vocabulary a site's records hold, and in which units."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cds_adapters.cli.bundles import find_bundle
from cds_adapters.cli.output import FINDINGS, FINE, print_json, say, table
from cds_adapters.cli.patients import site_map
from cds_adapters.fhir.files import patient_resources, read_records
from cds_adapters.site import read_site
from cds_engine.bundle.model import RuleBundle
from cds_engine.decide.regime import Regime
from cds_engine.history.event import Event, Record
from cds_engine.history.extract import KINDS
from cds_engine.history.value import Known

SHOWN = 15


@dataclass(slots=True)
class Found:
    """What was found of one variable."""

    patients: int = 0
    known: int = 0
    units: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Survey:
    """What was found in all records together."""

    patients: int = 0
    variables: dict[str, Found] = field(default_factory=dict)
    unmapped: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)


def run(  # the command's own options
    address: str,
    rules: Path | None,
    records: Path,
    settings: Path | None,
    *,
    strict: bool,
    as_json: bool,
) -> int:
    """Survey the records; a variable that no patient has is a finding, and so is invalid FHIR."""
    site = read_site(settings, {"rules": rules})
    bundle = find_bundle(address, site.rules)
    found = survey(bundle, (record for _, record in read_records(records, site_map(site), None)))
    invalid = Counter(_invalid(records)) if strict else Counter()
    nowhere = [name for name, item in found.variables.items() if not item.patients]
    if as_json:
        print_json({**_plain(found), "found_nowhere": nowhere, "invalid": dict(invalid)})
    else:
        _print(found, nowhere)
        if strict:
            _print_invalid(invalid)
    return FINDINGS if nowhere or invalid else FINE


def survey(bundle: RuleBundle, records: Iterator[Record]) -> Survey:
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


def _plain(found: Survey) -> dict[str, Any]:
    return {
        "patients": found.patients,
        "variables": {
            name: {
                "patients": item.patients,
                "known": item.known,
                "units": dict(item.units.most_common()),
                "missing": dict(item.missing.most_common()),
            }
            for name, item in found.variables.items()
        },
        "unmapped": dict(found.unmapped.most_common(SHOWN)),
        "set_aside": dict(found.set_aside.most_common()),
    }


def _print(found: Survey, nowhere: list[str]) -> None:
    rows = [
        [
            name,
            str(item.patients),
            str(item.known),
            ", ".join(f"{unit}: {n}" for unit, n in item.units.most_common()),
            ", ".join(f"{reason}: {n}" for reason, n in item.missing.most_common()),
        ]
        for name, item in found.variables.items()
    ]
    title = f"{found.patients} patients, each as of the last entry of the record"
    table(title, ["variable", "on record", "usable", "units", "missing because"], rows)
    commonest = [[code, str(n)] for code, n in found.unmapped.most_common(SHOWN)]
    table("Commonest codes that the bundle does not use", ["code", "records"], commonest)
    if found.set_aside:
        aside = [[reason, str(n)] for reason, n in found.set_aside.most_common()]
        table("Records set aside", ["reason", "records"], aside)
    if nowhere:
        say(f"Found for no patient: {', '.join(nowhere)}; map local codes in the site's settings.")


def _invalid(records: Path) -> Iterator[str]:
    """Yield one line for each fault that the full R4B models find."""
    import json

    from fhir.resources.R4B import get_fhir_model_class
    from pydantic import ValidationError

    for _, raw in patient_resources(records):
        for data in raw:
            resource = json.loads(data)
            kind = str(resource.get("resourceType"))
            try:
                get_fhir_model_class(kind).model_validate(resource)
            except ValidationError as error:
                for detail in error.errors(include_url=False, include_input=False):
                    place = ".".join(str(p) for p in detail["loc"] if not isinstance(p, int))
                    yield f"{kind}.{place}: {detail['msg']}"


def _print_invalid(invalid: Counter[str]) -> None:
    rows = [[fault, str(n)] for fault, n in invalid.most_common()]
    if rows:
        table("Not valid FHIR R4B", ["fault", "times"], rows)
    else:
        say("Every resource is valid FHIR R4B.")
