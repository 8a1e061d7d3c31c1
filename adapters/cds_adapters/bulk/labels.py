"""A label is the little that is read of every line: whose it is, and whether it matters."""

import msgspec
from msgspec import Struct, field


class Reference(Struct, frozen=True, gc=False):
    """A pointer to another resource."""

    reference: str | None = None


class Coding(Struct, frozen=True, gc=False):
    """A code in a system."""

    system: str | None = None
    code: str | None = None


class Concept(Struct, frozen=True, gc=False):
    """A meaning, by its codes."""

    coding: tuple[Coding, ...] = ()


class Part(Struct, frozen=True, gc=False):
    """A component of a panel."""

    code: Concept | None = None


class Label(Struct, frozen=True, gc=False, rename="camel"):
    """What any resource says of itself."""

    resource_type: str | None = None
    id: str | None = None
    subject: Reference | None = None
    patient: Reference | None = None
    medication_reference: Reference | None = None
    code: Concept | None = None
    medication_codeable_concept: Concept | None = None
    component: tuple[Part, ...] = ()

    @property
    def about(self) -> str | None:
        """The reference to the patient."""
        subject = self.subject or self.patient
        return None if subject is None else subject.reference


class Period(Struct, frozen=True, gc=False):
    """When an encounter was."""

    start: str | None = None
    end: str | None = None


class Stored(Struct, frozen=True, gc=False, rename="camel"):
    """When the server stored a resource as it now stands."""

    last_updated: str | None = None


class Visit(Struct, frozen=True, gc=False):
    """What of an encounter tells how far the records reach."""

    status: str | None = None
    period: Period | None = None
    meta: Stored | None = None


class VisitKind(Struct, frozen=True, gc=False):
    """What an encounter is one of."""

    class_: Coding | None = field(default=None, name="class")
    type: tuple[Concept, ...] = ()


class Link(Struct, frozen=True, gc=False):
    """How a Patient resource stands to another one."""

    type: str | None = None


class Person(Struct, frozen=True, gc=False):
    """Whether a Patient resource still stands for a person."""

    active: bool | None = None
    link: tuple[Link, ...] = ()


class _Type(Struct, frozen=True, gc=False, rename="camel"):
    resource_type: str | None = None


read_label = msgspec.json.Decoder(Label).decode
read_type = msgspec.json.Decoder(_Type).decode
read_visits = msgspec.json.Decoder(Visit).decode_lines
read_visit_kinds = msgspec.json.Decoder(VisitKind).decode_lines
read_people = msgspec.json.Decoder(Person).decode_lines
