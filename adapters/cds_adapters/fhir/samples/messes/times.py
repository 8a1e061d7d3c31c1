"""Times that are coarse, absent, impossible, or written differently."""

from datetime import timedelta, timezone

from cds_adapters.fhir.samples.messes.mess import mess
from cds_adapters.fhir.samples.messes.places import (
    Resources,
    instant,
    last_reading,
    of_type,
    prescriptions,
    readings,
)

YEAR = timedelta(days=365)
OFFSETS = tuple(timezone(timedelta(minutes=m)) for m in (14 * 60, -11 * 60, 330, -210))


@mess(
    "date-only",
    what="Readings have a day and no time.",
    reader="Treats the day as an interval in every window; never as midnight in some time zone.",
)
def date_only(resources: Resources) -> None:
    """Cut times to the day."""
    for reading in readings(resources):
        reading["effectiveDateTime"] = reading["effectiveDateTime"][:10]


@mess(
    "month-only",
    what="Readings have a month and no day.",
    reader="Uses a value only where the whole month lies in the window, and says so otherwise.",
)
def month_only(resources: Resources) -> None:
    """Cut times to the month."""
    for reading in readings(resources):
        reading["effectiveDateTime"] = reading["effectiveDateTime"][:7]


@mess(
    "year-only-birth",
    what="The birth date is a year.",
    reader="Knows two possible ages and abstains only where they would decide differently.",
)
def year_only_birth(resources: Resources) -> None:
    """Cut the birth date to the year."""
    for person in of_type(resources, "Patient"):
        person["birthDate"] = person["birthDate"][:4]


@mess(
    "missing-effective-time",
    what="Readings say when they were issued but not when they were taken.",
    reader="Does not use them and says why; the time of issue is not the time of measurement.",
)
def missing_effective_time(resources: Resources) -> None:
    """Take the times away."""
    for reading in readings(resources):
        del reading["effectiveDateTime"]


@mess(
    "after-death",
    what="The patient died an hour before the last reading was taken.",
    reader="Makes no recommendation after the death and reports the contradiction.",
)
def after_death(resources: Resources) -> None:
    """Let the patient die before the record ends."""
    for reading in last_reading(resources):
        died = instant(reading["effectiveDateTime"]) - timedelta(hours=1)
        for person in of_type(resources, "Patient"):
            person["deceasedDateTime"] = died.isoformat()


@mess(
    "utc-offsets",
    what="Readings tell the same instants in four different time zones, one of them after another.",
    reader="Decides as for the clean record; instants compare by instant, not by text.",
)
def utc_offsets(resources: Resources) -> None:
    """Write the same instants differently."""
    for index, reading in enumerate(readings(resources)):
        zone = OFFSETS[index % len(OFFSETS)]
        for key in ("effectiveDateTime", "issued"):
            reading[key] = instant(reading[key]).astimezone(zone).isoformat()


@mess(
    "no-offset",
    what="Readings have a day and a time but no offset, which FHIR forbids.",
    reader="Does not use them and says why, unless the site names the zone of such times.",
    legal=False,
)
def no_offset(resources: Resources) -> None:
    """Cut the offset off."""
    for reading in readings(resources):
        reading["effectiveDateTime"] = reading["effectiveDateTime"][:19]


@mess(
    "future-dated",
    what="The last reading says that it was taken ten years after it was issued.",
    reader="Does not use it and says that it lies in the future.",
)
def future_dated(resources: Resources) -> None:
    """Move the last reading into the future, but not its time of issue."""
    for reading in last_reading(resources):
        later = instant(reading["effectiveDateTime"]) + 10 * YEAR
        reading["effectiveDateTime"] = later.isoformat()


@mess(
    "stale",
    what="All readings were taken, issued and stored three years earlier.",
    reader="Finds no value within the window and says how old the newest is.",
)
def stale(resources: Resources) -> None:
    """Move all readings back."""
    for reading in readings(resources):
        for holder, key in (
            (reading, "effectiveDateTime"),
            (reading, "issued"),
            (reading["meta"], "lastUpdated"),
        ):
            holder[key] = (instant(holder[key]) - 3 * YEAR).isoformat()


@mess(
    "before-first-observation",
    what="The drug was ordered three years before the first observation of the patient.",
    reader="Takes the order for what it is; a course may begin before anything was measured.",
)
def before_first_observation(resources: Resources) -> None:
    """Move orders for drugs before everything else."""
    times = [instant(r["effectiveDateTime"]) for r in of_type(resources, "Observation")]
    for order in prescriptions(resources):
        ordered = (min(times) - 3 * YEAR).isoformat()
        order["authoredOn"] = order["meta"]["lastUpdated"] = ordered


TIMES = (
    date_only,
    month_only,
    year_only_birth,
    missing_effective_time,
    after_death,
    utc_offsets,
    no_offset,
    future_dated,
    stale,
    before_first_observation,
)
