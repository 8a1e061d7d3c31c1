"""The forms in which servers hand out records: transaction, search page, Bulk Data files."""

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from cds_adapters.fhir.samples.codes import Resource
from cds_adapters.fhir.samples.patient import SamplePatient

NUMBER_MARKER = "@number:"
"""``"@number:1e999"`` in a resource is written as the number ``1e999``, which no float holds."""

_MARKED = re.compile(f'"{NUMBER_MARKER}([^"]*)"')
_SERVER = "https://ehr.example/fhir/"


def to_json(value: Any) -> str:
    """Write JSON on one line, keys sorted, marked numbers bare (see ``NUMBER_MARKER``).

    >>> to_json({"value": "@number:1e999", "unit": "mm[Hg]"})
    '{"unit":"mm[Hg]","value":1e999}'
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return _MARKED.sub(r"\1", text)


def urn_of(reference: str) -> str:
    """Return the ``urn:uuid:`` that always stands for a reference such as ``Patient/x``."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, _SERVER + reference)}"


def to_transaction_bundle(patient: SamplePatient) -> Resource:
    """Return the record as a transaction Bundle whose entries refer to each other by urn.

    References that lead out of the record stay as they are.
    """
    urns = {name: urn_of(name) for name in map(_name, patient.resources)}
    entries = [
        {
            "fullUrl": urns[_name(resource)],
            "resource": with_references(resource, urns),
            "request": {"method": "POST", "url": resource["resourceType"]},
        }
        for resource in patient.resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def to_searchset(
    resources: Iterable[Resource], *, total: int | None, next_link: str | None = None
) -> Resource:
    """Return one page of search results; ``total`` counts all pages, and None leaves it out."""
    page: Resource = {"resourceType": "Bundle", "type": "searchset"}
    if total is not None:
        page["total"] = total
    if next_link is not None:
        page["link"] = [{"relation": "next", "url": next_link}]
    entries = [
        {"fullUrl": _SERVER + _name(r), "resource": r, "search": {"mode": "match"}}
        for r in resources
    ]
    return page | ({"entry": entries} if entries else {})


def to_ndjson(patients: Iterable[SamplePatient]) -> dict[str, str]:
    """Return the files of a Bulk Data export, one per resource type: file name to text."""
    lines: dict[str, list[str]] = {}
    for patient in patients:
        for resource in patient.resources:
            lines.setdefault(resource["resourceType"], []).append(to_json(resource) + "\n")
    return {f"{kind}.ndjson": "".join(lines[kind]) for kind in sorted(lines)}


def with_references(value: Any, renamed: Mapping[str, str]) -> Any:
    """Return a copy in which every FHIR reference that is a key of ``renamed`` is replaced."""
    if isinstance(value, list):
        return [with_references(item, renamed) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {key: with_references(item, renamed) for key, item in value.items()}
    reference = copy.get("reference")
    if isinstance(reference, str):
        copy["reference"] = renamed.get(reference, reference)
    return copy


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"
