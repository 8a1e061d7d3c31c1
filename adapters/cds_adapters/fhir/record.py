"""A patient's resources become one Record, and nothing that was left out is left unsaid.

Whatever cannot be used is listed in ``Record.set_aside``. Where it might have mattered, there is a
gap as well: ``observation:loinc|8480-6`` where it is known what it was about, else
``kind:observation``; ``kind:patient`` for the facts about the person, and ``*`` where not even the
kind is known. It holds from the first instant at which the resource could have counted, or from
the beginning where nothing says when that was.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from cds_adapters.fhir.codesets import CANCELLED, ENTERED_IN_ERROR, VOID
from cds_adapters.fhir.context import NO_VERSION, Context, Version
from cds_adapters.fhir.dated import dated_events
from cds_adapters.fhir.decode import DecodedBundle
from cds_adapters.fhir.earlier import EarlierReadings
from cds_adapters.fhir.elements import CodeableConcept, Coding
from cds_adapters.fhir.errors import NotUsedError
from cds_adapters.fhir.events import KINDS, make_events
from cds_adapters.fhir.gaps import PATIENT, Gaps
from cds_adapters.fhir.persons import read_person
from cds_adapters.fhir.references import Subjects, about_no_patient
from cds_adapters.fhir.resources import (
    Medication,
    Observation,
    Patient,
    PatientResource,
    UsedResource,
)
from cds_adapters.fhir.site_map import PLAIN, SiteMap
from cds_adapters.fhir.troubles import Trouble, concepts_of
from cds_adapters.fhir.unseen import as_first, is_revised, unseen_events
from cds_engine.history.event import BEGINNING, Event, Person, Record, SetAside
from cds_engine.history.select import counts_from
from cds_engine.vocabulary.time import Instant

Horizons = tuple[Instant, Mapping[str, float]]
_Versions = dict[bytes, PatientResource]
_Named = TypeVar("_Named", Patient, Medication)
_NONE: Mapping[str, str] = MappingProxyType({})
_ANOTHER = "belongs to another patient"
CONTRADICTION = "copies of one version contradict each other"
NO_SUBJECT = "it has no subject that can be resolved to a patient"


def build_record(
    resources: Iterable[UsedResource],
    patient_id: str,
    site: SiteMap = PLAIN,
    gaps: Mapping[str, str] = _NONE,
    *,
    urls: Mapping[str, str] = _NONE,
    troubles: Iterable[Trouble] = (),
    at: Horizons | None = None,
) -> Record:
    """Build the record of one patient; the order of the resources makes no difference.

    Args:
        resources: everything that was found; what is another patient's is set aside.
        patient_id: the id of the Patient resource.
        site: what the site's own codes and dates mean.
        gaps: what is known to be missing already, by the keys of ``cds_engine.history.gaps``.
        urls: addresses of Bundle entries -> ``Type/id``, see ``DecodedBundle``.
        troubles: resources that cannot be decoded, see ``DecodedBundle``.
        at: an instant and the horizons of a regime at it, where the record serves for that alone:
            observations from before are read when they are asked for.
    """
    builder = _Builder(list(resources), patient_id, site, urls, at)
    builder.gaps.add_all(gaps)
    builder.read_person()
    builder.read_events()
    for trouble in troubles:
        builder.leave_out_trouble(trouble)
    return builder.record()


def record_of(
    body: DecodedBundle,
    patient_id: str,
    site: SiteMap = PLAIN,
    gaps: Mapping[str, str] = _NONE,
    at: Horizons | None = None,
) -> Record:
    """Build the record of one patient from what one body holds, or several merged ones."""
    return build_record(
        body.resources, patient_id, site, gaps, urls=body.urls, troubles=body.troubles, at=at
    )


def foreign_patients(
    resources: Iterable[UsedResource],
    patient_id: str,
    *,
    urls: Mapping[str, str] = _NONE,
    troubles: Iterable[Trouble] = (),
) -> tuple[str, ...]:
    """Return the ids of all patients other than this one to whom any of the resources belongs."""
    subjects = Subjects(urls)
    resources = tuple(resources)
    found = {subjects[reference] for reference in stated_subjects(resources)}
    found |= {one.id for one in resources if type(one) is Patient}
    found |= {patient_of_trouble(trouble, subjects) for trouble in troubles}
    return tuple(sorted(one for one in found if one is not None and one != patient_id))


def stated_subjects(resources: Iterable[UsedResource]) -> set[str | None]:
    """Return the references to whom resources are about, each once."""
    return {s.reference for one in resources if (s := getattr(one, "subject", None)) is not None}


def patient_of_trouble(trouble: Trouble, subjects: Subjects) -> str | None:
    """Return the id of the patient an undecodable resource belongs to; None if not known."""
    name = trouble.source if trouble.resource_type == "Patient" else trouble.subject
    return subjects[name]


class _Builder:
    """A record in the making."""

    def __init__(
        self,
        resources: Collection[UsedResource],
        patient_id: str,
        site: SiteMap,
        urls: Mapping[str, str],
        at: Horizons | None = None,
    ) -> None:
        self.context = Context(site)
        self.gaps = Gaps(self.context)
        self._earlier = None if at is None else EarlierReadings(self.context, make_events, *at)
        self._known_by = None if at is None else at[0]
        self._patient_id = patient_id
        self._subjects = Subjects(urls)
        self._person = Person(key=patient_id)
        self._events: list[Event] = []
        self._set_aside: dict[SetAside, None] = {}
        # isinstance is slow on structs, and every resource of every request passes here.
        apart: dict[type[UsedResource], list[Any]] = {Patient: [], Medication: []}
        self._about: list[PatientResource] = []
        for resource in resources:
            apart.get(type(resource), self._about).append(resource)
        self._patients: list[Patient] = apart[Patient]
        medications, doubted = _newest(apart[Medication], self.context, _meaning)
        for name in doubted:
            # What refers to it is then not used, and leaves a gap of its own.
            del medications[name]
            self._leave_out(name, CONTRADICTION)
        by_url = {url: medications[name] for url, name in urls.items() if name in medications}
        self.context.medications = medications | by_url

    def read_person(self) -> None:
        """Take the facts from the newest version of the patient's own resource."""
        found, doubted = _newest(self._patients, self.context, _facts)
        for name in found.keys() - {f"Patient/{self._patient_id}"}:
            self._leave_out(name, _ANOTHER)
        patient = found.get(f"Patient/{self._patient_id}")
        if patient is None:
            self.gaps.add(PATIENT, "there is no Patient resource to take the patient's facts from")
            return
        try:
            self._person, faults = read_person(patient, self.context, self._known_by)
        except NotUsedError as unused:
            self._leave_out(f"Patient/{self._patient_id}", unused.reason, (PATIENT,))
        else:
            self._set_aside |= dict.fromkeys(faults)
            self._doubt_person(doubted.get(f"Patient/{self._patient_id}", ()))

    def _doubt_person(self, copies: Sequence[Patient]) -> None:
        """Drop the facts in which copies of the patient's own resource contradict each other."""
        if not copies:
            return
        sexes = {one.gender for one in copies}
        births = {one.birth_date for one in copies}
        deaths = {one.deceased_date_time for one in copies}
        dead = any(one.deceased_boolean or one.deceased_date_time for one in copies)
        self._person = replace(
            self._person,
            sex=self._person.sex if len(sexes) == 1 else None,
            born=self._person.born if len(births) == 1 else None,
            died=self._person.died if len(deaths) == 1 else None,
            deceased=dead,
        )
        self._leave_out(f"Patient/{self._patient_id}", CONTRADICTION, (PATIENT,))

    def read_events(self) -> None:
        """Read every version of every resource that is this patient's, each once."""
        first, more = self._versions()
        earlier = self._earlier
        for source, resource in first.items():
            if source in more:
                self._read_versions(source, more[source].values())
                continue
            if earlier and type(resource) is Observation and earlier.keep(resource, source):
                continue
            try:
                made = make_events(resource, self.context, source)
            except NotUsedError as unused:
                self._leave_out_unused(source, resource, unused)
                continue
            self._events += made
            if made and is_revised(made[0]):
                self._events += unseen_events(resource, made, self.context, source)

    def _versions(self) -> tuple[dict[str, PatientResource], dict[str, _Versions]]:
        """Return this patient's resources by source, and all versions where there are several."""
        first: dict[str, PatientResource] = {}
        more: dict[str, _Versions] = {}
        for resource in self._about:
            source = f"{type(resource).__name__}/{resource.id}"
            subject = resource.subject
            if subject is None or self._subjects[subject.reference] != self._patient_id:
                self._leave_out_foreign(source, resource)
                continue
            known = first.setdefault(source, resource)
            if known is not resource:
                versions = more.setdefault(source, {msgspec.json.encode(known): known})
                versions[msgspec.json.encode(resource)] = resource
        return first, more

    def leave_out_trouble(self, trouble: Trouble) -> None:
        """Set aside what could not be decoded."""
        patient = patient_of_trouble(trouble, self._subjects)
        if patient is not None and patient != self._patient_id:
            self._leave_out(trouble.source, _ANOTHER)
        else:
            keys = self.gaps.keys_of_type(trouble.resource_type, trouble.concepts)
            since = self._since(trouble.source, trouble.dated)
            self._leave_out(trouble.source, trouble.reason, keys, since)

    def record(self) -> Record:
        """Return the record."""
        return Record(
            person=self._person,
            events=tuple(self._events),
            set_aside=tuple(self._set_aside),
            gaps=self.gaps.words(),
            earlier=self._earlier,
            gap_times=self.gaps.times(),
        )

    def _leave_out_foreign(self, source: str, resource: PatientResource) -> None:
        reference = None if resource.subject is None else resource.subject.reference
        patient = self._subjects[reference]
        if patient is None and about_no_patient(reference):
            self._leave_out(source, "it is not about a patient")
        elif patient is None:
            keys, since = self.gaps.keys_of(resource), self._since(source, resource)
            self._leave_out(source, NO_SUBJECT, keys, since)
        else:
            self._leave_out(source, _ANOTHER)

    def _leave_out_unused(
        self,
        source: str,
        resource: PatientResource,
        unused: NotUsedError,
        since: Instant | None = None,
    ) -> None:
        void = getattr(resource, "status", None) in (ENTERED_IN_ERROR, CANCELLED)
        keys = self.gaps.keys_of(resource) if unused.gap and not void else ()
        if since is None:
            since = self._since(source, resource) if keys else BEGINNING
        self._leave_out(source, unused.reason, keys, since)

    def _since(
        self, source: str, resource: PatientResource | None, first: Version | None = None
    ) -> Instant:
        """Return from when on something that is not used might have counted.

        ``first`` is the first of several versions of it.
        """
        if resource is None:
            return BEGINNING
        events = dated_events(resource, self.context, source)
        if first is not None:
            events = [self._known_once_stored(event, resource, first) for event in events]
        if first is None or _version(resource, self.context) == first:
            events += dated_events(as_first(resource), self.context, source)
        return min(map(counts_from, events), default=BEGINNING)

    def _read_versions(self, source: str, versions: Collection[PatientResource]) -> None:
        """Read several versions; one that is not used still takes the place of earlier ones."""
        made: list[Event] = []
        unused: list[tuple[PatientResource, NotUsedError]] = []
        first = min(_version(resource, self.context) for resource in versions)
        for resource in versions:
            try:
                events = make_events(resource, self.context, source)
                if events and events[0].version == first:
                    self._events += unseen_events(resource, events, self.context, source)
                made += [self._known_once_stored(event, resource, first) for event in events]
            except NotUsedError as reason:
                unused.append((resource, reason))
        self._events += made
        used = {event.version for event in made if event.status not in VOID}
        for resource, fault in unused:
            since = self._since(source, resource, first)
            if made:
                mark = self._mark(source, resource, made)
                self._events.append(mark)
                # from then on the mark hides the earlier versions, so that something is missing
                since = min(since, mark.recorded)
            self._leave_out_unused(source, resource, fault, since)
            if _version(resource, self.context) in used:
                self._leave_out(source, CONTRADICTION, self.gaps.keys_of(resource), since)

    def _known_once_stored(self, event: Event, resource: PatientResource, first: Version) -> Event:
        """Let a later version take the place of the first one when it was stored, not before."""
        stored = self.context.stored(resource.meta)
        if event.version == first or stored is None or stored.end <= event.recorded:
            return event
        return msgspec.structs.replace(event, recorded=stored.end)

    def _mark(self, source: str, resource: PatientResource, made: Sequence[Event]) -> Event:
        version, recorded = NO_VERSION, max(event.recorded for event in made)
        with suppress(NotUsedError):
            version = self.context.version(resource.meta)
            version, recorded = self.context.known(resource.meta, CANCELLED, None)
        return Event(
            kind=KINDS[type(resource)],
            codes=self.context.merged(map(self.context.codes, concepts_of(resource))),
            time=None,
            recorded=recorded,
            source=source,
            version=version,
            status=CANCELLED,
        )

    def _leave_out(
        self, source: str, reason: str, gaps: Iterable[str] = (), since: Instant = BEGINNING
    ) -> None:
        self._set_aside[SetAside(source, reason)] = None
        for key in gaps:
            self.gaps.add(key, f"{source} was set aside: {reason}", since)


