"""What reading one patient's resources shares: the site's map and answers already worked out.

A context lives as long as one record is being built, and no longer.
"""

from collections.abc import Iterable, Mapping
from typing import NoReturn

import msgspec

from cds_adapters.fhir.codesets import ENTERED_IN_ERROR, REVISED, VOID
from cds_adapters.fhir.elements import CodeableConcept, Meta, Period, Quantity, Reference
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.references import local_reference
from cds_adapters.fhir.resources import Medication, OfMedication
from cds_adapters.fhir.site_map import PLAIN, SiteMap
from cds_adapters.fhir.tables import Times, Units
from cds_adapters.fhir.times import UnreadableTimeError, sortable
from cds_engine.history.event import UNCODED, Time
from cds_engine.vocabulary.time import Instant
from cds_engine.vocabulary.units import StatedUnit

Version = tuple[int, str]
NO_VERSION: Version = (0, "")

_units = Units()
_contained = msgspec.json.Decoder(Medication)


def version_number(text: str | None) -> int:
    """Return the number that a ``versionId`` is; 0 where it is none, or none worth comparing."""
    text = text or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


class _Versions(dict[str | None, Version]):
    """``versionId`` -> the version of what does not say when it was stored."""

    def __missing__(self, text: str | None) -> Version:
        version = self[text] = version_number(text), ""
        return version


class Context:
    """The site's map, the medications that others refer to, and tables of answers."""

    def __init__(
        self, site: SiteMap = PLAIN, medications: Mapping[str, Medication] | None = None
    ) -> None:
        self.times = Times(site.time_zone)
        self.medications = medications or {}
        self._codes = site.event_codes
        self._versions = _Versions()

    def time(self, text: str | None) -> Time | None:
        """Read a date or time; None where there is none."""
        return None if text is None else self.times[text]

    def when(self, date_time: str | None, period: Period | None) -> tuple[Time | None, Time | None]:
        """Return when something was and, if that is a period, when it ended."""
        if date_time is not None:
            return self.times[date_time], None
        return (None, None) if period is None else (self.time(period.start), self.time(period.end))

    def codes(self, concept: CodeableConcept | None) -> tuple[str, ...]:
        """Return every code of a concept, the site's standard codes included."""
        if concept is None:
            return ()
        if len(concept.coding) == 1:
            only = concept.coding[0]
            return self._codes[only.system, only.code]
        return self.merged(self._codes[one.system, one.code] for one in concept.coding)

    def coding(self, system: str | None, code: str | None) -> tuple[str, ...]:
        """Return the codes of one coding, the site's standard codes included."""
        return self._codes[system, code]

    @staticmethod
    def merged(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
        """Join groups of codes, each code once."""
        return tuple(dict.fromkeys(code for group in groups for code in group))

    def unit(self, quantity: Quantity) -> StatedUnit:
        """Return a quantity's unit as stated."""
        return _units[quantity.code, quantity.system, quantity.unit]

    def stored(self, meta: Meta | None) -> Time | None:
        """Return when the server stored the resource; None where it does not say so readably."""
        if meta is None or meta.last_updated is None:
            return None
        try:
            stored = self.times[meta.last_updated]
        except UnreadableTimeError:
            return None
        return stored if stored.precision == "instant" else None

    def version(self, meta: Meta | None) -> Version:
        """Return what orders the versions of one resource: its number, then when it was stored."""
        if meta is None:
            return NO_VERSION
        if meta.last_updated is None:
            return self._versions[meta.version_id]
        number = self._versions[meta.version_id][0]
        return number, "" if self.stored(meta) is None else sortable(meta.last_updated)

    def said(self, time: Time | None, until: Time | None, meta: Meta | None) -> Time | None:
        """Return when something says that it became known: at its end, if that was no plan.

        An end that the server stored before it came is planned, and so may be one of which
        nothing says when it was stored: such a thing is known from its start.
        """
        stored = self.stored(meta)
        past = until is not None and stored is not None and until.end <= stored.end
        return until if past else time

    def over(self, until: Time | None, meta: Meta | None, recorded: Instant) -> Time | None:
        """Return when what is over ended: without an end of its own, when that was stored."""
        stored = self.stored(meta)
        if until is not None or stored is None or stored.start <= recorded:
            return until
        return stored

    def known(self, meta: Meta | None, status: str, said: Time | None) -> tuple[Version, Instant]:
        """Return a resource's version, and when the record came to know it as it now stands.

        ``said`` is when it says it was recorded, or else when the thing was. What says only the
        day is known from the day's start, or from when the server stored it on that day: a
        pregnancy or an order of today must not wait until tomorrow. A version that changes an
        earlier one was not known before the server stored it.
        """
        if meta is None or meta.last_updated is not None:
            version = self.version(meta)
        else:
            version = self._versions[meta.version_id]
        first = version[0] <= 1 and status not in REVISED
        if first and said is not None and said.start == said.end:
            return version, said.end
        stored = self.stored(meta)
        if said is None:
            if stored is None:
                no_time = "no time says when it was or when it became known"
                raise NotUsedError(no_time, gap=status not in VOID)
            return version, stored.end
        if stored is None:
            return version, said.start
        if said.start == said.end:
            return version, max(said.end, stored.end)
        return version, max(said.start, min(said.end, stored.end)) if first else stored.end

    def listed(self, meta: Meta | None, status: str, said: Time | None) -> tuple[Version, Instant]:
        """Return the same of what stands on a list: it is known once the server has stored it.

        A date after that is a slip, and must not hide what the list names.
        """
        version, recorded = self.known(meta, status, said)
        stored = self.stored(meta)
        return version, recorded if stored is None else min(recorded, stored.end)

    def medication_codes(self, resource: OfMedication, status: str) -> tuple[str, ...]:
        """Return the codes of a medication that is given in place or referred to.

        What the record takes back needs none: it supersedes by its source.
        """
        if status in VOID:
            return self.codes(resource.medication_codeable_concept)
        if resource.medication_codeable_concept is not None:
            return self.codes(resource.medication_codeable_concept) or no_codes()
        if resource.medication_reference is None:
            raise NotUsedError("there is no medication in it")
        medication = self._referred(resource, resource.medication_reference)
        if medication is None or medication.modifier_extension or medication.implicit_rules:
            raise NotUsedError(UNRESOLVED)
        if medication.status == ENTERED_IN_ERROR:
            raise NotUsedError(f"{UNRESOLVED}; the medication is entered in error")
        return self.codes(medication.code) or no_codes()

    def _referred(self, resource: OfMedication, reference: Reference) -> Medication | None:
        name = reference.reference or ""
        if not name.startswith("#"):
            found = self.medications.get(name)
            return found or self.medications.get(local_reference(name, "Medication") or "")
        for raw in resource.contained:
            try:
                medication = _contained.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if medication.id == name[1:]:
                return medication
        return None


UNRESOLVED = "medication reference cannot be resolved"


def no_codes() -> NoReturn:
    """Say that there is nothing to go by; a site map can change that."""
    raise NotUsedError(UNCODED, gap=False)
