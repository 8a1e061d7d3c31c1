"""Units that are absent, contradict themselves, or are not the ones the number needs."""

from cds_adapters.fhir.samples import codes
from cds_adapters.fhir.samples.messes.mess import mess
from cds_adapters.fhir.samples.messes.places import (
    Resources,
    of_code,
    pressures,
    quantities,
    readings,
)

MILLIGRAMS_PER_MILLIMOLE_OF_POTASSIUM = 39.098


@mess(
    "bp-without-unit",
    what="Every blood pressure is a bare number: no unit, system or code.",
    reader="Does not use the values and says that the unit is missing; never assumes mm[Hg].",
)
def bp_without_unit(resources: Resources) -> None:
    """Leave the bare numbers."""
    for quantity in quantities(pressures(resources)):
        for key in ("unit", "system", "code"):
            del quantity[key]


@mess(
    "bp-text-unit-only",
    what="Every blood pressure has the unit text 'mmHg' and no system or code.",
    reader="Does not use the values, unless the site's map says that its 'mmHg' is mm[Hg].",
)
def bp_text_unit_only(resources: Resources) -> None:
    """Leave a unit for people only."""
    for quantity in quantities(pressures(resources)):
        quantity["unit"] = "mmHg"
        del quantity["system"], quantity["code"]


@mess(
    "unit-contradiction",
    what="Every potassium says 'mg/dL' in unit and 'mmol/L' in code.",
    reader="Does not use the values and says that unit and code contradict each other.",
)
def unit_contradiction(resources: Resources) -> None:
    """Let the words contradict the code."""
    for quantity in quantities(of_code(resources, codes.POTASSIUM)):
        quantity["unit"] = "mg/dL"


@mess(
    "https-ucum-system",
    what="Readings name 'https://ucum.org' as the system of their unit.",
    reader="Does not take the code for UCUM, unless the site's map names this system as an alias.",
)
def https_ucum_system(resources: Resources) -> None:
    """Misname the system of units."""
    for quantity in quantities(readings(resources)):
        quantity["system"] = "https://ucum.org"


@mess(
    "potassium-meq",
    what="Every potassium is given in meq/L, the number unchanged.",
    reader="Converts one to one by the variable's own table, or refuses; both say so.",
)
def potassium_meq(resources: Resources) -> None:
    """Write equivalents, which for potassium equal moles."""
    for quantity in quantities(of_code(resources, codes.POTASSIUM)):
        quantity |= {"unit": "meq/L", "code": "meq/L"}


@mess(
    "mgdl-for-mmoll",
    what="Every potassium keeps its LOINC code for moles but is given in mg/dL, converted.",
    reader="Converts by the variable's own table, or refuses; never reads 16 mg/dL as 16 mmol/L.",
)
def mgdl_for_mmoll(resources: Resources) -> None:
    """Write a mass where the code promises moles."""
    for quantity in quantities(of_code(resources, codes.POTASSIUM)):
        mass = quantity["value"] * MILLIGRAMS_PER_MILLIMOLE_OF_POTASSIUM / 10
        quantity |= {"value": round(mass, 1), "unit": "mg/dL", "code": "mg/dL"}


@mess(
    "egfr-without-area",
    what="Every eGFR is given in mL/min, without the body surface.",
    reader="Does not use the values, unless the site's map says that its mL/min is per 1.73 m2.",
)
def egfr_without_area(resources: Resources) -> None:
    """Drop the annotation that carries the meaning."""
    for quantity in quantities(of_code(resources, codes.EGFR)):
        quantity |= {"unit": "mL/min", "code": "mL/min"}


@mess(
    "steps-annotated-unit",
    what="Every step count has the unit {steps}/d, which UCUM holds equal to /d.",
    reader="Reads the same numbers.",
    story="activity-responder",
)
def steps_annotated_unit(resources: Resources) -> None:
    """Add an annotation that carries no meaning."""
    for quantity in quantities(of_code(resources, codes.STEPS)):
        quantity |= {"unit": "{steps}/d", "code": "{steps}/d"}


@mess(
    "steps-bare-integer",
    what="Every step count is a valueInteger, which cannot hold a unit.",
    reader="Does not use the values, unless the site's map allows bare counts for this code.",
    story="activity-responder",
)
def steps_bare_integer(resources: Resources) -> None:
    """Write whole numbers as some wearables do."""
    for reading in of_code(resources, codes.STEPS):
        reading["valueInteger"] = reading.pop("valueQuantity")["value"]


UNITS = (
    bp_without_unit,
    bp_text_unit_only,
    unit_contradiction,
    https_ucum_system,
    potassium_meq,
    mgdl_for_mmoll,
    egfr_without_area,
    steps_annotated_unit,
    steps_bare_integer,
)
