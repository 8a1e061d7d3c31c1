"""A code is written ``system|code`` with a short name for the systems that everybody uses."""

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

SHORT_NAMES: Mapping[str, str] = MappingProxyType({uri: name for name, uri in SYSTEMS.items()})


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


def code_fault(code: str) -> str | None:
    """Say what is wrong with the way a code is written, or None."""
    system, bar, bare = code.rpartition("|")
    if not bar or not bare or not system:
        return f"{code!r} is no code; write it as system|code, for example loinc|8480-6"
    if system not in SYSTEMS and ":" not in system:
        known = ", ".join(sorted(SYSTEMS))
        return f"{code!r} names no known system; use one of {known}, or the system's full URI"
    if any(character.isspace() or not character.isprintable() for character in bare):
        return f"{code!r} has white space or control characters in it"
    return None
