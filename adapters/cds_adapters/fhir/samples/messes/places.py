"""Where in a record a mess is made.

A *reading* is an observation that a story turns on: a blood pressure panel or a daily step
count. The *last* reading is the one issued latest.
"""

from collections.abc import Iterator
from datetime import datetime

from cds_adapters.fhir.samples import codes
from cds_adapters.fhir.samples.codes import Coding, Resource, has_code

Resources = list[Resource]


def of_type(resources: Resources, *kinds: str) -> Resources:
    """Return the resources of these types."""
    return [r for r in resources if r["resourceType"] in kinds]


def of_code(resources: Resources, *wanted: Coding) -> Resources:
    """Return the observations that carry one of these codes."""
    observations = of_type(resources, "Observation")
    return [r for r in observations if any(has_code(r, code) for code in wanted)]


def pressures(resources: Resources) -> Resources:
    """Return the blood pressure panels."""
    return of_code(resources, codes.PRESSURE_PANEL)


def readings(resources: Resources) -> Resources:
    """Return what the story turns on: blood pressure panels and step counts."""
    return of_code(resources, codes.PRESSURE_PANEL, codes.STEPS)


def last_reading(resources: Resources) -> Resources:
    """Return the reading issued latest, as a list that is empty if there is none."""
    return sorted(readings(resources), key=lambda r: instant(r["issued"]))[-1:]


def problems(resources: Resources) -> Resources:
    """Return the first problem on the list, the one that the story is about, if there is one."""
    return of_type(resources, "Condition")[:1]


def prescriptions(resources: Resources) -> Resources:
    """Return the orders for drugs."""
    return of_type(resources, "MedicationRequest")


def orders(resources: Resources) -> Resources:
    """Return the orders for drugs and for services."""
    return of_type(resources, "MedicationRequest", "ServiceRequest")


def holders(reading: Resource) -> Resources:
    """Return the places that hold a reading's values: its components, or the reading itself."""
    components: Resources = reading.get("component", [reading])
    return components


def main_quantity(reading: Resource) -> Resource:
    """Return the value a decision rests on: the systolic pressure, or the number of steps."""
    held = holders(reading)
    systolic = [c for c in held if has_code(c, codes.SYSTOLIC)]
    quantity: Resource = (systolic or held)[0]["valueQuantity"]
    return quantity


def quantities(resources: Resources) -> Iterator[Resource]:
    """Yield every quantity of these observations."""
    for resource in resources:
        for holder in holders(resource):
            yield holder["valueQuantity"]


def instant(text: str) -> datetime:
    """Read an instant that the clean record wrote."""
    return datetime.fromisoformat(text)
