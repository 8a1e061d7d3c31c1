"""References in every form that servers write, and one that leads to somebody else."""

from cds_adapters.fhir.samples.exports import urn_of, with_references
from cds_adapters.fhir.samples.messes.mess import mess
from cds_adapters.fhir.samples.messes.places import Resources, last_reading, of_type, readings

SERVER = "https://ehr.example/fhir/"
PRACTITIONER = {
    "reference": "Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999999999",
    "display": "Dr. Sample",
}


@mess(
    "wrong-patient",
    what="The last reading belongs to another patient.",
    reader="Never uses it for this patient and reports it.",
)
def wrong_patient(resources: Resources) -> None:
    """Slip in somebody else's reading."""
    for reading in last_reading(resources):
        reading["subject"] = {"reference": "Patient/somebody-else"}


@mess(
    "missing-subject",
    what="Readings do not say whose they are.",
    reader="Never uses them, though they came with this patient's record, and reports them.",
)
def missing_subject(resources: Resources) -> None:
    """Take the subject away."""
    for reading in readings(resources):
        del reading["subject"]


@mess(
    "conditional-reference",
    what="Readings and visits name a practitioner by a search, Practitioner?identifier=...",
    reader="Decides as for the clean record; it leaves the search alone.",
    legal=False,
)
def conditional_reference(resources: Resources) -> None:
    """Add references of the kind that FHIR allows in transactions only."""
    for reading in readings(resources):
        reading["performer"] = [dict(PRACTITIONER)]
    for encounter in of_type(resources, "Encounter"):
        encounter["participant"] = [{"individual": dict(PRACTITIONER)}]


@mess(
    "urn-uuid",
    what="Every id is a UUID and every reference its urn:uuid:, as in a transaction.",
    reader="Decides as for the clean record; a urn stands for the resource with that id.",
)
def urn_uuid(resources: Resources) -> None:
    """Rename everything."""
    urns = {}
    for resource in resources:
        name = f"{resource['resourceType']}/{resource['id']}"
        urns[name] = urn_of(name)
        resource["id"] = urns[name].removeprefix("urn:uuid:")
    resources[:] = with_references(resources, urns)


@mess(
    "absolute-reference",
    what=f"Every reference is an address on the server, {SERVER}...",
    reader="Decides as for the clean record, where the address is of the server it reads from.",
)
def absolute_reference(resources: Resources) -> None:
    """Write references in full."""
    names = [f"{r['resourceType']}/{r['id']}" for r in resources]
    resources[:] = with_references(resources, {name: SERVER + name for name in names})


@mess(
    "contained",
    what="Readings contain the practitioner who took them.",
    reader="Decides as for the clean record; '#taker' means a different one in each reading.",
)
def contained(resources: Resources) -> None:
    """Put a resource inside each reading."""
    for number, reading in enumerate(readings(resources)):
        taker = {"resourceType": "Practitioner", "id": "taker", "name": [{"text": f"Dr. {number}"}]}
        reading["contained"] = [taker]
        reading["performer"] = [{"reference": "#taker"}]


REFERENCES = (
    wrong_patient,
    missing_subject,
    conditional_reference,
    urn_uuid,
    absolute_reference,
    contained,
)
