"""A chart collects one patient's resources; every entry says when it was recorded.

``meta.lastUpdated`` is the time of recording throughout, and equals ``issued``, ``recordedDate``
or ``authoredOn`` where the resource has such a field.
"""

from datetime import UTC, date, datetime, time, timedelta

from cds_adapters.fhir.samples import codes
from cds_adapters.fhir.samples.codes import Coding, Resource, coding, concept, quantity
from cds_adapters.fhir.samples.draw import Draw

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)


def iso(at: datetime) -> str:
    """Write an instant as FHIR does, with its offset."""
    return at.isoformat()


class Chart:
    """One patient's record while its story is being told."""

    def __init__(self, patient_id: str, start: date, draw: Draw) -> None:
        self.patient_id = patient_id
        self.draw = draw
        self.opens = datetime.combine(start, time(draw.between(8, 10), draw.pick((0, 15, 30))), UTC)
        self.resources: list[Resource] = []
        self.gender = draw.pick(("female", "male"))
        self.age = 0

    def visit_at(self, weeks: int) -> datetime:
        """Return the beginning of the visit ``weeks`` after the first.

        Each visit begins half an hour or more later in the day than the one before, so that
        whole weeks have passed since what was ordered then.
        """
        return self.opens + weeks * WEEK + weeks // 8 * 30 * MINUTE

    def add(self, kind: str, name: str, recorded: datetime, fields: Resource) -> str:
        """Add a resource and return the reference to it, such as ``Observation/x-bp-1``."""
        serial = 1 + sum(r["id"].startswith(f"{self.patient_id}-{name}-") for r in self.resources)
        resource_id = f"{self.patient_id}-{name}-{serial}"
        self._append(kind, resource_id, recorded, fields)
        return f"{kind}/{resource_id}"

    def person(self, age: int, gender: str | None = None) -> None:
        """Begin with the Patient, who stays ``age`` years old for at least seven months."""
        self.age, self.gender = age, gender or self.gender
        born = (self.opens - self.draw.between(10, 140) * DAY).date()
        born = born.replace(year=born.year - age, day=min(born.day, 28))
        fields: Resource = {
            "active": True,
            "identifier": [{"system": "https://ehr.example/mrn", "value": self.patient_id}],
            "name": [{"use": "official", "family": "Sample", "given": [self.patient_id]}],
            "gender": self.gender,
            "birthDate": born.isoformat(),
        }
        self._append("Patient", self.patient_id, self.opens - 400 * DAY, fields)

    def condition(self, code: Coding, recorded: datetime) -> str:
        """Add an active, confirmed problem whose onset lies a week before it was recorded."""
        fields = {
            "clinicalStatus": codes.status_concept(codes.CONDITION_CLINICAL, "active"),
            "verificationStatus": codes.status_concept(codes.CONDITION_VERIFICATION, "confirmed"),
            "category": [concept(codes.PROBLEM_LIST)],
            "code": concept(code),
            "subject": self._subject,
            "onsetDateTime": iso(recorded - WEEK),
            "recordedDate": iso(recorded),
        }
        return self.add("Condition", "condition", recorded, fields)

    def encounter(self, begins: datetime) -> str:
        """Add an ambulatory visit of half an hour, finished."""
        ends = begins + 30 * MINUTE
        fields = {
            "status": "finished",
            "class": coding(codes.AMBULATORY),
            "type": [concept(codes.CHECK_UP)],
            "subject": self._subject,
            "period": {"start": iso(begins), "end": iso(ends)},
        }
        return self.add("Encounter", "encounter", ends, fields)

    def pressure(self, at: datetime, systolic: int, diastolic: int, encounter: str) -> str:
        """Add a blood pressure panel, issued a minute after it was taken.

        The diastolic component comes first, as in the records of both public generators that
        this one imitates.
        """
        pairs = ((codes.DIASTOLIC, diastolic), (codes.SYSTOLIC, systolic))
        fields = {
            "encounter": {"reference": encounter},
            "component": [
                {"code": concept(code), "valueQuantity": quantity(value, "mm[Hg]")}
                for code, value in pairs
            ],
        }
        head = self._observation(codes.VITAL_SIGNS, codes.PRESSURE_PANEL, at, at + MINUTE)
        return self.add("Observation", "bp", at + MINUTE, head | fields)

    def measurement(
        self,
        name: str,
        category: Coding,
        code: Coding,
        at: datetime,
        issued: datetime,
        value: Resource,
    ) -> str:
        """Add an observation with a single quantity."""
        head = self._observation(category, code, at, issued)
        return self.add("Observation", name, issued, head | {"valueQuantity": value})

    def procedure(self, code: Coding, at: datetime, encounter: str) -> str:
        """Add something done and completed, recorded when it was done."""
        fields = {
            "status": "completed",
            "code": concept(code),
            "subject": self._subject,
            "encounter": {"reference": encounter},
            "performedDateTime": iso(at),
        }
        return self.add("Procedure", "procedure", at, fields)

    def prescription(self, code: Coding, at: datetime, encounter: str, reason: str) -> str:
        """Add an active order for one tablet a day."""
        fields = {
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": concept(code),
            "subject": self._subject,
            "encounter": {"reference": encounter},
            "authoredOn": iso(at),
            "reasonReference": [{"reference": reason}],
            "dosageInstruction": [
                {
                    "text": "1 tablet by mouth once a day",
                    "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
                }
            ],
        }
        return self.add("MedicationRequest", "prescription", at, fields)

    def service(self, code: Coding, at: datetime, encounter: str, reason: str) -> str:
        """Add an active order for a service."""
        fields = {
            "status": "active",
            "intent": "order",
            "code": concept(code),
            "subject": self._subject,
            "encounter": {"reference": encounter},
            "authoredOn": iso(at),
            "reasonReference": [{"reference": reason}],
        }
        return self.add("ServiceRequest", "service", at, fields)

    def intolerance(self, substance: Coding, manifestation: Coding, recorded: datetime) -> str:
        """Add an active, confirmed drug intolerance that showed itself two weeks earlier."""
        fields = {
            "clinicalStatus": codes.status_concept(codes.ALLERGY_CLINICAL, "active"),
            "verificationStatus": codes.status_concept(codes.ALLERGY_VERIFICATION, "confirmed"),
            "type": "intolerance",
            "category": ["medication"],
            "criticality": "low",
            "code": concept(substance),
            "patient": self._subject,
            "onsetDateTime": iso(recorded - 2 * WEEK),
            "recordedDate": iso(recorded),
            "reaction": [{"manifestation": [concept(manifestation)], "severity": "mild"}],
        }
        return self.add("AllergyIntolerance", "intolerance", recorded, fields)

    @property
    def _subject(self) -> Resource:
        return {"reference": f"Patient/{self.patient_id}"}

    def _append(self, kind: str, resource_id: str, recorded: datetime, fields: Resource) -> None:
        meta = {"versionId": "1", "lastUpdated": iso(recorded)}
        head: Resource = {"resourceType": kind, "id": resource_id, "meta": meta}
        self.resources.append(head | fields)

    def _observation(
        self, category: Coding, code: Coding, at: datetime, issued: datetime
    ) -> Resource:
        return {
            "status": "final",
            "category": [concept(category)],
            "code": concept(code),
            "subject": self._subject,
            "effectiveDateTime": iso(at),
            "issued": iso(issued),
        }
