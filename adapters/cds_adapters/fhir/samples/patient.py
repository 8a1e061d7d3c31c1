"""A sample patient is a story, the FHIR R4 resources that tell it, and when to decide."""

from dataclasses import dataclass

from cds_adapters.fhir.samples.codes import Resource


@dataclass(frozen=True, slots=True)
class SamplePatient:
    """One made-up patient.

    Attributes:
        id: The logical id of the Patient resource.
        story: The name of the story in ``STORIES``.
        resources: Plain R4 JSON as dictionaries. The Patient comes first, unless a mess moved it.
        visits: ISO instants with offset at which a decision makes sense. What was measured for
            a visit is recorded before its instant; what is ordered at the visit, after it.
    """

    id: str
    story: str
    resources: tuple[Resource, ...]
    visits: tuple[str, ...]
