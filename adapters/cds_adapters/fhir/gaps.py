"""What a record lacks, by the code or the kind of what could not be read."""

from collections.abc import Iterable, Mapping

from cds_adapters.fhir.context import Context
from cds_adapters.fhir.events import KINDS
from cds_adapters.fhir.resources import Medication, Patient, PatientResource
from cds_adapters.fhir.troubles import Concepts, concepts_of

EVERYTHING = "*"
PATIENT = "kind:patient"

_KEYS: Mapping[str, tuple[str, ...]] = {
    **{resource.__name__: (f"kind:{kind}",) for resource, kind in KINDS.items()},
    Patient.__name__: (PATIENT,),
    # What refers to a medication that cannot be read leaves a gap of its own.
    Medication.__name__: (),
}
_SHOWN = 3
"""How many reasons the words of one gap name."""


class Gaps:
    """Gap -> reasons, gathered while a record is built."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reasons: dict[str, set[str]] = {}

    def keys_of(self, resource: PatientResource) -> tuple[str, ...]:
        """Return the gaps that a resource leaves if it is not used."""
        return self.keys_of_type(type(resource).__name__, concepts_of(resource))

    def keys_of_type(self, resource_type: str, concepts: Concepts) -> tuple[str, ...]:
        """Return the gaps that a resource of a type leaves, if all it is about is ``concepts``."""
        groups = [self._context.codes(concept) for concept in concepts]
        if groups and all(groups):
            return tuple(f"code:{code}" for code in self._context.merged(groups))
        return _KEYS.get(resource_type, (EVERYTHING,))

    def add(self, key: str, reason: str) -> None:
        """Add a reason to a gap."""
        self._reasons.setdefault(key, set()).add(reason)

    def add_all(self, gaps: Mapping[str, str]) -> None:
        """Add gaps that are known from elsewhere."""
        for key, reason in gaps.items():
            self.add(key, reason)

    def words(self) -> dict[str, str]:
        """Return gap -> words, the same whatever the order the reasons came in."""
        return {key: _words(reasons) for key, reasons in sorted(self._reasons.items())}


def _words(reasons: Iterable[str]) -> str:
    ordered = sorted(reasons)
    more = len(ordered) - _SHOWN
    return "; ".join(ordered[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
