"""The patients of a simulated world as FHIR R4 records: the table is what is recorded, no more.

At every visit the readings are taken and issued first, the decision is made a quarter of an hour
into the visit, and what it orders is written after that. So a history taken at the instant of the
decision holds the row's values of that stage, and the course the earlier actions.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import numpy as np

from cds_adapters.fhir.samples import codes
from cds_adapters.fhir.samples.codes import Coding, Resource, coding, concept, quantity
from cds_adapters.fhir.samples.exports import to_json, to_transaction_bundle
from cds_adapters.fhir.samples.patient import SamplePatient
from cds_engine.vocabulary.code import full_code

if TYPE_CHECKING:
    from cds_engine.simulate.stage import Visit
    from cds_engine.simulate.world import Draw, World

FIRST_DAY = datetime(2024, 1, 8, tzinfo=UTC)
"""First visits are spread over the year that begins here."""

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MEASURED, ISSUED, DECIDED, ORDERED, ENDED = (k * MINUTE for k in (5, 8, 15, 20, 30))
"""Minutes into a visit."""

SURVEY = (codes.VITAL_SIGNS[0], "survey", "Survey")
_CATEGORIES: Mapping[str, Coding] = {
    "loinc|8480-6": codes.VITAL_SIGNS,
    "loinc|39156-5": codes.VITAL_SIGNS,
    "loinc|41950-7": codes.ACTIVITY,
    "loinc|6298-4": codes.LABORATORY,
    "loinc|33914-3": codes.LABORATORY,
    "loinc|4548-4": codes.LABORATORY,
}
"""Code -> category; everything else that worlds measure is asked in a survey."""

_BYSTANDERS: tuple[tuple[Coding, Coding, str, float, float, int], ...] = (
    (codes.VITAL_SIGNS, (codes.LOINC, "8867-4", "Heart rate"), "/min", 72, 9, 0),
    (codes.VITAL_SIGNS, (codes.LOINC, "9279-1", "Respiratory rate"), "/min", 15, 2, 0),
    (codes.VITAL_SIGNS, (codes.LOINC, "8310-5", "Body temperature"), "Cel", 36.8, 0.3, 1),
    (codes.LABORATORY, (codes.LOINC, "718-7", "Hemoglobin [Mass/volume] in Blood"), "g/dL",
     13.8, 1.2, 1),
    (codes.LABORATORY, (codes.LOINC, "2951-2", "Sodium [Moles/volume] in Serum or Plasma"),
     "mmol/L", 140, 2.5, 0),
)  # fmt: skip
"""What is measured besides: category, code, unit, mean, standard deviation, digits."""


def world_patients(draw: "Draw", extra: int = 0) -> Iterator[SamplePatient]:
    """Yield the records of the drawn patients, in order; one patient at a time is in memory.

    ``visits`` of each are the instants of the decisions, one for each stage of the world.

    Args:
        draw: the patients; their ids are those of the table.
        extra: further Observations for each patient, of things that no variable reads.
    """
    teller = _Teller(draw)
    for row in range(draw.n):
        yield teller.tell(row, extra)


def write_ndjson(patients: Iterable[SamplePatient], folder: Path) -> dict[str, int]:
    """Write a Bulk Data export, a file for each resource type; each patient is written at once.

    Returns:
        File name -> number of lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    encode = msgspec.json.Encoder(order="sorted").encode
    lines: dict[str, int] = {}
    with ExitStack() as open_files:
        files: dict[str, BinaryIO] = {}
        for patient in patients:
            for resource in patient.resources:
                kind = resource["resourceType"]
                if kind not in files:
                    path = folder / f"{kind}.ndjson"
                    files[kind] = open_files.enter_context(path.open("wb"))
                files[kind].write(encode(resource) + b"\n")
                lines[f"{kind}.ndjson"] = lines.get(f"{kind}.ndjson", 0) + 1
    return dict(sorted(lines.items()))


