"""Whether a resource can matter is judged once for each set of codes, not once for each resource.

A judge lives as long as one file is being scanned.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from cds_adapters.bulk.labels import Concept, Label
from cds_adapters.bulk.wanted import KIND_OF_TYPE, Relevant, Wanted
from cds_adapters.fhir.r4_types import UNUSED_TYPES
from cds_adapters.fhir.site_map import SiteMap
from cds_engine.vocabulary.code import short_code

MEDICATION_TYPES = frozenset(
    {"MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration"}
)
_BY_CODE = MEDICATION_TYPES | {
    "Observation",
    "Condition",
    "AllergyIntolerance",
    "Procedure",
    "ServiceRequest",
}
_FULL = 200_000
"""How many sets of codes are remembered; then the judge starts again."""

_Key = tuple[str | None, Concept | None, Concept | None, tuple[object, ...]]


class Judged:
    """What is said of all resources of one type with the same codes.

    Attributes:
        counts: whether they can matter; None where more than the codes must be looked at.
        met: how many were passed over.
        met_apart: how many more were, and counted as of their type by whoever passed them over.
        codes: the codes, for the count of those that no bundle reads.
        elsewhere: whether nothing is read of the systems of these codes.
    """

    __slots__ = ("codes", "counts", "elsewhere", "kind", "met", "met_apart")

    def __init__(
        self,
        kind: str,
        counts: bool | None,
        codes: tuple[str, ...] = (),
        *,
        elsewhere: bool = False,
    ) -> None:
        self.kind = kind
        self.counts = counts
        self.codes = codes
        self.elsewhere = elsewhere
        self.met = self.met_apart = 0


class Judge:
    """Judges resources by their type and codes.

    Attributes:
        unread: type -> how many resources have codes, none of which counts.
        elsewhere: type -> how many of these have no code of a system that anything is read of.
    """

    def __init__(self, wanted: Wanted, site: SiteMap) -> None:
        self._types = wanted.types()
        self._site = site
        self._systems = {
            kind: frozenset(systems_of(codes, site))
            for kind in _BY_CODE
            if (codes := wanted.codes.get(KIND_OF_TYPE[kind], frozenset())) is not None
        }
        self.unread: Counter[str] = Counter()
        self.elsewhere: Counter[str] = Counter()
        self._tables = {
            kind: Relevant(codes, site)
            for kind in _BY_CODE
            if (codes := wanted.codes.get(KIND_OF_TYPE[kind], frozenset())) is not None
        }
        self._judged: dict[_Key, Judged] = {}
        self._earlier: Counter[str] = Counter()
        self._types_earlier: Counter[str] = Counter()

    def judge(self, label: Label) -> Judged:
        """Return what is said of a resource."""
        key = (
            label.resource_type,
            label.code,
            label.medication_codeable_concept,
            label.component,
        )
        found = self._judged.get(key)
        if found is None:
            if len(self._judged) >= _FULL:
                self._settle()
            found = self._judged[key] = self._new(label)
        return found

    def unmapped(self) -> Counter[str]:
        """Return ``type code`` -> how many resources with it were passed over."""
        self._settle()
        return self._earlier

    def mapped(self) -> list[str]:
        """Return the local codes of the site that were met among what was judged."""
        return sorted(self._site.event_codes.met)

    def passed_over(self) -> Counter[str]:
        """Return type -> how many resources were passed over."""
        self._settle()
        return self._types_earlier

    def _settle(self) -> None:
        for judged in self._judged.values():
            self._types_earlier[judged.kind] += judged.met
            count = judged.met + judged.met_apart
            if not judged.codes or not count:
                continue
            self.unread[judged.kind] += count
            if judged.elsewhere:
                self.elsewhere[judged.kind] += count
            for code in judged.codes:
                self._earlier[f"{judged.kind} {code}"] += count
        self._judged.clear()

    def _new(self, label: Label) -> Judged:
        kind = label.resource_type or ""
        if kind in UNUSED_TYPES and kind != "OperationOutcome":
            return Judged(kind, counts=False)
        table = self._tables.get(kind)
        if table is None:
            return Judged(kind, counts=None)
        if kind not in self._types:
            return Judged(kind, counts=False)
        concepts = list(_concepts(kind, label))
        # what it is about being unclear, it may be anything
        counts = any(_told(table, concept) is not False for concept in concepts)
        codes = () if counts else tuple(_codes(concepts))
        elsewhere = self._systems[kind].isdisjoint(map(system_of, codes))
        return Judged(kind, counts, codes, elsewhere=elsewhere)


def system_of(code: str) -> str:
    """Return the system of a code as it is written short."""
    return code.rpartition("|")[0]


def systems_of(codes: Iterable[str], site: SiteMap) -> Iterator[str]:
    """Yield the systems of codes that count, those included that the site maps to one of them.

    Who mapped some codes of a system has seen it, and left the others out as others.
    """
    counted = frozenset(codes)
    yield from map(system_of, counted)
    for local, standard in site.codes.items():
        if not counted.isdisjoint(standard):
            yield system_of(local)


def _concepts(kind: str, label: Label) -> Iterator[Concept | None]:
    if kind in MEDICATION_TYPES:
        yield label.medication_codeable_concept
        return
    yield label.code
    if kind == "Observation":
        yield from (part.code for part in label.component)


def _told(table: Relevant, concept: Concept | None) -> bool | None:
    """Say whether a concept counts; None where it has no code in a code system."""
    if concept is None:
        return None
    told = [table[one.system, one.code] for one in concept.coding]
    if True in told:
        return True
    return False if False in told else None


def _codes(concepts: list[Concept | None]) -> Iterator[str]:
    for concept in concepts:
        for one in concept.coding if concept else ():
            if one.system and one.code:
                yield short_code(one.system, one.code)
