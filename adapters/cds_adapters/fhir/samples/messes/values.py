"""Values that are no plain number, or no number that a body could have."""

import copy

from cds_adapters.fhir.samples import codes
from cds_adapters.fhir.samples.codes import has_code, status_concept
from cds_adapters.fhir.samples.exports import NUMBER_MARKER
from cds_adapters.fhir.samples.messes.mess import mess
from cds_adapters.fhir.samples.messes.places import (
    Resources,
    holders,
    main_quantity,
    quantities,
    readings,
)


@mess(
    "comparator",
    what="The main value of every reading carries the comparator '<'.",
    reader="Does not use it as a number and says that it is a bound.",
)
def comparator(resources: Resources) -> None:
    """Turn numbers into upper bounds."""
    for reading in readings(resources):
        main_quantity(reading)["comparator"] = "<"


@mess(
    "value-range",
    what="Every value of a reading is a valueRange from 5 below to 5 above the number.",
    reader="Does not use it as a number and says what type it found.",
)
def value_range(resources: Resources) -> None:
    """Turn numbers into ranges."""
    for reading in readings(resources):
        for holder in holders(reading):
            low = holder.pop("valueQuantity")
            high = copy.deepcopy(low)
            low["value"] -= 5
            high["value"] += 5
            holder["valueRange"] = {"low": low, "high": high}


@mess(
    "data-absent",
    what="Readings hold a dataAbsentReason 'not-performed' in place of every value.",
    reader="Finds no value and passes the record's own reason on.",
)
def data_absent(resources: Resources) -> None:
    """Take the values away and say why."""
    for reading in readings(resources):
        for holder in holders(reading):
            del holder["valueQuantity"]
            holder["dataAbsentReason"] = status_concept(codes.DATA_ABSENT, "not-performed")


@mess(
    "implausible",
    what="Every reading has a main value that cannot be: systolic 1200, or 900000 steps a day.",
    reader="Does not use it and says that it lies outside the variable's plausible range.",
)
def implausible(resources: Resources) -> None:
    """Write what nobody can have."""
    for reading in readings(resources):
        pressure = has_code(reading, codes.PRESSURE_PANEL)
        main_quantity(reading)["value"] = 1200 if pressure else 900_000


@mess(
    "number-as-string",
    what="Every value of a reading is a JSON string such as '152'.",
    reader="Refuses the resource or the value; never turns text into a number.",
    legal=False,
)
def number_as_string(resources: Resources) -> None:
    """Put quotes around the numbers."""
    for quantity in quantities(readings(resources)):
        quantity["value"] = str(quantity["value"])


@mess(
    "number-too-large",
    what="Every main value is the number 1e999, held as a marked string until to_json writes it.",
    reader="Refuses the value; infinity never enters a comparison.",
    legal=False,
)
def number_too_large(resources: Resources) -> None:
    """Write a number that overflows to infinity."""
    for reading in readings(resources):
        main_quantity(reading)["value"] = f"{NUMBER_MARKER}1e999"


@mess(
    "nan-like",
    what="Every main value is the token NaN, held as a marked string until to_json writes it.",
    reader="Refuses the document, which is not JSON; not-a-number never enters a comparison.",
    legal=False,
)
def nan_like(resources: Resources) -> None:
    """Write what Python's own JSON reader accepts though it is not JSON."""
    for reading in readings(resources):
        main_quantity(reading)["value"] = f"{NUMBER_MARKER}NaN"


VALUES = (
    comparator,
    value_range,
    data_absent,
    implausible,
    number_as_string,
    number_too_large,
    nan_like,
)
