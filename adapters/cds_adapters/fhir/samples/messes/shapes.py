"""Shapes that FHIR does not foresee, or foresees as a warning, and texts that want to be code."""

from collections.abc import Iterator
from typing import Any

from cds_adapters.fhir.samples.codes import Resource
from cds_adapters.fhir.samples.draw import Draw
from cds_adapters.fhir.samples.messes.mess import drawn_mess, mess
from cds_adapters.fhir.samples.messes.places import Resources, of_type, readings

HOSTILE = (
    "**[pay](javascript:alert(1))** | `x` | # heading",
    "<img src=x onerror=alert(1)></td><script>alert(2)</script>",
    "\u202e\u2066gniyl\u2069 right-to-left \u200b\ufeff",
    "\u001b[31mred\u0007 line\r\nforged log line",
    "'; DROP TABLE audit; -- ${7*7} {{7*7}} %s =1+1",
)


@drawn_mess(
    "hostile-strings",
    what="Every display and every text is Markdown, HTML, bidi or control characters, or code.",
    reader="Decides as for the clean record; shows such texts escaped, or not at all.",
    legal=False,
)
def hostile_strings(resources: Resources, draw: Draw) -> None:
    """Replace what people read."""
    for part in _parts(resources):
        for key in ("display", "text", "family"):
            if isinstance(part.get(key), str):
                part[key] = draw.pick(HOSTILE)


@mess(
    "modifier-extension",
    what="Readings carry a modifierExtension that nobody knows.",
    reader="Does not use them; an unknown modifier may turn the meaning around.",
)
def modifier_extension(resources: Resources) -> None:
    """Add a modifier."""
    url = "https://ehr.example/fhir/StructureDefinition/negated"
    for reading in readings(resources):
        reading["modifierExtension"] = [{"url": url, "valueBoolean": True}]


@mess(
    "unknown-fields",
    what="Every resource has fields that FHIR does not know, flat and nested.",
    reader="Decides as for the clean record; fields it does not know are not its business.",
    legal=False,
)
def unknown_fields(resources: Resources) -> None:
    """Add what a vendor might."""
    for resource in resources:
        resource["vendorScore"] = 7
        resource["vendorData"] = {"value": [{"status": "final"}], "code": None}


@mess(
    "category-as-object",
    what="Every category of an observation or a problem is an object, not a list of one.",
    reader="Refuses the resources one by one, naming the field; the others still count.",
    legal=False,
)
def category_as_object(resources: Resources) -> None:
    """Unwrap the lists."""
    for resource in of_type(resources, "Observation", "Condition"):
        resource["category"] = resource["category"][0]


def _parts(value: Any) -> Iterator[Resource]:
    """Yield every object in a JSON value, outermost first."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _parts(item)


SHAPES = (
    hostile_strings,
    modifier_extension,
    unknown_fields,
    category_as_object,
)