def _newest(
    resources: Iterable[_Named], context: Context, content: Callable[[_Named], object]
) -> tuple[dict[str, _Named], dict[str, list[_Named]]]:
    """Return the newest version of each, and the copies of it that differ in their content.

    Among equals it is the same one whatever the order.
    """
    copies: dict[str, tuple[Version, list[_Named]]] = {}
    for resource in resources:
        name = f"{type(resource).__name__}/{resource.id}"
        version = _version(resource, context)
        held = copies.get(name)
        if held is None or version > held[0]:
            copies[name] = (version, [resource])
        elif version == held[0]:
            held[1].append(resource)
    newest = {
        name: same[0] if len(same) == 1 else max(same, key=msgspec.json.encode)
        for name, (_, same) in copies.items()
    }
    doubted = {
        name: same
        for name, (_, same) in copies.items()
        if len(same) > 1 and any(content(one) != content(same[0]) for one in same)
    }
    return newest, doubted


def _facts(patient: Patient) -> object:
    dead = (patient.deceased_boolean, patient.deceased_date_time)
    return patient.gender, patient.birth_date, dead


def _meaning(medication: Medication) -> object:
    codes = frozenset((one.system, one.code) for one in _codings(medication.code))
    return codes, medication.status == ENTERED_IN_ERROR


def _codings(concept: CodeableConcept | None) -> tuple[Coding, ...]:
    return () if concept is None else concept.coding


def _version(resource: UsedResource, context: Context) -> Version:
    try:
        return context.version(resource.meta)
    except NotUsedError:
        return NO_VERSION
