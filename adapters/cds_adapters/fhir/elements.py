"""The FHIR data types, cut down to what a decision can use or must not overlook.

Fields that are not declared here are dropped without a word, so every field that can change what
the others mean is declared. Numbers written as text, and text written as numbers, are refused.
"""

from msgspec import Struct

from cds_adapters.fhir.whole import whole


class Anything(Struct, frozen=True, gc=False):
    """Any JSON object: it matters that it is there, not what it says."""


@whole
class Coding(Struct, frozen=True, gc=False, omit_defaults=True):
    """A code in a system."""

    system: str | None = None
    code: str | None = None


@whole
class CodeableConcept(Struct, frozen=True, gc=False, omit_defaults=True):
    """A meaning, by codes that say the same in several systems; its text is not used."""

    coding: tuple[Coding, ...] = ()


@whole
class Quantity(Struct, frozen=True, gc=False, omit_defaults=True):
    """A number with its unit, and whether it is a bound rather than the value itself."""

    value: float | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


@whole
class Range(Struct, frozen=True, gc=False, omit_defaults=True):
    """A number known to lie between two others."""

    low: Quantity | None = None
    high: Quantity | None = None


@whole
class Period(Struct, frozen=True, gc=False, omit_defaults=True):
    """A stretch of time; a missing end means still open or not known."""

    start: str | None = None
    end: str | None = None


@whole
class Timing(Struct, frozen=True, gc=False, omit_defaults=True):
    """The moments at which something happened."""

    event: tuple[str, ...] = ()


@whole
class Reference(Struct, frozen=True, gc=False, omit_defaults=True):
    """A pointer to another resource."""

    reference: str | None = None


@whole
class Meta(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """Which version of a resource this is, and when the server stored it."""

    version_id: str | None = None
    last_updated: str | None = None
