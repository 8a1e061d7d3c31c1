"""A site states once what its own codes mean and in which time zone its dates are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from cds_adapters.fhir.tables import Codes
from cds_engine.errors import DocumentError, Fault
from cds_engine.vocabulary.code import code_fault, full_code, short_code


class SiteMapError(DocumentError):
    """A site map that maps from or to something that is no code."""


@dataclass(frozen=True)
class SiteMap:
    """What a hospital's records mean that no standard says.

    Attributes:
        codes: local code -> the standard codes it stands for, all written ``system|code``. An
            event keeps its local code and gains the standard ones. ``|code`` stands for a code
            that is recorded without a system.
        time_zone: where a date without a clock time begins and ends.
        event_codes: system and code -> the codes of an event; worked out once per code.
    """

    codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    time_zone: tzinfo = UTC
    event_codes: Codes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        faults = [Fault(f"codes[{local!r}]", fault) for local, fault in self._faults()]
        if faults:
            raise SiteMapError("the site map", faults)
        normal = {
            short_code(*full_code(local)): tuple(short_code(*full_code(code)) for code in standard)
            for local, standard in self.codes.items()
        }
        object.__setattr__(self, "codes", normal)
        object.__setattr__(self, "event_codes", Codes(normal))

    def _faults(self) -> list[tuple[str, str]]:
        found = [
            (local, f"{local!r} is no code; write it as system|code, or |code")
            for local in self.codes
            if "|" not in local or local.endswith("|")
        ]
        return found + [
            (local, fault)
            for local, standard in self.codes.items()
            for code in standard
            if (fault := code_fault(code)) is not None
        ]


PLAIN = SiteMap()
"""No local codes; dates cover their UTC day."""
