"""``vocab check``: what of a bundle's vocabulary a site's records hold, and in which units."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from cds_adapters.bulk.folder import records_in
from cds_adapters.bulk.vocabulary import Survey, survey
from cds_adapters.cli.bundles import find_bundle
from cds_adapters.cli.output import FINDINGS, FINE, print_json, say, table
from cds_adapters.cli.patients import site_map
from cds_adapters.fhir.files import patient_resources
from cds_adapters.site import read_site


def run(  # the command's own options
    address: str,
    rules: Path | None,
    records: Path,
    settings: Path | None,
    *,
    strict: bool,
    as_json: bool,
) -> int:
    """Survey the records; what no patient has is a finding, and so is invalid FHIR."""
    site = read_site(settings, {"rules": rules})
    bundle = find_bundle(address, site.rules)
    found = survey(bundle, (record for _, record in records_in(records, site_map(site))))
    invalid = Counter(_invalid(records)) if strict else Counter()
    nowhere, unseen = found.nowhere(), found.never_seen()
    if as_json:
        told = {"found_nowhere": nowhere, "actions_nowhere": unseen, "invalid": dict(invalid)}
        print_json({**found.plain(), **told})
    else:
        _print(found, nowhere, unseen)
        if strict:
            _print_invalid(invalid)
    return FINDINGS if nowhere or unseen or invalid else FINE


def action_table(found: Survey) -> None:
    """Show how many patients have each action on record."""
    if found.actions:
        rows = [[name, str(patients)] for name, patients in found.actions.items()]
        table("Actions", ["action", "on record"], rows)


def commonest_unread(found: Survey) -> dict[str, int]:
    """Return the commonest codes that nothing reads: first of what can show an action, then all."""
    told = found.plain()
    treated = {code: n for one in told["treatments"].values() for code, n in one["codes"].items()}
    return {**treated, **told["unmapped"]}


def _print(found: Survey, nowhere: list[str], unseen: list[str]) -> None:
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
    action_table(found)
    commonest = [[code, str(n)] for code, n in commonest_unread(found).items()]
    table("Commonest codes that the bundle does not use", ["code", "records"], commonest)
    if found.set_aside:
        aside = [[reason, str(n)] for reason, n in found.set_aside.most_common()]
        table("Records set aside", ["reason", "records"], aside)
    if nowhere:
        say(f"Found for no patient: {', '.join(nowhere)}; map local codes in the site's settings.")
    if unseen:
        say(f"Actions on record for no patient: {', '.join(unseen)}; map local codes in the site's "
            "settings, or name them in seen_as.")  # fmt: skip


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