def write_bundles(patients: Iterable[SamplePatient], folder: Path) -> dict[str, int]:
    """Write a transaction Bundle for each patient.

    Returns:
        File name -> number of entries.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries: dict[str, int] = {}
    for patient in patients:
        text = to_json(to_transaction_bundle(patient)) + "\n"
        (folder / f"{patient.id}.json").write_text(text, encoding="utf-8")
        entries[f"{patient.id}.json"] = len(patient.resources)
    return entries


class _Teller:
    """Tells the patients of one draw; what all of them share is made once."""

    def __init__(self, draw: "Draw") -> None:
        self.draw = draw
        self.world: World = draw.world
        self.columns = {name: values.tolist() for name, values in draw.columns.items()}
        self.noise = {name: draw.noise[name].tolist() for name in ("calendar", "born", "sex")}

    def tell(self, row: int, extra: int) -> SamplePatient:
        """Return the records of the patient in a row."""
        chart = _Chart(str(self.draw.ids[row]), self._opens(row))
        self._person(chart, row)
        reason = self._problems(chart, row)
        instants = [self._visit(chart, row, number, visit, reason)
                    for number, visit in enumerate(self.world.visits)]  # fmt: skip
        if extra:
            self._bystanders(chart, row, extra)
        visits = tuple(iso for iso in instants if iso)
        return SamplePatient(chart.patient_id, self.world.name, tuple(chart.resources), visits)

    def _opens(self, row: int) -> datetime:
        """Return the beginning of the first visit: a quarter of an hour from 8 to 10 o'clock."""
        days, rest = divmod(self.noise["calendar"][row] * 364, 1)
        return FIRST_DAY + int(days) * DAY + (480 + 15 * int(rest * 8)) * MINUTE

    def _person(self, chart: "_Chart", row: int) -> None:
        """Add the Patient, whose birthday was up to two months before the first visit.

        So the age stays what it is in the table until the last visit, within ten months.
        """
        born = (chart.opens - (10 + int(self.noise["born"][row] * 50)) * DAY).date()
        age = int(self.columns["age"][row])
        born = born.replace(year=born.year - age, day=min(born.day, 28))
        chart.add("Patient", "", chart.opens - 400 * DAY, {
            "active": True,
            "identifier": [{"system": "https://ehr.example/mrn", "value": chart.patient_id}],
            "name": [{"use": "official", "family": "Simulated", "given": [chart.patient_id]}],
            "gender": "female" if self.noise["sex"][row] < 0.5 else "male",
            "birthDate": born.isoformat(),
        })  # fmt: skip

    def _problems(self, chart: "_Chart", row: int) -> str:
        """Add the conditions, and return the reference to the first that everybody has."""
        reason = ""
        for name, code in self._conditions.items():
            if name in self.world.always or self.columns[name][row]:
                recorded = chart.opens - 30 * DAY
                told = chart.add("Condition", _part(name), recorded, {
                    "clinicalStatus": codes.status_concept(codes.CONDITION_CLINICAL, "active"),
                    "verificationStatus": codes.status_concept(
                        codes.CONDITION_VERIFICATION, "confirmed"),
                    "category": [_PROBLEM_LIST],
                    "code": code,
                    "subject": chart.subject,
                    "onsetDateTime": (recorded - 7 * DAY).isoformat(),
                    "recordedDate": recorded.isoformat(),
                })  # fmt: skip
                reason = reason or (told if name in self.world.always else "")
        return reason

    def _visit(self, chart: "_Chart", row: int, number: int, visit: "Visit", reason: str) -> str:
        """Add a visit; return the instant of its decision, or nothing where it has none.

        Each visit begins half an hour later in the day than the one before, so that whole weeks
        have passed since what was ordered then.
        """
        begins = chart.opens + visit.week * 7 * DAY + number * 30 * MINUTE
        encounter = {"reference": chart.add("Encounter", str(number), begins + ENDED, {
            "status": "finished",
            "class": _AMBULATORY,
            "type": [_CHECK_UP],
            "subject": chart.subject,
            "period": {"start": begins.isoformat(), "end": (begins + ENDED).isoformat()},
        })}  # fmt: skip
        for variable, column in visit.readings.items():
            self._reading(chart, f"{_part(variable)}-{number}", variable,
                          self.columns[column][row], begins, encounter)  # fmt: skip
        for variable in visit.procedures:
            self._procedure(chart, variable, begins + ORDERED, encounter)
        if not visit.stage:
            return ""
        action = self.columns[f"action_{visit.stage}"][row]
        if action is not None and "order" in self.world.actions[action]:
            self._order(chart, action, begins + ORDERED, encounter, reason)
        return (begins + DECIDED).isoformat()

    def _reading(
        self, chart: "_Chart", name: str, variable: str, value: float, begins: datetime,
        encounter: Resource,
    ) -> None:  # fmt: skip
        category, code, unit, digits = self._measures[variable]
        issued = begins + ISSUED
        chart.add("Observation", name, issued, {
            "status": "final",
            "category": category,
            "code": code,
            "subject": chart.subject,
            "encounter": encounter,
            "effectiveDateTime": (begins + MEASURED).isoformat(),
            "issued": issued.isoformat(),
            "valueQuantity": quantity(value if digits else int(value), unit),
        })  # fmt: skip

    def _procedure(self, chart: "_Chart", variable: str, at: datetime, encounter: Resource) -> None:
        [code] = self.world.variables[variable]["codes"]
        chart.add("Procedure", _part(variable), at, {
            "status": "completed",
            "code": concept(self._coding(code)),
            "subject": chart.subject,
            "encounter": encounter,
            "performedDateTime": at.isoformat(),
        })  # fmt: skip

    def _order(
        self, chart: "_Chart", action: str, at: datetime, encounter: Resource, reason: str
    ) -> None:
        """Add the order of an action: a prescription or a service."""
        order = self.world.actions[action]["order"]
        kind, code = order["resource"], self._orders[action]
        field = "medicationCodeableConcept" if kind == "MedicationRequest" else "code"
        what: Resource = {field: code}
        if "dosage" in order:
            what["dosageInstruction"] = [{
                "text": order["dosage"],
                "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
            }]  # fmt: skip
        chart.add(kind, _part(action), at, {
            "status": "active",
            "intent": "order",
            **what,
            "subject": chart.subject,
            "encounter": encounter,
            "authoredOn": at.isoformat(),
            "reasonReference": [{"reference": reason}],
        })  # fmt: skip

    def _bystanders(self, chart: "_Chart", row: int, extra: int) -> None:
        """Add observations between half a year before the first visit and the last visit."""
        key = np.random.SeedSequence(self.draw.seed, spawn_key=(self.draw.first + row, extra))
        stream = np.random.Generator(np.random.Philox(key))
        span = 24 * 60 * (180 + 7 * self.world.visits[-1].week)
        minutes = np.sort(stream.integers(span, size=extra)).tolist()
        levels = stream.standard_normal(extra).tolist()
        start = chart.opens - 180 * DAY
        for number, (minute, level) in enumerate(zip(minutes, levels, strict=True)):
            category, code, unit, mean, sd, digits = _MEASURED_BESIDES[number % len(_BYSTANDERS)]
            at, value = start + minute * MINUTE, mean + sd * level
            issued = (at + 3 * MINUTE).isoformat()
            chart.add("Observation", f"x-{number}", at + 3 * MINUTE, {
                "status": "final",
                "category": category,
                "code": code,
                "subject": chart.subject,
                "effectiveDateTime": at.isoformat(),
                "issued": issued,
                "valueQuantity": quantity(round(value, digits) if digits else round(value), unit),
            })  # fmt: skip

    @cached_property
    def _conditions(self) -> dict[str, Resource]:
        """Variables of conditions, those that everybody has first -> what they are called."""
        names = [n for n, one in self.world.variables.items() if one.get("from") == "condition"]
        names.sort(key=lambda name: name not in self.world.always)
        return {n: concept(self._coding(self.world.variables[n]["codes"][0])) for n in names}

    @cached_property
    def _measures(self) -> dict[str, tuple[list[Resource], Resource, str, int]]:
        """Variable -> category, code, unit and digits of what is measured for it."""
        found = {}
        for name in {name for visit in self.world.visits for name in visit.readings}:
            document = self.world.variables[name]
            code = document["codes"][0]
            found[name] = ([concept(_CATEGORIES.get(code, SURVEY))], concept(self._coding(code)),
                           document["unit"], document["digits"])  # fmt: skip
        return found

    @cached_property
    def _orders(self) -> dict[str, Resource]:
        return {name: concept(self._coding(one["order"]["code"]))
                for name, one in self.world.actions.items() if "order" in one}  # fmt: skip

    def _coding(self, code: str) -> Coding:
        system, bare = full_code(code)
        return system, bare, self.world.codes[code]


class _Chart:
    """One patient's resources; ``meta.lastUpdated`` says when each was recorded."""

    def __init__(self, patient_id: str, opens: datetime) -> None:
        self.patient_id = patient_id
        self.opens = opens
        self.subject = {"reference": f"Patient/{patient_id}"}
        self.resources: list[Resource] = []

    def add(self, kind: str, name: str, recorded: datetime, fields: dict[str, Any]) -> str:
        """Add a resource and return the reference to it."""
        resource_id = f"{self.patient_id}-{name}" if name else self.patient_id
        head = {
            "resourceType": kind,
            "id": resource_id,
            "meta": {"versionId": "1", "lastUpdated": recorded.isoformat()},
        }
        self.resources.append(head | fields)
        return f"{kind}/{resource_id}"


_PROBLEM_LIST = concept(codes.PROBLEM_LIST)
_AMBULATORY = coding(codes.AMBULATORY)
_CHECK_UP = concept(codes.CHECK_UP)
_MEASURED_BESIDES = [
    ([concept(category)], concept(code), unit, mean, sd, digits)
    for category, code, unit, mean, sd, digits in _BYSTANDERS
]


def _part(name: str) -> str:
    """Write a name as FHIR allows it in an id."""
    return name.replace("_", "-")
