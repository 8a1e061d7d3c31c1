"""A mess is one deliberate fault in an otherwise clean record, with the behaviour it asks for."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

from cds_adapters.fhir.samples.codes import Resource
from cds_adapters.fhir.samples.draw import Draw
from cds_adapters.fhir.samples.patient import SamplePatient

Change = Callable[[list[Resource]], None]
DrawnChange = Callable[[list[Resource], Draw], None]


class MessDoesNotApplyError(ValueError):
    """The record holds nothing in which this mess could be made."""


@dataclass(frozen=True, slots=True)
class Mess:
    """A named mess; calling it with a patient returns a messed-up copy.

    Attributes:
        name: The key in ``MESSES``.
        what: What is done to the record.
        reader: What a correct reader does with it.
        change: Makes the mess, in place, in resources that are already a copy.
        legal: Whether each resource by itself still conforms to FHIR R4.
        story: A story in whose record the mess can be made.
    """

    name: str
    what: str
    reader: str
    change: DrawnChange
    legal: bool
    story: str

    def __call__(self, patient: SamplePatient, seed: int = 0) -> SamplePatient:
        """Return the patient with this mess; the patient given stays as it was."""
        resources = copy.deepcopy(list(patient.resources))
        try:
            self.change(resources, Draw(seed, self.name, patient.id))
        except (LookupError, TypeError, ValueError) as gone:
            raise MessDoesNotApplyError(
                f"mess {self.name!r} finds a {patient.story!r} record in which an earlier mess "
                "took away what it changes; make them in another order"
            ) from gone
        if resources == list(patient.resources):
            raise MessDoesNotApplyError(
                f"mess {self.name!r} finds no place in a {patient.story!r} record; "
                f"make it in a story such as {self.story!r}"
            )
        person = next(r for r in resources if r["resourceType"] == "Patient")
        return replace(patient, id=person["id"], resources=tuple(resources))


def mess(
    name: str, *, what: str, reader: str, legal: bool = True, story: str = "htn-uncontrolled"
) -> Callable[[Change], Mess]:
    """Turn a function that changes resources in place into a ``Mess``."""
    return lambda change: Mess(name, what, reader, lambda rs, _: change(rs), legal, story)


def drawn_mess(
    name: str, *, what: str, reader: str, legal: bool = True, story: str = "htn-uncontrolled"
) -> Callable[[DrawnChange], Mess]:
    """Do as ``mess`` does, for a function that also needs to draw."""
    return lambda change: Mess(name, what, reader, change, legal, story)
