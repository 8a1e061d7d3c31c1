"""A code is written ``system|code`` with a short name for the systems that everybody uses."""

import re
from collections.abc import Mapping
from types import MappingProxyType

SYSTEMS: Mapping[str, str] = MappingProxyType(
    {
        "loinc": "http://loinc.org",
        "snomed": "http://snomed.info/sct",
        "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
        "icd10": "http://hl7.org/fhir/sid/icd-10",
        "icd10cm": "http://hl7.org/fhir/sid/icd-10-cm",
        "icd9cm": "http://hl7.org/fhir/sid/icd-9-cm",
        "cpt": "http://www.ama-assn.org/go/cpt",
        "atc": "http://www.whocc.no/atc",
        "ndc": "http://hl7.org/fhir/sid/ndc",
        "cvx": "http://hl7.org/fhir/sid/cvx",
        "act": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "ucum": "http://unitsofmeasure.org",
    }
)
"""Short name -> system URI."""

OIDS: Mapping[str, str] = MappingProxyType(
    {
        "urn:oid:2.16.840.1.113883.6.1": "loinc",
        "urn:oid:2.16.840.1.113883.6.96": "snomed",
        "urn:oid:2.16.840.1.113883.6.88": "rxnorm",
        "urn:oid:2.16.840.1.113883.6.3": "icd10",
        "urn:oid:2.16.840.1.113883.6.90": "icd10cm",
        "urn:oid:2.16.840.1.113883.6.12": "cpt",
        "urn:oid:2.16.840.1.113883.6.73": "atc",
        "urn:oid:2.16.840.1.113883.6.69": "ndc",
        "urn:oid:2.16.840.1.113883.12.292": "cvx",
    }
)
"""The same systems as older records name them, by object identifier -> short name."""

SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {uri: name for name, uri in SYSTEMS.items()} | dict(OIDS)
)


def short_code(system: str, code: str) -> str:
    """Write a coding: ``loinc|8480-6``; an unknown system keeps its URI.

    >>> short_code("http://loinc.org", "8480-6")
    'loinc|8480-6'
    """
    return f"{SHORT_NAMES.get(system, system)}|{code}"


def full_code(code: str) -> tuple[str, str]:
    """Return ``(system URI, code)`` of a code written short.

    >>> full_code("loinc|8480-6")
    ('http://loinc.org', '8480-6')
    """
    system, _, bare = code.rpartition("|")
    return SYSTEMS.get(system, system), bare


def plain_code(code: str) -> str:
    """Return a code in the one form in which codes are compared; what is no code stays as it is.

    >>> plain_code("http://loinc.org|8480-6"), plain_code("urn:oid:2.16.840.1.113883.6.96|1")
    ('loinc|8480-6', 'snomed|1')
    """
    return short_code(*full_code(code)) if "|" in code else code


_SHAPES = (
    (r"\d{1,7}-\d", "loinc"),
    (r"[A-TV-Z]\d[0-9AB](\.[0-9A-Z]{1,4})?", "icd10"),
    (r"[A-Z]\d{2}[A-Z]{2}\d{2}", "atc"),
)
"""How the codes of a system look."""


def _cure(bare: str) -> str:
    """Say how a code without a system is written; its shape often tells the system."""
    for shape, system in _SHAPES:
        if re.fullmatch(shape, bare):
            return f"write it as {system}|{bare}"
    if bare.isascii() and bare.isdigit() and len(bare) > 3:
        return f"write it with its system, for example snomed|{bare} or rxnorm|{bare}"
    return "write it as system|code, for example loinc|8480-6"


def code_fault(code: str) -> str | None:
    """Say what is wrong with the way a code is written, or None."""
    system, bar, bare = code.rpartition("|")
    if not bar or not bare or not system:
        return f"{code!r} is no code; {_cure(bare)}"
    if system not in SYSTEMS and ":" not in system:
        known = ", ".join(sorted(SYSTEMS))
        return f"{code!r} names no known system; use one of {known}, or the system's full URI"
    if any(character.isspace() or not character.isprintable() for character in bare):
        return f"{code!r} has white space or control characters in it"
    return None
