"""The FHIR data types, cut down to what a decision can use or must not overlook.

Fields that are not declared here are dropped without a word, so every field that can change what
the others mean is declared. Numbers written as text, and text written as numbers, are refused.
"""

from msgspec import Struct


class Anything(Struct, frozen=True, gc=False):
    """Any JSON object: it matters that it is there, not what it says."""


class Coding(Struct, frozen=True, gc=False):
    """A code in a system."""

    system: str | None = None
    code: str | None = None


class CodeableConcept(Struct, frozen=True, gc=False):
    """A meaning, by codes that say the same in several systems; its text is not used."""

    coding: tuple[Coding, ...] = ()


class Quantity(Struct, frozen=True, gc=False):
    """A number with its unit, and whether it is a bound rather than the value itself."""

    value: float | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Range(Struct, frozen=True, gc=False):
    """A number known to lie between two others."""

    low: Quantity | None = None
    high: Quantity | None = None


class Period(Struct, frozen=True, gc=False):
    """A stretch of time; a missing end means still open or not known."""

    start: str | None = None
    end: str | None = None


class Timing(Struct, frozen=True, gc=False):
    """The moments at which something happened."""

    event: tuple[str, ...] = ()


class Reference(Struct, frozen=True, gc=False):
    """A pointer to another resource."""

    reference: str | None = None


class Meta(Struct, frozen=True, gc=False, rename="camel"):
    """Which version of a resource this is, and when the server stored it."""

    version_id: str | None = None
    last_updated: str | None = None
