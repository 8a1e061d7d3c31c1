"""The same thing told twice: alike, almost alike, corrected, or a thousand times."""

import copy
from datetime import timedelta

from cds_adapters.fhir.samples import codes
from cds_adapters.fhir.samples.codes import Resource, has_code
from cds_adapters.fhir.samples.draw import Draw
from cds_adapters.fhir.samples.messes.mess import drawn_mess, mess
from cds_adapters.fhir.samples.messes.places import (
    Resources,
    instant,
    last_reading,
    main_quantity,
)

COPIES = 1000


@mess(
    "repeated-row",
    what="The last reading appears twice, the same to the byte, id included.",
    reader="Decides as for the clean record.",
)
def repeated_row(resources: Resources) -> None:
    """Send a row twice."""
    resources += copy.deepcopy(last_reading(resources))


@mess(
    "repeated-reading",
    what="The last reading appears again under another id, with the same time and values.",
    reader="Decides as for the clean record; two equal readings at one instant are one.",
)
def repeated_reading(resources: Resources) -> None:
    """File a reading twice."""
    resources += [_again(reading, "again") for reading in last_reading(resources)]


@mess(
    "contradictory-reading",
    what="A second reading at the last one's instant: high if that is normal, or vice versa.",
    reader="Uses neither and says that they contradict each other.",
)
def contradictory_reading(resources: Resources) -> None:
    """File a reading that cannot be true together with the last."""
    for reading in last_reading(resources):
        other = _again(reading, "contradiction")
        main_quantity(other)["value"] += _across(reading)
        resources.append(other)


@mess(
    "amended",
    what="A version 2 of the last reading, 3 minutes later: high if that is normal, or vice versa.",
    reader="Uses version 2 from the minute it was issued, version 1 for any instant before.",
)
def amended(resources: Resources) -> None:
    """Correct the last reading, keeping the version it replaces."""
    for reading in last_reading(resources):
        version = copy.deepcopy(reading)
        issued = (instant(reading["issued"]) + timedelta(minutes=3)).isoformat()
        version["meta"] = {"versionId": "2", "lastUpdated": issued}
        version |= {"status": "amended", "issued": issued}
        main_quantity(version)["value"] += _across(reading)
        resources.append(version)


@mess(
    "huge",
    what=f"The last reading appears {COPIES} times more under other ids.",
    reader="Decides as for the clean record, in time that grows no faster than the record.",
)
def huge(resources: Resources) -> None:
    """File a reading a thousand times."""
    for reading in last_reading(resources):
        resources += [_again(reading, f"copy-{n}") for n in range(1, COPIES + 1)]


@mess(
    "reversed-order",
    what="The resources come in the opposite order, the Patient last.",
    reader="Decides as for the clean record; the order of input never matters.",
)
def reversed_order(resources: Resources) -> None:
    """Turn the record around."""
    resources.reverse()


@drawn_mess(
    "shuffled-order",
    what="The resources come in no order at all.",
    reader="Decides as for the clean record; the order of input never matters.",
)
def shuffled_order(resources: Resources, draw: Draw) -> None:
    """Shuffle the record, making sure that the Patient is not first."""
    for place in range(len(resources) - 1, 0, -1):
        other = draw.between(0, place - 1)
        resources[place], resources[other] = resources[other], resources[place]


def _again(reading: Resource, suffix: str) -> Resource:
    return copy.deepcopy(reading) | {"id": f"{reading['id']}-{suffix}"}


def _across(reading: Resource) -> int:
    """Return what takes a high systolic to normal and a normal one to high; or 20000 steps more."""
    if not has_code(reading, codes.PRESSURE_PANEL):
        return 20_000
    return -45 if main_quantity(reading)["value"] >= 140 else 45


COPIED = (
    repeated_row,
    repeated_reading,
    contradictory_reading,
    amended,
    huge,
    reversed_order,
    shuffled_order,
)
