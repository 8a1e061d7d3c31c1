"""What a record lacks, by kind and code of what could not be read, and from when on."""

from collections.abc import Iterable, Mapping

from cds_adapters.fhir.context import Context
from cds_adapters.fhir.events import KINDS
from cds_adapters.fhir.resources import Medication, OfMedication, Patient, PatientResource
from cds_adapters.fhir.troubles import Concepts, concepts_of
from cds_engine.history.event import BEGINNING, Gap
from cds_engine.history.gaps import EVERYTHING, code_gap, kind_gap
from cds_engine.vocabulary.time import Instant

PATIENT = kind_gap("patient")

_KINDS: Mapping[str, tuple[str, ...]] = {
    **{resource.__name__: (kind,) for resource, kind in KINDS.items()},
    Medication.__name__: tuple(
        kind for resource, kind in KINDS.items() if issubclass(resource, OfMedication)
    ),
}
"""Type of resource -> the kinds of events of which one is missing without it."""

_SHOWN = 3
"""How many reasons the words of one gap name."""


class Gaps:
    """Gap -> reasons, gathered while a record is built."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reasons: dict[str, dict[str, Instant]] = {}

    def keys_of(self, resource: PatientResource) -> tuple[str, ...]:
        """Return the gaps that a resource leaves if it is not used."""
        return self.keys_of_type(type(resource).__name__, concepts_of(resource))

    def keys_of_type(self, resource_type: str, concepts: Concepts) -> tuple[str, ...]:
        """Return the gaps that a resource of a type leaves, if all it is about is ``concepts``."""
        if resource_type == Patient.__name__:
            return (PATIENT,)
        kinds = _KINDS.get(resource_type)
        groups = [self._context.codes(concept) for concept in concepts]
        if groups and all(groups):
            codes = self._context.merged(groups)
            if kinds is None:
                return tuple(map(code_gap, codes))
            return tuple(code_gap(code, kind) for kind in kinds for code in codes)
        if resource_type == Medication.__name__:
            # What refers to a medication that cannot be read leaves a gap of its own.
            return ()
        return (EVERYTHING,) if kinds is None else tuple(map(kind_gap, kinds))

    def add(self, key: str, reason: str, since: Instant = BEGINNING) -> None:
        """Add a reason to a gap, and the first instant at which it matters."""
        reasons = self._reasons.setdefault(key, {})
        reasons[reason] = min(since, reasons.get(reason, since))

    def add_all(self, gaps: Mapping[str, str]) -> None:
        """Add gaps that are known from elsewhere."""
        for key, reason in gaps.items():
            self.add(key, reason)

    def words(self) -> dict[str, str]:
        """Return gap -> words, the same whatever the order the reasons came in."""
        return {key: _words(reasons) for key, reasons in sorted(self._reasons.items())}

    def times(self) -> dict[str, tuple[Gap, ...]]:
        """Return gap -> how it grew, where it did not hold in full from the beginning."""
        return {
            key: _grown(reasons)
            for key, reasons in sorted(self._reasons.items())
            if any(since > BEGINNING for since in reasons.values())
        }


def _grown(reasons: Mapping[str, Instant]) -> tuple[Gap, ...]:
    return tuple(
        Gap(at, _words([reason for reason, since in reasons.items() if since <= at]))
        for at in sorted(set(reasons.values()))
    )


def _words(reasons: Iterable[str]) -> str:
    ordered = sorted(reasons)
    more = len(ordered) - _SHOWN
    return "; ".join(ordered[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
